//! `POST /v1/gate`: may this session go on?
//!
//! One look-up under a shared lock. While the halts are not known it does not answer: not knowing is
//! not allowing, and what the caller does then is the caller's own policy.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::Api;
use super::error::ApiError;
use crate::event::TENANT_DEFAULT;
use crate::finding::Severity;
use crate::halt::HaltRecord;
use crate::time::Millis;

/// How long a client may keep an answer, in milliseconds.
const TTL_MS: u64 = 1_000;

/// Unknown fields (the proposed action) are ignored: only the halt state decides for now.
#[derive(Deserialize)]
struct Question {
    session: String,
    #[serde(default)]
    tenant: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Answer {
    decision: &'static str,
    halted: bool,
    halt: Option<Halt>,
    rule: Option<Arc<str>>,
    reason: Option<String>,
    ttl_ms: u64,
    rev: u64,
}

#[derive(Serialize)]
struct Halt {
    id: String,
    rule: Option<Arc<str>>,
    severity: Option<Severity>,
    since: Millis,
    by: String,
    reason: String,
    epoch: u64,
}

pub(super) async fn gate(State(api): State<Arc<Api>>, body: Bytes) -> Result<Json<Answer>, ApiError> {
    let began = Instant::now();
    let question: Question = serde_json::from_slice(&body)
        .map_err(|error| ApiError::malformed(format!("expected {{\"session\":…,\"tenant\":…}}: {error}")))?;
    if !api.halts.is_complete() {
        return Err(ApiError::unavailable("not_ready", "the halts are not known yet"));
    }
    let rev = api.halts.revision();
    let record = api.halts.get(question.tenant.as_deref().unwrap_or(TENANT_DEFAULT), &question.session);
    let answer = answer(record.filter(HaltRecord::is_halted), rev);
    api.metrics.gate_requests.with_label_values(&[answer.decision]).inc();
    api.metrics.gate_duration.record_seconds(began.elapsed().as_secs_f64());
    Ok(Json(answer))
}

fn answer(halted: Option<HaltRecord>, rev: u64) -> Answer {
    let Some(record) = halted else {
        return Answer { decision: "allow", halted: false, halt: None, rule: None, reason: None, ttl_ms: TTL_MS, rev };
    };
    Answer {
        decision: "deny",
        halted: true,
        rule: record.rule.clone(),
        reason: Some(record.reason.clone()),
        halt: Some(Halt {
            id: record.id,
            rule: record.rule,
            severity: record.severity,
            since: record.at,
            by: record.by,
            reason: record.reason,
            epoch: record.epoch,
        }),
        ttl_ms: TTL_MS,
        rev,
    }
}
