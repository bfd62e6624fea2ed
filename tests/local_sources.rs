//! Without Kafka: posted events, a file, standard input, with the embedded ledger.

mod support;

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use support::engine::{Engine, command};
use support::webhooks::Receiver;
use support::{http, wait_for};

fn refund(session: &str, n: usize) -> Value {
    json!({"v": 1, "id": format!("{session}-{n}"), "session": session, "kind": "tool_call", "ts": format!("2026-11-23T10:00:{:02}Z", n % 60),
           "tool": {"name": "issue_refund", "args": {"order": n, "amount": 3}}})
}

struct Place {
    dir: tempfile::TempDir,
    receiver: Receiver,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory"), receiver: Receiver::start() };
        let ledger = place.dir.path().join("ledger.redb");
        let text = format!("{}[ledger]\npath = \"{}\"\n", place.receiver.settings(), ledger.display());
        std::fs::write(place.config(), text).expect("writes");
        place
    }

    fn config(&self) -> String {
        self.dir.path().join("h.toml").display().to_string()
    }

    fn start(&self, source: &[&str]) -> Engine {
        let config = self.config();
        Engine::start(&[&["--config", &config, "--source"], source].concat())
    }
}

fn state(engine: &Engine, session: &str) -> Value {
    http::get(engine.address, &format!("/v1/sessions/{session}")).json()["state"].clone()
}

#[test]
fn posted_events_halt_and_the_halt_outlives_a_crash() {
    let place = Place::new();
    let engine = place.start(&["http"]).ready();
    let mut batch: Vec<Value> = (0..3).map(|n| refund("a", n)).collect();
    batch.push(json!({"v": 1, "kind": "message"}));
    let answer = http::post(engine.address, "/v1/events", &json!(batch)).json();
    assert_eq!((answer["accepted"].clone(), answer["rejected"][0]["index"].clone()), (json!(3), json!(3)), "{answer}");
    engine.kill();

    // The window goes on behind the crash: three before, two after.
    let engine = place.start(&["http"]).ready();
    for n in 3..5 {
        assert_eq!(http::post(engine.address, "/v1/events", &refund("a", n)).json()["accepted"], 1);
    }
    let received = place.receiver.wait_for(1);
    assert_eq!(received[0].body["data"]["event_id"], "a-4", "{received:?}");
    engine.kill();

    let engine = place.start(&["http"]).ready();
    assert_eq!(state(&engine, "a"), "halted");
    assert_eq!(http::post(engine.address, "/v1/gate", &json!({"session": "a"})).json()["decision"], "deny");
    assert_eq!(engine.terminate(), Some(0));
    assert_eq!(place.receiver.received().len(), 1);
}

#[test]
fn a_file_is_read_to_its_end_and_not_twice() {
    let place = Place::new();
    let file = place.dir.path().join("events.ndjson");
    let mut lines: String = (0..6).map(|n| format!("{}\n", refund("f", n))).collect();
    lines.push_str("not json\n\n");
    std::fs::write(&file, lines).expect("writes");
    let path = file.display().to_string();
    for _ in 0..2 {
        let config = place.config();
        let args =
            ["run", "--config", &config, "--set", "http.listen=127.0.0.1:0", "--source", "file", "--path", &path];
        let output = command(&args).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let received = place.receiver.wait_for(1);
    assert_eq!((received.len(), received[0].session()), (1, "f"), "{received:?}");
    let engine = place.start(&["http"]).ready();
    assert_eq!(state(&engine, "f"), "halted");
}

#[test]
fn standard_input_is_watched_as_it_comes_and_a_signal_ends_it() {
    let place = Place::new();
    let config = place.config();
    let mut command = command(&["run", "--config", &config, "--set", "http.listen=127.0.0.1:0", "--source", "stdin"]);
    let (read, mut write) = std::io::pipe().expect("a pipe");
    command.stdin(Stdio::from(read));
    let engine = Engine::spawn(command).ready();
    for n in 0..5 {
        writeln!(write, "{}", refund("i", n)).expect("it reads");
    }
    wait_for("the halt", || (state(&engine, "i") == "halted").then_some(()));
    place.receiver.wait_for(1);
    // The pipe is still open.
    assert_eq!(engine.terminate(), Some(0));
}

/// A rule of one's own, laid over the pack's rule of the same id, or broken.
fn own_rule(limit: &str) -> String {
    format!(
        "schema = 1\nid = \"refund-rate-session-1m\"\ntitle = \"Refunds\"\ndescription = \"Refunds of one session.\"\n\
         severity = \"high\"\naction = \"halt\"\n[when]\nkind = \"tool_call\"\ntool = \"issue_refund\"\n\
         [rate]\ngroup_by = \"session\"\nwindow = \"1m\"\ncount_at_least = {limit}\n"
    )
}

#[test]
fn new_rules_are_taken_without_a_restart_and_broken_ones_change_nothing() {
    let place = Place::new();
    let rule = place.dir.path().join("rule.toml");
    std::fs::write(&rule, own_rule("100")).expect("writes");
    let paths = format!("rules.paths={:?}", ["builtin", &rule.display().to_string()]);
    let engine = place.start(&["http", "--set", &paths]).ready();
    // Accepted is durable, not yet scanned.
    let scan = |from: usize, to: usize| {
        let refunds: Vec<Value> = (from..to).map(|n| refund("r", n)).collect();
        assert_eq!(http::post(engine.address, "/v1/events", &json!(refunds)).json()["accepted"], to - from);
        wait_for("the events", || (engine.metric("haltline_events_total") == to as u64).then_some(()));
    };
    let reloaded = |result: &str| {
        engine.signal("HUP");
        let series = format!("haltline_rules_reload_total{{result=\"{result}\"}}");
        wait_for("the reload", || (engine.metric(&series) == 1).then_some(()));
    };
    std::fs::write(&rule, own_rule("\"many\"")).expect("writes");
    reloaded("failure");
    scan(0, 5);
    assert_eq!(state(&engine, "r"), "running", "the old limit holds");
    std::fs::write(&rule, own_rule("4")).expect("writes");
    reloaded("success");
    // A limit that changed counts from its first event on. Nine in all: the packs' limit of ten in five minutes is not met.
    scan(5, 8);
    assert_eq!(state(&engine, "r"), "running");
    scan(8, 9);
    let halted = place.receiver.wait_for(1)[0].body["data"].clone();
    assert_eq!((&halted["rule"], &halted["event_id"]), (&json!("refund-rate-session-1m"), &json!("r-8")), "{halted}");
}
