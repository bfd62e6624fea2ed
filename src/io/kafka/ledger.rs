//! Effects into topics: an idempotent producer that waits for all replicas.
//!
//! A group of entries is done when the broker has acknowledged every one. Time never fails a write,
//! only the broker's word does (no such topic, no permission, too large); the caller tries again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};

use super::context::Reporter;
use super::settings::KafkaSettings;
use crate::halt::HaltRecord;
use crate::io::ingest::Posted;
use crate::io::ledger::{Done, Entry};

/// How long to wait when the producer's queue is full before trying again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);

/// The producer of all topics that Haltline writes.
pub struct KafkaLedger {
    producer: ThreadedProducer<Deliveries>,
    settings: KafkaSettings,
}

/// A group of records on their way.
struct Group {
    remaining: AtomicUsize,
    outcome: Mutex<(Option<String>, Option<Done>)>,
}

impl Group {
    fn new(records: usize, done: Done) -> Arc<Self> {
        Arc::new(Self { remaining: AtomicUsize::new(records), outcome: Mutex::new((None, Some(done))) })
    }

    /// One record is acknowledged or refused; the last one tells.
    fn settle(&self, refused: Option<String>) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_some() {
            outcome.0 = refused;
        }
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = outcome.1.take()
        {
            done(outcome.0.take().map_or(Ok(()), Err));
        }
    }
}

struct Deliveries(Reporter);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.report(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = Arc<Group>;

    fn delivery(&self, result: &DeliveryResult<'_>, group: Arc<Group>) {
        let refused = result.as_ref().err().map(|(error, record)| format!("topic {}: {error}", record.topic()));
        group.settle(refused);
    }
}

impl KafkaLedger {
    /// A producer; connects when it is first used.
    ///
    /// # Errors
    /// When a setting is refused by the client library; says which.
    pub fn new(settings: &KafkaSettings) -> Result<Self, String> {
        let producer = settings
            .producer()
            .create_with_context(Deliveries(Reporter::new("ledger")))
            .map_err(|error| format!("kafka: {error}"))?;
        Ok(Self { producer, settings: settings.clone() })
    }

    /// Produces a group of entries and then calls `done`.
    pub fn write(&self, entries: &[Entry], done: Done) {
        if entries.is_empty() {
            return done(Ok(()));
        }
        let group = Group::new(entries.len(), done);
        for entry in entries {
            let headers = entry.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value.as_str()) })
            });
            let topic = self.settings.topic(entry.stream);
            let record = BaseRecord::with_opaque_to(&topic, group.clone())
                .key(&entry.key)
                .payload(&entry.value)
                .headers(headers);
            self.send(record);
        }
    }

    /// Produces posted events to a topic, keyed by session, and then calls `done`.
    pub fn produce(&self, topic: &str, events: &[Posted], done: Done) {
        if events.is_empty() {
            return done(Ok(()));
        }
        let group = Group::new(events.len(), done);
        for event in events {
            self.send(BaseRecord::with_opaque_to(topic, group.clone()).key(&event.session).payload(&event.bytes));
        }
    }

    /// The halt or release with this id; `None` where the topic does not hold it any more.
    ///
    /// # Errors
    /// When the topic cannot be read, or not in time.
    pub fn halt_event(&self, id: &str) -> Result<Option<HaltRecord>, String> {
        super::outbox::find(&self.settings, id)
    }

    /// Waits until nothing is on the way any more, or `timeout` has passed.
    pub fn flush(&self, timeout: Duration) {
        if let Err(error) = self.producer.flush(timeout) {
            tracing::warn!(%error, "kafka: not everything was acknowledged before the end");
        }
    }

    /// Hands one record to the producer; a full queue is waited for, since the producer's own thread
    /// empties it.
    fn send(&self, mut record: BaseRecord<'_, String, Vec<u8>, Arc<Group>>) {
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), returned)) => {
                    record = returned;
                    std::thread::sleep(QUEUE_FULL_WAIT);
                }
                Err((error, returned)) => {
                    return returned.delivery_opaque.settle(Some(format!("topic {}: {error}", returned.topic)));
                }
            }
        }
    }
}
