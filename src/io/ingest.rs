//! Events that come in by HTTP: put into the log that the shards read, like everybody else's.

use std::sync::Arc;

use super::kafka::KafkaLedger;
use super::local::LocalLedger;

/// Where posted events go.
#[derive(Clone)]
pub enum Ingest {
    /// Produced to a Kafka topic, keyed by session.
    Kafka(Arc<KafkaLedger>, Arc<str>),
    /// Appended to the embedded log.
    Local(Arc<LocalLedger>),
    /// This process reads a file or standard input and takes no events.
    Closed,
}

/// One posted event: its session, which is the key, and its bytes as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Session, the record's key.
    pub session: String,
    /// The event as it came.
    pub bytes: Vec<u8>,
}

impl Ingest {
    /// Makes events durable in their order. Either all of them are, or the error says why not.
    ///
    /// # Errors
    /// When the log does not take them.
    pub async fn append(&self, events: Vec<Posted>) -> Result<(), String> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| drop(reply.send(result)));
        match self {
            Self::Kafka(ledger, topic) => ledger.produce(topic, &events, done),
            Self::Local(ledger) => ledger.append_events(events, done),
            Self::Closed => {
                return Err("this process takes no events by HTTP: it was started with another source".to_owned());
            }
        }
        answer.await.unwrap_or_else(|_| Err("the log ended".to_owned()))
    }
}
