//! The embedded ledger: one `redb` file in place of Kafka's topics, for use without Kafka.
//!
//! One thread owns all writes and groups those that wait into one transaction, so that many small
//! writes cost one fsync. Halts and their events go in one transaction and cannot come apart. After a
//! failed commit the ledger is poisoned: every later write fails with the same words, because what is
//! on disk is no longer known.

mod outbox;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::Notify;

use crate::halt::HaltRecord;
use crate::io::clock;
use crate::io::ingest::Posted;
use crate::io::ledger::{Done, Entry, Stream, WriteResult};
use crate::io::record::Mark;
use crate::time::Millis;

pub use outbox::LocalOutbox;

const FINDINGS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("findings");
const HALT_EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("halt_events");
const HALTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("halts");
/// Value: the headers as JSON, a line end, the bytes.
const DEAD_LETTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead_letters");
/// Value: milliseconds of the append, and the bytes.
const EVENTS: TableDefinition<'_, u64, (i64, &[u8])> = TableDefinition::new("events");
/// Value: next offset, replay from, watermark.
const PROGRESS: TableDefinition<'_, &str, (i64, i64, i64)> = TableDefinition::new("progress");
/// Every state of a confirmation in the order in which it was written.
const CONFIRMATIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("confirmations");
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
const CURSORS: TableDefinition<'_, &str, i64> = TableDefinition::new("cursors");

/// Rows that an append-only table keeps.
const ROWS_MAX: u64 = 100_000;
/// Rows that the audit log keeps: all of them.
const AUDIT_ROWS_MAX: u64 = u64::MAX;
/// Jobs that go into one transaction.
const JOBS_PER_COMMIT: usize = 256;
/// Longest time that progress waits for a commit.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// A ledger file.
pub struct LocalLedger {
    db: Arc<Database>,
    jobs: Sender<Job>,
    halted: Arc<Notify>,
    events_ready: Receiver<()>,
    poisoned: Arc<AtomicBool>,
}

enum Job {
    Write(Arc<[Entry]>, Done),
    Events(Vec<Posted>, Done),
    Progress(String, Mark),
    Cursor(String, i64),
    Flush(Done),
}

/// One posted event as it was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Sequence number, from 0 without gaps.
    pub seq: i64,
    /// When it was taken.
    pub append: Millis,
    /// The event as it came.
    pub bytes: Vec<u8>,
}

impl LocalLedger {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When the file is in use, damaged or cannot be written; says which.
    pub fn open(path: &Path) -> Result<Arc<Self>, String> {
        let named = |error: &dyn std::fmt::Display| format!("cannot open the ledger {}: {error}", path.display());
        let db = Database::create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => {
                named(&"another process has it open; stop that one or set ledger.path to another file")
            }
            other => named(&other),
        })?;
        let db = Arc::new(db);
        make_tables(&db).map_err(|error| named(&error))?;
        let (jobs, queue) = unbounded();
        let (events_added, events_ready) = bounded(1);
        let halted = Arc::new(Notify::new());
        let poisoned = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            db: db.clone(),
            queue,
            halted: halted.clone(),
            events_added,
            progress: BTreeMap::new(),
            poisoned: poisoned.clone(),
        };
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| named(&error))?;
        Ok(Arc::new(Self { db, jobs, halted, events_ready, poisoned }))
    }

    /// Makes a group of entries durable in one transaction and then calls `done`.
    pub fn write(&self, entries: Arc<[Entry]>, done: Done) {
        self.submit(Job::Write(entries, done));
    }

    /// Logs posted events in one transaction and then calls `done`.
    pub fn append_events(&self, events: Vec<Posted>, done: Done) {
        self.submit(Job::Events(events, done));
    }

    /// Notes how far a source has come; durable within a second or with the next write.
    pub fn save_progress(&self, source: &str, mark: Mark) {
        self.submit(Job::Progress(source.to_owned(), mark));
    }

    /// Whether a write has failed: nothing more is taken, and the program should end.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Waits until everything that was submitted before is durable.
    pub async fn flush(&self) {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.submit(Job::Flush(Box::new(move |result| drop(reply.send(result)))));
        let _ = answer.await;
    }

    /// The latest halt record of each session.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what is no halt record.
    pub fn halts(&self) -> Result<Vec<HaltRecord>, String> {
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = self.db.begin_read()?.open_table(HALTS)?;
            table.iter()?.map(|row| Ok(row?.1.value().to_vec())).collect()
        };
        let rows = read().map_err(|error| format!("cannot read the halts: {error}"))?;
        rows.iter()
            .map(|row| serde_json::from_slice(row).map_err(|error| format!("a halt record is damaged: {error}")))
            .collect()
    }

    /// How far a source had come; `None` for one that is new.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn progress(&self, source: &str) -> Result<Option<Mark>, String> {
        let read = || -> Result<Option<(i64, i64, i64)>, redb::Error> {
            let table = self.db.begin_read()?.open_table(PROGRESS)?;
            Ok(table.get(source)?.map(|row| row.value()))
        };
        let row = read().map_err(|error| format!("cannot read the progress of {source}: {error}"))?;
        Ok(row.map(|(next, replay_from, watermark)| Mark { next, replay_from, watermark: Millis(watermark) }))
    }

    /// Posted events from a sequence number on, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn events(&self, from: i64, limit: usize) -> Result<Vec<Logged>, String> {
        let from = u64::try_from(from).unwrap_or(0);
        let read = || -> Result<Vec<Logged>, redb::Error> {
            let table = self.db.begin_read()?.open_table(EVENTS)?;
            let rows = table.range(from..)?.take(limit);
            rows.map(|row| {
                let (seq, value) = row?;
                let (append, bytes) = value.value();
                let seq = i64::try_from(seq.value()).unwrap_or(i64::MAX);
                Ok(Logged { seq, append: Millis(append), bytes: bytes.to_vec() })
            })
            .collect()
        };
        read().map_err(|error| format!("cannot read the event log: {error}"))
    }

    /// Rings when events were logged; one ring may stand for many.
    #[must_use]
    pub fn events_ready(&self) -> &Receiver<()> {
        &self.events_ready
    }

    /// Dead letters, the oldest first: headers and bytes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn dead_letters(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let rows = self.rows(DEAD_LETTERS)?;
        let split = |row: Vec<u8>| {
            let end = row.iter().position(|byte| *byte == b'\n').unwrap_or(row.len());
            let (headers, bytes) = row.split_at(end);
            (String::from_utf8_lossy(headers).into_owned(), bytes.get(1..).unwrap_or_default().to_vec())
        };
        Ok(rows.into_iter().map(split).collect())
    }

    /// The halt or release with this id, the latest of them first; `None` where none is left.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn halt_event(&self, id: &str) -> Result<Option<HaltRecord>, String> {
        let read = || -> Result<Option<HaltRecord>, redb::Error> {
            let table = self.db.begin_read()?.open_table(HALT_EVENTS)?;
            for row in table.iter()?.rev() {
                let found = HaltRecord::in_json(row?.1.value(), id);
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        };
        read().map_err(|error| format!("cannot read the ledger: {error}"))
    }

    /// Findings as JSON, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn findings(&self) -> Result<Vec<Vec<u8>>, String> {
        self.rows(FINDINGS)
    }

    /// Confirmations as JSON, every state of them, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn confirmations(&self) -> Result<Vec<Vec<u8>>, String> {
        self.rows(CONFIRMATIONS)
    }

    /// Entries of the audit log as JSON, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn audit(&self) -> Result<Vec<Vec<u8>>, String> {
        self.rows(AUDIT)
    }

    /// The last entry of the audit log.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_audit(&self) -> Result<Option<Vec<u8>>, String> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.db.begin_read()?.open_table(AUDIT)?;
            Ok(table.last()?.map(|(_, row)| row.value().to_vec()))
        };
        read().map_err(|error| format!("cannot read the audit log: {error}"))
    }

    fn rows(&self, table: TableDefinition<'_, u64, &[u8]>) -> Result<Vec<Vec<u8>>, String> {
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = self.db.begin_read()?.open_table(table)?;
            table.iter()?.map(|row| Ok(row?.1.value().to_vec())).collect()
        };
        read().map_err(|error| format!("cannot read the ledger: {error}"))
    }

    fn submit(&self, job: Job) {
        if let Err(refused) = self.jobs.send(job) {
            refused.into_inner().finish(&Err("the ledger's writer has ended".to_owned()));
        }
    }
}

impl Job {
    fn finish(self, result: &WriteResult) {
        match self {
            Self::Write(_, done) | Self::Events(_, done) | Self::Flush(done) => done(result.clone()),
            Self::Progress(..) | Self::Cursor(..) => {}
        }
    }
}

/// The thread that owns all writes.
struct Writer {
    db: Arc<Database>,
    queue: Receiver<Job>,
    halted: Arc<Notify>,
    events_added: Sender<()>,
    /// Progress that waits for a commit.
    progress: BTreeMap<String, Mark>,
    poisoned: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self) {
        let mut poison: Option<String> = None;
        loop {
            let first = match self.queue.recv_timeout(PROGRESS_EVERY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) if self.progress.is_empty() => continue,
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let is_idle = first.is_none();
            let jobs: Vec<Job> = first.into_iter().chain(self.queue.try_iter().take(JOBS_PER_COMMIT)).collect();
            let result = match &poison {
                Some(why) => Err(why.clone()),
                None => self.group(&jobs, is_idle),
            };
            if let Err(why) = &result
                && poison.is_none()
            {
                tracing::error!(error = %why, "the ledger could not be written; it takes nothing more until a restart");
                poison = Some(why.clone());
                self.poisoned.store(true, Ordering::Release);
            }
            self.tell(jobs, &result);
        }
        let _ = self.commit(&[]);
    }

    /// Progress alone is not worth an fsync of its own before its time has come.
    fn group(&mut self, jobs: &[Job], is_idle: bool) -> WriteResult {
        for job in jobs {
            if let Job::Progress(source, mark) = job {
                self.progress.insert(source.clone(), *mark);
            }
        }
        let only_progress = jobs.iter().all(|job| matches!(job, Job::Progress(..)));
        if only_progress && !is_idle {
            return Ok(());
        }
        self.commit(jobs)
    }

    fn commit(&mut self, jobs: &[Job]) -> WriteResult {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.db.begin_write()?;
            jobs.iter().try_for_each(|job| apply(&transaction, job))?;
            for (source, mark) in &self.progress {
                apply_progress(&transaction, source, mark)?;
            }
            Ok(transaction.commit()?)
        };
        let result = write().map_err(|error| format!("the ledger cannot be written: {error}"));
        if result.is_ok() {
            self.progress.clear();
        }
        result
    }

    fn tell(&self, jobs: Vec<Job>, result: &WriteResult) {
        for job in jobs {
            let (halts, events) = (matches!(job, Job::Write(..)), matches!(job, Job::Events(..)));
            job.finish(result);
            if halts {
                self.halted.notify_waiters();
            }
            if events {
                let _ = self.events_added.try_send(());
            }
        }
    }
}

fn make_tables(db: &Database) -> Result<(), redb::Error> {
    let transaction = db.begin_write()?;
    transaction.open_table(FINDINGS)?;
    transaction.open_table(HALT_EVENTS)?;
    transaction.open_table(HALTS)?;
    transaction.open_table(DEAD_LETTERS)?;
    transaction.open_table(EVENTS)?;
    transaction.open_table(PROGRESS)?;
    transaction.open_table(CONFIRMATIONS)?;
    transaction.open_table(AUDIT)?;
    transaction.open_table(CURSORS)?;
    Ok(transaction.commit()?)
}

fn apply(transaction: &WriteTransaction, job: &Job) -> Result<(), redb::Error> {
    match job {
        Job::Write(entries, _) => entries.iter().try_for_each(|entry| apply_entry(transaction, entry)),
        Job::Events(events, _) => {
            let mut table = transaction.open_table(EVENTS)?;
            let first = table.last()?.map_or(0, |(seq, _)| seq.value() + 1);
            for (seq, event) in (first..).zip(events) {
                table.insert(seq, (clock::now().0, event.bytes.as_slice()))?;
            }
            Ok(())
        }
        Job::Cursor(endpoint, seq) => {
            transaction.open_table(CURSORS)?.insert(endpoint.as_str(), seq)?;
            Ok(())
        }
        Job::Progress(..) | Job::Flush(_) => Ok(()),
    }
}

fn apply_entry(transaction: &WriteTransaction, entry: &Entry) -> Result<(), redb::Error> {
    match entry.stream {
        Stream::Findings => append(transaction, FINDINGS, &entry.value, ROWS_MAX),
        Stream::HaltEvents => append(transaction, HALT_EVENTS, &entry.value, ROWS_MAX),
        Stream::Confirmations => append(transaction, CONFIRMATIONS, &entry.value, ROWS_MAX),
        Stream::Audit => append(transaction, AUDIT, &entry.value, AUDIT_ROWS_MAX),
        Stream::Halts => {
            transaction.open_table(HALTS)?.insert(entry.key.as_str(), entry.value.as_slice())?;
            Ok(())
        }
        Stream::DeadLetters => {
            let headers: BTreeMap<&str, &str> = entry.headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
            let mut row = serde_json::to_vec(&headers).unwrap_or_default();
            row.push(b'\n');
            row.extend_from_slice(&entry.value);
            append(transaction, DEAD_LETTERS, &row, ROWS_MAX)
        }
    }
}

fn append(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, u64, &[u8]>,
    value: &[u8],
    rows_max: u64,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(table)?;
    let seq = table.last()?.map_or(0, |(seq, _)| seq.value() + 1);
    table.insert(seq, value)?;
    if let Some(first_kept) = seq.checked_sub(rows_max) {
        table.retain_in(..=first_kept, |_, _| false)?;
    }
    Ok(())
}

/// Notes progress and drops the events that no replay needs any more; the last one stays, so that
/// sequence numbers go on from it.
fn apply_progress(transaction: &WriteTransaction, source: &str, mark: &Mark) -> Result<(), redb::Error> {
    let row = (mark.next, mark.replay_from, mark.watermark.0);
    transaction.open_table(PROGRESS)?.insert(source, row)?;
    if source == crate::io::lines::HTTP_SOURCE {
        let mut events = transaction.open_table(EVENTS)?;
        let last = events.last()?.map_or(0, |(seq, _)| seq.value());
        let needed = u64::try_from(mark.replay_from).unwrap_or(0).min(last);
        events.retain_in(..needed, |_, _| false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::halt::{HaltState, Order};
    use crate::io::ledger::Ledger;
    use crate::io::orders::entry;

    fn record(session: &str) -> HaltRecord {
        let order = Order {
            tenant: "acme".into(),
            session: session.into(),
            state: HaltState::Halted,
            by: "ana".into(),
            reason: "test".into(),
            at: Millis(1),
            seen_through: None,
        };
        HaltRecord::from_order(&order, None).expect("was running")
    }

    async fn write(ledger: &Arc<LocalLedger>, record: &HaltRecord) {
        let streams = [Stream::HaltEvents, Stream::Halts];
        let entries: Vec<Entry> = streams.map(|stream| entry(record, stream).expect("json")).into();
        Ledger::Local(ledger.clone()).write_and_wait(entries.into()).await.expect("written");
    }

    #[tokio::test]
    async fn halts_and_cursors_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("l.redb");
        {
            let ledger = LocalLedger::open(&path).expect("opens");
            assert!(LocalLedger::open(&path).err().expect("in use").contains("another process has it open"));
            write(&ledger, &record("a")).await;
            write(&ledger, &record("b")).await;
            let mut outbox = LocalOutbox::open(ledger.clone(), "hook").expect("opens");
            let (first, halt) = outbox.next().await;
            assert_eq!(&*halt.session, "a");
            outbox.done_through(&first);
            ledger.save_progress("http", Mark { next: 7, replay_from: 3, watermark: Millis(5) });
            ledger.flush().await;
        }
        // The writer thread holds the file a moment longer than its last user.
        let ledger = loop {
            match LocalLedger::open(&path) {
                Ok(ledger) => break ledger,
                Err(error) => assert!(error.contains("another process"), "{error}"),
            }
        };
        assert_eq!(ledger.halts().expect("reads").len(), 2);
        let mark = Mark { next: 7, replay_from: 3, watermark: Millis(5) };
        assert_eq!(ledger.progress("http").expect("reads"), Some(mark));
        let mut outbox = LocalOutbox::open(ledger.clone(), "hook").expect("opens");
        assert_eq!(&*outbox.next().await.1.session, "b");
        assert_eq!(ledger.halt_event(&record("a").id).expect("reads"), Some(record("a")));
        assert_eq!(ledger.halt_event("acme").expect("reads"), None, "an id, not any text of the record");
        let mut fresh = LocalOutbox::open(ledger, "other").expect("opens");
        assert_eq!(&*fresh.next().await.1.session, "a");
    }

    #[tokio::test]
    async fn posted_events_are_numbered_and_trimmed_behind_the_replay() {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = LocalLedger::open(&dir.path().join("l.redb")).expect("opens");
        let posted = |n: usize| Posted { session: "s".into(), bytes: vec![b'0' + u8::try_from(n).expect("small")] };
        for n in 0..5 {
            let (tx, rx) = tokio::sync::oneshot::channel();
            ledger.append_events(vec![posted(n)], Box::new(move |r| drop(tx.send(r))));
            rx.await.expect("answered").expect("logged");
        }
        let seqs = |from| ledger.events(from, 10).expect("reads").iter().map(|e| e.seq).collect::<Vec<_>>();
        assert_eq!(seqs(2), [2, 3, 4]);
        ledger.save_progress(crate::io::lines::HTTP_SOURCE, Mark { next: 5, replay_from: 5, watermark: Millis(0) });
        ledger.flush().await;
        assert_eq!(seqs(0), [4], "the last one keeps the numbering");
    }
}
