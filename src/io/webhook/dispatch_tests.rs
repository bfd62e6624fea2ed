//! Endpoints against real receivers on loopback, with a real ledger file. Waits are on what happens,
//! never on time, and the schedules are tiny.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use standardwebhooks::Webhook;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::retry::Schedule;
use super::*;
use crate::halt::{HaltRecord, HaltState, Order};
use crate::io::clock;
use crate::io::ledger::{Entry, Ledger, Stream};
use crate::io::local::{LocalLedger, LocalOutbox};
use crate::io::metrics::Metrics;
use crate::io::orders::entry;
use crate::io::outbox::Outbox;
use crate::limits::WEBHOOK_IN_FLIGHT;
use crate::time::Span;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
/// A test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(30);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("happens soon")
}

/// One request as the receiver saw it.
struct Seen {
    session: String,
    path: String,
    headers: HeaderMap,
    at: Instant,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }
}

/// An answer: status, and a header.
type Answer = (u16, Option<(&'static str, &'static str)>);

/// A receiver that checks every signature with the published verifier, then answers as it is told.
#[derive(Clone)]
struct Receiver {
    seen: mpsc::UnboundedSender<Seen>,
    /// Next answers by session, the last one for ever; 204 where there are none.
    answers: Arc<Mutex<HashMap<String, Vec<Answer>>>>,
}

impl Receiver {
    async fn start() -> (Self, String, mpsc::UnboundedReceiver<Seen>) {
        let (seen, arrivals) = mpsc::unbounded_channel();
        let receiver = Self { seen, answers: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/halts", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url, arrivals)
    }

    fn answer(&self, session: &str, answers: &[Answer]) {
        self.answers.lock().expect("not poisoned").insert(session.to_owned(), answers.to_vec());
    }
}

async fn receive(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if Webhook::new(SECRET).expect("a secret").verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let session = body["data"]["session"].as_str().expect("a session").to_owned();
    let mut answers = receiver.answers.lock().expect("not poisoned");
    let (status, header) = match answers.get_mut(&session) {
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0],
        None => (204, None),
    };
    let seen = Seen { session, path: uri.path().to_owned(), headers, at: Instant::now() };
    let _ = receiver.seen.send(seen);
    let status = StatusCode::from_u16(status).expect("a status");
    header.map_or_else(|| status.into_response(), |header| (status, [header]).into_response())
}

/// A ledger file and what the endpoints need.
struct House {
    ledger: Arc<LocalLedger>,
    metrics: Arc<Metrics>,
    _dir: TempDir,
}

/// A running endpoint.
struct Task {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
    told: mpsc::UnboundedReceiver<Delivered>,
}

impl Task {
    async fn stop(self, house: &House) {
        self.stop.send_replace(true);
        soon(self.task).await.expect("ends");
        house.ledger.flush().await;
    }

    async fn delivered(&mut self) -> Delivered {
        soon(self.told.recv()).await.expect("running")
    }
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = LocalLedger::open(&dir.path().join("l.redb")).expect("opens");
        Self { ledger, metrics: Arc::new(Metrics::new().expect("metrics")), _dir: dir }
    }

    fn start(&self, url: &str, more: &str, schedule: Schedule) -> Task {
        self.start_named("hook", url, more, schedule)
    }

    fn start_named(&self, name: &str, url: &str, more: &str, schedule: Schedule) -> Task {
        let text = format!("name = '{name}'\nurl = '{url}'\nsecret = '{SECRET}'\n{more}");
        let mut endpoint = endpoints(&[toml::from_str(&text).expect("settings")]).expect("good").remove(0);
        endpoint.schedule = schedule;
        let outbox = Outbox::Local(LocalOutbox::open(self.ledger.clone(), name).expect("opens"));
        let (stop, stopping) = watch::channel(false);
        let (tell, told) = mpsc::unbounded_channel();
        let ledger = Ledger::Local(self.ledger.clone());
        let deps = Deps { metrics: self.metrics.clone(), ledger, told: Some(tell) };
        Task { task: tokio::spawn(run(endpoint, outbox, deps, stopping)), stop, told }
    }

    async fn write(&self, records: &[HaltRecord]) {
        let entries: Vec<Entry> = records.iter().map(|r| entry(r, Stream::HaltEvents).expect("JSON")).collect();
        Ledger::Local(self.ledger.clone()).write_and_wait(entries.into()).await.expect("written");
    }

    /// Halts of these sessions, now.
    async fn halt(&self, sessions: &[&str]) {
        let records: Vec<_> = sessions.iter().map(|session| halted(session)).collect();
        self.write(&records).await;
    }

    fn count(&self, outcome: &str) -> u64 {
        self.metrics.webhook_deliveries.with_label_values(&["hook", outcome]).get()
    }
}

fn order(session: &str, state: HaltState) -> Order {
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

fn halted(session: &str) -> HaltRecord {
    let record = HaltRecord::from_order(&order(session, HaltState::Halted), None).expect("was running");
    HaltRecord { written: Some(clock::now()), ..record }
}

/// The same wait after every failure.
fn every(wait_ms: u64) -> Schedule {
    Schedule { first_ms: Cow::Borrowed(&[]), later: Duration::from_millis(wait_ms) }
}

/// A first wait that outlives any record, so that the first failure is the last.
fn never_again() -> Schedule {
    every(30 * 86_400_000)
}

const FAILS: Answer = (500, None);
const TAKES: Answer = (204, None);

#[tokio::test]
async fn a_halt_is_delivered_once_signed_and_not_again_after_a_restart() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    let mut task = house.start(&url, "", every(1));
    let mut record = halted("a");
    // The event is from an old log; its halt is news all the same.
    record.at = record.at - Span::seconds(30 * 86_400);
    house.write(std::slice::from_ref(&record)).await;
    let seen = soon(arrivals.recv()).await.expect("arrives");
    assert_eq!((&*seen.session, &*seen.path, seen.header("webhook-id")), ("a", "/halts", &*record.id));
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("user-agent"), format!("haltline/{}", env!("CARGO_PKG_VERSION")));
    let delivered = task.delivered().await;
    assert_eq!((&*delivered.endpoint, &delivered.record, delivered.attempts), ("hook", &record, 1));
    assert!(delivered.seconds > 0.0);
    task.stop(&house).await;
    assert_eq!((house.count("delivered"), house.metrics.webhooks_pending()), (1, 0));
    // The same record twice more in the outbox, then another: only that one arrives.
    let mut task = house.start(&url, "", every(1));
    let other = halted("b");
    house.write(&[other.clone(), other.clone(), other]).await;
    house.halt(&["c"]).await;
    let mut sessions = [task.delivered().await, task.delivered().await].map(|d| d.record.session.to_string());
    sessions.sort();
    assert_eq!(sessions, ["b", "c"]);
    task.stop(&house).await;
    assert_eq!(house.count("delivered"), 3);
}

#[tokio::test]
async fn failures_are_tried_again_with_the_same_id() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS, (404, None), TAKES]);
    let mut task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    let delivered = task.delivered().await;
    assert_eq!(delivered.attempts, 3);
    for _ in 0..3 {
        assert_eq!(soon(arrivals.recv()).await.expect("arrives").header("webhook-id"), delivered.record.id);
    }
    task.stop(&house).await;
    assert_eq!((house.count("delivered"), house.count("retried"), house.count("gave_up")), (1, 2, 0));
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[(429, Some(("retry-after", "1"))), TAKES]);
    let mut task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    task.delivered().await;
    let first = soon(arrivals.recv()).await.expect("arrives").at;
    assert!(soon(arrivals.recv()).await.expect("arrives").at - first >= Duration::from_secs(1));
    task.stop(&house).await;
}

#[tokio::test]
async fn records_that_are_refused_hold_up_neither_the_rest_nor_another_endpoint() {
    let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dead = format!("http://{}/", unused.local_addr().expect("bound"));
    drop(unused);
    let dead = house.start_named("dead", &dead, "", every(1));
    // More than may be under way at once.
    let refused: Vec<String> = (0..2 * WEBHOOK_IN_FLIGHT).map(|n| format!("refused-{n}")).collect();
    refused.iter().for_each(|session| receiver.answer(session, &[FAILS]));
    let mut task = house.start(&url, "", every(60_000));
    house.halt(&refused.iter().map(String::as_str).collect::<Vec<_>>()).await;
    house.halt(&["fine"]).await;
    assert_eq!(&*task.delivered().await.record.session, "fine");
    assert_eq!(house.count("delivered"), 1);
    task.stop(&house).await;
    dead.stop(&house).await;
    // Nothing is lost: each of them comes again, the delivered one too, since it stood behind them.
    refused.iter().for_each(|session| receiver.answer(session, &[TAKES]));
    let mut task = house.start(&url, "", every(1));
    for _ in 0..=refused.len() {
        task.delivered().await;
    }
    task.stop(&house).await;
    assert_eq!(house.count("delivered"), 2 + refused.len() as u64);
    let mut again = LocalOutbox::open(house.ledger.clone(), "hook").expect("opens");
    house.halt(&["next"]).await;
    assert_eq!(&*soon(again.next()).await.1.session, "next", "the place is behind all of them");
}

#[tokio::test]
async fn redirects_are_failures_and_are_not_followed() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[(302, Some(("location", "/elsewhere"))), (307, Some(("location", "/elsewhere"))), TAKES]);
    let mut task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    assert_eq!(task.delivered().await.attempts, 3);
    task.stop(&house).await;
    for _ in 0..3 {
        assert_eq!(soon(arrivals.recv()).await.expect("arrives").path, "/halts");
    }
    assert!(arrivals.try_recv().is_err(), "nothing else was asked for");
}

/// The one dead letter: headers and record.
fn dead_letter(house: &House) -> (serde_json::Value, HaltRecord) {
    let mut letters = house.ledger.dead_letters().expect("reads");
    assert_eq!(letters.len(), 1);
    let (headers, bytes) = letters.remove(0);
    (serde_json::from_str(&headers).expect("JSON"), serde_json::from_slice(&bytes).expect("a record"))
}

#[tokio::test]
async fn what_is_given_up_is_a_dead_letter_and_does_not_come_again() {
    let mut unsendable = halted("b");
    unsendable.id = "h_\n".to_owned();
    let rows = [(halted("a"), "answered 503"), (unsendable, "builder error: failed to parse header value")];
    for (record, expected) in rows {
        let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
        receiver.answer("a", &[(503, None)]);
        let mut task = house.start(&url, "", never_again());
        house.write(std::slice::from_ref(&record)).await;
        house.halt(&["last"]).await;
        assert_eq!(&*task.delivered().await.record.session, "last");
        soon(async {
            while house.count("gave_up") == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        task.stop(&house).await;
        let (headers, kept) = dead_letter(&house);
        assert_eq!(kept, record);
        let expected = serde_json::json!({
            "reason": "webhook_gave_up", "endpoint": "hook", "attempts": "1", "last_error": expected
        });
        assert_eq!(headers, expected);
        let mut task = house.start(&url, "", never_again());
        house.halt(&["next"]).await;
        assert_eq!(&*task.delivered().await.record.session, "next");
        task.stop(&house).await;
        assert_eq!((house.count("gave_up"), house.metrics.webhooks_pending()), (1, 0));
    }
}

#[tokio::test]
async fn gone_disables_the_endpoint_until_a_restart() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[(410, None)]);
    let task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    soon(async {
        while house.count("gave_up") == 0 || house.metrics.webhooks_pending() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // When another endpoint has both of these, one after the other, this one has had its chance.
    let (_other, other_url, _) = Receiver::start().await;
    let mut other = house.start_named("other", &other_url, "", every(1));
    assert_eq!(&*other.delivered().await.record.session, "a");
    for session in ["b", "c"] {
        house.halt(&[session]).await;
        assert_eq!(&*other.delivered().await.record.session, session);
    }
    other.stop(&house).await;
    task.stop(&house).await;
    assert_eq!(dead_letter(&house).0["last_error"], "answered 410, which means never again");
    assert_eq!(soon(arrivals.recv()).await.expect("arrived").session, "a");
    assert!(arrivals.try_recv().is_err(), "nothing after 410");
    let mut task = house.start(&url, "", every(1));
    let mut sessions = [task.delivered().await, task.delivered().await].map(|d| d.record.session.to_string());
    sessions.sort();
    assert_eq!(sessions, ["b", "c"]);
    task.stop(&house).await;
}

#[tokio::test]
async fn a_stop_in_the_middle_loses_nothing() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    ["a", "b"].iter().for_each(|session| receiver.answer(session, &[FAILS]));
    let task = house.start(&url, "", every(600_000));
    house.halt(&["a", "b"]).await;
    let first = soon(arrivals.recv()).await.expect("arrives");
    task.stop(&house).await;
    ["a", "b"].iter().for_each(|session| receiver.answer(session, &[TAKES]));
    let mut task = house.start(&url, "", every(1));
    let records = [task.delivered().await, task.delivered().await].map(|delivered| delivered.record);
    assert!(records.iter().any(|record| record.id == first.header("webhook-id")));
    task.stop(&house).await;
    assert!(house.ledger.dead_letters().expect("reads").is_empty());
}

#[tokio::test]
async fn what_is_too_old_or_not_wanted_is_passed_over() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    let mut old = halted("old");
    old.written = Some(clock::now() - Span::seconds(7_201));
    let before = halted("resumed");
    let resumed = HaltRecord::from_order(&order("resumed", HaltState::Running), Some(&before)).expect("was halted");
    let mut task = house.start(&url, "events = ['session.resumed']\nmax_age = '2h'", every(1));
    old.state = HaltState::Running;
    house.write(&[old, before, resumed]).await;
    let delivered = task.delivered().await;
    assert_eq!((&*delivered.record.session, delivered.record.epoch), ("resumed", 2));
    task.stop(&house).await;
    assert_eq!(soon(arrivals.recv()).await.expect("arrived").session, "resumed");
    assert!(arrivals.try_recv().is_err());
    assert_eq!((house.count("expired"), house.count("delivered")), (1, 1));
}

#[tokio::test]
async fn what_is_under_way_shows_in_the_metrics() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS]);
    let task = house.start(&url, "", every(600_000));
    let mut record = halted("a");
    record.written = Some(clock::now() - Span::seconds(3_600));
    house.write(&[record]).await;
    soon(arrivals.recv()).await.expect("arrives");
    soon(async {
        while house.count("retried") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(house.metrics.webhooks_pending(), 1);
    let oldest = house.metrics.webhook_oldest_pending.with_label_values(&["hook"]).get();
    assert!((3_600.0..3_700.0).contains(&oldest), "{oldest}");
    task.stop(&house).await;
}
