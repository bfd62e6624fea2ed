//! Reading an object field by field, leniently, in one pass.
//!
//! An object that names a field twice has two readings, and an attacker would pick one for us and the
//! other for the agent: that is an error, not a problem to note.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::loose::{Loose, Problems};

/// Marks the error for a field that stands twice; the rest of the message is the field's name.
pub(super) const DUPLICATE_FIELD: &str = "field stands twice: ";

/// An object whose fields are read one at a time.
pub(super) trait Fields<'de> {
    /// The names that are read. The position in this list is what `read` gets.
    const NAMES: &'static [&'static str];
    /// How problems call this object: a prefix such as `tool.`, or nothing.
    const PREFIX: &'static str;

    /// Reads the value of the field `NAMES[index]`; must take exactly one value from `map`.
    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A, problems: &mut Problems) -> Result<(), A::Error>;
}

/// Reads an object into `into`. Anything but an object is noted and passed over.
pub(super) struct FieldsSeed<'x, F> {
    pub(super) into: &'x mut F,
    pub(super) problems: &'x mut Problems,
}

impl<'de, F: Fields<'de>> DeserializeSeed<'de> for FieldsSeed<'_, F> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<bool, D::Error> {
        input.deserialize_any(self)
    }
}

impl<F> FieldsSeed<'_, F> {
    fn not_an_object<'de>(self, got: &Loose<'_>) -> bool
    where
        F: Fields<'de>,
    {
        if *got != Loose::Null {
            self.problems.note(F::PREFIX.trim_end_matches('.'), "an object", got);
        }
        false
    }
}

/// True when there was an object.
impl<'de, F: Fields<'de>> Visitor<'de> for FieldsSeed<'_, F> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(self.not_an_object(&Loose::Bool(value)))
    }
    fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
        Ok(self.not_an_object(&Loose::Uint(value)))
    }
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(self.not_an_object(&Loose::Number(0.0)))
    }
    fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
        Ok(self.not_an_object(&Loose::Number(value)))
    }
    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(self.not_an_object(&Loose::Text(Cow::Borrowed(""))))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.not_an_object(&Loose::Compound))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut seen = 0_u64;
        while let Some(index) = map.next_key_seed(Name(F::NAMES))? {
            let Some(index) = index else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let bit = 1_u64 << (index & 63);
            if seen & bit != 0 {
                let name = F::NAMES.get(index).copied().unwrap_or_default();
                return Err(A::Error::custom(format!("{DUPLICATE_FIELD}{}{name}", F::PREFIX)));
            }
            seen |= bit;
            self.into.read(index, &mut map, self.problems)?;
        }
        Ok(true)
    }
}

/// A key as its position in a list of names; `None` for a key that is not in it.
struct Name(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }
    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }
}
