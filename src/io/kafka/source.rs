//! Events out of Kafka: one thread polls, the workers own the shards.
//!
//! Records go on as borrowed bytes in small batches over bounded queues. A full queue stops the
//! polling, so memory does not grow; when that lasts, partitions are paused, because a consumer that
//! does not poll is thrown out of its group (pausing drops what was prefetched, so only then).
//! Where a shard begins is decided before it is assigned: at the place that the commit's metadata
//! names, so that windows are rebuilt; what lies before the committed offset is replayed in silence.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{SendTimeoutError, Sender, bounded};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{Message, Statistics};

use super::context::Reporter;
use super::settings::{KafkaSettings, Start};
use super::topics::is_unknown_topic;
use crate::ids::ShardId;
use crate::io::clock;
use crate::io::fleet::{Assignment, Control, Fleet};
use crate::io::metrics::Metrics;
use crate::io::record::{Mark, Progress};
use crate::limits::BATCH_RECORDS;
use crate::time::Millis;

const IDLE_POLL: Duration = Duration::from_millis(100);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// A worker's queue that is full for so long has the partitions paused.
const PAUSE_AFTER: Duration = Duration::from_secs(20);
/// How long a revoked shard may take to make its effects durable.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// Records are there and none comes for so long: the consumer is made anew.
const STALL_AFTER: Duration = Duration::from_secs(60);

/// The consumer of events.
pub type Source = BaseConsumer<SourceContext>;

/// Why the polling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stopped,
    /// Records are there and none comes: make a new consumer.
    Stalled,
}

/// What the consumer tells us between polls.
pub struct SourceContext {
    fleet: Fleet,
    metrics: Arc<Metrics>,
    start: Start,
    reporter: Reporter,
    lag: AtomicI64,
    appended: Mutex<BTreeMap<(String, i32), Millis>>,
}

impl SourceContext {
    /// Makes the consumer and subscribes.
    ///
    /// # Errors
    /// When a setting is refused by the client library; says which.
    pub fn subscribe(settings: &KafkaSettings, fleet: Fleet, metrics: Arc<Metrics>) -> Result<Source, String> {
        let context = Self {
            fleet,
            metrics,
            start: settings.start,
            reporter: Reporter::new("source"),
            lag: AtomicI64::new(0),
            appended: Mutex::default(),
        };
        let named = |error: KafkaError| format!("kafka: {error}");
        let consumer: Source = settings.source().create_with_context(context).map_err(named)?;
        let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(named)?;
        Ok(consumer)
    }

    /// Sets where each new partition begins, and tells its worker.
    fn assign(&self, consumer: &BaseConsumer<Self>, assigned: &TopicPartitionList) {
        let committed = consumer.committed_offsets(assigned.clone(), ASK_TIMEOUT);
        if let Err(error) = &committed {
            tracing::error!(%error, "kafka: the committed offsets cannot be read; windows begin empty");
        }
        for element in assigned.elements() {
            let (topic, partition) = (element.topic().to_owned(), element.partition());
            let known = committed.as_ref().ok().and_then(|list| list.find_partition(&topic, partition));
            let noted = known.map(|known| (known.offset(), Noted::parse(known.metadata())));
            let ends = consumer.fetch_watermarks(&topic, partition, ASK_TIMEOUT).ok();
            let begin = Begin::at(noted, ends, self.start);
            begin.say(&topic, partition);
            if let Some(mut element) = assigned.find_partition(&topic, partition)
                && let Some(from) = begin.from
                && let Err(error) = element.set_offset(Offset::Offset(from))
            {
                tracing::error!(%error, topic, partition, "kafka: the start offset was refused");
            }
            let labels = [topic.as_str(), &partition.to_string()];
            self.metrics.window_complete.with_label_values(&labels).set(i64::from(begin.complete));
            let shard = ShardId { topic: Arc::from(topic), partition };
            tracing::info!(topic = %shard.topic, partition, from = begin.from, live_from = begin.silent_until, "shard assigned");
            let assignment = Assignment {
                shard,
                silent_until: begin.silent_until,
                complete: begin.complete,
                watermark: begin.watermark,
            };
            self.fleet.send(self.fleet.owner(partition), Control::Assign(assignment));
        }
        self.metrics.kafka_rebalances.with_label_values(&["assign"]).inc();
    }

    /// Has the workers finish what they have of these partitions, then commits.
    fn revoke(&self, consumer: &BaseConsumer<Self>, revoked: &TopicPartitionList) {
        let shards: Vec<ShardId> = revoked
            .elements()
            .iter()
            .map(|element| ShardId { topic: Arc::from(element.topic()), partition: element.partition() })
            .collect();
        let (done, drained) = bounded::<()>(0);
        for worker in 0..self.fleet.len() {
            let of_worker: Vec<ShardId> =
                shards.iter().filter(|shard| self.fleet.owner(shard.partition) == worker).cloned().collect();
            self.fleet.send(worker, Control::Revoke { shards: of_worker, done: done.clone() });
        }
        drop(done);
        // Ends by disconnection, when every worker has dropped its end.
        if drained.recv_timeout(DRAIN_DEADLINE) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            tracing::warn!("kafka: not everything was durable before a rebalance; it is read again by the next owner");
        }
        if !consumer.assignment_lost() {
            match consumer.commit_consumer_state(CommitMode::Sync) {
                Ok(()) | Err(KafkaError::ConsumerCommit(rdkafka::types::RDKafkaErrorCode::NoOffset)) => {}
                Err(error) => tracing::warn!(%error, "kafka: the last offsets were not committed"),
            }
        }
        for shard in &shards {
            let labels = [&*shard.topic, &shard.partition.to_string()];
            let _ = self.metrics.window_complete.remove_label_values(&labels);
            let _ = self.metrics.kafka_lag.remove_label_values(&labels);
            let _ = self.metrics.kafka_lag_seconds.remove_label_values(&labels);
        }
        self.metrics.kafka_rebalances.with_label_values(&["revoke"]).inc();
        tracing::info!(shards = shards.len(), "shards revoked");
    }

    fn note_appended(&self, record: &BorrowedMessage<'_>) {
        let Some(ms) = record.timestamp().to_millis() else { return };
        let mut appended = self.appended.lock().unwrap_or_else(PoisonError::into_inner);
        appended.insert((record.topic().to_owned(), record.partition()), Millis(ms));
    }
}

/// Where a partition begins.
#[derive(Debug, PartialEq, Eq)]
struct Begin {
    /// The first record to read; `None` leaves it to the client library.
    from: Option<i64>,
    silent_until: i64,
    complete: bool,
    watermark: Option<Millis>,
    odd: Option<Odd>,
}

/// What an operator should know of a beginning.
#[derive(Debug, PartialEq, Eq)]
enum Odd {
    /// So many records were deleted before they were read.
    Lost(i64),
    /// The committed offset lies behind the end: the topic was made anew.
    BehindTheEnd(i64),
}

impl Begin {
    /// `noted` is what the group has committed, `ends` the first and the next offset of the log.
    fn at(noted: Option<(Offset, Noted)>, ends: Option<(i64, i64)>, start: Start) -> Self {
        let fresh = |from, odd| Self { from, silent_until: 0, complete: true, watermark: None, odd };
        let Some((Offset::Offset(committed), noted)) = noted else {
            return fresh(ends.map(|(low, high)| if start == Start::Earliest { low } else { high }), None);
        };
        let low = match ends {
            // Silent up to an offset that the log has not reached would be blind.
            Some((low, high)) if committed > high => return fresh(Some(low), Some(Odd::BehindTheEnd(committed))),
            Some((low, _)) => low,
            None => 0,
        };
        let replay_from = noted.replay_from.unwrap_or(committed).min(committed);
        Self {
            from: Some(replay_from.max(low)),
            silent_until: committed,
            complete: low <= replay_from && noted.replay_from.is_some(),
            watermark: noted.watermark,
            odd: (low > committed).then(|| Odd::Lost(low - committed)),
        }
    }

    fn say(&self, topic: &str, partition: i32) {
        match self.odd {
            None => {}
            Some(Odd::Lost(records)) => tracing::error!(
                topic,
                partition,
                records,
                "kafka: records were deleted before they were read; retention is too short"
            ),
            Some(Odd::BehindTheEnd(committed)) => tracing::error!(
                topic,
                partition,
                committed,
                "kafka: the log ends before the committed offset, so the topic was made anew; it is read from its beginning"
            ),
        }
    }
}

impl ClientContext for SourceContext {
    fn stats(&self, statistics: Statistics) {
        let appended = self.appended.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0;
        for (topic, stats) in &statistics.topics {
            for (partition, stats) in stats.partitions.iter().filter(|(p, s)| **p >= 0 && s.fetch_state == "active") {
                let lag = stats.consumer_lag.max(0);
                total += lag;
                let labels = [topic.as_str(), &partition.to_string()];
                self.metrics.kafka_lag.with_label_values(&labels).set(lag);
                let last = appended.get(&(topic.clone(), *partition)).filter(|_| lag > 0);
                let seconds = last.map_or(0.0, |last| clock::seconds_since(*last).max(0.0));
                self.metrics.kafka_lag_seconds.with_label_values(&labels).set(seconds);
            }
        }
        self.lag.store(total, Ordering::Relaxed);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporter.report(&error, reason);
    }
}

impl ConsumerContext for SourceContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => self.assign(consumer, partitions),
            Rebalance::Revoke(partitions) => self.revoke(consumer, partitions),
            Rebalance::Error(error) => self.reporter.report(error, "rebalance"),
        }
    }
}

/// Polls until `stop`, handing batches to the workers' queues.
///
/// # Errors
/// When the client library says that it cannot go on.
pub fn poll<'c>(
    consumer: &'c Source,
    queues: &[Sender<Vec<BorrowedMessage<'c>>>],
    stop: &AtomicBool,
) -> Result<End, String> {
    let context = consumer.context();
    let mut poller = Poller { consumer, queues, pending: queues.iter().map(|_| Vec::new()).collect(), stop };
    // Time in which a full queue kept the polling back does not count as quiet.
    let mut quiet_since = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let timeout = if poller.is_empty() { IDLE_POLL } else { Duration::ZERO };
        match consumer.poll(timeout) {
            Some(Ok(record)) => {
                poller.take(record);
                quiet_since = Instant::now();
            }
            None | Some(Err(KafkaError::PartitionEOF(_))) => {
                if !poller.is_empty() {
                    poller.hand_over_all();
                    quiet_since = Instant::now();
                }
            }
            Some(Err(error)) => {
                let code = error.rdkafka_error_code();
                if let Some((_, reason)) = consumer.client().fatal_error() {
                    return Err(format!("kafka: {reason}"));
                }
                let is_missing = code.is_some_and(is_unknown_topic);
                context
                    .reporter
                    .report(&error, if is_missing { "create the topic, or correct kafka.topics" } else { "reading" });
            }
        }
        if quiet_since.elapsed() > STALL_AFTER && context.lag.load(Ordering::Relaxed) > 0 {
            tracing::error!("kafka: records are there but none comes; the consumer is made anew");
            return Ok(End::Stalled);
        }
    }
    leave(consumer);
    Ok(End::Stopped)
}

/// Leaves the group while the workers are still there: the close revokes the partitions, which drains the
/// workers and commits, and then tells the coordinator, so that others take over at once. Unsubscribing
/// first would leave without a word when a commit is on the way.
fn leave(consumer: &Source) {
    if let Err(error) = consumer.close_queue() {
        tracing::warn!(%error, "kafka: the group was not left in order; others take over after session.timeout.ms");
        return;
    }
    let deadline = Instant::now() + DRAIN_DEADLINE * 2;
    while Instant::now() < deadline && !consumer.closed() {
        drop(consumer.poll(IDLE_POLL));
    }
}

struct Poller<'c, 'p> {
    consumer: &'c Source,
    queues: &'p [Sender<Vec<BorrowedMessage<'c>>>],
    pending: Vec<Vec<BorrowedMessage<'c>>>,
    stop: &'p AtomicBool,
}

impl<'c> Poller<'c, '_> {
    fn is_empty(&self) -> bool {
        self.pending.iter().all(Vec::is_empty)
    }

    fn take(&mut self, record: BorrowedMessage<'c>) {
        let worker = worker_of(&record, self.queues.len());
        let Some(pending) = self.pending.get_mut(worker) else { return };
        pending.push(record);
        if pending.len() >= BATCH_RECORDS {
            self.hand_over(worker);
        }
    }

    fn hand_over_all(&mut self) {
        (0..self.queues.len()).for_each(|worker| self.hand_over(worker));
    }

    /// Waits while the worker's queue is full; that is the back-pressure.
    fn hand_over(&mut self, worker: usize) {
        let (Some(queue), Some(pending)) = (self.queues.get(worker), self.pending.get_mut(worker)) else { return };
        if pending.is_empty() {
            return;
        }
        if let Some(last) = pending.last() {
            self.consumer.context().note_appended(last);
        }
        let mut batch = std::mem::take(pending);
        let since = Instant::now();
        loop {
            match queue.send_timeout(batch, IDLE_POLL) {
                Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
                Err(SendTimeoutError::Timeout(_)) if self.stop.load(Ordering::Relaxed) => return,
                Err(SendTimeoutError::Timeout(returned)) if since.elapsed() < PAUSE_AFTER => batch = returned,
                Err(SendTimeoutError::Timeout(returned)) => return self.wait_paused(worker, returned),
            }
        }
    }

    /// Stays in the group without reading, until the queue has room and is half empty again.
    fn wait_paused(&mut self, worker: usize, batch: Vec<BorrowedMessage<'c>>) {
        let Some(queue) = self.queues.get(worker) else { return };
        tracing::warn!("the ledger does not keep up; reading is paused until it does");
        let paused = self.consumer.assignment().ok();
        if let Some(partitions) = &paused {
            let _ = self.consumer.pause(partitions);
        }
        let mut batch = Some(batch);
        let room = |queue: &Sender<Vec<BorrowedMessage<'c>>>| queue.len() * 2 <= queue.capacity().unwrap_or(usize::MAX);
        while (batch.is_some() || !room(queue)) && !self.stop.load(Ordering::Relaxed) {
            // Records that come in spite of the pause were on their way; they are handed over next.
            if let Some(Ok(record)) = self.consumer.poll(IDLE_POLL)
                && let Some(pending) = self.pending.get_mut(worker_of(&record, self.queues.len()))
            {
                pending.push(record);
            }
            batch = match batch.map(|batch| queue.send_timeout(batch, Duration::ZERO)) {
                Some(Err(SendTimeoutError::Timeout(returned))) => Some(returned),
                _ => None,
            };
        }
        if let Ok(partitions) = self.consumer.assignment() {
            let _ = self.consumer.resume(&partitions);
        }
        tracing::info!("the ledger keeps up again; reading goes on");
    }
}

fn worker_of(record: &BorrowedMessage<'_>, workers: usize) -> usize {
    usize::try_from(record.partition()).unwrap_or(0) % workers.max(1)
}

/// Notes progress in the commit itself: the offset, and as its metadata where a replay begins.
pub struct KafkaProgress<'c>(pub &'c Source);

impl Progress for KafkaProgress<'_> {
    fn done(&self, topic: &str, partition: i32, mark: Mark) {
        let noted = Noted { replay_from: Some(mark.replay_from), watermark: Some(mark.watermark) };
        // A fresh list each time: the library does not free metadata that is overwritten.
        let mut offsets = TopicPartitionList::with_capacity(1);
        let mut element = offsets.add_partition(topic, partition);
        element.set_metadata(noted.to_string());
        let stored = element.set_offset(Offset::Offset(mark.next)).and_then(|()| self.0.store_offsets(&offsets));
        if let Err(error) = stored {
            // A partition that was revoked in the meantime; its next owner reads from the last commit.
            tracing::debug!(%error, topic, partition, "kafka: offset not stored");
        }
    }
}

/// What the metadata of a commit says: `v1;rf=<replay from>;wm=<watermark in ms>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Noted {
    replay_from: Option<i64>,
    watermark: Option<Millis>,
}

impl Noted {
    /// Anything else, such as the metadata of another program, says nothing.
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';');
        if parts.next() != Some("v1") {
            return Self::default();
        }
        let mut noted = Self::default();
        for part in parts {
            match part.split_once('=') {
                Some(("rf", value)) => noted.replay_from = value.parse().ok(),
                Some(("wm", value)) => noted.watermark = value.parse().ok().map(Millis),
                _ => {}
            }
        }
        noted
    }
}

impl std::fmt::Display for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("v1")?;
        if let Some(replay_from) = self.replay_from {
            write!(f, ";rf={replay_from}")?;
        }
        if let Some(Millis(watermark)) = self.watermark {
            write!(f, ";wm={watermark}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_begins_where_its_windows_need_it() {
        let noted = |committed, rf| Some((Offset::Offset(committed), Noted { replay_from: rf, watermark: None }));
        let begin = |from, silent_until, complete, odd| Begin { from, silent_until, complete, watermark: None, odd };
        let rows = [
            (None, Some((5, 9)), Start::Earliest, begin(Some(5), 0, true, None)),
            (None, Some((5, 9)), Start::Latest, begin(Some(9), 0, true, None)),
            (None, None, Start::Latest, begin(None, 0, true, None)),
            (Some((Offset::Invalid, Noted::default())), Some((0, 9)), Start::Earliest, begin(Some(0), 0, true, None)),
            (noted(8, Some(3)), Some((0, 9)), Start::Earliest, begin(Some(3), 8, true, None)),
            (noted(8, Some(3)), Some((5, 9)), Start::Earliest, begin(Some(5), 8, false, None)),
            (noted(8, None), Some((0, 9)), Start::Earliest, begin(Some(8), 8, false, None)),
            (noted(8, Some(3)), Some((20, 30)), Start::Earliest, begin(Some(20), 8, false, Some(Odd::Lost(12)))),
            (noted(80, Some(70)), Some((0, 9)), Start::Latest, begin(Some(0), 0, true, Some(Odd::BehindTheEnd(80)))),
            (noted(9, Some(9)), Some((0, 9)), Start::Earliest, begin(Some(9), 9, true, None)),
        ];
        for (noted, ends, start, want) in rows {
            assert_eq!(Begin::at(noted, ends, start), want, "{noted:?} {ends:?}");
        }
    }

    #[test]
    fn commit_metadata_reads_as_it_was_written() {
        let noted = Noted { replay_from: Some(12), watermark: Some(Millis(-5)) };
        assert_eq!(noted.to_string(), "v1;rf=12;wm=-5");
        assert_eq!(Noted::parse(&noted.to_string()), noted);
        for foreign in ["", "v2;rf=1", "rf=1", "v1;rf=x"] {
            assert_eq!(Noted::parse(foreign), Noted::default(), "{foreign}");
        }
    }
}
