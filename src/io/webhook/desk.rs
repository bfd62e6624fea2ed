//! The desk: what the control API asks of webhooks. Lists, delivery logs, tests, and redelivery by hand.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::payload::EventType;
use super::retry::Outcome;
use super::seat::DeliveryRow;
use super::shapes::Test;
use super::target::Kind;
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::io::ledger::Ledger;
use crate::io::metrics::Metrics;

/// Longest id that is looked for.
const ID_BYTES_MAX: usize = 256;

/// All endpoints, as the control API sees them. Copies share everything.
#[derive(Clone)]
pub struct Desk {
    endpoints: Arc<[Endpoint]>,
    ledger: Ledger,
    metrics: Arc<Metrics>,
}

/// One endpoint in a list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EndpointRow {
    /// Its name in the settings.
    pub name: String,
    /// What kind of receiver it is.
    pub kind: Kind,
    /// What it is told of.
    pub events: Vec<EventType>,
    /// Deliveries under way or waiting for their next try.
    pub pending: usize,
    /// Age of the oldest of them in seconds; none where there is none.
    pub oldest_pending_s: Option<f64>,
    /// The delivery that was tried last.
    pub last: Option<DeliveryRow>,
    /// Whether its receiver has answered 410, so that nothing is sent until a restart.
    pub disabled: bool,
}

/// How a test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TestResult {
    /// Whether the receiver has taken it.
    pub delivered: bool,
    /// Status of its answer; none where there was no answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// What went wrong.
    pub error: Option<String>,
}

/// Why the desk cannot do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// No endpoint has this name.
    #[error("expected the name of a webhook, got `{0}`")]
    UnknownEndpoint(String),
    /// No halt record has this id, as far as the ledger reaches back.
    #[error("expected the id of a halt or release that the ledger still holds, got `{0}`")]
    UnknownRecord(String),
    /// The endpoint's filters leave this record out, so its receiver must not see it.
    #[error("webhook `{0}` leaves out this record by its filters")]
    NotWanted(String),
    /// The receiver has answered 410.
    #[error("webhook `{0}` was answered 410 Gone; nothing is sent to it until a restart")]
    Disabled(String),
    /// Too many redeliveries wait, or the program is about to end.
    #[error("webhook `{0}` has too many redeliveries waiting; try again later")]
    Busy(String),
    /// The ledger cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl Desk {
    /// A desk for endpoints that are about to run: make it before they are given to [`super::run`].
    #[must_use]
    pub fn new(endpoints: &[Endpoint], ledger: Ledger, metrics: Arc<Metrics>) -> Self {
        Self { endpoints: endpoints.into(), ledger, metrics }
    }

    /// Every endpoint, in the order of the settings.
    #[must_use]
    pub fn list(&self) -> Vec<EndpointRow> {
        self.endpoints.iter().map(row).collect()
    }

    /// The latest deliveries of one endpoint since the start, the one that was tried last first.
    ///
    /// # Errors
    /// When there is no such endpoint.
    pub fn deliveries(&self, name: &str, limit: usize) -> Result<Vec<DeliveryRow>, DeskError> {
        Ok(self.endpoint(name)?.seat.rows(limit))
    }

    /// Sends `endpoint.test` once, past the queue and the filters. A test is in no log of halts.
    ///
    /// # Errors
    /// When there is no such endpoint. That the receiver did not take it is no error here.
    pub async fn test(&self, name: &str) -> Result<TestResult, DeskError> {
        let endpoint = self.endpoint(name)?;
        let id = test_id();
        let begun = Instant::now();
        let answer = endpoint.test(&Test { id: &id, endpoint: name, at: clock::now() }).await;
        let (delivered, error) = match answer.outcome {
            Outcome::Delivered => (true, None),
            // The harness answers, and does not know the session of the test: as it should be.
            Outcome::NotThere => (true, None),
            Outcome::Gone => (false, Some("answered 410, which means never again".to_owned())),
            Outcome::Failed { why, .. } | Outcome::Hopeless(why) => (false, Some(why)),
        };
        let outcome = if delivered { "tested" } else { "test_failed" };
        self.metrics.webhook_deliveries.with_label_values(&[name, outcome]).inc();
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(TestResult { delivered, status: answer.status, duration_ms, error })
    }

    /// Queues a halt or release again, under the same `webhook-id`. One that is under way is tried at once;
    /// one that a later record makes void for the receiver is not sent, and its log says so.
    ///
    /// # Errors
    /// See [`DeskError`].
    pub async fn redeliver(&self, name: &str, id: &str) -> Result<(), DeskError> {
        let endpoint = self.endpoint(name)?;
        if endpoint.seat.is_disabled() {
            return Err(DeskError::Disabled(name.to_owned()));
        }
        let record = match endpoint.seat.record(id) {
            Some(record) => record,
            None => self.in_ledger(id).await?,
        };
        if !endpoint.wants(&record) {
            return Err(DeskError::NotWanted(name.to_owned()));
        }
        if endpoint.seat.queue(record) { Ok(()) } else { Err(DeskError::Busy(name.to_owned())) }
    }

    fn endpoint(&self, name: &str) -> Result<&Endpoint, DeskError> {
        let found = self.endpoints.iter().find(|endpoint| endpoint.name() == name);
        found.ok_or_else(|| DeskError::UnknownEndpoint(name.chars().take(ID_BYTES_MAX).collect()))
    }

    async fn in_ledger(&self, id: &str) -> Result<HaltRecord, DeskError> {
        let unknown = || DeskError::UnknownRecord(id.chars().take(ID_BYTES_MAX).collect());
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(unknown());
        }
        let found = self.ledger.halt_event(id).await.map_err(DeskError::Unreadable)?;
        found.ok_or_else(unknown)
    }
}

fn row(endpoint: &Endpoint) -> EndpointRow {
    let (pending, oldest) = endpoint.seat.pending();
    EndpointRow {
        name: endpoint.name().to_owned(),
        kind: endpoint.kind(),
        events: endpoint.events().to_vec(),
        pending,
        oldest_pending_s: oldest.map(|at| clock::seconds_since(at).max(0.0)),
        last: endpoint.seat.rows(1).pop(),
        disabled: endpoint.seat.is_disabled(),
    }
}

/// Random, so that no receiver takes a test for a repeat of another.
fn test_id() -> String {
    let random = [getrandom::u64().unwrap_or_default(), getrandom::u64().unwrap_or_default()];
    format!("t_{:016x}{:016x}", random[0], random[1])
}
