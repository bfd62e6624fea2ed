//! The task of one endpoint: reads its outbox, delivers, and notes how far it has come.
//!
//! Each record is a task of its own that waits out its retries. Requests under way at once are bounded
//! by [`WEBHOOK_IN_FLIGHT`]; records that are held, most of them waiting for their next try, by
//! [`WEBHOOK_HELD`]. Were both one bound, a receiver that refuses sixteen records for good would
//! hear of no other for a day.
//!
//! A record that was read is noted as done when the receiver has taken it or its dead letter is
//! durable, and not before. On a stop the rest is left where it is and comes again after the start.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::retry::Outcome;
use super::track::Tracker;
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::io::ledger::{Entry, Ledger, Stream, halt_key};
use crate::io::metrics::Metrics;
use crate::io::outbox::{Outbox, Position};
use crate::limits::{WEBHOOK_HELD, WEBHOOK_IN_FLIGHT};

/// How often the age of the oldest is refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for requests that are under way. Cutting them off loses nothing, but the
/// receiver would get them again.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Waits between writes of a dead letter that fail.
const LEDGER_WAIT_MIN: Duration = Duration::from_millis(500);
const LEDGER_WAIT_MAX: Duration = Duration::from_secs(30);

/// What the endpoints share with the rest of the program.
#[derive(Clone)]
pub struct Deps {
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// Where dead letters go.
    pub ledger: Ledger,
    /// Who wants to be told of each delivery.
    pub told: Option<mpsc::UnboundedSender<Delivered>>,
}

/// One record that a receiver has taken.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Name of the endpoint.
    pub endpoint: String,
    /// The record.
    pub record: HaltRecord,
    /// Attempts that it took, at least 1.
    pub attempts: usize,
    /// Seconds from reading it out of the outbox to the receiver's answer.
    pub seconds: f64,
}

/// Runs one endpoint until `stop` becomes true or its sender is gone. On a stop it ends within about a
/// second and loses nothing: what is not done comes again with the next start, under the same id.
pub async fn run(endpoint: Endpoint, mut outbox: Outbox, deps: Deps, mut stop: watch::Receiver<bool>) {
    let mut desk = Desk::new(endpoint, deps, stop.clone());
    let mut refresh = tokio::time::interval(REFRESH_EVERY);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = desk.deliveries.join_next() => desk.settle(ended),
            _ = refresh.tick() => {}
            (position, record) = outbox.next(), if desk.has_room() => desk.take(&position, record),
        }
        desk.note(&mut outbox);
    }
    let deadline = Instant::now() + STOP_GRACE;
    while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, desk.deliveries.join_next()).await {
        desk.settle(ended);
    }
    desk.note(&mut outbox);
    // Leaving a consumer group waits for the broker.
    let _ = tokio::task::spawn_blocking(move || drop(outbox)).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, and with it the program.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The books and the deliveries of one endpoint.
struct Desk {
    shared: Arc<Shared>,
    tracker: Tracker,
    deliveries: JoinSet<Ended>,
    stop: watch::Receiver<bool>,
    /// The receiver has answered 410: nothing more is read or sent until a restart.
    disabled: bool,
}

/// What the desk and its deliveries share.
struct Shared {
    endpoint: Endpoint,
    deps: Deps,
    permits: Semaphore,
}

/// How one delivery came to its end.
struct Ended {
    id: String,
    how: How,
}

enum How {
    /// Delivered, or given up with a durable dead letter.
    Done,
    /// The same, and the receiver wants nothing more.
    Gone,
    /// Left for the next start.
    Stopped,
}

impl Desk {
    fn new(endpoint: Endpoint, deps: Deps, stop: watch::Receiver<bool>) -> Self {
        let shared = Arc::new(Shared { endpoint, deps, permits: Semaphore::new(WEBHOOK_IN_FLIGHT) });
        // So that they are there, at zero, before anything happens.
        for outcome in ["delivered", "retried", "gave_up", "expired"] {
            shared.counted(outcome, 0);
        }
        Self { shared, tracker: Tracker::default(), deliveries: JoinSet::new(), stop, disabled: false }
    }

    fn has_room(&self) -> bool {
        !self.disabled && self.tracker.count() < WEBHOOK_HELD
    }

    fn take(&mut self, position: &Position, record: HaltRecord) {
        self.tracker.read(position);
        let endpoint = &self.shared.endpoint;
        if !endpoint.wants(&record) {
            return;
        }
        if endpoint.time_left(&record).0 < 0 {
            // Often many at once: an endpoint that is new reads the outbox from its beginning.
            tracing::debug!(endpoint = endpoint.name(), id = %record.id, at = %record.at, "a halt is too old to be told");
            return self.shared.counted("expired", 1);
        }
        if self.tracker.begin(position, &record.id, record.news_since()) {
            let delivery =
                Delivery { shared: self.shared.clone(), stop: self.stop.clone(), record, begun: Instant::now() };
            self.deliveries.spawn(delivery.run());
        }
    }

    fn settle(&mut self, ended: Result<Ended, JoinError>) {
        match ended {
            Ok(Ended { id, how: How::Done }) => self.tracker.end(&id),
            Ok(Ended { id, how: How::Gone }) => {
                self.tracker.end(&id);
                self.disable();
            }
            Ok(Ended { how: How::Stopped, .. }) => {}
            Err(error) if error.is_cancelled() => {}
            // Its record stays under way in the books and comes again after a restart.
            Err(error) => {
                tracing::error!(endpoint = self.shared.endpoint.name(), %error, "a webhook delivery failed inside");
            }
        }
    }

    fn disable(&mut self) {
        if !self.disabled {
            let endpoint = self.shared.endpoint.name();
            tracing::error!(
                endpoint,
                pending = self.tracker.count(),
                "the webhook's receiver answered 410 Gone; nothing more is sent to it until a restart"
            );
        }
        self.disabled = true;
        self.deliveries.abort_all();
    }

    /// Moves the place in the outbox and refreshes the gauges.
    #[expect(clippy::cast_possible_wrap, reason = "at most WEBHOOK_HELD")]
    fn note(&mut self, outbox: &mut Outbox) {
        for position in self.tracker.advance() {
            outbox.done_through(&position);
        }
        let (metrics, name) = (&self.shared.deps.metrics, self.shared.endpoint.name());
        metrics.webhook_pending.with_label_values(&[name]).set(self.tracker.count() as i64);
        let age = self.tracker.oldest().map_or(0.0, |at| clock::seconds_since(at).max(0.0));
        metrics.webhook_oldest_pending.with_label_values(&[name]).set(age);
    }
}

impl Shared {
    fn counted(&self, outcome: &str, by: u64) {
        self.deps.metrics.webhook_deliveries.with_label_values(&[self.endpoint.name(), outcome]).inc_by(by);
    }
}

/// One record on its way.
struct Delivery {
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    record: HaltRecord,
    begun: Instant,
}

impl Delivery {
    async fn run(mut self) -> Ended {
        let how = self.deliver().await;
        Ended { id: self.record.id, how }
    }

    async fn deliver(&mut self) -> How {
        let shared = self.shared.clone();
        let mut attempts = 0;
        loop {
            let permit = tokio::select! {
                permit = shared.permits.acquire() => permit,
                () = stopped(&mut self.stop) => return How::Stopped,
            };
            attempts += 1;
            let outcome = self.attempt().await;
            drop(permit);
            let (why, retry_after) = match outcome {
                Outcome::Delivered => return self.delivered(attempts),
                Outcome::Gone => {
                    self.give_up(attempts, "answered 410, which means never again").await;
                    return How::Gone;
                }
                Outcome::Unsendable(why) => return self.give_up(attempts, &why).await,
                Outcome::Failed { why, retry_after } => (why, retry_after),
            };
            let left = shared.endpoint.time_left(&self.record);
            let Some(wait) = shared.endpoint.schedule.wait(attempts, retry_after, left, random()) else {
                return self.give_up(attempts, &why).await;
            };
            self.tell_failure(attempts, &why, wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopped(&mut self.stop) => return How::Stopped,
            }
        }
    }

    async fn attempt(&self) -> Outcome {
        let begun = Instant::now();
        let outcome = self.shared.endpoint.attempt(&self.record).await;
        self.shared.deps.metrics.webhook_duration.record_seconds(begun.elapsed().as_secs_f64());
        outcome
    }

    fn delivered(&self, attempts: usize) -> How {
        self.shared.counted("delivered", 1);
        if let Some(told) = &self.shared.deps.told {
            let endpoint = self.shared.endpoint.name().to_owned();
            let seconds = self.begun.elapsed().as_secs_f64();
            // Nobody listening any more is nothing to us.
            let _ = told.send(Delivered { endpoint, record: self.record.clone(), attempts, seconds });
        }
        How::Done
    }

    fn tell_failure(&self, attempts: usize, why: &str, wait: Duration) {
        self.shared.counted("retried", 1);
        let (endpoint, id) = (self.shared.endpoint.name(), &self.record.id);
        if attempts == 1 {
            tracing::warn!(endpoint, %id, why, "a webhook was not delivered; it is tried again");
        } else {
            tracing::debug!(endpoint, %id, why, attempts, ?wait, "a webhook was not delivered; it is tried again");
        }
    }

    /// Keeps the record as a dead letter, however long the ledger takes.
    async fn give_up(&self, attempts: usize, why: &str) -> How {
        let (endpoint, id) = (self.shared.endpoint.name(), &self.record.id);
        tracing::error!(endpoint, %id, attempts, why, "a webhook is given up and kept as a dead letter");
        let entries: Arc<[Entry]> = Arc::new([self.dead_letter(attempts, why)]);
        let mut wait = LEDGER_WAIT_MIN;
        while let Err(error) = self.shared.deps.ledger.write_and_wait(entries.clone()).await {
            self.shared.deps.metrics.ledger_errors.inc();
            tracing::warn!(endpoint, %id, %error, "a webhook's dead letter is not durable; it is tried again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LEDGER_WAIT_MAX);
        }
        self.shared.counted("gave_up", 1);
        How::Done
    }

    fn dead_letter(&self, attempts: usize, why: &str) -> Entry {
        let record = &self.record;
        let headers = vec![
            ("reason", "webhook_gave_up".to_owned()),
            ("endpoint", self.shared.endpoint.name().to_owned()),
            ("attempts", attempts.to_string()),
            ("last_error", why.to_owned()),
        ];
        // A record that came out of JSON goes back into it.
        let value = serde_json::to_vec(record).unwrap_or_default();
        Entry { stream: Stream::DeadLetters, key: halt_key(&record.tenant, &record.session), value, headers }
    }
}

/// A random number for the jitter; without one the waits are a fifth shorter and nothing else.
fn random() -> u64 {
    getrandom::u64().unwrap_or_default()
}
