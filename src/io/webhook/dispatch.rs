//! The task of one endpoint: reads its outbox, delivers, and notes how far it has come.
//!
//! Each record is a task of its own that waits out its retries. Requests under way at once are bounded
//! by [`WEBHOOK_IN_FLIGHT`]; records that are held, most of them waiting for their next try, by
//! [`WEBHOOK_HELD`]. Were both one bound, a receiver that refuses sixteen records for good would
//! hear of no other for a day.
//!
//! A record that was read is noted as done when the receiver has taken it or its dead letter is
//! durable, and not before. On a stop the rest is left where it is and comes again after the start.
//! Redeliveries by hand have no place in the outbox and do not come again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::delivery::{Delivery, Deps, Ended, How, Shared, Tried, stopped};
use super::endpoint::Endpoint;
use super::lanes::Lanes;
use super::resend;
use super::target::Kind;
use super::track::Tracker;
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::io::outbox::{Outbox, Position};
use crate::limits::{WEBHOOK_HELD, WEBHOOK_IN_FLIGHT};
use crate::time::Millis;

/// How often the age of the oldest is refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for requests that are under way. Cutting them off loses nothing, but the
/// receiver would get them again.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Runs one endpoint until `stop` becomes true or its sender is gone. On a stop it ends within about a
/// second and loses nothing: what is not done comes again with the next start, under the same id.
pub async fn run(endpoint: Endpoint, mut outbox: Outbox, deps: Deps, mut stop: watch::Receiver<bool>) {
    let mut by_hand = endpoint.seat.queued();
    let mut books = Books::new(endpoint, deps, stop.clone());
    let resend = tokio::spawn(resend::run(books.shared.clone(), stop.clone()));
    let mut refresh = tokio::time::interval(REFRESH_EVERY);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = books.deliveries.join_next() => books.settle(ended),
            _ = refresh.tick() => {}
            Some(record) = asked(&mut by_hand), if books.has_room() => books.take_by_hand(record),
            (position, record) = outbox.next(), if books.has_room() => books.take(&position, record),
        }
        books.note(&mut outbox);
    }
    let deadline = Instant::now() + STOP_GRACE;
    while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, books.deliveries.join_next()).await {
        books.settle(ended);
    }
    books.note(&mut outbox);
    resend.abort();
    let _ = resend.await;
    // Leaving a consumer group waits for the broker.
    let _ = tokio::task::spawn_blocking(move || drop(outbox)).await;
}

async fn asked(by_hand: &mut Option<mpsc::Receiver<HaltRecord>>) -> Option<HaltRecord> {
    match by_hand {
        Some(queue) => queue.recv().await,
        None => None,
    }
}

/// The books and the deliveries of one endpoint.
struct Books {
    shared: Arc<Shared>,
    tracker: Tracker,
    lanes: Lanes,
    /// Bells of those under way, by id.
    bells: BTreeMap<String, Arc<Notify>>,
    by_hand: usize,
    deliveries: JoinSet<Ended>,
    stop: watch::Receiver<bool>,
    /// The receiver has answered 410: nothing more is read or sent until a restart.
    disabled: bool,
}

impl Books {
    fn new(endpoint: Endpoint, deps: Deps, stop: watch::Receiver<bool>) -> Self {
        let shared = Arc::new(Shared { endpoint, deps, permits: Semaphore::new(WEBHOOK_IN_FLIGHT) });
        begin_at_zero(&shared);
        Self {
            shared,
            tracker: Tracker::default(),
            lanes: Lanes::default(),
            bells: BTreeMap::new(),
            by_hand: 0,
            deliveries: JoinSet::new(),
            stop,
            disabled: false,
        }
    }

    fn has_room(&self) -> bool {
        !self.disabled && self.tracker.count() + self.by_hand < WEBHOOK_HELD
    }

    fn take(&mut self, position: &Position, record: HaltRecord) {
        self.tracker.read(position);
        let endpoint = &self.shared.endpoint;
        if !endpoint.wants(&record) {
            return;
        }
        let deadline = endpoint.deadline(&record);
        if deadline < clock::now() {
            // Often many at once: an endpoint that is new reads the outbox from its beginning.
            tracing::debug!(endpoint = endpoint.name(), id = %record.id, at = %record.at, "a halt is too old to be told");
            return self.shared.counted("expired", 1);
        }
        if self.tracker.begin(position, &record.id, record.news_since()) {
            self.start(record, deadline, false);
        }
    }

    /// What is under way already is tried at once; else it is delivered as if it was new.
    fn take_by_hand(&mut self, record: HaltRecord) {
        // A bell that nobody else holds is left over from a delivery that failed inside.
        if let Some(bell) = self.bells.get(&record.id).filter(|bell| Arc::strong_count(bell) > 1) {
            return bell.notify_one();
        }
        self.by_hand += 1;
        let deadline = clock::now() + self.shared.endpoint.max_age;
        self.start(record, deadline, true);
    }

    fn start(&mut self, record: HaltRecord, deadline: Millis, by_hand: bool) {
        let endpoint = &self.shared.endpoint;
        let is_ordered = matches!(endpoint.kind(), Kind::PagerDuty | Kind::Alertmanager | Kind::Control);
        let hurry = self.bells.entry(record.id.clone()).or_default().clone();
        let delivery = Delivery {
            serial: endpoint.seat.serial(),
            lane: is_ordered.then(|| self.lanes.enter(&record)),
            shared: self.shared.clone(),
            record: Arc::new(record),
            by_hand,
            deadline,
            begun: Instant::now(),
            hurry,
            stop: self.stop.clone(),
            tried: Tried::default(),
        };
        self.deliveries.spawn(delivery.run());
    }

    fn settle(&mut self, ended: Result<Ended, JoinError>) {
        match ended {
            Ok(Ended { how: How::Stopped, .. }) => {}
            Ok(Ended { record, by_hand, how }) => {
                self.bells.remove(&record.id);
                self.lanes.leave(&record);
                if by_hand {
                    self.by_hand = self.by_hand.saturating_sub(1);
                } else {
                    self.tracker.end(&record.id);
                }
                if matches!(how, How::Gone) {
                    self.disable();
                }
            }
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
        self.by_hand = 0;
        self.shared.endpoint.seat.disable();
        self.deliveries.abort_all();
    }

    /// Moves the place in the outbox and refreshes what is shown.
    #[expect(clippy::cast_possible_wrap, reason = "at most WEBHOOK_HELD")]
    fn note(&mut self, outbox: &mut Outbox) {
        for position in self.tracker.advance() {
            outbox.done_through(&position);
        }
        let (metrics, name) = (&self.shared.deps.metrics, self.shared.endpoint.name());
        let (pending, oldest) = (self.tracker.count() + self.by_hand, self.tracker.oldest());
        metrics.webhook_pending.with_label_values(&[name]).set(pending as i64);
        let age = oldest.map_or(0.0, |at| clock::seconds_since(at).max(0.0));
        metrics.webhook_oldest_pending.with_label_values(&[name]).set(age);
        self.shared.endpoint.seat.set_pending(pending, oldest);
    }
}

/// So that the series are there, at zero, before anything happens.
fn begin_at_zero(shared: &Shared) {
    for outcome in ["delivered", "retried", "gave_up", "expired", "tested", "test_failed"] {
        shared.counted(outcome, 0);
    }
    for outcome in match shared.endpoint.kind() {
        Kind::Standard | Kind::Slack => &[][..],
        Kind::PagerDuty => &["superseded"],
        Kind::Alertmanager => &["superseded", "resent", "resend_failed"],
        Kind::Control => &["superseded", "gone"],
    } {
        shared.counted(outcome, 0);
    }
    for action in ["stop", "resume"] {
        for outcome in ["delivered", "gone", "superseded", "retried", "gave_up"] {
            shared.counted_control(action, outcome, 0);
        }
    }
}
