//! How the outside talks to the workers that own the shards.
//!
//! Every message goes over a worker's own queue and is handled between two batches, so that shard
//! state is never shared. The queues carry orders and questions only, which are few; they are not
//! bounded, so that an answer from the ledger can never wait for a worker that waits for the ledger.

use std::sync::Arc;

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use super::ledger::WriteResult;
use crate::engine::{Program, SessionView};
use crate::finding::Finding;
use crate::halt::HaltRecord;
use crate::ids::ShardId;
use crate::time::Millis;

/// A message to one worker.
#[derive(Debug)]
pub enum Control {
    /// A shard is this worker's from here on.
    Assign(Assignment),
    /// Shards are no longer this worker's; `done` is dropped when all that they did is durable.
    Revoke {
        /// Which.
        shards: Vec<ShardId>,
        /// Dropped when nothing of them is on the way any more.
        done: Sender<()>,
    },
    /// The ledger's answer to a write.
    Written {
        /// Which write.
        ticket: u64,
        /// What became of it.
        result: WriteResult,
    },
    /// The ledger's word on a session.
    Halt(Arc<HaltRecord>),
    /// New rules.
    Rules(Arc<Program>),
    /// What is known of one session.
    Session {
        /// Its tenant.
        tenant: String,
        /// The session.
        session: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Option<SessionView>>,
    },
    /// What is known of the sessions that were active last.
    Sessions {
        /// Only this tenant's.
        tenant: Option<String>,
        /// At most so many.
        limit: usize,
        /// Where the answer goes.
        reply: oneshot::Sender<Vec<SessionView>>,
    },
    /// Nothing more will come: settle what is on the way and end.
    Stop,
}

/// A shard and where its state begins.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The shard.
    pub shard: ShardId,
    /// Records before this offset rebuild state and say nothing.
    pub silent_until: i64,
    /// Whether the log still holds all that the windows need.
    pub complete: bool,
    /// The watermark that was committed.
    pub watermark: Option<Millis>,
}

/// What would follow from an action that has not happened. Answered between two records, not between two batches:
/// somebody waits for it.
#[derive(Debug)]
pub struct Question {
    /// The action as an event.
    pub event: Arc<[u8]>,
    /// Where the answer goes: what would be found, or `None` where no shard of the worker knows the session.
    pub reply: oneshot::Sender<Option<Vec<Finding>>>,
}

/// All workers of this process.
#[derive(Clone, Debug)]
pub struct Fleet {
    workers: Arc<[Sender<Control>]>,
    questions: Arc<[Sender<Question>]>,
}

impl Fleet {
    /// The workers by their queues.
    #[must_use]
    pub fn new(workers: Vec<Sender<Control>>) -> Self {
        Self { workers: workers.into(), questions: Arc::new([]) }
    }

    /// The same, with the queues of their questions.
    #[must_use]
    pub fn with_questions(self, questions: Vec<Sender<Question>>) -> Self {
        Self { questions: questions.into(), ..self }
    }

    /// What the owner of a session would find if an event happened; `None` where no worker of this process knows its
    /// session.
    pub async fn what_if(&self, event: &Arc<[u8]>) -> Option<Vec<Finding>> {
        let mut answers = Vec::with_capacity(self.questions.len());
        for queue in self.questions.iter() {
            let (reply, answer) = oneshot::channel();
            if queue.send(Question { event: event.clone(), reply }).is_ok() {
                answers.push(answer);
            }
        }
        let mut found = None;
        for answer in answers {
            found = answer.await.unwrap_or_default().or(found);
        }
        found
    }

    /// Number of workers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// The worker that owns a partition.
    #[must_use]
    pub fn owner(&self, partition: i32) -> usize {
        usize::try_from(partition).unwrap_or(0) % self.workers.len().max(1)
    }

    /// Sends to one worker. False when it has ended.
    pub fn send(&self, worker: usize, message: Control) -> bool {
        self.workers.get(worker).is_some_and(|queue| queue.send(message).is_ok())
    }

    /// Tells every worker of a halt or release.
    pub fn tell(&self, record: &HaltRecord) {
        let record = Arc::new(record.clone());
        for queue in self.workers.iter() {
            let _ = queue.send(Control::Halt(record.clone()));
        }
    }

    /// Gives every worker new rules.
    pub fn replace_rules(&self, program: &Arc<Program>) {
        for queue in self.workers.iter() {
            let _ = queue.send(Control::Rules(program.clone()));
        }
    }

    /// What the owner of a session knows of it; `None` where no shard of this process has seen it.
    pub async fn session(&self, tenant: &str, session: &str) -> Option<SessionView> {
        let mut latest: Option<SessionView> = None;
        for queue in self.workers.iter() {
            let (reply, answer) = oneshot::channel();
            let question = Control::Session { tenant: tenant.to_owned(), session: session.to_owned(), reply };
            if queue.send(question).is_err() {
                continue;
            }
            if let Ok(Some(view)) = answer.await
                && latest.as_ref().is_none_or(|known| view.last_seen > known.last_seen)
            {
                latest = Some(view);
            }
        }
        latest
    }

    /// The sessions that were active last, newest first.
    pub async fn sessions(&self, tenant: Option<&str>, limit: usize) -> Vec<SessionView> {
        let mut views = Vec::new();
        for queue in self.workers.iter() {
            let (reply, answer) = oneshot::channel();
            let question = Control::Sessions { tenant: tenant.map(str::to_owned), limit, reply };
            if queue.send(question).is_ok() {
                views.extend(answer.await.unwrap_or_default());
            }
        }
        newest_first(&mut views, limit);
        views
    }
}

/// Sorts by last activity, then by name, and cuts.
pub fn newest_first(views: &mut Vec<SessionView>, limit: usize) {
    views.sort_by(|a, b| {
        b.last_seen.cmp(&a.last_seen).then_with(|| (&a.tenant, &a.session).cmp(&(&b.tenant, &b.session)))
    });
    views.truncate(limit);
}
