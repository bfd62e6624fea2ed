//! One JSON-RPC message as MCP sends it, read so that there is only one way to read it.
//!
//! Some servers match field names without regard to case, and take the last of two. A message that such a
//! server would read in another way than this is refused.

use serde_json::value::RawValue;

use super::Problem;
use super::object::{Object, shown};

/// Some clients begin a body with it, and most servers pass over it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is known of a message.
#[derive(Debug)]
pub(super) struct Message {
    /// Its method; a response has none.
    pub(super) method: Option<String>,
    /// Its id, as text.
    pub(super) id: Option<String>,
    /// `params.name`: the tool of a call.
    pub(super) name: Option<String>,
    /// `params.arguments`.
    pub(super) arguments: Option<Box<RawValue>>,
}

impl Message {
    /// Reads the body of a request; `None` where it is plainly something else.
    pub(super) fn read(body: &[u8]) -> Result<Option<Self>, Problem> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
        let bad = |error: String| Problem::new("bad_json", format!("expected one JSON-RPC message: {error}"));
        match body.first() {
            Some(b'{') => {}
            Some(b'[') if is_batch(body).map_err(bad)? => {
                return Err(Problem::new("batch", "expected one JSON-RPC message, got several; MCP has no batches"));
            }
            _ => return Ok(None),
        }
        let message = Object::read(body).map_err(bad)?;
        unambiguous(&message, &["jsonrpc", "method", "params", "id"])?;
        let params = match message.get("params") {
            Some(params) if params.get().starts_with('{') => Object::read(params.get().as_bytes()).map_err(bad)?,
            _ => return Ok(Some(Self { method: message.text("method"), id: None, name: None, arguments: None })),
        };
        unambiguous(&params, &["name", "arguments"])?;
        Ok(Some(Self {
            method: message.text("method"),
            id: message.text("id"),
            name: params.text("name"),
            arguments: params.get("arguments").map(ToOwned::to_owned),
        }))
    }
}

/// Whether some element of an array is a message. Other arrays are another protocol's.
fn is_batch(body: &[u8]) -> Result<bool, String> {
    let elements: Vec<Box<RawValue>> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut is_batch = false;
    for element in elements.iter().filter(|element| element.get().starts_with('{')) {
        let element = Object::read(element.get().as_bytes())?;
        is_batch |= element.names().any(|name| ["jsonrpc", "method"].contains(&folded(name).as_str()));
    }
    Ok(is_batch)
}

fn unambiguous(object: &Object, known: &[&str]) -> Result<(), Problem> {
    let other = object.names().find(|name| !known.contains(name) && known.contains(&folded(name).as_str()));
    let refuse = |name: &str| {
        let message = format!("expected field names as MCP writes them, got `{}`", shown(name));
        Err(Problem::new("bad_message", message))
    };
    other.map_or(Ok(()), refuse)
}

/// A name as the most lenient servers match it: two letters beyond ASCII fold into it.
fn folded(name: &str) -> String {
    let fold = |char: char| match char {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}
