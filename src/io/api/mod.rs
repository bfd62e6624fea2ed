//! The control API and the console.
//!
//! `routes` has the table of all routes: who may ask what. `guard` lets nothing through that does not stand there,
//! `access` knows the tokens, `openapi` describes it all from the same table. One file for each kind of route.
//!
//! Answers are JSON; errors are `{"error":{"code","message"}}`, and the message says what was expected.
//! Nothing that names a state of a session is answered before the halts are known: not knowing is 503,
//! never "running" or "allow", unless the settings say so.

mod access;
mod answer;
mod audit;
mod confirmations;
mod console;
mod credentials;
mod error;
mod events;
mod gate;
mod guard;
mod health;
mod hooks;
mod judge;
mod listen;
mod lists;
mod openapi;
mod orders;
mod proposal;
mod request;
mod routes;
mod rules;
mod sessions;
mod settings;
mod streams;
mod tls;
mod webhooks;

#[cfg(test)]
mod decide_tests;
#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod route_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use tokio::sync::watch;

use self::error::ApiError;
use self::judge::Judge;
use super::audit::AuditLog;
use super::confirm::Confirmations;
use super::credentials::Signer;
use super::fleet::Fleet;
use super::halts::HaltView;
use super::ingest::Ingest;
use super::metrics::Metrics;
use super::orders::Orders;
use super::ready::Readiness;
use super::recent::Recent;
use super::rulebook::Rulebook;
use super::webhook::{Desk, Secrets};
use crate::engine::Settings;
use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::time::Millis;

pub use access::{Scope, TokenSettings, new_token, token_hash};
pub use guard::Guard;
pub use listen::{BindError, Bound, HttpSettings, bind, serve};
pub use openapi::{description, description_text};
pub use settings::GateSettings;
pub use tls::TlsSettings;

/// How long the workers may take for what they know of sessions. They answer between two batches; where
/// none runs yet, they do not answer at all.
const WORKERS_WAIT: Duration = Duration::from_secs(1);

/// What the API is made of.
pub struct Parts {
    /// Who is halted.
    pub halts: Arc<HaltView>,
    /// The workers, which know what sessions do.
    pub fleet: Fleet,
    /// Where operators' orders go.
    pub orders: Orders,
    /// Everyone's metrics.
    pub metrics: Arc<Metrics>,
    /// The latest findings.
    pub recent: Arc<Recent>,
    /// Where posted events go.
    pub ingest: Ingest,
    /// What is still missing before the gate may be believed.
    pub ready: Arc<Readiness>,
    /// The rules in force.
    pub rules: Arc<Rulebook>,
    /// What engines are made with.
    pub settings: Settings,
    /// What the gate says where it does not know.
    pub gate: GateSettings,
    /// With which a harness signs answers of its own.
    pub callback_secrets: Option<Secrets>,
    /// Actions that wait for a person.
    pub confirmations: Arc<Confirmations>,
    /// Where orders are noted.
    pub audit: Arc<AuditLog>,
    /// Who signs run credentials.
    pub signer: Signer,
    /// Webhook endpoints.
    pub webhooks: Desk,
    /// True when the process is about to end.
    pub stopping: watch::Receiver<bool>,
    /// When the process started.
    pub started: Millis,
}

/// What the API answers from.
pub struct Api {
    parts: Parts,
    judge: Arc<Judge>,
    /// Tells this start from others in ids of streams.
    started: String,
}

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Api {
    /// An API of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let judge = Arc::new(Judge::new(parts.fleet.clone(), parts.settings));
        Arc::new(Self { judge, started: parts.started.0.to_string(), parts })
    }
}

/// All routes, with all that every request passes.
pub fn router(api: Arc<Api>, guard: Guard) -> Router {
    let guard = Arc::new(guard.counting(api.metrics.clone()));
    Router::new()
        .merge(deciding())
        .merge(looking())
        .merge(managing())
        .merge(open())
        .fallback(unknown_route)
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .layer(from_fn_with_state(api.clone(), error::masked))
        .layer(from_fn_with_state(guard, guard::guard))
        .with_state(api)
}

/// What harnesses ask.
fn deciding() -> Router<Arc<Api>> {
    Router::new()
        .route("/v1/events", post(events::post))
        .route("/v1/gate", post(gate::ask))
        .route("/v1/hooks/claude-code", post(hooks::claude_code))
        .route("/v1/authz", any(hooks::authz))
        .route("/v1/authz/{*path}", any(hooks::authz))
        .route("/v1/confirmations/{id}/callback", post(confirmations::callback))
        .route("/v1/sessions/{session}/tokens", post(credentials::mint))
}

/// What operators look at.
fn looking() -> Router<Arc<Api>> {
    Router::new()
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{session}", get(sessions::one))
        .route("/v1/halts", get(lists::halts))
        .route("/v1/halts/stream", get(streams::halts))
        .route("/v1/findings", get(lists::findings))
        .route("/v1/findings/stream", get(streams::findings))
        .route("/v1/confirmations", get(confirmations::list))
        .route("/v1/rules", get(rules::list))
        .route("/v1/webhooks", get(webhooks::list))
        .route("/v1/webhooks/{name}/deliveries", get(webhooks::deliveries))
        .route("/v1/audit", get(audit::list))
        .route("/v1/whoami", get(lists::whoami))
        .route("/metrics", get(health::metrics))
}

/// What operators order.
fn managing() -> Router<Arc<Api>> {
    Router::new()
        .route("/v1/sessions/{session}/halt", post(orders::halt))
        .route("/v1/sessions/{session}/resume", post(orders::resume))
        .route("/v1/confirmations/{id}", get(confirmations::one).post(confirmations::answer))
        .route("/v1/rules/reload", post(rules::reload))
        .route("/v1/rules/backtest", post(rules::backtest))
        .route("/v1/webhooks/{name}/test", post(webhooks::test))
        .route("/v1/webhooks/{name}/redeliver", post(webhooks::redeliver))
}

/// What everybody may see.
fn open() -> Router<Arc<Api>> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi::json))
        .route("/docs", get(openapi::page))
        .route("/.well-known/jwks.json", get(credentials::keys))
        .route("/", get(console::page))
        .route("/assets/{file}", get(console::asset))
}

async fn unknown_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "unknown_route", "expected a route of this API, such as /v1/sessions")
}

/// An answer of the workers, or what to say when there is none in time.
async fn ask_workers<T>(question: impl Future<Output = T>) -> Result<T, ApiError> {
    let answer = tokio::time::timeout(WORKERS_WAIT, question).await;
    answer.map_err(|_| ApiError::unavailable("workers_busy", "expected an answer of the workers within 1 s"))
}
