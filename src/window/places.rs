//! Where each key's slot is: an open table of 8-byte cells, so that a look-up costs one cache line.
//!
//! Keys are keyed hashes, so 32 bits of one are enough to find the cell and to tell nearly all others
//! apart; whoever looks something up compares the whole key. Removing moves later cells up instead of
//! leaving marks behind, so the table never grows slow with age.

/// A cell that nobody lives in. A place is kept plus one, so it is never all zeros.
const EMPTY: u64 = 0;
/// Cells of the smallest table, as a power of two.
const BITS_MIN: u32 = 3;

/// Places by hash.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The hash above, the place plus one below. Empty, or a power of two long.
    cells: Vec<u64>,
    bits: u32,
    len: usize,
}

impl Places {
    /// The place that `is` accepts among those of this hash.
    pub(super) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        while let Some(cell) = self.cells.get(at).copied().filter(|cell| *cell != EMPTY) {
            if hash_of(cell) == hash && is(place_of(cell)) {
                return Some(place_of(cell));
            }
            at = self.after(at);
        }
        None
    }

    /// Adds a place that is not in the table.
    pub(super) fn insert(&mut self, hash: u32, place: u32) {
        if self.len >= self.cells.len() / 4 * 3 {
            self.grow();
        }
        self.len += 1;
        self.settle(cell(hash, place));
    }

    /// Removes a place, and moves up what had to go past it.
    pub(super) fn remove(&mut self, hash: u32, place: u32) {
        let mut gap = self.home(hash);
        while self.cells.get(gap).is_some_and(|other| *other != cell(hash, place)) {
            if self.cells.get(gap) == Some(&EMPTY) {
                return;
            }
            gap = self.after(gap);
        }
        self.len = self.len.saturating_sub(1);
        let mut at = gap;
        loop {
            at = self.after(at);
            let later = self.cells.get(at).copied().unwrap_or(EMPTY);
            if later == EMPTY {
                break;
            }
            // It may move up only if the gap is not before its home.
            if self.steps(self.home(hash_of(later)), at) >= self.steps(gap, at) {
                self.put(gap, later);
                gap = at;
            }
        }
        self.put(gap, EMPTY);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn grow(&mut self) {
        self.bits = (self.bits + 1).max(BITS_MIN);
        let grown = vec![EMPTY; 1 << self.bits];
        for cell in std::mem::replace(&mut self.cells, grown).into_iter().filter(|cell| *cell != EMPTY) {
            self.settle(cell);
        }
    }

    fn settle(&mut self, cell: u64) {
        let mut at = self.home(hash_of(cell));
        while self.cells.get(at).is_some_and(|other| *other != EMPTY) {
            at = self.after(at);
        }
        self.put(at, cell);
    }

    fn put(&mut self, at: usize, cell: u64) {
        if let Some(slot) = self.cells.get_mut(at) {
            *slot = cell;
        }
    }

    /// The cell where the search for a hash begins: its upper bits.
    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) << self.bits >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.cells.len().wrapping_sub(1)
    }

    /// How many cells lie between two, going on from the end at the beginning.
    fn steps(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.cells.len().wrapping_sub(1)
    }
}

fn cell(hash: u32, place: u32) -> u64 {
    u64::from(hash) << 32 | (u64::from(place) + 1)
}

fn hash_of(cell: u64) -> u32 {
    (cell >> 32) as u32
}

fn place_of(cell: u64) -> u32 {
    ((cell & 0xFFFF_FFFF) as u32).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against an ordered map; hashes that lie close together and at the end of the table make long
        /// runs of cells, which removals must keep whole.
        #[test]
        fn agrees_with_an_ordered_map(
            steps in proptest::collection::vec((any::<bool>(), 0_u32..40, 0_u32..4), 1..600),
        ) {
            let (mut places, mut model) = (Places::default(), BTreeMap::new());
            for (adds, place, spread) in steps {
                let hash = u32::MAX - (place % 5) * (spread << 20);
                match model.get(&place).copied() {
                    Some(hash) if !adds => {
                        places.remove(hash, place);
                        model.remove(&place);
                    }
                    None if adds => {
                        places.insert(hash, place);
                        model.insert(place, hash);
                    }
                    _ => {}
                }
                prop_assert_eq!(places.len(), model.len());
                for place in 0..40 {
                    let hash = model.get(&place).copied();
                    let found = places.find(hash.unwrap_or(u32::MAX), |other| other == place);
                    prop_assert_eq!(found, hash.map(|_| place));
                }
            }
        }
    }
}
