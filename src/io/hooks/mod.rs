//! Hooks: an agent's harness asks before each step, in its own words.
//!
//! - [`Payload`] reads what Claude Code, the Agent SDK and Codex send, and says what it is as events and
//!   what of it is to be judged; [`answer`] says the ruling in the harness's words.
//! - [`AuthzAsk`] reads the question of an Envoy proxy in front of tool servers.
//!
//! Everything here is pure: bytes and headers in, values out. Who rules is the gate. Deliberately absent:
//! any answer that allows something. Allowed means to have no opinion, or the hook would take away the
//! question that the harness itself asks its user.

mod answer;
#[cfg(test)]
mod answer_tests;
mod authz;
#[cfg(test)]
mod authz_tests;
mod claude;
#[cfg(test)]
mod claude_tests;
mod header;
mod native;
mod object;
mod rows;
mod rpc;

pub use answer::{Decision, Ruling, answer};
pub use authz::{AuthzAsk, refusal, refusal_for};
pub use claude::Payload;
pub use native::{Proposal, ProposedTool, Who};

/// Why a question cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// For programs: `bad_json`, `bad_payload`, `missing_header`…
    pub code: &'static str,
    /// For people: what was expected and what came.
    pub message: String,
}

impl Problem {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
