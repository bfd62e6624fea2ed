//! The log of this process: its chain, the ledger under it, and what was written lately.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use super::chain::{AuditError, Chain, Draft, new_chain_id};
use super::entry::Entry;
use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::ledger::{self, Ledger, Stream};
use crate::limits::AUDIT_LISTED_MAX;

/// The audit log as this process writes it.
pub struct AuditLog {
    chain: Mutex<Chain>,
    about: Value,
    ledger: Ledger,
    /// What was written since the start.
    pub recent: Feed<Entry>,
}

impl AuditLog {
    /// A chain of its own, linked to the last entry that could be read. Its opening is written with the first order.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn open(ledger: Ledger, last: Option<&Entry>, about: Value) -> Result<Self, AuditError> {
        let chain = Chain::begin(new_chain_id()?, last, about.clone(), clock::now())?;
        Ok(Self { chain: Mutex::new(chain), about, ledger, recent: Feed::new(AUDIT_LISTED_MAX) })
    }

    /// Begins anew behind the last entry of a log that could not be read before, unless something was noted already;
    /// writes the opening.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub async fn link(&self, last: Option<&[u8]>) -> Result<(), AuditError> {
        let last = last.and_then(|row| Entry::from_line(row).ok());
        let mut chain = self.chain.lock().await;
        if chain.pending().is_some_and(|first| first.seq == 0) {
            *chain = Chain::begin(new_chain_id()?, last.as_ref(), self.about.clone(), clock::now())?;
        }
        chain.settle(&mut |entry| self.write(entry)).await.map(drop)
    }

    /// Notes an order; durable when it returns. Only then may the order be carried out.
    ///
    /// # Errors
    /// When the ledger does not take it, or it is too large.
    pub async fn record(&self, draft: Draft) -> Result<(), AuditError> {
        let mut chain = self.chain.lock().await;
        chain.record(draft, clock::now(), |entry| self.write(entry)).await.map(drop)
    }

    /// Writes what is pending, the opening of the chain at first.
    ///
    /// # Errors
    /// When the ledger does not take it.
    pub async fn settle(&self) -> Result<(), AuditError> {
        let mut chain = self.chain.lock().await;
        chain.settle(&mut |entry| self.write(entry)).await.map(drop)
    }

    async fn write(&self, entry: Entry) -> Result<(), String> {
        let row = ledger::Entry {
            stream: Stream::Audit,
            key: entry.chain.clone(),
            value: entry.to_line().into_bytes(),
            headers: Vec::new(),
        };
        self.ledger.write_and_wait(Arc::from([row])).await?;
        self.recent.push(entry);
        Ok(())
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").finish_non_exhaustive()
    }
}
