//! The event: one step of one agent, as its harness streams it. Native schema, version 1.
//!
//! Events come from strangers, so parsing is lenient: an optional field of the wrong type is left out
//! and noted as a problem. Only what leaves no session to count against, or two ways to read one
//! record, is rejected, and what is rejected is scanned as raw bytes all the same.
//! Strings are borrowed from the record wherever JSON allows.

mod fields;
mod leaves;
mod loose;
mod parse;
mod repair;
mod schema;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde_json::value::RawValue;

use crate::time::Millis;

pub use leaves::{Leaf, LeafValue, Leaves};
pub use parse::{Parsed, Reason, Rejected, parse};
pub use repair::repair;
pub use schema::{json_schema, json_schema_text};

/// The tenant of an event that names none.
pub const TENANT_DEFAULT: &str = "default";

/// What kind of step an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Kind {
    /// A text in the conversation; `role` says whose.
    Message,
    /// The agent calls a tool.
    ToolCall,
    /// A tool answered.
    ToolResult,
    /// Tool definitions that were offered to the agent.
    ToolList,
    /// Something failed.
    Error,
    /// Tokens or money spent.
    Usage,
    /// The session begins.
    SessionStart,
    /// The session ends.
    SessionEnd,
    /// Anything else; also what an unknown kind is read as.
    Other,
}

impl Kind {
    /// Every kind, in the order of the schema.
    pub const ALL: [Self; 9] = [
        Self::Message,
        Self::ToolCall,
        Self::ToolResult,
        Self::ToolList,
        Self::Error,
        Self::Usage,
        Self::SessionStart,
        Self::SessionEnd,
        Self::Other,
    ];

    /// The name on the wire, in rules and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::ToolList => "tool_list",
            Self::Error => "error",
            Self::Usage => "usage",
            Self::SessionStart => "session_start",
            Self::SessionEnd => "session_end",
            Self::Other => "other",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Whose text a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Role {
    /// The person or program that talks to the agent.
    User,
    /// The agent.
    Assistant,
    /// The operator's own instructions.
    System,
    /// A tool.
    Tool,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::User, Self::Assistant, Self::System, Self::Tool];

    /// The name on the wire and in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Tool => "tool",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// Whether the text of an event was written by somebody whom the operator trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Trust {
    /// The operator's own.
    Trusted,
    /// Anyone's.
    Untrusted,
}

impl Trust {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Trusted, Self::Untrusted];

    /// The name on the wire and in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        }
    }

    /// The trust of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trust| trust.as_str() == name)
    }

    /// What holds where the harness does not say: system prompts are trusted; so is what the agent
    /// writes, which is judged as what it does, not as what it was told; everything else is not.
    #[must_use]
    pub const fn by_default(kind: Kind, role: Option<Role>) -> Self {
        match (kind, role) {
            (Kind::ToolResult | Kind::ToolList | Kind::Error, _) => Self::Untrusted,
            (_, Some(Role::System | Role::Assistant)) | (Kind::ToolCall, _) => Self::Trusted,
            _ => Self::Untrusted,
        }
    }
}

/// One step of one agent. Required on the wire: `v`, `session`, `kind`. Unknown fields are ignored.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(title = "Haltline event")]
pub struct Event<'a> {
    /// Schema version: 1.
    #[schemars(range(min = 1, max = 1))]
    pub v: u8,
    /// The producer's own id; a retry carries the same. Without one it is `topic:partition:offset`.
    #[schemars(with = "Option<String>")]
    pub id: Option<Cow<'a, str>>,
    /// When the step happened, RFC 3339; the record's append time where it is missing.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ts: Option<Millis>,
    /// Whose agent it is; `default` where it is missing.
    #[schemars(with = "Option<String>", length(max = 256))]
    pub tenant: Cow<'a, str>,
    /// The session (conversation, run), unique within its tenant. Also the record's key.
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub session: Cow<'a, str>,
    /// Number of the turn in the session.
    pub turn: Option<u64>,
    /// Number of the event in the session; makes gaps and reordering visible.
    pub seq: Option<u64>,
    /// The agent that acts.
    #[schemars(with = "Option<Agent<'static>>")]
    pub agent: Agent<'a>,
    /// What kind of step it is. An unknown kind is read as `other`.
    pub kind: Kind,
    /// Whose text it is.
    pub role: Option<Role>,
    /// Whether its text may be trusted; where it is missing, kind and role decide.
    #[schemars(with = "Option<Trust>")]
    pub trust: Trust,
    /// The text of the step.
    #[schemars(with = "Option<String>")]
    pub text: Option<Cow<'a, str>>,
    /// The tool that is called or that answered.
    pub tool: Option<Tool<'a>>,
    /// What the step cost.
    pub usage: Option<Usage>,
    /// W3C trace context.
    pub trace: Option<Trace<'a>>,
    /// Anything the harness wants to carry along: flat, text values, at most 32.
    #[schemars(with = "Option<std::collections::BTreeMap<String, String>>")]
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// The agent that acts.
#[derive(Clone, Debug, Default, JsonSchema)]
pub struct Agent<'a> {
    /// Stable name of the agent.
    #[schemars(with = "Option<String>", length(max = 256))]
    pub id: Option<Cow<'a, str>>,
    /// The session that started this one.
    #[schemars(with = "Option<String>", length(max = 256))]
    pub parent: Option<Cow<'a, str>>,
}

/// A tool call or its answer.
#[derive(Clone, Debug, Default, JsonSchema)]
pub struct Tool<'a> {
    /// Name of the tool.
    #[schemars(with = "String", length(max = 256))]
    pub name: Cow<'a, str>,
    /// The server that offers it.
    #[schemars(with = "Option<String>")]
    pub server: Option<Cow<'a, str>>,
    /// Joins a call and its result.
    #[schemars(with = "Option<String>")]
    pub call_id: Option<Cow<'a, str>>,
    /// Arguments: any JSON, or an object as JSON text (as some model APIs send it).
    #[schemars(with = "Option<serde_json::Value>")]
    pub args: Option<Cow<'a, RawValue>>,
    /// Result: any JSON.
    #[schemars(with = "Option<serde_json::Value>")]
    pub result: Option<Cow<'a, RawValue>>,
    /// Whether the call failed.
    #[schemars(with = "Option<bool>")]
    pub error: bool,
    /// How long the call took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// What a step cost.
#[derive(Clone, Copy, Debug, Default, JsonSchema)]
pub struct Usage {
    /// Tokens read.
    #[schemars(rename = "in")]
    pub tokens_in: Option<u64>,
    /// Tokens written.
    #[schemars(rename = "out")]
    pub tokens_out: Option<u64>,
    /// Price in US dollars.
    pub cost_usd: Option<f64>,
}

/// W3C trace context.
#[derive(Clone, Debug, Default, JsonSchema)]
pub struct Trace<'a> {
    /// 32 hex digits.
    #[schemars(with = "Option<String>")]
    pub trace_id: Option<Cow<'a, str>>,
    /// 16 hex digits.
    #[schemars(with = "Option<String>")]
    pub span_id: Option<Cow<'a, str>>,
}
