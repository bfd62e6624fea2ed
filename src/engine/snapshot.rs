//! The state of an engine as bytes, to go on from later or elsewhere.
//!
//! A snapshot and the events after it give the same effects as never having stopped. It has a version and
//! a checksum, and is read only by an engine for the same partition with the same secret for its hashes:
//! what was counted under other keys would never be found again. Detectors come back where their rule is
//! still the same; others begin anew.
//!
//! Layout: `HLTSTATE`, the version as two bytes (little endian), SHA-256 of the rest, then the state as
//! MessagePack.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::memory;
use super::{Engine, Program, Session, Settings, Stats};
use crate::halt::HaltRecord;
use crate::ids::ShardId;
use crate::limits::{DEFINITION_IDLE, DEFINITION_KEYS_MAX, SESSION_IDLE, SESSIONS_PER_SHARD_MAX};
use crate::rules::Hints;
use crate::time::Millis;
use crate::window::{Keyed, Saved};

const MAGIC: &[u8; 8] = b"HLTSTATE";
const VERSION: u16 = 2;
const DIGEST_BYTES: usize = 32;
/// What is hashed to see whether two engines have the same secret.
const KEY_CHECK: &[u8] = b"haltline snapshot";

/// Why a snapshot was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is no snapshot, or one of another version.
    #[error("expected a snapshot of version {VERSION}, got {0}")]
    Format(String),
    /// Some byte of it is not what was written.
    #[error("expected the checksum that was written with it, got another one: the snapshot is damaged")]
    Damaged,
    /// It is another partition's.
    #[error("expected a snapshot of {expected}, got one of {actual}")]
    Shard {
        /// This engine's partition.
        expected: String,
        /// The snapshot's.
        actual: String,
    },
    /// It was made with another secret.
    #[error("expected a snapshot that was made with the same secret for its hashes")]
    Key,
    /// Its content cannot be read.
    #[error("expected the state of an engine: {0}")]
    Content(String),
}

/// What is written; reads as [`Read`].
#[derive(Serialize)]
struct Written<'e> {
    topic: &'e str,
    partition: i32,
    key_check: u64,
    sessions: &'e Keyed<Session>,
    memory: Vec<(&'e str, memory::Saving<'e>)>,
    hints: &'e Keyed<Hints>,
    /// As JSON, the form in which the ledger keeps them.
    halts: Vec<(u128, String)>,
    watermark: i64,
    last: i64,
    stats: Stats,
}

#[derive(Deserialize)]
struct Read {
    topic: Arc<str>,
    partition: i32,
    key_check: u64,
    sessions: Saved<Session>,
    memory: Vec<(String, memory::Saved)>,
    hints: Saved<Hints>,
    halts: Vec<(u128, String)>,
    watermark: i64,
    last: i64,
    stats: Stats,
}

impl Engine {
    /// All that this engine knows, but for its rules.
    ///
    /// # Errors
    /// When it cannot be written as MessagePack, which no state gives cause for.
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let halt = |(key, record): (&u128, &HaltRecord)| {
            let json = serde_json::to_string(record).map_err(|error| SnapshotError::Content(error.to_string()))?;
            Ok((*key, json))
        };
        let written = Written {
            topic: &self.shard.topic,
            partition: self.shard.partition,
            key_check: self.settings.hash_key.long(KEY_CHECK),
            sessions: &self.sessions,
            memory: self.memory.save(),
            hints: &self.hints,
            halts: self.halts.iter().map(halt).collect::<Result<_, SnapshotError>>()?,
            watermark: self.watermark.0,
            last: self.last.0,
            stats: self.stats,
        };
        let body = rmp_serde::to_vec(&written).map_err(|error| SnapshotError::Content(error.to_string()))?;
        let mut bytes = Vec::with_capacity(MAGIC.len() + 2 + DIGEST_BYTES + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&Sha256::digest(&body));
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// An engine that goes on from a snapshot, under these rules.
    ///
    /// # Errors
    /// When the bytes are no snapshot of this partition, or are damaged; says what was expected.
    pub fn restore(
        shard: ShardId,
        program: Arc<Program>,
        settings: Settings,
        snapshot: &[u8],
    ) -> Result<Self, SnapshotError> {
        let saved = read(snapshot)?;
        let actual = ShardId { topic: saved.topic, partition: saved.partition };
        if actual != shard {
            let name = |shard: &ShardId| format!("{}:{}", shard.topic, shard.partition);
            return Err(SnapshotError::Shard { expected: name(&shard), actual: name(&actual) });
        }
        if saved.key_check != settings.hash_key.long(KEY_CHECK) {
            return Err(SnapshotError::Key);
        }
        let mut engine = Self::new(shard, program, settings);
        engine.sessions = Keyed::restore(saved.sessions, SESSION_IDLE, SESSIONS_PER_SHARD_MAX);
        engine.hints = Keyed::restore(saved.hints, DEFINITION_IDLE, DEFINITION_KEYS_MAX);
        engine.memory.restore(saved.memory);
        for (key, json) in saved.halts {
            let record = serde_json::from_str(&json).map_err(|error| SnapshotError::Content(error.to_string()))?;
            engine.halts.insert(key, record);
        }
        engine.watermark = Millis(saved.watermark);
        engine.last = Millis(saved.last);
        engine.stats = saved.stats;
        Ok(engine)
    }
}

fn read(snapshot: &[u8]) -> Result<Read, SnapshotError> {
    let format = |what: &str| SnapshotError::Format(what.to_owned());
    let rest = snapshot.strip_prefix(MAGIC).ok_or_else(|| format("something else"))?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(|| format("a beginning only"))?;
    let version = u16::from_le_bytes(*version);
    if version != VERSION {
        return Err(SnapshotError::Format(format!("version {version}")));
    }
    let (digest, body) = rest.split_first_chunk::<DIGEST_BYTES>().ok_or_else(|| format("a beginning only"))?;
    if *digest != *Sha256::digest(body) {
        return Err(SnapshotError::Damaged);
    }
    rmp_serde::from_slice(body).map_err(|error| SnapshotError::Content(error.to_string()))
}
