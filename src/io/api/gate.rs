//! `POST /v1/gate`: may this session's next action go ahead?
//!
//! Decided from the halts view alone, by one look-up: it waits for no worker, no ledger and no Kafka.
//! The proposed action is not looked at yet.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::Api;
use super::answer::HaltBody;
use super::error::ApiError;
use super::request::{JsonBody, Name, Names, Shape};

/// How long a caller may go on with an answer.
const TTL_MS: u64 = 1_000;

/// What is needed of the question; `agent` and `action` are passed over.
#[derive(Deserialize)]
pub(super) struct Question {
    session: Name,
    tenant: Option<Name>,
}

impl Shape for Question {
    const EXPECTED: &'static str =
        r#"{"session":"…","tenant":"…","agent":"…","action":{…}}, of which only session is required"#;
}

#[derive(Serialize)]
struct Answer<'a> {
    decision: &'static str,
    halted: bool,
    halt: Option<HaltBody<'a>>,
    rule: Option<&'a str>,
    reason: Option<&'a str>,
    ttl_ms: u64,
    rev: u64,
}

pub(super) async fn ask(State(api): State<Arc<Api>>, question: Result<JsonBody<Question>, ApiError>) -> Response {
    let began = Instant::now();
    let (decision, response) = match question.and_then(|JsonBody(question)| decide(&api, question)) {
        Ok((decision, response)) => (decision, response),
        Err(error) => ("error", error.into_response()),
    };
    api.metrics.gate_requests.with_label_values(&[decision]).inc();
    api.metrics.gate_duration.record_seconds(began.elapsed().as_secs_f64());
    response
}

fn decide(api: &Api, Question { session, tenant }: Question) -> Result<(&'static str, Response), ApiError> {
    let names = Names::checked(tenant, session).map_err(|what| ApiError::unusable("bad_session", what))?;
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    // Read first: an answer must not claim a newer revision than it was made from.
    let rev = api.halts.revision();
    let record = api.halts.get(&names.tenant, &names.session).filter(|record| record.is_halted());
    let decision = if record.is_some() { "deny" } else { "allow" };
    let answer = Answer {
        decision,
        halted: record.is_some(),
        halt: record.as_ref().map(HaltBody::of),
        rule: record.as_ref().and_then(|record| record.rule.as_deref()),
        reason: record.as_ref().map(|record| record.reason.as_str()),
        ttl_ms: TTL_MS,
        rev,
    };
    Ok((decision, Json(answer).into_response()))
}
