//! Every answer that is not the one that was asked for: a status, a code for programs, and a sentence
//! for people that says what was expected.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use crate::engine::Program;
use crate::io::audit::AuditError;
use crate::limits::HTTP_BODY_BYTES_MAX;

/// Seconds after which a caller should try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What stands in an answer that is an error.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct ErrorBody {
    /// For programs.
    code: &'static str,
    /// For people: what was expected and what came.
    message: String,
}

impl ErrorBody {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The whole of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ErrorAnswer {
    error: ErrorBody,
}

/// An error of the control API.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Methods that would do.
    allow: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), allow: None }
    }

    /// The same, with the methods that would do.
    pub(super) fn with_allow(self, allow: String) -> Self {
        Self { allow: Some(allow), ..self }
    }

    /// Nobody that is known asks.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// Somebody asks who may not.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Somebody asks about another tenant than his own.
    pub(super) fn wrong_tenant(own: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "wrong_tenant",
            format!("expected tenant `{own}`, which this token is bound to"),
        )
    }

    /// A request that can't be read at all.
    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A request that can be read, but not be meant.
    pub(super) fn unusable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// Something that may be different in a second.
    pub(super) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// The ledger was not read to its end, so nobody here knows who is halted.
    pub(super) fn not_ready() -> Self {
        Self::unavailable("not_ready", "expected the halts to be known; they are still being read, see /readyz")
    }

    pub(super) fn too_large() -> Self {
        let message = format!("expected a body of at most {HTTP_BODY_BYTES_MAX} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }
}

/// The middleware that masks the secrets in answers that are errors: they quote what was asked, and end up
/// in the logs of whoever asked.
pub(super) async fn masked(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, HTTP_BODY_BYTES_MAX).await.unwrap_or_default();
    let program = api.rules.program();
    let shown = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut json) => {
            mask_texts(&program, &mut json);
            json.to_string()
        }
        Err(_) => program.mask(&String::from_utf8_lossy(&bytes)),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(shown))
}

fn mask_texts(program: &Program, json: &mut Value) {
    match json {
        Value::String(text) => *text = program.mask(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_texts(program, item)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask_texts(program, field)),
        _ => {}
    }
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::TooLarge(_) => Self::unusable("too_large", error.to_string()),
            _ => Self::unavailable("ledger_unavailable", format!("expected the order to be noted: {error}")),
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::too_large();
        }
        Self::bad_request("bad_body", format!("expected a whole body: {}", rejection.body_text()))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(ErrorAnswer { error: ErrorBody::new(self.code, self.message) });
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"haltline\""));
            }
            _ => {}
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}
