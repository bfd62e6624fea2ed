//! What an endpoint shows of itself while it runs, and the queue by which it is given records by hand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;

use super::payload::EventType;
use crate::halt::HaltRecord;
use crate::limits::{WEBHOOK_LOG_ROWS, WEBHOOK_QUEUED_BY_HAND};
use crate::time::Millis;

/// What has become of a delivery so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryOutcome {
    /// The receiver has taken it.
    Delivered,
    /// The latest try failed; there will be another.
    Retrying,
    /// It is a dead letter.
    GaveUp,
    /// Answered 410: the receiver wants nothing more; of a `control` endpoint also 404: the harness does not
    /// know the session any more.
    Gone,
    /// Not sent, because a later record of the same session is there.
    Superseded,
}

/// One row of an endpoint's delivery log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeliveryRow {
    /// Id of the record, which is the `webhook-id`.
    pub id: String,
    /// What was told.
    pub r#type: EventType,
    /// When it was tried last.
    #[schemars(with = "String")]
    pub at: Millis,
    /// Tenant of the session.
    pub tenant: String,
    /// The session.
    pub session: String,
    /// Attempts so far.
    pub attempts: usize,
    /// What has become of it.
    pub outcome: DeliveryOutcome,
    /// Status of the latest answer; none where there was no answer.
    pub status: Option<u16>,
    /// What went wrong at the latest attempt.
    pub error: Option<String>,
    /// How long the latest attempt took.
    pub duration_ms: u64,
}

struct Logged {
    serial: u64,
    record: Arc<HaltRecord>,
    row: DeliveryRow,
}

/// Shared by the endpoint's task and the desk.
pub(super) struct Seat {
    /// The one that was tried last at the end.
    log: Mutex<VecDeque<Logged>>,
    serial: AtomicU64,
    queue: mpsc::Sender<HaltRecord>,
    queued: Mutex<Option<mpsc::Receiver<HaltRecord>>>,
    pending: AtomicUsize,
    /// `i64::MAX` where nothing is pending.
    oldest_ms: AtomicI64,
    is_disabled: AtomicBool,
}

impl Seat {
    pub(super) fn new() -> Arc<Self> {
        let (queue, queued) = mpsc::channel(WEBHOOK_QUEUED_BY_HAND);
        Arc::new(Self {
            log: Mutex::default(),
            serial: AtomicU64::new(0),
            queue,
            queued: Mutex::new(Some(queued)),
            pending: AtomicUsize::new(0),
            oldest_ms: AtomicI64::new(i64::MAX),
            is_disabled: AtomicBool::new(false),
        })
    }

    /// A number for a delivery; its row is known by it.
    pub(super) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a delivery's row in the place of its earlier one, as the newest.
    pub(super) fn note(&self, serial: u64, record: &Arc<HaltRecord>, row: DeliveryRow) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.retain(|logged| logged.serial != serial);
        if log.len() >= WEBHOOK_LOG_ROWS {
            log.pop_front();
        }
        log.push_back(Logged { serial, record: record.clone(), row });
    }

    /// The newest rows first.
    pub(super) fn rows(&self, limit: usize) -> Vec<DeliveryRow> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().rev().take(limit).map(|logged| logged.row.clone()).collect()
    }

    /// The record of a logged delivery.
    pub(super) fn record(&self, id: &str) -> Option<HaltRecord> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().rev().find(|logged| logged.record.id == id).map(|logged| HaltRecord::clone(&logged.record))
    }

    /// Queues a record by hand; false when too many are queued or nobody takes them any more.
    pub(super) fn queue(&self, record: HaltRecord) -> bool {
        self.queue.try_send(record).is_ok()
    }

    /// The other end of the queue, for the endpoint's task; `None` the second time.
    pub(super) fn queued(&self) -> Option<mpsc::Receiver<HaltRecord>> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn set_pending(&self, count: usize, oldest: Option<Millis>) {
        self.pending.store(count, Ordering::Relaxed);
        self.oldest_ms.store(oldest.map_or(i64::MAX, |at| at.0), Ordering::Relaxed);
    }

    pub(super) fn pending(&self) -> (usize, Option<Millis>) {
        let oldest = self.oldest_ms.load(Ordering::Relaxed);
        (self.pending.load(Ordering::Relaxed), Some(Millis(oldest)).filter(|_| oldest != i64::MAX))
    }

    pub(super) fn disable(&self) {
        self.is_disabled.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.is_disabled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shapes_tests::halt;
    use super::*;

    fn note(seat: &Seat, serial: u64, id: &str, attempts: usize) {
        let record = Arc::new(HaltRecord { id: id.to_owned(), ..halt() });
        let row = DeliveryRow {
            id: id.to_owned(),
            r#type: EventType::Halted,
            at: Millis(0),
            tenant: "acme".to_owned(),
            session: "s-1".to_owned(),
            attempts,
            outcome: DeliveryOutcome::Retrying,
            status: None,
            error: None,
            duration_ms: 1,
        };
        seat.note(serial, &record, row);
    }

    #[test]
    fn the_log_has_one_row_a_delivery_the_latest_tried_first_and_an_end() {
        let seat = Seat::new();
        note(&seat, seat.serial(), "a", 1);
        note(&seat, seat.serial(), "b", 1);
        note(&seat, 0, "a", 2);
        let rows = |limit| seat.rows(limit).into_iter().map(|row| (row.id, row.attempts)).collect::<Vec<_>>();
        assert_eq!(rows(9), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(rows(1), [("a".to_owned(), 2)]);
        for n in 0..WEBHOOK_LOG_ROWS {
            note(&seat, seat.serial(), &n.to_string(), 1);
        }
        assert_eq!((seat.rows(usize::MAX).len(), seat.record("a")), (WEBHOOK_LOG_ROWS, None));
        assert_eq!(seat.record("0").map(|record| record.id).as_deref(), Some("0"));
    }

    #[test]
    fn the_queue_has_an_end_and_is_read_by_one() {
        let seat = Seat::new();
        assert!((0..WEBHOOK_QUEUED_BY_HAND).all(|_| seat.queue(halt())));
        assert!(!seat.queue(halt()), "full");
        let mut queued = seat.queued().expect("the first time");
        assert!(seat.queued().is_none());
        assert_eq!(queued.try_recv().expect("queued").id, halt().id);
        assert!(seat.queue(halt()));
        drop(queued);
        assert!(!seat.queue(halt()), "nobody takes it");
    }
}
