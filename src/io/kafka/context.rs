//! What the clients say of themselves: one line when the connection is lost, one when it is another
//! error, not a flood.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// The same complaint again is not repeated within this time.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Reports errors of one client, each kind once in a while.
#[derive(Debug)]
pub(super) struct Reporter {
    role: &'static str,
    last: Mutex<Option<(String, Instant)>>,
}

impl Reporter {
    pub(super) fn new(role: &'static str) -> Self {
        Self { role, last: Mutex::new(None) }
    }

    pub(super) fn report(&self, error: &KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            // Not trouble: the end of a partition, which is asked for.
            return;
        }
        let kind = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_some_and(|(known, at)| *known == kind && at.elapsed() < REPEAT_AFTER) {
            return;
        }
        tracing::warn!(client = self.role, error = %kind, reason, "kafka: trouble with the connection; it is tried again");
        *last = Some((kind, Instant::now()));
    }
}

/// The context of clients that need nothing else.
#[derive(Debug)]
pub struct Reporting(pub(super) Reporter);

impl ClientContext for Reporting {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.report(&error, reason);
    }
}

impl ConsumerContext for Reporting {}
