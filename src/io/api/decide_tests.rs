//! What is decided: by rules at the gate, by persons, in hooks and streams, by whom and on what record.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::tests::{Answer, PLAIN, Place, Setup};
use crate::engine::Program;
use crate::io::audit::{Entry, verify};
use crate::rules::{SourceFile, load};

fn scope(id: &str, tool: &str, action: &str) -> SourceFile {
    let text = format!(
        r#"
schema = 1
id = "{id}"
title = "No {tool}"
description = "A rule of this test that refuses one tool whatever its arguments are."
severity = "high"
action = "{action}"
tags = ["owasp.llm06"]
[when]
kind = "tool_call"
tool = "{tool}"
[scope]
field = "args.amount"
above = 10
"#
    );
    SourceFile { name: format!("{id}.toml"), text, layer: 0 }
}

fn rules() -> Arc<Program> {
    let files = [
        scope("pay-confirm", "pay", "confirm"),
        scope("wipe-deny", "wipe", "deny"),
        scope("burn-halt", "burn", "halt"),
    ];
    let rules = load(&files).unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(Program::new(Arc::new(rules)).expect("compiles"))
}

async fn place(gate: &'static str) -> Place {
    Place::start(Setup { rules: Some(rules()), gate, ..PLAIN() }).await
}

fn call(tool: &str, amount: u32) -> Value {
    json!({"session": "s", "action": {"tool": tool, "args": {"amount": amount}, "call_id": "c"}})
}

async fn gate(place: &Place, body: &Value) -> Value {
    let answer = place.post("/v1/gate", &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

async fn answer(place: &Place, id: &str, answer: &str) -> Answer {
    let body = json!({"answer": answer, "by": "ana", "reason": "looked at it"});
    place.post(&format!("/v1/confirmations/{id}"), &body.to_string()).await
}

#[tokio::test]
async fn the_gate_judges_what_is_proposed() {
    let place = place("").await;
    let rows = [
        ("look", 100, "allow", Value::Null),
        ("pay", 10, "allow", Value::Null),
        ("pay", 11, "confirm", json!("pay-confirm")),
        ("wipe", 11, "deny", json!("wipe-deny")),
        ("burn", 11, "deny", json!("burn-halt")),
    ];
    for (tool, amount, decision, rule) in rows {
        let given = gate(&place, &call(tool, amount)).await;
        assert_eq!((&given["decision"], &given["rule"]), (&json!(decision), &rule), "{tool} {amount}: {given}");
        assert_eq!(
            (&given["halted"], &given["ttl_ms"], &given["windows"]),
            (&json!(false), &json!(0), &json!("not_here"))
        );
        assert_eq!(given["findings"][0]["rule"], rule, "{given}");
    }
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep = format!(r#"{{"session":"s","action":{{"tool":"look","args":{deep}}}}}"#);
    let given = place.post("/v1/gate", &deep).await.json();
    assert_eq!(given["decision"], "deny", "what cannot be judged is no way past: {given}");
}

#[tokio::test]
async fn what_nobody_knows_is_decided_by_the_settings() {
    let unready = |gate| Place::start(Setup { ready: false, gate, ..PLAIN() });
    for (settings, status, decision) in [
        ("", 503, Value::Null),
        ("when_unready = 'deny'", 200, json!("deny")),
        ("when_unready = 'allow'", 200, json!("allow")),
    ] {
        let given = unready(settings).await.post("/v1/gate", r#"{"session":"s"}"#).await;
        assert_eq!((given.status, &given.json()["decision"]), (status, &decision), "{settings}");
    }
    let strict = place("unknown_session = 'deny'").await;
    for body in [json!({"session": "s"}), call("look", 1)] {
        let given = gate(&strict, &body).await;
        assert_eq!((&given["decision"], &given["known"]), (&json!("deny"), &json!(false)), "{given}");
    }
}

#[tokio::test]
async fn a_person_lets_an_action_pass_once() {
    let place = place("").await;
    for (said, decision, dry_run) in [("approve", "allow", false), ("dry_run", "allow", true), ("deny", "deny", false)]
    {
        let session = format!("s-{said}");
        let mut question = call("pay", 500);
        question["session"] = json!(session);
        let asked = gate(&place, &question).await;
        let id = asked["confirmation"]["id"].as_str().expect("an id").to_owned();
        question["confirmation"] = json!(id);
        question["action"]["call_id"] = json!("another call of the same action");
        assert_eq!(gate(&place, &question).await["confirmation"]["id"], json!(id), "still pending");
        let listed = place.get("/v1/confirmations").await.json();
        assert_eq!(listed["confirmations"][0]["action"]["args"], r#"{"amount":500}"#, "{listed}");
        let answered = answer(&place, &id, said).await;
        assert_eq!((answered.status, &answered.json()["by"]), (200, &json!("ana")), "{}", answered.body);
        let waited = place.get(&format!("/v1/confirmations/{id}?wait=30")).await.json();
        assert_ne!(waited["state"], "pending", "answered, so there is nothing to wait for");
        let mut other = question.clone();
        other["action"]["args"]["amount"] = json!(501);
        assert_eq!(gate(&place, &other).await["decision"], "deny", "for one action only");
        let given = gate(&place, &question).await;
        assert_eq!((&given["decision"], &given["dry_run"]), (&json!(decision), &json!(dry_run)), "{said}: {given}");
        assert_eq!(gate(&place, &question).await["decision"], "deny", "once");
        let other = if said == "deny" { "approve" } else { "deny" };
        assert_eq!(answer(&place, &id, other).await.status, 409);
    }
    assert_eq!(answer(&place, "c_none", "deny").await.status, 404);
}

#[tokio::test]
async fn what_nobody_answers_is_denied() {
    let place = place("confirm_timeout = '100ms'").await;
    let mut question = call("pay", 500);
    let id = gate(&place, &question).await["confirmation"]["id"].clone();
    let waited = place.get(&format!("/v1/confirmations/{}?wait=30", id.as_str().expect("an id"))).await.json();
    assert_eq!(waited["state"], "expired", "{waited}");
    question["confirmation"] = id.clone();
    let given = gate(&place, &question).await;
    assert_eq!((&given["decision"], &given["confirmation"]), (&json!("deny"), &Value::Null), "{given}");
    assert_eq!(answer(&place, id.as_str().expect("an id"), "approve").await.status, 409);
}

#[tokio::test]
async fn a_harness_answers_with_its_signature_only() {
    let place = place("callback_secrets = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz'").await;
    let id = gate(&place, &call("pay", 500)).await["confirmation"]["id"].as_str().expect("an id").to_owned();
    let body = r#"{"answer":"approve","by":"shift lead","reason":"known customer"}"#;
    let signer = standardwebhooks::Webhook::new("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz").expect("a secret");
    let now = crate::io::clock::now().0 / 1_000;
    let sign = |at: i64, body: &str| signer.sign("m_1", at, body.as_bytes()).expect("signed");
    let rows = [
        (now, sign(now, "{}"), 401),
        (now - 1_000, sign(now - 1_000, body), 401),
        (now, "v1,AAAA".to_owned(), 401),
        (now, String::new(), 401),
        (now, format!("v1,AAAA {}", sign(now, body)), 200),
    ];
    for (at, signature, status) in rows {
        let headers = format!(
            "host: localhost\r\ncontent-type: application/json\r\nwebhook-id: m_1\r\nwebhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\n"
        );
        let given = place.send("POST", &format!("/v1/confirmations/{id}/callback"), &headers, body).await;
        assert_eq!(given.status, status, "{at} {signature}: {}", given.body);
    }
    let unsigned = Place::start(Setup { rules: Some(rules()), ..PLAIN() }).await;
    assert_eq!(
        unsigned.post(&format!("/v1/confirmations/{id}/callback"), body).await.status,
        401,
        "no secret is set up"
    );
}

#[tokio::test]
async fn hooks_answer_in_words_of_their_harness_and_are_recorded() {
    let place = place("").await;
    let hook = |tool: &str| json!({"hook_event_name": "PreToolUse", "session_id": "h", "tool_name": tool, "tool_input": {"amount": 50}, "tool_use_id": tool});
    let fine = place.post("/v1/hooks/claude-code?tenant=acme", &hook("look").to_string()).await;
    assert_eq!((fine.status, fine.json()), (200, json!({})));
    let refused = place.post("/v1/hooks/claude-code?tenant=acme", &hook("wipe").to_string()).await.json();
    assert_eq!(refused["hookSpecificOutput"]["permissionDecision"], "deny", "{refused}");
    let recorded = place.ledger.events(0, 10).expect("reads");
    let first: Value = serde_json::from_slice(&recorded[0].bytes).expect("an event");
    assert_eq!((recorded.len(), &first["tenant"], &first["tool"]["name"]), (2, &json!("acme"), &json!("look")));
    let halted = place.post("/v1/sessions/h/halt?tenant=acme", r#"{"by":"ana","reason":"enough"}"#).await;
    assert_eq!(halted.status, 200);
    let stopped = place.post("/v1/hooks/claude-code?tenant=acme", &hook("look").to_string()).await.json();
    assert_eq!(stopped["continue"], false, "{stopped}");
    let headers = "host: localhost\r\nx-agent-session: h\r\nx-agent-tenant: acme\r\n";
    let halted = place.send("GET", "/v1/authz/any", headers, "").await;
    assert_eq!((halted.status, halted.header("x-haltline-decision")), (403, Some("deny")), "{}", halted.head);
    let other = place.send("GET", "/v1/authz", "host: localhost\r\nx-agent-session: other\r\n", "").await;
    assert_eq!(other.status, 200, "{}", other.head);
    assert_eq!(place.send("GET", "/v1/authz", "host: localhost\r\n", "").await.status, 403, "no session");
}

#[tokio::test]
async fn credentials_are_for_sessions_that_run() {
    let place = place("").await;
    let minted = place.post("/v1/sessions/s/tokens", r#"{"tools":["look_*"],"ttl_s":60}"#).await;
    assert_eq!(minted.status, 200, "{}", minted.body);
    let token = minted.json()["token"].as_str().expect("a token").to_owned();
    let keys = place.get("/.well-known/jwks.json").await.json();
    assert_eq!((&keys["keys"][0]["alg"], token.split('.').count()), (&json!("EdDSA"), 3));
    assert_eq!(place.post("/v1/sessions/s/tokens", r#"{"tools":[]}"#).await.status, 422);
    place.post("/v1/sessions/s/halt", r#"{"by":"ana","reason":"enough"}"#).await;
    let refused = place.post("/v1/sessions/s/tokens", r#"{"tools":["look_*"]}"#).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &json!("halted")));
    let rows = place.ledger.audit().expect("reads");
    assert!(!String::from_utf8(rows.concat()).expect("text").contains(&token), "a token is in no log");
}

#[tokio::test]
async fn every_order_is_noted_in_a_chain() {
    let place = place("").await;
    place.post("/v1/sessions/s/halt", r#"{"by":"ana","reason":"enough"}"#).await;
    place.post("/v1/sessions/s/resume", r#"{"by":"bo","reason":"was nothing"}"#).await;
    place.post("/v1/rules/reload", r#"{"by":"ana","reason":"new rules"}"#).await;
    let rows = place.ledger.audit().expect("reads");
    let entries: Vec<Entry> = rows.iter().map(|row| Entry::from_line(row).expect("an entry")).collect();
    let told: Vec<_> = entries.iter().map(|entry| (entry.action.as_str(), entry.actor.as_str())).collect();
    let expected = [("start", "haltline"), ("halt", "ana"), ("resume", "bo"), ("rules.reload", "ana")];
    assert_eq!(told, expected);
    assert!(entries[1].from.as_deref().is_some_and(|from| from.starts_with("127.0.0.1:")));
    assert!(verify(entries.iter().cloned().map(Ok), &[]).is_sound());
    let mut edited = entries.clone();
    edited[1].actor = "eve".to_owned();
    assert!(!verify(edited.into_iter().map(Ok), &[]).is_sound());
    let listed = place.get("/v1/audit?limit=2").await.json();
    assert_eq!(listed["entries"][0]["action"], "rules.reload", "{listed}");
}

#[tokio::test]
async fn other_rules_are_tried_without_being_taken() {
    let place = Place::plain().await;
    let rule = scope("look-deny", "look", "deny").text;
    let events = json!([
        {"v": 1, "id": "e1", "session": "s", "kind": "tool_call", "tool": {"name": "look", "args": {"amount": 11}}},
        {"v": 1, "id": "e2", "session": "s", "kind": "tool_call", "tool": {"name": "look", "args": {"amount": 1}}},
    ]);
    let tried = place.post("/v1/rules/backtest", &json!({"rules": rule, "events": events}).to_string()).await;
    let expected = json!([{"event_id": "e1", "session": "s", "before": "allow", "after": "deny", "rules_added": ["look-deny"], "rules_removed": []}]);
    assert_eq!((tried.status, &tried.json()["changed"]), (200, &expected), "{}", tried.body);
    let broken = place.post("/v1/rules/backtest", &json!({"rules": "id = 3", "events": []}).to_string()).await;
    assert_eq!((broken.status, &broken.json()["error"]["code"]), (422, &json!("bad_rules")));
}

/// The next lines of a stream, up to an empty one, without comments.
async fn event(stream: &mut BufReader<TcpStream>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).await.expect("read"), 0, "the stream has ended");
        let line = line.trim_end();
        // Between chunks stand their lengths.
        let is_length = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        match line.split_once(':') {
            Some(_) => lines.push(line.to_owned()),
            None if !is_length && !lines.is_empty() => return lines,
            None => {}
        }
    }
}

async fn follow(place: &Place, path: &str, last: Option<&str>) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(place.address).await.expect("connects");
    let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{last}\r\n").as_bytes()).await.expect("sent");
    let mut stream = BufReader::new(stream);
    let head = event(&mut stream).await;
    assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
    assert_eq!(event(&mut stream).await[0], "event: hello");
    stream
}

#[tokio::test]
async fn streams_tell_what_happens_and_go_on_where_a_reader_was() {
    let place = place("").await;
    let halt = |session: &str| format!("/v1/sessions/{session}/halt");
    let order = r#"{"by":"ana","reason":"enough"}"#;
    let mut live = follow(&place, "/v1/halts/stream", None).await;
    place.post(&halt("a"), order).await;
    place.post("/v1/sessions/a/resume", order).await;
    let (first, second) = (event(&mut live).await, event(&mut live).await);
    let names = |lines: &[String]| lines.iter().filter(|line| !line.starts_with("data")).cloned().collect::<Vec<_>>();
    assert_eq!(names(&first), ["id: 1700000000000-0", "event: halt"]);
    assert_eq!(names(&second), ["id: 1700000000000-1", "event: resume"]);
    let data: Value =
        serde_json::from_str(first.last().and_then(|line| line.strip_prefix("data: ")).expect("data")).expect("json");
    assert_eq!((&data["session"], &data["by"]), (&json!("a"), &json!("ana")));
    let mut again = follow(&place, "/v1/halts/stream", Some("1700000000000-0")).await;
    assert_eq!(names(&event(&mut again).await), ["id: 1700000000000-1", "event: resume"]);
    for foreign in ["1600000000000-0", "x", "1700000000000-99"] {
        let mut lost = follow(&place, &format!("/v1/halts/stream?last_event_id={foreign}"), None).await;
        assert_eq!(names(&event(&mut lost).await), ["event: gap"], "{foreign}");
        assert_eq!(names(&event(&mut lost).await), ["id: 1700000000000-0", "event: halt"], "{foreign}");
    }
    let mut elsewhere = follow(&place, "/v1/halts/stream?tenant=acme", None).await;
    place.post(&halt("b"), order).await;
    place.post("/v1/sessions/c/halt?tenant=acme", order).await;
    assert_eq!(
        names(&event(&mut elsewhere).await),
        ["id: 1700000000000-3", "event: halt"],
        "the other tenant's is left out"
    );
}
