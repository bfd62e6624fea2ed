//! The halt events as one webhook endpoint reads them: a consumer group of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{Reporter, Reporting};
use super::settings::KafkaSettings;
use crate::halt::HaltRecord;
use crate::io::ledger::Stream;
use crate::io::outbox::Position;

/// Longest time that one record is looked for.
const FIND_TIMEOUT: Duration = Duration::from_secs(10);
const FIND_POLL: Duration = Duration::from_millis(200);

/// One endpoint's place in the halt events.
pub struct KafkaOutbox {
    consumer: StreamConsumer<Reporting>,
    topic: String,
}

impl KafkaOutbox {
    /// Joins the endpoint's group; replicas of one deployment share the work.
    ///
    /// # Errors
    /// When a setting is refused by the client library.
    pub fn open(settings: &KafkaSettings, endpoint: &str) -> Result<Self, String> {
        let topic = settings.topic(Stream::HaltEvents);
        let group = format!("{}-webhook-{endpoint}", settings.group);
        let named = |error: KafkaError| format!("kafka: cannot read {topic}: {error}");
        let consumer: StreamConsumer<Reporting> = settings
            .reader("webhook", &group)
            .create_with_context(Reporting(Reporter::new("webhook")))
            .map_err(named)?;
        consumer.subscribe(&[&topic]).map_err(named)?;
        Ok(Self { consumer, topic })
    }

    /// Waits for the next record. What cannot be read is said and passed over.
    pub async fn next(&mut self) -> (Position, HaltRecord) {
        loop {
            match self.consumer.recv().await {
                Ok(record) => {
                    let position = Position { partition: record.partition(), offset: record.offset() };
                    match serde_json::from_slice(record.payload().unwrap_or_default()) {
                        Ok(halt) => return (position, halt),
                        Err(error) => tracing::error!(%error, ?position, "a halt event is damaged and is passed over"),
                    }
                }
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => {
                    self.consumer.context().0.report(&error, "reading the halt events");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// Everything up to and including `position` is done.
    pub fn done_through(&mut self, position: &Position) {
        let mut offsets = TopicPartitionList::new();
        let committed = offsets
            .add_partition_offset(&self.topic, position.partition, Offset::Offset(position.offset + 1))
            .and_then(|()| self.consumer.commit(&offsets, CommitMode::Async));
        if let Err(error) = committed {
            tracing::warn!(%error, "kafka: a webhook's place was not noted; it may be sent again after a restart");
        }
    }
}

/// The halt or release with this id, from the whole topic as it stands now. Commits nothing.
///
/// # Errors
/// When the topic cannot be read, or not within [`FIND_TIMEOUT`].
pub(super) fn find(settings: &KafkaSettings, id: &str) -> Result<Option<HaltRecord>, String> {
    let deadline = Instant::now() + FIND_TIMEOUT;
    let topic = settings.topic(Stream::HaltEvents);
    let named = |error: KafkaError| format!("kafka: cannot read {topic}: {error}");
    let group = format!("{}-find-{}", settings.group, std::process::id());
    let consumer: BaseConsumer<Reporting> =
        settings.reader("find", &group).create_with_context(Reporting(Reporter::new("find"))).map_err(named)?;
    let metadata = consumer.fetch_metadata(Some(&topic), FIND_TIMEOUT).map_err(named)?;
    let found = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut behind: BTreeSet<i32> = found.map(|partition| partition.id()).collect();
    let mut assignment = TopicPartitionList::new();
    for partition in &behind {
        assignment.add_partition_offset(&topic, *partition, Offset::Beginning).map_err(named)?;
    }
    consumer.assign(&assignment).map_err(named)?;
    while !behind.is_empty() {
        if Instant::now() > deadline {
            return Err(format!("kafka: {topic} was not read to its end within {FIND_TIMEOUT:?}"));
        }
        match consumer.poll(FIND_POLL) {
            Some(Ok(message)) => {
                let found = HaltRecord::in_json(message.payload().unwrap_or_default(), id);
                if found.is_some() {
                    return Ok(found);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                behind.remove(&partition);
            }
            Some(Err(error)) => consumer.context().0.report(&error, "looking for a halt"),
            None => {}
        }
    }
    Ok(None)
}
