//! A record of any source, as the shard loop sees it: borrowed bytes and where they stand.

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Timestamp};

use crate::time::Millis;

/// One record of a log.
pub trait Record: Send {
    /// What the shard loop needs of it, without copying.
    fn view(&self) -> RecordView<'_>;
}

/// A record's parts.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'r> {
    /// Topic or source name.
    pub topic: &'r str,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// When the log took it; `None` where the log does not say.
    pub append: Option<Millis>,
    /// Key, where there is one.
    pub key: Option<&'r [u8]>,
    /// The bytes.
    pub payload: &'r [u8],
}

impl Record for BorrowedMessage<'_> {
    fn view(&self) -> RecordView<'_> {
        let append = match self.timestamp() {
            Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) if ms > 0 => Some(Millis(ms)),
            _ => None,
        };
        RecordView {
            topic: self.topic(),
            partition: self.partition(),
            offset: self.offset(),
            append,
            key: self.key(),
            payload: self.payload().unwrap_or_default(),
        }
    }
}

/// A record of a source that is not Kafka.
#[derive(Clone, Debug)]
pub struct OwnedRecord {
    /// Source name.
    pub source: std::sync::Arc<str>,
    /// Sequence or line number.
    pub offset: i64,
    /// When it was taken.
    pub append: Option<Millis>,
    /// The bytes.
    pub payload: Vec<u8>,
}

impl Record for OwnedRecord {
    fn view(&self) -> RecordView<'_> {
        RecordView {
            topic: &self.source,
            partition: 0,
            offset: self.offset,
            append: self.append,
            key: None,
            payload: &self.payload,
        }
    }
}

/// What a source is told when all that follows from its records is durable.
pub trait Progress: Sync {
    /// Records of the shard before `mark.next` need not come again.
    fn done(&self, topic: &str, partition: i32, mark: Mark);
}

/// How far a shard has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The next record's offset.
    pub next: i64,
    /// The first record that the windows still need.
    pub replay_from: i64,
    /// The watermark.
    pub watermark: Millis,
}
