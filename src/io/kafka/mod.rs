//! Kafka: where events come from and where effects go.
//!
//! `settings` is what an operator sets, `topics` makes what is missing, `source` reads events,
//! `ledger` writes effects, `view` follows the halts, `outbox` reads them for webhooks.

mod context;
mod ledger;
mod outbox;
mod range;
mod settings;
mod source;
mod topics;
mod view;

pub use ledger::KafkaLedger;
pub use outbox::KafkaOutbox;
pub use range::read_topic;
pub use settings::{KafkaSettings, Start};
pub use source::{End, KafkaProgress, Source, SourceContext, poll};
pub use topics::{check_halts_topic, prepare};
pub use view::{follow, last_record};
