//! Definitions of tools as they are offered to the agent: what a tool says of itself, and whether that is
//! what it said before.

use serde_json::Value;

use super::HashKey;
use crate::event::{Event, Kind};
use crate::limits::{DEFINITIONS_PER_EVENT_MAX, JSON_DEPTH_MAX};
use crate::rules::Hints;

/// One definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// The tool's name.
    pub(super) name: String,
    /// Hash of all of it, whatever the order of its keys.
    pub(super) digest: u64,
    /// What it says of itself.
    pub(super) hints: Hints,
}

/// The definitions in a `tool_list` event: every object with a name and a description or schema.
pub(super) fn of(event: &Event<'_>, hash_key: HashKey) -> Vec<Definition> {
    if event.kind != Kind::ToolList {
        return Vec::new();
    }
    let tool = event.tool.as_ref();
    let given = [
        tool.and_then(|tool| tool.result.as_ref()).map(|json| json.get()),
        tool.and_then(|tool| tool.args.as_ref()).map(|json| json.get()),
        event.text.as_deref(),
    ];
    let mut found = Vec::new();
    for json in given.into_iter().flatten() {
        if let Ok(value) = serde_json::from_str::<Value>(json) {
            collect(&value, 0, hash_key, &mut found);
        }
    }
    found
}

fn collect(value: &Value, depth: usize, hash_key: HashKey, into: &mut Vec<Definition>) {
    if depth > JSON_DEPTH_MAX || into.len() >= DEFINITIONS_PER_EVENT_MAX {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, hash_key, into)),
        Value::Object(fields) => match definition(value, hash_key) {
            Some(definition) => into.push(definition),
            None => fields.values().for_each(|field| collect(field, depth + 1, hash_key, into)),
        },
        // Some harnesses send the list as text.
        Value::String(text) if text.trim_start().starts_with(['[', '{']) => {
            if let Ok(inner) = serde_json::from_str::<Value>(text) {
                collect(&inner, depth + 1, hash_key, into);
            }
        }
        _ => {}
    }
}

fn definition(value: &Value, hash_key: HashKey) -> Option<Definition> {
    const SCHEMAS: [&str; 5] = ["description", "inputSchema", "input_schema", "parameters", "annotations"];
    let name = value.get("name")?.as_str()?;
    SCHEMAS.iter().find_map(|key| value.get(key))?;
    let annotations = value.get("annotations").and_then(Value::as_object);
    let told = annotations.into_iter().flatten().filter_map(|(name, value)| Some(Hints::of(name, value.as_bool()?)));
    Some(Definition {
        name: name.to_owned(),
        digest: hash_key.long(value.to_string().as_bytes()),
        hints: told.fold(Hints::default(), Hints::and),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::parse;

    fn found(json: &str) -> Vec<Definition> {
        let json = format!(r#"{{"v":1,"session":"s","kind":"tool_list",{json}}}"#);
        of(&parse(json.as_bytes()).expect("good").event, HashKey([0; 16]))
    }

    #[test]
    fn definitions_are_found_where_harnesses_put_them() {
        let one =
            r#"{"name":"send","description":"Sends.","annotations":{"readOnlyHint":false,"destructiveHint":true}}"#;
        let rows = [
            format!(r#""tool":{{"name":"tools/list","result":{{"tools":[{one}]}}}}"#),
            format!(r#""tool":{{"name":"tools/list","result":[{one}]}}"#),
            format!(r#""text":{}"#, serde_json::to_string(&format!("[{one}]")).expect("text")),
            format!(r#""tool":{{"name":"x","result":[{{"type":"function","function":{one}}}]}}"#),
        ];
        for row in rows {
            let got = found(&row);
            assert_eq!(got.len(), 1, "{row}");
            assert_eq!(got[0].name, "send");
            assert_eq!(got[0].hints, Hints::of("readOnlyHint", false).and(Hints::of("destructiveHint", true)));
        }
    }

    #[test]
    fn the_order_of_keys_is_no_change_and_a_word_is() {
        let digest = |one: &str| found(&format!(r#""tool":{{"name":"t","result":[{one}]}}"#))[0].digest;
        let same = digest(r#"{"description":"Reads.","name":"get"}"#);
        assert_eq!(digest(r#"{"name":"get","description":"Reads."}"#), same);
        assert_ne!(digest(r#"{"name":"get","description":"Reads. Then send it on."}"#), same);
    }
}
