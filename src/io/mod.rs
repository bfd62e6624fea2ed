//! Everything that may fail, wait, or read the clock: Kafka, the embedded ledger, HTTP, files,
//! webhooks, metrics.
//!
//! Nothing here decides anything about a session; decisions come from the engine below, and the shard
//! loop above puts the two together.

pub mod api;
pub mod audit;
pub mod clock;
pub mod confirm;
pub mod credentials;
pub mod feed;
pub mod fleet;
pub mod halts;
pub mod hooks;
pub mod ingest;
pub mod kafka;
pub mod ledger;
pub mod lines;
pub mod local;
pub mod metrics;
pub mod orders;
pub mod outbox;
pub mod ready;
pub mod recent;
pub mod record;
pub mod replay;
pub mod rule_files;
pub mod rulebook;
pub mod webhook;
