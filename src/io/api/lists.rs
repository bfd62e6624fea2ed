//! `GET /v1/halts`, `/v1/findings` and `/v1/rules`: plain lists, the newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use super::request::{Limit, Params, tenant_filter};
use crate::rules::Rule;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HaltParams {
    tenant: Option<String>,
    #[serde(default)]
    state: Wanted,
    #[serde(default)]
    limit: Limit,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    #[default]
    Halted,
    All,
}

/// Halt records as they stand in the ledger; `total` counts those beyond the limit, too.
pub(super) async fn halts(
    State(api): State<Arc<Api>>,
    Params(params): Params<HaltParams>,
) -> Result<Json<Value>, ApiError> {
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    let tenant = tenant_filter(params.tenant.as_deref());
    let rev = api.halts.revision();
    let mut records = api.halts.latest(|record| {
        (params.state == Wanted::All || record.is_halted()) && tenant.is_none_or(|tenant| *record.tenant == *tenant)
    });
    let total = records.len();
    records.truncate(params.limit.0);
    Ok(Json(json!({"halts": records, "total": total, "rev": rev})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingParams {
    tenant: Option<String>,
    session: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// The latest findings of this process.
pub(super) async fn findings(State(api): State<Arc<Api>>, Params(params): Params<FindingParams>) -> Json<Value> {
    let session = params.session.as_deref().filter(|session| !session.is_empty());
    let findings = api.recent.list(tenant_filter(params.tenant.as_deref()), session, params.limit.0);
    Json(json!({"findings": findings}))
}

/// The rules in force.
pub(super) async fn rules(State(api): State<Arc<Api>>) -> Json<Value> {
    let program = api.program.borrow().clone();
    let rules: Vec<Value> = program.rules().rules.iter().map(rule).collect();
    Json(json!({"hash": program.rules().hash, "rules": rules}))
}

fn rule(rule: &Rule) -> Value {
    let kind = rule.check.kind();
    json!({
        "id": rule.id,
        "version": rule.version,
        "title": rule.title,
        "severity": rule.severity,
        "action": rule.action,
        "mode": rule.mode,
        "tags": rule.tags,
        "kind": kind,
    })
}
