//! `[credentials]`: what an operator writes, checked strictly before anything starts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::limits::ID_BYTES_MAX;
use crate::time::Span;

/// Keys of earlier rotations, or of the next one, that may be published at once.
const PREVIOUS_KEYS_MAX: usize = 8;
/// A second: times in tokens are whole ones.
pub(super) const TTL_MIN: Span = Span::seconds(1);
/// A day: what a halted session still has works that long, so more is no run credential.
const TTL_LIMIT: Span = Span::seconds(86_400);

/// How run credentials are signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The private key: Ed25519, PKCS#8 in PEM, for nobody else to read. Made where it is missing. Without this setting
    /// the process has a key of its own, which ends with it and which other replicas do not know.
    pub key_file: Option<PathBuf>,
    /// Keys whose tokens are still good, or soon will be: private keys as above, or public ones
    /// (`BEGIN PUBLIC KEY`). They are published and sign nothing.
    pub previous_key_files: Vec<PathBuf>,
    /// The `iss` of tokens.
    pub issuer: String,
    /// Longest life of a token, such as `15m`: from `1s` to `1d`.
    #[serde(deserialize_with = "span")]
    pub ttl_max: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key_file: None,
            previous_key_files: Vec::new(),
            issuer: "haltline".to_owned(),
            ttl_max: Span::seconds(900),
        }
    }
}

fn span<'de, D: Deserializer<'de>>(input: D) -> Result<Span, D::Error> {
    Span::parse(&String::deserialize(input)?).map_err(serde::de::Error::custom)
}

/// Why no credentials can be signed; never shows a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A setting is out of its bounds.
    #[error("credentials: {0}")]
    Settings(String),
    /// A key file is no good.
    #[error("credentials: key file {}: {problem}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// What was expected, and how to mend it.
        problem: String,
    },
}

impl CredentialError {
    pub(super) fn key(file: &Path, problem: impl Into<String>) -> Self {
        Self::Key { file: file.to_path_buf(), problem: problem.into() }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), CredentialError> {
        let wrong = |problem| Err(CredentialError::Settings(problem));
        let length = self.issuer.len();
        if length == 0 || length > ID_BYTES_MAX || self.issuer.contains(char::is_control) {
            return wrong(format!("issuer: expected 1 to {ID_BYTES_MAX} bytes without control characters"));
        }
        if !(TTL_MIN..=TTL_LIMIT).contains(&self.ttl_max) {
            return wrong(format!("ttl_max: expected from {TTL_MIN} to {TTL_LIMIT}, got {}", self.ttl_max));
        }
        let previous = self.previous_key_files.len();
        if previous > PREVIOUS_KEYS_MAX {
            return wrong(format!("previous_key_files: expected at most {PREVIOUS_KEYS_MAX}, got {previous}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_has_a_default() {
        let settings: Settings = toml::from_str("").expect("empty");
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.key_file, None);
        assert_eq!((&*settings.issuer, settings.ttl_max), ("haltline", Span::seconds(900)));
        let given = "key_file = 'k'\nprevious_key_files = ['a', 'b']\nissuer = 'i'\nttl_max = '90s'";
        let settings: Settings = toml::from_str(given).expect("given");
        assert_eq!((settings.previous_key_files.len(), settings.ttl_max), (2, Span::seconds(90)));
    }

    #[test]
    fn what_is_unknown_or_out_of_bounds_is_refused() {
        let long = format!("issuer = '{}'", "i".repeat(257));
        let many = format!("previous_key_files = {:?}", ["k"; 9]);
        let rows = [
            ("keyfile = 'k'", "unknown field `keyfile`"),
            ("ttl_max = 900", "invalid type"),
            ("ttl_max = '15 minutes'", "expected a duration"),
            ("ttl_max = '999ms'", "ttl_max: expected from 1s to 1d, got 999ms"),
            ("ttl_max = '25h'", "ttl_max: expected from 1s to 1d, got 25h"),
            ("issuer = ''", "issuer: expected 1 to 256 bytes"),
            ("issuer = \"a\\nb\"", "without control characters"),
            (&long, "issuer: expected 1 to 256 bytes"),
            (&many, "previous_key_files: expected at most 8, got 9"),
        ];
        for (text, expected) in rows {
            let read = toml::from_str::<Settings>(text).map_err(|error| error.to_string());
            let error = read.and_then(|settings| settings.check().map_err(|error| error.to_string())).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        for good in ["ttl_max = '1s'", "ttl_max = '1d'", "issuer = 'https://haltline.example'"] {
            toml::from_str::<Settings>(good).expect(good).check().expect(good);
        }
    }
}
