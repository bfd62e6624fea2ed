//! The view: which sessions are halted, as far as this process knows.
//!
//! Filled from the whole of the ledger before the process says that it is ready, then kept up with
//! every record. Reads take a shared lock for a look-up; nothing else is on the gate's path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::halt::HaltRecord;

type Names = (Arc<str>, Arc<str>);

/// All halt records that are known, by tenant and session.
#[derive(Debug, Default)]
pub struct HaltView {
    records: RwLock<BTreeMap<Names, HaltRecord>>,
    revision: AtomicU64,
    complete: AtomicBool,
}

impl HaltView {
    /// Takes a record in. True when it says something new.
    pub fn apply(&self, record: &HaltRecord) -> bool {
        let key = (record.tenant.clone(), record.session.clone());
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        if !record.supersedes(records.get(&key)) {
            return false;
        }
        records.insert(key, record.clone());
        self.revision.fetch_add(1, Ordering::Release);
        true
    }

    /// The latest record of a session.
    #[must_use]
    pub fn get(&self, tenant: &str, session: &str) -> Option<HaltRecord> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        records.get(&(Arc::from(tenant), Arc::from(session))).cloned()
    }

    /// Every record, by tenant and session.
    #[must_use]
    pub fn all(&self) -> Vec<HaltRecord> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The records that are wanted, the latest first.
    #[must_use]
    pub fn latest(&self, wanted: impl Fn(&HaltRecord) -> bool) -> Vec<HaltRecord> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let mut latest: Vec<HaltRecord> = records.values().filter(|record| wanted(record)).cloned().collect();
        latest.sort_by_key(|record| std::cmp::Reverse(record.at));
        latest
    }

    /// Number of sessions that are halted.
    #[must_use]
    pub fn halted(&self) -> usize {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        records.values().filter(|record| record.is_halted()).count()
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
}
