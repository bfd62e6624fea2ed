//! A topic that is read whole and then followed: how every replica knows every halt and every confirmation.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{Reporter, Reporting};
use super::settings::KafkaSettings;
use crate::io::ledger::Stream;

const POLL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a topic from its beginning and goes on until `stop`. When every partition has been read to its end,
/// `on_complete` is called, once. An empty value is a tombstone, by which an operator makes room; it says nothing.
///
/// # Errors
/// When the topic cannot be read at all.
pub fn follow(
    settings: &KafkaSettings,
    stream: Stream,
    stop: &AtomicBool,
    take: impl Fn(&[u8]),
    on_complete: impl FnOnce(),
) -> Result<(), String> {
    let topic = settings.topic(stream);
    let named = |error: KafkaError| format!("kafka: cannot read {topic}: {error}");
    let group = format!("{}-view-{}", settings.group, std::process::id());
    let consumer: BaseConsumer<Reporting> =
        settings.reader("view", &group).create_with_context(Reporting(Reporter::new("view"))).map_err(named)?;
    let mut behind = assign_all(&consumer, &topic).map_err(named)?;
    let mut on_complete = Some(on_complete);
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            Some(Ok(record)) => record.payload().filter(|payload| !payload.is_empty()).into_iter().for_each(&take),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                behind.remove(&partition);
                if behind.is_empty()
                    && let Some(complete) = on_complete.take()
                {
                    complete();
                }
            }
            Some(Err(error)) => consumer.context().0.report(&error, &format!("reading {topic}")),
            None => {}
        }
    }
    Ok(())
}

/// The last record of a topic with one partition; `None` where it is empty.
///
/// # Errors
/// When it cannot be read.
pub fn last_record(settings: &KafkaSettings, stream: Stream) -> Result<Option<Vec<u8>>, String> {
    let topic = settings.topic(stream);
    let named = |error: KafkaError| format!("kafka: cannot read {topic}: {error}");
    let consumer: BaseConsumer<Reporting> = settings
        .reader("last", &settings.group)
        .create_with_context(Reporting(Reporter::new("last")))
        .map_err(named)?;
    let (low, high) = consumer.fetch_watermarks(&topic, 0, TIMEOUT).map_err(named)?;
    if high <= low {
        return Ok(None);
    }
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&topic, 0, Offset::Offset(high - 1)).map_err(named)?;
    consumer.assign(&assignment).map_err(named)?;
    match consumer.poll(TIMEOUT) {
        Some(Ok(record)) => Ok(record.payload().map(<[u8]>::to_vec)),
        Some(Err(error)) => Err(named(error)),
        None => Err(format!("kafka: no answer within {} s for the last record of {topic}", TIMEOUT.as_secs())),
    }
}

fn assign_all(consumer: &BaseConsumer<Reporting>, topic: &str) -> Result<BTreeSet<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions: BTreeSet<i32> =
        metadata.topics().iter().flat_map(|topic| topic.partitions().iter().map(|partition| partition.id())).collect();
    let mut assignment = TopicPartitionList::new();
    for partition in &partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    Ok(partitions)
}
