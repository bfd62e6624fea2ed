//! Actions that wait for a person.
//!
//! A confirmation is about one action of one session, known by a digest of all of it, and lets that action through
//! once. Records go through the ledger, so that every replica knows them and a restart forgets none. They are
//! absolute and ordered by their state: of two answers that cross, the stricter one stays. What nobody answers in
//! time is denied.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::ledger::{Entry, Ledger, Stream};
use crate::finding::Severity;
use crate::ids::digest_id;
use crate::limits::{CONFIRMATIONS_MAX, CONFIRMATIONS_PER_SESSION_MAX};
use crate::time::{Millis, Span};

/// How far a confirmation has come, from the least to the most final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has answered yet.
    Pending,
    /// Nobody has answered in time. Never written: it follows from the time.
    Expired,
    /// The action may go ahead, once.
    Approved,
    /// The action may be carried out as a dry run, once.
    DryRun,
    /// It has gone ahead.
    Used,
    /// The action may not go ahead.
    Denied,
}

/// What a person may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Let it go ahead.
    Approve,
    /// Do not.
    Deny,
    /// Carry it out as a dry run only.
    DryRun,
}

impl Answer {
    fn state(self) -> State {
        match self {
            Self::Approve => State::Approved,
            Self::Deny => State::Denied,
            Self::DryRun => State::DryRun,
        }
    }
}

/// The action as it is shown, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// `tool_call` or `message`.
    pub kind: String,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Its server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The arguments as JSON text, or the message; cut where it is long.
    pub args: String,
}

/// One confirmation. Schema version 1; the value in `haltline.confirmations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// Schema version, 1.
    pub v: u8,
    /// By which it is answered and used.
    pub id: String,
    /// Tenant of the session.
    pub tenant: Arc<str>,
    /// The session.
    pub session: Arc<str>,
    /// The agent, where it is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What wants to happen.
    pub action: Shown,
    /// Digest of the whole action.
    pub digest: String,
    /// The rule that asks for a person.
    pub rule: Arc<str>,
    /// Its title.
    pub title: Arc<str>,
    /// Its severity.
    pub severity: Severity,
    /// Why, in words.
    pub reason: String,
    /// How far it has come.
    pub state: State,
    /// When it was asked.
    pub created: Millis,
    /// Until when it may be answered, and then for how long the answer holds.
    pub expires: Millis,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Millis>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_reason: Option<String>,
}

impl Confirmation {
    /// As it stands at a time.
    fn at(mut self, now: Millis) -> Self {
        if self.state == State::Pending && self.expires <= now {
            self.state = State::Expired;
        }
        self
    }
}

/// What asks for a person.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Tenant of the session.
    pub tenant: Arc<str>,
    /// The session.
    pub session: Arc<str>,
    /// The agent.
    pub agent: Option<String>,
    /// As it is shown.
    pub action: Shown,
    /// Digest of the whole action.
    pub digest: String,
    /// The rule that asks.
    pub rule: Arc<str>,
    /// Its title.
    pub title: Arc<str>,
    /// Its severity.
    pub severity: Severity,
    /// Why.
    pub reason: String,
}

/// What a confirmation is worth to an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It may go ahead.
    Approved,
    /// As a dry run.
    DryRun,
    /// Nobody has answered yet.
    Pending(Box<Confirmation>),
    /// It may not, and why.
    Nothing(&'static str),
}

/// Why an answer is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// There is none of this id.
    Unknown,
    /// It was answered otherwise, or nobody answered in time.
    Closed(Box<Confirmation>),
    /// It could not be made durable.
    NotDurable(String),
}

/// All confirmations that are known.
pub struct Confirmations {
    known: Mutex<BTreeMap<String, Confirmation>>,
    changed: watch::Sender<u64>,
    ledger: Ledger,
    /// How long a question waits for its answer, and an answer for its use.
    timeout: Span,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Confirmations {
    /// None yet.
    #[must_use]
    pub fn new(ledger: Ledger, timeout: Span) -> Self {
        let (known, changed) = (Mutex::default(), watch::channel(0).0);
        Self { known, changed, ledger, timeout, one_at_a_time: tokio::sync::Mutex::new(()) }
    }

    /// Takes a record in; returns what holds after it.
    pub fn apply(&self, record: Confirmation) -> Confirmation {
        let mut known = self.lock();
        let id = record.id.clone();
        let holds = match known.get(&id) {
            Some(before) if before.state >= record.state => before.clone(),
            _ => {
                known.insert(id, record.clone());
                record
            }
        };
        drop(known);
        self.changed.send_modify(|changes| *changes += 1);
        holds
    }

    /// Opens a confirmation, or gives back the one that already waits for the same action. `None` when there are too
    /// many of them.
    pub fn open(&self, ask: Ask, now: Millis) -> Option<Confirmation> {
        let mut known = self.lock();
        let of_session = |one: &&Confirmation| {
            one.session == ask.session && one.tenant == ask.tenant && one.state == State::Pending && one.expires > now
        };
        if let Some(same) = known.values().filter(of_session).find(|one| one.digest == ask.digest) {
            return Some(same.clone());
        }
        if known.values().filter(of_session).count() >= CONFIRMATIONS_PER_SESSION_MAX || !make_room(&mut known, now) {
            return None;
        }
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).ok()?;
        let record = Confirmation {
            v: 1,
            id: digest_id("c_", &[&random]),
            tenant: ask.tenant,
            session: ask.session,
            agent: ask.agent,
            action: ask.action,
            digest: ask.digest,
            rule: ask.rule,
            title: ask.title,
            severity: ask.severity,
            reason: ask.reason,
            state: State::Pending,
            created: now,
            expires: now + self.timeout,
            answered: None,
            by: None,
            answer_reason: None,
        };
        known.insert(record.id.clone(), record.clone());
        drop(known);
        self.changed.send_modify(|changes| *changes += 1);
        self.tell_others(&record);
        Some(record)
    }

    /// One of them, as it stands now.
    #[must_use]
    pub fn get(&self, id: &str, now: Millis) -> Option<Confirmation> {
        self.lock().get(id).cloned().map(|one| one.at(now))
    }

    /// The confirmation of an action that a person has let pass, or has denied lately, for those who cannot name it.
    #[must_use]
    pub fn answered(&self, (tenant, session): (&str, &str), digest: &str, now: Millis) -> Option<String> {
        let known = self.lock();
        let of_action =
            known.values().filter(|one| one.digest == digest && *one.session == *session && *one.tenant == *tenant);
        let counts = |one: &&Confirmation| {
            matches!(one.state, State::Approved | State::DryRun | State::Denied) && one.expires > now
        };
        of_action.filter(counts).max_by_key(|one| one.answered).map(|one| one.id.clone())
    }

    /// Those that are wanted as they stand now, the latest first.
    #[must_use]
    pub fn list(&self, now: Millis, wanted: impl Fn(&Confirmation) -> bool) -> Vec<Confirmation> {
        let known: Vec<Confirmation> = self.lock().values().cloned().collect();
        let mut list: Vec<Confirmation> = known.into_iter().map(|one| one.at(now)).filter(wanted).collect();
        list.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        list
    }

    /// One of them, when it has been answered or so much time has passed.
    pub async fn wait(&self, id: &str, at_most: Duration, now: impl Fn() -> Millis) -> Option<Confirmation> {
        let mut changed = self.changed.subscribe();
        let answered = async {
            loop {
                changed.borrow_and_update();
                let one = self.get(id, now());
                let left = one.as_ref().map_or(Span(0), |one| one.expires - now());
                if one.as_ref().is_none_or(|one| one.state != State::Pending) {
                    return;
                }
                let expires = tokio::time::sleep(Duration::from_millis(u64::try_from(left.0).unwrap_or(0) + 1));
                tokio::select! {
                    _ = changed.changed() => {}
                    () = expires => {}
                }
            }
        };
        let _ = tokio::time::timeout(at_most, answered).await;
        self.get(id, now())
    }

    /// Takes a person's answer; durable when it returns. The same answer by the same person again changes nothing.
    ///
    /// # Errors
    /// When there is no such confirmation, when it is closed, or when the answer is not durable.
    pub async fn answer(
        &self,
        id: &str,
        (answer, by, reason): (Answer, String, String),
        now: Millis,
    ) -> Result<Confirmation, NotTaken> {
        let _turn = self.one_at_a_time.lock().await;
        let before = self.get(id, now).ok_or(NotTaken::Unknown)?;
        if before.state != State::Pending {
            let again = before.state == answer.state() && before.by.as_deref() == Some(&*by);
            return if again { Ok(before) } else { Err(NotTaken::Closed(Box::new(before))) };
        }
        let (answered, expires) = (Some(now), now + self.timeout);
        let (by, answer_reason) = (Some(by), Some(reason));
        let record = Confirmation { state: answer.state(), answered, by, answer_reason, expires, ..before };
        let written = self.ledger.write_and_wait([entry(&record)].into()).await;
        written.map_err(NotTaken::NotDurable)?;
        let holds = self.apply(record.clone());
        if holds == record { Ok(record) } else { Err(NotTaken::Closed(Box::new(holds.at(now)))) }
    }

    /// Uses a confirmation for an action. What was approved is used up by that.
    pub fn spend(&self, id: &str, (tenant, session): (&str, &str), digest: &str, now: Millis) -> Worth {
        let Some(one) = self.get(id, now).filter(|one| *one.tenant == *tenant && *one.session == *session) else {
            return Worth::Nothing("no confirmation of this session has this id");
        };
        if one.digest != digest {
            return Worth::Nothing("the confirmation is for another action");
        }
        let worth = match one.state {
            State::Pending => return Worth::Pending(Box::new(one)),
            State::Expired => return Worth::Nothing("nobody has confirmed the action in time"),
            State::Denied => return Worth::Nothing("a person has denied the action"),
            State::Used => return Worth::Nothing("the confirmation was used before"),
            _ if one.expires <= now => return Worth::Nothing("the confirmation is too old"),
            State::Approved => Worth::Approved,
            State::DryRun => Worth::DryRun,
        };
        let used = Confirmation { state: State::Used, ..one };
        // Decided under the lock: of two that ask at once one gets it.
        let mut known = self.lock();
        match known.get_mut(id).filter(|now| now.state < State::Used) {
            Some(known) => known.state = State::Used,
            None => return Worth::Nothing("the confirmation was used before"),
        }
        drop(known);
        self.tell_others(&used);
        worth
    }

    /// Writes a record without waiting: the gate never waits for the ledger.
    fn tell_others(&self, record: &Confirmation) {
        let id = record.id.clone();
        let done = Box::new(move |result: Result<(), String>| {
            if let Err(error) = result {
                tracing::warn!(id, error, "a confirmation is known to this process only");
            }
        });
        let (ledger, entries) = (self.ledger.clone(), Arc::from([entry(record)]));
        // A full queue of the Kafka producer holds its caller.
        tokio::task::spawn_blocking(move || ledger.write(entries, done));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Confirmation>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the oldest that is settled where there are too many; false when none is.
fn make_room(known: &mut BTreeMap<String, Confirmation>, now: Millis) -> bool {
    if known.len() < CONFIRMATIONS_MAX {
        return true;
    }
    let settled = known.values().filter(|one| one.state != State::Pending || one.expires <= now);
    let oldest = settled.min_by_key(|one| one.created).map(|one| one.id.clone());
    oldest.is_some_and(|oldest| known.remove(&oldest).is_some())
}

fn entry(record: &Confirmation) -> Entry {
    // Strings and numbers only: it cannot fail.
    let value = serde_json::to_vec(record).unwrap_or_default();
    Entry { stream: Stream::Confirmations, key: record.id.clone(), value, headers: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::local::LocalLedger;

    fn ask(session: &str, digest: &str) -> Ask {
        Ask {
            tenant: "acme".into(),
            session: session.into(),
            agent: None,
            action: Shown { kind: "tool_call".into(), tool: Some("pay".into()), server: None, args: "{}".into() },
            digest: digest.to_owned(),
            rule: "pay-confirm".into(),
            title: "Payments are confirmed".into(),
            severity: Severity::High,
            reason: "a payment".to_owned(),
        }
    }

    fn place() -> (tempfile::TempDir, Arc<LocalLedger>, Confirmations) {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = LocalLedger::open(&dir.path().join("l.redb")).expect("opens");
        let confirmations = Confirmations::new(Ledger::Local(ledger.clone()), Span(1_000));
        (dir, ledger, confirmations)
    }

    fn by_ana(answer: Answer) -> (Answer, String, String) {
        (answer, "ana".to_owned(), "seen".to_owned())
    }

    #[tokio::test]
    async fn an_answer_lets_its_own_action_through_once_and_in_time() {
        let (_dir, _, all) = place();
        let of = |session: &'static str| ("acme", session);
        let one = all.open(ask("s", "d"), Millis(0)).expect("room");
        assert_eq!(all.open(ask("s", "d"), Millis(5)).expect("room").id, one.id, "asked again");
        assert_ne!(all.open(ask("s", "e"), Millis(5)).expect("room").id, one.id, "another action");
        assert!(matches!(all.spend(&one.id, of("s"), "d", Millis(10)), Worth::Pending(_)));
        let answered = all.answer(&one.id, by_ana(Answer::Approve), Millis(900)).await.expect("taken");
        assert_eq!((answered.state, answered.expires), (State::Approved, Millis(1_900)));
        let rows = [("c_other", "s", "d"), (&*one.id, "t", "d"), (&*one.id, "s", "e")];
        for (id, session, digest) in rows {
            assert!(
                matches!(all.spend(id, of(session), digest, Millis(901)), Worth::Nothing(_)),
                "{id} {session} {digest}"
            );
        }
        assert_eq!(all.spend(&one.id, of("s"), "d", Millis(1_000)), Worth::Approved);
        assert_eq!(all.spend(&one.id, of("s"), "d", Millis(1_000)), Worth::Nothing("the confirmation was used before"));
        let late = all.open(ask("late", "d"), Millis(0)).expect("room");
        all.answer(&late.id, by_ana(Answer::DryRun), Millis(1)).await.expect("taken");
        assert_eq!(all.spend(&late.id, of("late"), "d", Millis(1_001)), Worth::Nothing("the confirmation is too old"));
    }

    #[tokio::test]
    async fn what_is_closed_takes_no_other_answer() {
        let (_dir, _, all) = place();
        let one = all.open(ask("s", "d"), Millis(0)).expect("room").id;
        let none = all.answer("c_none", by_ana(Answer::Deny), Millis(1)).await;
        assert_eq!(none, Err(NotTaken::Unknown));
        let denied = all.answer(&one, by_ana(Answer::Deny), Millis(1)).await.expect("taken");
        assert_eq!(all.answer(&one, by_ana(Answer::Deny), Millis(2)).await, Ok(denied.clone()), "the same again");
        let rows = [by_ana(Answer::Approve), (Answer::Deny, "bo".to_owned(), String::new())];
        for other in rows {
            let closed = Err(NotTaken::Closed(Box::new(denied.clone())));
            assert_eq!(all.answer(&one, other, Millis(2)).await, closed);
        }
        let late = all.open(ask("t", "d"), Millis(0)).expect("room").id;
        let closed = all.answer(&late, by_ana(Answer::Approve), Millis(1_000)).await;
        assert!(matches!(closed, Err(NotTaken::Closed(one)) if one.state == State::Expired));
        assert_eq!(
            all.spend(&late, ("acme", "t"), "d", Millis(1_000)),
            Worth::Nothing("nobody has confirmed the action in time")
        );
    }

    #[tokio::test]
    async fn records_that_cross_end_the_same_way_and_survive_a_restart() {
        let (_dir, ledger, all) = place();
        let one = all.open(ask("s", "d"), Millis(0)).expect("room");
        let states = [State::Approved, State::Denied, State::Pending, State::Used, State::DryRun];
        for turn in 0..states.len() {
            let other = Confirmations::new(Ledger::Local(ledger.clone()), Span(1_000));
            for n in 0..states.len() {
                other.apply(Confirmation { state: states[(turn + n) % states.len()], ..one.clone() });
            }
            assert_eq!(other.get(&one.id, Millis(1)).expect("known").state, State::Denied);
        }
        all.answer(&one.id, by_ana(Answer::Approve), Millis(1)).await.expect("taken");
        ledger.flush().await;
        let again = Confirmations::new(Ledger::Local(ledger.clone()), Span(1_000));
        for row in ledger.confirmations().expect("reads") {
            again.apply(serde_json::from_slice(&row).expect("a record"));
        }
        assert_eq!(again.get(&one.id, Millis(2)), all.get(&one.id, Millis(2)));
    }

    #[tokio::test]
    async fn who_waits_is_told_at_once() {
        let (_dir, _, all) = place();
        let one = all.open(ask("s", "d"), Millis(0)).expect("room").id;
        let waits = all.wait(&one, Duration::from_secs(60), || Millis(1));
        let answers = all.answer(&one, by_ana(Answer::Deny), Millis(1));
        let (waited, _) = tokio::join!(waits, answers);
        assert_eq!(waited.expect("known").state, State::Denied);
        assert_eq!(all.wait("c_none", Duration::from_secs(60), || Millis(1)).await, None);
    }

    #[tokio::test]
    async fn a_session_cannot_fill_the_list() {
        let (_dir, _, all) = place();
        let opened = (0..100).filter(|n| all.open(ask("s", &n.to_string()), Millis(0)).is_some()).count();
        assert_eq!(opened, CONFIRMATIONS_PER_SESSION_MAX);
        assert!(all.open(ask("t", "d"), Millis(0)).is_some());
    }
}
