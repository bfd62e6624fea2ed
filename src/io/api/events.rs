//! `POST /v1/events`: events by HTTP, into the log that the shards read. Answers when they are durable.
//!
//! One event, a JSON array or one event a line, told apart by content. Each is checked here, so that the
//! caller learns at once what is wrong with which; the shard decides about it all the same. What is no
//! event is put into the log, too, wherever its session is known: the shard scans it raw, counts it
//! against the session and keeps it as a dead letter.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Deserializer, json};
use tokio::runtime::Handle;

use super::Api;
use super::access::Caller;
use super::error::ApiError;
use super::guard::Room;
use crate::event::{Parsed, Rejected, TENANT_DEFAULT, parse, repair};
use crate::io::ingest::{Ingest, Posted};
use crate::limits::{EVENT_BYTES_MAX, HTTP_TIMEOUT, PAGE_MAX};

/// A larger body is read on a thread where it holds up nobody else.
const READ_AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// Some editors and shells begin a file with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a body came to.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Everything that goes into the log, in order.
    posted: Vec<Posted>,
    accepted: usize,
    rejected: Vec<Refusal>,
    /// Also those that are too many to be listed.
    rejected_total: usize,
    /// Whose events these are.
    tenants: BTreeSet<String>,
}

/// A piece of a body that is no event.
#[derive(Debug, Serialize, JsonSchema)]
struct Refusal {
    /// Its place in the body, from 0; empty lines do not count.
    index: usize,
    reason: &'static str,
    detail: String,
    /// Whether it is kept as evidence against its session.
    recorded: bool,
}

/// What came of posted events.
#[derive(Serialize, JsonSchema)]
pub(super) struct Accepted {
    accepted: usize,
    rejected: Vec<Refusal>,
    /// Also those that are too many to be listed.
    rejected_total: usize,
}

pub(super) async fn post(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(room): Extension<Room>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    if matches!(api.ingest, Ingest::Closed) {
        let message = "this process takes no events by HTTP, as it was started with another source; expected `--source http` or Kafka";
        return Err(ApiError::new(StatusCode::CONFLICT, "closed", message));
    }
    let body = body?;
    let mut batch = if body.len() <= READ_AT_ONCE_BYTES_MAX {
        Batch::read(&body)?
    } else {
        let read = tokio::task::spawn_blocking(move || Batch::read(&body)).await;
        read.unwrap_or_else(|error| Err(ApiError::unavailable("read", format!("expected to read the body: {error}"))))?
    };
    if let Some(foreign) = batch.tenants.iter().find(|tenant| !caller.sees(tenant)) {
        let own = caller.tenant.as_deref().unwrap_or_default();
        let message = format!(
            "expected events of tenant `{own}` only, which this token is bound to, got one of `{foreign}`; what names no \
             tenant belongs to `{TENANT_DEFAULT}`. None was taken"
        );
        return Err(ApiError::new(StatusCode::FORBIDDEN, "wrong_tenant", message));
    }
    let program = api.rules.program();
    batch.rejected.iter_mut().for_each(|refusal| refusal.detail = program.mask(&refusal.detail));
    let posted = std::mem::take(&mut batch.posted);
    append(api.ingest.clone(), posted, room).await.map_err(|why| {
        let message = format!("expected the events to become durable: {why}; some of them may be");
        ApiError::unavailable("log_unavailable", message)
    })?;
    Ok(batch.into_response())
}

/// Appends on a thread of its own, because a producer with a full queue blocks its caller, and because
/// what was begun goes on when the caller of the API has gone.
pub(super) async fn append(ingest: Ingest, posted: Vec<Posted>, room: Room) -> Result<(), String> {
    if posted.is_empty() {
        return Ok(());
    }
    let runtime = Handle::current();
    let append = move || {
        let _room = room;
        runtime.block_on(async { tokio::time::timeout(HTTP_TIMEOUT, ingest.append(posted)).await })
    };
    match tokio::task::spawn_blocking(append).await {
        Ok(Ok(appended)) => appended,
        Ok(Err(_)) => Err(format!("no answer from the log within {} s", HTTP_TIMEOUT.as_secs())),
        Err(error) => Err(error.to_string()),
    }
}

impl Batch {
    /// Reads a body, with small defects inside an array's strings undone where it is no array otherwise.
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body).trim_ascii();
        if body.is_empty() {
            let message = "expected one event, a JSON array of events or one event a line, got an empty body";
            return Err(ApiError::bad_request("empty_body", message));
        }
        if !body.starts_with(b"[") {
            return Ok(Self::of(&pieces(body)));
        }
        match elements(body) {
            Ok(events) => Ok(Self::of(&events)),
            Err(error) => {
                let repaired = repair(body);
                let events = repaired.as_deref().and_then(|repaired| elements(repaired).ok());
                let expected =
                    || ApiError::bad_request("bad_json", format!("expected a JSON array of events: {error}"));
                events.map(|events| Self::of(&events)).ok_or_else(expected)
            }
        }
    }

    fn of(pieces: &[&[u8]]) -> Self {
        let mut batch = Self::default();
        for (index, bytes) in pieces.iter().enumerate() {
            match session_of(bytes) {
                Ok((tenant, session)) => {
                    batch.accepted += 1;
                    batch.tenants.insert(tenant);
                    batch.posted.push(Posted { session, bytes: bytes.to_vec() });
                }
                Err(rejected) => batch.refuse(index, bytes, rejected),
            }
        }
        batch
    }

    fn refuse(&mut self, index: usize, bytes: &[u8], rejected: Rejected) {
        let session = rejected.session.filter(|_| bytes.len() <= EVENT_BYTES_MAX);
        let recorded = session.is_some();
        if recorded {
            self.tenants.insert(rejected.tenant.unwrap_or_else(|| TENANT_DEFAULT.to_owned()));
        }
        self.posted.extend(session.map(|session| Posted { session, bytes: bytes.to_vec() }));
        self.rejected_total += 1;
        if self.rejected.len() < PAGE_MAX {
            let (reason, detail) = (rejected.reason.as_str(), rejected.detail);
            self.rejected.push(Refusal { index, reason, detail, recorded });
        }
    }
}

impl IntoResponse for Batch {
    fn into_response(self) -> Response {
        let Self { accepted, rejected, rejected_total, .. } = self;
        let body = Accepted { accepted, rejected, rejected_total };
        if accepted > 0 || rejected_total == 0 {
            return Json(body).into_response();
        }
        let message = "expected at least one event; `rejected` says what is wrong with each";
        let body = json!({
            "accepted": accepted,
            "rejected": body.rejected,
            "rejected_total": rejected_total,
            "error": {"code": "no_events", "message": message},
        });
        (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
    }
}

/// Tenant and session of what the shard will read as an event, which is also so after it has undone a small
/// defect.
fn session_of(bytes: &[u8]) -> Result<(String, String), Rejected> {
    let names = |parsed: Parsed<'_>| (parsed.event.tenant.into_owned(), parsed.event.session.into_owned());
    let rejected = match parse(bytes) {
        Ok(parsed) => return Ok(names(parsed)),
        Err(rejected) => rejected,
    };
    let repaired = rejected.repaired(bytes);
    let reread = repaired.as_deref().and_then(|bytes| parse(bytes).ok());
    reread.map(names).ok_or(rejected)
}

/// The elements of an array, as they stand there.
fn elements(array: &[u8]) -> serde_json::Result<Vec<&[u8]>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(array)?;
    Ok(elements.into_iter().map(|element| element.get().as_bytes()).collect())
}

/// One event or many: JSON values one after the other, whether on lines of their own or over several.
/// Where they are not all good JSON, lines; and where no line is an object, one piece.
fn pieces(body: &[u8]) -> Vec<&[u8]> {
    let values: Result<Vec<&RawValue>, _> = Deserializer::from_slice(body).into_iter().collect();
    if let Ok(values) = values {
        return values.into_iter().map(|value| value.get().as_bytes()).collect();
    }
    let lines: Vec<&[u8]> =
        body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()).collect();
    let is_object = |line: &&[u8]| line.starts_with(b"{") && line.ends_with(b"}");
    if lines.iter().any(is_object) { lines } else { vec![body] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"v":1,"session":"a","kind":"message"}"#;

    /// Accepted, sessions in the log, and (index, reason, recorded) of what was rejected.
    type Read = (usize, Vec<String>, Vec<(usize, &'static str, bool)>);

    fn read(body: &[u8]) -> Read {
        let batch = Batch::read(body).expect("a body of events");
        let rejected = batch.rejected.iter().map(|r| (r.index, r.reason, r.recorded)).collect();
        (batch.accepted, batch.posted.into_iter().map(|p| p.session).collect(), rejected)
    }

    #[test]
    fn bodies_are_told_apart_by_content() {
        let pretty = "{\n  \"v\": 1,\n  \"session\": \"a\",\n  \"kind\": \"message\"\n}\n";
        let rows: [(String, Read); 12] = [
            (GOOD.to_owned(), (1, vec!["a".into()], vec![])),
            (format!("\u{feff}  {GOOD}\r\n"), (1, vec!["a".into()], vec![])),
            (pretty.to_owned(), (1, vec!["a".into()], vec![])),
            (format!("{pretty}{pretty}"), (2, vec!["a".into(), "a".into()], vec![])),
            (format!(" [{GOOD}, {GOOD}]"), (2, vec!["a".into(), "a".into()], vec![])),
            ("[]".to_owned(), (0, vec![], vec![])),
            (format!("{GOOD}\n\n{GOOD}\n"), (2, vec!["a".into(), "a".into()], vec![])),
            (
                format!("{GOOD}\nnot json\n{{\"v\":1,\"session\":\"b\",\n{{\"session\":\"c\"}}"),
                (
                    1,
                    vec!["a".into(), "b".into(), "c".into()],
                    vec![(1, "bad_json", false), (2, "bad_json", true), (3, "missing_field", true)],
                ),
            ),
            (
                format!("[{GOOD},7,{{}}]"),
                (1, vec!["a".into()], vec![(1, "not_an_object", false), (2, "missing_field", false)]),
            ),
            ("{\n\"v\":1,\n\"session\":\"d\",\noops\n}".to_owned(), (0, vec!["d".into()], vec![(0, "bad_json", true)])),
            ("hello".to_owned(), (0, vec![], vec![(0, "bad_json", false)])),
            (
                format!(r#"{{"v":1,"session":"e","kind":"message","text":"{}"}}"#, "x".repeat(EVENT_BYTES_MAX)),
                (0, vec![], vec![(0, "too_large", false)]),
            ),
        ];
        for (body, expected) in rows {
            assert_eq!(read(body.as_bytes()), expected, "{}", body.chars().take(200).collect::<String>());
        }
    }

    #[test]
    fn a_defect_inside_a_string_hides_no_event() {
        let broken = r#"{"v":1,"text":"\ud800","kind":"message","session":"a"}"#;
        let control = "{\"v\":1,\"text\":\"a\tb\",\"kind\":\"message\",\"session\":\"a\"}";
        for body in [
            broken.to_owned(),
            control.to_owned(),
            format!("{GOOD}\n{control}"),
            format!("[{control}]"),
            format!("[{broken}]"),
        ] {
            let (_, sessions, rejected) = read(body.as_bytes());
            assert!(sessions.iter().all(|session| session == "a") && rejected.is_empty(), "{body}: {rejected:?}");
        }
    }

    #[test]
    fn what_is_listed_is_bounded_and_what_is_counted_is_not() {
        let batch = Batch::read("1\n".repeat(PAGE_MAX + 5).as_bytes()).expect("a body");
        assert_eq!((batch.rejected.len(), batch.rejected_total, batch.accepted), (PAGE_MAX, PAGE_MAX + 5, 0));
    }

    #[test]
    fn bodies_that_hold_nothing_say_what_was_expected() {
        for (body, start) in [
            ("", "expected one event, a JSON array of events or one event a line"),
            (" \n ", "expected one event"),
            ("[{\"v\":1},", "expected a JSON array of events: EOF"),
        ] {
            let error = Batch::read(body.as_bytes()).expect_err(body);
            assert!(format!("{error:?}").contains(start), "{error:?}");
        }
    }
}
