//! What answers are made of: a halt, and what is known of a session's doings.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::SessionView;
use crate::finding::Severity;
use crate::halt::{HaltRecord, HaltState};
use crate::ids::Origin;
use crate::time::Millis;

/// A halt in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Halt")]
pub(super) struct HaltBody {
    id: String,
    /// None for an operator's halt.
    rule: Option<Arc<str>>,
    severity: Option<Severity>,
    since: Millis,
    by: String,
    reason: String,
    /// Counts up with each change of the session's state.
    epoch: u64,
    finding: Option<String>,
    event_id: Option<String>,
    origin: Option<Origin>,
}

impl HaltBody {
    pub(super) fn of(record: &HaltRecord) -> Self {
        Self {
            id: record.id.clone(),
            rule: record.rule.clone(),
            severity: record.severity,
            since: record.at,
            by: record.by.clone(),
            reason: record.reason.clone(),
            epoch: record.epoch,
            finding: record.finding.clone(),
            event_id: record.event_id.clone(),
            origin: record.origin.clone(),
        }
    }

    /// What it says in words.
    pub(super) fn words(&self) -> String {
        format!("{} {} {}", self.rule.as_deref().unwrap_or_default(), self.by, self.reason)
    }

    /// The halt that a record stands for; none for a release.
    pub(super) fn in_force(record: Option<&HaltRecord>) -> Option<Self> {
        record.filter(|record| record.is_halted()).map(Self::of)
    }
}

/// What a session is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SessionState")]
pub(super) enum State {
    Halted,
    Running,
    Unknown,
}

impl State {
    /// A session is running when it was seen, or was released.
    pub(super) fn of(record: Option<&HaltRecord>, was_seen: bool) -> Self {
        match record.map(|record| record.state) {
            Some(HaltState::Halted) => Self::Halted,
            Some(HaltState::Running) => Self::Running,
            None if was_seen => Self::Running,
            None => Self::Unknown,
        }
    }
}

/// A session's doings in a list; its findings are told by its own page.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Activity")]
pub(super) struct ActivityRow {
    agent: Option<String>,
    /// The risk score at the latest event.
    pub(super) score: f64,
    first_seen: Millis,
    last_seen: Millis,
    events: u64,
    malformed: u64,
    events_after_halt: u64,
    findings_total: u64,
}

impl ActivityRow {
    pub(super) fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    pub(super) fn of(view: &SessionView) -> Self {
        Self {
            agent: view.agent.clone(),
            score: view.score,
            first_seen: view.first_seen,
            last_seen: view.last_seen,
            events: view.events,
            malformed: view.malformed,
            events_after_halt: view.events_after_halt,
            findings_total: view.findings_total,
        }
    }
}
