//! The sources of one key, and how much of each has left.

use serde::{Deserialize, Serialize};

use super::known::Known;
use super::table::{Entry, Table};
use super::{Flow, FlowPlan, SinkHashes, SourceHashes};
use crate::limits::{FLOW_SOURCES_MAX, FLOW_WORDS_MAX, PRINT_CHARS, PRINT_WINDOW};
use crate::time::{Millis, Span};

/// How many characters of a source a print that left stands for: as long as a passage must be to have one for
/// sure. So a passage of n characters counts as n, give or take [`PRINT_WINDOW`] less one.
#[expect(clippy::cast_possible_truncation, reason = "a few")]
pub(super) const PRINT_REACH: u32 = (PRINT_CHARS + PRINT_WINDOW - 1) as u32;
const _: () = assert!(FLOW_SOURCES_MAX <= u128::BITS as usize, "a source is a bit");

/// Fewest words of a name that must stem from a source, and one in so many of them.
const NAME_WORDS_MIN: usize = 2;
const NAME_SHARE: usize = 2;

/// The sources of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traces {
    owner: u128,
    /// Latest time of a source or sink.
    newest: Millis,
    /// In order of arrival.
    pub(super) sources: Vec<Source>,
    pub(super) table: Table,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    /// By which the table knows it; below [`FLOW_SOURCES_MAX`].
    id: u8,
    pub(super) mark: i64,
    at: Millis,
    /// Where the next text of the same event starts, in characters.
    chars: u32,
    /// From how much on it is told next.
    values_next: u32,
    chars_next: u32,
    /// Whether a name that stems from it has been told.
    named: bool,
    words: Vec<u32>,
}

/// How much of a source has left so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Left {
    values: u32,
    chars: u32,
}

impl Traces {
    pub(super) fn new(owner: u128) -> Self {
        Self { owner, newest: Millis(i64::MIN), sources: Vec::new(), table: Table::default() }
    }

    /// Remembers a text of an event.
    pub(super) fn add(&mut self, at: Millis, mark: i64, text: SourceHashes<'_>, known: Option<&Known>, plan: FlowPlan) {
        self.forget(at, plan.within);
        let (id, from) = self.open(at, mark, text, plan);
        let known = known.map(Known::lookup).unwrap_or_default();
        let prints = text
            .prints
            .iter()
            .map(|(hash, at)| Entry::print(*hash, id, from.saturating_add(*at)).known_if(known.has_print(*hash)));
        let values = text.values.iter().map(|hash| Entry::value(*hash, id).known_if(known.has_value(*hash)));
        self.table.add(prints.chain(values));
        self.trim_words();
    }

    pub(super) fn is_of(&self, owner: u128) -> bool {
        self.owner == owner
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Leaves out prints and values until there are at most so many.
    pub(super) fn thin(&mut self, prints: usize, values: usize) {
        self.table.thin(false, prints);
        self.table.thin(true, values);
    }

    /// Takes note that a text is no secret.
    pub(super) fn know(&mut self, text: SourceHashes<'_>) {
        for hash in text.prints.iter().map(|(hash, _)| hash).chain(text.values) {
            self.table.matching_mut(*hash).for_each(|entry| entry.known = true);
        }
    }

    /// Looks a text up that leaves, and says what is told of it.
    pub(super) fn sink(
        &mut self,
        at: Millis,
        mark: i64,
        text: SinkHashes<'_>,
        known: Option<&Known>,
        plan: FlowPlan,
    ) -> Option<Flow> {
        self.forget(at, plan.within);
        let is_named = |goal: &u64| known.is_some_and(|known| known.has_value(*goal));
        if !text.goals.is_empty() && text.goals.iter().all(is_named) {
            return None;
        }
        let touched = self.leave(mark, text);
        if touched == 0 && text.name.is_empty() {
            return None;
        }
        let told = self.tell(touched, mark, text.name, known, plan)?;
        Some(self.flow(told, text))
    }

    /// Forgets the words of the oldest sources where there are too many.
    fn trim_words(&mut self) {
        let mut words: usize = self.sources.iter().map(|source| source.words.len()).sum();
        for source in &mut self.sources {
            if words <= FLOW_WORDS_MAX {
                return;
            }
            words -= std::mem::take(&mut source.words).len();
        }
    }

    /// The source of an event, and where in it this text starts; the oldest goes where there are too many.
    fn open(&mut self, at: Millis, mark: i64, text: SourceHashes<'_>, plan: FlowPlan) -> (u8, u32) {
        let end = text.prints.iter().map(|(_, at)| *at).max().unwrap_or(0).saturating_add(2 * PRINT_REACH);
        if let Some(source) = self.sources.iter_mut().find(|source| source.mark == mark) {
            let from = source.chars;
            source.chars = from.saturating_add(end);
            source.words.extend(text.words);
            source.words.sort_unstable();
            source.words.dedup();
            return (source.id, from);
        }
        if self.sources.len() >= FLOW_SOURCES_MAX {
            let oldest = self.sources.remove(0).id;
            self.table.retain(|entry| entry.source != oldest);
        }
        let is_free = |id: &u8| self.sources.iter().all(|source| source.id != *id);
        let id = (0..=u8::MAX).find(is_free).unwrap_or(0);
        let (values_next, chars_next) = (plan.values_min.max(1), plan.chars_min.max(1));
        let words = text.words.to_vec();
        self.sources.push(Source { id, mark, at, chars: end, values_next, chars_next, named: false, words });
        (id, 0)
    }

    /// Forgets sources that are too old at a time.
    pub(super) fn forget(&mut self, at: Millis, within: Span) {
        self.newest = self.newest.max(at);
        let last = self.newest - within;
        if self.sources.iter().all(|source| source.at >= last) {
            return;
        }
        self.sources.retain(|source| source.at >= last);
        let kept = self.sources.iter().fold(0, |kept, source| kept | bit(source.id));
        self.table.retain(|entry| kept & bit(entry.source) != 0);
    }

    /// Forgets what has been told, and what had left of that: it is told again when it leaves again.
    pub(super) fn tell_again(&mut self, plan: FlowPlan) {
        let (values_next, chars_next) = (plan.values_min.max(1), plan.chars_min.max(1));
        let mut told = 0;
        for source in &mut self.sources {
            if source.named || source.values_next > values_next || source.chars_next > chars_next {
                told |= bit(source.id);
                (source.values_next, source.chars_next, source.named) = (values_next, chars_next, false);
            }
        }
        if told != 0 {
            self.table.unmark(|entry| told & bit(entry.source) != 0);
        }
    }

    /// The sources that name everyone whom a text goes to, as bits: it is theirs.
    fn excused(&self, goals: &[u64]) -> u128 {
        let named = |goal: &u64| self.table.matching(*goal).fold(0, |bits, entry| bits | bit(entry.source));
        goals.iter().map(named).reduce(|all, one| all & one).unwrap_or(0)
    }

    /// Marks what leaves with a text. The sources of which something leaves for the first time, as bits.
    fn leave(&mut self, mark: i64, text: SinkHashes<'_>) -> u128 {
        let own = self.sources.iter().find(|source| source.mark == mark).map(|source| source.id);
        let excused = self.excused(text.goals);
        let mut touched = 0;
        let hashes = text.prints.iter().map(|hash| (hash, false)).chain(text.values.iter().map(|hash| (hash, true)));
        for (hash, is_value) in hashes {
            for entry in self.table.matching_mut(*hash) {
                let counts = entry.is_value() == is_value && Some(entry.source) != own && !entry.known && !entry.left;
                if counts && excused & bit(entry.source) == 0 {
                    entry.left = true;
                    touched |= bit(entry.source);
                }
            }
        }
        touched
    }

    /// The source that is told now, if any, with how much of it has left and the words of the name that stem
    /// from it. All that have reached their threshold count as told.
    fn tell(
        &mut self,
        touched: u128,
        mark: i64,
        name: &[u32],
        known: Option<&Known>,
        plan: FlowPlan,
    ) -> Option<(u8, Left, Vec<usize>)> {
        let mut told: Option<(u8, Left, Vec<usize>)> = None;
        let lefts = left(&self.table, touched);
        for source in self.sources.iter_mut().filter(|source| source.mark != mark) {
            let named = if source.named { Vec::new() } else { source.names(name, known) };
            if touched & bit(source.id) == 0 && named.is_empty() {
                continue;
            }
            let left = lefts.binary_search_by_key(&source.id, |(id, _)| *id).ok().and_then(|n| lefts.get(n));
            let left = left.map_or(Left::default(), |(_, left)| *left);
            let tells = source.tells(left, !named.is_empty(), plan);
            if tells && told.as_ref().is_none_or(|(_, most, words)| (left, named.len()) >= (*most, words.len())) {
                told = Some((source.id, left, named));
            }
        }
        told
    }

    fn flow(&self, (id, left, name): (u8, Left, Vec<usize>), text: SinkHashes<'_>) -> Flow {
        let is_of = |hash: &u64, is_value: bool| {
            let mut entries = self.table.matching(*hash);
            entries.any(|entry| entry.source == id && !entry.known && entry.is_value() == is_value)
        };
        let positions = |hashes: &[u64], is_value: bool| -> Vec<usize> {
            hashes.iter().enumerate().filter(|(_, hash)| is_of(hash, is_value)).map(|(n, _)| n).collect()
        };
        let source = self.sources.iter().find(|source| source.id == id);
        Flow {
            source_mark: source.map_or(0, |source| source.mark),
            source_at: source.map_or(self.newest, |source| source.at),
            values: positions(text.values, true),
            prints: positions(text.prints, false),
            name,
            values_left: left.values,
            chars: left.chars,
        }
    }
}

impl Source {
    /// Whether it has left so far that it is told, for the first time or twice as far as then.
    fn tells(&mut self, left: Left, named: bool, plan: FlowPlan) -> bool {
        if left.values < self.values_next && left.chars < self.chars_next && !named {
            return false;
        }
        self.values_next = self.values_next.max(left.values.max(plan.values_min).saturating_mul(2));
        self.chars_next = self.chars_next.max(left.chars.max(plan.chars_min).saturating_mul(2));
        self.named |= named;
        true
    }

    /// Positions of the words of a name that are among its words and that nobody else has said; empty where the
    /// name does not stem from it.
    fn names(&self, name: &[u32], known: Option<&Known>) -> Vec<usize> {
        let is_own = |word: &u32| self.words.binary_search(word).is_ok() && !known.is_some_and(|k| k.has_word(*word));
        let own: Vec<usize> = name.iter().enumerate().filter(|(_, word)| is_own(word)).map(|(n, _)| n).collect();
        if own.len() >= NAME_WORDS_MIN && own.len() * NAME_SHARE >= name.len() { own } else { Vec::new() }
    }
}

/// How much has left of some sources, given as bits, in order.
fn left(table: &Table, sources: u128) -> Vec<(u8, Left)> {
    let told = |entry: &&Entry| sources & bit(entry.source) != 0 && (entry.left || entry.known);
    let mut entries: Vec<&Entry> = table.entries().iter().filter(told).collect();
    entries.sort_unstable_by_key(|entry| (entry.source, entry.at()));
    let lefts =
        entries.chunk_by(|a, b| a.source == b.source).filter_map(|of| Some((of.first()?.source, left_of_one(of))));
    lefts.collect()
}

/// How much has left of the entries of one source, which are in the order of its text. A print near one that is
/// known is a part of the same passage and does not count: of two copies of a passage the prints at its ends may
/// differ.
fn left_of_one(entries: &[&Entry]) -> Left {
    let values = entries.iter().filter(|entry| entry.is_value() && !entry.known).count();
    let known: Vec<u32> = entries.iter().filter(|entry| entry.known).filter_map(|entry| entry.at()).collect();
    let is_known = |at: &u32| {
        let near = u32::try_from(PRINT_WINDOW).unwrap_or(u32::MAX);
        let next = known.partition_point(|known| known.saturating_add(near) <= *at);
        known.get(next).is_some_and(|known| *known < at.saturating_add(near))
    };
    let (mut chars, mut end) = (0_u32, 0_u32);
    for at in entries.iter().filter(|entry| !entry.known).filter_map(|entry| entry.at()).filter(|at| !is_known(at)) {
        let stop = at.saturating_add(PRINT_REACH);
        chars = chars.saturating_add(stop - at.max(end).min(stop));
        end = stop;
    }
    Left { values: u32::try_from(values).unwrap_or(u32::MAX), chars }
}

/// The bit of a source.
fn bit(id: u8) -> u128 {
    1_u128.checked_shl(u32::from(id)).unwrap_or(0)
}
