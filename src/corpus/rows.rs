//! Rows of labelled texts: one JSON object a line, as `haltline eval` reads them.

use serde::{Deserialize, Serialize};

/// One labelled text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Unique within its file.
    pub id: String,
    /// Where it is from; figures are given by source.
    pub source: String,
    /// `injection`, `jailbreak`, `exfil_secret`, `exfil_pii`, `exfil` or `benign`.
    pub label: String,
    /// `user`, `tool_result`, `tool_call` or `model`: who wrote it.
    pub direction: String,
    /// The text.
    pub text: String,
    /// Language.
    #[serde(default)]
    pub lang: String,
    /// Anything else.
    #[serde(default)]
    pub notes: String,
}

impl Row {
    /// Whether something should be found in it.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.label != "benign"
    }
}
