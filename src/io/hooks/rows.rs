//! The table of hooks: what each is as an event.
//!
//! Names and fields are those of Claude Code's and the Agent SDK's hooks; Codex uses a part of them. A hook
//! that is not in the table is an event of kind `other` without a text.

use crate::event::{Kind, Role, Trust};

/// How a hook's fields are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A tool is about to be called.
    Call,
    /// The harness is about to ask its user about a call.
    Asked,
    /// A tool answered.
    Result,
    /// A tool failed.
    Failure,
    /// Several tools answered.
    Batch,
    /// No tool: some texts.
    Texts,
}

/// One hook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) kind: Kind,
    pub(super) role: Option<Role>,
    pub(super) trust: Option<Trust>,
    /// Fields that hold what a model or a user reads.
    pub(super) texts: &'static [&'static str],
    /// Fields that become labels, beside those of every hook.
    pub(super) labels: &'static [&'static str],
}

/// A hook that only says that something happened.
pub(super) const OTHER: Row =
    Row { name: "", shape: Shape::Texts, kind: Kind::Other, role: None, trust: None, texts: &[], labels: &[] };
const SAID: Row = Row { role: Some(Role::Assistant), ..OTHER };
/// The harness's own words.
const OWN: Row = Row { trust: Some(Trust::Trusted), ..OTHER };
const ANSWER: Row =
    Row { kind: Kind::Message, role: Some(Role::Assistant), texts: &["last_assistant_message"], ..OTHER };

/// Every hook of which more is known than its name.
const ROWS: [Row; 32] = [
    Row { name: "PreToolUse", shape: Shape::Call, ..OTHER },
    Row { name: "PermissionRequest", shape: Shape::Asked, ..OTHER },
    Row { name: "PostToolUse", shape: Shape::Result, ..OTHER },
    Row { name: "PostToolUseFailure", shape: Shape::Failure, ..OTHER },
    Row { name: "PostToolBatch", shape: Shape::Batch, texts: &["tool_calls"], ..OTHER },
    Row { name: "PermissionDenied", texts: &["reason"], labels: &["tool_name"], ..OWN },
    Row {
        name: "UserPromptSubmit",
        kind: Kind::Message,
        role: Some(Role::User),
        texts: &["prompt"],
        labels: &["source"],
        ..OTHER
    },
    // The prompt itself comes with UserPromptSubmit; this is what a command or a server made of it.
    Row {
        name: "UserPromptExpansion",
        role: Some(Role::User),
        texts: &["prompt"],
        labels: &["expansion_type", "command_name"],
        ..OTHER
    },
    Row { name: "Stop", ..ANSWER },
    Row { name: "SubagentStop", ..ANSWER },
    Row { name: "StopFailure", kind: Kind::Error, texts: &["error", "error_details"], ..OTHER },
    Row { name: "SessionStart", kind: Kind::SessionStart, labels: &["source"], ..OTHER },
    Row { name: "SessionEnd", kind: Kind::SessionEnd, labels: &["reason"], ..OTHER },
    // Pieces of what Stop brings whole.
    Row { name: "MessageDisplay", texts: &["delta"], labels: &["message_id"], ..SAID },
    Row { name: "PreCompact", role: Some(Role::User), texts: &["custom_instructions"], labels: &["trigger"], ..OTHER },
    Row { name: "PostCompact", texts: &["compact_summary"], labels: &["trigger"], ..SAID },
    Row { name: "TaskCreated", texts: &["task_subject", "task_description"], labels: &["task_id"], ..SAID },
    Row { name: "TaskCompleted", texts: &["task_subject", "task_description"], labels: &["task_id"], ..SAID },
    Row { name: "Elicitation", texts: &["message", "url"], labels: &["mcp_server_name", "mode"], ..OTHER },
    Row {
        name: "ElicitationResult",
        role: Some(Role::User),
        texts: &["content"],
        labels: &["mcp_server_name", "action"],
        ..OTHER
    },
    Row { name: "Notification", texts: &["title", "message"], labels: &["notification_type"], ..OWN },
    Row { name: "InstructionsLoaded", labels: &["file_path", "memory_type", "load_reason"], ..OTHER },
    Row { name: "FileChanged", labels: &["file_path", "event"], ..OTHER },
    Row { name: "ConfigChange", labels: &["source", "file_path"], ..OTHER },
    Row { name: "CwdChanged", labels: &["old_cwd", "new_cwd"], ..OTHER },
    Row { name: "DirectoryAdded", labels: &["directory", "source"], ..OTHER },
    Row { name: "WorktreeCreate", labels: &["name"], ..OTHER },
    Row { name: "WorktreeRemove", labels: &["worktree_path"], ..OTHER },
    Row { name: "PreModelSwitch", labels: &["from_model", "to_model", "source"], ..OTHER },
    Row { name: "PostModelSwitch", labels: &["from_model", "to_model", "source"], ..OTHER },
    Row { name: "TeammateIdle", labels: &["teammate_name"], ..OTHER },
    Row { name: "Setup", labels: &["trigger"], ..OTHER },
];

/// The row of a hook.
pub(super) fn row(name: &str) -> Row {
    ROWS.into_iter().find(|row| row.name == name).unwrap_or(OTHER)
}
