//! `POST /v1/sessions/{id}/halt` and `/resume`: an operator's orders.
//!
//! An order is answered when it is durable. Asking again for what already holds changes nothing and
//! says so. An order once taken is carried out to its end, also when its caller has gone: half of one,
//! told to the webhooks and missing in the view, would be worse than none.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::Caller;
use super::answer::{HaltBody, State as SessionState};
use super::audit::From;
use super::error::ApiError;
use super::guard::Room;
use super::request::{JsonBody, Names, Shape};
use super::{Api, ask_workers};
use crate::halt::{HaltRecord, HaltState, Order};
use crate::io::audit::Draft;
use crate::io::clock;
use crate::limits::REASON_CHARS_MAX;

/// What stands in the record of a halt that a rule asked for; no operator is called that.
const BY_RULE: &str = "rule";

/// Who asks, and why.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Order")]
pub(super) struct Body {
    /// Who asks.
    pub(super) by: String,
    /// Why.
    pub(super) reason: String,
}

impl Shape for Body {
    const EXPECTED: &'static str = r#"{"by":"who asks","reason":"why"}"#;
}

/// What holds after an order.
#[derive(Serialize, JsonSchema)]
pub(super) struct OrderAnswer {
    /// False where it held already.
    changed: bool,
    tenant: Arc<str>,
    session: Arc<str>,
    state: SessionState,
    epoch: u64,
    halt: Option<HaltBody>,
    record: Option<HaltRecord>,
}

pub(super) async fn halt(
    State(api): State<Arc<Api>>,
    (Extension(caller), Extension(room)): (Extension<Caller>, Extension<Room>),
    (from, names): (From, Names),
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<OrderAnswer>, ApiError> {
    give(api, (names.of(&caller)?, HaltState::Halted), (from, room), body).await
}

pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    (Extension(caller), Extension(room)): (Extension<Caller>, Extension<Room>),
    (from, names): (From, Names),
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<OrderAnswer>, ApiError> {
    give(api, (names.of(&caller)?, HaltState::Running), (from, room), body).await
}

async fn give(
    api: Arc<Api>,
    (Names { tenant, session, .. }, state): (Names, HaltState),
    (from, room): (From, Room),
    body: Body,
) -> Result<Json<OrderAnswer>, ApiError> {
    let program = api.rules.program();
    let by = program.mask(&checked("by", &body.by)?);
    let reason = program.mask(&checked("reason", &body.reason)?);
    if by.eq_ignore_ascii_case(BY_RULE) {
        return Err(ApiError::unusable("bad_by", "by: expected who asks; `rule` stands for halts by rules"));
    }
    // An order on top of a record that is not known yet would repeat its epoch and be lost.
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    // A release voids everything that was seen up to here, so it needs the owner's word on how far that is.
    let seen_through = match state {
        HaltState::Halted => None,
        HaltState::Running => ask_workers(api.fleet.session(&tenant, &session)).await?.map(|view| view.last_origin),
    };
    let action = if state == HaltState::Halted { "halt" } else { "resume" };
    let draft = Draft {
        tenant: Some(tenant.to_string()),
        session: Some(session.to_string()),
        reason: Some(reason.clone()),
        ..from.draft(&by, action, Value::Null)
    };
    let order =
        Order { tenant: tenant.clone(), session: session.clone(), state, by, reason, at: clock::now(), seen_through };
    let given = tokio::spawn(async move {
        let _room = room;
        api.audit.record(draft).await?;
        api.orders.give(&order).await.map_err(|why| {
            ApiError::unavailable("ledger_unavailable", format!("expected the order to become durable: {why}"))
        })
    });
    let given = given.await.unwrap_or_else(|error| {
        Err(ApiError::unavailable("ledger_unavailable", format!("expected the order to be carried out: {error}")))
    });
    let (record, changed) = given?;
    Ok(Json(OrderAnswer {
        changed,
        tenant,
        session,
        state: SessionState::of(record.as_ref(), true),
        epoch: record.as_ref().map_or(0, |record| record.epoch),
        halt: HaltBody::in_force(record.as_ref()),
        record,
    }))
}

/// A text of a person: some words, and not too many.
pub(super) fn checked(field: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let expected = |what: &str| ApiError::unusable("bad_order", format!("{field}: expected {what}"));
    if text.is_empty() {
        return Err(expected("some words, got none"));
    }
    if text.chars().nth(REASON_CHARS_MAX).is_some() {
        return Err(expected(&format!("at most {REASON_CHARS_MAX} characters")));
    }
    Ok(text.to_owned())
}
