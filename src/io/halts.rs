//! The view: which sessions are halted, as far as this process knows.
//!
//! Filled from the whole of the ledger before the process says that it is ready, then kept up with
//! every record. Reads take a shared lock for a look-up; nothing else is on the gate's path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::feed::Feed;
use crate::halt::HaltRecord;
use crate::limits::HALTS_KEPT_MAX;

/// Records by tenant and session.
type Records = BTreeMap<Arc<str>, BTreeMap<Arc<str>, HaltRecord>>;

/// All halt records that are known.
#[derive(Debug)]
pub struct HaltView {
    /// What changed since the view was complete; followed by streams.
    pub feed: Feed<HaltRecord>,
    records: RwLock<Records>,
    revision: AtomicU64,
    complete: AtomicBool,
}

impl Default for HaltView {
    fn default() -> Self {
        Self {
            feed: Feed::new(HALTS_KEPT_MAX),
            records: RwLock::default(),
            revision: AtomicU64::new(0),
            complete: AtomicBool::new(false),
        }
    }
}

impl HaltView {
    /// Takes a record in. True when it says something new.
    pub fn apply(&self, record: &HaltRecord) -> bool {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = records.entry(record.tenant.clone()).or_default();
        if !record.supersedes(of_tenant.get(&record.session)) {
            return false;
        }
        of_tenant.insert(record.session.clone(), record.clone());
        self.revision.fetch_add(1, Ordering::Release);
        // Under the lock, so that the order of the feed is that of the view.
        if self.is_complete() {
            self.feed.push(record.clone());
        }
        true
    }

    /// The latest record of a session.
    #[must_use]
    pub fn get(&self, tenant: &str, session: &str) -> Option<HaltRecord> {
        self.read().get(tenant)?.get(session).cloned()
    }

    /// Every record, by tenant and session.
    #[must_use]
    pub fn all(&self) -> Vec<HaltRecord> {
        self.read().values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// The records that are wanted, the latest first.
    #[must_use]
    pub fn latest(&self, wanted: impl Fn(&HaltRecord) -> bool) -> Vec<HaltRecord> {
        let records = self.read();
        let all = records.values().flat_map(BTreeMap::values);
        let mut latest: Vec<HaltRecord> = all.filter(|record| wanted(record)).cloned().collect();
        latest.sort_by_key(|record| std::cmp::Reverse(record.at));
        latest
    }

    /// Number of sessions that are halted.
    #[must_use]
    pub fn halted(&self) -> usize {
        self.read().values().flat_map(BTreeMap::values).filter(|record| record.is_halted()).count()
    }

    /// Counts up with every change, so that a client can tell an older answer from a newer one.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Says that the ledger was read to its end.
    pub fn set_complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Whether the ledger was read to its end, so that "not halted" may be believed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    fn read(&self) -> RwLockReadGuard<'_, Records> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}
