//! Recorded sessions on the command line: replay and backtest.

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use support::engine::command;

const LOOSE: &str = "schema = 1\nid = \"refunds\"\ntitle = \"Many refunds\"\nseverity = \"high\"\naction = \"halt\"\n[when]\nkind = \
    \"tool_call\"\ntool = \"*refund*\"\n[rate]\ngroup_by = \"session\"\nwindow = \"1m\"\ncount_at_least = 3\n";

/// Two sessions, one of which refunds three times in a minute, a line that is no event, and an empty line.
fn recorded() -> String {
    let mut lines = String::new();
    for n in 0..3 {
        let at = format!("2026-11-24T10:00:{:02}Z", 10 * n);
        for (session, tool) in [("hasty", "issue_refund"), ("calm", "get_order")] {
            let tool = json!({"name": tool, "args": {"order": n}});
            let id = format!("{session}-{n}");
            let event = json!({"v": 1, "id": id, "ts": at, "session": session, "kind": "tool_call", "tool": tool});
            writeln!(lines, "{event}").expect("memory");
        }
    }
    lines + "\nthis is no event\n"
}

fn run(args: &[&str]) -> Output {
    let output = command(args).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("writes");
    path.display().to_string()
}

#[test]
fn a_replay_gives_one_decision_an_event_and_the_same_bytes_each_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let events = write(dir.path(), "events.ndjson", &recorded());
    let rules = write(dir.path(), "refunds.toml", LOOSE);
    let first = run(&["replay", "--json", "--rules", &rules, &events]);
    assert_eq!(first.stdout, run(&["replay", "--json", "--rules", &rules, &events]).stdout);
    let got = lines(&first);
    let (summary, decisions) = got.split_last().expect("a summary");
    assert_eq!(*summary, json!({"events": 6, "findings": 1, "halted": ["hasty"], "dead_letters": 1}));
    let told: Vec<(&str, &str)> = decisions
        .iter()
        .map(|line| (line["event_id"].as_str().expect("an id"), line["verdict"].as_str().expect("a verdict")))
        .collect();
    let want = [
        ("hasty-0", "allow"),
        ("calm-0", "allow"),
        ("hasty-1", "allow"),
        ("calm-1", "allow"),
        ("hasty-2", "halt"),
        ("calm-2", "allow"),
        ("replay:0:7", "allow"),
    ];
    assert_eq!(told, want);
    let finding = &decisions[4]["findings"][0];
    assert_eq!((&finding["rule"], &finding["action"]), (&json!("refunds"), &json!("halt")), "{finding}");
    assert_eq!(finding["evidence"]["summary"], "3 events in 1m, limit 3");
    assert_eq!(decisions[6]["dead_letter"], "bad_json", "{}", decisions[6]);
}

#[test]
fn a_replay_in_shadow_halts_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let events = write(dir.path(), "events.ndjson", &recorded());
    let rules = write(dir.path(), "refunds.toml", LOOSE);
    let got = lines(&run(&["replay", "--json", "--quiet", "--shadow", "--rules", &rules, &events]));
    assert_eq!(got, [json!({"events": 6, "findings": 1, "halted": [], "dead_letters": 1})]);
}

#[test]
fn a_backtest_names_every_decision_that_would_change() {
    let dir = tempfile::tempdir().expect("a directory");
    let events = write(dir.path(), "events.ndjson", &recorded());
    let old = write(dir.path(), "old.toml", LOOSE);
    let new = write(dir.path(), "new.toml", &LOOSE.replace("count_at_least = 3", "count_at_least = 2"));
    let got = lines(&run(&["backtest", "--json", "--rules", &new, "--against", &old, &events]));
    let (summary, changes) = got.split_last().expect("a summary");
    let changed: Vec<&Value> = changes.iter().map(|change| &change["event_id"]).collect();
    assert_eq!(changed, ["hasty-1", "hasty-2"], "found earlier, and not again");
    assert_eq!(changes[0]["was"], json!({"verdict": "allow", "rules": {}}));
    assert_eq!(changes[0]["now"], json!({"verdict": "halt", "rules": {"refunds": "halt"}}));
    assert_eq!(summary["rules"], json!({"refunds": {"new": 1, "gone": 1, "changed": 0, "same": 0}}));
    assert_eq!((&summary["events"], &summary["changed"]), (&json!(7), &json!(2)));
    assert_eq!(summary["newly_halted"], json!([]));
    let same = lines(&run(&["backtest", "--json", "--rules", &old, "--against", &old, &events]));
    assert_eq!(same.len(), 1, "nothing changes against itself: {same:?}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = command(&["replay", "/no/such/file"]).output().expect("the program starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("/no/such/file"), "{err}");
}
