//! What one endpoint has read from its outbox, and how much of it is done.
//!
//! Deliveries end out of order, but a place in the outbox can only be moved past what is done without a
//! gap. Memory is bounded by what is under way, not by what was done behind a slow one. Pure.
//!
//! Records may come again: with another position when the ledger wrote a group twice, with the same
//! position when a partition went away and came back. A repeat of a record that is still under way
//! counts as done only with that one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::io::outbox::Position;
use crate::time::Millis;

/// Ids of records lately done, to know repeats.
const RECENT_IDS: usize = 1_024;

/// The books of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// By id.
    under_way: BTreeMap<String, Flight>,
    partitions: BTreeMap<i32, Partition>,
    recent: Recent,
}

#[derive(Debug)]
struct Flight {
    /// When the record says that it happened.
    at: Millis,
    /// More than one after a repeat.
    positions: Vec<Position>,
}

#[derive(Debug)]
struct Partition {
    under_way: BTreeSet<i64>,
    /// Last offset that was read.
    read_to: i64,
    /// Last offset that was reported as done.
    told: i64,
}

impl Partition {
    /// Everything up to here is done.
    fn done_through(&self) -> i64 {
        self.under_way.first().map_or(self.read_to, |first| self.read_to.min(first - 1))
    }
}

impl Tracker {
    /// Notes that a position was read. Without more, what stands there is done.
    pub(super) fn read(&mut self, position: &Position) {
        let offset = position.offset;
        let fresh = || Partition { under_way: BTreeSet::new(), read_to: offset, told: offset - 1 };
        let partition = self.partitions.entry(position.partition).or_insert_with(fresh);
        partition.read_to = offset;
        // Read again: what was reported of it did not last, so it will be reported again.
        partition.told = partition.told.min(offset - 1);
    }

    /// Notes a record whose position was just read. Returns whether it must be delivered; not so a
    /// repeat.
    pub(super) fn begin(&mut self, position: &Position, id: &str, at: Millis) -> bool {
        if self.recent.contains(id) {
            return false;
        }
        if let Some(partition) = self.partitions.get_mut(&position.partition) {
            partition.under_way.insert(position.offset);
        }
        match self.under_way.get_mut(id) {
            Some(flight) => {
                if !flight.positions.contains(position) {
                    flight.positions.push(position.clone());
                }
                false
            }
            None => {
                self.under_way.insert(id.to_owned(), Flight { at, positions: vec![position.clone()] });
                true
            }
        }
    }

    /// Notes that a record was delivered or given up.
    pub(super) fn end(&mut self, id: &str) {
        let Some(flight) = self.under_way.remove(id) else { return };
        for position in flight.positions {
            if let Some(partition) = self.partitions.get_mut(&position.partition) {
                partition.under_way.remove(&position.offset);
            }
        }
        self.recent.insert(id);
    }

    /// How far each partition has moved since the last call.
    pub(super) fn advance(&mut self) -> Vec<Position> {
        let mut moved = Vec::new();
        for (partition, books) in &mut self.partitions {
            let offset = books.done_through();
            if offset > books.told {
                books.told = offset;
                moved.push(Position { partition: *partition, offset });
            }
        }
        moved
    }

    /// Records under way.
    pub(super) fn count(&self) -> usize {
        self.under_way.len()
    }

    /// The time of the oldest record under way.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.under_way.values().map(|flight| flight.at).min()
    }
}

/// The last ids, the oldest forgotten first.
#[derive(Debug, Default)]
struct Recent {
    order: VecDeque<String>,
    ids: BTreeSet<String>,
}

impl Recent {
    fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    fn insert(&mut self, id: &str) {
        if !self.ids.insert(id.to_owned()) {
            return;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > RECENT_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(partition: i32, offset: i64) -> Position {
        Position { partition, offset }
    }

    fn take(tracker: &mut Tracker, position: &Position, id: &str) -> bool {
        tracker.read(position);
        tracker.begin(position, id, Millis(position.offset))
    }

    #[test]
    fn the_place_moves_only_past_what_is_done_without_a_gap() {
        let mut tracker = Tracker::default();
        for (offset, id) in [(4, "a"), (5, "b"), (9, "c")] {
            assert!(take(&mut tracker, &at(0, offset), id));
        }
        assert!(take(&mut tracker, &at(1, 70), "other partition"));
        assert_eq!((tracker.advance(), tracker.count(), tracker.oldest()), (vec![], 4, Some(Millis(4))));
        tracker.end("b");
        tracker.end("c");
        assert_eq!(tracker.advance(), []);
        tracker.end("other partition");
        assert_eq!(tracker.advance(), [at(1, 70)]);
        tracker.end("a");
        assert_eq!((tracker.advance(), tracker.count(), tracker.oldest()), (vec![at(0, 9)], 0, None));
        tracker.read(&at(0, 10));
        assert_eq!(tracker.advance(), [at(0, 10)], "what is not wanted is done when it is read");
    }

    #[test]
    fn a_repeat_is_not_delivered_and_is_done_with_the_first() {
        let mut tracker = Tracker::default();
        assert!(take(&mut tracker, &at(0, 0), "a"));
        assert!(!take(&mut tracker, &at(0, 1), "a"), "written twice");
        assert!(!take(&mut tracker, &at(0, 0), "a"), "read again");
        assert_eq!(tracker.advance(), []);
        tracker.end("a");
        assert_eq!(tracker.advance(), [at(0, 0)], "the second one was not read again yet");
        assert!(!take(&mut tracker, &at(0, 1), "a"), "known");
        assert_eq!(tracker.advance(), [at(0, 1)]);
    }

    #[test]
    fn a_place_that_was_lost_is_noted_again_as_far_as_it_is_read_again() {
        let mut tracker = Tracker::default();
        for (offset, id) in [(0, "a"), (1, "b"), (2, "c"), (3, "d")] {
            assert!(take(&mut tracker, &at(0, offset), id));
        }
        ["a", "b", "c"].into_iter().for_each(|id| tracker.end(id));
        assert_eq!(tracker.advance(), [at(0, 2)]);
        // The broker knows of nothing: the partition begins again, while `d` is still under way.
        for (offset, id) in [(0, "a"), (1, "b")] {
            assert!(!take(&mut tracker, &at(0, offset), id));
            assert_eq!(tracker.advance(), [at(0, offset)]);
        }
    }

    #[test]
    fn old_ids_are_forgotten() {
        let mut recent = Recent::default();
        (0..=RECENT_IDS).for_each(|n| recent.insert(&n.to_string()));
        assert!(!recent.contains("0") && recent.contains("1") && recent.contains(&RECENT_IDS.to_string()));
        assert_eq!((recent.order.len(), recent.ids.len()), (RECENT_IDS, RECENT_IDS));
    }

    /// What may happen next to an endpoint.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Read,
        /// One of those under way ends.
        End(usize),
        /// The partition comes back: reading begins again where the place was last noted.
        Again,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![4 => Just(Step::Read), 4 => any::<usize>().prop_map(Step::End), 1 => Just(Step::Again)]
    }

    proptest! {
        /// Against a model that remembers everything: no place is ever noted with something undone
        /// before it, and in the end all is noted.
        #[test]
        fn nothing_undone_is_ever_passed(
            log in prop::collection::vec((0_u8..12, any::<bool>()), 1..40),
            steps in prop::collection::vec(step(), 0..150),
        ) {
            let mut tracker = Tracker::default();
            let (mut next, mut noted) = (0, -1);
            let mut under_way: Vec<String> = Vec::new();
            let mut done = BTreeSet::new();
            let rest = std::iter::repeat_n([Step::Read, Step::End(0)], 2 * log.len()).flatten();
            for step in steps.into_iter().chain(rest) {
                match step {
                    Step::Read if next < log.len() => {
                        let (id, wanted) = (log[next].0.to_string(), log[next].1);
                        let position = at(0, i64::try_from(next).expect("small"));
                        tracker.read(&position);
                        if wanted && tracker.begin(&position, &id, Millis(0)) {
                            prop_assert!(!done.contains(&id) && !under_way.contains(&id), "{} twice", id);
                            under_way.push(id);
                        }
                        next += 1;
                    }
                    Step::End(n) if !under_way.is_empty() => {
                        let id = under_way.swap_remove(n % under_way.len());
                        tracker.end(&id);
                        done.insert(id);
                    }
                    Step::Again => next = usize::try_from(noted + 1).expect("not negative"),
                    Step::Read | Step::End(_) => {}
                }
                for position in tracker.advance() {
                    noted = position.offset;
                    let passed = &log[..=usize::try_from(noted).expect("not negative")];
                    prop_assert!(passed.iter().all(|(id, wanted)| !wanted || done.contains(&id.to_string())));
                }
                prop_assert_eq!(tracker.count(), under_way.len());
            }
            prop_assert_eq!(usize::try_from(noted + 1).expect("not negative"), log.len());
        }
    }
}
