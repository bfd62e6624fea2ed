//! One record on its way to one receiver: tries, waits, and the end that is told to everybody who counts,
//! lists or audits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::endpoint::{Answer, Endpoint};
use super::lanes::Lane;
use super::payload::EventType;
use super::retry::Outcome;
use super::seat::{DeliveryOutcome, DeliveryRow};
use super::target::Kind;
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::io::halts::HaltView;
use crate::io::ledger::{Entry, Ledger, Stream, halt_key};
use crate::io::metrics::Metrics;
use crate::time::Millis;

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
    /// Who keeps account of what the harnesses were told to do.
    pub audit: Option<mpsc::UnboundedSender<ControlOutcome>>,
    /// Which sessions are halted now. Without it alerts are not sent again, and after a restart a call
    /// may be made that a later record makes void.
    pub halts: Option<Arc<HaltView>>,
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

/// How it ended that a harness was to stop a run, or to let it go on.
#[derive(Clone, Debug)]
pub struct ControlOutcome {
    /// Name of the endpoint.
    pub endpoint: String,
    /// The record behind it: a halt stops, a release lets go on.
    pub record: HaltRecord,
    /// Delivered, gone (the harness does not know the session), given up or superseded.
    pub outcome: DeliveryOutcome,
    /// Attempts that it took; 0 for one that was superseded before its first.
    pub attempts: usize,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// What went wrong last.
    pub error: Option<String>,
    /// Whether an operator asked for it by redelivery.
    pub by_hand: bool,
}

/// What the task of an endpoint and its deliveries share.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) deps: Deps,
    pub(super) permits: Semaphore,
}

impl Shared {
    pub(super) fn counted(&self, outcome: &str, by: u64) {
        self.deps.metrics.webhook_deliveries.with_label_values(&[self.endpoint.name(), outcome]).inc_by(by);
    }

    /// What the harness was asked to do; nothing for other kinds.
    pub(super) fn counted_control(&self, action: &str, outcome: &str, by: u64) {
        if self.endpoint.kind() == Kind::Control {
            let labels = [self.endpoint.name(), action, outcome];
            self.deps.metrics.control_calls.with_label_values(&labels).inc_by(by);
        }
    }
}

/// How one delivery came to its end.
pub(super) struct Ended {
    pub(super) record: Arc<HaltRecord>,
    pub(super) by_hand: bool,
    pub(super) how: How,
}

pub(super) enum How {
    /// Delivered, not needed any more, or given up with a durable dead letter.
    Done,
    /// The same, and the receiver wants nothing more.
    Gone,
    /// Left for the next start.
    Stopped,
}

/// One record on its way.
pub(super) struct Delivery {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Arc<HaltRecord>,
    /// Its number in the endpoint's log.
    pub(super) serial: u64,
    /// An operator asked for it.
    pub(super) by_hand: bool,
    /// No try begins after this.
    pub(super) deadline: Millis,
    pub(super) begun: Instant,
    /// Where the order of a session's records matters.
    pub(super) lane: Option<Arc<Lane>>,
    /// Rung when it is to be tried at once.
    pub(super) hurry: Arc<Notify>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) tried: Tried,
}

/// What is known of the tries so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried {
    attempts: usize,
    status: Option<u16>,
    error: Option<String>,
    duration: Duration,
}

/// Ends when `stop` becomes true or its sender is gone, and with it the program.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Delivery {
    pub(super) async fn run(mut self) -> Ended {
        let how = self.deliver().await;
        Ended { record: self.record, by_hand: self.by_hand, how }
    }

    async fn deliver(&mut self) -> How {
        let (shared, lane, mut stop) = (self.shared.clone(), self.lane.clone(), self.stop.clone());
        loop {
            let turn = async {
                shared.endpoint.timing.pace.turn().await;
                let lane = match &lane {
                    Some(lane) => Some(lane.turn.lock().await),
                    None => None,
                };
                (lane, shared.permits.acquire().await)
            };
            let turn = tokio::select! {
                turn = turn => turn,
                () = stopped(&mut stop) => return How::Stopped,
            };
            if self.is_superseded() {
                return self.superseded();
            }
            let outcome = self.attempt().await;
            drop(turn);
            let (why, retry_after) = match outcome {
                Outcome::Delivered => return self.delivered(),
                Outcome::NotThere => return self.not_there(),
                Outcome::Gone => {
                    self.give_up(DeliveryOutcome::Gone, "answered 410, which means never again").await;
                    return How::Gone;
                }
                Outcome::Hopeless(why) => return self.give_up(DeliveryOutcome::GaveUp, &why).await,
                Outcome::Failed { why, retry_after } => (why, retry_after),
            };
            let (left, failures) = (self.deadline - clock::now(), self.tried.attempts);
            let Some(wait) = shared.endpoint.timing.schedule.wait(failures, retry_after, left, random()) else {
                return self.give_up(DeliveryOutcome::GaveUp, &why).await;
            };
            self.tell_failure(&why, wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.hurry.notified() => {}
                () = self.overtaken() => {}
                () = stopped(&mut stop) => return How::Stopped,
            }
        }
    }

    async fn attempt(&mut self) -> Outcome {
        let begun = Instant::now();
        let Answer { outcome, status } = self.shared.endpoint.attempt(&self.record).await;
        let duration = begun.elapsed();
        self.shared.deps.metrics.webhook_duration.record_seconds(duration.as_secs_f64());
        let error = match &outcome {
            Outcome::Delivered => None,
            Outcome::NotThere => Some("the harness does not know the session".to_owned()),
            Outcome::Gone => Some("answered 410, which means never again".to_owned()),
            Outcome::Failed { why, .. } | Outcome::Hopeless(why) => Some(why.clone()),
        };
        if let Outcome::Failed { retry_after: Some(wait), .. } = &outcome
            && status == Some(429)
        {
            self.shared.endpoint.timing.pace.hold((*wait).min(super::retry::RETRY_AFTER_MAX));
        }
        self.tried = Tried { attempts: self.tried.attempts + 1, status, error, duration };
        outcome
    }

    /// Whether a later record of the session makes this one void for the receiver. The books know what
    /// this endpoint has read; after a restart, when it reads an old record again, the view knows more.
    fn is_superseded(&self) -> bool {
        let epoch = self.record.epoch;
        let in_view = || {
            let halts = self.shared.deps.halts.as_ref()?;
            halts.get(&self.record.tenant, &self.record.session)
        };
        self.shared.endpoint.target.is_overtaken_by_later(&self.record)
            && (self.lane.as_ref().is_some_and(|lane| lane.is_past(epoch))
                || in_view().is_some_and(|latest| latest.epoch > epoch))
    }

    /// Waits until the books know a later record that makes this one void.
    async fn overtaken(&self) {
        match &self.lane {
            Some(lane) if self.shared.endpoint.target.is_overtaken_by_later(&self.record) => {
                lane.past(self.record.epoch).await;
            }
            _ => std::future::pending().await,
        }
    }

    fn delivered(&self) -> How {
        self.end(DeliveryOutcome::Delivered, "delivered");
        if let Some(told) = &self.shared.deps.told {
            let endpoint = self.shared.endpoint.name().to_owned();
            let (record, attempts) = (HaltRecord::clone(&self.record), self.tried.attempts);
            // Nobody listening any more is nothing to us.
            let _ = told.send(Delivered { endpoint, record, attempts, seconds: self.begun.elapsed().as_secs_f64() });
        }
        How::Done
    }

    fn not_there(&self) -> How {
        let (endpoint, session, tenant) = (self.shared.endpoint.name(), &self.record.session, &self.record.tenant);
        tracing::warn!(endpoint, %session, %tenant, "the harness does not know the session; there is nothing to stop");
        self.end(DeliveryOutcome::Gone, "gone");
        How::Done
    }

    fn superseded(&self) -> How {
        let (endpoint, id) = (self.shared.endpoint.name(), &self.record.id);
        tracing::info!(endpoint, %id, "a webhook is not sent: a later record of the session is there");
        self.end(DeliveryOutcome::Superseded, "superseded");
        How::Done
    }

    fn tell_failure(&self, why: &str, wait: Duration) {
        self.shared.counted("retried", 1);
        self.shared.counted_control(self.action(), "retried", 1);
        self.log(DeliveryOutcome::Retrying);
        let (endpoint, id, attempts) = (self.shared.endpoint.name(), &self.record.id, self.tried.attempts);
        if attempts == 1 {
            tracing::warn!(endpoint, %id, why, "a webhook was not delivered; it is tried again");
        } else {
            tracing::debug!(endpoint, %id, why, attempts, ?wait, "a webhook was not delivered; it is tried again");
        }
    }

    /// Keeps the record as a dead letter, however long the ledger takes.
    async fn give_up(&self, outcome: DeliveryOutcome, why: &str) -> How {
        let (endpoint, id, attempts) = (self.shared.endpoint.name(), &self.record.id, self.tried.attempts);
        tracing::error!(endpoint, %id, attempts, why, "a webhook is given up and kept as a dead letter");
        let entries: Arc<[Entry]> = Arc::new([self.dead_letter(why)]);
        let mut wait = LEDGER_WAIT_MIN;
        while let Err(error) = self.shared.deps.ledger.write_and_wait(entries.clone()).await {
            self.shared.deps.metrics.ledger_errors.inc();
            tracing::warn!(endpoint, %id, %error, "a webhook's dead letter is not durable; it is tried again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LEDGER_WAIT_MAX);
        }
        self.end(outcome, "gave_up");
        How::Done
    }

    fn dead_letter(&self, why: &str) -> Entry {
        let record = &self.record;
        let headers = vec![
            ("reason", "webhook_gave_up".to_owned()),
            ("endpoint", self.shared.endpoint.name().to_owned()),
            ("attempts", self.tried.attempts.to_string()),
            ("last_error", why.to_owned()),
        ];
        // A record that came out of JSON goes back into it.
        let value = serde_json::to_vec(&**record).unwrap_or_default();
        Entry { stream: Stream::DeadLetters, key: halt_key(&record.tenant, &record.session), value, headers }
    }

    /// Counts, lists and audits the end.
    fn end(&self, outcome: DeliveryOutcome, counted: &str) {
        self.shared.counted(counted, 1);
        self.log(outcome);
        self.shared.counted_control(self.action(), counted, 1);
        if let Some(audit) = self.shared.deps.audit.as_ref().filter(|_| self.shared.endpoint.kind() == Kind::Control) {
            let Tried { attempts, status, error, .. } = self.tried.clone();
            let (endpoint, record) = (self.shared.endpoint.name().to_owned(), HaltRecord::clone(&self.record));
            let by_hand = self.by_hand;
            let _ = audit.send(ControlOutcome { endpoint, record, outcome, attempts, status, error, by_hand });
        }
    }

    fn action(&self) -> &'static str {
        if self.record.is_halted() { "stop" } else { "resume" }
    }

    fn log(&self, outcome: DeliveryOutcome) {
        let Tried { attempts, status, error, duration } = self.tried.clone();
        let row = DeliveryRow {
            id: self.record.id.clone(),
            r#type: EventType::of(&self.record),
            at: clock::now(),
            tenant: self.record.tenant.to_string(),
            session: self.record.session.to_string(),
            attempts,
            outcome,
            status,
            error,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        };
        self.shared.endpoint.seat.note(self.serial, &self.record, row);
    }
}

/// A random number for the jitter; without one the waits are a fifth shorter and nothing else.
fn random() -> u64 {
    getrandom::u64().unwrap_or_default()
}
