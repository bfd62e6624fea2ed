//! What the clients say of themselves: a line for each kind of trouble, not a flood.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
    last: Mutex<BTreeMap<String, Instant>>,
}

impl Reporter {
    pub(super) fn new(role: &'static str) -> Self {
        Self { role, last: Mutex::default() }
    }

    pub(super) fn report(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            // Not trouble: the end of a partition, which is asked for.
            return;
        }
        let kind = code.map_or_else(|| error.to_string(), |code| code.to_string());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, at| at.elapsed() < REPEAT_AFTER);
        if let Entry::Vacant(first) = last.entry(family(code, &kind)) {
            tracing::warn!(client = self.role, error = %kind, reason, "kafka: trouble with the connection; it is tried again");
            first.insert(Instant::now());
        }
    }
}

/// A client has several connections and reports the loss of each in one way or another.
fn family(code: Option<RDKafkaErrorCode>, kind: &str) -> String {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, Resolve};
    match code {
        Some(AllBrokersDown | BrokerTransportFailure | Resolve) => "connection".to_owned(),
        _ => kind.to_owned(),
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
