//! `GET /v1/halts` and `/v1/findings`: plain lists, the newest first; and who asks.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::access::{Caller, Scope};
use super::error::ApiError;
use super::request::{Limit, Params};
use crate::finding::Finding;
use crate::halt::HaltRecord;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HaltParams {
    tenant: Option<String>,
    #[serde(default)]
    state: Wanted,
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    limit: Limit,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HaltsWanted")]
enum Wanted {
    #[default]
    Halted,
    All,
}

/// Halt records as they stand in the ledger.
#[derive(Serialize, JsonSchema)]
pub(super) struct HaltList {
    halts: Vec<HaltRecord>,
    /// Also those beyond the limit.
    total: usize,
    rev: u64,
}

pub(super) async fn halts(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<HaltParams>,
) -> Result<Json<HaltList>, ApiError> {
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    let tenant = caller.filter(params.tenant.as_deref())?;
    let rev = api.halts.revision();
    let mut halts = api.halts.latest(|record| {
        (params.state == Wanted::All || record.is_halted())
            && tenant.as_deref().is_none_or(|tenant| *record.tenant == *tenant)
    });
    let total = halts.len();
    halts.truncate(params.limit.0);
    Ok(Json(HaltList { halts, total, rev }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingParams {
    tenant: Option<String>,
    session: Option<String>,
    rule: Option<String>,
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    limit: Limit,
}

/// The latest findings of this process.
#[derive(Serialize, JsonSchema)]
pub(super) struct FindingList {
    findings: Vec<Arc<Finding>>,
}

pub(super) async fn findings(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<FindingParams>,
) -> Result<Json<FindingList>, ApiError> {
    let tenant = caller.filter(params.tenant.as_deref())?;
    let named =
        |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted.is_empty() || wanted == is);
    let findings = api.recent.feed.latest(params.limit.0, |finding| {
        tenant.as_deref().is_none_or(|tenant| *finding.tenant == *tenant)
            && named(&params.session, &finding.session)
            && named(&params.rule, &finding.rule)
    });
    Ok(Json(FindingList { findings }))
}

/// Whose token it is.
#[derive(Serialize, JsonSchema)]
pub(super) struct WhoAmI {
    /// None where no tokens are set up.
    name: Option<Arc<str>>,
    scopes: Vec<Scope>,
    /// The only tenant that it may ask about.
    tenant: Option<Arc<str>>,
    /// No tokens are set up: everybody who reaches this address may do everything.
    open: bool,
}

pub(super) async fn whoami(Extension(caller): Extension<Caller>) -> Json<WhoAmI> {
    let open = caller.name.is_none();
    Json(WhoAmI { scopes: caller.scopes().to_vec(), name: caller.name, tenant: caller.tenant, open })
}
