//! What every route shares: bounds on size, time and number of requests, names that it answers to,
//! content types, security headers, counts.
//!
//! Without tokens, two things keep a web page in some browser on this machine from giving orders: the
//! Host header must be a loopback name (a page that rebinds its own name to 127.0.0.1 sends its own),
//! and a post must be JSON (which a page of another origin cannot send unasked).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::Api;
use super::error::ApiError;
use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_CONCURRENCY_MAX, HTTP_TIMEOUT};

const CONTENT_TYPES: [&str; 3] = ["application/json", "application/x-ndjson", "application/ndjson"];
/// Everything from here, nothing from elsewhere, no markup from strings.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// State of the guard.
#[derive(Clone)]
pub(super) struct Guard {
    api: Arc<Api>,
    slots: Arc<Semaphore>,
}

impl Guard {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self { api, slots: Arc::new(Semaphore::new(HTTP_CONCURRENCY_MAX)) }
    }
}

/// Lets a request through, or says why not; counts it either way.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = match pass(&guard, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    secure(response.headers_mut());
    let status = response.status();
    guard.api.metrics.http_requests.with_label_values(&[route.as_str(), status.as_str()]).inc();
    response
}

async fn pass(guard: &Guard, request: Request, next: Next) -> Result<Response, ApiError> {
    check_host(request.headers(), request.uri().host())?;
    check_content_type(&request)?;
    let Ok(_slot) = guard.slots.try_acquire() else {
        return Err(ApiError::unavailable("busy", "too many requests at once"));
    };
    let work = async {
        let request = with_whole_body(request).await?;
        Ok(next.run(request).await)
    };
    match tokio::time::timeout(HTTP_TIMEOUT, work).await {
        Ok(answer) => answer,
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            format!("expected the request to be done within {} s", HTTP_TIMEOUT.as_secs()),
        )),
    }
}

/// Reads the body up to the bound, so that a slow or endless one ends here.
async fn with_whole_body(request: Request) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, HTTP_BODY_BYTES_MAX).await.map_err(|_| {
        let message = format!("expected a body of at most {HTTP_BODY_BYTES_MAX} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    })?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn check_host(headers: &HeaderMap, of_uri: Option<&str>) -> Result<(), ApiError> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(of_uri).unwrap_or_default();
    if is_loopback(host) {
        return Ok(());
    }
    let message = format!("expected a loopback name such as localhost in the Host header, got `{host}`");
    Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn check_content_type(request: &Request) -> Result<(), ApiError> {
    if request.method() != Method::POST {
        return Ok(());
    }
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if CONTENT_TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        return Ok(());
    }
    let message = format!("expected content-type {}, got `{given}`", CONTENT_TYPES.join(" or "));
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message))
}

fn secure(headers: &mut HeaderMap) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_answered_to() {
        for host in ["localhost", "LOCALHOST:8088", "127.0.0.1", "127.0.0.1:1", "127.9.9.9", "[::1]:8088", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8088",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]:1",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
