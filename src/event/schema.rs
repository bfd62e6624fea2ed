//! The JSON Schema of the event, generated from its Rust type.
//!
//! `tests/schema.rs` keeps the committed copy in step and checks that parser and schema agree.

use schemars::generate::SchemaSettings;

use super::Event;

/// An event with every field, as the documentation shows it.
#[cfg(test)]
pub(super) const EXAMPLE: &str = r#"{"v":1,"id":"01JD","ts":"2026-11-23T10:00:00.123Z","tenant":"acme","session":"s-123","turn":17,"seq":42,
 "agent":{"id":"billing-bot","parent":"s-100"},"kind":"tool_call","role":"assistant","trust":"untrusted",
 "text":"I will refund it.","tool":{"name":"issue_refund","server":"billing","call_id":"toolu_1","args":{"order":"A1","amount":40.5},
 "result":null,"error":false,"duration_ms":12},"usage":{"in":1200,"out":80,"cost_usd":0.004},
 "trace":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"},"labels":{"env":"prod"}}"#;

/// The schema as a JSON value, draft 2020-12.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Event<'static>>().to_value()
}

/// The schema as indented text with a line end, as it is committed and as `haltline schema` prints it.
#[must_use]
pub fn json_schema_text() -> String {
    format!("{:#}\n", json_schema())
}
