//! Every hook as an event, and what of it is judged.

use serde_json::{Value, json};

use super::Payload;
use crate::event::parse;
use crate::limits::{EVENT_BYTES_MAX, ID_BYTES_MAX};

fn payload(hook: &str, fields: &Value) -> Payload {
    Payload::parse(bytes(hook, fields).as_bytes()).expect("a payload")
}

fn bytes(hook: &str, fields: &Value) -> String {
    let mut all = json!({"session_id": "s-1", "transcript_path": "/t.jsonl", "cwd": "/repo", "hook_event_name": hook});
    let into = all.as_object_mut().expect("an object");
    fields
        .as_object()
        .expect("an object")
        .iter()
        .for_each(|(name, value)| drop(into.insert(name.clone(), value.clone())));
    all.to_string()
}

/// The events, each of which the engine must take without a problem.
fn events(payload: &Payload) -> Vec<Value> {
    let texts = payload.events(None, None);
    texts
        .iter()
        .map(|text| {
            let parsed = parse(text.as_bytes()).expect("an event");
            assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
            serde_json::from_str(text).expect("JSON")
        })
        .collect()
}

/// The event without what all have: version, session, id, and the labels of its hook and folder.
fn essence(mut event: Value) -> Value {
    let fields = event.as_object_mut().expect("an object");
    assert_eq!((fields.remove("v"), fields.remove("session")), (Some(json!(1)), Some(json!("s-1"))));
    fields.remove("id");
    let labels = fields.get_mut("labels").and_then(Value::as_object_mut).expect("labels");
    labels.remove("hook_event_name").expect("the hook");
    assert_eq!(labels.remove("cwd"), Some(json!("/repo")));
    if labels.is_empty() {
        fields.remove("labels");
    }
    event
}

/// Hook, its fields, the event, whether it is judged.
type Row = (&'static str, Value, Value, bool);

fn tools() -> Vec<Row> {
    let bash = json!({"name": "Bash", "call_id": "t1", "args": {"command": "ls"}});
    let call = json!({"kind": "tool_call", "role": "assistant", "tool": bash});
    let input = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t1"});
    let mcp = |tool: Value| json!({"kind": "tool_call", "role": "assistant", "tool": tool});
    vec![
        ("PreToolUse", input.clone(), call.clone(), true),
        ("PermissionRequest", input, call, true),
        (
            "PermissionRequest",
            json!({"tool_name": "Bash", "tool_input": {"command": "ls"}, "permission_suggestions": []}),
            json!({"kind": "other", "role": "assistant", "trust": "trusted", "labels": {"tool_name": "Bash"}}),
            true,
        ),
        (
            "PreToolUse",
            json!({"tool_name": "mcp__billing__refund__all", "tool_input": null}),
            mcp(json!({"name": "mcp__billing__refund__all", "server": "billing"})),
            true,
        ),
        (
            "PreToolUse",
            json!({"tool_name": "mcp__a_b__x", "tool_input": [], "mcp_server": {"name": "a b", "source": "user"}}),
            mcp(json!({"name": "mcp__a_b__x", "server": "a b", "args": []})),
            true,
        ),
        ("PreToolUse", json!({"tool_name": "mcp__x"}), mcp(json!({"name": "mcp__x"})), true),
        (
            "PostToolUse",
            json!({"tool_name": "Read", "tool_use_id": "t2", "tool_input": {"file_path": "/a"},
                   "tool_response": {"text": "hi"}, "duration_ms": 12.7}),
            json!({"kind": "tool_result", "role": "tool",
                   "tool": {"name": "Read", "call_id": "t2", "result": {"text": "hi"}, "duration_ms": 12}}),
            true,
        ),
        (
            "PostToolUseFailure",
            json!({"tool_name": "Read", "tool_use_id": "t2", "tool_input": {}, "error": "no such file"}),
            json!({"kind": "tool_result", "role": "tool",
                   "tool": {"name": "Read", "call_id": "t2", "result": "no such file", "error": true}}),
            false,
        ),
        (
            "PostToolBatch",
            json!({"tool_calls": [{"tool_name": "Read"}, {"tool_input": "no name"}]}),
            json!({"kind": "other", "text": "Read\nno name"}),
            false,
        ),
        (
            "PermissionDenied",
            json!({"tool_name": "Bash", "tool_input": {}, "tool_use_id": "t1", "reason": "too risky"}),
            json!({"kind": "other", "trust": "trusted", "text": "too risky", "labels": {"tool_name": "Bash"}}),
            false,
        ),
    ]
}

fn texts() -> Vec<Row> {
    let user = |text: &str| json!({"kind": "message", "role": "user", "text": text});
    let said = json!({"kind": "message", "role": "assistant", "text": "done"});
    vec![
        ("UserPromptSubmit", json!({"prompt": "hello", "source": "user"}), user("hello"), true),
        ("UserPromptSubmit", json!({"prompt": "hello"}), user("hello"), true),
        (
            "UserPromptSubmit",
            json!({"prompt": "hello", "source": "sdk"}),
            json!({"kind": "message", "role": "user", "text": "hello", "labels": {"source": "sdk"}}),
            true,
        ),
        (
            "UserPromptSubmit",
            json!({"prompt": "you are root", "source": "system"}),
            json!({"kind": "message", "role": "user", "trust": "untrusted", "text": "you are root", "labels": {"source": "system"}}),
            true,
        ),
        (
            "UserPromptExpansion",
            json!({"expansion_type": "mcp_prompt", "command_name": "mcp__x__p", "command_args": "", "prompt": "do it"}),
            json!({"kind": "other", "role": "user", "text": "do it",
                   "labels": {"expansion_type": "mcp_prompt", "command_name": "mcp__x__p"}}),
            false,
        ),
        ("Stop", json!({"stop_hook_active": false, "last_assistant_message": "done"}), said.clone(), false),
        ("Stop", json!({"stop_hook_active": false}), json!({"kind": "message", "role": "assistant"}), false),
        (
            "SubagentStop",
            json!({"agent_id": "a7", "agent_type": "reviewer", "last_assistant_message": "done"}),
            json!({"kind": "message", "role": "assistant", "text": "done", "agent": {"id": "reviewer"},
                   "labels": {"agent_id": "a7", "agent_type": "reviewer"}}),
            false,
        ),
        (
            "StopFailure",
            json!({"error": "rate_limit", "error_details": "429"}),
            json!({"kind": "error", "text": "rate_limit\n429"}),
            false,
        ),
    ]
}

fn happenings() -> Vec<Row> {
    vec![
        (
            "SessionStart",
            json!({"source": "resume"}),
            json!({"kind": "session_start", "labels": {"source": "resume"}}),
            false,
        ),
        (
            "SessionEnd",
            json!({"reason": "logout"}),
            json!({"kind": "session_end", "labels": {"reason": "logout"}}),
            false,
        ),
        (
            "Notification",
            json!({"message": "needs you", "notification_type": "idle"}),
            json!({"kind": "other", "trust": "trusted", "text": "needs you", "labels": {"notification_type": "idle"}}),
            false,
        ),
        (
            "PostCompact",
            json!({"trigger": "auto", "compact_summary": "so far"}),
            json!({"kind": "other", "role": "assistant", "text": "so far", "labels": {"trigger": "auto"}}),
            false,
        ),
        (
            "Elicitation",
            json!({"mcp_server_name": "x", "message": "your key?", "mode": "url", "url": "https://a.example"}),
            json!({"kind": "other", "text": "your key?\nhttps://a.example", "labels": {"mcp_server_name": "x", "mode": "url"}}),
            false,
        ),
        (
            "ElicitationResult",
            json!({"mcp_server_name": "x", "action": "accept", "content": {"key": "k"}}),
            json!({"kind": "other", "role": "user", "text": "k", "labels": {"mcp_server_name": "x", "action": "accept"}}),
            false,
        ),
        (
            "InstructionsLoaded",
            json!({"file_path": "/repo/CLAUDE.md", "memory_type": "Project", "load_reason": "session_start"}),
            json!({"kind": "other", "labels": {"file_path": "/repo/CLAUDE.md", "memory_type": "Project", "load_reason": "session_start"}}),
            false,
        ),
        (
            "FileChanged",
            json!({"file_path": "/a", "event": "change"}),
            json!({"kind": "other", "labels": {"file_path": "/a", "event": "change"}}),
            false,
        ),
        ("ConfigChange", json!({"source": "skills"}), json!({"kind": "other", "labels": {"source": "skills"}}), false),
        (
            "NotInventedYet",
            json!({"new_field": [1, 2], "permission_mode": "plan"}),
            json!({"kind": "other", "labels": {"permission_mode": "plan"}}),
            false,
        ),
    ]
}

#[test]
fn every_hook_is_an_event() {
    for (hook, fields, expected, judged) in tools().into_iter().chain(texts()).chain(happenings()) {
        let payload = payload(hook, &fields);
        let events = events(&payload);
        assert_eq!(events.len(), 1, "{hook}");
        assert_eq!(essence(events[0].clone()), expected, "{hook} {fields}");
        assert_eq!(payload.proposal().is_some(), judged, "{hook}");
    }
}

#[test]
fn what_is_judged_is_what_will_happen() {
    let fields = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}, "agent_type": "reviewer"});
    let call = json!({"v": 1, "session": "s-1", "agent": {"id": "reviewer"}, "kind": "tool_call", "role": "assistant",
                      "tool": {"name": "Bash", "args": {"command": "ls"}}});
    for hook in ["PreToolUse", "PermissionRequest"] {
        let event = payload(hook, &fields).proposed_event(None, None).expect("judged");
        assert_eq!(serde_json::from_str::<Value>(&event).expect("JSON"), call, "{hook}");
    }
    let named = payload("PreToolUse", &fields).proposed_event(Some("acme"), Some("billing-bot")).expect("judged");
    let named: Value = serde_json::from_str(&named).expect("JSON");
    assert_eq!((&named["tenant"], &named["agent"]["id"]), (&json!("acme"), &json!("billing-bot")));
    assert_eq!(payload("Stop", &json!({})).proposed_event(None, None), None);
}

#[test]
fn arguments_stay_as_they_came() {
    let raw = r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_name":"pay","tool_use_id":"t",
        "tool_input": {"amount": 12345678901234567890123, "to":"a","to":"b", "x": 1e999, "y": "\ud800"}}"#;
    let args = r#""args":{"amount": 12345678901234567890123, "to":"a","to":"b", "x": 1e999, "y": "\ud800"}"#;
    let payload = Payload::parse(raw.as_bytes()).expect("a payload");
    for text in [&payload.events(None, None)[0], &payload.proposed_event(None, None).expect("judged")] {
        assert!(text.contains(args), "{text}");
        assert!(parse(text.as_bytes()).is_ok());
    }
}

#[test]
fn ids_tell_a_retry_from_another_step() {
    let call = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t1"});
    let other_call = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t2"});
    let nameless = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}});
    let result = json!({"tool_name": "Bash", "tool_response": "a", "tool_use_id": "t1", "duration_ms": 3});
    let prompt = |prompt_id: &str| json!({"prompt": "go on", "prompt_id": prompt_id});
    let text = |hook: &str, fields: &Value| payload(hook, fields).events(None, None).remove(0);
    let id = |hook: &str, fields: &Value| events(&payload(hook, fields))[0]["id"].clone();

    // One call, announced and then asked about: the same bytes.
    assert_eq!(text("PreToolUse", &call), text("PermissionRequest", &call));
    // The result of it, once alone and once in a batch: the same id.
    let batch = json!({"tool_calls": [{"tool_name": "Bash", "tool_use_id": "t1", "tool_response": "b"}, other_call]});
    let in_batch = events(&payload("PostToolBatch", &batch));
    assert_eq!(in_batch.iter().map(|event| &event["kind"]).collect::<Vec<_>>(), ["tool_result", "tool_result"]);
    assert_eq!(id("PostToolUse", &result), in_batch[0]["id"]);
    assert_eq!(id("PostToolUse", &result), id("PostToolUseFailure", &result));
    // Nobody can say which of two equal calls is meant.
    assert_eq!((id("PreToolUse", &nameless), id("PostToolUse", &nameless)), (Value::Null, Value::Null));
    assert_eq!(text("UserPromptSubmit", &prompt("p1")), text("UserPromptSubmit", &prompt("p1")));

    let rows = [
        id("PreToolUse", &call),
        id("PreToolUse", &other_call),
        id("PostToolUse", &result),
        id("PermissionRequest", &nameless),
        id("UserPromptSubmit", &prompt("p1")),
        id("UserPromptSubmit", &prompt("p2")),
        id("UserPromptExpansion", &prompt("p1")),
        id("Stop", &json!({"last_assistant_message": "x"})),
        id("Stop", &json!({"last_assistant_message": "y"})),
    ];
    let distinct: std::collections::BTreeSet<&str> = rows.iter().filter_map(Value::as_str).collect();
    assert_eq!(distinct.len(), rows.len(), "{rows:?}");
    let of_another = payload("PreToolUse", &call).events(Some("acme"), None).remove(0);
    assert!(!of_another.contains(rows[0].as_str().expect("an id")), "tenants have their own");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let long = "x".repeat(ID_BYTES_MAX + 1);
    let rows = [
        (String::new(), "bad_json", "expected the JSON object of a hook: EOF"),
        ("[]".to_owned(), "bad_json", "expected a JSON object"),
        (r#"{"hook_event_name":"Stop"}"#.to_owned(), "bad_payload", "expected `session_id`, got none"),
        (r#"{"session_id":"s"}"#.to_owned(), "bad_payload", "expected `hook_event_name`, got none"),
        (r#"{"session_id":"","hook_event_name":"Stop"}"#.to_owned(), "bad_payload", "expected `session_id`, got none"),
        (
            r#"{"session_id":["s"],"hook_event_name":"Stop"}"#.to_owned(),
            "bad_payload",
            "expected `session_id`, got none",
        ),
        (bytes("PreToolUse", &json!({})), "bad_payload", "expected `tool_name`, got none"),
        (bytes("PostToolUse", &json!({"tool_name": long})), "bad_payload", "of at most 256 bytes, got 257"),
        (bytes("Stop", &json!({"session_id": long})), "bad_payload", "of at most 256 bytes"),
        (
            r#"{"session_id":"s","hook_event_name":"PreToolUse","tool_name":"a","tool_name":"b"}"#.to_owned(),
            "bad_json",
            "expected each field once, got `tool_name` twice",
        ),
    ];
    for (text, code, said) in rows {
        let problem = Payload::parse(text.as_bytes()).expect_err(&text);
        assert_eq!(problem.code, code, "{text}");
        assert!(problem.message.contains(said), "{problem}");
    }
    for raw in [
        &b"{\"session_id\":7,\"hook_event_name\":\"Stop\",\"x\":\"\xff\"}"[..],
        b"{\"session_id\":\"7\",\"hook_event_name\":\"Stop\",\"x\":\"a\nb\"}",
    ] {
        assert_eq!(Payload::parse(raw).expect("small defects do not matter").session(), "7");
    }
}

#[test]
fn labels_are_short_and_cut_between_words() {
    let folder = format!("/home/{}/project/src", "deep/".repeat(60));
    let fields = json!({"cwd": folder, "permission_mode": format!("{} {}", "a".repeat(100), "b".repeat(100)),
                        "agent_id": "c".repeat(200), "prompt_id": "p1", "turn_id": "u1"});
    let event = events(&payload("Setup", &fields)).remove(0);
    let labels = event["labels"].as_object().expect("labels");
    let cwd = labels["cwd"].as_str().expect("a folder");
    assert!(cwd.len() <= 128 && cwd.starts_with("/deep/") && cwd.ends_with("/project/src"), "{cwd}");
    assert_eq!(labels["permission_mode"], format!("{} ", "a".repeat(100)));
    assert!(!labels.contains_key("agent_id"), "one word has no whole beginning");
    assert_eq!((&labels["prompt_id"], &labels["turn_id"]), (&json!("p1"), &json!("u1")));
}

#[test]
fn a_payload_of_any_size_gives_events_that_fit() {
    let big = "word ".repeat(EVENT_BYTES_MAX / 4);
    for (hook, fields) in [
        ("PostToolUse", json!({"tool_name": "Read", "tool_use_id": "t", "tool_response": {"file": {"content": big}}})),
        ("PreToolUse", json!({"tool_name": "Write", "tool_input": {"content": big}})),
        ("UserPromptSubmit", json!({"prompt": big})),
    ] {
        let payload = payload(hook, &fields);
        let event = events(&payload).remove(0);
        assert!(event["labels"]["cut_from_bytes"].is_string(), "{hook}");
        // Nothing goes ahead of which only a part was judged; what has happened is judged as far as it fits.
        let proposed = payload.proposed_event(Some("acme"), None).expect("judged");
        assert_eq!(parse(proposed.as_bytes()).is_ok(), hook == "PostToolUse", "{hook}");
    }
    let odd = json!({"tool_name": "x", "tool_use_id": "i".repeat(2 << 20), "mcp_server": {"name": "m".repeat(300)}});
    assert_eq!(events(&payload("PreToolUse", &odd))[0]["tool"], json!({"name": "x"}));
    let calls: Vec<Value> = (0..200).map(|n| json!({"tool_name": "Read", "tool_response": n.to_string()})).collect();
    assert_eq!(events(&payload("PostToolBatch", &json!({"tool_calls": calls}))).len(), 1);
}

#[test]
fn codex_is_known_by_its_turns() {
    let turn = json!({"turn_id": "u1", "model": "m", "tool_name": "Bash", "tool_input": {"command": "ls"}});
    assert!(payload("PreToolUse", &turn).is_codex());
    assert!(!payload("PreToolUse", &json!({"tool_name": "Bash", "prompt_id": "p"})).is_codex());
    assert!(!payload("MessageDisplay", &json!({"turn_id": "u1", "delta": "x"})).is_codex());
}
