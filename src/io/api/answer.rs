//! What answers are made of: a halt, and what is known of a session's doings.

use serde::Serialize;

use crate::engine::SessionView;
use crate::finding::Severity;
use crate::halt::{HaltRecord, HaltState};
use crate::ids::Origin;
use crate::time::Millis;

/// A halt in force.
#[derive(Serialize)]
pub(super) struct HaltBody<'a> {
    id: &'a str,
    rule: Option<&'a str>,
    severity: Option<Severity>,
    since: Millis,
    by: &'a str,
    reason: &'a str,
    epoch: u64,
    finding: Option<&'a str>,
    event_id: Option<&'a str>,
    origin: Option<&'a Origin>,
}

impl<'a> HaltBody<'a> {
    pub(super) fn of(record: &'a HaltRecord) -> Self {
        Self {
            id: &record.id,
            rule: record.rule.as_deref(),
            severity: record.severity,
            since: record.at,
            by: &record.by,
            reason: &record.reason,
            epoch: record.epoch,
            finding: record.finding.as_deref(),
            event_id: record.event_id.as_deref(),
            origin: record.origin.as_ref(),
        }
    }

    /// The halt that a record stands for; none for a release.
    pub(super) fn in_force(record: Option<&'a HaltRecord>) -> Option<Self> {
        record.filter(|record| record.is_halted()).map(Self::of)
    }
}

/// What a session is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Serialize)]
pub(super) struct ActivityRow<'a> {
    agent: Option<&'a str>,
    first_seen: Millis,
    last_seen: Millis,
    events: u64,
    malformed: u64,
    events_after_halt: u64,
    findings_total: u64,
}

impl<'a> ActivityRow<'a> {
    pub(super) fn of(view: &'a SessionView) -> Self {
        Self {
            agent: view.agent.as_deref(),
            first_seen: view.first_seen,
            last_seen: view.last_seen,
            events: view.events,
            malformed: view.malformed,
            events_after_halt: view.events_after_halt,
            findings_total: view.findings_total,
        }
    }
}
