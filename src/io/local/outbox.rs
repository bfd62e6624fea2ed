//! The outbox of the embedded ledger as one webhook endpoint reads it, from a cursor of its own.

use std::sync::Arc;
use std::time::Duration;

use redb::ReadableDatabase;

use super::{CURSORS, HALT_EVENTS, Job, LocalLedger};
use crate::halt::HaltRecord;
use crate::io::outbox::Position;

/// The outbox as one endpoint reads it.
pub struct LocalOutbox {
    ledger: Arc<LocalLedger>,
    endpoint: String,
    next: u64,
}

impl LocalOutbox {
    /// From where the endpoint had come to; a new one from the beginning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(ledger: Arc<LocalLedger>, endpoint: &str) -> Result<Self, String> {
        let read = || -> Result<Option<i64>, redb::Error> {
            let table = ledger.db.begin_read()?.open_table(CURSORS)?;
            Ok(table.get(endpoint)?.map(|row| row.value()))
        };
        let done = read().map_err(|error| format!("cannot read the cursor of webhook {endpoint}: {error}"))?;
        let next = done.map_or(0, |done| u64::try_from(done + 1).unwrap_or(0));
        Ok(Self { ledger, endpoint: endpoint.to_owned(), next })
    }

    /// Waits for the next record.
    pub async fn next(&mut self) -> (Position, HaltRecord) {
        let rung = self.ledger.halted.clone();
        loop {
            let ring = rung.notified();
            tokio::pin!(ring);
            // Registered before looking, so that a record written in between still rings.
            ring.as_mut().enable();
            match self.read() {
                Ok(Some(found)) => return found,
                Ok(None) => ring.await,
                Err(error) => {
                    tracing::error!(%error, endpoint = %self.endpoint, "cannot read the outbox; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Everything up to and including `position` is done.
    pub fn done_through(&mut self, position: &Position) {
        self.ledger.submit(Job::Cursor(self.endpoint.clone(), position.offset));
    }

    fn read(&mut self) -> Result<Option<(Position, HaltRecord)>, redb::Error> {
        let table = self.ledger.db.begin_read()?.open_table(HALT_EVENTS)?;
        for row in table.range(self.next..)? {
            let (seq, value) = row?;
            let seq = seq.value();
            self.next = seq + 1;
            match serde_json::from_slice(value.value()) {
                Ok(record) => {
                    let offset = i64::try_from(seq).unwrap_or(i64::MAX);
                    return Ok(Some((Position { partition: 0, offset }, record)));
                }
                Err(error) => tracing::error!(%error, seq, "a halt event is damaged and is passed over"),
            }
        }
        Ok(None)
    }
}
