//! What a proxy may ask, and what is refused because it can be read in two ways.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{AuthzAsk, Decision, Problem, Ruling, refusal, refusal_for};
use crate::limits::EVENT_BYTES_MAX;

/// Names and values of headers.
type List<'a> = &'a [(&'a str, &'a [u8])];

fn headers(list: List<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    headers
}

fn ask(list: &[(&str, &str)], body: Option<&str>) -> Result<AuthzAsk, Problem> {
    let mut all: Vec<(&str, &[u8])> = vec![("x-agent-session", b"s-1")];
    all.extend(list.iter().map(|(name, value)| (*name, value.as_bytes())));
    AuthzAsk::read(&headers(&all), body.map(str::as_bytes))
}

const CALL: (&str, &str) = ("mcp-method", "tools/call");

fn rpc(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#)
}

#[test]
fn who_asks_stands_in_headers() {
    let all = [("X-Agent-Session", &b"s-\xc3\xbc"[..]), ("x-agent-tenant", b"acme"), ("X-AGENT-ID", b"billing-bot")];
    let ask = AuthzAsk::read(&headers(&all), None).expect("good");
    assert_eq!(
        (ask.session.as_str(), ask.tenant.as_deref(), ask.agent.as_deref()),
        ("s-ü", Some("acme"), Some("billing-bot"))
    );
    assert!(ask.proposal.is_none() && ask.proposed_event().is_none());
    let empty = [("x-agent-session", &b"s"[..]), ("x-agent-tenant", b""), ("x-agent-id", b"")];
    let ask = AuthzAsk::read(&headers(&empty), Some(b"")).expect("empty is none");
    assert_eq!((ask.tenant, ask.agent), (None, None));

    let long = [b'x'; 257];
    let rows: [(List<'_>, &str); 9] = [
        (&[], "missing_header"),
        (&[("x-agent-session", b"")], "missing_header"),
        (&[("x-agent-session", b"a"), ("x-agent-session", b"a")], "duplicate_header"),
        (&[("x-agent-session", b"halted, other")], "bad_header"),
        (&[("x-agent-session", b"a\tb")], "bad_header"),
        (&[("x-agent-session", b"\xff")], "bad_header"),
        (&[("x-agent-session", &long)], "bad_header"),
        (&[("x-agent-session", b"a"), ("x-agent-tenant", b"t"), ("x-agent-tenant", b"u")], "duplicate_header"),
        (&[("x-agent-session", b"a"), ("x-agent-id", b"a,b")], "bad_header"),
    ];
    for (list, code) in rows {
        assert_eq!(AuthzAsk::read(&headers(list), None).expect_err("refused").code, code, "{list:?}");
    }
}

#[test]
fn a_call_is_known_from_its_headers() {
    let rows = [
        ("refund", "refund"),
        (" refund ", "refund"),
        ("a/b.c-d e", "a/b.c-d e"),
        ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        ("=?base64?IHBhZGRlZCA=?=", " padded "),
        ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        ("=?base64?cmVmdW5k?=", "refund"),
        ("=?base64?YSwgYg==?=", "a, b"),
    ];
    for (name, tool) in rows {
        let ask = ask(&[CALL, ("Mcp-Name", name)], None).expect(name);
        let proposed = ask.proposal.expect("a call").tool.expect("a tool");
        assert_eq!((proposed.name.as_str(), proposed.args.is_none()), (tool, true));
    }
    for name in [
        "",
        "=?base64??=",
        "=?base64?SGVsbG8?=",
        "=?base64?SGVs bG8=?=",
        "=?base64?_-8=?=",
        "=?base64?/w==?=",
        "=?BASE64?cmVmdW5k?=",
        "=?base64?cmVmdW5k",
        "=?utf-8?q?x?=",
        "look_up, refund",
        "réfund",
        "a\tb",
        &"x".repeat(257),
    ] {
        assert_eq!(ask(&[CALL, ("mcp-name", name)], None).expect_err(name).code, "bad_header", "{name}");
    }
}

#[test]
fn headers_and_body_must_say_the_same() {
    let call =
        |name: &str| rpc("tools/call", &format!(r#"{{"name":"{name}","arguments":{{"n":12345678901234567890123}}}}"#));
    let version = |version: &'static str| ("mcp-protocol-version", version);
    let name = ("mcp-name", "refund");
    let batch = format!("[{}]", call("refund"));
    let pad = call(&"x".repeat(EVENT_BYTES_MAX));
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, Result<Option<&'a str>, &'a str>);
    let (refund, look, list) = (call("refund"), call("look"), rpc("tools/list", "{}"));
    let unicode = call("\u{fc}");
    let long = call(&"x".repeat(300));
    let variants = [
        r#"{"jsonrpc":"2.0","method":"tools/list","Method":"tools/call","params":{"name":"refund"}}"#,
        r#"{"method":"tools/call","param\u017f":{"name":"refund"},"params":{"name":"look"}}"#,
        r#"{"method":"tools/call","params":{"name":"look","NAME":"refund"}}"#,
    ];
    let rows: &[Row<'_>] = &[
        (&[CALL, name], Some(&refund), Ok(Some("refund"))),
        (&[CALL, ("mcp-name", "=?base64?w7w=?=")], Some(&unicode), Ok(Some("ü"))),
        (&[], Some(&refund), Ok(Some("refund"))),
        (&[CALL, name], Some(&look), Err("header_mismatch")),
        (&[CALL, name], Some(&list), Err("header_mismatch")),
        (&[CALL, name], Some(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Err("header_mismatch")),
        (&[("mcp-method", "tools/list")], Some(&refund), Err("header_mismatch")),
        (&[("mcp-method", "tools/list")], Some(&list), Ok(None)),
        (&[("mcp-method", "resources/read"), ("mcp-name", "file:///a,b")], None, Ok(None)),
        (&[CALL, name], Some(&batch), Err("batch")),
        (&[], Some(&batch), Err("batch")),
        (&[], Some(r#"[1, {"order": 2}]"#), Ok(None)),
        (&[CALL, name], Some(r#"[1, {"order": 2}]"#), Err("bad_json")),
        (&[CALL, name], Some("a=b"), Err("bad_json")),
        (&[], Some("a=b"), Ok(None)),
        (&[], Some(r#"{"order": 2}"#), Ok(None)),
        (&[], Some(r#"{"jsonrpc":"2.0","method":"tools/call""#), Err("bad_json")),
        (&[], Some("[{\"jsonrpc\""), Err("bad_json")),
        (&[], Some(r#"{"method":"tools/list","method":"tools/call"}"#), Err("bad_json")),
        (&[], Some(r#"{"method":"tools/call","params":["refund"]}"#), Err("bad_message")),
        (&[], Some(&long), Err("bad_message")),
        (&[], Some(variants[0]), Err("bad_message")),
        (&[], Some(variants[1]), Err("bad_message")),
        (&[], Some(variants[2]), Err("bad_message")),
        (&[], Some(&pad), Err("too_large")),
        (&[CALL], None, Err("missing_header")),
        (&[name], None, Err("missing_header")),
        (&[name, version("2026-07-28")], Some(&refund), Err("missing_header")),
        (&[version("2026-07-28")], Some(&refund), Err("missing_header")),
        (&[version("2025-11-25")], Some(&refund), Ok(Some("refund"))),
        (&[CALL, name, version("2026-07-28")], None, Ok(Some("refund"))),
        (&[CALL, name, version("2025-11-25")], None, Err("missing_body")),
        (&[CALL, name, version("2025-11-25")], Some(&refund), Ok(Some("refund"))),
        (&[CALL, CALL, name], None, Err("duplicate_header")),
        (&[CALL, name, name], None, Err("duplicate_header")),
        (&[("mcp-method", "tools/list, tools/call"), name], None, Err("bad_header")),
        (&[CALL, name, ("x-envoy-auth-partial-body", "true")], Some(&refund), Err("partial_body")),
        (&[CALL, name, ("x-envoy-auth-partial-body", "false")], Some(&refund), Ok(Some("refund"))),
    ];
    for (list, body, expected) in rows {
        let shown = body.map(|body| body.chars().take(120).collect::<String>());
        let got = ask(list, *body).map(|ask| ask.proposal.and_then(|step| step.tool).map(|tool| tool.name));
        let got = got.as_ref().map(Option::as_deref).map_err(|problem| problem.code);
        assert_eq!(got, *expected, "{list:?} {shown:?}");
    }
    let marked = format!("\u{feff} {refund}");
    assert!(ask(&[], Some(&marked)).expect("a byte order mark hides nothing").proposal.is_some());
}

#[test]
fn a_call_is_judged_with_its_arguments() {
    let body = rpc("tools/call", r#"{"name":"refund","arguments":{"n":12345678901234567890123},"_meta":{}}"#);
    let ask = ask(&[CALL, ("mcp-name", "refund"), ("x-agent-tenant", "acme"), ("x-agent-id", "bot")], Some(&body))
        .expect("good");
    let event = ask.proposed_event().expect("a call");
    assert!(event.contains(r#""args":{"n":12345678901234567890123}"#), "{event}");
    let mut event: Value = serde_json::from_str(&event).expect("JSON");
    event["tool"]["args"] = json!({});
    assert_eq!(
        event,
        json!({"v": 1, "tenant": "acme", "session": "s-1", "agent": {"id": "bot"}, "kind": "tool_call", "role": "assistant",
               "tool": {"name": "refund", "call_id": "7", "args": {}}})
    );
}

#[test]
fn refusals_say_why_in_headers() {
    let ruling = |decision, halted, reason: Option<&str>| Ruling {
        decision,
        halted,
        rule: Some("r-1".to_owned()),
        reason: reason.map(str::to_owned),
    };
    let rows = [
        (Decision::Allow, true, None, "deny", "the session is halted"),
        (Decision::Deny, false, Some("caf\u{e9}\r\nx-evil: 1"), "deny", "refused: caf? x-evil: 1"),
        (Decision::Confirm, false, Some("amount above 100"), "confirm", "a person must confirm it: amount above 100"),
    ];
    for (decision, halted, reason, said, why) in rows {
        let headers = refusal(&ruling(decision, halted, reason)).expect("refused");
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(value("x-haltline-decision"), Some(said));
        assert_eq!(value("x-haltline-reason"), Some(why));
        assert_eq!(value("x-haltline-rule"), Some("r-1"));
    }
    assert_eq!(refusal(&ruling(Decision::Allow, false, None)), None);
    let problem = ask(&[CALL], None).expect_err("refused");
    let headers = refusal_for(&problem);
    assert_eq!(headers["x-haltline-decision"], "deny");
    assert!(headers["x-haltline-reason"].to_str().is_ok_and(|why| why.starts_with("expected header `mcp-name`")));
    assert!(!headers.contains_key("x-haltline-rule"));
}
