//! A reader of a log with a ledger behind it: what is durable, what was committed, what a crash leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use haltline::engine::{At, Effect, Engine, HashKey, Input, Program, Settings};
use haltline::event::parse;
use haltline::finding::Finding;
use haltline::halt::{HaltRecord, HaltState, Order};
use haltline::ids::{Origin, ShardId};
use haltline::time::Millis;

use super::rules::program;
use super::traffic::{Happening, Record, Story};

/// What everyone knows at the end.
#[derive(Default)]
pub struct Ledger {
    /// Findings by id: a repeat changes nothing.
    pub findings: BTreeMap<String, Finding>,
    /// Halts and releases in the order in which they became durable.
    pub halts: Vec<HaltRecord>,
    /// The latest word on each session.
    pub view: BTreeMap<String, HaltRecord>,
}

/// One reader of one partition.
pub struct World<'s> {
    story: &'s Story,
    shard: ShardId,
    settings: Settings,
    program: Arc<Program>,
    engine: Engine,
    /// Effects on the way, with the number of their record.
    queue: Vec<Effect>,
    ledger_up: bool,
    /// The next record whose effects are not durable yet.
    committed: usize,
    next: usize,
    snapshots: Vec<(usize, Vec<u8>)>,
    pub ledger: Ledger,
    /// Effects of each step, for those who look closely.
    pub steps: Vec<Vec<Effect>>,
}

impl<'s> World<'s> {
    pub fn new(story: &'s Story, hash_key: u8, without: &[&str]) -> Self {
        let shard = ShardId { topic: "t".into(), partition: 0 };
        let settings = Settings { shadow: false, hash_key: HashKey([hash_key; 16]) };
        let program = program(without);
        Self {
            engine: Engine::new(shard.clone(), program.clone(), settings),
            story,
            shard,
            settings,
            program,
            queue: Vec::new(),
            ledger_up: true,
            committed: 0,
            next: 0,
            snapshots: Vec::new(),
            ledger: Ledger::default(),
            steps: Vec::new(),
        }
    }

    /// Reads the whole story; happenings that `takes` refuses do not happen.
    pub fn run(mut self, takes: impl Fn(&Happening) -> bool) -> Self {
        while self.next < self.story.records.len() {
            let number = self.next;
            let silent = number < self.committed;
            self.read(silent);
            self.flush();
            if silent {
                continue;
            }
            let here = self.story.happenings.iter().filter(|(at, _)| *at == number);
            for happening in
                here.map(|(_, happening)| happening.clone()).filter(|happening| takes(happening)).collect::<Vec<_>>()
            {
                self.happen(&happening);
            }
        }
        self.ledger_up = true;
        self.flush();
        self
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn read(&mut self, silent: bool) {
        let record = &self.story.records[self.next];
        let offset = self.next as i64;
        let effects = step(&mut self.engine, record, offset, silent);
        if !silent {
            self.steps.push(effects.clone());
        }
        self.queue.extend(effects);
        self.next += 1;
    }

    /// What is on the way becomes durable, in order, and only then is the offset committed.
    fn flush(&mut self) {
        if !self.ledger_up {
            return;
        }
        for effect in self.queue.drain(..) {
            match effect {
                Effect::Finding(finding) => {
                    self.ledger.findings.entry(finding.id.clone()).or_insert(finding);
                }
                Effect::Halt(record) => self.ledger.take(record),
            }
        }
        self.committed = self.committed.max(self.next);
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Release { session } => self.release(*session),
            Happening::Rules { all } => {
                self.program = program(if *all { &[] } else { &["agent"] });
                self.tell(&Input::Rules(self.program.clone()));
            }
            Happening::Tick => self.tell(&Input::Tick),
            Happening::Snapshot => self.snapshots.push((self.next, self.engine.snapshot().expect("can be written"))),
            Happening::Crash { from_snapshot } => self.crash(*from_snapshot),
            Happening::LedgerDown => self.ledger_up = false,
            Happening::LedgerUp => self.ledger_up = true,
        }
    }

    fn tell(&mut self, input: &Input<'_>) {
        let append = self.story.records.get(self.next.saturating_sub(1)).map(|record| Millis(record.append));
        let at = At { offset: self.next as i64, append, silent: true };
        let input = match input {
            Input::Rules(program) => Input::Rules(program.clone()),
            _ => Input::Tick,
        };
        self.engine.step(at, input, &mut Vec::new());
    }

    /// An operator sees what is durable, and releases up to there.
    fn release(&mut self, session: u64) {
        if !self.ledger_up {
            return;
        }
        let name = format!("s{session}");
        let order = Order {
            tenant: "acme".into(),
            session: name.as_str().into(),
            state: HaltState::Running,
            by: "ana".into(),
            reason: "looked at it".into(),
            at: Millis(self.story.records[self.next - 1].append),
            seen_through: Some(Origin { topic: "t".into(), partition: 0, offset: self.next as i64 - 1 }),
        };
        if let Some(record) = HaltRecord::from_order(&order, self.ledger.view.get(&name)) {
            self.ledger.take(record.clone());
            let at = At { offset: self.next as i64, append: None, silent: true };
            self.engine.step(at, Input::Halt(&record), &mut Vec::new());
        }
    }

    /// What was not durable is lost. The next reader knows the halts and begins at a snapshot behind which
    /// nothing is lost, or at the beginning of the log.
    fn crash(&mut self, from_snapshot: bool) {
        self.queue.clear();
        self.ledger_up = true;
        self.snapshots.retain(|(next, _)| *next <= self.committed);
        let snapshot = self.snapshots.last().filter(|_| from_snapshot);
        let (next, engine) = match snapshot {
            Some((next, bytes)) => {
                let restored = Engine::restore(self.shard.clone(), self.program.clone(), self.settings, bytes);
                (*next, restored.expect("a good snapshot"))
            }
            None => (0, Engine::new(self.shard.clone(), self.program.clone(), self.settings)),
        };
        self.engine = engine;
        for record in self.ledger.view.values() {
            let at = At { offset: -1, append: None, silent: true };
            self.engine.step(at, Input::Halt(record), &mut Vec::new());
        }
        // Steps that were told before are told once.
        self.steps.truncate(self.committed);
        self.next = next;
    }
}

impl Ledger {
    fn take(&mut self, record: HaltRecord) {
        let before = self.view.get(&*record.session);
        if record.supersedes(before) {
            self.view.insert(record.session.to_string(), record.clone());
            self.halts.push(record);
        }
    }
}

/// One record through an engine.
pub fn step(engine: &mut Engine, record: &Record, offset: i64, silent: bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    let at = At { offset, append: Some(Millis(record.append)), silent };
    match parse(&record.bytes) {
        Ok(parsed) => {
            let digest = HashKey([9; 16]).digest(&record.bytes);
            engine.step(at, Input::Event { event: &parsed.event, digest }, &mut effects);
        }
        Err(rejected) => {
            let key = format!("s{}", record.session);
            let input = Input::Malformed { rejected: &rejected, bytes: &record.bytes, key: Some(&key) };
            engine.step(at, input, &mut effects);
        }
    }
    effects
}
