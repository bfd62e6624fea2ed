//! A step as the gate judges it and as the log keeps it: the native event, written as JSON text.
//!
//! Text and not a tree, since arguments must stay as they came. What the log would not take, because it is
//! too long or too deep, is cut or kept as one string: the event must reach the scanner, and a stranger
//! decides how long a tool's result is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::event::{Kind, Role, Trust};
use crate::limits::{EVENT_BYTES_MAX, JSON_DEPTH_MAX};

/// Most bytes of one text, of the arguments and of the result, where the whole would be too long. Two of
/// them and the names around them fit.
const PIECE_BYTES_MAX: usize = EVENT_BYTES_MAX / 5 * 2;
/// Room for the names and labels of an event.
const OUTER_BYTES_MAX: usize = 16 << 10;
/// Levels of nesting around a tool's arguments.
const OUTER_LEVELS: usize = 2;

/// Labels of an event.
pub(super) type Labels = BTreeMap<&'static str, String>;

/// Whose step it is.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The tenant; `None` is the default one.
    pub tenant: Option<&'a str>,
    /// The session.
    pub session: &'a str,
    /// The agent, where it is known.
    pub agent: Option<&'a str>,
}

/// One step: what is to be judged, or what has happened.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What kind of step it is.
    pub kind: Kind,
    /// Whose text it is.
    pub role: Option<Role>,
    /// Whether its text may be trusted; `None` lets kind and role decide.
    pub trust: Option<Trust>,
    /// The text.
    pub text: Option<String>,
    /// The tool that is called or that answered.
    pub tool: Option<ProposedTool>,
}

/// A tool call or its answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProposedTool {
    /// Name of the tool, whole: `mcp__billing__refund`.
    pub name: String,
    /// The server that offers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Joins a call and its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Arguments, as they came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Box<RawValue>>,
    /// Result, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// Whether the call failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub error: bool,
    /// How long the call took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

impl Proposal {
    pub(super) fn of_tool(kind: Kind, role: Role, tool: ProposedTool) -> Self {
        Self { kind, role: Some(role), trust: None, text: None, tool: Some(tool) }
    }

    /// The step as a native event, whole. What is longer than an event may be, or nested deeper, does not
    /// parse; whoever judges it must refuse it then.
    #[must_use]
    pub fn event(&self, who: &Who<'_>) -> String {
        write(self, who, None, &Labels::new())
    }

    /// The step as the log keeps it.
    pub(super) fn entry(&self, who: &Who<'_>, id: Option<&str>, labels: &Labels) -> String {
        let (step, cut_from) = self.fitted();
        let mut labels = labels.clone();
        labels.extend(cut_from.map(|bytes| ("cut_from_bytes", bytes.to_string())));
        write(&step, who, id, &labels)
    }

    /// The step as it fits into one event, and how long it was where something was cut off.
    pub(super) fn fitted(&self) -> (Cow<'_, Self>, Option<usize>) {
        let step = self.with_shallow_values();
        let length = step.event(&Who { tenant: None, session: "", agent: None }).len();
        if length + OUTER_BYTES_MAX <= EVENT_BYTES_MAX {
            return (step, None);
        }
        (Cow::Owned(step.shortened()), Some(length))
    }

    /// Arguments and results that nest too deep become one string, which is scanned as text.
    fn with_shallow_values(&self) -> Cow<'_, Self> {
        let is_deep = |raw: &Option<Box<RawValue>>| {
            raw.as_ref().is_some_and(|raw| depth(raw.get()) + OUTER_LEVELS > JSON_DEPTH_MAX)
        };
        let deep = self.tool.as_ref().is_some_and(|tool| is_deep(&tool.args) || is_deep(&tool.result));
        if !deep {
            return Cow::Borrowed(self);
        }
        let mut step = self.clone();
        if let Some(tool) = &mut step.tool {
            for raw in [&mut tool.args, &mut tool.result] {
                if is_deep(raw) {
                    *raw = raw.as_ref().and_then(|raw| to_raw_value(raw.get()).ok());
                }
            }
        }
        Cow::Owned(step)
    }

    fn shortened(&self) -> Self {
        let mut step = self.clone();
        step.text = step.text.map(|text| head(&text).to_owned());
        if let Some(tool) = &mut step.tool {
            for raw in [&mut tool.args, &mut tool.result] {
                if raw.as_ref().is_some_and(|raw| raw.get().len() > PIECE_BYTES_MAX) {
                    *raw = raw.as_ref().and_then(|raw| to_raw_value(head(raw.get())).ok());
                }
            }
        }
        step
    }
}

/// As much of a text as has room in one piece once it stands in JSON.
fn head(text: &str) -> &str {
    let mut room = PIECE_BYTES_MAX;
    for (at, char) in text.char_indices() {
        let escaped = match char {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => char.len_utf8(),
        };
        let Some(left) = room.checked_sub(escaped) else { return text.get(..at).unwrap_or(text) };
        room = left;
    }
    text
}

/// Deepest nesting of brackets outside strings.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[derive(Serialize)]
struct Native<'a> {
    v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Agent<'a>>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a ProposedTool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a Labels,
}

#[derive(Serialize)]
struct Agent<'a> {
    id: &'a str,
}

fn write(step: &Proposal, who: &Who<'_>, id: Option<&str>, labels: &Labels) -> String {
    let native = Native {
        v: 1,
        id,
        tenant: who.tenant,
        session: who.session,
        agent: who.agent.map(|id| Agent { id }),
        kind: step.kind.as_str(),
        role: step.role.map(Role::as_str),
        trust: step.trust.map(Trust::as_str),
        text: step.text.as_deref(),
        tool: step.tool.as_ref(),
        labels,
    };
    serde_json::to_string(&native).expect("strings, numbers and JSON text are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Reason, parse};

    fn result(json: String) -> Proposal {
        let result = RawValue::from_string(json).expect("JSON");
        let tool = ProposedTool { name: "Read".to_owned(), result: Some(result), ..ProposedTool::default() };
        Proposal::of_tool(Kind::ToolResult, Role::Tool, tool)
    }

    const WHO: Who<'_> = Who { tenant: None, session: "s", agent: None };

    #[test]
    fn whatever_a_tool_returns_becomes_an_event() {
        let nested = |levels: usize| format!("{}\"deep\"{}", "[".repeat(levels), "]".repeat(levels));
        let long = |piece: &str, bytes: usize| format!("[\"{}\"]", piece.repeat(bytes / piece.len()));
        let rows = [
            (nested(10), None, "[[[["),
            // What is within bounds by itself is unwrapped again when the event is read.
            (nested(JSON_DEPTH_MAX), None, "[[[["),
            (nested(JSON_DEPTH_MAX + 1), None, "\"[[["),
            (nested(500), None, "\"[[["),
            (long("a", EVENT_BYTES_MAX), Some("1048"), "\"[\\\"aaa"),
            (long("\\\"", 3 << 20), Some("3145"), "\"[\\\"\\\\\\\"\\\\"),
            (long("\u{1f600}", 2 << 20), Some("2097"), "\"[\\\"\u{1f600}"),
        ];
        for (json, cut, starts) in rows {
            let shown: String = json.chars().take(30).collect();
            let step = result(json);
            let text = step.entry(&WHO, Some("i"), &Labels::new());
            let event = parse(text.as_bytes()).expect("an event").event;
            let kept = event.tool.as_ref().and_then(|tool| tool.result.as_deref()).expect("a result").get();
            assert!(kept.starts_with(starts), "{shown}: {}", kept.chars().take(40).collect::<String>());
            let label = event.labels.iter().find(|(name, _)| name == "cut_from_bytes").map(|(_, value)| value.as_ref());
            assert_eq!(label.map(|bytes| &bytes[..4]), cut, "{shown}");
        }
    }

    #[test]
    fn what_is_judged_is_never_cut() {
        let whole = result(format!("\"{}\"", "a".repeat(EVENT_BYTES_MAX))).event(&WHO);
        assert_eq!(parse(whole.as_bytes()).expect_err("too large").reason, Reason::TooLarge);
        let deep = result(format!("{}{}", "[".repeat(90), "]".repeat(90))).event(&WHO);
        assert_eq!(parse(deep.as_bytes()).expect_err("too deep").reason, Reason::TooDeep);
    }

    #[test]
    fn a_long_text_is_cut_where_it_still_fits() {
        for piece in ["a", "\u{1}", "\"", "\u{fc}"] {
            let text = Some(piece.repeat(EVENT_BYTES_MAX));
            let step = Proposal { kind: Kind::Message, role: Some(Role::User), trust: None, text, tool: None };
            let entry = step.entry(&WHO, None, &Labels::new());
            let event = parse(entry.as_bytes()).expect("an event").event;
            assert!(event.text.is_some_and(|text| text.len() > PIECE_BYTES_MAX / 8), "{piece:?}");
        }
    }
}
