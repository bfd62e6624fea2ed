//! The engine: a pure state machine that sees the events of one shard in order and says what follows.
//!
//! It takes a time and one input and pushes effects. It holds no clock, does no IO, draws no random
//! numbers and cannot fail; the same inputs give the same effects, byte for byte. That makes replay,
//! backtest, simulation and crash recovery one and the same thing.
//!
//! Contract of the effects: they are pushed in the order in which they must become durable, and a halt
//! comes after the finding that it follows from. One event halts its session at most once, and a
//! halted session is not halted again.

mod checks;
mod definitions;
mod destinations;
mod field;
mod fields;
mod flows;
mod generic;
mod groups;
mod keyed;
mod keys;
mod malformed;
mod masks;
mod memory;
mod numbers;
mod program;
#[cfg(test)]
mod secret_tests;
mod selftest;
mod sequences;
mod sessions;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod texts;
mod unescape;
mod what_if;
mod windows;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::classify;
use crate::event::{Event, Leaves, Rejected};
use crate::finding::{Action, Finding, Mode};
use crate::halt::HaltRecord;
use crate::ids::{Origin, ShardId};
use crate::limits::{
    CLOCK_AHEAD, DEFINITION_IDLE, DEFINITION_KEYS_MAX, LATENESS, SESSION_IDLE, SESSIONS_PER_SHARD_MAX,
};
use crate::rules::Hints;
use crate::scan::Scratch;
use crate::text::Printer;
use crate::time::Millis;
use crate::window::Keyed;

pub use keys::HashKey;
pub use program::Program;
pub use selftest::{CaseFailure, run_cases};
pub use sessions::{FindingSummary, Session, SessionView, Step};
pub use snapshot::SnapshotError;
pub use what_if::WhatIf;

use definitions::Definition;
use destinations::Destinations;
use memory::Memory;
use sessions::Seen;

/// Steps of expiry with each event, so that memory follows the traffic without a sweep.
const EXPIRE_STEPS: usize = 4;

/// Where and when a record was written.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Offset in the shard's partition.
    pub offset: i64,
    /// When the log took it; `None` where the log does not say (a file), so that the event's own time
    /// counts as it stands.
    pub append: Option<Millis>,
    /// A replay before the committed offset: state is rebuilt, nothing is said.
    pub silent: bool,
}

/// What the engine is given.
#[derive(Debug)]
pub enum Input<'a> {
    /// One event. `digest` is any hash of the record's bytes, to tell a retry from a reused id.
    Event {
        /// The event.
        event: &'a Event<'a>,
        /// Hash of its bytes.
        digest: u32,
    },
    /// A record that is no event. Its bytes are scanned all the same.
    Malformed {
        /// Why.
        rejected: &'a Rejected,
        /// The record.
        bytes: &'a [u8],
        /// The record's key, which names the session where the record does not.
        key: Option<&'a str>,
    },
    /// Time has passed without an event.
    Tick,
    /// The ledger's word on a session: a halt or a release, by anyone.
    Halt(&'a HaltRecord),
    /// New rules from here on. Windows of rules that stayed the same keep their counts.
    Rules(Arc<Program>),
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A rule fired.
    Finding(Finding),
    /// A session must stop.
    Halt(HaltRecord),
}

/// What an engine is made with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Every rule only says what it would have done.
    pub shadow: bool,
    /// Secret of the keyed hashes; has no influence on effects.
    pub hash_key: HashKey,
}

/// What an engine has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    /// Events that changed nothing, because they had been seen.
    pub duplicates: u64,
    /// Timestamps that were moved to lie near their record's append time.
    pub clamped: u64,
    /// Events of sessions that were halted at the time.
    pub after_halt: u64,
    /// Findings beyond the bound for one event.
    pub findings_dropped: u64,
}

/// The state of one shard.
#[derive(Debug)]
pub struct Engine {
    program: Arc<Program>,
    shard: ShardId,
    settings: Settings,
    sessions: Keyed<Session>,
    memory: Memory,
    /// What tools say of themselves.
    hints: Keyed<Hints>,
    halts: BTreeMap<u128, HaltRecord>,
    watermark: Millis,
    last: Millis,
    stats: Stats,
    printer: Printer,
    scratch: Scratch,
    classifier: classify::Scratch,
}

/// One event on its way through the checks.
struct Context<'a> {
    event: &'a Event<'a>,
    session_key: u128,
    ts: Millis,
    origin: Origin,
    event_id: String,
    /// What the event's tool says of itself.
    hints: Hints,
    /// Where the event sends something; only found out where some rule asks.
    destinations: Destinations,
    /// An operator's release settled what this event did.
    settled: bool,
}

impl Engine {
    /// An engine for one shard without any history.
    #[must_use]
    pub fn new(shard: ShardId, program: Arc<Program>, settings: Settings) -> Self {
        Self {
            memory: Memory::new(&program),
            hints: Keyed::new(DEFINITION_IDLE, DEFINITION_KEYS_MAX),
            program,
            shard,
            settings,
            sessions: Keyed::new(SESSION_IDLE, SESSIONS_PER_SHARD_MAX),
            halts: BTreeMap::new(),
            watermark: Millis(i64::MIN),
            last: Millis(0),
            stats: Stats::default(),
            printer: flows::printer(),
            scratch: Scratch::default(),
            classifier: classify::Scratch::default(),
        }
    }

    /// Takes one input and pushes what follows from it.
    pub fn step(&mut self, at: At, input: Input<'_>, effects: &mut Vec<Effect>) {
        match input {
            Input::Event { event, digest } => self.event(at, event, digest, effects),
            Input::Malformed { rejected, bytes, key } => self.malformed(at, rejected, bytes, key, effects),
            Input::Tick => self.tick(at),
            Input::Halt(record) => self.halt(record),
            Input::Rules(program) => self.replace_rules(program),
        }
    }

    /// No event from here on can be older than this in event time, but for late ones.
    #[must_use]
    pub fn watermark(&self) -> Millis {
        self.watermark
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Number of sessions with state.
    #[must_use]
    pub fn sessions_active(&self) -> usize {
        self.sessions.len()
    }

    /// Keys that were forgotten because a map was full.
    #[must_use]
    pub fn keys_evicted(&self) -> u64 {
        self.sessions.evicted() + self.memory.evicted() + self.hints.evicted()
    }

    /// What is known of a session.
    #[must_use]
    pub fn session(&self, tenant: &str, session: &str) -> Option<SessionView> {
        let known = self.sessions.get(self.session_key(tenant, session))?;
        let mut view = self.view(known);
        view.trail = known.trail(&self.shard);
        view.trail.iter_mut().for_each(|step| step.tool = step.tool.take().map(|tool| self.mask(&tool)));
        Some(view)
    }

    /// What is known of the sessions that were active last, of one tenant where it is given, in no order.
    #[must_use]
    pub fn latest_sessions(&self, tenant: Option<&str>, limit: usize) -> Vec<SessionView> {
        let wanted = |known: &&Session| tenant.is_none_or(|tenant| known.is_of(tenant));
        let mut latest: Vec<&Session> = self.sessions.values().filter(wanted).collect();
        if latest.len() > limit && limit > 0 {
            latest.select_nth_unstable_by(limit - 1, Session::newer_first);
        }
        latest.into_iter().take(limit).map(|known| self.view(known)).collect()
    }

    /// What is shown of a record that is no event: its first bytes with the secrets in them masked; `None`
    /// where there is none in them.
    #[must_use]
    pub fn mask_record(&self, bytes: &[u8]) -> Option<String> {
        masks::mask_record(&self.program.scanner, bytes)
    }

    /// A text of a stranger with its secrets masked.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.program.mask(text)
    }

    fn view(&self, known: &Session) -> SessionView {
        let mut view = known.view(&self.shard);
        let key = self.session_key(&view.tenant, &view.session);
        view.score = numbers::from_thousandths(self.memory.score(key, view.last_seen));
        view.agent = view.agent.map(|agent| self.mask(&agent));
        view
    }

    /// Sets the watermark to what it was when this shard was left, so that what was late then is not
    /// taken for new now.
    pub fn raise_watermark(&mut self, watermark: Millis) {
        self.watermark = self.watermark.max(watermark);
    }

    fn event(&mut self, at: At, event: &Event<'_>, digest: u32, effects: &mut Vec<Effect>) {
        let ts = self.clamp(at, event.ts);
        let origin = self.origin(at);
        let session_key = self.session_key(&event.tenant, &event.session);
        let halted = self.halts.get(&session_key).is_some_and(HaltRecord::is_halted);
        let id_digest = event.id.as_deref().map(|id| self.settings.hash_key.short(id.as_bytes()));
        let session = self.sessions.touch(session_key, ts, || Session::new(&event.tenant, &event.session, ts));
        let seen = session.see(event, ts, at.offset, id_digest.map(|id| (id, digest)), halted);
        self.expire();
        if seen == Seen::Repeat {
            self.stats.duplicates += 1;
            return;
        }
        self.stats.after_halt += u64::from(halted);
        let event_id = event.id.as_deref().map_or_else(|| origin.to_string(), str::to_owned);
        let leaves = Leaves::of(event);
        let context = self.context((event, session_key, ts), &leaves, origin, event_id);
        let mut findings = Vec::new();
        self.check(&context, &leaves, (at.silent, seen), &mut findings);
        if !at.silent {
            self.conclude(session_key, findings, effects);
        }
    }

    fn context<'a>(
        &self,
        (event, session_key, ts): (&'a Event<'a>, u128, Millis),
        leaves: &Leaves<'_>,
        origin: Origin,
        event_id: String,
    ) -> Context<'a> {
        let settled = self.halts.get(&session_key).is_some_and(|halt| halt.voids(&origin));
        let asked = self.program.asks_destinations();
        let destinations = if asked { Destinations::of(event, leaves) } else { Destinations::default() };
        Context { event, session_key, ts, origin, event_id, hints: self.hints_of(event), destinations, settled }
    }

    /// What an event's tool says of itself, as far as its definition was seen in this shard.
    fn hints_of(&self, event: &Event<'_>) -> Hints {
        let Some(tool) = event.tool.as_ref().filter(|_| !self.hints.is_empty()) else { return Hints::default() };
        let told = |server: &str| self.hints.get(self.tool_key(&event.tenant, server, &tool.name)).copied();
        told(tool.server.as_deref().unwrap_or_default()).or_else(|| told("")).unwrap_or_default()
    }

    /// Remembers what tools say of themselves, with their server and without.
    fn learn_hints(&mut self, context: &Context<'_>, definitions: &[Definition]) {
        let event = context.event;
        let server = event.tool.as_ref().and_then(|tool| tool.server.as_deref()).unwrap_or_default();
        for one in definitions.iter().filter(|one| one.hints != Hints::default()) {
            for server in [server, ""] {
                let key = self.tool_key(&event.tenant, server, &one.name);
                *self.hints.touch(key, context.ts, Hints::default) = one.hints;
            }
        }
        self.hints.expire(self.watermark, EXPIRE_STEPS);
    }

    /// Remembers an event that a later finding may name.
    fn mark(&mut self, context: &Context<'_>) {
        let event_id = self.mask(&context.event_id);
        let tool = context.event.tool.as_ref().map(|tool| self.mask(&tool.name));
        if let Some(session) = self.sessions.get_mut(context.session_key) {
            session.mark(context.origin.offset, &event_id, tool.as_deref());
        }
    }

    /// How an earlier event is named: by its tool and its id where the session remembers it.
    fn place(&self, context: &Context<'_>, offset: i64) -> String {
        let session = self.sessions.get(context.session_key);
        match session.and_then(|session| session.marked(offset)) {
            Some((event_id, Some(tool))) => format!("`{tool}` in event {event_id}"),
            Some((event_id, None)) => format!("event {event_id}"),
            None => format!("event {}", Origin { offset, ..context.origin.clone() }),
        }
    }

    fn tool_key(&self, tenant: &str, server: &str, tool: &str) -> u128 {
        self.settings.hash_key.of(&[tenant.as_bytes(), server.as_bytes(), tool.as_bytes()])
    }

    /// Turns findings into effects, and the gravest that asks for it into a halt.
    fn conclude(&mut self, session_key: u128, findings: Vec<Finding>, effects: &mut Vec<Effect>) {
        let halting = findings
            .iter()
            .filter(|finding| finding.action == Action::Halt && finding.mode == Mode::Enforce)
            .max_by_key(|finding| finding.severity);
        let before = self.halts.get(&session_key);
        let may_halt = |finding: &&Finding| before.is_none_or(|b| !b.is_halted() && !b.voids(&finding.origin));
        let halt = halting.filter(may_halt).map(|finding| HaltRecord::from_finding(finding, before));
        for finding in findings {
            self.note(session_key, &finding);
            effects.push(Effect::Finding(finding));
        }
        if let Some(record) = halt {
            self.halts.insert(session_key, record.clone());
            effects.push(Effect::Halt(record));
        }
    }

    fn note(&mut self, session_key: u128, finding: &Finding) {
        let open = || Session::new(&finding.tenant, &finding.session, finding.ts);
        self.sessions.touch(session_key, finding.ts, open).note(finding);
    }

    fn tick(&mut self, at: At) {
        if let Some(now) = at.append {
            self.watermark = self.watermark.max(now - LATENESS);
        }
        let (watermark, steps) = (self.watermark, EXPIRE_STEPS * 1_000);
        self.sessions.expire(watermark, steps);
        self.memory.expire(watermark, steps);
        self.hints.expire(watermark, steps);
    }

    fn halt(&mut self, record: &HaltRecord) {
        let key = self.session_key(&record.tenant, &record.session);
        if !record.supersedes(self.halts.get(&key)) {
            return;
        }
        if !record.is_halted() {
            self.memory.reset(key);
            if let Some(session) = self.sessions.get_mut(key) {
                session.settle();
            }
        }
        self.halts.insert(key, record.clone());
    }

    fn replace_rules(&mut self, program: Arc<Program>) {
        self.memory = std::mem::take(&mut self.memory).replaced(&program);
        self.program = program;
    }

    fn expire(&mut self) {
        self.sessions.expire(self.watermark, EXPIRE_STEPS);
    }

    /// An event's time, moved to lie near its append time: the event's own timestamp comes from
    /// strangers. Advances the watermark, which no timestamp can push beyond the append time.
    fn clamp(&mut self, at: At, ts: Option<Millis>) -> Millis {
        let clamped = match (at.append, ts) {
            (Some(append), Some(ts)) => ts.clamp(append - LATENESS, append + CLOCK_AHEAD),
            (Some(append), None) => append,
            (None, ts) => ts.unwrap_or(self.last),
        };
        self.stats.clamped += u64::from(ts.is_some_and(|ts| ts != clamped));
        self.last = clamped;
        let safe = at.append.map_or(clamped, |append| clamped.min(append));
        self.watermark = self.watermark.max(safe - LATENESS);
        clamped
    }

    fn origin(&self, at: At) -> Origin {
        Origin { topic: self.shard.topic.clone(), partition: self.shard.partition, offset: at.offset }
    }

    fn session_key(&self, tenant: &str, session: &str) -> u128 {
        self.settings.hash_key.of(&[tenant.as_bytes(), session.as_bytes()])
    }
}
