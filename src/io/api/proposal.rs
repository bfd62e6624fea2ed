//! An action that has not happened yet: as the gate is told of it, as the event that it would be, as it is shown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engine::Program;
use crate::ids::digest_id;
use crate::io::confirm::Shown;

/// Characters of an action's arguments that a person is shown.
const SHOWN_CHARS_MAX: usize = 4_000;

/// What kind of action it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProposalKind {
    /// The agent calls a tool.
    #[default]
    ToolCall,
    /// A tool has answered, and the agent is about to read it.
    ToolResult,
    /// A text is about to be said: to the agent or by it.
    Message,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Speaker {
    User,
    Assistant,
    System,
}

/// A proposed action.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub(super) struct Proposal {
    #[serde(default)]
    pub(super) kind: ProposalKind,
    /// The tool's name.
    pub(super) tool: Option<String>,
    /// The server that has it.
    pub(super) server: Option<String>,
    /// Its arguments, any JSON.
    #[serde(default)]
    pub(super) args: Option<Value>,
    /// What it has answered, any JSON.
    #[serde(default)]
    pub(super) result: Option<Value>,
    /// The harness's id of the call.
    pub(super) call_id: Option<String>,
    /// Who speaks; with a message only.
    pub(super) role: Option<Speaker>,
    /// What is said; with a message only.
    pub(super) text: Option<String>,
}

/// An agent's name, alone or as an object with an `id`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum AgentName {
    /// Its id.
    Name(String),
    /// As events write it.
    Object(BTreeMap<String, Value>),
}

impl AgentName {
    pub(super) fn into_name(self) -> String {
        match self {
            Self::Name(name) => name,
            Self::Object(fields) => fields.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        }
    }
}

impl Proposal {
    /// The event that it would be, as JSON.
    pub(super) fn event(&self, (tenant, session): (&str, &str), agent: Option<&str>) -> Vec<u8> {
        let mut event = json!({"v": 1, "tenant": tenant, "session": session, "kind": self.kind});
        let mut put = |key: &str, value: Value| {
            if let Some(fields) = event.as_object_mut() {
                fields.insert(key.to_owned(), value);
            }
        };
        if let Some(agent) = agent.filter(|agent| !agent.is_empty()) {
            put("agent", json!({"id": agent}));
        }
        if let Some(role) = self.role.or((self.kind == ProposalKind::ToolCall).then_some(Speaker::Assistant)) {
            put("role", json!(role));
        }
        if let Some(text) = &self.text {
            put("text", json!(text));
        }
        if self.kind != ProposalKind::Message || self.tool.is_some() {
            let name = self.tool.as_deref().unwrap_or_default();
            let (args, result) = (&self.args, &self.result);
            put(
                "tool",
                json!({"name": name, "server": self.server, "call_id": self.call_id, "args": args, "result": result}),
            );
        }
        event.to_string().into_bytes()
    }

    /// Digest of all that it does; not of the call's id, which may change when it is asked again.
    pub(super) fn digest(&self) -> String {
        let parts = json!([self.kind, self.tool, self.server, self.args, self.result, self.role, self.text]);
        digest_id("a_", &[parts.to_string().as_bytes()])
    }

    /// As a person sees it.
    pub(super) fn shown(&self, program: &Program) -> Shown {
        let mask = |text: &Option<String>| text.as_deref().map(|text| program.mask(text));
        let args = match (&self.text, &self.args) {
            (Some(text), None) => text.clone(),
            (_, Some(args)) => args.to_string(),
            (None, None) => self.result.as_ref().map(Value::to_string).unwrap_or_default(),
        };
        let mut args = program.mask(&args);
        if let Some((end, _)) = args.char_indices().nth(SHOWN_CHARS_MAX) {
            args.truncate(end);
            args.push('…');
        }
        let kind = json!(self.kind).as_str().unwrap_or_default().to_owned();
        Shown { kind, tool: mask(&self.tool), server: mask(&self.server), args }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, parse};

    fn proposal(text: &str) -> Proposal {
        serde_json::from_str(text).expect("a proposal")
    }

    #[test]
    fn a_proposal_is_the_event_that_it_would_be() {
        let call = proposal(r#"{"tool":"pay","server":"bank","args":{"to":"x","n":[1,2.5]},"call_id":"c"}"#);
        let bytes = call.event(("acme", "s"), Some("bot"));
        let event = parse(&bytes).expect("an event");
        assert_eq!(event.problems, Vec::<String>::new());
        let event = event.event;
        let tool = event.tool.as_ref().expect("a tool");
        assert_eq!((event.kind, &*event.tenant, &*event.session), (Kind::ToolCall, "acme", "s"));
        assert_eq!(
            (&*tool.name, tool.server.as_deref(), event.agent.id.as_deref()),
            ("pay", Some("bank"), Some("bot"))
        );
        assert_eq!(tool.args.as_ref().map(|args| args.get()), Some(r#"{"n":[1,2.5],"to":"x"}"#));
        let said = proposal(r#"{"kind":"message","role":"user","text":"hello"}"#).event(("a", "s"), None);
        let said = parse(&said).expect("an event");
        assert_eq!((said.event.kind, said.event.text.as_deref()), (Kind::Message, Some("hello")));
    }

    #[test]
    fn a_digest_is_of_the_action_whatever_the_order_of_its_keys() {
        let digest = |text: &str| proposal(text).digest();
        let one = digest(r#"{"tool":"pay","args":{"to":"x","n":1},"call_id":"c"}"#);
        assert_eq!(one, digest(r#"{"call_id":"d","args":{"n":1,"to":"x"},"tool":"pay","kind":"tool_call"}"#));
        for other in [
            r#"{"tool":"pay","args":{"to":"y","n":1}}"#,
            r#"{"tool":"pay","args":{"to":"x","n":2}}"#,
            r#"{"tool":"Pay","args":{"to":"x","n":1}}"#,
            r#"{"tool":"pay","server":"b","args":{"to":"x","n":1}}"#,
            r#"{"tool":"pay","args":"{\"to\":\"x\",\"n\":1}"}"#,
        ] {
            assert_ne!(one, digest(other), "{other}");
        }
    }
}
