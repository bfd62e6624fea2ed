//! A bounded map from key to state that forgets what has been idle.
//!
//! Keys are 128-bit keyed hashes made elsewhere, so they are used as they are. Idle state goes by
//! event time, in order of first sight, a little with every insertion; when the map is full the one
//! that was opened first goes. The slots lie side by side and are chained in the order in which they
//! come due, so that a key costs its state and some 50 bytes; a sweep and a saved map keep that order.

use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};

use super::places::Places;
use crate::time::{Millis, Span};

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// State by key.
#[derive(Debug)]
pub struct Keyed<V> {
    places: Places,
    slots: Vec<Slot<V>>,
    /// The chain of all keys, about in order of when they are looked at next.
    first: u32,
    last: u32,
    /// The chain of slots without a key.
    free: u32,
    idle: Span,
    keys_max: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Slot<V> {
    key: u128,
    last_seen: Millis,
    /// When it is looked at next.
    due: Millis,
    next: u32,
    /// `None` in a slot without a key.
    value: Option<V>,
}

/// A map as it was saved, to be restored; the bounds are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved<V> {
    slots: Vec<SavedSlot<V>>,
    evicted: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedSlot<V> {
    key: u128,
    last_seen: Millis,
    due: Millis,
    value: V,
}

impl<V> Keyed<V> {
    /// An empty map that forgets a key after `idle` without use and never holds more than `keys_max`.
    #[must_use]
    pub fn new(idle: Span, keys_max: usize) -> Self {
        let places = Places::default();
        Self { places, slots: Vec::new(), first: NONE, last: NONE, free: NONE, idle, keys_max, evicted: 0 }
    }

    /// A map that goes on as the saved one would have, if its bounds are the same.
    #[must_use]
    pub fn restore(saved: Saved<V>, idle: Span, keys_max: usize) -> Self {
        let mut map = Self { evicted: saved.evicted, ..Self::new(idle, keys_max) };
        for SavedSlot { key, last_seen, due, value } in saved.slots {
            map.open(Slot { key, last_seen, due, next: NONE, value: Some(value) });
        }
        map
    }

    /// The state of a key.
    #[must_use]
    pub fn get(&self, key: u128) -> Option<&V> {
        self.slots.get(self.find(key)? as usize)?.value.as_ref()
    }

    /// The state of a key, to be changed; not a sign of life.
    pub fn get_mut(&mut self, key: u128) -> Option<&mut V> {
        let place = self.find(key)?;
        self.slots.get_mut(place as usize)?.value.as_mut()
    }

    /// The state of a key, which `make` opens if there is none; counts as use at time `at`.
    #[expect(clippy::missing_panics_doc, reason = "every place in the table has a slot")]
    pub fn touch(&mut self, key: u128, at: Millis, make: impl FnOnce() -> V) -> &mut V {
        let place = match self.find(key) {
            Some(place) => place,
            None => self.open(Slot { key, last_seen: at, due: at + self.idle, next: NONE, value: None }),
        };
        let slot = self.slots.get_mut(place as usize).expect("a place that was found or opened has a slot");
        slot.last_seen = slot.last_seen.max(at);
        slot.value.get_or_insert_with(make)
    }

    /// Copies the state of a key into another map, if there is any; nothing changes here.
    pub fn copy(&self, key: u128, into: &mut Self)
    where
        V: Clone,
    {
        let found = self.find(key).and_then(|place| self.slots.get(place as usize));
        if let Some((slot, value)) = found.and_then(|slot| Some((slot, slot.value.as_ref()?))) {
            into.touch(key, slot.last_seen, || value.clone()).clone_from(value);
        }
    }

    /// Forgets keys that have been idle; looks at most at `steps` of those that are due.
    pub fn expire(&mut self, now: Millis, steps: usize) {
        for _ in 0..steps {
            let idle = self.idle;
            let Some(slot) = self.slots.get_mut(self.first as usize).filter(|slot| slot.due <= now) else { return };
            let alive = slot.last_seen + idle > now;
            slot.due = slot.last_seen + idle;
            let place = self.pop();
            if alive {
                self.push(place);
            } else {
                self.close(place);
            }
        }
    }

    /// Forgets the keys for which `keep` does not hold. Walks the whole map.
    pub fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        let mut place = std::mem::replace(&mut self.first, NONE);
        self.last = NONE;
        while let Some(slot) = self.slots.get(place as usize) {
            let next = slot.next;
            if slot.value.as_ref().is_some_and(&keep) {
                self.push(place);
            } else {
                self.close(place);
            }
            place = next;
        }
    }

    /// Every state, in the order in which they come due.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.chain().filter_map(|slot| slot.value.as_ref())
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys that were forgotten because the map was full.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn find(&self, key: u128) -> Option<u32> {
        self.places.find(hash(key), |place| self.slots.get(place as usize).is_some_and(|slot| slot.key == key))
    }

    /// Every slot with a key, from the first in the chain.
    fn chain(&self) -> impl Iterator<Item = &Slot<V>> {
        let at = |place: u32| self.slots.get(place as usize);
        std::iter::successors(at(self.first), move |slot| at(slot.next))
    }

    /// Gives a key a slot, the last in the chain.
    fn open(&mut self, slot: Slot<V>) -> u32 {
        if self.len() >= self.keys_max && self.first != NONE {
            let oldest = self.pop();
            self.close(oldest);
            self.evicted += 1;
        }
        let hash = hash(slot.key);
        let place = match self.slots.get_mut(self.free as usize) {
            Some(free) => {
                let place = std::mem::replace(&mut self.free, free.next);
                *free = slot;
                place
            }
            None => {
                if self.slots.len() == self.slots.capacity() {
                    // By an eighth, not by doubling: there may be a million of them.
                    self.slots.reserve_exact(self.slots.len() / 8 + 4);
                }
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 keys")
            }
        };
        self.places.insert(hash, place);
        self.push(place);
        place
    }

    /// Forgets what is in a slot that is in no chain.
    fn close(&mut self, place: u32) {
        if let Some(slot) = self.slots.get_mut(place as usize) {
            slot.value = None;
            slot.next = std::mem::replace(&mut self.free, place);
            self.places.remove(hash(slot.key), place);
        }
    }

    /// Makes a slot the last in the chain.
    fn push(&mut self, place: u32) {
        if let Some(last) = self.slots.get_mut(self.last as usize) {
            last.next = place;
        } else {
            self.first = place;
        }
        self.last = place;
        if let Some(slot) = self.slots.get_mut(place as usize) {
            slot.next = NONE;
        }
    }

    /// Takes the first slot out of the chain.
    fn pop(&mut self) -> u32 {
        let next = self.slots.get(self.first as usize).map_or(NONE, |slot| slot.next);
        if next == NONE {
            self.last = NONE;
        }
        std::mem::replace(&mut self.first, next)
    }
}

/// The same form as [`Saved`]: keys in the order in which they come due.
impl<V: Serialize> Serialize for Keyed<V> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut saved = out.serialize_struct("Saved", 2)?;
        saved.serialize_field("slots", &Chain(self))?;
        saved.serialize_field("evicted", &self.evicted)?;
        saved.end()
    }
}

struct Chain<'a, V>(&'a Keyed<V>);

impl<V: Serialize> Serialize for Chain<'_, V> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut slots = out.serialize_seq(Some(self.0.len()))?;
        for Slot { key, last_seen, due, value, .. } in self.0.chain() {
            if let Some(value) = value {
                slots.serialize_element(&SavedSlot { key: *key, last_seen: *last_seen, due: *due, value })?;
            }
        }
        slots.end()
    }
}

/// 32 bits of a key; the multiplication makes do with keys that differ in a few bits only.
#[expect(clippy::cast_possible_truncation, reason = "a part of the key is enough")]
fn hash(key: u128) -> u32 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    ((key as u64).wrapping_mul(GOLDEN) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    /// The map as one would write it down: keys in order, looked up one by one.
    struct Naive {
        keys: Vec<(u128, Millis, Millis, u64)>,
        evicted: u64,
    }

    const IDLE: Span = Span(100);
    const KEYS_MAX: usize = 12;

    impl Naive {
        fn touch(&mut self, key: u128, at: Millis, value: u64) -> u64 {
            if let Some(known) = self.keys.iter_mut().find(|known| known.0 == key) {
                known.1 = known.1.max(at);
                return known.3;
            }
            if self.keys.len() >= KEYS_MAX {
                self.keys.remove(0);
                self.evicted += 1;
            }
            self.keys.push((key, at, at + IDLE, value));
            value
        }

        fn expire(&mut self, now: Millis, steps: usize) {
            for _ in 0..steps {
                if self.keys.first().is_none_or(|known| known.2 > now) {
                    return;
                }
                let known = self.keys.remove(0);
                if known.1 + IDLE > now {
                    self.keys.push((known.0, known.1, known.1 + IDLE, known.3));
                }
            }
        }
    }

    fn saved_and_restored(map: &Keyed<u64>) -> Keyed<u64> {
        let bytes = rmp_serde::to_vec(map).expect("saves");
        Keyed::restore(rmp_serde::from_slice(&bytes).expect("restores"), IDLE, KEYS_MAX)
    }

    proptest! {
        /// Against the naive map, also after it was saved and restored at any time.
        #[test]
        fn agrees_with_a_list(steps in proptest::collection::vec((0_u8..20, 0_u128..20, 0_i64..40), 1..400)) {
            let (mut map, mut naive) = (Keyed::new(IDLE, KEYS_MAX), Naive { keys: Vec::new(), evicted: 0 });
            let mut now = 0;
            for (n, (what, key, forward)) in (0_u64..).zip(steps) {
                now += forward;
                match what {
                    0 => {
                        map.retain(|value| value % 3 != 0);
                        naive.keys.retain(|known| known.3 % 3 != 0);
                    }
                    1..=4 => {
                        map.expire(Millis(now), 3);
                        naive.expire(Millis(now), 3);
                    }
                    5 => map = saved_and_restored(&map),
                    _ => prop_assert_eq!(*map.touch(key, Millis(now), || n), naive.touch(key, Millis(now), n)),
                }
                let values: Vec<u64> = naive.keys.iter().map(|known| known.3).collect();
                prop_assert_eq!(map.values().copied().collect::<Vec<_>>(), values);
                prop_assert_eq!((map.len(), map.evicted()), (naive.keys.len(), naive.evicted));
                for key in 0..20 {
                    let known = naive.keys.iter().find(|known| known.0 == key);
                    prop_assert_eq!(map.get(key), known.map(|known| &known.3));
                }
            }
        }
    }

    #[test]
    fn what_is_saved_reads_the_same_in_every_form() {
        let mut map = Keyed::new(IDLE, KEYS_MAX);
        map.touch(u128::MAX, Millis(5), || 1_u64);
        map.touch(3, Millis(7), || 2);
        let binary: Saved<u64> = rmp_serde::from_slice(&rmp_serde::to_vec(&map).expect("saves")).expect("reads");
        let json: Saved<u64> = serde_json::from_str(&serde_json::to_string(&map).expect("saves")).expect("reads");
        assert_eq!(binary, json);
    }
}
