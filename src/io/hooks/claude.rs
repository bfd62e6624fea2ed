//! What Claude Code, the Agent SDK and Codex send to a hook.
//!
//! # Which step is which
//!
//! The engine takes a second event with the same id and the same bytes for a retry, which changes nothing,
//! and one with the same id and other bytes for a reused id, which is scanned but counted in no window.
//! So ids follow from what the harness says, and nothing is in an event that differs from one delivery to
//! the next:
//!
//! - A call is `tool_use_id`, a result as well. `PostToolUse` and `PostToolBatch` of one call share an id.
//! - Everything else is the digest of the payload's bytes, in which `prompt_id` or `turn_id` stands.
//! - A call or result without `tool_use_id`, as some versions send them, gets no id: better that a retry
//!   counts twice than that a loop of the same call counts once.
//!
//! `PermissionRequest` asks about a call that `PreToolUse` has announced. With a `tool_use_id` it is written
//! as the very bytes of that call, and so changes nothing. Without one, as in all known versions, nobody can
//! say which of two equal calls it is about; it is judged as a call and kept as an event of kind `other`
//! without a tool, which no window of calls counts.

use serde_json::value::RawValue;

use super::Problem;
use super::native::{Labels, Proposal, ProposedTool, Who};
use super::object::{Object, shown};
use super::rows::{Row, Shape, row};
use crate::event::{Kind, Role, Trust};
use crate::ids::digest_id;
use crate::limits::{ID_BYTES_MAX, TOOL_NAME_BYTES_MAX};

/// Longest label, in bytes.
const LABEL_BYTES_MAX: usize = 128;
/// Most tool calls of one batch; a batch of more is scanned as one text.
const BATCH_CALLS_MAX: usize = 128;
/// Labels of every hook.
const LABELS: [&str; 6] = ["permission_mode", "cwd", "agent_id", "agent_type", "prompt_id", "turn_id"];

/// One question of a harness.
#[derive(Clone, Debug)]
pub struct Payload {
    name: String,
    session: String,
    row: Row,
    fields: Object,
    digest: String,
}

impl Payload {
    /// Reads the JSON of any hook. Hooks and fields that are not known are fine.
    ///
    /// # Errors
    /// When it is no object, a field stands twice, or there is no `hook_event_name`, no `session_id` or,
    /// for a hook about a tool, no `tool_name` of a usable length.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let fields = Object::read(bytes)
            .map_err(|error| Problem::new("bad_json", format!("expected the JSON object of a hook: {error}")))?;
        let name = name_of(&fields, "hook_event_name", ID_BYTES_MAX)?;
        let session = name_of(&fields, "session_id", ID_BYTES_MAX)?;
        let row = row(&name);
        if matches!(row.shape, Shape::Call | Shape::Asked | Shape::Result | Shape::Failure) {
            name_of(&fields, "tool_name", TOOL_NAME_BYTES_MAX)?;
        }
        Ok(Self { name, session, row, fields, digest: digest_id("", &[bytes]) })
    }

    /// The session that asks.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The name of the hook, such as `PreToolUse`.
    #[must_use]
    pub fn hook(&self) -> &str {
        &self.name
    }

    /// The mode in which the harness asks its user for permission, where it says so.
    #[must_use]
    pub fn permission_mode(&self) -> Option<String> {
        self.fields.text("permission_mode")
    }

    /// Whether Codex asks. It names the turn in nearly every payload, which Claude Code does not.
    #[must_use]
    pub fn is_codex(&self) -> bool {
        self.name != "MessageDisplay" && self.fields.get("turn_id").is_some()
    }

    /// Whose step it is. The agent is the one that the caller names, or else the kind of agent that the
    /// harness names.
    #[must_use]
    fn agent(&self, agent: Option<&str>) -> Option<String> {
        agent.map(str::to_owned).or_else(|| self.fields.text("agent_type")).filter(|agent| agent.len() <= ID_BYTES_MAX)
    }

    /// What has to be judged before the harness goes on: a call, a prompt, or a result before the agent
    /// reads it. For other hooks only a halt matters.
    ///
    /// A call or a prompt that is too long or too deep for an event comes whole, to be refused. Of such a
    /// result, which may well be a picture, the head is judged.
    #[must_use]
    pub fn proposal(&self) -> Option<Proposal> {
        match self.row.shape {
            Shape::Call | Shape::Asked => Some(self.call()),
            Shape::Result => Some(Self::result(&self.fields, "tool_response").fitted().0.into_owned()),
            Shape::Texts if self.name == "UserPromptSubmit" => Some(self.texts()),
            _ => None,
        }
    }

    /// What is to be judged, as a native event without an id.
    #[must_use]
    pub fn proposed_event(&self, tenant: Option<&str>, agent: Option<&str>) -> Option<String> {
        let agent = self.agent(agent);
        let who = Who { tenant, session: &self.session, agent: agent.as_deref() };
        self.proposal().map(|proposal| proposal.event(&who))
    }

    /// What the log keeps: one native event as JSON text, or several for a batch. Each fits into a record.
    #[must_use]
    pub fn events(&self, tenant: Option<&str>, agent: Option<&str>) -> Vec<String> {
        let agent = self.agent(agent);
        let who = Who { tenant, session: &self.session, agent: agent.as_deref() };
        let one = |step: &Proposal, id: Option<String>| step.entry(&who, id.as_deref(), &self.labels());
        let id = |what: &str, tool_use: Option<String>| tool_use.map(|tool_use| self.id(tenant, what, &tool_use));
        let tool_use = self.fields.text("tool_use_id");
        match self.row.shape {
            Shape::Call => vec![one(&self.call(), id("call", tool_use))],
            Shape::Asked if tool_use.is_some() => vec![one(&self.call(), id("call", tool_use))],
            Shape::Asked => vec![one(&Self::asked(), Some(self.id(tenant, &self.name, &self.digest)))],
            Shape::Result => vec![one(&Self::result(&self.fields, "tool_response"), id("result", tool_use))],
            Shape::Failure => vec![one(&self.failure(), id("result", tool_use))],
            Shape::Batch if let Some(calls) = self.batch() => {
                let entry =
                    |call: &Object| one(&Self::result(call, "tool_response"), id("result", call.text("tool_use_id")));
                calls.iter().map(entry).collect()
            }
            Shape::Batch | Shape::Texts => vec![one(&self.texts(), Some(self.id(tenant, &self.name, &self.digest)))],
        }
    }

    fn id(&self, tenant: Option<&str>, what: &str, which: &str) -> String {
        let parts = [tenant.unwrap_or_default(), &self.session, what, which];
        digest_id("hook_", &parts.map(str::as_bytes))
    }

    fn call(&self) -> Proposal {
        let tool = ProposedTool { args: self.raw("tool_input"), ..tool_of(&self.fields) };
        Proposal::of_tool(Kind::ToolCall, Role::Assistant, tool)
    }

    /// That the harness asks its user.
    fn asked() -> Proposal {
        Proposal { kind: Kind::Other, role: Some(Role::Assistant), trust: Some(Trust::Trusted), text: None, tool: None }
    }

    fn result(of: &Object, field: &str) -> Proposal {
        let result = of.get(field).map(ToOwned::to_owned);
        let tool = ProposedTool { result, duration_ms: of.uint("duration_ms"), ..tool_of(of) };
        Proposal::of_tool(Kind::ToolResult, Role::Tool, tool)
    }

    fn failure(&self) -> Proposal {
        let mut step = Self::result(&self.fields, "error");
        if let Some(tool) = &mut step.tool {
            tool.error = true;
        }
        step
    }

    /// The calls of a batch; `None` where they are not what they should be.
    fn batch(&self) -> Option<Vec<Object>> {
        let calls: Vec<Object> = serde_json::from_str(self.fields.get("tool_calls")?.get()).ok()?;
        let is_named = |call: &Object| call.text("tool_name").is_some_and(|name| name.len() <= TOOL_NAME_BYTES_MAX);
        (calls.len() <= BATCH_CALLS_MAX && calls.iter().all(is_named)).then_some(calls)
    }

    fn texts(&self) -> Proposal {
        let texts: Vec<String> = self.row.texts.iter().filter_map(|field| self.fields.content(field)).collect();
        let text = (!texts.is_empty()).then(|| texts.join("\n"));
        Proposal { kind: self.row.kind, role: self.row.role, trust: self.trust(), text, tool: None }
    }

    /// A prompt that no user typed may be anyone's: another agent's message, a task that the agent itself
    /// has scheduled. It comes in the user's place all the same, and never as the operator's.
    fn trust(&self) -> Option<Trust> {
        let typed = self.fields.text("source").is_none_or(|source| ["user", "sdk"].contains(&source.as_str()));
        if self.name == "UserPromptSubmit" && !typed { Some(Trust::Untrusted) } else { self.row.trust }
    }

    fn raw(&self, field: &str) -> Option<Box<RawValue>> {
        self.fields.get(field).map(ToOwned::to_owned)
    }

    fn labels(&self) -> Labels {
        let is_call = self.row.shape == Shape::Asked && self.fields.text("tool_use_id").is_some();
        let mut labels = Labels::new();
        // The same bytes as the call that is asked about.
        labels.insert("hook_event_name", if is_call { "PreToolUse".to_owned() } else { short(&self.name) });
        if self.row.shape == Shape::Asked && !is_call {
            labels.extend(self.fields.text("tool_name").map(|name| ("tool_name", short(&name))));
        }
        for name in LABELS.iter().chain(self.row.labels) {
            let value = self.fields.text(name).filter(|value| *name != "source" || value != "user");
            let value = value.map(|value| if is_path(name) { short_path(&value) } else { short(&value) });
            labels.extend(value.filter(|value| !value.is_empty()).map(|value| (*name, value)));
        }
        labels
    }
}

/// A field that must be there.
fn name_of(fields: &Object, field: &'static str, bytes_max: usize) -> Result<String, Problem> {
    let bad = |got: String| Problem::new("bad_payload", format!("expected `{field}`, {got}"));
    let name = fields.text(field).ok_or_else(|| bad("got none".to_owned()))?;
    if name.len() > bytes_max {
        return Err(bad(format!("of at most {bytes_max} bytes, got {} (`{}…`)", name.len(), shown(&name))));
    }
    Ok(name)
}

fn tool_of(fields: &Object) -> ProposedTool {
    let name = fields.text("tool_name").unwrap_or_default();
    let configured = fields.get("mcp_server").and_then(|server| serde_json::from_str::<Object>(server.get()).ok());
    let server = configured.and_then(|server| server.text("name")).or_else(|| server_of(&name));
    let bounded = |id: &String| id.len() <= ID_BYTES_MAX;
    let (server, call_id) = (server.filter(bounded), fields.text("tool_use_id").filter(bounded));
    ProposedTool { name, server, call_id, ..ProposedTool::default() }
}

/// The server in `mcp__SERVER__TOOL`.
fn server_of(name: &str) -> Option<String> {
    let (server, tool) = name.strip_prefix("mcp__")?.split_once("__")?;
    (!server.is_empty() && !tool.is_empty()).then(|| server.to_owned())
}

fn is_path(label: &str) -> bool {
    ["cwd", "old_cwd", "new_cwd", "file_path", "directory", "worktree_path"].contains(&label)
}

/// The head of a label, cut before a word: half a secret is known to no rule and would be shown.
fn short(text: &str) -> String {
    if text.len() <= LABEL_BYTES_MAX {
        return text.to_owned();
    }
    let head = text.get(..text.floor_char_boundary(LABEL_BYTES_MAX)).unwrap_or_default();
    head.trim_end_matches(|char: char| char.is_alphanumeric() || "+/=_-".contains(char)).to_owned()
}

/// The end of a path, which says more than its beginning, cut at a folder.
fn short_path(path: &str) -> String {
    if path.len() <= LABEL_BYTES_MAX {
        return path.to_owned();
    }
    let tail = path.get(path.ceil_char_boundary(path.len() - LABEL_BYTES_MAX)..).unwrap_or_default();
    tail.find(['/', '\\']).and_then(|at| tail.get(at..)).unwrap_or_default().to_owned()
}
