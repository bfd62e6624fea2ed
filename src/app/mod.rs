//! Wiring: settings in, a running engine out, and its orderly end.
//!
//! `run` starts everything in the order in which it may be
//! believed, `sources` has one function for each place that events come from.

mod run;
mod sources;

pub use crate::io::rulebook::load_rules;
pub use run::{Hooks, Running, start};

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Kafka topics; the ledger is Kafka, too.
    Kafka,
    /// `POST /v1/events` only; the ledger is the embedded file.
    Http,
    /// A file, one event a line; ends with it.
    File(std::path::PathBuf),
    /// Standard input, one event a line; ends with it.
    Stdin,
}
