//! Exceptions: findings that a person has looked at and lets pass, until a day.

use super::{Glob, When};
use crate::event::Event;
use crate::finding::Evidence;
use crate::time::Millis;

/// A case that a person lets pass.
#[derive(Clone, Debug)]
pub struct Except {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// It holds before this moment.
    pub until: Millis,
    /// Which events.
    pub when: When,
    /// What the excerpt or the summary must match; empty for anything.
    pub values: Vec<Glob>,
}

impl Except {
    /// Whether a finding on this event at this time is let pass.
    #[must_use]
    pub fn holds(&self, event: &Event<'_>, at: Millis, evidence: &Evidence) -> bool {
        let told = [Some(&evidence.summary), evidence.excerpt.as_ref()];
        let is_meant = |glob: &Glob| told.iter().flatten().any(|text| glob.matches(text));
        at < self.until && self.when.passes(event) && (self.values.is_empty() || self.values.iter().any(is_meant))
    }
}
