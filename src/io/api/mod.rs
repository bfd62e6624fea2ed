//! The control API: may a session go on, who is halted and why, orders, events, health, console.
//!
//! It has no tokens yet, so it listens on loopback only and answers only to loopback names; `guard`
//! holds what every route shares. Answers are JSON, and every error says what was expected.

mod console;
mod error;
mod events;
mod gate;
mod guard;
mod health;
mod sessions;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::fleet::Fleet;
use super::halts::HaltView;
use super::ingest::Ingest;
use super::metrics::Metrics;
use super::orders::Orders;
use super::ready::Readiness;
use super::recent::Recent;
use crate::engine::Program;

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Address and port; loopback only. Port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8088)) }
    }
}

/// What the routes work on.
pub struct Api {
    /// Who is halted.
    pub halts: Arc<HaltView>,
    /// The workers that know the sessions.
    pub fleet: Fleet,
    /// Takes operators' orders.
    pub orders: Orders,
    /// Everyone's metrics.
    pub metrics: Arc<Metrics>,
    /// The latest findings.
    pub recent: Arc<Recent>,
    /// Where posted events go.
    pub ingest: Ingest,
    /// What is missing before the gate may be believed.
    pub ready: Arc<Readiness>,
    /// The rules in force.
    pub program: watch::Receiver<Arc<Program>>,
}

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not a loopback address.
    #[error(
        "http.listen is {0}, but the API has no tokens yet and listens on loopback only: expected 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// Somebody else has the port.
    #[error("cannot listen on {0}: the port is in use; stop the other process or set http.listen to another address")]
    InUse(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, std::io::Error),
}

/// Takes the address.
///
/// # Errors
/// When it is not to be had, or not loopback; says what to do.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, BindError> {
    if !listen.ip().is_loopback() {
        return Err(BindError::NotLoopback(listen));
    }
    TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => BindError::InUse(listen),
        _ => BindError::Other(listen, error),
    })
}

/// All routes behind the guard.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/gate", post(gate::gate))
        .route("/v1/events", post(events::events))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", get(sessions::one))
        .route("/v1/sessions/{id}/halt", post(sessions::halt))
        .route("/v1/sessions/{id}/resume", post(sessions::resume))
        .route("/v1/halts", get(sessions::halts))
        .route("/v1/findings", get(sessions::findings))
        .route("/v1/rules", get(health::rules))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/", get(console::page))
        .route("/assets/console.js", get(console::script))
        .route("/assets/console.css", get(console::style))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(axum::middleware::from_fn_with_state(guard::Guard::new(api.clone()), guard::guard))
        .with_state(api)
}

/// Answers until `shutdown`, then finishes what is under way.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
