//! The chain that this process writes: makes entries, and moves on only when they are durable.
//!
//! A ledger that says no may still have kept the entry. So an entry that is made stays the next one, byte for
//! byte, until it is known to be durable: nothing else is made meanwhile, it is written again before
//! anything else, and a reader takes the repeat for what it is. That way there is neither a gap nor two
//! entries in one place, also when a caller gives up half-way: dropping the future of [`Chain::record`] leaves
//! the entry pending.

use serde_json::{Value, json};

use super::canonical;
use super::entry::{Entry, VERSION};
use crate::time::Millis;

/// Largest entry, as a line in bytes: a ledger must never be asked to keep what it cannot, since the chain
/// would not get past it.
pub const ENTRY_BYTES_MAX: usize = 256 << 10;

/// Who is named where the process itself acts.
const ACTOR_SELF: &str = "haltline";
/// What opens a chain.
const START: &str = "start";
/// Random bytes in the name of a chain.
const CHAIN_ID_BYTES: usize = 16;

/// Why an order was not noted. It must not be carried out then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The entry before is not known to be durable.
    #[error("expected the audit entry before this one to be durable, got one that is still pending")]
    Pending,
    /// What the caller sent is too much to note.
    #[error("expected an audit entry of at most {ENTRY_BYTES_MAX} bytes, got {0}")]
    TooLarge(usize),
    /// The ledger did not take it.
    #[error("the audit log cannot be written: {0}")]
    Write(String),
    /// A chain needs a name of its own.
    #[error("no random numbers for the audit chain: {0}")]
    Random(String),
}

/// What the caller knows of an entry; the chain adds the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Who says to have ordered it.
    pub actor: String,
    /// Name of the API token that was used, never the token.
    pub token: Option<String>,
    /// Address that it came from.
    pub from: Option<String>,
    /// What was ordered.
    pub action: String,
    /// Tenant that it is about.
    pub tenant: Option<String>,
    /// Session that it is about.
    pub session: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// More of it. A number that is not a whole one of at most 2^53 - 1 is kept as a string.
    pub detail: Value,
}

/// A name for a chain that no other has: two chains of one name would look like a forgery.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_chain_id() -> Result<String, AuditError> {
    let mut bytes = [0; CHAIN_ID_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| AuditError::Random(error.to_string()))?;
    Ok(format!("a_{:032x}", u128::from_be_bytes(bytes)))
}

/// The chain of this process. One for the whole process, behind an async mutex that is held while an entry is
/// written: entries of one chain have one order. Deliberately no `Clone`: a copy would write other entries in the same
/// places.
#[derive(Debug)]
pub struct Chain {
    id: String,
    /// Place of the next entry.
    seq: u64,
    /// Hash of the last durable entry of this chain; before that what the start entry is linked to.
    prev: String,
    /// Made, and not known to be durable.
    pending: Option<Entry>,
}

impl Chain {
    /// A new chain, with its `start` entry pending. `last` is the last entry of any chain that this process
    /// could read; `about` says what started, such as version and host name.
    ///
    /// # Errors
    /// When `about` is too large.
    pub fn begin(id: impl Into<String>, last: Option<&Entry>, about: Value, now: Millis) -> Result<Self, AuditError> {
        let prev = last.map(|last| last.hash.clone()).unwrap_or_default();
        let mut chain = Self { id: id.into(), seq: 0, prev, pending: None };
        // The hash alone would not say what is missing once it is missing.
        let after = last.map(|last| json!({"chain": last.chain, "seq": last.seq}));
        let detail = json!({"after": after, "about": about});
        let start = Draft { actor: ACTOR_SELF.to_owned(), action: START.to_owned(), detail, ..Draft::default() };
        chain.append(start, now)?;
        Ok(chain)
    }

    /// The entry that is made and not known to be durable.
    #[must_use]
    pub fn pending(&self) -> Option<&Entry> {
        self.pending.as_ref()
    }

    /// Makes the next entry, which is pending then.
    ///
    /// # Errors
    /// When another is still pending, or this one would be too large; nothing has changed then.
    pub fn append(&mut self, draft: Draft, now: Millis) -> Result<&Entry, AuditError> {
        if self.pending.is_some() {
            return Err(AuditError::Pending);
        }
        let Draft { actor, token, from, action, tenant, session, reason, detail } = draft;
        let mut entry = Entry {
            v: VERSION,
            chain: self.id.clone(),
            seq: self.seq,
            ts: now,
            actor,
            token,
            from,
            action,
            tenant,
            session,
            reason,
            detail: canonical::exact(detail),
            prev: self.prev.clone(),
            hash: String::new(),
        };
        // Always there: the detail is exact, and 2^53 entries are more than a process lives to write.
        entry.hash = entry.digest().unwrap_or_default();
        let bytes = entry.to_line().len();
        if bytes > ENTRY_BYTES_MAX {
            return Err(AuditError::TooLarge(bytes));
        }
        Ok(self.pending.insert(entry))
    }

    /// Moves on: what was pending is durable. Returns it.
    pub fn commit(&mut self) -> Option<Entry> {
        let entry = self.pending.take()?;
        self.seq += 1;
        self.prev.clone_from(&entry.hash);
        Some(entry)
    }

    /// Writes what is pending, if anything is, and returns it when it is durable.
    ///
    /// # Errors
    /// When `write` fails; the entry stays pending.
    pub async fn settle<W, F>(&mut self, write: &mut W) -> Result<Option<Entry>, AuditError>
    where
        W: FnMut(Entry) -> F,
        F: Future<Output = Result<(), String>>,
    {
        if let Some(entry) = self.pending.clone() {
            write(entry).await.map_err(AuditError::Write)?;
        }
        Ok(self.commit())
    }

    /// Notes an order: writes what is pending, then the new entry, and returns that when it is durable. Only
    /// then may the order be carried out. An order whose entry failed may still turn up in the log later: it
    /// was given.
    ///
    /// # Errors
    /// When `write` fails or the entry is too large.
    pub async fn record<W, F>(&mut self, draft: Draft, now: Millis, mut write: W) -> Result<Entry, AuditError>
    where
        W: FnMut(Entry) -> F,
        F: Future<Output = Result<(), String>>,
    {
        self.settle(&mut write).await?;
        self.append(draft, now)?;
        self.settle(&mut write).await?.ok_or(AuditError::Pending)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;
    use crate::io::audit::verify;

    fn draft(action: &str) -> Draft {
        Draft { actor: "ana".to_owned(), action: action.to_owned(), ..Draft::default() }
    }

    fn begin(id: &str, last: Option<&Entry>) -> Chain {
        Chain::begin(id, last, json!({"version": "1.2.3"}), Millis(0)).expect("small")
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn each_entry_holds_the_hash_of_the_one_before() {
        let mut chain = begin("a", None);
        let start = chain.commit().expect("pending");
        chain.append(draft("halt"), Millis(5)).expect("small");
        let halt = chain.commit().expect("pending");
        assert_eq!((start.seq, &*start.action, &*start.actor, &*start.prev), (0, "start", "haltline", ""));
        assert_eq!(start.detail, json!({"after": null, "about": {"version": "1.2.3"}}));
        assert_eq!((halt.seq, halt.ts, &halt.prev), (1, Millis(5), &start.hash));
        assert!(chain.commit().is_none());

        let next = begin("b", Some(&halt)).commit().expect("pending");
        assert_eq!((next.seq, &next.prev), (0, &halt.hash));
        assert_eq!(next.detail["after"], json!({"chain": "a", "seq": 1}));
    }

    #[test]
    fn nothing_is_made_while_an_entry_is_pending() {
        let mut chain = begin("a", None);
        let before = chain.pending().cloned();
        assert_eq!(chain.append(draft("halt"), Millis(1)).cloned(), Err(AuditError::Pending));
        assert_eq!(chain.pending().cloned(), before);
    }

    #[test]
    fn an_entry_that_no_ledger_would_keep_is_refused_and_leaves_no_trace() {
        let mut chain = begin("a", None);
        chain.commit();
        let large = Draft { reason: Some("x".repeat(ENTRY_BYTES_MAX)), ..draft("halt") };
        assert!(matches!(chain.append(large, Millis(1)), Err(AuditError::TooLarge(bytes)) if bytes > ENTRY_BYTES_MAX));
        assert!(chain.pending().is_none());
        assert_eq!(chain.append(draft("halt"), Millis(1)).map(|entry| entry.seq), Ok(1));
    }

    #[test]
    fn names_of_chains_are_never_the_same() {
        let (a, b) = (new_chain_id().expect("random"), new_chain_id().expect("random"));
        assert!(a.len() == 34 && a.starts_with("a_") && a != b, "{a} {b}");
    }

    /// An `axum` handler must be able to await it.
    #[test]
    fn recording_can_be_awaited_on_any_thread() {
        fn is_send<T: Send>(value: T) -> T {
            value
        }
        let chain = tokio::sync::Mutex::new(begin("a", None));
        let recorded = run(is_send(async {
            let write = async |_entry: Entry| Ok(());
            chain.lock().await.record(draft("halt"), Millis(1), write).await
        }));
        assert_eq!(recorded.map(|entry| entry.seq), Ok(1));
    }

    #[test]
    fn a_caller_that_gives_up_half_way_leaves_no_gap() {
        let mut chain = begin("a", None);
        chain.commit();
        run(async {
            let never = |_entry: Entry| std::future::pending::<Result<(), String>>();
            let given_up = chain.record(draft("halt"), Millis(1), never);
            tokio::select! { biased;
                _ = given_up => unreachable!("never written"),
                () = std::future::ready(()) => {}
            }
        });
        let written = RefCell::new(Vec::new());
        let write = |entry: Entry| {
            written.borrow_mut().push((entry.seq, entry.action));
            std::future::ready(Ok(()))
        };
        run(chain.record(draft("resume"), Millis(2), write)).expect("written");
        assert_eq!(*written.borrow(), [(1, "halt".to_owned()), (2, "resume".to_owned())]);
    }

    /// What a ledger may do with a write.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Kept,
        Refused,
        /// Kept, but the answer was lost.
        Doubtful,
    }

    proptest! {
        #[test]
        fn whatever_the_ledger_does_the_log_verifies_and_holds_every_order_that_was_noted(
            fates in proptest::collection::vec(
                prop_oneof![Just(Fate::Kept), Just(Fate::Refused), Just(Fate::Doubtful)], 0..40,
            ),
        ) {
            let log = RefCell::new(Vec::new());
            let mut fates = fates.into_iter();
            let mut write = |entry: Entry| {
                let fate = fates.next().unwrap_or(Fate::Kept);
                if !matches!(fate, Fate::Refused) {
                    log.borrow_mut().push(entry);
                }
                std::future::ready(if matches!(fate, Fate::Kept) { Ok(()) } else { Err("down".to_owned()) })
            };
            let mut chain = begin("a", None);
            let mut noted = Vec::new();
            for n in 0..30 {
                match run(chain.record(draft(&n.to_string()), Millis(n), &mut write)) {
                    Ok(entry) => noted.push(entry),
                    Err(error) => prop_assert_eq!(error, AuditError::Write("down".to_owned())),
                }
            }
            let log = log.into_inner();
            let report = verify(log.iter().cloned().map(Ok), &[]);
            prop_assert_eq!(&report.problems, &[]);
            prop_assert!(noted.iter().all(|entry| log.contains(entry)));
        }
    }
}
