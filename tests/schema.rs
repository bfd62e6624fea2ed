//! The JSON Schemas are committed, in step with the types, and say what the parser does.

use haltline::event;
use serde_json::{Value, json};

const EVENT_SCHEMA: &str = include_str!("../src/event/event-v1.schema.json");
const RULE_SCHEMA: &str = include_str!("../rules/rule.schema.json");
const OPENAPI: &str = include_str!("../deploy/openapi.json");

#[test]
fn the_committed_schemas_are_in_step_with_the_types() {
    let how = "changed: run `cargo run -- schema event > src/event/event-v1.schema.json` \
               and `cargo run -- schema rule > rules/rule.schema.json`, and look at the difference";
    assert!(event::json_schema_text() == EVENT_SCHEMA, "the event's schema has {how}");
    assert!(haltline::rules::json_schema_text() == RULE_SCHEMA, "the rule file's schema has {how}");
    let how = "changed: run `cargo run -- schema openapi > deploy/openapi.json`, and look at the difference";
    assert!(haltline::io::api::description_text() == OPENAPI, "the description of the API has {how}");
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&event::json_schema()).expect("the schema is one")
}

/// The event of the documentation.
fn full() -> Value {
    json!({"v": 1, "id": "01JD", "ts": "2026-11-23T10:00:00.123Z", "tenant": "acme", "session": "s-123", "turn": 17, "seq": 42,
        "agent": {"id": "billing-bot", "parent": "s-100"}, "kind": "tool_call", "role": "assistant", "trust": "untrusted",
        "text": "I will refund it.",
        "tool": {"name": "issue_refund", "server": "billing", "call_id": "toolu_1", "args": {"order": "A1", "amount": 40.5},
            "result": null, "error": false, "duration_ms": 12},
        "usage": {"in": 1200, "out": 80, "cost_usd": 0.004},
        "trace": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}, "labels": {"env": "prod"}})
}

#[test]
fn what_the_schema_accepts_the_parser_reads_without_problems() {
    let validator = validator();
    let minimal = json!({"v": 1, "session": "s", "kind": "message"});
    let foreign = json!({"v": 1, "session": "s", "kind": "other", "unknown": {"a": [1]}, "text": null});
    for event in [full(), minimal, foreign] {
        assert!(
            validator.is_valid(&event),
            "{:?}",
            validator.iter_errors(&event).map(|e| e.to_string()).collect::<Vec<_>>()
        );
        let bytes = event.to_string();
        let parsed = event::parse(bytes.as_bytes()).expect("an event");
        assert_eq!(parsed.problems, Vec::<String>::new(), "{event}");
    }
}

#[test]
fn every_field_of_the_schema_is_known_to_the_parser() {
    // A field that the parser did not know would be ignored: with a wrong type it must be noticed.
    let schema = event::json_schema();
    let fields = schema["properties"].as_object().expect("an object");
    assert_eq!(fields.len(), full().as_object().expect("an object").len(), "the full event names every field");
    for field in fields.keys().filter(|field| !["v", "session", "kind", "text"].contains(&field.as_str())) {
        let mut event = full();
        event[field] = json!([true]);
        let bytes = event.to_string();
        let parsed = event::parse(bytes.as_bytes()).expect("still an event");
        assert!(parsed.problems.iter().any(|problem| problem.contains(field)), "`{field}`: {:?}", parsed.problems);
    }
}

#[test]
fn what_is_required_is_required_by_both() {
    for field in ["v", "session", "kind"] {
        let mut event = full();
        event.as_object_mut().expect("an object").remove(field);
        assert!(!validator().is_valid(&event), "{field}");
        assert!(event::parse(event.to_string().as_bytes()).is_err(), "{field}");
    }
}
