//! Keyed 128-bit hashes in place of strings that strangers choose.

use foldhash::fast::FixedState;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::{BuildHasher, Hasher};

/// The secret of the hashes: without it nobody can make two keys collide.
#[derive(Clone, Copy)]
pub struct HashKey(pub [u8; 16]);

impl HashKey {
    /// For what must have the same hash on every replica: sketches, fingerprints, saved state. No secret.
    pub(super) const COMMON: Self = Self([0; 16]);

    /// The hash of a list of parts; each goes in with its length.
    #[must_use]
    pub fn of(&self, parts: &[&[u8]]) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        hasher.finish128().as_u128()
    }

    /// A fast hash of a record's bytes, to tell a retry from a reused id. It has the secret in it, but
    /// is not meant to withstand an attack: who can write two records can as well write one.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "any 64 bits of the secret, any 32 of the hash")]
    pub fn digest(&self, bytes: &[u8]) -> u32 {
        let seed = u128::from_le_bytes(self.0) as u64;
        FixedState::with_seed(seed).hash_one(bytes) as u32
    }

    /// 64 bits of a hash, for values and definitions.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "any 64 bits of it")]
    pub fn long(&self, bytes: &[u8]) -> u64 {
        self.of(&[bytes]) as u64
    }

    /// A short hash, where a rare collision does no harm.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "any 32 bits of it")]
    pub fn short(&self, bytes: &[u8]) -> u32 {
        self.of(&[bytes]) as u32
    }
}

/// The secret itself is never shown.
impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(…)")
    }
}
