//! Points in time and lengths of time, in whole milliseconds.
//!
//! Holds no clock: every time comes in from outside, so that the same input always means the same
//! decision. Time zones and calendars are deliberately absent; timestamps are UTC.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::Timestamp;

/// A point in time: milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Span(pub i64);

/// Below this a bare number is taken for seconds, at or above it for milliseconds: 10^11 ms is
/// March 1973, 10^11 s is the year 5138.
const SECONDS_BELOW: f64 = 1e11;

impl Millis {
    /// Reads an RFC 3339 timestamp such as `2026-11-23T10:00:00.123Z`; `None` where it is not one.
    ///
    /// ```
    /// use haltline::time::Millis;
    /// assert_eq!(Millis::parse("1970-01-01T00:00:01.5Z"), Some(Millis(1500)));
    /// assert_eq!(Millis::parse("yesterday"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }

    /// The first moment after a day such as `2027-01-31`, UTC; `None` where the text is no day.
    ///
    /// ```
    /// use haltline::time::Millis;
    /// assert_eq!(Millis::end_of_day("1970-01-01"), Some(Millis(86_400_000)));
    /// assert_eq!(Millis::end_of_day("1970-02-30"), None);
    /// ```
    #[must_use]
    pub fn end_of_day(day: &str) -> Option<Self> {
        let day: jiff::civil::Date = day.parse().ok()?;
        let next = day.tomorrow().ok()?;
        format!("{next}T00:00:00Z").parse::<Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }

    /// Minute of the day and day of the week (0 is Monday) of this moment, in a zone that is so many
    /// minutes ahead of UTC.
    #[must_use]
    pub fn clock(self, ahead_minutes: i64) -> (i64, i64) {
        const DAY_MINUTES: i64 = 24 * 60;
        let minutes = self.0.div_euclid(60_000).saturating_add(ahead_minutes);
        // The first of January 1970 was a Thursday.
        (minutes.rem_euclid(DAY_MINUTES), (minutes.div_euclid(DAY_MINUTES) + 3).rem_euclid(7))
    }

    /// Reads a bare number: seconds below 10^11, milliseconds from there on.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what a clamp later expects")]
    pub fn from_number(number: f64) -> Option<Self> {
        let ms = if number.abs() < SECONDS_BELOW { number * 1e3 } else { number };
        ms.is_finite().then_some(Self(ms as i64))
    }
}

/// RFC 3339 with millisecond precision; the bare number where the calendar ends.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// RFC 3339 where people read it, the bare number in saved state.
impl serde::Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { out.serialize_i64(self.0) }
    }
}

impl<'de> serde::Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if !input.is_human_readable() {
            return i64::deserialize(input).map(Self);
        }
        let text = String::deserialize(input)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("expected an RFC 3339 timestamp, got `{text}`")))
    }
}

impl schemars::JsonSchema for Millis {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "description": "RFC 3339, milliseconds, UTC"})
    }
}

impl Add<Span> for Millis {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Millis {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Millis {
    type Output = Span;
    fn sub(self, other: Self) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds * 1_000)
    }

    /// Reads `250ms`, `30s`, `5m`, `2h` or `7d`; the error says what was expected.
    ///
    /// # Errors
    /// When the text is not a whole number followed by one of these units, or is zero or too long.
    ///
    /// ```
    /// use haltline::time::Span;
    /// assert_eq!(Span::parse("5m"), Ok(Span::seconds(300)));
    /// assert!(Span::parse("5 minutes").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a duration such as `30s`, `5m`, `2h` or `7d`, got `{text}`");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(expected)?;
        let unit_ms: i64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(expected()),
        };
        let number: i64 = number.parse().map_err(|_| expected())?;
        match number.checked_mul(unit_ms) {
            Some(ms) if ms > 0 => Ok(Self(ms)),
            _ => Err(expected()),
        }
    }
}

/// The shortest exact form: `5m`, `90s`, `250ms`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.iter().find(|(ms, _)| self.0 != 0 && self.0 % ms == 0) {
            Some((ms, unit)) => write!(f, "{}{unit}", self.0 / ms),
            None => write!(f, "{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_print_as_they_read() {
        for text in ["250ms", "30s", "5m", "90s", "2h", "7d"] {
            assert_eq!(Span::parse(text).map(|s| s.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn bad_spans_say_what_was_expected() {
        for text in ["", "5", "m", "0s", "-5m", "5min", "99999999999999999999s", "9223372036854775807d"] {
            let error = Span::parse(text).expect_err(text);
            assert!(error.contains("expected a duration"), "{error}");
        }
    }

    #[test]
    fn numbers_are_seconds_or_milliseconds() {
        assert_eq!(Millis::from_number(1_700_000_000.5), Some(Millis(1_700_000_000_500)));
        assert_eq!(Millis::from_number(1_700_000_000_500.0), Some(Millis(1_700_000_000_500)));
        assert_eq!(Millis::from_number(f64::NAN), None);
    }

    #[test]
    fn timestamps_round_trip() {
        let at = Millis(1_700_000_000_123);
        assert_eq!(Millis::parse(&at.to_string()), Some(at));
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Millis(i64::MAX).to_string(), i64::MAX.to_string());
    }
}
