//! Operators' orders: halt and resume, made durable before they are answered.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::clock;
use super::fleet::Fleet;
use super::halts::HaltView;
use super::ledger::{Entry, Ledger, Stream, halt_key};
use super::metrics::Metrics;
use crate::halt::{HaltRecord, Order};

/// Takes orders, one at a time, so that epochs do not collide within a process.
pub struct Orders {
    ledger: Ledger,
    halts: Arc<HaltView>,
    fleet: Fleet,
    metrics: Arc<Metrics>,
    one_at_a_time: Mutex<()>,
}

impl Orders {
    /// Orders on this ledger and view.
    #[must_use]
    pub fn new(ledger: Ledger, halts: Arc<HaltView>, fleet: Fleet, metrics: Arc<Metrics>) -> Self {
        Self { ledger, halts, fleet, metrics, one_at_a_time: Mutex::new(()) }
    }

    /// Carries out an order. Returns the record in force and whether the order changed anything.
    ///
    /// # Errors
    /// When the ledger could not make it durable; nothing has changed then.
    pub async fn give(&self, order: &Order) -> Result<(Option<HaltRecord>, bool), String> {
        let _turn = self.one_at_a_time.lock().await;
        let before = self.halts.get(&order.tenant, &order.session);
        let Some(mut record) = HaltRecord::from_order(order, before.as_ref()) else { return Ok((before, false)) };
        record.written = Some(clock::now());
        // The outbox first: a halt in the view without its event would never be told to anyone.
        self.ledger.write_and_wait(vec![entry(&record, Stream::HaltEvents)?].into()).await?;
        self.ledger.write_and_wait(vec![entry(&record, Stream::Halts)?].into()).await?;
        if self.halts.apply(&record) {
            self.fleet.tell(&record);
        }
        if record.is_halted() {
            self.metrics.halts.with_label_values(&["operator"]).inc();
        } else {
            self.metrics.resumes.inc();
        }
        Ok((Some(record), true))
    }
}

/// A halt record as an entry of the outbox or of the view.
///
/// # Errors
/// When it cannot be written as JSON, which its types rule out.
pub fn entry(record: &HaltRecord, stream: Stream) -> Result<Entry, String> {
    let value = serde_json::to_vec(record).map_err(|error| format!("halt record as JSON: {error}"))?;
    Ok(Entry { stream, key: halt_key(&record.tenant, &record.session), value, headers: Vec::new() })
}
