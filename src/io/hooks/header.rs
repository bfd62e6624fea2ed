//! Header values as strangers send them: each once, bounded, read in one way only.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Problem;
use super::object::shown;
use crate::limits::{ID_BYTES_MAX, TOOL_NAME_BYTES_MAX};

/// Around a value of MCP's headers that is no plain ASCII.
const ENCODED_START: &str = "=?base64?";
const ENCODED_END: &str = "?=";
/// Longest method name, in bytes.
const METHOD_BYTES_MAX: usize = 128;

/// A header that may stand once. Two of them have two readings, one for us and one for the tool server.
pub(super) fn once<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h [u8]>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        _ => Err(Problem::new("duplicate_header", format!("expected header `{name}` once, got it more than once"))),
    }
}

/// A header that holds a name or id; an empty one is none. A comma is refused: proxies join two headers of
/// one name with it, and the joined name would be that of a session of which nobody knows anything.
pub(super) fn id(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let Some(bytes) = once(headers, name)?.map(<[u8]>::trim_ascii).filter(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    let bad = |expected: &str| Problem::new("bad_header", format!("expected header `{name}` to be {expected}"));
    let text = std::str::from_utf8(bytes).map_err(|_| bad("UTF-8"))?;
    if text.len() > ID_BYTES_MAX {
        return Err(bad(&format!("at most {ID_BYTES_MAX} bytes long")));
    }
    if text.contains(|char: char| char == ',' || char.is_control()) {
        return Err(bad("one name without commas or control characters"));
    }
    Ok(Some(text.to_owned()))
}

/// `Mcp-Method`.
pub(super) fn method(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(bytes) = once(headers, "mcp-method")? else { return Ok(None) };
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-.$".contains(byte);
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty() && text.len() <= METHOD_BYTES_MAX);
    match text {
        Some(text) if bytes.iter().all(is_good) => Ok(Some(text.to_owned())),
        _ => Err(Problem::new("bad_header", "expected header `mcp-method` to be the name of one method")),
    }
}

/// The tool in `Mcp-Name`, which MCP's streamable HTTP writes as it is or, where it is no plain ASCII, as
/// `=?base64?…?=` of its UTF-8.
pub(super) fn tool_name(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(bytes) = once(headers, "mcp-name")? else { return Ok(None) };
    let bad = |expected: &str| {
        let got = shown(&String::from_utf8_lossy(bytes));
        Problem::new("bad_header", format!("expected header `mcp-name` to be {expected}, got `{got}`"))
    };
    let is_plain = |byte: &u8| (0x20..=0x7e).contains(byte);
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| is_plain(&byte)));
    let text = text.map(str::trim_ascii).ok_or_else(|| bad("plain ASCII, or =?base64?…?= of UTF-8"))?;
    let encoded = text.strip_prefix(ENCODED_START).and_then(|rest| rest.strip_suffix(ENCODED_END));
    let name = match encoded {
        Some(encoded) => decode(encoded).ok_or_else(|| bad("base64 with padding, of UTF-8"))?,
        // Looks encoded and is not: who reads it leniently would see another name.
        None if text.starts_with("=?") => return Err(bad("=?base64?…?= in lower case")),
        // Two headers, joined by a proxy. A name with a comma can be sent in base64.
        None if text.contains(',') => return Err(bad("one name; one with a comma in base64")),
        None => text.to_owned(),
    };
    if name.is_empty() || name.len() > TOOL_NAME_BYTES_MAX {
        return Err(bad(&format!("a name of 1 to {TOOL_NAME_BYTES_MAX} bytes")));
    }
    Ok(Some(name))
}

fn decode(encoded: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}
