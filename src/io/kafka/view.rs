//! The halts topic, read whole and then followed: how every replica knows every halt.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{Reporter, Reporting};
use super::settings::KafkaSettings;
use crate::halt::HaltRecord;
use crate::io::fleet::Fleet;
use crate::io::halts::HaltView;
use crate::io::ledger::Stream;

const POLL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the halts topic into the view and goes on until `stop`. The view is complete when every
/// partition has been read to its end; `on_complete` is called then, once.
///
/// # Errors
/// When the topic cannot be read at all.
pub fn follow(
    settings: &KafkaSettings,
    view: &HaltView,
    fleet: &Fleet,
    stop: &AtomicBool,
    on_complete: impl FnOnce(),
) -> Result<(), String> {
    let topic = settings.topic(Stream::Halts);
    let named = |error: KafkaError| format!("kafka: cannot read {topic}: {error}");
    let group = format!("{}-view-{}", settings.group, std::process::id());
    let consumer: BaseConsumer<Reporting> =
        settings.reader("view", &group).create_with_context(Reporting(Reporter::new("view"))).map_err(named)?;
    let mut behind = assign_all(&consumer, &topic).map_err(named)?;
    let mut on_complete = Some(on_complete);
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            Some(Ok(record)) => take(record.payload(), view, fleet),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                behind.remove(&partition);
                if behind.is_empty()
                    && let Some(complete) = on_complete.take()
                {
                    view.set_complete();
                    complete();
                }
            }
            Some(Err(error)) => consumer.context().0.report(&error, "reading the halts"),
            None => {}
        }
    }
    Ok(())
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

/// An empty value is a tombstone, by which an operator makes room; it un-halts nobody here.
fn take(payload: Option<&[u8]>, view: &HaltView, fleet: &Fleet) {
    let Some(payload) = payload.filter(|payload| !payload.is_empty()) else { return };
    match serde_json::from_slice::<HaltRecord>(payload) {
        Ok(record) => {
            if view.apply(&record) {
                fleet.tell(&record);
            }
        }
        Err(error) => tracing::error!(%error, "a record of the halts topic is damaged and is passed over"),
    }
}
