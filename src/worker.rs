//! The loop of one worker thread: batches in, effects to the ledger, offsets after that.
//!
//! Order is kept by a queue of what is on the way: a batch's offsets are given back to the source when
//! the batch and all before it are durable, and nobody is told of a halt before that. The queue is
//! bounded; when it is full no more batches are taken, which in the end stops the polling. A write that
//! the ledger refuses is tried again for as long as it takes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::{Input, Program, SessionView, Settings, WhatIf};
use crate::event::{Kind, Reason, parse};
use crate::finding::Finding;
use crate::halt::HaltRecord;
use crate::ids::ShardId;
use crate::io::clock;
use crate::io::fleet::{Assignment, Control, Fleet, Question, newest_first};
use crate::io::halts::HaltView;
use crate::io::ledger::{Entry, Ledger, WriteResult};
use crate::io::lines::{FILE_SOURCE, STDIN_SOURCE};
use crate::io::metrics::Metrics;
use crate::io::recent::Recent;
use crate::io::record::{Mark, Progress, Record};
use crate::limits::BATCHES_IN_FLIGHT;
use crate::shard::{HaltNotice, Outcome, Shard, Tally};

const TICK: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long the end waits for what is on the way.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// What all workers share.
pub struct Shared {
    /// Where effects go.
    pub ledger: Ledger,
    /// The view that is told of halts.
    pub halts: Arc<HaltView>,
    /// Everyone's metrics.
    pub metrics: Arc<Metrics>,
    /// The findings that the API lists.
    pub recent: Arc<Recent>,
    /// All workers.
    pub fleet: Fleet,
    /// What engines are made with.
    pub settings: Settings,
    /// Told of each halt of a rule when it is durable.
    pub halted: Option<UnboundedSender<HaltNotice>>,
    /// Told of each halt of a rule when it is durable, for the audit log.
    pub noted: Option<UnboundedSender<HaltRecord>>,
    /// Told of each finding when it is durable.
    pub found: Option<UnboundedSender<Finding>>,
}

/// What is asked of one worker.
#[derive(Clone, Debug)]
pub struct Queue {
    /// The other end of `control`.
    pub to_self: Sender<Control>,
    /// Orders and the ledger's answers.
    pub control: Receiver<Control>,
    /// Questions of the gate.
    pub questions: Receiver<Question>,
}

/// One worker thread's state.
pub struct Worker<R, P> {
    shared: Arc<Shared>,
    program: Arc<Program>,
    control: Receiver<Control>,
    /// Its own queue, for the ledger's answers.
    to_self: Sender<Control>,
    questions: Receiver<Question>,
    spare: WhatIf,
    batches: Receiver<Vec<R>>,
    progress: P,
    shards: Vec<Shard>,
    in_flight: VecDeque<InFlight>,
    revoking: Vec<(Vec<ShardId>, Sender<()>)>,
    next_ticket: u64,
    /// Sums that were added to the gauges, to be taken off again.
    sessions_shown: i64,
    shards_shown: i64,
    counted: Counted,
    stop_by: Option<Instant>,
}

/// A batch whose effects are on the way.
struct InFlight {
    ticket: u64,
    /// What is being written; nothing when all is durable.
    writing: Option<Arc<[Entry]>>,
    /// What is written after that.
    then: Vec<Entry>,
    retry_at: Option<Instant>,
    since: Instant,
    marks: Vec<(ShardId, Mark)>,
    findings: Vec<Finding>,
    halts: Vec<HaltNotice>,
}

/// Engine counters as they were at the last visit to the metrics.
#[derive(Clone, Copy, Default)]
struct Counted {
    duplicates: u64,
    clamped: u64,
    after_halt: u64,
    evicted: u64,
}

impl<R: Record, P: Progress> Worker<R, P> {
    /// A worker without shards.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        program: Arc<Program>,
        Queue { to_self, control, questions }: Queue,
        batches: Receiver<Vec<R>>,
        progress: P,
    ) -> Self {
        let spare = WhatIf::new(program.clone(), shared.settings);
        Self {
            shared,
            program,
            control,
            to_self,
            questions,
            spare,
            batches,
            progress,
            shards: Vec::new(),
            in_flight: VecDeque::new(),
            revoking: Vec::new(),
            next_ticket: 0,
            sessions_shown: 0,
            shards_shown: 0,
            counted: Counted::default(),
            stop_by: None,
        }
    }

    /// Works until it is told to stop or the source ends, and all that is on the way is durable.
    pub fn run(mut self) {
        let control = self.control.clone();
        let (batches, questions) = (self.batches.clone(), self.questions.clone());
        let mut source_ended = false;
        while !self.is_over(source_ended) {
            let takes_more = !source_ended && self.stop_by.is_none() && self.in_flight.len() < BATCHES_IN_FLIGHT;
            let room = if takes_more { batches.clone() } else { never() };
            select! {
                recv(control) -> message => message.into_iter().for_each(|message| self.handle(message)),
                recv(questions) -> question => question.into_iter().for_each(|question| self.consider(question)),
                recv(room) -> batch => match batch {
                    Ok(batch) => {
                        // An assignment is sent before the first batch of its shard.
                        control.try_iter().for_each(|message| self.handle(message));
                        self.process(&batch);
                    }
                    Err(_) => source_ended = true,
                },
                default(TICK) => self.tick(),
            }
            self.retry();
            self.settle();
        }
        if !self.in_flight.is_empty() {
            tracing::warn!(
                batches = self.in_flight.len(),
                "ended before all effects were durable; their records are read again"
            );
        }
        self.show_state(true);
    }

    /// Over when the source has ended or a stop was asked for, and nothing is on the way.
    fn is_over(&self, source_ended: bool) -> bool {
        let waited = self.stop_by.is_some_and(|by| Instant::now() > by);
        (source_ended || self.stop_by.is_some()) && (self.in_flight.is_empty() || waited)
    }

    fn handle(&mut self, message: Control) {
        match message {
            Control::Assign(assignment) => self.assign(assignment),
            Control::Revoke { shards, done } => self.revoke(shards, done),
            Control::Written { ticket, result } => self.written(ticket, result),
            Control::Halt(record) => self.shards.iter_mut().for_each(|shard| shard.tell(Input::Halt(&record), None)),
            Control::Rules(program) => {
                self.shards.iter_mut().for_each(|shard| shard.tell(Input::Rules(program.clone()), None));
                self.program = program;
            }
            Control::Session { tenant, session, reply } => {
                let views = self.shards.iter().filter_map(|shard| shard.engine().session(&tenant, &session));
                let _ = reply.send(views.max_by_key(|view| view.last_seen));
            }
            Control::Sessions { tenant, limit, reply } => {
                let _ = reply.send(self.sessions(tenant.as_deref(), limit));
            }
            Control::Stop => self.stop_by = Some(Instant::now() + STOP_DEADLINE),
        }
    }

    /// Answers what would follow from an action.
    fn consider(&mut self, Question { event, reply }: Question) {
        let parsed = parse(&event).ok();
        let found = parsed.and_then(|parsed| {
            let spare = &mut self.spare;
            self.shards.iter().find_map(|shard| spare.ask(shard.engine(), &parsed.event, clock::now()))
        });
        let _ = reply.send(found);
    }

    fn assign(&mut self, assignment: Assignment) {
        let halts = self.shared.halts.all();
        self.shards.retain(|shard| *shard.id() != assignment.shard);
        self.shards.push(Shard::new(assignment, self.program.clone(), self.shared.settings, &halts));
        self.show_state(false);
    }

    fn revoke(&mut self, shards: Vec<ShardId>, done: Sender<()>) {
        self.shards.retain(|shard| !shards.contains(shard.id()));
        self.revoking.push((shards, done));
        self.counted = self.count();
        self.show_state(false);
    }

    fn sessions(&self, tenant: Option<&str>, limit: usize) -> Vec<SessionView> {
        let mut views: Vec<SessionView> =
            self.shards.iter().flat_map(|shard| shard.engine().latest_sessions(tenant, limit)).collect();
        newest_first(&mut views, limit);
        views
    }

    fn process(&mut self, batch: &[R]) {
        let (mut outcome, mut tally) = (Outcome::default(), Tally::default());
        let mut touched: Vec<usize> = Vec::new();
        for record in batch {
            while let Ok(question) = self.questions.try_recv() {
                self.consider(question);
            }
            let view = record.view();
            let is_owner = |shard: &Shard| shard.id().partition == view.partition && *shard.id().topic == *view.topic;
            // A shard that was revoked in the meantime is its next owner's business.
            let Some(position) = self.shards.iter().position(is_owner) else { continue };
            if let Some(shard) = self.shards.get_mut(position) {
                shard.feed(view, &mut outcome, &mut tally);
            }
            if !touched.contains(&position) {
                touched.push(position);
            }
        }
        let marked = |position: &usize| self.shards.get(*position).map(|shard| (shard.id().clone(), shard.mark()));
        let marks = touched.iter().filter_map(marked).collect();
        self.publish(&tally);
        self.depart(outcome, marks);
    }

    /// Sends a batch's effects on their way.
    fn depart(&mut self, outcome: Outcome, marks: Vec<(ShardId, Mark)>) {
        let entries = (!outcome.first.is_empty()).then(|| Arc::from(outcome.first));
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        self.in_flight.push_back(InFlight {
            ticket,
            writing: entries.clone(),
            then: outcome.second,
            retry_at: None,
            since: Instant::now(),
            marks,
            findings: outcome.findings,
            halts: outcome.halts,
        });
        if let Some(entries) = entries {
            self.write(ticket, entries);
        }
    }

    fn write(&self, ticket: u64, entries: Arc<[Entry]>) {
        let to_self = self.to_self.clone();
        let done = Box::new(move |result| drop(to_self.send(Control::Written { ticket, result })));
        self.shared.ledger.write(entries, done);
    }

    fn written(&mut self, ticket: u64, result: WriteResult) {
        let Some(batch) = self.in_flight.iter_mut().find(|batch| batch.ticket == ticket) else { return };
        if let Err(error) = result {
            tracing::error!(%error, "the ledger refused a write; it is tried again, and reading waits for it");
            self.shared.metrics.ledger_errors.inc();
            batch.retry_at = Some(Instant::now() + RETRY_AFTER);
            return;
        }
        batch.writing = None;
        if !batch.then.is_empty() {
            let entries: Arc<[Entry]> = std::mem::take(&mut batch.then).into();
            batch.writing = Some(entries.clone());
            self.write(ticket, entries);
            return;
        }
        self.shared.metrics.ledger_write_duration.record_seconds(batch.since.elapsed().as_secs_f64());
    }

    fn retry(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        for batch in self.in_flight.iter_mut().filter(|batch| batch.retry_at.is_some_and(|at| at <= now)) {
            batch.retry_at = None;
            due.extend(batch.writing.clone().map(|entries| (batch.ticket, entries)));
        }
        due.into_iter().for_each(|(ticket, entries)| self.write(ticket, entries));
    }

    /// Tells of what is durable, in order, and gives its offsets back.
    fn settle(&mut self) {
        while let Some(batch) = self.in_flight.pop_front_if(|batch| batch.writing.is_none() && batch.then.is_empty()) {
            self.announce(batch.findings, batch.halts);
            for (shard, mark) in batch.marks {
                self.progress.done(&shard.topic, shard.partition, mark);
            }
        }
        let in_flight = &self.in_flight;
        let on_the_way = |shard: &ShardId| in_flight.iter().any(|b| b.marks.iter().any(|(id, _)| id == shard));
        self.revoking.retain(|(shards, _)| shards.iter().any(on_the_way));
    }

    fn announce(&self, findings: Vec<Finding>, halts: Vec<HaltNotice>) {
        let metrics = &self.shared.metrics;
        for f in &findings {
            let labels = [&*f.rule, f.severity.as_str(), f.action.as_str(), f.mode.as_str()];
            metrics.findings.with_label_values(&labels).inc();
            if let Some(found) = &self.shared.found {
                let _ = found.send(f.clone());
            }
        }
        self.shared.recent.add(findings.into_iter());
        for mut notice in halts {
            notice.latency_seconds = notice.append.map(clock::seconds_since);
            if let Some(seconds) = notice.latency_seconds {
                metrics.halt_latency.record_seconds(seconds);
            }
            let record = &notice.record;
            let rule = record.rule.as_deref().unwrap_or("operator");
            metrics.halts.with_label_values(&[rule]).inc();
            tracing::warn!(tenant = %record.tenant, session = %record.session, rule, reason = %record.reason, "session halted");
            if self.shared.halts.apply(record) {
                self.shared.fleet.tell(record);
            }
            if let Some(noted) = &self.shared.noted {
                let _ = noted.send(record.clone());
            }
            if let Some(halted) = &self.shared.halted {
                let _ = halted.send(notice);
            }
        }
    }

    fn tick(&mut self) {
        let now = Some(clock::now());
        // A file's events have times of their own; the wall clock must not move their watermark.
        let shards = self.shards.iter_mut().filter(|shard| !is_timeless(shard.id()));
        shards.for_each(|shard| shard.tell(Input::Tick, now));
        self.publish(&Tally::default());
    }

    fn publish(&mut self, tally: &Tally) {
        let metrics = &self.shared.metrics;
        for (kind, count) in Kind::ALL.iter().zip(tally.kinds).filter(|(_, count)| *count > 0) {
            metrics.events.with_label_values(&[kind.as_str()]).inc_by(count);
        }
        for (reason, count) in Reason::ALL.iter().zip(tally.rejected).filter(|(_, count)| *count > 0) {
            metrics.events_rejected.with_label_values(&[reason.as_str()]).inc_by(count);
        }
        metrics.event_problems.inc_by(tally.problems);
        metrics.bytes.inc_by(tally.bytes);
        let latencies: Vec<f64> = tally.appended.iter().map(|append| clock::seconds_since(*append)).collect();
        metrics.event_latency.record_all(&latencies);
        metrics.step_duration.record_all(&tally.step_seconds);
        let counted = self.count();
        metrics.event_duplicates.inc_by(counted.duplicates.saturating_sub(self.counted.duplicates));
        metrics.event_clock_clamped.inc_by(counted.clamped.saturating_sub(self.counted.clamped));
        metrics.events_after_halt.inc_by(counted.after_halt.saturating_sub(self.counted.after_halt));
        metrics.state_evicted.inc_by(counted.evicted.saturating_sub(self.counted.evicted));
        self.counted = counted;
        self.show_state(false);
    }

    fn count(&self) -> Counted {
        let mut counted = Counted::default();
        for engine in self.shards.iter().map(Shard::engine) {
            let stats = engine.stats();
            counted.duplicates += stats.duplicates;
            counted.clamped += stats.clamped;
            counted.after_halt += stats.after_halt;
            counted.evicted += engine.keys_evicted();
        }
        counted
    }

    /// Brings this worker's part of the shared gauges up to date; at its end it takes it off.
    fn show_state(&mut self, at_end: bool) {
        let shown = |count: usize| if at_end { 0 } else { i64::try_from(count).unwrap_or(i64::MAX) };
        let sessions = shown(self.shards.iter().map(|shard| shard.engine().sessions_active()).sum());
        let shards = shown(self.shards.len());
        let metrics = &self.shared.metrics;
        metrics.sessions.add(sessions - self.sessions_shown);
        metrics.shards.add(shards - self.shards_shown);
        metrics.batches_in_flight.set(i64::try_from(self.in_flight.len()).unwrap_or(i64::MAX));
        (self.sessions_shown, self.shards_shown) = (sessions, shards);
    }
}

fn is_timeless(shard: &ShardId) -> bool {
    shard.topic.starts_with(FILE_SOURCE) || &*shard.topic == STDIN_SOURCE
}
