//! What is still missing before the gate may be believed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Named conditions that must hold first.
#[derive(Debug)]
pub struct Readiness {
    waiting: Mutex<BTreeSet<&'static str>>,
}

impl Readiness {
    /// Not ready until each of these is done.
    #[must_use]
    pub fn new(conditions: &[&'static str]) -> Self {
        Self { waiting: Mutex::new(conditions.iter().copied().collect()) }
    }

    /// One condition holds from here on.
    pub fn done(&self, condition: &str) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(condition);
    }

    /// What is still missing, by name; empty when ready.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
