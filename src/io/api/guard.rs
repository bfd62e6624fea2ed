//! What every request passes: who asks, the right host, a size, room, a time limit; and what every answer gets:
//! security headers, a count.
//!
//! Only what stands in the table of routes is let through, and only to whom the table says. Where no tokens are set
//! up, the API trusts whoever reaches the loopback address. A browser on the same machine reaches it, too, on behalf
//! of any page that is open in it. Two checks keep such pages out: the `Host` header must name a loopback address (a
//! page whose own name was pointed here by DNS names itself), and what changes something must be of a content type
//! that a foreign page cannot send without asking first. Nothing answers that question: there is no CORS. Where there
//! are tokens no page has one but the console, which keeps it to itself.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::{Caller, Refused, Tokens};
use super::error::ApiError;
use super::listen::HttpSettings;
use super::routes::{self, Access, ROUTES, Route};
use crate::io::clock;
use crate::io::metrics::Metrics;
use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_CONCURRENCY_MAX, HTTP_STREAMS_MAX, HTTP_TIMEOUT};

/// For answers that are no pages: a browser that shows one all the same runs nothing in it.
const NO_CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What the middleware needs.
pub struct Guard {
    metrics: Option<Arc<Metrics>>,
    tokens: Tokens,
    events: Arc<Semaphore>,
    orders: Arc<Semaphore>,
    gate: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    others: Arc<Semaphore>,
    /// How long any request may take, in place of what its route says; for tests.
    pub(super) patience: Option<Duration>,
}

/// Room for one request, given back when the last clone is dropped: work that goes on behind an answer
/// that came too late keeps its room.
#[derive(Clone)]
pub(super) struct Room {
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Guard {
    /// Events and orders wait for the ledger, streams for what happens, so each kind has room of its own: whatever
    /// the others do must not keep the gate from answering.
    ///
    /// # Errors
    /// When the settings of a token are no good; says which and what was expected.
    pub fn new(settings: &HttpSettings) -> Result<Self, String> {
        let tokens = Tokens::new(&settings.tokens)?;
        let room = |share| Arc::new(Semaphore::new(HTTP_CONCURRENCY_MAX / share));
        let streams = Arc::new(Semaphore::new(HTTP_STREAMS_MAX));
        let (events, orders, gate, others) = (room(4), room(4), room(2), room(2));
        Ok(Self { metrics: None, tokens, events, orders, gate, streams, others, patience: None })
    }

    /// The same, counting requests.
    pub(super) fn counting(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    fn room(&self, route: &str) -> Result<Room, ApiError> {
        let (semaphore, what) = match route {
            "/v1/events" => (&self.events, "posts of events"),
            "/v1/gate" | "/v1/hooks/claude-code" | "/v1/authz" | "/v1/authz/{*path}" => (&self.gate, "questions"),
            _ if route.ends_with("/halt") || route.ends_with("/resume") => (&self.orders, "orders"),
            _ if route.ends_with("/stream") => (&self.streams, "streams"),
            _ => (&self.others, "requests"),
        };
        let permit = semaphore.clone().try_acquire_owned();
        let permit = permit.map_err(|_| ApiError::unavailable("busy", format!("expected fewer {what} at once")))?;
        Ok(Room { _permit: Arc::new(permit) })
    }

    /// Who asks, if he may.
    fn caller(&self, route: &Route, headers: &HeaderMap) -> Result<Option<Caller>, ApiError> {
        let (scopes, unbound) = match route.access {
            Access::Open | Access::Signed => return Ok(None),
            Access::Scopes(scopes) => (scopes, false),
            Access::Unbound(scopes) => (scopes, true),
        };
        let caller = self.tokens.caller(bearer(headers), clock::now()).map_err(|refused| match refused {
            Refused::Unknown => {
                ApiError::unauthorized("expected `Authorization: Bearer TOKEN` with a token that is set up here")
            }
            Refused::Expired => ApiError::unauthorized("expected a token that has not expired"),
            Refused::TooOften => {
                let message = "expected fewer requests a second of this token";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
            }
        })?;
        if !caller.may(scopes) {
            let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            return Err(ApiError::forbidden(format!("expected a token with scope `{}`", names.join("` or `"))));
        }
        if unbound && caller.tenant.is_some() {
            return Err(ApiError::forbidden("expected a token that is bound to no tenant: this is about all of them"));
        }
        Ok(Some(caller))
    }
}

/// The token that a request presents; none where it presents several.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The middleware around every route, known or not.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = path.as_deref().and_then(|path| routes::find(request.method().as_str(), path));
    let patience = guard.patience.unwrap_or_else(|| route.map_or(HTTP_TIMEOUT, Route::patience));
    let answered = match admit(&guard, (path.as_deref(), route), &mut request) {
        Ok(()) => tokio::time::timeout(patience, next.run(request)).await.map_err(|_| too_slow(patience.as_secs())),
        Err(refused) => Err(refused),
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    harden(response.headers_mut());
    let status = response.status();
    let labels = [path.as_deref().unwrap_or("none"), status.as_str()];
    if let Some(metrics) = &guard.metrics {
        metrics.http_requests.with_label_values(&labels).inc();
    }
    response
}

fn admit(
    guard: &Guard,
    (path, route): (Option<&str>, Option<&'static Route>),
    request: &mut Request,
) -> Result<(), ApiError> {
    if guard.tokens.is_open() && !is_for_loopback(request.uri(), request.headers()) {
        let message = "expected a Host header that names this machine: localhost, 127.0.0.1 or [::1]";
        return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "bad_host", message));
    }
    let Some(route) = route else {
        // A path of the router without its line in the table is nobody's.
        return path.map_or(Ok(()), |path| Err(wrong_method(request.method(), path)));
    };
    if let Some(caller) = guard.caller(route, request.headers())? {
        request.extensions_mut().insert(caller);
    }
    if route.takes_json() && !is_json(request.headers()) {
        let message = "expected content-type application/json or application/x-ndjson";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_content_type", message));
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > HTTP_BODY_BYTES_MAX) {
        return Err(ApiError::too_large());
    }
    request.extensions_mut().insert(guard.room(route.path)?);
    Ok(())
}

fn wrong_method(method: &Method, path: &str) -> ApiError {
    let allowed = ROUTES.iter().filter(|route| route.path == path);
    let allowed: Vec<&str> =
        allowed.map(|route| if route.method == "GET" { "GET,HEAD" } else { route.method }).collect();
    let message = format!("expected a method of the `allow` header, got {method}");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message).with_allow(allowed.join(","))
}

fn too_slow(seconds: u64) -> ApiError {
    ApiError::unavailable(
        "timeout",
        format!("expected to be done within {seconds} s; what was asked for may still happen"),
    )
}

/// Every name that the request gives to whom it is meant for must be a loopback one.
fn is_for_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = uri.host().is_none_or(is_loopback);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => named && host.to_str().is_ok_and(|host| is_loopback(without_port(host))),
        // HTTP/2 says it in the address only.
        (None, None) => named && uri.host().is_some(),
        _ => false,
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_canonical().is_loopback()),
        None => host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    ["application/json", "application/x-ndjson"].iter().any(|json| essence.eq_ignore_ascii_case(json))
}

fn harden(headers: &mut HeaderMap) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NO_CONTENT_POLICY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_ours() {
        let rows = [
            ("localhost", true),
            ("LocalHost:8088", true),
            ("127.0.0.1:8088", true),
            ("127.9.8.7", true),
            ("[::1]:8088", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("", false),
            (":8088", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8088", false),
            ("127.0.0.1@evil.example", false),
            ("evil.example:8088", false),
            ("0.0.0.0:8088", false),
            ("10.0.0.1", false),
            ("[::]", false),
            ("2130706433", false),
        ];
        for (host, ours) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(is_for_loopback(&Uri::from_static("/"), &headers), ours, "{host}");
            headers.append(header::HOST, HeaderValue::from_static("localhost"));
            assert!(!is_for_loopback(&Uri::from_static("/"), &headers), "two hosts");
        }
        let mut headers = HeaderMap::new();
        assert!(!is_for_loopback(&Uri::from_static("/"), &headers), "no host");
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        assert!(!is_for_loopback(&Uri::from_static("http://evil.example/"), &headers), "another one in the address");
    }

    #[test]
    fn only_json_may_change_something() {
        for (content_type, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/x-ndjson", true),
            ("text/plain", false),
            ("text/plain; application/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            assert!(!is_json(&headers), "none");
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(is_json(&headers), json, "{content_type}");
        }
    }
}
