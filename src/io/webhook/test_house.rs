//! What the tests of running endpoints share: real receivers on loopback and a real ledger file. Waits are
//! on what happens, never on time, and the schedules are tiny.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use standardwebhooks::Webhook;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::pace::Pace;
use super::retry::Schedule;
use super::*;
use crate::halt::{HaltRecord, HaltState, Order};
use crate::io::clock;
use crate::io::halts::HaltView;
use crate::io::ledger::{Entry, Ledger, Stream};
use crate::io::local::{LocalLedger, LocalOutbox};
use crate::io::metrics::Metrics;
use crate::io::orders::entry;
use crate::io::outbox::Outbox;

pub(super) const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
/// A test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("happens soon")
}

/// Waits until something holds that nothing tells of.
pub(super) async fn until(holds: impl Fn() -> bool) {
    soon(async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// One request as the receiver saw it.
pub(super) struct Seen {
    /// Empty where the body is not that of Standard Webhooks.
    pub(super) session: String,
    pub(super) method: String,
    /// With the query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: serde_json::Value,
    pub(super) at: Instant,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }
}

/// An answer: status, and a header.
pub(super) type Answer = (u16, Option<(&'static str, &'static str)>);

/// A receiver that checks every signature with the published verifier, then answers as it is told.
#[derive(Clone)]
pub(super) struct Receiver {
    /// Whether it refuses what is not signed.
    is_strict: bool,
    seen: mpsc::UnboundedSender<Seen>,
    /// Next answers by session, the last one for ever; 204 where there are none.
    answers: Arc<Mutex<HashMap<String, Vec<Answer>>>>,
}

impl Receiver {
    pub(super) async fn start() -> (Self, String, mpsc::UnboundedReceiver<Seen>) {
        Self::start_with(true).await
    }

    /// One that takes what is not signed, too.
    pub(super) async fn lenient() -> (Self, String, mpsc::UnboundedReceiver<Seen>) {
        Self::start_with(false).await
    }

    async fn start_with(is_strict: bool) -> (Self, String, mpsc::UnboundedReceiver<Seen>) {
        let (seen, arrivals) = mpsc::unbounded_channel();
        let receiver = Self { is_strict, seen, answers: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/halts", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url, arrivals)
    }

    pub(super) fn answer(&self, session: &str, answers: &[Answer]) {
        self.answers.lock().expect("not poisoned").insert(session.to_owned(), answers.to_vec());
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_checked = receiver.is_strict || headers.contains_key("webhook-signature");
    if is_checked && Webhook::new(SECRET).expect("a secret").verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let session = body["data"]["session"].as_str().unwrap_or_default().to_owned();
    let mut answers = receiver.answers.lock().expect("not poisoned");
    let (status, header) = match answers.get_mut(&session) {
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0],
        None => (204, None),
    };
    let (method, path) = (method.to_string(), uri.path_and_query().expect("a path").to_string());
    let seen = Seen { session, method, path, headers, body, at: Instant::now() };
    let _ = receiver.seen.send(seen);
    let status = StatusCode::from_u16(status).expect("a status");
    header.map_or_else(|| status.into_response(), |header| (status, [header]).into_response())
}

/// A ledger file and what the endpoints need.
pub(super) struct House {
    pub(super) ledger: Arc<LocalLedger>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) halts: Arc<HaltView>,
    _dir: TempDir,
}

/// A running endpoint.
pub(super) struct Task {
    pub(super) task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    pub(super) told: mpsc::UnboundedReceiver<Delivered>,
    pub(super) audit: mpsc::UnboundedReceiver<ControlOutcome>,
}

impl Task {
    pub(super) async fn stop(self, house: &House) {
        self.stop.send_replace(true);
        soon(self.task).await.expect("ends");
        house.ledger.flush().await;
    }

    pub(super) async fn delivered(&mut self) -> Delivered {
        soon(self.told.recv()).await.expect("running")
    }

    pub(super) async fn audited(&mut self) -> ControlOutcome {
        soon(self.audit.recv()).await.expect("running")
    }
}

/// An endpoint called `hook`, or as `more` says, with this schedule and no pace.
pub(super) fn endpoint(name: &str, url: &str, more: &str, schedule: Schedule) -> Endpoint {
    let secret = if more.contains("kind =") { String::new() } else { format!("secret = '{SECRET}'") };
    let text = format!("name = '{name}'\nurl = '{url}'\n{secret}\n{more}");
    let mut endpoint = endpoints(&[toml::from_str(&text).expect("settings")]).expect("good").remove(0);
    endpoint.timing.schedule = schedule;
    endpoint.timing.pace = Pace::new(Duration::ZERO, false);
    endpoint
}

impl House {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = LocalLedger::open(&dir.path().join("l.redb")).expect("opens");
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        Self { ledger, metrics, halts: Arc::default(), _dir: dir }
    }

    pub(super) fn start(&self, url: &str, more: &str, schedule: Schedule) -> Task {
        self.start_named("hook", url, more, schedule)
    }

    pub(super) fn start_named(&self, name: &str, url: &str, more: &str, schedule: Schedule) -> Task {
        self.run(endpoint(name, url, more, schedule))
    }

    pub(super) fn run(&self, endpoint: Endpoint) -> Task {
        let outbox = Outbox::Local(LocalOutbox::open(self.ledger.clone(), endpoint.name()).expect("opens"));
        let (stop, stopping) = watch::channel(false);
        let ((tell, told), (keep, audit)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let deps = Deps {
            metrics: self.metrics.clone(),
            ledger: Ledger::Local(self.ledger.clone()),
            told: Some(tell),
            audit: Some(keep),
            halts: Some(self.halts.clone()),
        };
        Task { task: tokio::spawn(run(endpoint, outbox, deps, stopping)), stop, told, audit }
    }

    pub(super) async fn write(&self, records: &[HaltRecord]) {
        let entries: Vec<Entry> = records.iter().map(|r| entry(r, Stream::HaltEvents).expect("JSON")).collect();
        Ledger::Local(self.ledger.clone()).write_and_wait(entries.into()).await.expect("written");
    }

    /// Halts of these sessions, now.
    pub(super) async fn halt(&self, sessions: &[&str]) {
        let records: Vec<_> = sessions.iter().map(|session| halted(session)).collect();
        self.write(&records).await;
    }

    pub(super) fn count(&self, outcome: &str) -> u64 {
        self.metrics.webhook_deliveries.with_label_values(&["hook", outcome]).get()
    }

    /// The one dead letter: headers and record.
    pub(super) fn dead_letter(&self) -> (serde_json::Value, HaltRecord) {
        let mut letters = self.ledger.dead_letters().expect("reads");
        assert_eq!(letters.len(), 1);
        let (headers, bytes) = letters.remove(0);
        (serde_json::from_str(&headers).expect("JSON"), serde_json::from_slice(&bytes).expect("a record"))
    }
}

pub(super) fn order(session: &str, state: HaltState) -> Order {
    Order {
        tenant: "acme".into(),
        session: session.into(),
        state,
        by: "ana".into(),
        reason: "test".into(),
        at: clock::now(),
        seen_through: None,
    }
}

pub(super) fn halted(session: &str) -> HaltRecord {
    let record = HaltRecord::from_order(&order(session, HaltState::Halted), None).expect("was running");
    HaltRecord { written: Some(clock::now()), ..record }
}

/// The release of this halt, now.
pub(super) fn released(halt: &HaltRecord) -> HaltRecord {
    let order = order(&halt.session, HaltState::Running);
    let record = HaltRecord::from_order(&order, Some(halt)).expect("was halted");
    HaltRecord { written: Some(clock::now()), ..record }
}

/// The same wait after every failure.
pub(super) fn every(wait_ms: u64) -> Schedule {
    Schedule { first_ms: Cow::Borrowed(&[]), later: Duration::from_millis(wait_ms) }
}

/// A first wait that outlives any record, so that the first failure is the last.
pub(super) fn never_again() -> Schedule {
    every(30 * 86_400_000)
}

pub(super) const FAILS: Answer = (500, None);
pub(super) const TAKES: Answer = (204, None);
