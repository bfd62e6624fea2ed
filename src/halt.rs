//! Halt states: one record per session, ordered by epoch.
//!
//! A record is an absolute statement ("halted, epoch 3"), never a change, so that applying it twice or
//! out of order does no harm: the higher epoch wins, and on equal epochs the first one seen stays.
//! `cleared_through` is how a release survives a replay: a halt that follows from a record at or before
//! that point is void.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity};
use crate::ids::{Origin, digest_id};
use crate::time::Millis;

/// Whether a session may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HaltState {
    /// It may not.
    Halted,
    /// It may again, after a halt was lifted.
    Running,
}

/// The latest word on one session. Schema version 1; the value in `haltline.halts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HaltRecord {
    /// Schema version, 1.
    pub v: u8,
    /// Made from the cause; also the id of its webhook.
    pub id: String,
    /// Tenant of the session.
    pub tenant: Arc<str>,
    /// The session.
    pub session: Arc<str>,
    /// What holds from now on.
    pub state: HaltState,
    /// Counts up by one with each change of this session's state, from 1.
    pub epoch: u64,
    /// When: event time for a rule's halt, wall clock for an operator's order.
    pub at: Millis,
    /// When it was written to the ledger, by the writer's clock; the engine does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Millis>,
    /// Who: `rule` or the operator's name.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// The rule that halted it; none for an operator's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The rule's severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The finding behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The event that tripped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Where that event stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// A halt that follows from a record at or before this point is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_through: Option<Origin>,
    /// For a release: the halt that it lifts, so that whoever was told of the one is told of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Lifted>,
}

/// The halt that a release lifts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lifted {
    /// Id of its record.
    pub id: String,
    /// When it became known: when it was written, or where that is not noted, when it happened.
    pub since: Millis,
    /// The rule behind it; none for an operator's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The rule's severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl Lifted {
    fn of(halt: &HaltRecord) -> Self {
        let (rule, severity) = (halt.rule.clone(), halt.severity);
        Self { id: halt.id.clone(), since: halt.news_since(), rule, severity }
    }
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Tenant of the session.
    pub tenant: Arc<str>,
    /// The session.
    pub session: Arc<str>,
    /// What should hold.
    pub state: HaltState,
    /// Who asks.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, by the wall clock of whoever took the order.
    pub at: Millis,
    /// The last record of this session that was seen before a release.
    pub seen_through: Option<Origin>,
}

impl HaltRecord {
    /// The halt that follows from a finding.
    #[must_use]
    pub fn from_finding(finding: &Finding, before: Option<&Self>) -> Self {
        Self {
            v: 1,
            id: digest_id("h_", &[finding.id.as_bytes()]),
            tenant: finding.tenant.clone(),
            session: finding.session.clone(),
            state: HaltState::Halted,
            epoch: before.map_or(0, |b| b.epoch) + 1,
            at: finding.ts,
            written: None,
            by: "rule".to_owned(),
            reason: format!("{}: {}", finding.title, finding.evidence.summary),
            rule: Some(finding.rule.clone()),
            severity: Some(finding.severity),
            finding: Some(finding.id.clone()),
            event_id: Some(finding.event_id.clone()),
            origin: Some(finding.origin.clone()),
            cleared_through: before.and_then(|b| b.cleared_through.clone()),
            lifted: None,
        }
    }

    /// The record that an order makes, or `None` where what it asks for already holds.
    #[must_use]
    pub fn from_order(order: &Order, before: Option<&Self>) -> Option<Self> {
        let state = before.map_or(HaltState::Running, |b| b.state);
        if state == order.state {
            return None;
        }
        let epoch = before.map_or(0, |b| b.epoch) + 1;
        let released = order.state == HaltState::Running;
        let cleared_through =
            if released { latest_of(order, before) } else { before.and_then(|b| b.cleared_through.clone()) };
        Some(Self {
            v: 1,
            id: digest_id(
                "h_",
                &[
                    order.tenant.as_bytes(),
                    order.session.as_bytes(),
                    &epoch.to_le_bytes(),
                    order.by.as_bytes(),
                    &order.at.0.to_le_bytes(),
                ],
            ),
            tenant: order.tenant.clone(),
            session: order.session.clone(),
            state: order.state,
            epoch,
            at: order.at,
            written: None,
            by: order.by.clone(),
            reason: order.reason.clone(),
            rule: None,
            severity: None,
            finding: None,
            event_id: None,
            origin: None,
            cleared_through,
            lifted: before.filter(|_| released).map(Lifted::of),
        })
    }

    /// The record in these bytes, if it is one and has this id. Quick for the many that have another.
    #[must_use]
    pub fn in_json(bytes: &[u8], id: &str) -> Option<Self> {
        memchr::memmem::find(bytes, id.as_bytes())?;
        serde_json::from_slice(bytes).ok().filter(|record: &Self| record.id == id)
    }

    /// Whether this record changes what `before` said.
    #[must_use]
    pub fn supersedes(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|b| self.epoch > b.epoch)
    }

    /// Whether a halt that follows from the record at `origin` is void, because an operator released
    /// the session after it.
    #[must_use]
    pub fn voids(&self, origin: &Origin) -> bool {
        self.cleared_through.as_ref().is_some_and(|cleared| origin.at_or_before(cleared))
    }

    /// Since when it is news: events may be much older than their halt, when an old log is read.
    #[must_use]
    pub fn news_since(&self) -> Millis {
        self.written.unwrap_or(self.at)
    }

    /// How often the session was released: states alternate, so every second epoch is a release.
    #[must_use]
    pub fn releases(&self) -> u64 {
        self.epoch / 2
    }

    /// The same for a halt and the release that lifts it, and for nothing else: states alternate, so that
    /// a halt has an odd epoch and its release the even one after it.
    #[must_use]
    pub fn incident(&self) -> String {
        let number = self.epoch.div_ceil(2).to_le_bytes();
        digest_id("i_", &[self.tenant.as_bytes(), self.session.as_bytes(), &number])
    }

    /// Whether the session may not go on.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.state == HaltState::Halted
    }
}

/// How far a release reaches: to the last record that was seen of the session, at least to the one
/// that halted it.
fn latest_of(order: &Order, before: Option<&HaltRecord>) -> Option<Origin> {
    let tripped = before.and_then(|b| b.origin.clone());
    match (order.seen_through.clone(), tripped) {
        (Some(seen), Some(tripped)) if seen.at_or_before(&tripped) => Some(tripped),
        (seen, tripped) => seen.or(tripped).or_else(|| before.and_then(|b| b.cleared_through.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(state: HaltState, seen: Option<i64>) -> Order {
        Order {
            tenant: "acme".into(),
            session: "s".into(),
            state,
            by: "ana".into(),
            reason: "looked at it".into(),
            at: Millis(1),
            seen_through: seen.map(origin),
        }
    }

    fn origin(offset: i64) -> Origin {
        Origin { topic: "t".into(), partition: 0, offset }
    }

    fn halted_at(offset: i64) -> HaltRecord {
        let mut record = HaltRecord::from_order(&order(HaltState::Halted, None), None).expect("was running");
        record.origin = Some(origin(offset));
        record
    }

    #[test]
    fn orders_that_change_nothing_make_no_record() {
        assert_eq!(HaltRecord::from_order(&order(HaltState::Running, None), None), None);
        assert_eq!(HaltRecord::from_order(&order(HaltState::Halted, None), Some(&halted_at(5))), None);
    }

    #[test]
    fn a_release_voids_what_came_before_it_and_nothing_later() {
        for (seen, void, stands) in [(Some(9), 9, 10), (Some(2), 5, 6), (None, 5, 6)] {
            let released =
                HaltRecord::from_order(&order(HaltState::Running, seen), Some(&halted_at(5))).expect("was halted");
            assert_eq!(released.epoch, 2);
            assert!(released.voids(&origin(void)) && !released.voids(&origin(stands)), "seen {seen:?}");
        }
    }

    #[test]
    fn a_release_names_the_halt_that_it_lifts_and_is_of_the_same_incident() {
        let mut halted = halted_at(5);
        (halted.rule, halted.severity, halted.written) = (Some("r".into()), Some(Severity::High), Some(Millis(7)));
        let next = |state, before: &HaltRecord| HaltRecord::from_order(&order(state, None), Some(before));
        let released = next(HaltState::Running, &halted).expect("was halted");
        let lifted = released.lifted.clone().expect("lifts one");
        assert_eq!((lifted.id, lifted.since), (halted.id.clone(), Millis(7)));
        assert_eq!((lifted.rule.as_deref(), lifted.severity), (Some("r"), Some(Severity::High)));
        let again = next(HaltState::Halted, &released).expect("was running");
        assert_eq!((&halted.lifted, &again.lifted), (&None, &None));
        assert_eq!(halted.incident(), released.incident());
        assert_ne!(halted.incident(), again.incident());
        assert_eq!(again.incident(), next(HaltState::Running, &again).expect("was halted").incident());
        let other = HaltRecord { session: "t".into(), ..halted.clone() };
        assert_ne!(other.incident(), halted.incident());
    }

    #[test]
    fn the_higher_epoch_wins_and_a_repeat_changes_nothing() {
        let halted = halted_at(5);
        let released = HaltRecord::from_order(&order(HaltState::Running, None), Some(&halted)).expect("was halted");
        assert!(released.supersedes(Some(&halted)));
        assert!(!halted.supersedes(Some(&released)));
        assert!(!released.supersedes(Some(&released)));
    }
}
