//! When to try again, and what an answer means. Pure: time and randomness come in from outside.
//!
//! A halt is worth little when it is told late, so the first tries follow within seconds; the 5 minutes
//! that Standard Webhooks waits after the second one would be too long.
//!
//! Every failure is tried again until the record is too old, even 400, 401, 403 and 404, which many senders
//! take as final: receivers are misconfigured at three in the morning and mended at nine, and the halt must
//! still be told then. Exceptions are made by the kind of the receiver, in `target`.

use std::borrow::Cow;
use std::time::Duration;

use crate::time::{Millis, Span};

/// Waits between tries, in milliseconds.
const FIRST_WAITS_MS: [u64; 7] = [500, 1_000, 2_000, 5_000, 15_000, 30_000, 60_000];
/// The wait after those.
const LATER_WAIT: Duration = Duration::from_secs(300);
/// Longest `Retry-After` that is honoured; longer ones are cut to it.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Jitter to either side, in thousandths.
const JITTER_PERMILLE: u32 = 200;

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has taken it.
    Delivered,
    /// The harness does not know the session any more, so that there is nothing left to stop.
    NotThere,
    /// The receiver wants nothing more, ever.
    Gone,
    /// It may go better next time.
    Failed {
        /// What went wrong.
        why: String,
        /// The wait that the receiver asked for.
        retry_after: Option<Duration>,
    },
    /// No request can be made of this record, or none that the receiver would take: a try more would change
    /// nothing.
    Hopeless(String),
}

impl Outcome {
    /// What a status means. `retry_after` is the header of that name.
    pub(super) fn of_status(status: u16, retry_after: Option<&str>, now: Millis) -> Self {
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, now));
        match status {
            200..=299 => Self::Delivered,
            300..=399 => Self::Failed { why: format!("answered {status}; redirects are not followed"), retry_after },
            _ => Self::Failed { why: format!("answered {status}"), retry_after },
        }
    }
}

/// Seconds, or an HTTP date; anything else is as if it was not there.
fn parse_retry_after(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(duration(Millis(at.as_millisecond()) - now))
}

/// How long to wait after each failure.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// After the first failures, one each, in milliseconds.
    pub(super) first_ms: Cow<'static, [u64]>,
    /// After every later one.
    pub(super) later: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { first_ms: Cow::Borrowed(&FIRST_WAITS_MS), later: LATER_WAIT }
    }
}

impl Schedule {
    /// The wait after `failures` of them (at least one); `None` to give up, because the next try would
    /// come after the `left` that the record has before it is too old.
    ///
    /// `Retry-After` never shortens a wait. `random` is any number, evenly distributed.
    pub(super) fn wait(
        &self,
        failures: usize,
        retry_after: Option<Duration>,
        left: Span,
        random: u64,
    ) -> Option<Duration> {
        let step = self.first_ms.get(failures.saturating_sub(1)).copied().map_or(self.later, Duration::from_millis);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let wait = jittered(step, random).max(asked);
        (wait <= duration(left)).then_some(wait)
    }
}

/// Moved by up to a fifth to either side, so that many records that failed together do not come again
/// together.
fn jittered(wait: Duration, random: u64) -> Duration {
    let offset = u32::try_from(random % u64::from(2 * JITTER_PERMILLE + 1)).unwrap_or(JITTER_PERMILLE);
    wait.saturating_mul(1_000 - JITTER_PERMILLE + offset) / 1_000
}

fn duration(span: Span) -> Duration {
    Duration::from_millis(u64::try_from(span.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Leaves the wait as it is.
    const MIDDLE: u64 = JITTER_PERMILLE as u64;
    const DAY: Span = Span::seconds(86_400);

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn waits_begin_short_and_settle_at_five_minutes() {
        let schedule = Schedule::default();
        let wait = |failures| schedule.wait(failures, None, DAY, MIDDLE).expect("time is left").as_millis();
        let waits: Vec<_> = (1..=9).map(wait).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 5_000, 15_000, 30_000, 60_000, 300_000, 300_000]);
    }

    #[test]
    fn a_try_that_would_come_too_late_is_not_waited_for() {
        let schedule = Schedule::default();
        let rows = [(1, 500, true), (1, 499, false), (8, 300_000, true), (8, 299_999, false), (1, -5, false)];
        for (failures, left_ms, tried) in rows {
            assert_eq!(schedule.wait(failures, None, Span(left_ms), MIDDLE).is_some(), tried, "{failures} {left_ms}");
        }
        assert_eq!(schedule.wait(1, Some(seconds(60)), Span::seconds(59), MIDDLE), None);
    }

    #[test]
    fn retry_after_makes_a_wait_longer_never_shorter_and_has_an_end() {
        let schedule = Schedule::default();
        let rows = [(1, 30, 30_000), (1, 0, 500), (8, 30, 300_000), (1, 100_000, 600_000)];
        for (failures, asked, expected_ms) in rows {
            let wait = schedule.wait(failures, Some(seconds(asked)), DAY, MIDDLE).expect("time is left");
            assert_eq!(wait.as_millis(), expected_ms, "after {failures} failures, asked for {asked} s");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Millis::parse("2026-11-23T10:00:00Z").expect("a time");
        let rows = [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Mon, 23 Nov 2026 10:00:45 GMT", Some(45)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", Some(0)),
            ("-3", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_retry_after(text, now), expected.map(seconds), "{text}");
        }
    }

    #[test]
    fn statuses_mean_what_they_mean() {
        let of = |status| Outcome::of_status(status, Some("3"), Millis(0));
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(of(status), Outcome::Delivered, "{status}");
        }
        for status in [100, 301, 302, 307, 308, 400, 401, 403, 404, 408, 410, 413, 425, 429, 500, 502, 503, 504, 599] {
            let Outcome::Failed { why, retry_after } = of(status) else { panic!("{status} is tried again") };
            assert!(why.contains(&status.to_string()) && retry_after == Some(seconds(3)), "{why}");
            assert_eq!(why.contains("redirects"), (300..400).contains(&status), "{why}");
        }
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(wait_ms in 0_u64..1_000_000, random in any::<u64>()) {
            let wait = Duration::from_millis(wait_ms);
            let moved = jittered(wait, random);
            prop_assert!(moved >= wait * 4 / 5 && moved <= wait * 6 / 5);
        }
    }

    #[test]
    fn jitter_reaches_both_ends() {
        let wait = seconds(10);
        assert_eq!(
            (jittered(wait, 0), jittered(wait, MIDDLE), jittered(wait, 2 * MIDDLE)),
            (seconds(8), wait, seconds(12))
        );
    }
}
