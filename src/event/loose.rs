//! Reading a field whatever its type is: the value, or a note of what was expected.
//!
//! Where serde would fail the whole record for one wrong type, [`Loose`] takes any JSON value in one
//! pass and lets the caller say what it can use. Objects and arrays are passed over, not built.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use serde_json::Value;

use crate::limits::PROBLEMS_MAX;

/// Problems of one event: fields that could not be used, and why. Bounded.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<String>);

impl Problems {
    /// Notes one problem; beyond the bound it is dropped.
    pub(super) fn note(&mut self, field: &str, expected: &str, got: &Loose<'_>) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(format!("`{field}`: expected {expected}, got {}", got.type_name()));
        }
    }
}

/// Any JSON value; what is not a scalar is only known to be there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Loose<'a> {
    Null,
    Bool(bool),
    Uint(u64),
    Number(f64),
    Text(Cow<'a, str>),
    Compound,
}

impl<'a> Loose<'a> {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Uint(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Compound => "an object or array",
        }
    }

    /// A text; a number is taken as its digits, since ids are often numbers at their source.
    pub(super) fn text(self, field: &str, problems: &mut Problems) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Uint(number) => Some(Cow::Owned(number.to_string())),
            Self::Null => None,
            other => {
                problems.note(field, "a string", &other);
                None
            }
        }
    }

    /// A text of at most `max` bytes; a longer one is cut and noted. It is cut where a word ends, if there is
    /// such a place: half a secret is known to no rule, and would be shown.
    pub(super) fn short_text(self, field: &str, max: usize, problems: &mut Problems) -> Option<Cow<'a, str>> {
        let text = self.text(field, problems)?;
        if text.len() <= max {
            return Some(text);
        }
        problems.note(field, &format!("at most {max} bytes"), &Loose::Text(Cow::Borrowed("")));
        let head = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
        let in_word = |char: char| char.is_alphanumeric() || "+/=_-".contains(char);
        let whole = head.trim_end_matches(in_word);
        Some(Cow::Owned(if whole.is_empty() { head } else { whole }.to_owned()))
    }

    /// A whole number from 0, also where it stands in a string.
    pub(super) fn uint(self, field: &str, problems: &mut Problems) -> Option<u64> {
        let parsed = match &self {
            Self::Null => return None,
            Self::Uint(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        if parsed.is_none() {
            problems.note(field, "a whole number from 0", &self);
        }
        parsed
    }

    /// A finite number, also where it stands in a string.
    pub(super) fn number(self, field: &str, problems: &mut Problems) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "costs and durations are far below 2^53")]
        let parsed = match &self {
            Self::Null => return None,
            Self::Uint(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        let finite = parsed.filter(|number| number.is_finite());
        if finite.is_none() {
            problems.note(field, "a number", &self);
        }
        finite
    }

    /// A boolean.
    pub(super) fn boolean(self, field: &str, problems: &mut Problems) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            Self::Null => None,
            other => {
                problems.note(field, "true or false", &other);
                None
            }
        }
    }
}

impl<'de> serde::Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        LooseSeed.deserialize(input)
    }
}

struct LooseSeed;

impl<'de> DeserializeSeed<'de> for LooseSeed {
    type Value = Loose<'de>;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Loose<'de>, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LooseSeed {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Loose::Bool(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Loose::Uint(value))
    }
    #[expect(clippy::cast_precision_loss, reason = "negative ids do not exist; the value is only noted")]
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Loose::Number(value as f64))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Loose::Number(value))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(value)))
    }
    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(value.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Compound)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Compound)
    }
}

/// A text, also where it came as content blocks: their strings are joined by line ends, so that
/// nothing that a model would read goes unread here.
pub(super) struct LooseText<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de> serde::Deserialize<'de> for LooseText<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = LooseText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(LooseText(None))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(LooseText(Some(Cow::Owned(value.to_string()))))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(LooseText(Some(Cow::Owned(value.to_string()))))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(LooseText(Some(Cow::Owned(value.to_string()))))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(LooseText(Some(Cow::Owned(value.to_string()))))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(LooseText(Some(Cow::Borrowed(value))))
    }
    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(LooseText(Some(Cow::Owned(value.to_owned()))))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut text = String::new();
        while let Some(value) = seq.next_element::<Value>()? {
            join_strings(&value, &mut text);
        }
        Ok(LooseText(Some(Cow::Owned(text))))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut text = String::new();
        while let Some((_, value)) = map.next_entry::<IgnoredAny, Value>()? {
            join_strings(&value, &mut text);
        }
        Ok(LooseText(Some(Cow::Owned(text))))
    }
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
