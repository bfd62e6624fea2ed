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
use serde_json::{Value, json};

use super::Api;
use crate::engine::Program;
use crate::limits::HTTP_BODY_BYTES_MAX;

/// Seconds after which a caller should try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error of the control API.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
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
    let program = api.program.borrow().clone();
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
        let body = Json(json!({"error": {"code": self.code, "message": self.message}}));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
