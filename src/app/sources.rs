//! One function for each place that events come from, and what they have in common.

use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, bounded};
use tokio::sync::mpsc;

use super::SourceKind;
use super::run::HALTS_KNOWN;
use crate::engine::Program;
use crate::halt::HaltRecord;
use crate::ids::ShardId;
use crate::io::audit::AuditLog;
use crate::io::confirm::Confirmations;
use crate::io::fleet::{Assignment, Control};
use crate::io::kafka::{self, End, KafkaProgress, KafkaSettings, SourceContext};
use crate::io::ledger::{Ledger, Stream};
use crate::io::lines::{self, HTTP_SOURCE, LocalProgress, STDIN_SOURCE};
use crate::io::local::LocalLedger;
use crate::io::ready::Readiness;
use crate::io::record::OwnedRecord;
use crate::io::rulebook::Rulebook;
use crate::limits::BATCHES_QUEUED;
use crate::worker::{Queue, Shared, Worker};

/// What a source needs.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) kind: SourceKind,
    pub(super) kafka: Option<KafkaSettings>,
    pub(super) shared: Arc<Shared>,
    /// The control queue of each worker.
    pub(super) queues: Vec<Queue>,
    pub(super) rules: Arc<Rulebook>,
    pub(super) confirmations: Arc<Confirmations>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) ready: Arc<Readiness>,
}

/// Learns the halts, then reads events until the source ends or it is told to stop. Says over `ended`
/// how that went.
pub(super) async fn bring_up(sources: Sources, ended: mpsc::UnboundedSender<Result<(), String>>) {
    let result = match sources.kafka.clone() {
        Some(settings) => with_kafka(&sources, settings, &ended).await,
        None => with_local_ledger(&sources, &ended).await,
    };
    let _ = ended.send(result);
}

async fn with_kafka(
    sources: &Sources,
    settings: KafkaSettings,
    ended: &mpsc::UnboundedSender<Result<(), String>>,
) -> Result<(), String> {
    tokio::select! {
        prepared = kafka::prepare(&settings) => prepared?,
        () = stopped(&sources.stop) => return Ok(()),
    }
    // Beside the rest, since some brokers do not answer this: a topic that forgets halts ends the program.
    let (checked, ended) = (settings.clone(), ended.clone());
    tokio::spawn(async move {
        if let Err(error) = kafka::check_halts_topic(&checked).await {
            let _ = ended.send(Err(error));
        }
    });
    link_audit(&sources.audit, &settings).await;
    let confirmations = {
        let (sources, settings) = (sources.clone(), settings.clone());
        tokio::task::spawn_blocking(move || follow_confirmations(&sources, &settings))
    };
    let view = {
        let (sources, settings) = (sources.clone(), settings.clone());
        move || follow_halts(&sources, &settings)
    };
    let view = tokio::task::spawn_blocking(view);
    while !sources.shared.halts.is_complete() {
        if sources.stop.load(Ordering::Relaxed) || view.is_finished() {
            return view.await.unwrap_or_else(|error| Err(format!("the reader of the halts has ended: {error}")));
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let reader = sources.clone();
    let read = tokio::task::spawn_blocking(move || read_kafka(&reader, &settings)).await;
    // The view must not outlive a source that failed: the process is about to end.
    sources.stop.store(true, Ordering::Relaxed);
    let viewed = view.await;
    let confirmed = confirmations.await;
    confirmed.unwrap_or_else(|error| Err(format!("the reader of the confirmations has ended: {error}")))?;
    read.unwrap_or_else(|error| Err(format!("the reader of events has ended: {error}")))?;
    viewed.unwrap_or_else(|error| Err(format!("the reader of the halts has ended: {error}")))
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn follow_halts(sources: &Sources, settings: &KafkaSettings) -> Result<(), String> {
    let shared = &sources.shared;
    let ready = || {
        shared.halts.set_complete();
        sources.ready.done(HALTS_KNOWN);
        tracing::info!(halted = shared.halts.halted(), "the halts are known; ready");
    };
    let take = |payload: &[u8]| match serde_json::from_slice::<HaltRecord>(payload) {
        Ok(record) => {
            if shared.halts.apply(&record) {
                shared.fleet.tell(&record);
            }
        }
        Err(error) => tracing::error!(%error, "a record of the halts topic is damaged and is passed over"),
    };
    kafka::follow(settings, Stream::Halts, &sources.stop, take, ready)
}

fn follow_confirmations(sources: &Sources, settings: &KafkaSettings) -> Result<(), String> {
    let take = |payload: &[u8]| take_confirmation(&sources.confirmations, payload);
    kafka::follow(settings, Stream::Confirmations, &sources.stop, take, || {})
}

fn take_confirmation(confirmations: &Confirmations, payload: &[u8]) {
    match serde_json::from_slice(payload) {
        Ok(record) => drop(confirmations.apply(record)),
        Err(error) => tracing::error!(%error, "a confirmation is damaged and is passed over"),
    }
}

/// Links this process's audit chain to what others have written.
async fn link_audit(audit: &AuditLog, settings: &KafkaSettings) {
    let settings = settings.clone();
    let last = tokio::task::spawn_blocking(move || kafka::last_record(&settings, Stream::Audit)).await;
    let linked = match last.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(last) => audit.link(last.as_deref()).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    if let Err(error) = linked {
        tracing::warn!(%error, "the audit log's last entry cannot be read; this process's chain stands alone");
    }
}

/// Polls Kafka, with a new consumer when the old one is stuck.
fn read_kafka(sources: &Sources, settings: &KafkaSettings) -> Result<(), String> {
    loop {
        let shared = &sources.shared;
        let consumer = SourceContext::subscribe(settings, shared.fleet.clone(), shared.metrics.clone())?;
        tracing::info!(topics = ?settings.topics, group = settings.group, workers = sources.queues.len(), "reading from Kafka");
        let end = std::thread::scope(|scope| {
            let mut to_workers = Vec::new();
            for queue in &sources.queues {
                let (batches_in, batches) = bounded(BATCHES_QUEUED);
                to_workers.push(batches_in);
                let worker =
                    Worker::new(shared.clone(), sources.program(), queue.clone(), batches, KafkaProgress(&consumer));
                scope.spawn(move || worker.run());
            }
            let end = kafka::poll(&consumer, &to_workers, &sources.stop);
            drop(to_workers);
            sources.stop_workers();
            end
        });
        match end? {
            End::Stopped => return Ok(()),
            End::Stalled => sources.drain_queues(),
        }
    }
}

async fn with_local_ledger(sources: &Sources, ended: &mpsc::UnboundedSender<Result<(), String>>) -> Result<(), String> {
    let Ledger::Local(ledger) = sources.shared.ledger.clone() else {
        return Err("a source without Kafka needs the embedded ledger".to_owned());
    };
    let (watched, ended) = (ledger.clone(), ended.clone());
    tokio::spawn(async move {
        while !watched.is_poisoned() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let _ = ended.send(Err("the ledger cannot be written any more; mend its disk and start again".to_owned()));
    });
    for record in ledger.halts()? {
        sources.shared.halts.apply(&record);
    }
    ledger.confirmations()?.iter().for_each(|row| take_confirmation(&sources.confirmations, row));
    sources.audit.settle().await.map_err(|error| error.to_string())?;
    sources.shared.halts.set_complete();
    sources.ready.done(HALTS_KNOWN);
    tracing::info!(halted = sources.shared.halts.halted(), "the halts are known; ready");
    let sources = sources.clone();
    let read = tokio::task::spawn_blocking(move || match sources.kind.clone() {
        SourceKind::File(path) => read_file(&sources, &ledger, &path),
        SourceKind::Stdin => read_stdin(&sources, &ledger),
        _ => sources.with_worker(&ledger, Arc::from(HTTP_SOURCE), true, |from, batches| {
            lines::follow_posted(&ledger, from, batches, &sources.stop)
        }),
    });
    read.await.unwrap_or_else(|error| Err(format!("the reader of events has ended: {error}")))
}

fn read_file(sources: &Sources, ledger: &Arc<LocalLedger>, path: &Path) -> Result<(), String> {
    let source = lines::file_source(path)?;
    let named = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let input = BufReader::with_capacity(1 << 20, std::fs::File::open(path).map_err(named)?);
    sources.with_worker(ledger, source.clone(), true, |from, batches| {
        lines::read_lines(input, &source, from, batches, &sources.stop).map_err(named)
    })
}

/// Reads standard input on a thread of its own, which is left behind at a stop: a read that waits for
/// a keyboard or a pipe cannot be called off.
fn read_stdin(sources: &Sources, ledger: &Arc<LocalLedger>) -> Result<(), String> {
    let source: Arc<str> = Arc::from(STDIN_SOURCE);
    sources.with_worker(ledger, source.clone(), false, |_, batches| {
        let (batches, stop) = (batches.clone(), sources.stop.clone());
        let reader = std::thread::spawn(move || {
            lines::read_lines(BufReader::new(std::io::stdin()), &source, 0, &batches, &stop)
        });
        while !reader.is_finished() {
            if sources.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let read = reader.join().map_err(|_| "the reader of standard input has ended".to_owned())?;
        read.map_err(|error| format!("cannot read standard input: {error}"))
    })
}

impl Sources {
    /// Runs one worker on a source of one partition, from where it had come to; `read` feeds it.
    fn with_worker(
        &self,
        ledger: &Arc<LocalLedger>,
        source: Arc<str>,
        keeps: bool,
        read: impl FnOnce(i64, &Sender<Vec<OwnedRecord>>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mark = if keeps { ledger.progress(&source)? } else { None };
        let assignment = Assignment {
            shard: ShardId { topic: source, partition: 0 },
            silent_until: mark.map_or(0, |mark| mark.next),
            complete: true,
            watermark: mark.map(|mark| mark.watermark),
        };
        let Some(queue) = self.queues.first() else { return Err("no worker".to_owned()) };
        let (batches_in, batches) = bounded(BATCHES_QUEUED);
        let progress = LocalProgress::new(ledger.clone(), keeps);
        let worker = Worker::new(self.shared.clone(), self.program(), queue.clone(), batches, progress);
        self.shared.fleet.send(0, Control::Assign(assignment));
        std::thread::scope(|scope| {
            scope.spawn(move || worker.run());
            let read = read(mark.map_or(0, |mark| mark.replay_from), &batches_in);
            drop(batches_in);
            if self.stop.load(Ordering::Relaxed) {
                self.stop_workers();
            }
            read
        })
    }

    fn program(&self) -> Arc<Program> {
        self.rules.program()
    }

    fn stop_workers(&self) {
        for worker in 0..self.queues.len() {
            self.shared.fleet.send(worker, Control::Stop);
        }
    }

    /// Throws away what was meant for workers that have ended.
    fn drain_queues(&self) {
        self.queues.iter().for_each(|queue| queue.control.try_iter().for_each(drop));
    }
}
