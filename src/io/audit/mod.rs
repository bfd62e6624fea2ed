//! The audit log: who ordered what, in chains of hashes, so that an edit shows.
//!
//! - One process writes one chain: entries numbered from 0, each with the hash of the one before it. What
//!   was edited, taken out, put in or moved no longer fits.
//! - A chain opens with a `start` entry, which holds the hash of the last entry that the process could read
//!   of any chain. So the chains of several replicas and of many starts hang together, and an end that was
//!   cut off shows once a later chain was linked to it.
//! - An entry is durable before its order is carried out, and says what was ordered, not that it took effect:
//!   what took effect stands in the halts. Nothing secret goes into an entry.
//!
//! The hashes have no key: who can write the whole log can also make a new one that fits. Against that, and
//! against a cut end to which nothing is linked yet, note a [`Head`] elsewhere from time to time (the
//! process's own log will do) and give it to [`verify`]. Deliberately absent: an order between chains, which
//! several writers do not have.

mod canonical;
mod chain;
mod entry;
mod log;
mod verify;
#[cfg(test)]
mod verify_tests;

pub use chain::{AuditError, Chain, Draft, ENTRY_BYTES_MAX, new_chain_id};
pub use entry::{Entry, ReadError, read};
pub use log::AuditLog;
pub use verify::{Head, Problem, Report, verify};
