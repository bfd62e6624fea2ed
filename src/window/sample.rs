//! The different values of a window that holds more than a few: all of them, or a sample.
//!
//! Values are kept in order, each with the latest time that it was seen. When there are too many, only
//! values up to a limit are kept, which falls as often as it must, and their number is scaled up. What
//! is kept is as good as drawn by lot, because values are hashes; the standard error is about 3 %. When
//! a busy time is over the limit is lifted for what is seen from then on, so that the sample never
//! stays coarse.

use serde::{Deserialize, Serialize};

use crate::time::{Millis, Span};

//
/// Different values of one window that are kept before they become a sample.
pub(super) const DISTINCT_VALUES_MAX: usize = 1_024;

/// What a sample is cut down to when it is full.
const SAMPLE_KEPT: usize = DISTINCT_VALUES_MAX / 8 * 7;
/// A sample smaller than this is coarser than it need be.
const SAMPLE_MIN: usize = DISTINCT_VALUES_MAX / 2;
/// The limit rises at most so often in a window.
const RISES: i64 = 8;
/// So many values are looked through at each event.
pub(super) const SWEPT_ALWAYS: usize = 64;
/// Parts of a window after which more of them are looked through.
const SWEEPS: i64 = 64;

/// Values within a window's length of the newest event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// In order of the values.
    seen: Vec<Seen>,
    /// Values above it are not kept; all are while it is the largest number.
    limit: u64,
    /// What held before the limit rose, in order of time.
    earlier: Vec<Earlier>,
    /// Nothing that is kept is older; it counts its time from here.
    base: Millis,
    newest: Millis,
    /// Nothing in `seen` is older than this.
    oldest: Millis,
    /// Nothing in `seen` was older than this when it was last looked through.
    swept: Millis,
}

/// A value and the latest time that it was seen; in halves, so that it takes 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    high: u32,
    low: u32,
    /// Milliseconds after the base.
    after: u32,
}

/// The limit for values whose latest time is not after `until`, but after those before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Earlier {
    limit: u64,
    until: Millis,
    /// Values in `seen` that are of that time.
    count: usize,
}

impl Sample {
    /// Adds a value. False when it is older than the window.
    pub(super) fn add(&mut self, at: Millis, value: u64, span: Span) -> bool {
        if at - span >= self.newest {
            *self = Self { base: at - span, newest: at, ..Self::default() };
        } else if at <= self.newest - span {
            return false;
        }
        self.newest = self.newest.max(at);
        let edge = self.newest - span;
        if self.seen.len() <= SWEPT_ALWAYS || edge - self.swept >= Span(span.0 / SWEEPS) {
            self.sweep(edge);
        }
        if value <= self.limit_at(at) {
            self.keep(at, value, span);
        }
        true
    }

    /// Drops what lies `span` or more before `now`.
    pub(super) fn expire(&mut self, now: Millis, span: Span) {
        if now - span >= self.newest {
            *self = Self::default();
        } else {
            self.sweep(now - span);
        }
    }

    /// Different values in the window, and those that have left it and were not looked for yet.
    pub(super) fn count(&self) -> u64 {
        let mut later = self.seen.len();
        let mut total = 0;
        for earlier in &self.earlier {
            total += scaled(earlier.count, earlier.limit);
            later = later.saturating_sub(earlier.count);
        }
        total + scaled(later, self.limit)
    }

    /// Time of the newest event.
    pub(super) fn newest(&self) -> Option<Millis> {
        (self.newest != Self::default().newest).then_some(self.newest)
    }

    /// Values that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.seen.len()
    }

    /// Whether all values are kept, and were all the time.
    #[cfg(test)]
    pub(super) fn is_exact(&self) -> bool {
        self.limit == u64::MAX && self.earlier.is_empty()
    }

    fn limit_at(&self, at: Millis) -> u64 {
        self.earlier.iter().find(|earlier| at <= earlier.until).map_or(self.limit, |earlier| earlier.limit)
    }

    /// Keeps a value, or notes that it was seen again.
    fn keep(&mut self, at: Millis, value: u64, span: Span) {
        let after = self.after(at, span);
        let place = match self.seen.binary_search_by_key(&value, Seen::value) {
            Ok(known) => return self.see_again(known, after),
            Err(_) if self.seen.len() >= DISTINCT_VALUES_MAX => {
                self.make_room(span);
                if value > self.limit_at(at) {
                    return;
                }
                self.seen.partition_point(|seen| seen.value() < value)
            }
            Err(place) => place,
        };
        self.seen.insert(place, Seen::new(value, after));
        self.oldest = self.oldest.min(at);
        if let Some(earlier) = earlier_at(&mut self.earlier, at) {
            earlier.count += 1;
        }
    }

    fn see_again(&mut self, place: usize, after: u32) {
        let Some(seen) = self.seen.get_mut(place).filter(|seen| seen.after < after) else { return };
        let before = std::mem::replace(&mut seen.after, after);
        let at = |after: u32| self.base + Span(i64::from(after));
        if let Some(earlier) = earlier_at(&mut self.earlier, at(before)) {
            earlier.count = earlier.count.saturating_sub(1);
        }
        if let Some(earlier) = earlier_at(&mut self.earlier, at(after)) {
            earlier.count += 1;
        }
    }

    /// Forgets values that left the window; where that is not enough, the largest ones.
    fn make_room(&mut self, span: Span) {
        self.sweep(self.newest - span);
        if self.seen.len() < DISTINCT_VALUES_MAX {
            return;
        }
        let limit = self.seen.get(SAMPLE_KEPT).map_or(self.limit, |seen| seen.value().saturating_sub(1));
        self.seen.truncate(SAMPLE_KEPT);
        self.limit = self.limit.min(limit);
        for earlier in &mut self.earlier {
            earlier.limit = earlier.limit.min(limit);
        }
        self.count_earlier();
    }

    /// Drops what is not after the edge, and sees to the limit.
    fn sweep(&mut self, edge: Millis) {
        if self.oldest <= edge {
            let old = (edge - self.base).0;
            let mut oldest = u32::MAX;
            self.seen.retain(|seen| {
                let keep = i64::from(seen.after) > old;
                oldest = if keep { oldest.min(seen.after) } else { oldest };
                keep
            });
            self.oldest = self.base + Span(i64::from(oldest));
            self.count_earlier();
        }
        self.swept = edge;
        self.earlier.retain(|earlier| earlier.until > edge);
        let long_ago = self.newest - Span((self.newest - edge).0 / RISES);
        if self.limit < u64::MAX
            && self.seen.len() < SAMPLE_MIN
            && self.earlier.last().is_none_or(|earlier| earlier.until <= long_ago)
        {
            self.earlier.push(Earlier { limit: self.limit, until: self.newest, count: 0 });
            self.limit = u64::MAX;
            self.count_earlier();
        }
    }

    fn count_earlier(&mut self) {
        if self.earlier.is_empty() {
            return;
        }
        self.earlier.iter_mut().for_each(|earlier| earlier.count = 0);
        for seen in &self.seen {
            if let Some(earlier) = earlier_at(&mut self.earlier, seen.at(self.base)) {
                earlier.count += 1;
            }
        }
    }

    /// Milliseconds after the base, which moves up when that is too far to count.
    fn after(&mut self, at: Millis, span: Span) -> u32 {
        let offset = |base: Millis| u32::try_from((at - base).0).ok();
        if let Some(after) = offset(self.base) {
            return after;
        }
        let base = at - span;
        self.sweep(base);
        let by = (base - self.base).0;
        for seen in &mut self.seen {
            seen.after = u32::try_from(i64::from(seen.after) - by).unwrap_or(0);
        }
        self.base = base;
        offset(base).unwrap_or(u32::MAX)
    }
}

impl Default for Sample {
    fn default() -> Self {
        let never = Millis(i64::MIN);
        Self {
            seen: Vec::new(),
            limit: u64::MAX,
            earlier: Vec::new(),
            base: never,
            newest: never,
            oldest: Millis(i64::MAX),
            swept: never,
        }
    }
}

impl Seen {
    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    fn new(value: u64, after: u32) -> Self {
        Self { high: (value >> 32) as u32, low: value as u32, after }
    }

    fn value(&self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }

    fn at(&self, base: Millis) -> Millis {
        base + Span(i64::from(self.after))
    }
}

/// The part of `all` that a time belongs to; `None` where it is after them.
fn earlier_at(all: &mut [Earlier], at: Millis) -> Option<&mut Earlier> {
    all.iter_mut().find(|earlier| at <= earlier.until)
}

/// How many values there are when so many of them are not above a limit.
fn scaled(kept: usize, limit: u64) -> u64 {
    ((kept as u64) << 32) / ((limit >> 32) + 1)
}
