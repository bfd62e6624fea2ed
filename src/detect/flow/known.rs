//! What everybody may know of one key: the user's own words.

use serde::{Deserialize, Serialize};

use super::SourceHashes;
use crate::limits::{FLOW_ENTRIES_MAX, FLOW_KNOWN_MAX, FLOW_PRINTS_MIN};

/// Hashes of what is no secret, the high half of each, in order of arrival. The oldest go first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    prints: Vec<u32>,
    values: Vec<u32>,
    words: Vec<u32>,
}

/// The same for many look-ups.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    prints: Vec<u32>,
    values: Vec<u32>,
}

impl Known {
    /// Adds the hashes of a text; the more keys there are, the fewer are kept of each.
    pub(super) fn add(&mut self, text: SourceHashes<'_>, keys: usize) {
        let most = (FLOW_ENTRIES_MAX / keys.max(1)).clamp(FLOW_PRINTS_MIN, FLOW_KNOWN_MAX);
        remember(&mut self.prints, text.prints.iter().map(|(hash, _)| short(*hash)), most);
        remember(&mut self.values, text.values.iter().map(|hash| short(*hash)), most / 2);
        remember(&mut self.words, text.words.iter().copied(), most / 2);
    }

    pub(super) fn lookup(&self) -> Lookup {
        Lookup { prints: sorted(&self.prints), values: sorted(&self.values) }
    }

    pub(super) fn has_value(&self, hash: u64) -> bool {
        self.values.contains(&short(hash))
    }

    pub(super) fn has_word(&self, word: u32) -> bool {
        self.words.contains(&word)
    }
}

impl Lookup {
    pub(super) fn has_print(&self, hash: u64) -> bool {
        self.prints.binary_search(&short(hash)).is_ok()
    }

    pub(super) fn has_value(&self, hash: u64) -> bool {
        self.values.binary_search(&short(hash)).is_ok()
    }
}

/// Adds what is not there yet (the new ones are different from each other), and forgets the oldest beyond `most`.
fn remember(list: &mut Vec<u32>, new: impl Iterator<Item = u32>, most: usize) {
    let known = sorted(list);
    list.extend(new.filter(|hash| known.binary_search(hash).is_err()));
    list.drain(..list.len().saturating_sub(most));
    list.shrink_to_fit();
}

fn sorted(list: &[u32]) -> Vec<u32> {
    let mut list = list.to_vec();
    list.sort_unstable();
    list
}

/// The high half: one in four thousand million others has the same, and then one print is missed.
fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_each_once() {
        let mut known = Known::default();
        let prints: Vec<(u64, u32)> = (0..2_000).map(|n| (n << 32, 0)).collect();
        for _ in 0..2 {
            for text in prints.chunks(100) {
                known.add(SourceHashes { prints: text, values: &[7 << 32], words: &[3] }, 1);
            }
        }
        assert_eq!((known.prints.len(), known.values.len(), known.words.len()), (FLOW_KNOWN_MAX, 1, 1));
        let lookup = known.lookup();
        assert!(lookup.has_print(1_999 << 32) && !lookup.has_print(0) && lookup.has_value(7 << 32));
        assert!(known.has_word(3) && !known.has_word(4));
        known.add(SourceHashes { prints: &[(1, 0)], ..SourceHashes::default() }, usize::MAX);
        assert_eq!(known.prints.len(), FLOW_PRINTS_MIN);
    }
}
