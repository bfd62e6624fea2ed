//! An entry of the audit log, its hash, and its line.
//!
//! The hash is `sha256:` and the hex of a SHA-256 over the canonical JSON (RFC 8785) of the entry without
//! `hash`. Anybody can check it with other tools, since an entry holds strings and whole numbers only: with any
//! library for that RFC, and `jq -cjS 'del(.hash)' | sha256sum` for entries without the control character DEL,
//! which `jq` escapes.

use std::fmt::Write as _;
use std::io::BufRead;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::canonical;
use crate::io::lines::next_line;
use crate::time::Millis;

/// Schema version of entries.
pub(super) const VERSION: u8 = 1;
/// What hashes begin with.
pub(super) const HASH_PREFIX: &str = "sha256:";

/// Who ordered what, when. Schema version 1; a line of the audit log. All fields are always there. Read
/// strictly: a field more than these would be one that the hash does not cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Haltline audit entry")]
pub struct Entry {
    /// Schema version, 1.
    #[schemars(range(min = 1, max = 1))]
    pub v: u8,
    /// The chain: one start of one process.
    pub chain: String,
    /// Place in the chain, from 0 without gaps.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub seq: u64,
    /// When it was taken, by the clock of that process: RFC 3339, milliseconds, `Z`.
    #[serde(deserialize_with = "time_as_written")]
    pub ts: Millis,
    /// Who says to have ordered it; `haltline` for what the process did by itself.
    pub actor: String,
    /// Name of the API token that was used.
    pub token: Option<String>,
    /// Address that it came from.
    pub from: Option<String>,
    /// What was ordered: `halt`, `resume`, `rules.reload`, `confirm`, `token.mint`, …; `start` opens a chain.
    pub action: String,
    /// Tenant that it is about.
    pub tenant: Option<String>,
    /// Session that it is about.
    pub session: Option<String>,
    /// Why, as the actor gave it.
    pub reason: Option<String>,
    /// More of it, by action; null when there is nothing. Holds whole numbers only, fractions as strings.
    #[serde(default, deserialize_with = "canonical::read")]
    pub detail: Value,
    /// Hash of the entry before; of a `start` entry the last one of any chain that could be read then, or
    /// empty.
    pub prev: String,
    /// `sha256:` and 64 hex digits over all other fields.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub hash: String,
}

/// Takes a time only in the spelling it was written in: more digits would be cut off and go unseen.
fn time_as_written<'de, D: Deserializer<'de>>(input: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(input)?;
    let expected = || D::Error::custom(format!("expected a time such as `2026-11-24T10:00:00.000Z`, got `{text}`"));
    Millis::parse(&text).filter(|at| at.to_string() == text).ok_or_else(expected)
}

impl Entry {
    /// What the hash is taken over; `None` where the entry holds a number that no entry of ours has.
    #[must_use]
    pub fn canonical(&self) -> Option<String> {
        // Every field by name, so that one that is added is not forgotten here.
        let Self { v, chain, seq, ts, actor, token, from, action, tenant, session, reason, detail, prev, hash: _ } =
            self;
        canonical::text(&json!({
            "v": v, "chain": chain, "seq": seq, "ts": ts, "actor": actor, "token": token, "from": from,
            "action": action, "tenant": tenant, "session": session, "reason": reason, "detail": detail, "prev": prev,
        }))
    }

    /// The hash that its content has, whatever the field says.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        let mut hash = HASH_PREFIX.to_owned();
        for byte in Sha256::digest(self.canonical()?) {
            let _ = write!(hash, "{byte:02x}");
        }
        Some(hash)
    }

    /// The entry as one line of JSON, without the line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Its types leave nothing that could fail; an empty line would show as a missing entry.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// Says what was expected and at which column.
    pub fn from_line(line: &[u8]) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(line).map_err(|error| {
            let text = error.to_string();
            let (problem, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
            format!("column {}: {problem}", error.column())
        })?;
        if entry.v != VERSION {
            return Err(format!("expected an audit entry of version {VERSION}, got version {}", entry.v));
        }
        Ok(entry)
    }
}

/// A line that is not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ReadError {
    /// Number of the line, from 1.
    pub line: u64,
    /// What was expected, and what there is.
    pub problem: String,
}

/// Reads the log as lines of JSON to its end. Empty lines are passed over, but counted; when the input itself
/// fails, that is the last item.
pub fn read(mut input: impl BufRead) -> impl Iterator<Item = Result<Entry, ReadError>> {
    let mut line = 0;
    let mut has_failed = false;
    std::iter::from_fn(move || {
        while !has_failed {
            line += 1;
            match next_line(&mut input) {
                Ok(None) => return None,
                Ok(Some(text)) if text.trim_ascii().is_empty() => {}
                Ok(Some(text)) => return Some(Entry::from_line(&text).map_err(|problem| ReadError { line, problem })),
                Err(error) => {
                    has_failed = true;
                    return Some(Err(ReadError { line, problem: format!("cannot read: {error}") }));
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let mut entry = Entry {
            v: 1,
            chain: "a_1".to_owned(),
            seq: 7,
            ts: Millis(1_764_000_000_120),
            actor: "ana".to_owned(),
            token: Some("ops".to_owned()),
            from: Some("127.0.0.1:50000".to_owned()),
            action: "halt".to_owned(),
            tenant: Some("default".to_owned()),
            session: Some("s-1\u{1f600}".to_owned()),
            reason: None,
            detail: json!({"was": "running", "epoch": 3}),
            prev: String::new(),
            hash: String::new(),
        };
        entry.hash = entry.digest().expect("exact");
        entry
    }

    /// The form is public: what is in files must go on being verified.
    #[test]
    fn the_form_and_the_hash_stay_as_they_are() {
        let entry = entry();
        let canonical = "{\"action\":\"halt\",\"actor\":\"ana\",\"chain\":\"a_1\",\"detail\":{\"epoch\":3,\"was\":\"running\"},\
            \"from\":\"127.0.0.1:50000\",\"prev\":\"\",\"reason\":null,\"seq\":7,\"session\":\"s-1\u{1f600}\",\
            \"tenant\":\"default\",\"token\":\"ops\",\"ts\":\"2025-11-24T16:00:00.120Z\",\"v\":1}";
        assert_eq!(entry.canonical().as_deref(), Some(canonical));
        assert_eq!(entry.hash, "sha256:b80232e0e3075d067bdaf14cbaa8d094d02ba0260da77a081973eb3d7cd520c1");
        assert_eq!(Entry::from_line(entry.to_line().as_bytes()), Ok(entry));
    }

    #[test]
    fn another_spelling_of_the_same_entry_has_the_same_hash() {
        let line = entry().to_line();
        let value: Value = serde_json::from_str(&line).expect("JSON");
        let spellings = [
            format!("{value:#}").replace('\n', " "),
            line.replace("\"reason\":null,", ""),
            line.replace("ana", "\\u0061na"),
        ];
        for spelling in spellings {
            assert_ne!(spelling, line);
            assert_eq!(Entry::from_line(spelling.as_bytes()), Ok(entry()), "{spelling}");
        }
    }

    #[test]
    fn what_the_hash_would_not_cover_is_refused() {
        let line = entry().to_line();
        let rows = [
            (line.replace("{\"v\":1", "{\"v\":2"), "expected an audit entry of version 1, got version 2"),
            (line.replace("{\"v\":1", "{\"v\":1,\"note\":1"), "unknown field `note`"),
            (line.replace("{\"v\":1", "{\"v\":1,\"v\":1"), "duplicate field `v`"),
            (line.replace("120Z", "1204Z"), "expected a time such as"),
            (line.replace("120Z", "120+00:00"), "expected a time such as"),
            (line.replace("\"epoch\":3", "\"epoch\":3,\"epoch\":3"), "got `epoch` twice"),
            (line.replace("\"epoch\":3", "\"epoch\":3.0"), "expected a whole number"),
            (line.replace("\"seq\":7", "\"seq\":7.0"), "invalid type"),
            (line.replace("\"actor\":\"ana\",", ""), "missing field `actor`"),
            (line[..line.len() - 1].to_owned(), "EOF while parsing"),
            (format!("{line}{line}"), "trailing characters"),
        ];
        for (text, expected) in rows {
            let error = Entry::from_line(text.as_bytes()).expect_err(&text);
            assert!(error.contains(expected) && !error.contains(" at line "), "{error}");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_numbered() {
        let line = entry().to_line();
        let text = format!("{line}\n\n  \nno\n{line}\r\n{{");
        let read: Vec<_> = read(text.as_bytes()).map(|item| item.map_err(|error| error.to_string())).collect();
        assert_eq!(read[0], Ok(entry()));
        assert_eq!(read[1], Err("line 4: column 2: expected ident".to_owned()));
        assert_eq!(read[2], Ok(entry()));
        assert_eq!(read[3], Err("line 6: column 1: EOF while parsing an object".to_owned()));
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn an_input_that_fails_ends_there() {
        struct Broken;
        impl std::io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("disk on fire"))
            }
        }
        let read: Vec<_> = read(std::io::BufReader::new(Broken)).collect();
        assert_eq!(read, [Err(ReadError { line: 1, problem: "cannot read: disk on fire".to_owned() })]);
    }

    #[test]
    fn the_schema_names_every_field() {
        let schema = schemars::schema_for!(Entry).to_value();
        let fields: Vec<&String> = schema["properties"].as_object().expect("an object").keys().collect();
        let written: Value = serde_json::from_str(&entry().to_line()).expect("JSON");
        let written: Vec<&String> = written.as_object().expect("an object").keys().collect();
        assert_eq!(fields, written);
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
    }
}
