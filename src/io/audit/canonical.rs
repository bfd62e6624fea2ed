//! One text for one value: canonical JSON after RFC 8785, over strings and whole numbers only.
//!
//! The text of a value reads back as that value, so two values never share a text. Without whole numbers
//! that would not hold: RFC 8785 writes 2^53 and 2^53 + 1 alike, and 1 and 1.0; and a fraction may come
//! back from a store as its neighbour. Such a number is kept as a string before an entry is made
//! ([`exact`]), and an entry that holds one all the same was not written by us.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::limits::JSON_DEPTH_MAX;

/// Up to here every reader of JSON keeps a whole number as it is.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// The canonical text: no white space, members sorted by the UTF-16 units of their names, shortest escapes.
/// `None` where a number is not a whole one of at most 2^53 - 1.
pub(super) fn text(value: &Value) -> Option<String> {
    let mut out = String::new();
    write(value, &mut out).then_some(out)
}

fn write(value: &Value, out: &mut String) -> bool {
    match value {
        Value::Number(number) if !number.as_i64().is_some_and(is_exact) => return false,
        // Written by `serde_json` just as the RFC has it.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                if !write(item, out) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (n, (name, member)) in sorted.into_iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                if !write(member, out) {
                    return false;
                }
            }
            out.push('}');
        }
    }
    true
}

fn is_exact(number: i64) -> bool {
    (-INTEGER_MAX..=INTEGER_MAX).contains(&number)
}

/// The value with everything that JSON does not carry exactly, or that lies too deep, as a string of it.
pub(super) fn exact(value: Value) -> Value {
    exact_below(value, JSON_DEPTH_MAX)
}

fn exact_below(value: Value, depth: usize) -> Value {
    match value {
        Value::Number(number) if !number.as_i64().is_some_and(is_exact) => Value::String(number.to_string()),
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::String(value.to_string()),
        Value::Array(items) => items.into_iter().map(|item| exact_below(item, depth - 1)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, exact_below(member, depth - 1))).collect()
        }
        other => other,
    }
}

/// Reads a value strictly: a number as above, and no name twice in an object, because of such two one
/// reader takes the first and another the last, and the hash would vouch for both.
pub(super) fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Value, D::Error> {
    Strict::deserialize(input).map(|Strict(value)| value)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        if is_exact(number) { Ok(Value::from(number)) } else { Err(inexact(&number)) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map_err(|_| inexact(&number)).and_then(|number| self.visit_i64(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Err(inexact(&number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = input.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(member))) = input.next_entry::<String, Strict>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format!("expected every name once, got `{name}` twice")));
            }
            members.insert(name, member);
        }
        Ok(Value::Object(members))
    }
}

fn inexact<E: Error>(number: &dyn std::fmt::Display) -> E {
    E::custom(format!("expected a whole number of at most {INTEGER_MAX}, got {number}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read_text(text: &str) -> Result<Value, String> {
        read(&mut serde_json::Deserializer::from_str(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_written_as_the_rfc_has_it() {
        let rows = [
            (json!({"b": [true, null, {}], "a": -1, "": []}), r#"{"":[],"a":-1,"b":[true,null,{}]}"#),
            // Sorting and strings of RFC 8785, 3.2.3 and 3.2.2.
            (
                json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7}),
                "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}",
            ),
            (json!("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}"), "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\""),
            (json!([INTEGER_MAX, -INTEGER_MAX]), "[9007199254740991,-9007199254740991]"),
        ];
        for (value, expected) in rows {
            assert_eq!(text(&value).as_deref(), Some(expected));
        }
        for inexact in [json!(1.0), json!(0.5), json!([{"a": INTEGER_MAX + 1}]), json!(u64::MAX), json!(i64::MIN)] {
            assert_eq!(text(&inexact), None, "{inexact}");
        }
    }

    #[test]
    fn what_json_does_not_carry_exactly_is_kept_as_a_string() {
        let rows = [
            (
                json!({"score": 0.97, "n": 3, "big": u64::MAX}),
                json!({"score": "0.97", "n": 3, "big": u64::MAX.to_string()}),
            ),
            (json!([1.0, [-0.0]]), json!(["1.0", ["-0.0"]])),
        ];
        for (value, expected) in rows {
            assert_eq!(exact(value), expected);
        }
        let deep = (0..500).fold(json!({"a": 1.5}), |inner, _| json!([inner]));
        let kept = text(&exact(deep)).expect("exact");
        assert!(read_text(&kept).is_ok() && kept.contains("1.5"), "{kept}");
    }

    #[test]
    fn what_two_readers_would_read_differently_is_refused() {
        let rows = [
            (r#"{"a":1,"a":1}"#, "got `a` twice"),
            (r#"[{"b":{"a":1,"\u0061":2}}]"#, "got `a` twice"),
            ("[1.0]", "expected a whole number"),
            ("5e0", "expected a whole number"),
            ("-0", "expected a whole number"),
            ("9007199254740992", "expected a whole number"),
            ("-9007199254740992", "expected a whole number"),
        ];
        for (text, expected) in rows {
            let error = read_text(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// Any JSON, with numbers of every kind.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-9_i64..9).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,6}|[\u{0}-\u{7f}]{0,6}|[\u{e000}-\u{10ffff}]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"\u{1}\u{fb33}\u{1f600}]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// What cannot be read back as something else cannot collide.
        #[test]
        fn the_text_of_a_value_reads_back_as_that_value(value in any_json()) {
            let value = exact(value);
            let text = text(&value).expect("made exact");
            prop_assert_eq!(read_text(&text), Ok(value.clone()));
            prop_assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
        }
    }
}
