//! A topic read once, from a time or its beginning to its present end: for replay and backtest.
//!
//! The partitions are read one after the other, so that the order of what comes out is the same each time.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{Reporter, Reporting};
use super::settings::KafkaSettings;
use crate::io::record::{Record, RecordView};
use crate::time::Millis;

const POLL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Gives each record between two times to `take`: partition by partition, in order of offsets. Commits
/// nothing.
///
/// # Errors
/// When the topic is not there or cannot be read, and whatever `take` fails with.
pub fn read_topic(
    settings: &KafkaSettings,
    topic: &str,
    (since, until): (Option<Millis>, Option<Millis>),
    take: &mut dyn FnMut(RecordView<'_>) -> Result<()>,
) -> Result<()> {
    let group = format!("{}-replay-{}", settings.group, std::process::id());
    let consumer: BaseConsumer<Reporting> =
        settings.reader("replay", &group).create_with_context(Reporting(Reporter::new("replay")))?;
    let metadata =
        consumer.fetch_metadata(Some(topic), TIMEOUT).with_context(|| format!("kafka: cannot read {topic}"))?;
    let found = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut partitions: Vec<i32> = found.map(|partition| partition.id()).collect();
    if partitions.is_empty() {
        bail!("kafka: there is no topic {topic}");
    }
    partitions.sort_unstable();
    let in_time = |append: Option<Millis>| {
        append.is_none_or(|at| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until))
    };
    for partition in partitions {
        let mut one = |record: RecordView<'_>| if in_time(record.append) { take(record) } else { Ok(()) };
        read_partition(&consumer, topic, partition, &mut one)?;
    }
    Ok(())
}

/// Reads up to the end as it is now; what is written meanwhile is left out.
fn read_partition(
    consumer: &BaseConsumer<Reporting>,
    topic: &str,
    partition: i32,
    take: &mut dyn FnMut(RecordView<'_>) -> Result<()>,
) -> Result<()> {
    let (first, end) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
    if first >= end {
        return Ok(());
    }
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(first))?;
    consumer.assign(&assignment)?;
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let record = message.view();
                // Control records and compaction leave holes, so the last offset may never be seen.
                if record.offset >= end {
                    return Ok(());
                }
                take(record)?;
                if record.offset + 1 >= end {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => consumer.context().0.report(&error, "reading the topic"),
            None => {}
        }
    }
}
