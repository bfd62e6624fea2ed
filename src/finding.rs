//! What a rule says of an event: the finding, its severity, the action that it asks for.
//!
//! A finding is written to the findings topic as it stands here, so its field names are a contract.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::Origin;
use crate::time::Millis;

/// What happens, from weakest to strongest. `Confirm` and stronger stop an action at the gate;
/// `Halt` stops the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Recorded, nothing more.
    Observe,
    /// Shown to people.
    Flag,
    /// A person must confirm the action first.
    Confirm,
    /// The action must not go ahead.
    Deny,
    /// The session must stop.
    Halt,
}

impl Action {
    /// The name in rules, findings and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Flag => "flag",
            Self::Confirm => "confirm",
            Self::Deny => "deny",
            Self::Halt => "halt",
        }
    }
}

/// How bad it is. The five levels of Sigma and OCSF, under their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Informational,
    /// Worth a look when there is time.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a look now.
    High,
    /// Someone should be woken.
    Critical,
}

impl Severity {
    /// The name in rules, findings and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Whether a rule acts or only says what it would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The action is carried out.
    #[default]
    Enforce,
    /// The action is recorded as "would have" and not carried out.
    Shadow,
}

impl Mode {
    /// The name in rules, findings and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// Why a rule fired, for a person to read and check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// One sentence in words and numbers: `10 events in 5m, limit 10`.
    pub summary: String,
    /// Which part of the event: `text`, `args.url`, `result.items.3.body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The matching piece of that field and a little around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// Where the match stands in the excerpt, in characters, end exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<(usize, usize)>,
    /// Byte range of the match in the field's text, end exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<(usize, usize)>,
    /// What had to be undone to read it, the outermost first: `base64`, `zero-width`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decoded: Vec<String>,
    /// The classifier's score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Probability>,
    /// What the classifier's score comes from, the strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// A number from 0 to 1 in thousandths, so that equal is equal; a plain number on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability(pub u16);

impl Probability {
    /// The nearest thousandth.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    pub fn of(value: f32) -> Self {
        Self((value.clamp(0.0, 1.0) * 1e3).round() as u16)
    }

    /// As a number from 0 to 1.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1e3
    }
}

impl std::fmt::Display for Probability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.value())
    }
}

impl JsonSchema for Probability {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Probability".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "number", "minimum": 0, "maximum": 1})
    }
}

impl Serialize for Probability {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_f64(self.value())
    }
}

impl<'de> Deserialize<'de> for Probability {
    #[expect(clippy::cast_possible_truncation, reason = "a score has no more digits than that")]
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        f64::deserialize(input).map(|value| Self::of(value as f32))
    }
}

/// One rule's word on one event. Schema version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Schema version, 1.
    pub v: u8,
    /// Made from its cause: the same cause gives the same id, so readers can drop repeats.
    pub id: String,
    /// Tenant of the session.
    pub tenant: Arc<str>,
    /// Session that the event belongs to.
    pub session: Arc<str>,
    /// The agent, where the event names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The event's own id, or its coordinates.
    pub event_id: String,
    /// The tool that the event names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Event time, after clamping.
    pub ts: Millis,
    /// Rule id.
    pub rule: Arc<str>,
    /// Digest of the rule's text: which version of it fired.
    pub rule_version: Arc<str>,
    /// The rule's title.
    pub title: Arc<str>,
    /// How bad.
    pub severity: Severity,
    /// What the rule asks for.
    pub action: Action,
    /// Whether that is carried out.
    pub mode: Mode,
    /// Taxonomy tags of the rule.
    pub tags: Arc<[String]>,
    /// Why.
    pub evidence: Evidence,
    /// Where the event stands in its log.
    pub origin: Origin,
}
