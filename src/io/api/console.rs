//! `GET /`: the console, one static page that asks this API.
//!
//! What it shows was written by attackers. So the page holds no data when it is sent, its scripts put
//! everything in as text, and its policy lets nothing run, load or be sent that is not from here.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

const PAGE: &str = include_str!("console/page.html");

/// What the page is made of.
const ASSETS: &[(&str, &str)] = &[
    ("account.js", include_str!("console/account.js")),
    ("api.js", include_str!("console/api.js")),
    ("app.css", include_str!("console/app.css")),
    ("app.js", include_str!("console/app.js")),
    ("charts.js", include_str!("console/charts.js")),
    ("confirmations.js", include_str!("console/confirmations.js")),
    ("dialogs.js", include_str!("console/dialogs.js")),
    ("docs.css", include_str!("docs/docs.css")),
    ("docs.js", include_str!("docs/docs.js")),
    ("dom.js", include_str!("console/dom.js")),
    ("findings.js", include_str!("console/findings.js")),
    ("keys.js", include_str!("console/keys.js")),
    ("live.js", include_str!("console/live.js")),
    ("metrics.js", include_str!("console/metrics.js")),
    ("route.js", include_str!("console/route.js")),
    ("session.js", include_str!("console/session.js")),
    ("sessions.js", include_str!("console/sessions.js")),
    ("tables.js", include_str!("console/tables.js")),
    ("text.js", include_str!("console/text.js")),
    ("theme.js", include_str!("console/theme.js")),
    ("views.css", include_str!("console/views.css")),
];

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);

pub(super) async fn page() -> Response {
    answer("text/html; charset=utf-8", PAGE)
}

pub(super) async fn asset(Path(file): Path<String>) -> Response {
    let found = ASSETS.iter().find(|(name, _)| *name == file);
    let Some((name, text)) = found else {
        let message = "expected one of the files that the console is made of";
        return ApiError::new(StatusCode::NOT_FOUND, "unknown_asset", message).into_response();
    };
    let kind = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    answer(kind, text)
}

/// A page under the policy of the console.
pub(super) fn answer(content_type: &'static str, text: &'static str) -> Response {
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static(content_type)), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, text).into_response()
}
