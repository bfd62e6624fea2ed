//! The latest findings, for the API and the console, and how often each rule has found something. The ledger has
//! all of them; here is what this process saw since its start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use super::feed::Feed;
use crate::finding::{Finding, Mode};
use crate::limits::FINDINGS_LISTED_MAX;
use crate::time::Millis;

/// Findings that have become durable.
#[derive(Debug)]
pub struct Recent {
    /// In order; followed by streams.
    pub feed: Feed<Finding>,
    hits: Mutex<BTreeMap<Arc<str>, Hits>>,
}

/// How often a rule has found something since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hits {
    /// Findings that count.
    pub hits: u64,
    /// Findings in shadow mode.
    pub would_have: u64,
    /// Event time of the latest finding.
    pub last_hit: Option<Millis>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { feed: Feed::new(FINDINGS_LISTED_MAX), hits: Mutex::default() }
    }
}

impl Recent {
    /// Adds findings that have become durable.
    pub fn add(&self, findings: impl Iterator<Item = Finding>) {
        for finding in findings {
            let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
            let of_rule = hits.entry(finding.rule.clone()).or_default();
            match finding.mode {
                Mode::Enforce => of_rule.hits += 1,
                Mode::Shadow => of_rule.would_have += 1,
            }
            of_rule.last_hit = of_rule.last_hit.max(Some(finding.ts));
            drop(hits);
            self.feed.push(finding);
        }
    }

    /// How often a rule has found something.
    #[must_use]
    pub fn hits(&self, rule: &str) -> Hits {
        self.hits.lock().unwrap_or_else(PoisonError::into_inner).get(rule).copied().unwrap_or_default()
    }

    /// The newest findings first, of one tenant and session where these are given.
    #[must_use]
    pub fn list(&self, tenant: Option<&str>, session: Option<&str>, limit: usize) -> Vec<Arc<Finding>> {
        self.feed.latest(limit, |finding| {
            tenant.is_none_or(|tenant| *finding.tenant == *tenant)
                && session.is_none_or(|session| *finding.session == *session)
        })
    }
}
