//! The real Prometheus server, scraping what a test tells it to.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{http, wait_for};

/// A server on a free loopback port. Ends with this value.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it on one target, or `None` after saying that the test is skipped; `tests/run` allows no
    /// skipping.
    pub fn start(target: SocketAddr) -> Option<Self> {
        if Command::new("prometheus").arg("--version").output().is_err() {
            let required = std::env::var("HALTLINE_TEST_REQUIRE_REAL").is_ok();
            assert!(!required, "no `prometheus` on the path: tests/setup installs it");
            eprintln!("skipped: no `prometheus` on the path; tests/setup installs it");
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let config = dir.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: haltline\n    static_configs: [{{targets: ['{target}']}}]\n"
        );
        std::fs::write(&config, text).expect("writes");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        Some(Self { child, address, _dir: dir })
    }

    /// Waits until it has scraped often enough for rates.
    pub fn wait_until_scraped(&self) {
        wait_for("three scrapes", || {
            let scraped = self.query("count_over_time(up{job=\"haltline\"}[1m])").ok()?;
            let count: f64 = scraped.first()?["value"][1].as_str()?.parse().ok()?;
            (count >= 3.0).then_some(())
        });
    }

    /// The series that a query gives now.
    pub fn query(&self, promql: &str) -> Result<Vec<Value>, String> {
        let encoded: String = promql.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = http::try_request(self.address, "GET", &format!("/api/v1/query?query={encoded}"), "");
        let answer = answer.map_err(|error| error.to_string())?;
        let body: Value =
            serde_json::from_str(&dechunked(&answer.body)).map_err(|error| format!("{error}: {}", answer.body))?;
        match body["status"].as_str() {
            Some("success") => Ok(body["data"]["result"].as_array().cloned().unwrap_or_default()),
            _ => Err(body["error"].to_string()),
        }
    }
}

/// The JSON object of a body that may have come in chunks.
fn dechunked(body: &str) -> String {
    if body.trim_start().starts_with('{') {
        return body.to_owned();
    }
    let mut whole = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else { break };
        whole.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
