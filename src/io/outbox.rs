//! The outbox: halts and releases in the order in which they became durable, read once per endpoint.
//!
//! Each endpoint has its own position, so that a dead one holds up nobody else. A position is moved
//! only past what was delivered or given up; after a crash the rest comes again, with the same ids.

use super::kafka::KafkaOutbox;
use super::local::LocalOutbox;
use crate::halt::HaltRecord;

/// Where a record stands in the outbox. Positions of one partition are ordered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Partition; 0 in the local ledger.
    pub partition: i32,
    /// Offset in the partition, or sequence number.
    pub offset: i64,
}

/// Either outbox, as one endpoint reads it.
pub enum Outbox {
    /// Kafka topic, consumer group of the endpoint.
    Kafka(KafkaOutbox),
    /// Table of the embedded database, cursor of the endpoint.
    Local(LocalOutbox),
}

impl Outbox {
    /// Waits for the next record. Safe to cancel: a record that was not returned comes again.
    pub async fn next(&mut self) -> (Position, HaltRecord) {
        match self {
            Self::Kafka(outbox) => outbox.next().await,
            Self::Local(outbox) => outbox.next().await,
        }
    }

    /// Everything up to and including `position` in its partition is done.
    pub fn done_through(&mut self, position: &Position) {
        match self {
            Self::Kafka(outbox) => outbox.done_through(position),
            Self::Local(outbox) => outbox.done_through(position),
        }
    }
}
