//! The edges of the control API: posted events, bodies, hosts, headers, a log that refuses, the page.

use serde_json::json;

use super::tests::{PLAIN, Place, Setup};
use crate::limits::HTTP_BODY_BYTES_MAX;

const EVENT: &str = r#"{"v":1,"session":"a","kind":"message","text":"hello"}"#;

#[tokio::test]
async fn posted_events_are_in_the_log_when_they_are_answered() {
    let place = Place::plain().await;
    let no_kind = r#"{"v":1,"session":"b"}"#;
    let rows = [
        (EVENT.to_owned(), 200, json!(1), json!([])),
        (format!("[{EVENT},{EVENT}]"), 200, json!(2), json!([])),
        (format!("{EVENT}\n{EVENT}\n{EVENT}"), 200, json!(3), json!([])),
        ("[]".to_owned(), 200, json!(0), json!([])),
        (format!("{EVENT}\n{no_kind}\n7"), 200, json!(1), json!([["missing_field", true], ["not_an_object", false]])),
        (no_kind.to_owned(), 422, json!(0), json!([["missing_field", true]])),
        ("7".to_owned(), 422, json!(0), json!([["not_an_object", false]])),
    ];
    for (body, status, accepted, rejected) in rows {
        let answer = place.post("/v1/events", &body).await;
        let json = answer.json();
        let found: Vec<_> =
            json["rejected"].as_array().expect("a list").iter().map(|r| json!([r["reason"], r["recorded"]])).collect();
        assert_eq!((answer.status, &json["accepted"], json!(found)), (status, &accepted, rejected), "{body}: {json}");
        assert_eq!(json["error"]["code"].is_string(), status == 422, "{json}");
    }
    let logged = place.ledger.events(0, 100).expect("reads");
    let bad = logged.iter().filter(|event| event.bytes == no_kind.as_bytes()).count();
    assert_eq!((logged.len(), bad), (9, 2), "the good ones and, as evidence, the bad ones of a known session");
}

#[tokio::test]
async fn a_log_or_ledger_that_refuses_is_said_to_be_unavailable() {
    let place = Place::start(Setup { broken_log: true, ..PLAIN() }).await;
    let event = format!(r#"{{"v":1,"session":"a","kind":"message","text":"{}"}}"#, "x".repeat(2_000));
    let order = json!({"by": "ana", "reason": "é".repeat(1_000)}).to_string();
    for (path, body, code) in
        [("/v1/events", &event, "log_unavailable"), ("/v1/sessions/s/halt", &order, "ledger_unavailable")]
    {
        let answer = place.post(path, body).await;
        let error = answer.json()["error"].clone();
        assert_eq!(
            (answer.status, answer.header("retry-after"), error["code"].as_str()),
            (503, Some("1"), Some(code)),
            "{error}"
        );
        assert!(error["message"].as_str().is_some_and(|text| text.contains("expected the")), "{error}");
    }
    assert_eq!(place.halts.all(), [], "what is not durable is not shown");
    let closed = Place::start(Setup { takes_events: false, ..PLAIN() }).await;
    let answer = closed.post("/v1/events", EVENT).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (409, Some("closed")), "{}", answer.body);
}

#[tokio::test]
async fn bodies_hosts_and_content_types_are_checked_on_every_route() {
    let place = Place::plain().await;
    let json_type = "content-type: application/json\r\n";
    for route in ["/v1/gate", "/v1/events", "/v1/sessions/s/halt", "/v1/sessions/s/resume"] {
        for (headers, status) in [
            (json_type.to_owned(), 421),
            (format!("host: evil.example:8088\r\n{json_type}"), 421),
            (format!("host: localhost\r\nhost: evil.example\r\n{json_type}"), 421),
            ("host: localhost\r\n".to_owned(), 415),
            ("host: localhost\r\ncontent-type: text/plain\r\n".to_owned(), 415),
        ] {
            let answer = place.send("POST", route, &headers, "{}").await;
            // A request without any host is no HTTP/1.1 and may be refused even before.
            assert!(
                answer.status == status || (headers == json_type && answer.status == 400),
                "{route} {headers}: {}",
                answer.head
            );
        }
        let length = HTTP_BODY_BYTES_MAX + 1;
        let head = format!("POST {route} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{json_type}");
        let announced = place.raw(format!("{head}content-length: {length}\r\n\r\n").as_bytes()).await;
        let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n").into_bytes();
        chunked.resize(chunked.len() + length, b' ');
        let chunked = place.raw(&chunked).await;
        for answer in [announced, chunked] {
            assert_eq!(
                (answer.status, answer.json()["error"]["code"].as_str()),
                (413, Some("body_too_large")),
                "{route}"
            );
        }
    }
    for route in ["/", "/healthz", "/metrics", "/v1/sessions", "/nowhere"] {
        assert_eq!(place.send("GET", route, "host: rebound.example\r\n", "").await.status, 421, "{route}");
    }
    let gate = place.send("GET", "/v1/gate", "host: localhost\r\n", "").await;
    assert_eq!((gate.status, gate.header("allow")), (405, Some("POST")));
    assert_eq!(
        place.send("BREW", "/v1/confirmations/x", "host: localhost\r\n", "").await.header("allow"),
        Some("GET,HEAD,POST")
    );
    let sessions = place.send("PUT", "/v1/sessions", "host: localhost\r\n", "").await;
    assert_eq!((sessions.status, sessions.header("allow")), (405, Some("GET,HEAD")));
}

#[tokio::test]
async fn answers_carry_headers_and_are_counted() {
    let place = Place::plain().await;
    for (path, status) in
        [("/", 200), ("/v1/rules", 200), ("/metrics", 200), ("/nowhere", 404), ("/v1/sessions/x", 404)]
    {
        let answer = place.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let header = |name| answer.header(name).unwrap_or_default();
        assert_eq!((header("x-content-type-options"), header("referrer-policy")), ("nosniff", "no-referrer"), "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let metrics = place.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "haltline_http_requests_total{route=\"/v1/sessions/{session}\",status=\"404\"} 1",
        "haltline_http_requests_total{route=\"none\",status=\"404\"} 1",
        "haltline_sessions_halted 0",
        "haltline_ready 1",
    ] {
        assert!(metrics.body.lines().any(|l| l == line), "{line}\n{}", metrics.body);
    }
    assert_eq!(place.get("/healthz").await.json(), json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
    assert_eq!(place.get("/readyz").await.json(), json!({"ready": true, "waiting": []}));
}

#[tokio::test]
async fn the_console_is_one_page_that_loads_nothing_from_elsewhere() {
    let place = Place::plain().await;
    let page = place.get("/").await;
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    for part in
        ["script-src 'self'", "connect-src 'self'", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let pages = [page.body.clone(), place.get("/docs").await.body];
    let mut files: Vec<String> = Vec::new();
    for page in &pages {
        files.extend(page.split(['"', '\'']).filter(|part| part.starts_with("/assets/")).map(str::to_owned));
    }
    for script in files.clone().iter().filter(|file| file.rsplit('.').next() == Some("js")) {
        let body = place.get(script).await.body;
        let imported = body.split(['"', '\'']).filter(|part| part.starts_with("./") || part.starts_with("/assets/"));
        files.extend(imported.map(|file| format!("/assets/{}", file.rsplit('/').next().expect("a name"))));
    }
    assert!(files.len() > 3, "{files:?}");
    for path in files {
        let asset = place.get(&path).await;
        let kind = if path.rsplit('.').next() == Some("css") { "text/css" } else { "text/javascript" };
        let content_type = format!("{kind}; charset=utf-8");
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(content_type.as_str())), "{path}");
        for word in ["http://", "https://", "innerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!asset.body.contains(word) && !pages.concat().contains(word), "{path}: {word}");
        }
    }
    assert_eq!(place.get("/assets/page.html").await.status, 404);
    for inline in ["style=", "<style", "<script>", "onclick", "onload", "onsubmit"] {
        assert!(!page.body.contains(inline), "the policy forbids {inline}");
    }
}
