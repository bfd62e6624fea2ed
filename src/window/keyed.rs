//! A bounded map from key to state that forgets what has been idle.
//!
//! Keys are 128-bit keyed hashes made elsewhere, so they are used as they are. Idle state goes by
//! event time, in order of first sight, a little with every insertion; when the map is full the one
//! that was opened first goes. Iteration has no order and is therefore only for sweeps.

use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

use crate::time::{Millis, Span};

/// State by key.
#[derive(Debug)]
pub struct Keyed<V> {
    slots: HashMap<u128, Slot<V>, BuildHasherDefault<KeyIsHash>>,
    /// When each key is looked at next, about in order of time.
    due: VecDeque<(Millis, u128)>,
    idle: Span,
    keys_max: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Slot<V> {
    last_seen: Millis,
    value: V,
}

impl<V> Keyed<V> {
    /// An empty map that forgets a key after `idle` without use and never holds more than `keys_max`.
    #[must_use]
    pub fn new(idle: Span, keys_max: usize) -> Self {
        Self { slots: HashMap::default(), due: VecDeque::new(), idle, keys_max, evicted: 0 }
    }

    /// The state of a key.
    #[must_use]
    pub fn get(&self, key: u128) -> Option<&V> {
        self.slots.get(&key).map(|slot| &slot.value)
    }

    /// The state of a key, to be changed; not a sign of life.
    pub fn get_mut(&mut self, key: u128) -> Option<&mut V> {
        self.slots.get_mut(&key).map(|slot| &mut slot.value)
    }

    /// The state of a key, which `make` opens if there is none; counts as use at time `at`.
    pub fn touch(&mut self, key: u128, at: Millis, make: impl FnOnce() -> V) -> &mut V {
        if !self.slots.contains_key(&key) {
            if self.slots.len() >= self.keys_max {
                self.evict_oldest();
            }
            self.due.push_back((at + self.idle, key));
        }
        let slot = self.slots.entry(key).or_insert_with(|| Slot { last_seen: at, value: make() });
        slot.last_seen = slot.last_seen.max(at);
        &mut slot.value
    }

    /// Forgets keys that have been idle; looks at most at `steps` of those that are due.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        for _ in 0..steps {
            let Some((_, key)) = self.due.front().copied().filter(|(due, _)| *due <= now) else { return };
            self.due.pop_front();
            match self.slots.get(&key) {
                Some(slot) if slot.last_seen + self.idle > now => self.due.push_back((slot.last_seen + self.idle, key)),
                _ => drop(self.slots.remove(&key)),
            }
        }
    }

    /// Forgets the keys for which `keep` does not hold. Walks the whole map.
    pub fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        self.slots.retain(|_, slot| keep(&slot.value));
    }

    /// Every state, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.values().map(|slot| &slot.value)
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Keys that were forgotten because the map was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn evict_oldest(&mut self) {
        while let Some((_, key)) = self.due.pop_front() {
            if self.slots.remove(&key).is_some() {
                self.evicted += 1;
                return;
            }
        }
    }
}

/// The keys are keyed hashes already: their low half is as good a hash as any.
#[derive(Clone, Copy, Debug, Default)]
struct KeyIsHash(u64);

impl Hasher for KeyIsHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the hash")]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_keys_go_and_used_ones_stay() {
        let mut map = Keyed::new(Span(100), 10);
        map.touch(1, Millis(0), || "a");
        map.touch(2, Millis(0), || "b");
        map.touch(2, Millis(80), || "never made");
        map.expire(Millis(100), 10);
        assert_eq!((map.get(1), map.get(2)), (None, Some(&"b")));
        map.expire(Millis(180), 10);
        assert!(map.is_empty());
    }

    #[test]
    fn a_full_map_drops_the_first_opened() {
        let mut map = Keyed::new(Span(100), 2);
        for key in 1..=3 {
            map.touch(key, Millis(0), || key);
        }
        assert_eq!((map.len(), map.get(1), map.evicted()), (2, None, 1));
    }

    #[test]
    fn a_retained_key_that_comes_back_is_kept_for_its_whole_time() {
        let mut map = Keyed::new(Span(100), 10);
        map.touch(1, Millis(0), || 1);
        map.retain(|_| false);
        map.touch(1, Millis(50), || 2);
        map.expire(Millis(100), 10);
        assert_eq!(map.get(1), Some(&2));
    }
}
