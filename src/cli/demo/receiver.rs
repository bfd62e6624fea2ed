//! A receiver of webhooks, as a harness would have one: it checks every signature.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::io::webhook::{Secret, WebhookSettings};

/// A receiver on a free loopback port.
pub(super) struct Receiver {
    address: SocketAddr,
    secret: String,
    verified: Arc<AtomicUsize>,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let secret = format!("whsec_{}", STANDARD.encode(bytes));
        let verified = Arc::new(AtomicUsize::new(0));
        let parsed = Arc::new(secret.parse::<Secret>().map_err(|error| anyhow::anyhow!("{error}"))?);
        let router = Router::new().route("/halts", post(receive)).with_state((parsed, verified.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("the demo's webhook receiver")?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, secret, verified })
    }

    /// How Haltline is told of this receiver.
    pub(super) fn endpoint(&self) -> Result<WebhookSettings> {
        let url = format!("http://{}/halts", self.address);
        let text = format!("name = \"demo\"\nurl = \"{url}\"\nsecret = \"{}\"\n", self.secret);
        toml::from_str(&text).context("the demo's webhook")
    }

    /// Webhooks that came with a good signature.
    pub(super) fn verified(&self) -> usize {
        self.verified.load(Ordering::Relaxed)
    }
}

async fn receive(
    State((secret, verified)): State<(Arc<Secret>, Arc<AtomicUsize>)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let expected = timestamp.parse().ok().map(|timestamp: i64| secret.sign(id, timestamp, &body));
    if expected.as_deref() != Some(header("webhook-signature")) {
        return StatusCode::UNAUTHORIZED;
    }
    verified.fetch_add(1, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}
