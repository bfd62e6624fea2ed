//! Identifiers: where a record stands, and ids that follow from what they name.
//!
//! An id is a digest of its cause, never a counter and never random: whoever sees the cause again,
//! after a crash or on another machine, makes the same id. That is what lets a redelivery be
//! recognised instead of halting twice.

use std::fmt::Write as _;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A log's partition: what one shard reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId {
    /// Topic name, or the name of a source that is not Kafka (`http`, `file:PATH`, `stdin`).
    pub topic: Arc<str>,
    /// Partition number; 0 where the source has only one.
    pub partition: i32,
}

/// Where a record stands in its log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// Topic or source name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
    /// Offset of the record in the partition (for a file: its line number, from 0).
    pub offset: i64,
}

impl Origin {
    /// Whether `self` lies at or before `other` in the same partition. Records of two partitions
    /// have no order.
    #[must_use]
    pub fn at_or_before(&self, other: &Self) -> bool {
        self.topic == other.topic && self.partition == other.partition && self.offset <= other.offset
    }
}

/// `topic:partition:offset`, which is also the id of an event that has none of its own.
impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.topic, self.partition, self.offset)
    }
}

/// An id made from its cause: `prefix` and the first 128 bits, in hex, of a SHA-256 over the parts.
/// Every part goes in with its length, so that no two lists of parts give the same bytes.
#[must_use]
pub fn digest_id(prefix: &str, parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut id = String::with_capacity(prefix.len() + 32);
    id.push_str(prefix);
    hasher.finalize().iter().take(16).for_each(|byte| {
        let _ = write!(id, "{byte:02x}");
    });
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_run_into_each_other() {
        assert_ne!(digest_id("f_", &[b"ab", b"c"]), digest_id("f_", &[b"a", b"bc"]));
        assert_eq!(digest_id("f_", &[b"ab"]), digest_id("f_", &[b"ab"]));
        assert_eq!(digest_id("f_", &[]).len(), 34);
    }

    #[test]
    fn partitions_have_no_order_between_them() {
        let at = |partition, offset| Origin { topic: "t".into(), partition, offset };
        assert!(at(0, 3).at_or_before(&at(0, 3)));
        assert!(!at(0, 4).at_or_before(&at(0, 3)));
        assert!(!at(1, 3).at_or_before(&at(0, 3)));
    }
}
