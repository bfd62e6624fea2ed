//! The real Kafka that `tests/run` starts, used through Kafka's own tools.

use std::io::Write;
use std::process::{Command, Stdio};

/// The node of this test run.
pub struct Kafka {
    pub bootstrap: String,
    pub directory: String,
}

impl Kafka {
    /// The node, or `None` after saying that the test is skipped; `tests/run` allows no skipping.
    pub fn get() -> Option<Self> {
        match (std::env::var("HALTLINE_TEST_KAFKA"), std::env::var("HALTLINE_TEST_KAFKA_DIR")) {
            (Ok(bootstrap), Ok(directory)) => Some(Self { bootstrap, directory }),
            _ => {
                let required = std::env::var("HALTLINE_TEST_REQUIRE_REAL").is_ok();
                assert!(!required, "HALTLINE_TEST_KAFKA is not set: run the tests by tests/run");
                eprintln!("skipped: no real Kafka; run the tests by tests/run");
                None
            }
        }
    }

    /// Creates a topic.
    pub fn topic(&self, name: &str, partitions: u32) {
        run(&["topic", &self.directory, name, &partitions.to_string()], "");
    }

    /// Sends records with Kafka's console producer.
    pub fn produce(&self, topic: &str, records: &[(String, String)]) {
        let lines: String = records.iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
        run(&["produce", &self.directory, topic], &lines);
    }

    /// Reads `count` records from the beginning with Kafka's console consumer: keys and values.
    pub fn consume(&self, topic: &str, count: usize) -> Vec<(String, String)> {
        let text = run(&["consume", &self.directory, topic, &count.to_string()], "");
        let split = |line: &str| line.split_once('\t').map(|(key, value)| (key.to_owned(), value.to_owned()));
        text.lines().filter_map(split).collect()
    }

    /// Number of records in a topic, by Kafka's own offsets tool.
    pub fn count(&self, topic: &str) -> u64 {
        let text = run(&["tool", &self.directory, "org.apache.kafka.tools.GetOffsetShell", "--topic", topic], "");
        text.lines().filter_map(|line| line.rsplit(':').next()?.trim().parse::<u64>().ok()).sum()
    }

    /// The settings of a topic, as Kafka's own tool prints them.
    pub fn describe(&self, topic: &str) -> String {
        let class = "org.apache.kafka.tools.TopicCommand";
        run(&["tool", &self.directory, class, "--describe", "--topic", topic], "")
    }

    /// Has the node take no more than so many bytes a second from a producer, or as many as it likes.
    pub fn limit_producer(&self, client_id: &str, bytes_per_second: Option<u32>) {
        let (how, what) = match bytes_per_second {
            Some(rate) => ("--add-config", format!("producer_byte_rate={rate}")),
            None => ("--delete-config", "producer_byte_rate".to_owned()),
        };
        let of = ["--entity-type", "clients", "--entity-name", client_id];
        run(&[&["tool", &self.directory, "kafka.admin.ConfigCommand", "--alter", how, &what], &of[..]].concat(), "");
    }

    /// What Kafka's own tool says of a consumer group; an error's text while there is none.
    pub fn describe_group(&self, group: &str, what: &str) -> String {
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        run(&["tool", &self.directory, class, "--describe", "--group", group, what], "")
    }
}

fn run(args: &[&str], input: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka");
    let mut child = Command::new(script)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/kafka starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "tests/kafka {args:?}: {out}{err}");
    out.into_owned()
}
