//! A JSON object as it came: every field once, its value untouched.
//!
//! Values stay JSON text, so that numbers beyond what a float holds and repeated keys inside arguments
//! reach the scanner as they will reach the tool.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::repair;

/// Longest piece of a stranger's name in a message, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// The fields of one object. A name that stands twice has two readings, and an attacker would pick one
/// for us and the other for the agent, so that is an error.
#[derive(Clone, Debug)]
pub(super) struct Object(BTreeMap<String, Box<RawValue>>);

impl Object {
    /// Reads an object. Small defects inside its strings do not matter: whoever can put a lone surrogate
    /// into a tool's result must not be able to keep a question from being answered.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let read = serde_json::from_slice(bytes).or_else(|error: serde_json::Error| match repair(bytes) {
            Some(repaired) if !error.is_data() => serde_json::from_slice(&repaired),
            _ => Err(error),
        });
        read.map_err(|error| error.to_string())
    }

    /// The value of a field; `null` is none.
    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(AsRef::as_ref).filter(|raw| raw.get() != "null")
    }

    /// A name or id: a string, or a whole number, which stands for its digits. Empty is none.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let raw = self.get(name)?;
        let digits = || serde_json::from_str::<u64>(raw.get()).ok().map(|number| number.to_string());
        string(raw).or_else(digits).filter(|text| !text.is_empty())
    }

    /// Everything that a model would read of a field: a string as it is, of anything else the strings in
    /// it.
    pub(super) fn content(&self, name: &str) -> Option<String> {
        let raw = self.get(name)?;
        if let Some(text) = string(raw) {
            return Some(text);
        }
        let mut text = String::new();
        match serde_json::from_str(raw.get()) {
            Ok(value) => join_strings(&value, &mut text),
            // Too deep or with a number too large for a tree: then as it stands.
            Err(_) => raw.get().clone_into(&mut text),
        }
        Some(text)
    }

    /// A whole number from 0; a fraction is cut off.
    pub(super) fn uint(&self, name: &str) -> Option<u64> {
        let raw = self.get(name)?.get();
        raw.split('.').next()?.parse().ok()
    }

    /// The names of the fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A string, its lone surrogates replaced.
fn string(raw: &RawValue) -> Option<String> {
    let text = raw.get();
    if !text.starts_with('"') {
        return None;
    }
    serde_json::from_str(text).ok().or_else(|| serde_json::from_slice(&repair(text.as_bytes())?).ok())
}

fn join_strings(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => {
            if !into.is_empty() {
                into.push('\n');
            }
            into.push_str(text);
        }
        Value::Array(items) => items.iter().for_each(|item| join_strings(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| join_strings(field, into)),
        _ => {}
    }
}

/// A stranger's text for a message: short and on one line.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(SHOWN_CHARS_MAX).collect()
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    let again = shown(&name);
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom(format!("expected each field once, got `{again}` twice")));
                    }
                }
                Ok(Object(fields))
            }
        }
        input.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_came() {
        let object =
            Object::read(br#" {"a": 12345678901234567890123, "b":{"x":1,"x":2}, "c":null,"d":1e999} "#).expect("good");
        let raw = |name: &str| object.get(name).map(RawValue::get);
        assert_eq!(raw("a"), Some("12345678901234567890123"));
        assert_eq!(raw("b"), Some(r#"{"x":1,"x":2}"#));
        assert_eq!((raw("c"), raw("d"), raw("e")), (None, Some("1e999"), None));
    }

    #[test]
    fn content_is_what_a_model_reads() {
        let rows = [
            (r#""plain""#, Some("plain")),
            (r#""a \ud800 b""#, Some("a \u{fffd} b")),
            (r#"[{"type":"text","text":"one"},{"text":"two"}]"#, Some("two\none\ntext")),
            ("[1e999]", Some("[1e999]")),
            ("7", Some("")),
            ("null", None),
        ];
        for (value, expected) in rows {
            let object = Object::read(format!(r#"{{"t":{value}}}"#).as_bytes()).expect("good");
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(object.content("t").as_deref().map(sorted), expected.map(sorted), "{value}");
        }
    }

    #[test]
    fn names_numbers_and_defects() {
        let object = Object::read(b"{\"s\":\"x\ty\",\"n\":12,\"f\":12.9,\"e\":\"\",\"o\":{}}").expect("repaired");
        assert_eq!((object.text("s"), object.text("n")), (Some("x y".to_owned()), Some("12".to_owned())));
        assert_eq!((object.text("e"), object.text("o"), object.text("f")), (None, None, None));
        assert_eq!((object.uint("f"), object.uint("n"), object.uint("s")), (Some(12), Some(12), None));
        for (bytes, said) in [
            (&br#"{"a":1,"a":2}"#[..], "got `a` twice"),
            (b"[]", "expected a JSON object"),
            (b"{\"a\":1} {}", "trailing"),
            (b"", "EOF"),
        ] {
            let error = Object::read(bytes).expect_err("bad");
            assert!(error.contains(said), "{error}");
        }
    }
}
