//! The routes over a real socket, on an embedded ledger.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::*;
use crate::app::load_rules;
use crate::io::ledger::Ledger;
use crate::io::local::LocalLedger;
use crate::limits::HTTP_BODY_BYTES_MAX;

/// A served API. Nothing reads the events: there are no workers.
struct Served {
    address: SocketAddr,
    ledger: Arc<LocalLedger>,
    halts: Arc<HaltView>,
    _dir: tempfile::TempDir,
}

async fn served() -> Served {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = LocalLedger::open(&dir.path().join("l.redb")).expect("opens");
    let halts = Arc::new(HaltView::default());
    halts.set_complete();
    let (fleet, metrics) = (Fleet::new(Vec::new()), Arc::new(Metrics::new().expect("good names")));
    let orders = Orders::new(Ledger::Local(ledger.clone()), halts.clone(), fleet.clone(), metrics.clone());
    // The sender may go: the receiver keeps the last value.
    let (_, program) = watch::channel(load_rules(&[]).expect("the built-in packs"));
    let api = Api {
        halts: halts.clone(),
        fleet,
        orders,
        metrics,
        recent: Arc::default(),
        ingest: Ingest::Local(ledger.clone()),
        ready: Arc::new(Readiness::new(&[])),
        program,
    };
    let listener = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, router(Arc::new(api)), std::future::pending()));
    Served { address, ledger, halts, _dir: dir }
}

impl Served {
    /// Sends a raw request and reads the status, the headers and the body.
    async fn raw(&self, request: String) -> (u16, String, Value) {
        let address = self.address;
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("listens");
            // A server that refuses early may close before everything is sent.
            let _ = stream.write_all(request.as_bytes());
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        });
        let answer = answer.await.expect("no panic");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, Value) {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}");
        self.raw(request).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.send("GET", path, "host: localhost\r\n", "").await;
        (status, body)
    }

    async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let headers = "host: localhost\r\ncontent-type: application/json\r\n";
        let (status, _, body) = self.send("POST", path, headers, body).await;
        (status, body)
    }
}

#[tokio::test]
async fn halting_and_releasing_shows_at_the_gate() {
    let served = served().await;
    let gate = json!({"session": "s/1 ü", "tenant": "acme", "action": {"tool": "x"}}).to_string();
    let order = json!({"by": "ana", "reason": "odd refunds"}).to_string();
    let path = "/v1/sessions/s%2F1%20%C3%BC";
    let (_, open) = served.post("/v1/gate", &gate).await;
    assert_eq!((&open["decision"], &open["halted"], &open["halt"]), (&json!("allow"), &json!(false), &Value::Null));
    for changed in [true, false] {
        let (status, answer) = served.post(&format!("{path}/halt?tenant=acme"), &order).await;
        assert_eq!((status, &answer["changed"], &answer["epoch"]), (200, &json!(changed), &json!(1)), "{answer}");
    }
    let (_, shut) = served.post("/v1/gate", &gate).await;
    assert_eq!(
        (&shut["decision"], &shut["halt"]["by"], &shut["reason"]),
        (&json!("deny"), &json!("ana"), &json!("odd refunds"))
    );
    assert!(shut["rev"].as_u64() > open["rev"].as_u64());
    let (_, other) = served.post("/v1/gate", &json!({"session": "s/1 ü"}).to_string()).await;
    assert_eq!(other["decision"], "allow", "another tenant's session of the same name");
    let (_, known) = served.get(&format!("{path}?tenant=acme")).await;
    assert_eq!((&known["state"], &known["session"]), (&json!("halted"), &json!("s/1 ü")));
    assert_eq!(served.get("/v1/halts?tenant=acme").await.1["halts"][0]["session"], "s/1 ü");
    assert_eq!(served.get("/v1/sessions?state=halted").await.1["sessions"].as_array().map(Vec::len), Some(1));
    let (_, answer) = served.post(&format!("{path}/resume?tenant=acme"), &order).await;
    assert_eq!((&answer["changed"], &answer["epoch"]), (&json!(true), &json!(2)));
    assert_eq!(served.post("/v1/gate", &gate).await.1["decision"], "allow");
    assert_eq!(served.get("/v1/halts").await.1["halts"], json!([]));
    assert_eq!(served.ledger.halts().expect("reads")[0].epoch, 2, "durable");
}

#[tokio::test]
async fn posted_events_are_durable_when_answered_and_bad_ones_are_named() {
    let served = served().await;
    let event = |n: u32| json!({"v": 1, "session": format!("s{n}"), "kind": "message", "text": "hi"}).to_string();
    let pretty = format!("{:#}", serde_json::from_str::<Value>(&event(0)).expect("JSON"));
    let bad = r#"{"v":1,"session":"evidence"}"#;
    let rows = [
        (event(1), 200, 1, 0),
        (pretty, 200, 1, 0),
        (format!("[{},{}]", event(2), event(3)), 200, 2, 0),
        (format!("{}\n\n{}\n", event(4), event(5)), 200, 2, 0),
        (format!("{}\n{bad}\nnot json\n", event(6)), 200, 1, 2),
        (bad.to_owned(), 422, 0, 1),
    ];
    let mut logged = 0;
    for (body, status, accepted, rejected) in rows {
        let (got, answer) = served.post("/v1/events", &body).await;
        assert_eq!((got, &answer["accepted"]), (status, &json!(accepted)), "{body}: {answer}");
        let refused = answer["rejected"].as_array().expect("a list");
        assert_eq!(refused.len(), rejected, "{answer}");
        let recorded = refused.iter().filter(|refused| refused["recorded"] == true).count();
        logged += accepted + recorded;
        assert_eq!(served.ledger.events(0, 100).expect("reads").len(), logged, "{body}");
    }
}

#[tokio::test]
async fn errors_say_what_was_expected() {
    let served = served().await;
    let json_type = "host: localhost\r\ncontent-type: application/json\r\n";
    let large = " ".repeat(HTTP_BODY_BYTES_MAX + 1);
    let long = json!({"by": "ana", "reason": "x".repeat(2_000)}).to_string();
    let rows: [(&str, &str, &str, &str, u16, &str); 14] = [
        ("GET", "/nowhere", "host: localhost\r\n", "", 404, "no_route"),
        ("GET", "/v1/gate", "host: localhost\r\n", "", 405, "wrong_method"),
        ("DELETE", "/v1/sessions/s", "host: localhost\r\n", "", 405, "wrong_method"),
        ("GET", "/healthz", "host: evil.example\r\n", "", 421, "wrong_host"),
        ("POST", "/v1/gate", "host: localhost\r\ncontent-type: text/plain\r\n", "{}", 415, "content_type"),
        ("POST", "/v1/gate", "host: localhost\r\n", "{}", 415, "content_type"),
        ("POST", "/v1/gate", json_type, "{", 422, "malformed"),
        ("POST", "/v1/gate", json_type, "{}", 422, "malformed"),
        ("POST", "/v1/events", json_type, "", 422, "malformed"),
        ("POST", "/v1/events", json_type, &large, 413, "too_large"),
        ("POST", "/v1/sessions/s/halt", json_type, r#"{"by":"ana"}"#, 422, "malformed"),
        ("POST", "/v1/sessions/s/halt", json_type, r#"{"by":"ana","reason":" "}"#, 422, "malformed"),
        ("POST", "/v1/sessions/s/resume", json_type, &long, 422, "malformed"),
        ("GET", "/v1/sessions/nobody", "host: localhost\r\n", "", 404, "unknown_session"),
    ];
    for (method, path, headers, body, status, code) in rows {
        let (got, head, answer) = served.send(method, path, headers, body).await;
        assert_eq!((got, answer["error"]["code"].as_str()), (status, Some(code)), "{method} {path}: {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{answer}");
        assert!(head.contains("content-security-policy: default-src 'none'") && head.contains("nosniff"), "{head}");
        assert_eq!(head.contains("allow:"), status == 405, "{head}");
    }
    assert_eq!(served.halts.all().len(), 0, "nothing was halted by any of these");
}

#[tokio::test]
async fn health_metrics_rules_and_the_console_are_served() {
    let served = served().await;
    assert_eq!(served.get("/healthz").await.1["status"], "ok");
    assert_eq!(served.get("/readyz").await, (200, json!({"ready": true, "waiting": []})));
    let (_, metrics) = served.get("/metrics").await;
    assert!(metrics.as_str().is_some_and(|text| text.contains("haltline_ready 1")), "{metrics}");
    let (_, rules) = served.get("/v1/rules").await;
    assert!(rules["rules"].as_array().is_some_and(|rules| rules.len() > 5), "{rules}");
    for (path, kind) in
        [("/", "text/html"), ("/assets/console.js", "text/javascript"), ("/assets/console.css", "text/css")]
    {
        let (status, head, _) = served.send("GET", path, "host: 127.0.0.1:1\r\n", "").await;
        assert!(status == 200 && head.contains(kind), "{path}: {head}");
    }
}

#[tokio::test]
async fn while_the_halts_are_not_known_nothing_is_allowed() {
    let mut served = served().await;
    served.halts = Arc::new(HaltView::default());
    // A second API over a view that was never filled.
    let (fleet, metrics) = (Fleet::new(Vec::new()), Arc::new(Metrics::new().expect("good names")));
    let ledger = Ledger::Local(served.ledger.clone());
    let (_, program) = watch::channel(load_rules(&[]).expect("the built-in packs"));
    let api = Api {
        orders: Orders::new(ledger, served.halts.clone(), fleet.clone(), metrics.clone()),
        halts: served.halts.clone(),
        fleet,
        metrics,
        recent: Arc::default(),
        ingest: Ingest::Closed,
        ready: Arc::new(Readiness::new(&["halts"])),
        program,
    };
    let listener = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    served.address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, router(Arc::new(api)), std::future::pending()));
    assert_eq!(served.get("/readyz").await, (503, json!({"ready": false, "waiting": ["halts"]})));
    assert_eq!(served.post("/v1/gate", r#"{"session":"s"}"#).await.0, 503);
    assert_eq!(served.post("/v1/sessions/s/halt", r#"{"by":"a","reason":"b"}"#).await.0, 503);
    assert_eq!(served.post("/v1/events", r#"{"v":1,"session":"s","kind":"other"}"#).await.0, 409);
}

#[tokio::test]
async fn other_addresses_than_loopback_are_refused() {
    let error = bind("0.0.0.0:0".parse().expect("an address")).await.expect_err("no tokens yet");
    assert!(error.to_string().contains("loopback only"), "{error}");
    let first = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let error = bind(first.local_addr().expect("bound")).await.expect_err("taken");
    assert!(error.to_string().contains("in use") && error.to_string().contains("http.listen"), "{error}");
}
