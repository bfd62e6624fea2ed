//! `/v1/webhooks`: how endpoints are, what they were sent, a test, and redelivery by hand.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Api;
use super::audit::From;
use super::error::ApiError;
use super::request::{JsonBody, Limit, Params, Shape};
use crate::io::webhook::{DeliveryRow, DeskError, EndpointRow, TestResult};

/// In the order of the settings.
#[derive(Serialize, JsonSchema)]
pub(super) struct WebhookList {
    webhooks: Vec<EndpointRow>,
}

pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<WebhookList> {
    Json(WebhookList { webhooks: api.webhooks.list() })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryParams {
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    limit: Limit,
}

/// The one that was tried last first.
#[derive(Serialize, JsonSchema)]
pub(super) struct DeliveryList {
    deliveries: Vec<DeliveryRow>,
}

pub(super) async fn deliveries(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Params(params): Params<DeliveryParams>,
) -> Result<Json<DeliveryList>, ApiError> {
    let deliveries = api.webhooks.deliveries(&name, params.limit.0).map_err(refused)?;
    Ok(Json(DeliveryList { deliveries }))
}

/// Nothing is asked for.
#[derive(Deserialize, JsonSchema)]
pub(super) struct TestBody {}

impl Shape for TestBody {
    const EXPECTED: &'static str = "{}";
}

pub(super) async fn test(
    State(api): State<Arc<Api>>,
    from: From,
    Path(name): Path<String>,
    JsonBody(TestBody {}): JsonBody<TestBody>,
) -> Result<Json<TestResult>, ApiError> {
    // Nothing is noted of an endpoint that is not there.
    api.webhooks.deliveries(&name, 0).map_err(refused)?;
    api.audit.record(from.draft_of_token("webhook.test", json!({"webhook": name}))).await?;
    api.webhooks.test(&name).await.map(Json).map_err(refused)
}

/// What to send again.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RedeliverBody {
    /// Id of a halt or release, which is also its `webhook-id`.
    id: String,
}

impl Shape for RedeliverBody {
    const EXPECTED: &'static str = r#"{"id":"h_…"}"#;
}

/// It is on its way.
#[derive(Serialize, JsonSchema)]
pub(super) struct Queued {
    queued: bool,
}

pub(super) async fn redeliver(
    State(api): State<Arc<Api>>,
    from: From,
    Path(name): Path<String>,
    JsonBody(RedeliverBody { id }): JsonBody<RedeliverBody>,
) -> Result<(StatusCode, Json<Queued>), ApiError> {
    api.webhooks.deliveries(&name, 0).map_err(refused)?;
    let shown: String = api.rules.program().mask(&id).chars().take(64).collect();
    api.audit.record(from.draft_of_token("webhook.redeliver", json!({"webhook": name, "id": shown}))).await?;
    api.webhooks.redeliver(&name, &id).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(Queued { queued: true })))
}

fn refused(error: DeskError) -> ApiError {
    let (status, code) = match &error {
        DeskError::UnknownEndpoint(_) => (StatusCode::NOT_FOUND, "unknown_webhook"),
        DeskError::UnknownRecord(_) => (StatusCode::NOT_FOUND, "unknown_record"),
        DeskError::NotWanted(_) => (StatusCode::CONFLICT, "not_wanted"),
        DeskError::Disabled(_) => (StatusCode::CONFLICT, "disabled"),
        DeskError::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        DeskError::Unreadable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable"),
    };
    ApiError::new(status, code, error.to_string())
}
