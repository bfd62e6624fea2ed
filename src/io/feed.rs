//! A bounded ring of what happened, that any number of readers follow at their own pace.
//!
//! Readers take from the ring and nothing is kept for them, so that a slow one costs no memory: when what it wants
//! next has been pushed out, it is told that it has missed something.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Entries that one reader takes at once.
const TAKEN_AT_ONCE: usize = 64;

/// The ring.
#[derive(Debug)]
pub struct Feed<T> {
    ring: Mutex<Ring<T>>,
    pushed: watch::Sender<u64>,
    kept_max: usize,
}

#[derive(Debug)]
struct Ring<T> {
    /// Number of the next entry, from 0 since the start.
    next: u64,
    entries: VecDeque<Arc<T>>,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<T> {
    /// Entries between what it had and the first of these were pushed out.
    pub missed: bool,
    /// In order, each with its number.
    pub entries: Vec<(u64, Arc<T>)>,
}

impl<T> Feed<T> {
    /// An empty ring that keeps so many entries.
    #[must_use]
    pub fn new(kept_max: usize) -> Self {
        let ring = Ring { next: 0, entries: VecDeque::new() };
        Self { ring: Mutex::new(ring), pushed: watch::channel(0).0, kept_max }
    }

    /// Adds an entry; the oldest goes when there are too many.
    pub fn push(&self, entry: T) {
        let mut ring = self.lock();
        if ring.entries.len() >= self.kept_max {
            ring.entries.pop_front();
        }
        ring.entries.push_back(Arc::new(entry));
        ring.next += 1;
        self.pushed.send_replace(ring.next);
    }

    /// Number of the next entry.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.lock().next
    }

    /// Rings when something was pushed.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.pushed.subscribe()
    }

    /// Some of the entries from a number on.
    #[must_use]
    pub fn take(&self, from: u64) -> Taken<T> {
        let ring = self.lock();
        let first = ring.next - ring.entries.len() as u64;
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let entries = (first.max(from)..).zip(ring.entries.iter().skip(skipped)).take(TAKEN_AT_ONCE);
        Taken { missed: from < first, entries: entries.map(|(number, entry)| (number, entry.clone())).collect() }
    }

    /// The newest entries first, those that are wanted.
    #[must_use]
    pub fn latest(&self, limit: usize, wanted: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        self.lock().entries.iter().rev().filter(|entry| wanted(entry)).take(limit).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ring<T>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(taken: &Taken<u64>) -> (bool, Vec<u64>) {
        assert!(taken.entries.iter().all(|(number, entry)| *number == **entry));
        (taken.missed, taken.entries.iter().map(|(number, _)| *number).collect())
    }

    #[test]
    fn a_reader_gets_everything_in_order_or_is_told_what_it_missed() {
        let feed = Feed::new(3);
        assert_eq!(numbers(&feed.take(0)), (false, vec![]));
        (0..3).for_each(|n| feed.push(n));
        assert_eq!((numbers(&feed.take(0)), numbers(&feed.take(2))), ((false, vec![0, 1, 2]), (false, vec![2])));
        feed.push(3);
        assert_eq!((numbers(&feed.take(0)), numbers(&feed.take(1))), ((true, vec![1, 2, 3]), (false, vec![1, 2, 3])));
        assert_eq!((numbers(&feed.take(4)), feed.next()), ((false, vec![]), 4));
        assert_eq!(numbers(&feed.take(900)), (false, vec![]));
        assert_eq!(feed.latest(2, |n| *n != 2), [Arc::new(3), Arc::new(1)]);
    }

    #[test]
    fn a_reader_takes_a_bounded_number_at_once() {
        let feed = Feed::new(1_000);
        (0..1_000).for_each(|n| feed.push(n));
        assert_eq!(feed.take(0).entries.len(), TAKEN_AT_ONCE);
    }
}
