//! The question of an Envoy proxy (`ext_authz` over HTTP) in front of tool servers: may this request go on?
//!
//! Who asks stands in headers that the gateway sets, and which it must set anew on every request: an agent
//! that could write them would ask in another's name. What is asked stands in MCP's own headers, so that
//! most calls can be decided without their body; where the proxy sends the body, its arguments are judged,
//! and it must say the same as the headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::answer::one_line;
use super::native::{Proposal, ProposedTool, Who};
use super::object::shown;
use super::rpc::Message;
use super::{Decision, Problem, Ruling, header};
use crate::event::{Kind, Role};
use crate::limits::{EVENT_BYTES_MAX, ID_BYTES_MAX, TOOL_NAME_BYTES_MAX};

const SESSION: &str = "x-agent-session";
const TENANT: &str = "x-agent-tenant";
const AGENT: &str = "x-agent-id";
/// Envoy sets it when it had no room for the whole body.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";
const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const TOOLS_CALL: &str = "tools/call";
/// The first version of MCP whose servers check the headers against the body.
const VERSION_WITH_HEADERS: &str = "2026-07-28";

/// What a proxy wants to know.
#[derive(Clone, Debug)]
pub struct AuthzAsk {
    /// The session that acts.
    pub session: String,
    /// Its tenant, where it is named.
    pub tenant: Option<String>,
    /// The agent, where it is named.
    pub agent: Option<String>,
    /// The tool call; `None` where the request is none, so that only a halt matters.
    pub proposal: Option<Proposal>,
}

impl AuthzAsk {
    /// Reads a question. Header names have no case.
    ///
    /// # Errors
    /// When it cannot be judged and must be refused: no session, a header twice or unreadable, a body that
    /// is cut off, too large, a batch, or that says something else than the headers.
    pub fn read(headers: &HeaderMap, body: Option<&[u8]>) -> Result<Self, Problem> {
        let session = header::id(headers, SESSION)?.ok_or_else(|| {
            Problem::new("missing_header", format!("expected header `{SESSION}`, which names the session, got none"))
        })?;
        let (tenant, agent) = (header::id(headers, TENANT)?, header::id(headers, AGENT)?);
        if header::once(headers, PARTIAL_BODY)?.is_some_and(|value| value != b"false") {
            let message = "expected the whole body, got a part of it; raise max_request_bytes in the proxy";
            return Err(Problem::new("partial_body", message));
        }
        let proposal = match body.filter(|body| !body.is_empty()) {
            Some(body) => of_body(headers, body)?,
            None => of_headers(headers)?,
        };
        Ok(Self { session, tenant, agent, proposal })
    }

    /// What is to be judged, as a native event without an id.
    #[must_use]
    pub fn proposed_event(&self) -> Option<String> {
        let (tenant, agent) = (self.tenant.as_deref(), self.agent.as_deref());
        self.proposal.as_ref().map(|proposal| proposal.event(&Who { tenant, session: &self.session, agent }))
    }
}

/// What MCP's headers say of the request.
struct Mirrored {
    method: Option<String>,
    tool: Option<String>,
    version: Option<String>,
}

impl Mirrored {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let method = header::method(headers)?;
        let is_call = method.as_deref() == Some(TOOLS_CALL);
        let named = header::once(headers, "mcp-name")?.is_some();
        if named && method.is_none() {
            return Err(missing("mcp-method", "where `mcp-name` is"));
        }
        if is_call && !named {
            return Err(missing("mcp-name", "with `mcp-method: tools/call`"));
        }
        let version = header::id(headers, PROTOCOL_VERSION)?;
        if method.is_none()
            && version.as_deref().is_some_and(|version| is_date(version) && version >= VERSION_WITH_HEADERS)
        {
            return Err(missing("mcp-method", &format!("in version {VERSION_WITH_HEADERS} of MCP")));
        }
        // Of other methods the name is a prompt's or an address, and nothing that is judged here.
        let tool = if is_call { header::tool_name(headers)? } else { None };
        Ok(Self { method, tool, version })
    }
}

fn missing(name: &str, when: &str) -> Problem {
    Problem::new("missing_header", format!("expected header `{name}` {when}, got none"))
}

fn is_date(version: &str) -> bool {
    version.len() == VERSION_WITH_HEADERS.len() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

fn of_headers(headers: &HeaderMap) -> Result<Option<Proposal>, Problem> {
    let said = Mirrored::read(headers)?;
    // A server of an older version takes no notice of the headers: they would be the caller's word alone.
    if said.method.is_some() && said.version.as_deref().is_some_and(|v| is_date(v) && v < VERSION_WITH_HEADERS) {
        let message = format!(
            "expected the body, since servers before version {VERSION_WITH_HEADERS} of MCP do not check the headers, got none"
        );
        return Err(Problem::new("missing_body", message));
    }
    Ok(said.tool.map(|name| call(ProposedTool { name, ..ProposedTool::default() })))
}

fn of_body(headers: &HeaderMap, body: &[u8]) -> Result<Option<Proposal>, Problem> {
    if body.len() > EVENT_BYTES_MAX {
        let message = format!("expected a body of at most {EVENT_BYTES_MAX} bytes, got {}", body.len());
        return Err(Problem::new("too_large", message));
    }
    let said = Mirrored::read(headers)?;
    let Some(message) = Message::read(body)? else {
        // Other protocols may pass through the same proxy.
        return match said.method {
            Some(_) => Err(Problem::new("bad_json", "expected one JSON-RPC message, as `mcp-method` says")),
            None => Ok(None),
        };
    };
    if said.method.is_some() && said.method != message.method {
        return Err(mismatch("mcp-method", said.method.as_deref(), message.method.as_deref()));
    }
    if message.method.as_deref() != Some(TOOLS_CALL) {
        return Ok(None);
    }
    if said.tool.is_some() && said.tool != message.name {
        return Err(mismatch("mcp-name", said.tool.as_deref(), message.name.as_deref()));
    }
    let Some(name) = message.name else {
        return Err(Problem::new("bad_message", "expected `params.name`, the tool to be called, got none"));
    };
    if name.len() > TOOL_NAME_BYTES_MAX {
        return Err(Problem::new("bad_message", "expected `params.name` to be the name of a tool, got a longer text"));
    }
    let (call_id, args) = (message.id.filter(|id| id.len() <= ID_BYTES_MAX), message.arguments);
    Ok(Some(call(ProposedTool { name, call_id, args, ..ProposedTool::default() })))
}

fn mismatch(header: &str, said: Option<&str>, body: Option<&str>) -> Problem {
    let quoted = |text: Option<&str>| text.map_or_else(|| "nothing".to_owned(), |text| format!("`{}`", shown(text)));
    let message =
        format!("expected header `{header}` and the body to say the same, got {} and {}", quoted(said), quoted(body));
    Problem::new("header_mismatch", message)
}

fn call(tool: ProposedTool) -> Proposal {
    Proposal::of_tool(Kind::ToolCall, Role::Assistant, tool)
}

/// The headers of a refusal; `None` where the request may go on.
#[must_use]
pub fn refusal(ruling: &Ruling) -> Option<HeaderMap> {
    let (decision, reason) = match ruling.decision {
        _ if ruling.halted => ("deny", "the session is halted"),
        Decision::Deny => ("deny", "refused"),
        Decision::Confirm => ("confirm", "a person must confirm it"),
        Decision::Allow => return None,
    };
    let reason = ruling.reason.as_deref().map_or_else(|| reason.to_owned(), |why| format!("{reason}: {why}"));
    Some(headers(decision, &reason, ruling.rule.as_deref()))
}

/// The headers of a refusal of what could not be judged.
#[must_use]
pub fn refusal_for(problem: &Problem) -> HeaderMap {
    headers("deny", &problem.message, None)
}

fn headers(decision: &'static str, reason: &str, rule: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-haltline-decision"), HeaderValue::from_static(decision));
    headers.insert(HeaderName::from_static("x-haltline-reason"), value(reason));
    if let Some(rule) = rule {
        headers.insert(HeaderName::from_static("x-haltline-rule"), value(rule));
    }
    headers
}

/// A text as a header can hold it: ASCII, on one line.
fn value(text: &str) -> HeaderValue {
    let ascii = one_line(text).replace('…', "...");
    let ascii: String = ascii.chars().map(|char| if char.is_ascii() { char } else { '?' }).collect();
    HeaderValue::from_str(&ascii).unwrap_or(HeaderValue::from_static("?"))
}
