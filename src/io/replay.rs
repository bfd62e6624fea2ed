//! Recorded events through the engine, one decision for each: what replay and backtest are made of.
//!
//! Nothing is written and nobody is told. Each partition has an engine of its own, as in service, and the
//! secret of the hashes is fixed, so that the same records give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::engine::{At, Effect, Engine, HashKey, Input, Program, Settings};
use crate::event::{Event, Reason, parse};
use crate::finding::{Action, Evidence, Finding, Mode, Severity};
use crate::ids::{Origin, ShardId};
use crate::io::record::RecordView;

/// What the rules say of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The event's own id, or its coordinates.
    pub event_id: String,
    /// Tenant and session; none for a record that names none.
    pub session: Option<(String, String)>,
    /// The strongest action that is carried out; `halt` from the halt of its session on.
    pub verdict: Option<Action>,
    /// Whether this event halted its session.
    pub halts: bool,
    /// The findings.
    pub findings: Vec<Finding>,
    /// Why the record is no event.
    pub dead_letter: Option<Reason>,
}

/// A decision as one line of JSON.
#[derive(Serialize)]
struct Line<'d> {
    event_id: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'d str>,
    session: Option<&'d str>,
    verdict: &'static str,
    findings: Vec<Found<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<&'static str>,
}

#[derive(Serialize)]
struct Found<'d> {
    rule: &'d str,
    action: Action,
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    evidence: &'d Evidence,
}

impl<'d> Found<'d> {
    fn of(finding: &'d Finding) -> Self {
        Self {
            rule: &finding.rule,
            action: finding.action,
            severity: finding.severity,
            mode: Some(finding.mode).filter(|mode| *mode == Mode::Shadow),
            evidence: &finding.evidence,
        }
    }
}

/// Engines for recorded events.
pub struct Replay {
    program: Arc<Program>,
    settings: Settings,
    engines: BTreeMap<ShardId, Engine>,
    halted: BTreeSet<(String, String)>,
    effects: Vec<Effect>,
}

impl Replay {
    /// Engines without any history. In `shadow` every rule only says what it would have done.
    #[must_use]
    pub fn new(program: Arc<Program>, shadow: bool) -> Self {
        let settings = Settings { shadow, hash_key: HashKey([0; 16]) };
        Self { program, settings, engines: BTreeMap::new(), halted: BTreeSet::new(), effects: Vec::new() }
    }

    /// Takes one record.
    pub fn feed(&mut self, record: RecordView<'_>) -> Decision {
        match parse(record.payload) {
            Ok(parsed) => self.event(&parsed.event, record),
            Err(rejected) => {
                let repaired = rejected.repaired(record.payload);
                let reread = repaired.as_deref().and_then(|bytes| parse(bytes).ok());
                let mut decision = match reread {
                    Some(parsed) => self.event(&parsed.event, record),
                    None => {
                        let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
                        let input = Input::Malformed { rejected: &rejected, bytes: record.payload, key };
                        let session = rejected.session.clone().or_else(|| key.map(str::to_owned));
                        let tenant = rejected.tenant.clone().unwrap_or_else(|| crate::event::TENANT_DEFAULT.to_owned());
                        self.step(record, input, None, session.map(|session| (tenant, session)))
                    }
                };
                decision.dead_letter = Some(rejected.reason);
                decision
            }
        }
    }

    /// The sessions that were halted so far, by tenant and name.
    #[must_use]
    pub fn halted(&self) -> &BTreeSet<(String, String)> {
        &self.halted
    }

    fn event(&mut self, event: &Event<'_>, record: RecordView<'_>) -> Decision {
        let digest = self.settings.hash_key.digest(record.payload);
        let session = (event.tenant.to_string(), event.session.to_string());
        let id = event.id.as_deref().map(str::to_owned);
        self.step(record, Input::Event { event, digest }, id, Some(session))
    }

    fn step(
        &mut self,
        record: RecordView<'_>,
        input: Input<'_>,
        id: Option<String>,
        session: Option<(String, String)>,
    ) -> Decision {
        let shard = ShardId { topic: Arc::from(record.topic), partition: record.partition };
        let origin = Origin { topic: shard.topic.clone(), partition: shard.partition, offset: record.offset };
        let fresh = || Engine::new(shard.clone(), self.program.clone(), self.settings);
        let engine = self.engines.entry(shard.clone()).or_insert_with(fresh);
        let at = At { offset: record.offset, append: record.append, silent: false };
        engine.step(at, input, &mut self.effects);
        let (mut findings, mut halts) = (Vec::new(), false);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Finding(finding) => findings.push(finding),
                Effect::Halt(halt) => {
                    halts = true;
                    self.halted.insert((halt.tenant.to_string(), halt.session.to_string()));
                }
            }
        }
        let is_halted = session.as_ref().is_some_and(|session| self.halted.contains(session));
        let enforced = findings.iter().filter(|finding| finding.mode == Mode::Enforce);
        let verdict = enforced.map(|finding| finding.action).max().max(is_halted.then_some(Action::Halt));
        let event_id = id.unwrap_or_else(|| origin.to_string());
        Decision { event_id, session, verdict, halts, findings, dead_letter: None }
    }
}

impl Decision {
    /// The verdict's name; `allow` where no rule asks for anything.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        self.verdict.map_or("allow", Action::as_str)
    }

    /// One line of JSON.
    #[must_use]
    pub fn line(&self) -> String {
        let tenant = self.session.as_ref().map(|(tenant, _)| tenant.as_str());
        let line = Line {
            event_id: &self.event_id,
            tenant: tenant.filter(|tenant| *tenant != crate::event::TENANT_DEFAULT),
            session: self.session.as_ref().map(|(_, session)| session.as_str()),
            verdict: self.verdict(),
            findings: self.findings.iter().map(Found::of).collect(),
            dead_letter: self.dead_letter.map(Reason::as_str),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}
