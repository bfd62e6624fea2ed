//! `POST /v1/events`: one event, a JSON array of events, or one event a line.
//!
//! Answers when the events are durable. What is no event is refused by its position; where its session
//! is known it is kept as evidence all the same, as a record that arrives by Kafka would be.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use crate::event::{Rejected, parse};
use crate::io::ingest::{Ingest, Posted};
use crate::limits::EVENT_BYTES_MAX;

pub(super) async fn events(State(api): State<Arc<Api>>, body: Bytes) -> Result<(StatusCode, Json<Value>), ApiError> {
    if matches!(api.ingest, Ingest::Closed) {
        let message = "this process reads a file or standard input and takes no events by HTTP";
        return Err(ApiError::new(StatusCode::CONFLICT, "other_source", message));
    }
    let (mut posted, mut rejected, mut accepted) = (Vec::new(), Vec::new(), 0);
    for (index, bytes) in split(&body)?.into_iter().enumerate() {
        match parse(bytes) {
            Ok(parsed) => {
                accepted += 1;
                posted.push(Posted { session: parsed.event.session.to_string(), bytes: bytes.to_vec() });
            }
            Err(refused) => {
                let evidence = evidence(&refused, bytes);
                rejected.push(json!({
                    "index": index,
                    "reason": refused.reason.as_str(),
                    "detail": refused.detail,
                    "recorded": evidence.is_some(),
                }));
                posted.extend(evidence);
            }
        }
    }
    if !posted.is_empty() {
        let appended = api.ingest.append(posted).await;
        appended.map_err(|error| {
            ApiError::unavailable("not_durable", format!("the log did not take the events: {error}"))
        })?;
    }
    let status = if accepted > 0 || rejected.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Json(json!({"accepted": accepted, "rejected": rejected}))))
}

fn evidence(refused: &Rejected, bytes: &[u8]) -> Option<Posted> {
    let session = refused.session.clone().filter(|_| bytes.len() <= EVENT_BYTES_MAX)?;
    Some(Posted { session, bytes: bytes.to_vec() })
}

/// The events of a body as they came.
fn split(body: &[u8]) -> Result<Vec<&[u8]>, ApiError> {
    let body = body.trim_ascii();
    if body.is_empty() {
        return Err(ApiError::malformed("expected an event, an array of events, or one event a line; got nothing"));
    }
    if body.starts_with(b"[") {
        let items: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| ApiError::malformed(format!("expected a JSON array of events: {error}")))?;
        return Ok(items.into_iter().map(|item| item.get().as_bytes()).collect());
    }
    // One event may itself be spread over lines.
    if serde_json::from_slice::<&RawValue>(body).is_ok() {
        return Ok(vec![body]);
    }
    Ok(body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect())
}
