//! Settings of the connection, and the client configuration that follows from them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use serde::Deserialize;

use crate::io::ledger::Stream;

/// `[kafka]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSettings {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// Topics with events.
    pub topics: Vec<String>,
    /// Consumer group; replicas of one deployment share it.
    pub group: String,
    /// Where to begin on a partition that the group has not read yet.
    pub start: Start,
    /// Worker threads; 0 for one less than the cores, at least one.
    pub workers: usize,
    /// Names of the topics that Haltline writes start with this.
    pub topic_prefix: String,
    /// Replication factor of topics that are made; -1 for the broker's default.
    pub replication: i32,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: Option<String>,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
    pub sasl_mechanism: Option<String>,
    /// User name.
    pub sasl_username: Option<String>,
    /// Password. Better in a file.
    pub sasl_password: Option<String>,
    /// File with the password.
    pub sasl_password_file: Option<PathBuf>,
    /// CA certificates, PEM.
    pub ssl_ca_location: Option<PathBuf>,
    /// Client certificate, PEM.
    pub ssl_certificate_location: Option<PathBuf>,
    /// Key of the client certificate, PEM.
    pub ssl_key_location: Option<PathBuf>,
    /// Any other setting of librdkafka, by its own name; wins over everything above.
    pub librdkafka: BTreeMap<String, String>,
}

/// Where to begin on a partition that the group has not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the oldest record.
    Earliest,
    /// After the newest one: what is there already is never looked at.
    Latest,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            topics: vec!["agent-events".to_owned()],
            group: "haltline".to_owned(),
            start: Start::Earliest,
            workers: 0,
            topic_prefix: "haltline.".to_owned(),
            replication: -1,
            security_protocol: None,
            sasl_mechanism: None,
            sasl_username: None,
            sasl_password: None,
            sasl_password_file: None,
            ssl_ca_location: None,
            ssl_certificate_location: None,
            ssl_key_location: None,
            librdkafka: BTreeMap::new(),
        }
    }
}

/// Shows where it connects to, never a password.
impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("topics", &self.topics)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl KafkaSettings {
    /// Checks what can be checked without a connection, and reads the password file.
    ///
    /// # Errors
    /// Says which setting is wrong and what was expected.
    pub fn resolve(mut self) -> Result<Self, String> {
        if self.brokers.trim().is_empty() {
            return Err("kafka.brokers: expected `host:port` (several separated by commas), got none".to_owned());
        }
        if self.topics.is_empty() || self.topics.iter().any(|topic| topic.trim().is_empty()) {
            return Err("kafka.topics: expected at least one topic name".to_owned());
        }
        if let Some(file) = &self.sasl_password_file {
            if self.sasl_password.is_some() {
                return Err("kafka: expected either sasl_password or sasl_password_file, got both".to_owned());
            }
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("kafka.sasl_password_file: cannot read {}: {error}", file.display()))?;
            self.sasl_password = Some(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        if self.sasl_mechanism.is_some() && self.security_protocol.as_deref().is_none_or(|p| !p.starts_with("sasl")) {
            return Err(
                "kafka.security_protocol: expected `sasl_ssl` or `sasl_plaintext`, as sasl_mechanism is set".to_owned()
            );
        }
        Ok(self)
    }

    /// The name of the topic behind a stream.
    #[must_use]
    pub fn topic(&self, stream: Stream) -> String {
        let name = match stream {
            Stream::Findings => "findings",
            Stream::HaltEvents => "halt-events",
            Stream::Halts => "halts",
            Stream::DeadLetters => "dead-letters",
            Stream::Confirmations => "confirmations",
            Stream::Audit => "audit",
        };
        format!("{}{name}", self.topic_prefix)
    }

    /// What every client shares.
    pub(super) fn client(&self, role: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        // Equal client ids have sent the sticky assignor into endless loops.
        config.set("client.id", format!("haltline-{role}-{}", std::process::id()));
        config.set("allow.auto.create.topics", "false");
        config.set("reconnect.backoff.max.ms", "2000");
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let optional = [
            ("security.protocol", self.security_protocol.clone()),
            ("sasl.mechanisms", self.sasl_mechanism.clone()),
            ("sasl.username", self.sasl_username.clone()),
            ("sasl.password", self.sasl_password.clone()),
            ("ssl.ca.location", path(&self.ssl_ca_location)),
            ("ssl.certificate.location", path(&self.ssl_certificate_location)),
            ("ssl.key.location", path(&self.ssl_key_location)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                config.set(name, value);
            }
        }
        config
    }

    /// The operator's own settings, last.
    pub(super) fn finish(&self, mut config: ClientConfig) -> ClientConfig {
        for (name, value) in &self.librdkafka {
            config.set(name, value);
        }
        config
    }

    /// The client that reads events.
    pub(super) fn source(&self) -> ClientConfig {
        let mut config = self.client("source");
        let settings = [
            ("group.id", self.group.as_str()),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "3000"),
            ("max.poll.interval.ms", "60000"),
            ("enable.auto.commit", "true"),
            ("auto.commit.interval.ms", "1000"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", if self.start == Start::Earliest { "earliest" } else { "latest" }),
            ("isolation.level", "read_committed"),
            ("check.crcs", "true"),
            ("enable.partition.eof", "true"),
            // The default of a second ruins the tail: the client would idle while records wait.
            ("fetch.queue.backoff.ms", "10"),
            ("fetch.wait.max.ms", "100"),
            ("fetch.message.max.bytes", "1048576"),
            ("queued.min.messages", "50000"),
            ("queued.max.messages.kbytes", "65536"),
            ("statistics.interval.ms", "5000"),
            // A topic that is created later, or gets more partitions, is noticed within this time.
            ("topic.metadata.refresh.interval.ms", "10000"),
        ];
        for (name, value) in settings {
            config.set(name, value);
        }
        self.finish(config)
    }

    /// A client that reads what Haltline itself wrote.
    pub(super) fn reader(&self, role: &str, group: &str) -> ClientConfig {
        let mut config = self.client(role);
        let settings = [
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_uncommitted"),
            ("session.timeout.ms", "10000"),
            ("fetch.queue.backoff.ms", "10"),
            ("fetch.wait.max.ms", "100"),
        ];
        for (name, value) in settings {
            config.set(name, value);
        }
        self.finish(config)
    }

    /// The client that writes effects.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client("ledger");
        let settings = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", "0"),
            // Never give up by time: an effect waits for the broker, and the source waits for the effect.
            ("message.timeout.ms", "0"),
            ("message.max.bytes", "2000000"),
        ];
        for (name, value) in settings {
            config.set(name, value);
        }
        self.finish(config)
    }
}
