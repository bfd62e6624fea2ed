//! What the engine keeps of a session.

use std::collections::VecDeque;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::HashKey;
use super::stream::Tails;
use crate::event::{Event, Kind};
use crate::finding::{Action, Finding, Mode, Severity};
use crate::ids::{Origin, ShardId};
use crate::limits::{FINDINGS_PER_SESSION_MAX, MARKS_PER_SESSION_MAX, RECENT_IDS, SCORED_RULES_MAX, TRAIL_MAX};
use crate::text;
use crate::time::Millis;

/// Whether an event was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Never.
    New,
    /// The same id with other bytes: scanned, but not counted in windows.
    ReusedId,
    /// The same id and bytes: a producer's retry.
    Repeat,
}

/// State of one session in one shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    tenant: Arc<str>,
    session: Arc<str>,
    agent: Option<Box<str>>,
    first_seen: Millis,
    last_seen: Millis,
    last_offset: i64,
    events: u64,
    malformed: u64,
    after_halt: u64,
    findings_total: u64,
    /// Hashes of the ids and bytes of recent events; the oldest is overwritten.
    recent: [(u32, u32); RECENT_IDS],
    recent_next: u8,
    findings: VecDeque<FindingSummary>,
    /// The ends of what was heard, read and done.
    pub(super) tails: Tails,
    /// How often each rule has found something, for the risk score.
    scored: Vec<(u32, u8)>,
    /// Events that rules about several steps may name later.
    marks: VecDeque<Mark>,
    /// The end of what was sent out.
    pub(super) sent: Option<Box<text::Tails>>,
    /// The last events, for who looks at the session.
    trail: VecDeque<Footprint>,
}

/// An event as a session remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Footprint {
    offset: i64,
    ts: Millis,
    kind: u8,
    tool: Option<Box<str>>,
}

/// One of the last events of a session.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Step {
    /// Where its record stands.
    pub origin: Origin,
    /// Event time.
    pub ts: Millis,
    /// What kind of event it is.
    pub kind: &'static str,
    /// The tool that it names.
    pub tool: Option<String>,
}

/// An event that a rule about several steps may name later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    offset: i64,
    event_id: Box<str>,
    tool: Option<Box<str>>,
}

/// A session as the API shows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SessionView {
    /// Tenant of the session.
    pub tenant: Arc<str>,
    /// The session.
    pub session: Arc<str>,
    /// The agent that acted last.
    pub agent: Option<String>,
    /// The risk score at the latest event.
    pub score: f64,
    /// Event time of the first event.
    pub first_seen: Millis,
    /// Event time of the latest event.
    pub last_seen: Millis,
    /// Where the latest record stands.
    pub last_origin: Origin,
    /// Events so far.
    pub events: u64,
    /// Records that were no events.
    pub malformed: u64,
    /// Events that came while the session was halted.
    pub events_after_halt: u64,
    /// Findings so far.
    pub findings_total: u64,
    /// The latest findings, oldest first.
    pub findings: Vec<FindingSummary>,
    /// The last events, oldest first; told beside this.
    #[serde(skip)]
    pub trail: Vec<Step>,
}

/// A finding as a session remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingSummary {
    /// Id of the finding.
    pub id: String,
    /// Event time.
    pub ts: Millis,
    /// Rule id.
    pub rule: Arc<str>,
    /// The rule's title.
    pub title: Arc<str>,
    /// How bad.
    pub severity: Severity,
    /// What it asks for.
    pub action: Action,
    /// Whether that is carried out.
    pub mode: Mode,
    /// The event.
    pub event_id: String,
    /// Why, in words and numbers.
    pub summary: String,
    /// The matching piece, masked where it is a secret.
    pub excerpt: Option<String>,
}

impl Footprint {
    fn step(&self, shard: &ShardId) -> Step {
        let origin = Origin { topic: shard.topic.clone(), partition: shard.partition, offset: self.offset };
        let kind = Kind::ALL.get(usize::from(self.kind)).map_or("other", |kind| kind.as_str());
        Step { origin, ts: self.ts, kind, tool: self.tool.as_deref().map(str::to_owned) }
    }
}

impl Session {
    /// A session that is seen for the first time.
    #[must_use]
    pub(super) fn new(tenant: &str, session: &str, ts: Millis) -> Self {
        Self {
            tenant: Arc::from(tenant),
            session: Arc::from(session),
            agent: None,
            first_seen: ts,
            last_seen: ts,
            last_offset: -1,
            events: 0,
            malformed: 0,
            after_halt: 0,
            findings_total: 0,
            recent: [(0, 0); RECENT_IDS],
            recent_next: 0,
            findings: VecDeque::new(),
            tails: Tails::default(),
            scored: Vec::new(),
            marks: VecDeque::new(),
            sent: None,
            trail: VecDeque::new(),
        }
    }

    /// How often a rule has found something before; counts this time.
    pub(super) fn count_rule(&mut self, rule: &str) -> u8 {
        let rule = HashKey::COMMON.short(rule.as_bytes());
        if let Some((_, times)) = self.scored.iter_mut().find(|(known, _)| *known == rule) {
            let before = *times;
            *times = times.saturating_add(1);
            return before;
        }
        if self.scored.len() < SCORED_RULES_MAX {
            self.scored.push((rule, 1));
        }
        0
    }

    /// Remembers an event that a later finding may name.
    pub(super) fn mark(&mut self, offset: i64, event_id: &str, tool: Option<&str>) {
        if self.marks.back().is_some_and(|last| last.offset == offset) {
            return;
        }
        if self.marks.len() >= MARKS_PER_SESSION_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { offset, event_id: event_id.into(), tool: tool.map(Into::into) });
    }

    /// The event at an offset and its tool, where it was marked.
    pub(super) fn marked(&self, offset: i64) -> Option<(&str, Option<&str>)> {
        let mark = self.marks.iter().find(|mark| mark.offset == offset)?;
        Some((&mark.event_id, mark.tool.as_deref()))
    }

    /// An operator's release settles what was before it.
    pub(super) fn settle(&mut self) {
        self.scored.clear();
        self.sent = None;
    }

    /// Notes an event; `ids` are the hashes of its id, if it has one, and of its bytes.
    pub(super) fn see(
        &mut self,
        event: &Event<'_>,
        ts: Millis,
        offset: i64,
        ids: Option<(u32, u32)>,
        halted: bool,
    ) -> Seen {
        self.last_offset = self.last_offset.max(offset);
        let seen = ids.map_or(Seen::New, |ids| self.remember(ids));
        if seen == Seen::Repeat {
            return seen;
        }
        self.events += 1;
        if self.trail.len() >= TRAIL_MAX {
            self.trail.pop_front();
        }
        let kind = Kind::ALL.iter().position(|kind| *kind == event.kind).and_then(|kind| u8::try_from(kind).ok());
        let tool = event.tool.as_ref().map(|tool| tool.name.as_ref().into());
        self.trail.push_back(Footprint { offset, ts, kind: kind.unwrap_or_default(), tool });
        self.after_halt += u64::from(halted);
        self.first_seen = self.first_seen.min(ts);
        self.last_seen = self.last_seen.max(ts);
        if let Some(agent) = event.agent.id.as_deref().filter(|agent| Some(*agent) != self.agent.as_deref()) {
            self.agent = Some(agent.into());
        }
        seen
    }

    /// Notes a record that was no event.
    pub(super) fn see_malformed(&mut self, ts: Millis, offset: i64) {
        self.last_offset = self.last_offset.max(offset);
        self.last_seen = self.last_seen.max(ts);
        self.malformed += 1;
    }

    /// Notes a finding; the oldest goes when there are too many.
    pub(super) fn note(&mut self, finding: &Finding) {
        self.findings_total += 1;
        if self.findings.len() >= FINDINGS_PER_SESSION_MAX {
            self.findings.pop_front();
        }
        self.findings.push_back(FindingSummary {
            id: finding.id.clone(),
            ts: finding.ts,
            rule: finding.rule.clone(),
            title: finding.title.clone(),
            severity: finding.severity,
            action: finding.action,
            mode: finding.mode,
            event_id: finding.event_id.clone(),
            summary: finding.evidence.summary.clone(),
            excerpt: finding.evidence.excerpt.clone(),
        });
    }

    pub(super) fn names(&self) -> (Arc<str>, Arc<str>) {
        (self.tenant.clone(), self.session.clone())
    }

    pub(super) fn is_of(&self, tenant: &str) -> bool {
        *self.tenant == *tenant
    }

    /// By last activity, newest first, and then by name, so that the order is one.
    pub(super) fn newer_first(a: &&Self, b: &&Self) -> std::cmp::Ordering {
        b.last_seen.cmp(&a.last_seen).then_with(|| (&a.tenant, &a.session).cmp(&(&b.tenant, &b.session)))
    }

    /// The last events, the oldest first.
    pub(super) fn trail(&self, shard: &ShardId) -> Vec<Step> {
        self.trail.iter().map(|print| print.step(shard)).collect()
    }

    pub(super) fn view(&self, shard: &ShardId) -> SessionView {
        SessionView {
            tenant: self.tenant.clone(),
            session: self.session.clone(),
            agent: self.agent.as_deref().map(str::to_owned),
            score: 0.0,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            last_origin: Origin { topic: shard.topic.clone(), partition: shard.partition, offset: self.last_offset },
            events: self.events,
            malformed: self.malformed,
            events_after_halt: self.after_halt,
            findings_total: self.findings_total,
            findings: self.findings.iter().cloned().collect(),
            trail: Vec::new(),
        }
    }

    fn remember(&mut self, (id, digest): (u32, u32)) -> Seen {
        let known = self.recent.iter().filter(|(known, _)| *known == id && id != 0);
        let mut seen = Seen::New;
        for (_, known_digest) in known {
            if *known_digest == digest {
                return Seen::Repeat;
            }
            seen = Seen::ReusedId;
        }
        if let Some(slot) = self.recent.get_mut(usize::from(self.recent_next)) {
            *slot = (id, digest);
        }
        self.recent_next = (self.recent_next + 1) % u8::try_from(RECENT_IDS).unwrap_or(u8::MAX);
        seen
    }
}
