//! The in-process broker: the client library's own, over real sockets.

use anyhow::{Context, Result};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// The topic of the demo's events.
pub(super) const TOPIC: &str = "agent-events";
/// Its partitions.
pub(super) const PARTITIONS: i32 = 4;

/// A broker that ends with this value.
pub(super) struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Broker {
    /// Starts one broker with the topics that a real cluster would be given.
    pub(super) fn start() -> Result<Self> {
        let cluster = MockCluster::new(1).context("the in-process Kafka does not start")?;
        let topics = [
            (TOPIC, PARTITIONS),
            ("haltline.findings", 1),
            ("haltline.halt-events", 1),
            ("haltline.halts", 1),
            ("haltline.dead-letters", 1),
            ("haltline.confirmations", 1),
            ("haltline.audit", 1),
        ];
        for (topic, partitions) in topics {
            cluster.create_topic(topic, partitions, 1).with_context(|| format!("topic {topic}"))?;
        }
        Ok(Self { cluster })
    }

    /// `host:port`
    pub(super) fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
