//! The latest findings, for the API and the console. A bounded ring; the ledger has them all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::finding::Finding;
use crate::limits::FINDINGS_LISTED_MAX;

/// A ring of findings, newest last.
#[derive(Debug, Default)]
pub struct Recent {
    ring: Mutex<VecDeque<Arc<Finding>>>,
}

impl Recent {
    /// Adds findings that have become durable.
    pub fn add(&self, findings: impl Iterator<Item = Finding>) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        for finding in findings {
            if ring.len() >= FINDINGS_LISTED_MAX {
                ring.pop_front();
            }
            ring.push_back(Arc::new(finding));
        }
    }

    /// The newest findings first, of one tenant and session where these are given.
    #[must_use]
    pub fn list(&self, tenant: Option<&str>, session: Option<&str>, limit: usize) -> Vec<Arc<Finding>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |finding: &&Arc<Finding>| {
            tenant.is_none_or(|tenant| *finding.tenant == *tenant)
                && session.is_none_or(|session| *finding.session == *session)
        };
        ring.iter().rev().filter(wanted).take(limit).cloned().collect()
    }
}
