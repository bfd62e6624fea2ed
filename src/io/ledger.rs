//! The ledger: where effects become durable before anybody is told.
//!
//! Two of them: Kafka topics, or one file of the embedded database. Both take a group of entries and
//! call back once, when all of them are durable or one of them failed. The order of a group's entries
//! is kept within a stream. Writing the same group again does no harm: readers know the ids.

use std::sync::Arc;

use super::kafka::KafkaLedger;
use super::local::LocalLedger;
use crate::halt::HaltRecord;

/// What an entry is, and so which topic or table it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Findings, append-only.
    Findings,
    /// Halts and releases, append-only: the outbox that webhooks are sent from.
    HaltEvents,
    /// The latest halt record of each session, by key.
    Halts,
    /// What could not be used, with the reason.
    DeadLetters,
    /// Actions that wait for a person, by id.
    Confirmations,
    /// Who did what, append-only.
    Audit,
}

/// One record to make durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub stream: Stream,
    /// Key; for halts the tenant and session.
    pub key: String,
    /// Value: JSON, or the bytes of a dead letter.
    pub value: Vec<u8>,
    /// Kafka headers; for the local ledger they go beside the value.
    pub headers: Vec<(&'static str, String)>,
}

/// What became of a write: nothing to say, or what went wrong.
pub type WriteResult = Result<(), String>;

/// Called once, from any thread, when a write has succeeded or failed. Must not block.
pub type Done = Box<dyn FnOnce(WriteResult) + Send>;

/// Either ledger.
#[derive(Clone)]
pub enum Ledger {
    /// Kafka topics.
    Kafka(Arc<KafkaLedger>),
    /// A file of the embedded database.
    Local(Arc<LocalLedger>),
}

impl Ledger {
    /// Makes a group of entries durable and then calls `done`.
    pub fn write(&self, entries: Arc<[Entry]>, done: Done) {
        match self {
            Self::Kafka(ledger) => ledger.write(&entries, done),
            Self::Local(ledger) => ledger.write(entries, done),
        }
    }

    /// The same, for callers that can wait.
    ///
    /// # Errors
    /// When the entries are not durable; says why.
    pub async fn write_and_wait(&self, entries: Arc<[Entry]>) -> WriteResult {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.write(entries, Box::new(move |result| drop(reply.send(result))));
        answer.await.unwrap_or_else(|_| Err("the ledger ended".to_owned()))
    }

    /// The halt or release with this id, as far back as the outbox still reaches. Reads much: for what a
    /// person asks for now and then.
    ///
    /// # Errors
    /// When the ledger cannot be read, or not within some seconds; says why.
    pub async fn halt_event(&self, id: &str) -> Result<Option<HaltRecord>, String> {
        let (ledger, id) = (self.clone(), id.to_owned());
        let read = move || match ledger {
            Self::Kafka(ledger) => ledger.halt_event(&id),
            Self::Local(ledger) => ledger.halt_event(&id),
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(format!("cannot read the ledger: {error}")))
    }
}

/// The key of a session in the halts view: tenant and session as a JSON array, so that no two pairs of
/// names give the same key.
#[must_use]
pub fn halt_key(tenant: &str, session: &str) -> String {
    serde_json::json!([tenant, session]).to_string()
}
