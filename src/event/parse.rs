//! Bytes of a record → an event that borrows from them, or the reason why not.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, MapAccess};
use serde_json::value::RawValue;

use super::fields::{DUPLICATE_FIELD, Fields, FieldsSeed};
use super::loose::{Loose, LooseText, Problems};
use super::{Agent, Event, Kind, Role, TENANT_DEFAULT, Tool, Trace, Trust, Usage, repair};
use crate::limits::{EVENT_BYTES_MAX, ID_BYTES_MAX, JSON_DEPTH_MAX, LABELS_MAX, TOOL_NAME_BYTES_MAX};
use crate::time::Millis;

/// An event and what was wrong with it.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The event, without the fields that could not be used.
    pub event: Event<'a>,
    /// One sentence for each field that could not be used.
    pub problems: Vec<String>,
}

/// Why a record is no event. The names are values of a metric label and of a dead letter's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No bytes at all.
    Empty,
    /// Above [`EVENT_BYTES_MAX`].
    TooLarge,
    /// Not JSON, or not UTF-8.
    BadJson,
    /// JSON, but not an object.
    NotAnObject,
    /// A field stands twice.
    DuplicateField,
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    TooDeep,
    /// A required field is missing or unusable.
    MissingField,
    /// A schema version that is not known.
    UnknownVersion,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::TooLarge,
        Self::BadJson,
        Self::NotAnObject,
        Self::DuplicateField,
        Self::TooDeep,
        Self::MissingField,
        Self::UnknownVersion,
    ];

    /// The name in metrics and dead letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::BadJson => "bad_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateField => "duplicate_field",
            Self::TooDeep => "too_deep",
            Self::MissingField => "missing_field",
            Self::UnknownVersion => "unknown_version",
        }
    }
}

/// A record that is no event. What is known of its session is kept, so that it counts against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The class of the defect.
    pub reason: Reason,
    /// What was expected and what came, for a person.
    pub detail: String,
    /// The session, where it could be read.
    pub session: Option<String>,
    /// The tenant, where it could be read.
    pub tenant: Option<String>,
}

impl Rejected {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), session: None, tenant: None }
    }

    /// The record that was rejected, `bytes`, with small defects undone, to be parsed once more; `None`
    /// where that would not help.
    #[must_use]
    pub fn repaired(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.reason == Reason::BadJson { repair(bytes) } else { None }
    }
}

/// The fields of the top level as they came, before it is known whether they make an event.
#[derive(Default)]
struct Draft<'a> {
    version: Option<Loose<'a>>,
    id: Option<Cow<'a, str>>,
    ts: Option<Millis>,
    tenant: Option<Cow<'a, str>>,
    session: Option<Cow<'a, str>>,
    turn: Option<u64>,
    seq: Option<u64>,
    agent: Agent<'a>,
    kind: Option<Cow<'a, str>>,
    role: Option<Role>,
    trust: Option<Trust>,
    text: Option<Cow<'a, str>>,
    tool: Option<Tool<'a>>,
    usage: Option<Usage>,
    trace: Option<Trace<'a>>,
    labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Reads one record.
///
/// # Errors
/// When the bytes are no event: see [`Reason`].
///
/// ```
/// use haltline::event::{Kind, parse};
/// let parsed = parse(br#"{"v":1,"session":"s-1","kind":"message","text":"hello"}"#).unwrap();
/// assert_eq!(parsed.event.kind, Kind::Message);
/// assert_eq!(parsed.event.tenant, "default");
/// assert!(parse(b"{").is_err());
/// ```
pub fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Rejected> {
    if bytes.is_empty() {
        return Err(Rejected::new(Reason::Empty, "expected a JSON object, got an empty record"));
    }
    if bytes.len() > EVENT_BYTES_MAX {
        let detail = format!("expected at most {EVENT_BYTES_MAX} bytes, got {}", bytes.len());
        return Err(Rejected::new(Reason::TooLarge, detail));
    }
    if too_deep(bytes) {
        let detail = format!("expected at most {JSON_DEPTH_MAX} levels of nesting");
        return Err(Rejected::new(Reason::TooDeep, detail));
    }
    let mut draft = Draft::default();
    let mut problems = Problems::default();
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let object = FieldsSeed { into: &mut draft, problems: &mut problems }
        .deserialize(&mut input)
        .and_then(|object| input.end().map(|()| object));
    match object {
        Ok(true) => draft.finish(problems),
        Ok(false) => Err(Rejected::new(Reason::NotAnObject, "expected a JSON object")),
        Err(error) => Err(draft.refuse(&error)),
    }
}

impl<'a> Draft<'a> {
    fn finish(self, mut problems: Problems) -> Result<Parsed<'a>, Rejected> {
        match &self.version {
            Some(Loose::Uint(1)) => {}
            None => return Err(self.reject(Reason::MissingField, "expected `v`: 1 (the schema version), got none")),
            Some(_) => return Err(self.reject(Reason::UnknownVersion, "expected `v` to be the number 1")),
        }
        if self.session.as_ref().is_none_or(|session| session.is_empty()) {
            return Err(self.reject(Reason::MissingField, "expected `session`, got none"));
        }
        if self.session.as_ref().is_some_and(|session| session.len() > ID_BYTES_MAX) {
            let detail = format!("expected a `session` of at most {ID_BYTES_MAX} bytes");
            return Err(self.reject(Reason::MissingField, &detail));
        }
        if self.tenant.as_ref().is_some_and(|tenant| tenant.len() > ID_BYTES_MAX) {
            let detail = format!("expected a `tenant` of at most {ID_BYTES_MAX} bytes");
            return Err(self.reject(Reason::MissingField, &detail));
        }
        let Some(kind_name) = &self.kind else {
            return Err(self.reject(Reason::MissingField, "expected `kind`, got none"));
        };
        let kind = Kind::parse(kind_name).unwrap_or(Kind::Other);
        if kind == Kind::Other && kind_name != Kind::Other.as_str() {
            problems.0.push(format!(
                "`kind`: `{}` is not known, read as `other`",
                kind_name.chars().take(40).collect::<String>()
            ));
        }
        Ok(Parsed { event: self.into_event(kind), problems: problems.0 })
    }

    fn into_event(self, kind: Kind) -> Event<'a> {
        Event {
            v: 1,
            id: self.id.filter(|id| !id.is_empty()),
            ts: self.ts,
            tenant: self.tenant.filter(|tenant| !tenant.is_empty()).unwrap_or(Cow::Borrowed(TENANT_DEFAULT)),
            session: self.session.unwrap_or_default(),
            turn: self.turn,
            seq: self.seq,
            agent: self.agent,
            kind,
            role: self.role,
            trust: self.trust.unwrap_or(Trust::by_default(kind, self.role)),
            text: self.text,
            tool: self.tool,
            usage: self.usage,
            trace: self.trace,
            labels: self.labels,
        }
    }

    fn reject(&self, reason: Reason, detail: &str) -> Rejected {
        Rejected {
            reason,
            detail: detail.to_owned(),
            session: self
                .session
                .as_ref()
                .filter(|s| !s.is_empty() && s.len() <= ID_BYTES_MAX)
                .map(ToString::to_string),
            tenant: self.tenant.as_ref().filter(|t| !t.is_empty() && t.len() <= ID_BYTES_MAX).map(ToString::to_string),
        }
    }

    fn refuse(&self, error: &serde_json::Error) -> Rejected {
        let text = error.to_string();
        match text.split_once(DUPLICATE_FIELD) {
            Some((_, field)) => {
                let name = field.split(" at line").next().unwrap_or_default();
                self.reject(Reason::DuplicateField, &format!("expected each field once, got `{name}` twice"))
            }
            None => self.reject(Reason::BadJson, &format!("expected JSON: {text}")),
        }
    }
}

impl<'de> Fields<'de> for Draft<'de> {
    const NAMES: &'static [&'static str] = &[
        "v", "id", "ts", "tenant", "session", "turn", "seq", "agent", "kind", "role", "trust", "text", "tool", "usage",
        "trace", "labels",
    ];
    const PREFIX: &'static str = "";

    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A, problems: &mut Problems) -> Result<(), A::Error> {
        match index {
            0 => self.version = Some(map.next_value()?),
            1 => self.id = map.next_value::<Loose<'de>>()?.short_text("id", ID_BYTES_MAX, problems),
            2 => self.ts = timestamp(map.next_value()?, problems),
            3 => self.tenant = map.next_value::<Loose<'de>>()?.text("tenant", problems),
            4 => self.session = map.next_value::<Loose<'de>>()?.text("session", problems),
            5 => self.turn = map.next_value::<Loose<'de>>()?.uint("turn", problems),
            6 => self.seq = map.next_value::<Loose<'de>>()?.uint("seq", problems),
            7 => drop(map.next_value_seed(FieldsSeed { into: &mut self.agent, problems })?),
            8 => self.kind = map.next_value::<Loose<'de>>()?.text("kind", problems),
            9 => self.role = named(map.next_value()?, "role", Role::parse, problems),
            10 => self.trust = named(map.next_value()?, "trust", Trust::parse, problems),
            11 => self.text = map.next_value::<LooseText<'de>>()?.0,
            12 => self.tool = object(map, problems)?,
            13 => self.usage = object(map, problems)?,
            14 => self.trace = object(map, problems)?,
            _ => self.labels = labels(map.next_value()?, problems),
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Agent<'de> {
    const NAMES: &'static [&'static str] = &["id", "parent"];
    const PREFIX: &'static str = "agent.";

    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A, problems: &mut Problems) -> Result<(), A::Error> {
        let value: Loose<'de> = map.next_value()?;
        match index {
            0 => self.id = value.short_text("agent.id", ID_BYTES_MAX, problems),
            _ => self.parent = value.short_text("agent.parent", ID_BYTES_MAX, problems),
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Tool<'de> {
    const NAMES: &'static [&'static str] = &["name", "server", "call_id", "args", "result", "error", "duration_ms"];
    const PREFIX: &'static str = "tool.";

    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A, problems: &mut Problems) -> Result<(), A::Error> {
        match index {
            0 => {
                let name = map.next_value::<Loose<'de>>()?.short_text("tool.name", TOOL_NAME_BYTES_MAX, problems);
                self.name = name.unwrap_or_default();
            }
            1 => self.server = map.next_value::<Loose<'de>>()?.short_text("tool.server", ID_BYTES_MAX, problems),
            2 => self.call_id = map.next_value::<Loose<'de>>()?.short_text("tool.call_id", ID_BYTES_MAX, problems),
            3 => self.args = json(map.next_value()?),
            4 => self.result = json(map.next_value()?),
            5 => self.error = map.next_value::<Loose<'de>>()?.boolean("tool.error", problems).unwrap_or(false),
            _ => self.duration_ms = map.next_value::<Loose<'de>>()?.uint("tool.duration_ms", problems),
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Usage {
    const NAMES: &'static [&'static str] = &["in", "out", "cost_usd"];
    const PREFIX: &'static str = "usage.";

    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A, problems: &mut Problems) -> Result<(), A::Error> {
        let value: Loose<'de> = map.next_value()?;
        match index {
            0 => self.tokens_in = value.uint("usage.in", problems),
            1 => self.tokens_out = value.uint("usage.out", problems),
            _ => self.cost_usd = value.number("usage.cost_usd", problems),
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Trace<'de> {
    const NAMES: &'static [&'static str] = &["trace_id", "span_id"];
    const PREFIX: &'static str = "trace.";

    fn read<A: MapAccess<'de>>(&mut self, index: usize, map: &mut A, problems: &mut Problems) -> Result<(), A::Error> {
        let value: Loose<'de> = map.next_value()?;
        match index {
            0 => self.trace_id = value.short_text("trace.trace_id", ID_BYTES_MAX, problems),
            _ => self.span_id = value.short_text("trace.span_id", ID_BYTES_MAX, problems),
        }
        Ok(())
    }
}

fn object<'de, F: Fields<'de> + Default, A: MapAccess<'de>>(
    map: &mut A,
    problems: &mut Problems,
) -> Result<Option<F>, A::Error> {
    let mut value = F::default();
    let found = map.next_value_seed(FieldsSeed { into: &mut value, problems })?;
    Ok(found.then_some(value))
}

fn timestamp(value: Loose<'_>, problems: &mut Problems) -> Option<Millis> {
    let parsed = match &value {
        Loose::Null => return None,
        Loose::Text(text) => Millis::parse(text),
        #[expect(clippy::cast_precision_loss, reason = "epoch milliseconds are far below 2^53")]
        Loose::Uint(number) => Millis::from_number(*number as f64),
        Loose::Number(number) => Millis::from_number(*number),
        _ => None,
    };
    if parsed.is_none() {
        problems.note("ts", "an RFC 3339 timestamp", &value);
    }
    parsed
}

fn named<T>(value: Loose<'_>, field: &str, by_name: fn(&str) -> Option<T>, problems: &mut Problems) -> Option<T> {
    let parsed = match &value {
        Loose::Null => return None,
        Loose::Text(text) => by_name(text),
        _ => None,
    };
    if parsed.is_none() {
        problems.note(field, "one of the names in the schema", &value);
    }
    parsed
}

/// Arguments or a result; `null` is none, and an object or array that came as JSON text is unwrapped.
fn json(raw: &RawValue) -> Option<Cow<'_, RawValue>> {
    let text = raw.get();
    if text == "null" {
        return None;
    }
    if text.starts_with('"') {
        let inner =
            serde_json::from_str::<String>(text).ok().filter(|inner| inner.trim_start().starts_with(['{', '[']));
        let inner = inner.filter(|inner| !too_deep(inner.as_bytes()));
        if let Some(unwrapped) = inner.and_then(|inner| RawValue::from_string(inner).ok()) {
            return Some(Cow::Owned(unwrapped));
        }
    }
    Some(Cow::Borrowed(raw))
}

fn labels<'de>(raw: &'de RawValue, problems: &mut Problems) -> Vec<(Cow<'de, str>, Cow<'de, str>)> {
    match serde_json::from_str::<std::collections::BTreeMap<String, Loose<'de>>>(raw.get()) {
        Ok(map) => map
            .into_iter()
            .take(LABELS_MAX)
            .filter_map(|(key, value)| Some((Cow::Owned(key), value.short_text("labels", ID_BYTES_MAX, problems)?)))
            .collect(),
        Err(_) => {
            problems.note("labels", "an object of strings", &Loose::Compound);
            Vec::new()
        }
    }
}

/// Whether brackets outside strings nest deeper than the bound. Text with few brackets, which is
/// nearly all of it, is not walked.
fn too_deep(bytes: &[u8]) -> bool {
    memchr::memchr2_iter(b'{', b'[', bytes).nth(JSON_DEPTH_MAX).is_some() && depth(bytes) > JSON_DEPTH_MAX
}

/// Deepest nesting of brackets outside strings. Exact for JSON; for other bytes it hardly matters.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Parsed<'_> {
        parse(json.as_bytes()).unwrap_or_else(|rejected| panic!("{json}: {rejected:?}"))
    }

    #[test]
    fn the_full_event_is_read_without_problems() {
        let parsed = event(crate::event::schema::EXAMPLE);
        assert_eq!(parsed.problems, Vec::<String>::new());
        let event = parsed.event;
        assert_eq!(event.ts.map(|ts| ts.to_string()).as_deref(), Some("2026-11-23T10:00:00.123Z"));
        assert_eq!((event.turn, event.seq), (Some(17), Some(42)));
        assert_eq!(event.agent.parent.as_deref(), Some("s-100"));
        assert_eq!((event.kind, event.role, event.trust), (Kind::ToolCall, Some(Role::Assistant), Trust::Untrusted));
        let tool = event.tool.expect("stands in the example");
        assert_eq!(tool.args.map(|a| a.get().to_owned()).as_deref(), Some(r#"{"order":"A1","amount":40.5}"#));
        assert!(tool.result.is_none());
        assert_eq!(event.usage.and_then(|u| u.tokens_out), Some(80));
        assert_eq!(event.labels, [("env".into(), "prod".into())]);
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let parsed = event(r#"{"v":1,"session":"s","kind":"message","text":"plain"}"#);
        assert!(matches!(parsed.event.text, Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn what_is_no_event_says_what_was_expected() {
        let deep = format!(r#"{{"v":1,"session":"s","kind":"other","x":{}1{}}}"#, "[".repeat(70), "]".repeat(70));
        let rows: &[(&str, Reason, Option<&str>)] = &[
            ("", Reason::Empty, None),
            ("{", Reason::BadJson, None),
            (r#"{"v":1,"session":"s","kind":"message"} x"#, Reason::BadJson, Some("s")),
            ("[]", Reason::NotAnObject, None),
            ("null", Reason::NotAnObject, None),
            ("7", Reason::NotAnObject, None),
            (r#"{"session":"s","kind":"message"}"#, Reason::MissingField, Some("s")),
            (r#"{"v":2,"session":"s","kind":"message"}"#, Reason::UnknownVersion, Some("s")),
            (r#"{"v":1,"kind":"message"}"#, Reason::MissingField, None),
            (r#"{"v":1,"session":"","kind":"message"}"#, Reason::MissingField, None),
            (r#"{"v":1,"session":"s"}"#, Reason::MissingField, Some("s")),
            (r#"{"v":1,"session":"s","kind":"message","text":"a","text":"b"}"#, Reason::DuplicateField, Some("s")),
            (r#"{"v":1,"session":"s","kind":"message","te\u0078t":"a","text":"b"}"#, Reason::DuplicateField, Some("s")),
            (
                r#"{"v":1,"session":"s","kind":"tool_call","tool":{"name":"a","name":"b"}}"#,
                Reason::DuplicateField,
                Some("s"),
            ),
            (&deep, Reason::TooDeep, None),
        ];
        for (json, reason, session) in rows {
            let rejected = parse(json.as_bytes()).expect_err(json);
            assert_eq!(
                (rejected.reason, rejected.session.as_deref()),
                (*reason, *session),
                "{json}: {}",
                rejected.detail
            );
            assert!(rejected.detail.starts_with("expected"), "{}", rejected.detail);
        }
        assert_eq!(parse(b"{\"v\":1,\"session\":\"\xff\"}").expect_err("not UTF-8").reason, Reason::BadJson);
        assert_eq!(parse(&vec![b' '; EVENT_BYTES_MAX + 1]).expect_err("too long").reason, Reason::TooLarge);
    }

    #[test]
    fn a_wrong_type_costs_the_field_and_not_the_event() {
        let rows = [
            (r#""turn":"x""#, "`turn`: expected a whole number from 0, got a string"),
            (r#""turn":-1"#, "`turn`: expected a whole number from 0, got a number"),
            (r#""agent":"bot""#, "`agent`: expected an object, got a string"),
            (r#""tool":[{"a":[1]}]"#, "`tool`: expected an object, got an object or array"),
            (r#""tool":{"name":{}}"#, "`tool.name`: expected a string, got an object or array"),
            (r#""ts":"yesterday""#, "`ts`: expected an RFC 3339 timestamp, got a string"),
            (r#""trust":true"#, "`trust`: expected one of the names in the schema, got a boolean"),
            (r#""labels":3"#, "`labels`: expected an object of strings, got an object or array"),
        ];
        for (field, problem) in rows {
            let json = format!(r#"{{"v":1,"session":"s",{field},"kind":"message","text":"still here"}}"#);
            let parsed = event(&json);
            assert_eq!(parsed.problems, [problem], "{json}");
            assert_eq!(parsed.event.text.as_deref(), Some("still here"));
        }
    }

    #[test]
    fn what_is_close_enough_is_read() {
        let parsed = event(r#"{"v":1,"session":12,"kind":"new_kind","turn":"3","ts":1700000000,"future":{"a":[1]}}"#);
        assert_eq!((parsed.event.session.as_ref(), parsed.event.kind, parsed.event.turn), ("12", Kind::Other, Some(3)));
        assert_eq!(parsed.event.ts, Some(Millis(1_700_000_000_000)));
        assert_eq!(parsed.problems.len(), 1);
        let blocks =
            event(r#"{"v":1,"session":"s","kind":"message","text":[{"type":"text","text":"one"},{"text":"two"}]}"#);
        assert_eq!(blocks.event.text.as_deref(), Some("one\ntext\ntwo"));
        let stringly = event(r#"{"v":1,"session":"s","kind":"tool_call","tool":{"name":"t","args":"{\"a\":1}"}}"#);
        let args = stringly.event.tool.and_then(|tool| tool.args);
        assert_eq!(args.map(|args| args.get().to_owned()).as_deref(), Some(r#"{"a":1}"#));
    }
}
