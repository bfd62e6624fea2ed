//! The topics that Haltline writes: made when missing, with the settings that their use needs.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::context::{Reporter, Reporting};
use super::settings::KafkaSettings;
use crate::io::ledger::Stream;

const TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

struct Wanted {
    stream: Stream,
    partitions: i32,
    config: &'static [(&'static str, &'static str)],
}

const WANTED: [Wanted; 6] = [
    Wanted { stream: Stream::Findings, partitions: 4, config: &[("retention.ms", "604800000")] },
    // One partition: a total order of halts and releases; they are few.
    Wanted { stream: Stream::HaltEvents, partitions: 1, config: &[("retention.ms", "2592000000")] },
    Wanted {
        stream: Stream::Halts,
        partitions: 1,
        config: &[
            ("cleanup.policy", "compact"),
            ("segment.ms", "3600000"),
            ("max.compaction.lag.ms", "86400000"),
            ("min.cleanable.dirty.ratio", "0.1"),
        ],
    },
    Wanted { stream: Stream::DeadLetters, partitions: 1, config: &[("retention.ms", "1209600000")] },
    // One partition: of two answers all replicas see the same one first. Nobody asks for old ones.
    Wanted {
        stream: Stream::Confirmations,
        partitions: 1,
        config: &[("cleanup.policy", "compact,delete"), ("retention.ms", "604800000")],
    },
    // Kept for ever; whoever must forget sets a retention that the law allows.
    Wanted { stream: Stream::Audit, partitions: 1, config: &[("retention.ms", "-1")] },
];

/// Waits for the broker and makes the topics that are missing. While the broker can't be reached it says
/// so once and goes on trying.
///
/// # Errors
/// When a topic cannot be made; says what to do.
pub async fn prepare(settings: &KafkaSettings) -> Result<(), String> {
    let admin = admin(settings)?;
    let existing = wait_for_broker(&admin, settings).await?;
    for topic in settings.topics.iter().filter(|topic| !existing.contains(*topic)) {
        tracing::warn!(topic, "kafka: this topic does not exist yet; create it, events are read as soon as it does");
    }
    for wanted in &WANTED {
        if !existing.contains(&settings.topic(wanted.stream)) {
            create(&admin, settings, wanted).await?;
        }
    }
    Ok(())
}

async fn wait_for_broker(admin: &AdminClient<Reporting>, settings: &KafkaSettings) -> Result<Vec<String>, String> {
    let mut told = false;
    loop {
        // A blocking call of the client library, short enough for the start.
        let metadata = tokio::task::block_in_place(|| admin.inner().fetch_metadata(None, Duration::from_secs(3)));
        match metadata {
            Ok(metadata) => return Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()),
            Err(error) if !told => {
                told = true;
                let brokers = &settings.brokers;
                tracing::warn!(
                    "kafka: no answer from {brokers} ({error}); waiting for it. If that address is wrong, set kafka.brokers"
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn create(admin: &AdminClient<Reporting>, settings: &KafkaSettings, wanted: &Wanted) -> Result<(), String> {
    let name = settings.topic(wanted.stream);
    let replication = TopicReplication::Fixed(settings.replication);
    let topic = NewTopic::new(&name, wanted.partitions, replication);
    let topic = wanted.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let failed = |why: &dyn std::fmt::Display| {
        format!("kafka: cannot create the topic {name}: {why}; create it by hand or give this user the right to")
    };
    let results = admin.create_topics([&topic], &options).await.map_err(|error| failed(&error))?;
    for result in results {
        match result {
            Ok(_) => tracing::info!(topic = name, "kafka: topic created"),
            // Another replica was faster.
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(&code)),
        }
    }
    Ok(())
}

fn admin(settings: &KafkaSettings) -> Result<AdminClient<Reporting>, String> {
    let config = settings.finish(settings.client("admin"));
    config.create_with_context(Reporting(Reporter::new("admin"))).map_err(|error| format!("kafka: {error}"))
}

/// Checks that the halts are kept for ever: a topic that deletes by age would un-halt sessions. A broker
/// that does not answer this question (the in-process one of the demo) is believed.
///
/// # Errors
/// When the topic would forget halts; says how to mend it.
pub async fn check_halts_topic(settings: &KafkaSettings) -> Result<(), String> {
    let (admin, topic) = (admin(settings)?, settings.topic(Stream::Halts));
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let resource = ResourceSpecifier::Topic(&topic);
    let Ok(described) = admin.describe_configs([&resource], &options).await else { return Ok(()) };
    for resource in described.into_iter().flatten() {
        let policy = resource.get("cleanup.policy").and_then(|entry| entry.value.as_deref()).unwrap_or("compact");
        if policy != "compact" {
            return Err(format!(
                "kafka: topic {topic} has cleanup.policy={policy}, expected compact: it would forget halts by age. \
                 Set it with: kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=compact"
            ));
        }
    }
    Ok(())
}

/// Whether an error means that the topic does not exist (yet).
pub(super) fn is_unknown_topic(code: RDKafkaErrorCode) -> bool {
    matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
}
