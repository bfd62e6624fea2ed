//! Recorded sessions, produced to the topic as a harness would.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;

use super::broker::{Broker, TOPIC};
use super::story::Story;
use crate::io::clock;

/// Time between two events of the slow play.
const PACE: Duration = Duration::from_millis(160);
/// Events after which the next session begins.
const STAGGER: usize = 6;
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A recorded session: what it shows, whether it is honest, its events.
struct Recording {
    about: &'static str,
    benign: bool,
    lines: &'static str,
}

const RECORDINGS: [Recording; 6] = [
    Recording {
        about: "a support agent refunds a customer, honestly",
        benign: true,
        lines: include_str!("sessions/support-benign.ndjson"),
    },
    Recording {
        about: "a coding agent reads docs about attacks, hashes and ids",
        benign: true,
        lines: include_str!("sessions/docs-benign.ndjson"),
    },
    Recording {
        about: "a web page tells a research agent to send a credential away",
        benign: false,
        lines: include_str!("sessions/injected-web.ndjson"),
    },
    Recording {
        about: "an agent is talked into one refund after another",
        benign: false,
        lines: include_str!("sessions/refund-spike.ndjson"),
    },
    Recording {
        about: "an agent of one tenant reads another tenant's records",
        benign: false,
        lines: include_str!("sessions/cross-tenant.ndjson"),
    },
    Recording {
        about: "an agent makes the same call over and over",
        benign: false,
        lines: include_str!("sessions/runaway-loop.ndjson"),
    },
];

/// Produces the recordings.
pub(super) struct Player {
    producer: FutureProducer,
    sessions: Vec<Session>,
}

struct Session {
    name: String,
    about: &'static str,
    benign: bool,
    events: Vec<Value>,
}

impl Player {
    pub(super) fn new(broker: &Broker) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .set("linger.ms", "1")
            .create()
            .context("the demo's producer")?;
        let sessions = RECORDINGS.iter().map(read).collect::<Result<_>>()?;
        Ok(Self { producer, sessions })
    }

    /// Events in all recordings.
    pub(super) fn events(&self) -> u64 {
        self.sessions.iter().map(|session| session.events.len() as u64).sum()
    }

    /// Whether that session is an honest one.
    pub(super) fn is_benign(&self, session: &str) -> bool {
        self.sessions.iter().any(|known| known.name == session && known.benign)
    }

    /// Plays everything as fast as the broker takes it, in the order of the slow play.
    pub(super) async fn play_at_once(&self, story: &Story) -> Result<()> {
        self.sessions.iter().for_each(|session| story.session(&session.name, session.about));
        for (session, event) in self.interleaved() {
            self.send(session, event).await?;
        }
        Ok(())
    }

    /// Plays everything at a pace that a person can follow.
    pub(super) async fn play_slowly(&self, story: &Story) -> Result<()> {
        let mut pace = tokio::time::interval(PACE);
        for (session, event) in self.interleaved() {
            pace.tick().await;
            if session.events.first().is_some_and(|first| std::ptr::eq(first, event)) {
                story.session(&session.name, session.about);
            }
            self.send(session, event).await?;
        }
        Ok(())
    }

    /// Each session begins a few events after the one before, and then they take turns.
    fn interleaved(&self) -> Vec<(&Session, &Value)> {
        let mut order: Vec<(usize, &Session, &Value)> = Vec::new();
        for (n, session) in self.sessions.iter().enumerate() {
            let events = session.events.iter().enumerate();
            order.extend(events.map(|(position, event)| (n * STAGGER + position, session, event)));
        }
        order.sort_by_key(|(step, _, _)| *step);
        order.into_iter().map(|(_, session, event)| (session, event)).collect()
    }

    async fn send(&self, session: &Session, event: &Value) -> Result<()> {
        let mut event = event.clone();
        if let Some(fields) = event.as_object_mut() {
            fields.insert("ts".to_owned(), Value::String(clock::now().to_string()));
        }
        let payload = event.to_string();
        let record = FutureRecord::to(TOPIC).key(&session.name).payload(&payload);
        let sent = self.producer.send(record, SEND_TIMEOUT).await;
        sent.map(|_| ()).map_err(|(error, _)| anyhow!("an event was not taken: {error}"))
    }
}

fn read(recording: &Recording) -> Result<Session> {
    let events: Vec<Value> = recording
        .lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| format!("the recording of `{}`", recording.about))?;
    let name =
        events.first().and_then(|event| event.get("session")?.as_str()).context("a recording without a session")?;
    Ok(Session { name: name.to_owned(), about: recording.about, benign: recording.benign, events })
}
