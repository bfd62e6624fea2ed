//! `/v1/confirmations`: actions that wait for a person, and what persons say.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Api;
use super::access::Caller;
use super::audit::From;
use super::error::ApiError;
use super::orders::checked;
use super::request::{JsonBody, Limit, Params, Shape};
use crate::io::audit::Draft;
use crate::io::clock;
use crate::io::confirm::{self, Confirmation, NotTaken};
use crate::limits::CONFIRM_WAIT_MAX;

/// How old a signed answer may be, and how far ahead, in seconds.
const TOLERANCE_S: i64 = 300;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    tenant: Option<String>,
    #[serde(default)]
    state: Wanted,
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    limit: Limit,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ConfirmationsWanted")]
enum Wanted {
    #[default]
    Pending,
    Answered,
    All,
}

/// The latest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConfirmationList")]
pub(super) struct List {
    confirmations: Vec<Confirmation>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<ListParams>,
) -> Result<Json<List>, ApiError> {
    let tenant = caller.filter(params.tenant.as_deref())?;
    let mut confirmations = api.confirmations.list(clock::now(), |one| {
        let is_pending = one.state == confirm::State::Pending;
        let wanted = match params.state {
            Wanted::Pending => is_pending,
            Wanted::Answered => !is_pending,
            Wanted::All => true,
        };
        wanted && tenant.as_deref().is_none_or(|tenant| *one.tenant == *tenant)
    });
    confirmations.truncate(params.limit.0);
    Ok(Json(List { confirmations }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitParams {
    /// Seconds to wait for an answer, at most 30.
    #[serde(default)]
    wait: u16,
}

pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(WaitParams { wait }): Params<WaitParams>,
) -> Result<Json<Confirmation>, ApiError> {
    visible(&api, &caller, &id)?;
    let wait = Duration::from_secs(wait.into()).min(CONFIRM_WAIT_MAX);
    api.confirmations.wait(&id, wait, clock::now).await.map(Json).ok_or_else(unknown)
}

/// A person's answer.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConfirmationAnswer")]
pub(super) struct Body {
    answer: confirm::Answer,
    /// Who says so.
    by: String,
    /// Why.
    reason: String,
}

impl Shape for Body {
    const EXPECTED: &'static str = r#"{"answer":"approve|deny|dry_run","by":"who says so","reason":"why"}"#;
}

pub(super) async fn answer(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    from: From,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<Confirmation>, ApiError> {
    visible(&api, &caller, &id)?;
    take(&api, &from, id, body).await
}

pub(super) async fn callback(
    State(api): State<Arc<Api>>,
    from: From,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Confirmation>, ApiError> {
    verify(&api, &headers, &body)?;
    let body = JsonBody::<Body>::read(&body)?;
    take(&api, &from, id, body).await
}

async fn take(api: &Arc<Api>, from: &From, id: String, body: Body) -> Result<Json<Confirmation>, ApiError> {
    let program = api.rules.program();
    let by = program.mask(&checked("by", &body.by)?);
    let reason = program.mask(&checked("reason", &body.reason)?);
    let before = api.confirmations.get(&id, clock::now()).ok_or_else(unknown)?;
    let detail =
        serde_json::json!({"confirmation": id, "answer": format!("{:?}", body.answer), "tool": before.action.tool});
    let draft = Draft {
        tenant: Some(before.tenant.to_string()),
        session: Some(before.session.to_string()),
        reason: Some(reason.clone()),
        ..from.draft(&by, "confirm", detail)
    };
    api.audit.record(draft).await?;
    let taken = api.confirmations.answer(&id, (body.answer, by, reason), clock::now()).await;
    taken.map(Json).map_err(|refused| match refused {
        NotTaken::Unknown => unknown(),
        NotTaken::Closed(one) => {
            let message = match one.state {
                confirm::State::Expired => {
                    "expected an answer in time; nobody gave one, so the action is denied".to_owned()
                }
                _ => format!("expected a pending confirmation; {} answered it already", one.by.unwrap_or_default()),
            };
            ApiError::new(StatusCode::CONFLICT, "already_answered", message)
        }
        NotTaken::NotDurable(why) => {
            ApiError::unavailable("ledger_unavailable", format!("expected the answer to become durable: {why}"))
        }
    })
}

/// Another tenant's confirmations are as if there were none.
fn visible(api: &Api, caller: &Caller, id: &str) -> Result<(), ApiError> {
    let one = api.confirmations.get(id, clock::now()).filter(|one| caller.sees(&one.tenant));
    one.map(drop).ok_or_else(unknown)
}

fn unknown() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "unknown_confirmation", "expected the id of a confirmation that is known here")
}

/// Checks the signature of a harness's own answer, after Standard Webhooks 1.0.
fn verify(api: &Api, headers: &HeaderMap, body: &[u8]) -> Result<(), ApiError> {
    let secrets = api.callback_secrets.as_ref().ok_or_else(|| {
        ApiError::unauthorized("expected gate.callback_secrets in the settings; without them nobody can sign an answer")
    })?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (id, at, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let (Some(id), Some(at), Some(signatures)) = (id, at.and_then(|at| at.parse::<i64>().ok()), signatures) else {
        return Err(ApiError::unauthorized("expected headers webhook-id, webhook-timestamp and webhook-signature"));
    };
    if (clock::now().0 / 1_000).abs_diff(at) > TOLERANCE_S.unsigned_abs() {
        return Err(ApiError::unauthorized("expected a webhook-timestamp of the last five minutes"));
    }
    let expected = secrets.sign(id, at, body);
    let fits = |given: &str| expected.split(' ').any(|own| bool::from(own.as_bytes().ct_eq(given.as_bytes())));
    if signatures.split(' ').any(fits) {
        return Ok(());
    }
    Err(ApiError::unauthorized("expected a webhook-signature made with gate.callback_secrets over `id.timestamp.body`"))
}
