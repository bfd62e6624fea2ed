//! The boards: fit for provisioning in Grafana, and every panel's query gives data on a real Prometheus
//! that scrapes the running program.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use support::engine::Engine;
use support::prometheus::Prometheus;
use support::webhooks::Receiver;
use support::{http, wait_for};

const METRIC_NAMES: &str = include_str!("../src/io/metrics/names.rs");
const ALERTS: &str = include_str!("../dashboards/haltline.rules.yml");

fn boards() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let mut boards = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            boards.push((path.display().to_string(), serde_json::from_str(&text).expect("JSON")));
        }
    }
    assert!(!boards.is_empty(), "dashboards/*.json");
    boards
}

fn panels(board: &Value) -> Vec<&Value> {
    board["panels"].as_array().expect("a list").iter().filter(|panel| panel["type"] != "row").collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// Title and query of every target of every panel.
fn queries(board: &Value) -> Vec<(String, String)> {
    let targets = |panel: &Value| {
        let title = text(panel, "title").to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), text(&target, "expr").to_owned())).collect::<Vec<_>>()
    };
    panels(board).into_iter().flat_map(targets).collect()
}

/// The names of Haltline's metrics in a query.
fn metrics_in(query: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    query.split(|c| !is_name(c)).filter(|word| word.starts_with("haltline_")).map(str::to_owned).collect()
}

fn known_metrics() -> BTreeSet<String> {
    METRIC_NAMES.split('"').filter(|word| word.starts_with("haltline_")).map(str::to_owned).collect()
}

fn is_known(name: &str, known: &BTreeSet<String>) -> bool {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    known.contains(name) || base.is_some_and(|base| known.contains(base))
}

#[test]
fn boards_can_be_provisioned_and_read() {
    for (file, board) in boards() {
        assert_eq!((&board["id"], &board["editable"]), (&Value::Null, &json!(false)), "{file}");
        assert!((36..=41).contains(&board["schemaVersion"].as_u64().unwrap_or(0)), "{file}: classic schema");
        let variables: Vec<&str> =
            board["templating"]["list"].as_array().expect("a list").iter().map(|v| text(v, "name")).collect();
        assert_eq!(variables, ["datasource", "job", "instance"], "{file}");
        let mut ids = BTreeSet::new();
        for panel in board["panels"].as_array().expect("a list") {
            assert!(ids.insert(panel["id"].to_string()), "{file}: panel id {} stands twice", panel["id"]);
        }
        for panel in panels(&board) {
            let title = text(panel, "title");
            assert!(
                !title.is_empty() && !text(panel, "description").is_empty(),
                "{file}: {title}: title and description"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{file}: {title}");
            assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{file}: {title}: a unit");
            assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{file}: {title}: targets");
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    for (file, board) in boards() {
        let mut taken = BTreeSet::new();
        for panel in board["panels"].as_array().expect("a list") {
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            assert!(at("x") + at("w") <= 24, "{file}: {} is too wide", panel["title"]);
            for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{file}: {} overlaps another panel", panel["title"]);
            }
        }
    }
}

#[test]
fn queries_use_known_metrics_and_the_variables() {
    let known = known_metrics();
    for (file, board) in boards() {
        for (title, query) in queries(&board) {
            for name in metrics_in(&query) {
                assert!(is_known(&name, &known), "{file}: {title}: no metric is called {name}");
            }
            let selectors = query.matches('{').count();
            let chosen = query.matches(r#"job=~"$job", instance=~"$instance""#).count();
            assert!(
                selectors > 0 && selectors == chosen,
                "{file}: {title}: every selector names job and instance: {query}"
            );
            for ranged in ["rate(", "increase("].into_iter().filter(|f| query.contains(*f)) {
                let window = query.contains("[$__rate_interval]") || query.contains("[1h]") || query.contains("[5m]");
                assert!(window, "{file}: {title}: {ranged} over $__rate_interval or a stated time: {query}");
            }
        }
    }
    for name in metrics_in(ALERTS) {
        assert!(is_known(&name, &known), "haltline.rules.yml: no metric is called {name}");
    }
}

#[test]
fn every_metric_is_on_the_board() {
    let mut shown = metrics_in(ALERTS);
    for (_, board) in boards() {
        shown.extend(queries(&board).iter().flat_map(|(_, query)| metrics_in(query)));
        shown.extend(metrics_in(&board.to_string()));
    }
    let is_shown = |name: &&String| shown.iter().any(|used| used.starts_with(name.as_str()));
    let missing: Vec<String> = known_metrics().iter().filter(|name| !is_shown(name)).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "exported, but nobody would look at them");
}

/// The settings of an engine that has Kafka where the test run has one, so that those panels have data.
fn settings(receiver: &Receiver, dir: &Path) -> (String, Vec<String>) {
    let mut text = format!("{}[ledger]\npath = \"{}\"\n", receiver.settings(), dir.join("l.redb").display());
    // A harness at the same receiver, for the panel of stops.
    text.push_str(&receiver.settings().replace("\"test\"", "\"harness\"").replace("/hook", "/runs/{session}/stop"));
    text.push_str("kind = \"control\"\n");
    let kafka = support::kafka::Kafka::get();
    let source = if let Some(kafka) = &kafka {
        let name = support::unique("board");
        kafka.topic(&format!("events-{name}"), 2);
        text.push_str(&format!(
            "[kafka]\nbrokers = \"{}\"\ntopics = [\"events-{name}\"]\ngroup = \"{name}\"\ntopic_prefix = \"{name}.\"\n\
             [kafka.librdkafka]\n\"statistics.interval.ms\" = \"500\"\n",
            kafka.bootstrap
        ));
        "kafka"
    } else {
        "http"
    };
    std::fs::write(dir.join("h.toml"), text).expect("writes");
    let config = dir.join("h.toml").display().to_string();
    (source.to_owned(), vec!["--config".to_owned(), config, "--source".to_owned(), source.to_owned()])
}

#[test]
fn every_query_gives_data_on_a_real_prometheus() {
    let (receiver, dir) = (Receiver::start(), tempfile::tempdir().expect("a directory"));
    let (source, args) = settings(&receiver, dir.path());
    let engine = Engine::start(&args.iter().map(String::as_str).collect::<Vec<_>>()).ready();
    let Some(prometheus) = Prometheus::start(engine.address) else { return };
    let refund = |n: u32| {
        json!({"v": 1, "id": n.to_string(), "session": "s", "kind": "tool_call",
               "tool": {"name": "issue_refund", "args": {"order": n, "amount": 3}}})
    };
    let events: Vec<Value> = (0..6).map(refund).collect();
    assert_eq!(http::post(engine.address, "/v1/events", &json!(events)).json()["accepted"], 6);
    assert_eq!(http::post(engine.address, "/v1/gate", &json!({"session": "s"})).status, 200);
    receiver.wait_for(1);
    wait_for("the lag to be reported", || {
        let reported = http::get(engine.address, "/metrics").body.contains("haltline_kafka_consumer_lag{");
        (reported || source != "kafka").then_some(())
    });
    prometheus.wait_until_scraped();
    let mut checked = 0;
    for (file, board) in boards() {
        for (title, query) in queries(&board) {
            if source != "kafka" && (query.contains("_kafka_") || query.contains("window_complete")) {
                continue;
            }
            let concrete = query.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+");
            let series =
                prometheus.query(&concrete).unwrap_or_else(|error| panic!("{file}: {title}: {error}: {query}"));
            assert!(!series.is_empty(), "{file}: {title}: no data for {query}");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} queries");
}
