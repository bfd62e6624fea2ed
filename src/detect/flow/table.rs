//! What stands in the sources of one key, by its hash.
//!
//! A sorted list with a directory: the first bits of a hash tell where it would stand, so that a look-up reads
//! two or three entries next to each other however many there are. Hashes come evenly spread over their high
//! bits, and over their lowest, by which a full table is thinned out.

use std::ops::Range;

use serde::{Deserialize, Serialize, Serializer};

/// In place of a position: the entry is a value.
const VALUE: u32 = u32::MAX;
/// Entries for each place of the directory.
const PER_PLACE: usize = 2;

/// A print or a value of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Entry {
    pub hash: u64,
    pub source: u8,
    /// Where a print starts in the source, in characters.
    at: u32,
    /// Whether it has been seen in what left.
    pub left: bool,
    /// Whether it is no secret: it stands in what everybody may know.
    pub known: bool,
}

/// All entries of one key. A hash that is in several sources has an entry for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Entry>")]
pub(super) struct Table {
    /// Sorted by hash, then by source.
    entries: Vec<Entry>,
    /// Where the entries of each place start; one more than there are places.
    starts: Vec<u32>,
    /// So many of the first bits of a hash are its place.
    bits: u32,
}

impl Entry {
    pub(super) fn print(hash: u64, source: u8, at: u32) -> Self {
        Self { hash, source, at: at.min(VALUE - 1), left: false, known: false }
    }

    pub(super) fn value(hash: u64, source: u8) -> Self {
        Self { hash, source, at: VALUE, left: false, known: false }
    }

    pub(super) fn known_if(self, known: bool) -> Self {
        Self { known, ..self }
    }

    pub(super) fn is_value(&self) -> bool {
        self.at == VALUE
    }

    /// Where a print starts; `None` for a value.
    pub(super) fn at(&self) -> Option<u32> {
        (self.at != VALUE).then_some(self.at)
    }
}

/// How many entries of a source have hashes that end in so many zeros.
#[derive(Clone, Copy)]
struct Spread {
    counts: [u32; 65],
    count: usize,
    /// Those that end in fewer are to go.
    zeros: u32,
}

impl Default for Spread {
    fn default() -> Self {
        Self { counts: [0; 65], count: 0, zeros: 0 }
    }
}

impl Spread {
    fn add(&mut self, entry: &Entry) {
        self.count += 1;
        if let Some(count) = self.counts.get_mut(entry.hash.trailing_zeros() as usize) {
            *count += 1;
        }
    }

    /// Leaves out those whose hashes end in fewest zeros; how many they are.
    fn thin(&mut self) -> usize {
        let gone = self.counts.get(self.zeros as usize).map_or(self.count, |count| *count as usize);
        self.zeros += 1;
        self.count -= gone;
        gone
    }
}

impl Table {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Nothing has left of the entries that are meant.
    pub(super) fn unmark(&mut self, meant: impl Fn(&Entry) -> bool) {
        self.entries.iter_mut().filter(|entry| meant(entry)).for_each(|entry| entry.left = false);
    }

    /// The entries of a hash.
    pub(super) fn matching(&self, hash: u64) -> impl Iterator<Item = &Entry> {
        let near = self.entries.get(self.near(hash)).unwrap_or_default();
        near.iter().filter(move |entry| entry.hash == hash)
    }

    /// The entries of a hash, to be marked.
    pub(super) fn matching_mut(&mut self, hash: u64) -> impl Iterator<Item = &mut Entry> {
        let near = self.near(hash);
        let near = self.entries.get_mut(near).unwrap_or_default();
        near.iter_mut().filter(move |entry| entry.hash == hash)
    }

    /// Adds entries; those of a hash that has left or is known already have left and are known, too.
    pub(super) fn add(&mut self, new: impl Iterator<Item = Entry>) {
        self.entries.extend(new);
        // What was there is sorted, which only the stable sort makes use of.
        self.entries.sort();
        for same in self.entries.chunk_by_mut(|a, b| a.hash == b.hash) {
            let left = same.iter().any(|entry| entry.left);
            let known = same.iter().any(|entry| entry.known);
            same.iter_mut().for_each(|entry| (entry.left, entry.known) = (left, known));
        }
        self.entries.dedup_by_key(|entry| (entry.hash, entry.source));
        self.index();
    }

    /// Forgets the entries for which `keep` does not hold.
    pub(super) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(keep);
        if self.entries.len() < before {
            self.index();
        }
    }

    /// Leaves out prints, or values, until there are at most so many: always of the source that has most of
    /// them, those whose hashes end in fewest zeros. So a large source gets coarser before a small one loses
    /// anything, and none is lost as a whole.
    pub(super) fn thin(&mut self, values: bool, most: usize) {
        let is_kind = |entry: &Entry| entry.is_value() == values;
        let mut total = self.entries.iter().filter(|entry| is_kind(entry)).count();
        if total <= most {
            return;
        }
        let mut spreads = vec![Spread::default(); usize::from(u8::MAX) + 1];
        for entry in self.entries.iter().filter(|entry| is_kind(entry)) {
            if let Some(spread) = spreads.get_mut(usize::from(entry.source)) {
                spread.add(entry);
            }
        }
        while total > most
            && let Some(largest) = spreads.iter_mut().rev().max_by_key(|spread| spread.count)
        {
            total -= largest.thin();
        }
        let least = |entry: &Entry| spreads.get(usize::from(entry.source)).map_or(0, |spread| spread.zeros);
        self.entries.retain(|entry| !is_kind(entry) || entry.hash.trailing_zeros() >= least(entry));
        self.index();
    }

    /// Where the entries of a hash stand, if it has any.
    fn near(&self, hash: u64) -> Range<usize> {
        let place = place(hash, self.bits);
        match self.starts.get(place..place.saturating_add(2)) {
            Some([start, end]) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the bounds in limits are far below 2^32")]
    fn index(&mut self) {
        self.entries.shrink_to_fit();
        let places = (self.entries.len() / PER_PLACE).next_power_of_two();
        self.bits = places.trailing_zeros();
        self.starts = Vec::with_capacity(places + 1);
        for (n, entry) in self.entries.iter().enumerate() {
            while self.starts.len() <= place(entry.hash, self.bits) {
                self.starts.push(n as u32);
            }
        }
        self.starts.resize(places + 1, self.entries.len() as u32);
    }
}

/// The first bits of a hash.
#[expect(clippy::cast_possible_truncation, reason = "a few bits")]
fn place(hash: u64, bits: u32) -> usize {
    hash.checked_shr(u64::BITS - bits).unwrap_or(0) as usize
}

impl From<Vec<Entry>> for Table {
    fn from(entries: Vec<Entry>) -> Self {
        let mut table = Self { entries, ..Self::default() };
        table.index();
        table
    }
}

/// The entries alone: the directory follows from them.
impl Serialize for Table {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly spread, as the hashes of texts are.
    fn hash(n: u64) -> u64 {
        let n = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (n ^ n >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[test]
    fn what_has_left_has_left_of_every_source() {
        let mut table = Table::default();
        assert_eq!(table.matching(hash(1)).count(), 0);
        table.add([Entry::print(hash(1), 0, 5), Entry::print(hash(1), 0, 9), Entry::value(hash(2), 0)].into_iter());
        assert_eq!(table.entries().len(), 2, "the same print of the same source twice");
        table.matching_mut(hash(1)).for_each(|entry| entry.left = true);
        table.add([Entry::print(hash(1), 0, 1), Entry::print(hash(1), 1, 7), Entry::value(hash(2), 1)].into_iter());
        assert!(table.matching(hash(1)).all(|entry| entry.left));
        assert!(!table.matching(hash(2)).any(|entry| entry.left));
        table.retain(|entry| entry.source == 1);
        assert_eq!(table.matching(hash(1)).map(|entry| entry.at()).collect::<Vec<_>>(), [Some(7)]);
    }

    #[test]
    fn the_largest_source_is_thinned_out_first() {
        let mut table = Table::default();
        let source = |source: u8, hashes: Range<u64>| hashes.map(move |n| Entry::print(hash(n), source, 0));
        table.add(
            source(0, 0..50).chain(source(1, 1_000..3_000)).chain((0..100).map(|n| Entry::value(hash(n + 9_000), 1))),
        );
        table.thin(false, 1_000);
        let count = |table: &Table, source: u8| table.entries().iter().filter(|entry| entry.source == source).count();
        assert_eq!(count(&table, 0), 50);
        assert!((400..=1_050).contains(&count(&table, 1)), "{}", count(&table, 1));
        table.thin(true, 10);
        let values = table.entries().iter().filter(|entry| entry.is_value()).count();
        assert!((1..=10).contains(&values), "{values}");
        table.thin(false, 0);
        assert!(table.entries().iter().all(Entry::is_value));
    }

    proptest::proptest! {
        #[test]
        fn every_entry_is_found(seeds in proptest::collection::vec((0_u64..500, 0_u8..4, 0_u32..1_000), 0..300)) {
            let mut table = Table::default();
            table.add(seeds.iter().map(|(n, source, at)| Entry::print(hash(*n), *source, *at)));
            for n in 0..600 {
                let mut want: Vec<u8> = seeds.iter().filter(|seed| seed.0 == n).map(|seed| seed.1).collect();
                want.sort_unstable();
                want.dedup();
                let found: Vec<u8> = table.matching(hash(n)).map(|entry| entry.source).collect();
                proptest::prop_assert_eq!(found, want);
            }
            let again = Table::from(table.entries().to_vec());
            proptest::prop_assert_eq!(again, table);
        }
    }
}
