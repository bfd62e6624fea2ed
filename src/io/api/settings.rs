//! `[gate]`: what the gate says where it does not know.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use crate::io::webhook::Secrets;
use crate::time::Span;

/// What happens where there is no knowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Otherwise {
    /// 503: the caller's own policy decides.
    #[default]
    Error,
    /// The action is denied.
    Deny,
    /// The action is allowed.
    Allow,
}

/// `[gate]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSettings {
    /// What is answered while the halts are not known.
    pub when_unready: Otherwise,
    /// What is answered for a session of which nothing was seen: `allow` or `deny`.
    #[serde(deserialize_with = "allow_or_deny")]
    pub unknown_session: Otherwise,
    /// How long a confirmation waits for its answer, such as `5m`, and the answer for its use.
    #[serde(deserialize_with = "span")]
    pub confirm_timeout: Span,
    /// Secrets with which a harness signs answers of its own, `whsec_…`; two while rotating.
    pub callback_secrets: Option<String>,
    /// A file that holds them.
    pub callback_secrets_file: Option<PathBuf>,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            when_unready: Otherwise::Error,
            unknown_session: Otherwise::Allow,
            confirm_timeout: Span::seconds(300),
            callback_secrets: None,
            callback_secrets_file: None,
        }
    }
}

/// Shows no secret.
impl std::fmt::Debug for GateSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("GateSettings");
        shown.field("when_unready", &self.when_unready).field("unknown_session", &self.unknown_session);
        shown.field("confirm_timeout", &self.confirm_timeout).finish_non_exhaustive()
    }
}

impl GateSettings {
    /// Whether a session of which nothing was seen may act.
    pub(super) fn allows_unknown(&self) -> bool {
        self.unknown_session != Otherwise::Deny
    }

    /// The secrets of callbacks, where there are any.
    ///
    /// # Errors
    /// When they are no secrets, or cannot be read; never shows one.
    pub fn secrets(&self) -> Result<Option<Secrets>, String> {
        let text = match (&self.callback_secrets, &self.callback_secrets_file) {
            (None, None) => return Ok(None),
            (Some(text), None) => text.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|error| format!("gate.callback_secrets_file: cannot read {}: {error}", file.display()))?,
            (Some(_), Some(_)) => {
                return Err("gate: expected either callback_secrets or callback_secrets_file, got both".to_owned());
            }
        };
        text.parse().map(Some).map_err(|error| format!("gate.callback_secrets: {error}"))
    }
}

fn span<'de, D: Deserializer<'de>>(input: D) -> Result<Span, D::Error> {
    Span::parse(&String::deserialize(input)?).map_err(serde::de::Error::custom)
}

fn allow_or_deny<'de, D: Deserializer<'de>>(input: D) -> Result<Otherwise, D::Error> {
    match Otherwise::deserialize(input)? {
        Otherwise::Error => Err(serde::de::Error::custom("expected `allow` or `deny`, got `error`")),
        known => Ok(known),
    }
}
