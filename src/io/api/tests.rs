//! The control API over a real loopback connection: every route's good answer and each of its errors.

use std::net::SocketAddr;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::engine::{FindingSummary, HashKey, Program, SessionView};
use crate::finding::{Action, Evidence, Finding, Mode, Severity};
use crate::halt::HaltRecord;
use crate::ids::Origin;
use crate::io::fleet::Control;
use crate::io::kafka::{KafkaLedger, KafkaSettings};
use crate::io::ledger::Ledger;
use crate::io::local::LocalLedger;
use crate::io::rule_files;
use crate::time::Millis;

/// What a test can set up before the server starts.
pub(super) struct Setup {
    pub(super) fleet: Fleet,
    pub(super) ready: bool,
    pub(super) takes_events: bool,
    pub(super) broken_log: bool,
    /// `[http]`, such as tokens.
    pub(super) http: &'static str,
    /// `[gate]`.
    pub(super) gate: &'static str,
    /// Rules in place of the built-in ones.
    pub(super) rules: Option<Arc<Program>>,
    /// Longest time of a request.
    pub(super) patience: Option<Duration>,
}

pub(super) const PLAIN: fn() -> Setup = || Setup {
    fleet: Fleet::new(vec![]),
    ready: true,
    takes_events: true,
    broken_log: false,
    http: "",
    gate: "",
    rules: None,
    patience: None,
};

/// The built-in rules, compiled once for all tests.
static PROGRAM: LazyLock<Arc<Program>> = LazyLock::new(|| {
    let rules = crate::rules::load(&rule_files::built_in()).expect("good rules");
    Arc::new(Program::new(Arc::new(rules)).expect("compiles"))
});

pub(super) struct Place {
    pub(super) address: SocketAddr,
    pub(super) halts: Arc<HaltView>,
    pub(super) recent: Arc<Recent>,
    pub(super) ledger: Arc<LocalLedger>,
    metrics: Arc<Metrics>,
    _dir: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Place {
    pub(super) async fn start(setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = LocalLedger::open(&dir.path().join("l.redb")).expect("opens");
        let metrics = Arc::new(Metrics::new().expect("good names"));
        let (halts, recent) = (Arc::new(HaltView::default()), Arc::new(Recent::default()));
        let ready = Arc::new(Readiness::new(&["halts"]));
        if setup.ready {
            halts.set_complete();
            ready.done("halts");
        }
        let orders_ledger = if setup.broken_log { Ledger::Kafka(refusing()) } else { Ledger::Local(ledger.clone()) };
        let ingest = match (setup.takes_events, setup.broken_log) {
            (false, _) => Ingest::Closed,
            (true, true) => Ingest::Kafka(refusing(), "agent-events".into()),
            (true, false) => Ingest::Local(ledger.clone()),
        };
        let program = setup.rules.unwrap_or_else(|| PROGRAM.clone());
        let rules = Rulebook::new(program, (vec![], false), setup.fleet.clone(), metrics.clone());
        let http: HttpSettings = toml::from_str(&format!("listen = '127.0.0.1:0'\n{}", setup.http)).expect("good");
        let gate: GateSettings = toml::from_str(setup.gate).expect("good settings");
        let credentials = crate::io::credentials::Settings::default();
        let api = Api::new(Parts {
            orders: Orders::new(orders_ledger.clone(), halts.clone(), setup.fleet.clone(), metrics.clone()),
            halts: halts.clone(),
            fleet: setup.fleet,
            metrics: metrics.clone(),
            recent: recent.clone(),
            ingest,
            ready,
            rules: Arc::new(rules),
            settings: Settings { shadow: false, hash_key: HashKey([0; 16]) },
            callback_secrets: gate.secrets().expect("good secrets"),
            confirmations: Arc::new(Confirmations::new(orders_ledger.clone(), gate.confirm_timeout)),
            gate,
            audit: Arc::new(AuditLog::open(Ledger::Local(ledger.clone()), None, json!(null)).expect("random")),
            signer: Signer::open(&credentials).expect("a key"),
            webhooks: Desk::new(&[], orders_ledger, metrics.clone()),
            // Its sender must outlive the server, or it is taken for the end.
            stopping: Box::leak(Box::new(watch::channel(false))).1.clone(),
            started: Millis(1_700_000_000_000),
        });
        let mut guard = Guard::new(&http).expect("good tokens");
        guard.patience = setup.patience;
        let listener = bind(&http).await.expect("binds");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(serve(listener, router(api, guard), std::future::pending()));
        Self { address, halts, recent, ledger, metrics, _dir: dir }
    }

    pub(super) async fn plain() -> Self {
        Self::start(PLAIN()).await
    }

    /// Any bytes, after which the server must close the connection.
    pub(super) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        // A server that refuses a large body may close before all of it is written.
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(super) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        self.raw(request.as_bytes()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "host: localhost\r\n", "").await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, "host: 127.0.0.1:1\r\ncontent-type: application/json\r\n", body).await
    }

    async fn gate(&self, body: &Value) -> Value {
        let answer = self.post("/v1/gate", &body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

/// A ledger on Kafka that refuses every record of more than a kilobyte, without a broker.
fn refusing() -> Arc<KafkaLedger> {
    let text = "brokers = \"127.0.0.1:1\"\n[librdkafka]\n\"message.max.bytes\" = \"1000\"\n";
    let settings: KafkaSettings = toml::from_str(text).expect("good settings");
    Arc::new(KafkaLedger::new(&settings).expect("a producer"))
}

fn origin(offset: i64) -> Origin {
    Origin { topic: "t".into(), partition: 3, offset }
}

pub(super) fn finding(session: &str, offset: i64) -> Finding {
    Finding {
        v: 1,
        id: format!("f_{offset}"),
        tenant: "acme".into(),
        session: session.into(),
        agent: None,
        event_id: format!("e-{offset}"),
        tool: None,
        ts: Millis(1_000 + offset),
        rule: "some-rule".into(),
        rule_version: "1".into(),
        title: "Some rule".into(),
        severity: Severity::High,
        action: Action::Halt,
        mode: Mode::Enforce,
        tags: Arc::new([]),
        evidence: Evidence { summary: "5 events in 5m, limit 5".into(), ..Evidence::default() },
        origin: origin(offset),
    }
}

pub(super) fn halted_by_rule(session: &str) -> HaltRecord {
    HaltRecord::from_finding(&finding(session, 7), None)
}

pub(super) fn view(session: &str, offset: i64) -> SessionView {
    SessionView {
        tenant: "acme".into(),
        score: 0.0,
        session: session.into(),
        agent: Some("bot".into()),
        first_seen: Millis(1),
        last_seen: Millis(offset),
        last_origin: origin(offset),
        events: 4,
        malformed: 0,
        events_after_halt: 0,
        findings_total: 0,
        findings: Vec::<FindingSummary>::new(),
        trail: vec![],
    }
}

/// Workers of which the first has seen these sessions.
pub(super) fn fleet_that_saw(views: Vec<SessionView>) -> Fleet {
    let (queue, messages) = crossbeam_channel::unbounded();
    std::thread::spawn(move || {
        for message in messages {
            match message {
                Control::Session { tenant, session, reply } => {
                    let seen = views.iter().find(|v| *v.tenant == *tenant && *v.session == *session);
                    let _ = reply.send(seen.cloned());
                }
                Control::Sessions { reply, .. } => drop(reply.send(views.clone())),
                _ => {}
            }
        }
    });
    Fleet::new(vec![queue])
}

#[tokio::test]
async fn errors_are_json_and_say_what_was_expected() {
    let place = Place::plain().await;
    let long = "x".repeat(257);
    let rows: [(&str, &str, String, u16, &str, &str); 24] = [
        ("GET", "/nowhere", String::new(), 404, "unknown_route", "expected a route"),
        ("POST", "/v1/nowhere", "{}".into(), 404, "unknown_route", "expected a route"),
        ("DELETE", "/v1/sessions", String::new(), 405, "wrong_method", "got DELETE"),
        ("GET", "/v1/gate", String::new(), 405, "wrong_method", "`allow` header"),
        ("OPTIONS", "/v1/events", String::new(), 405, "wrong_method", "got OPTIONS"),
        (
            "GET",
            "/v1/sessions?limit=0",
            String::new(),
            400,
            "bad_query",
            "expected a whole number from 1 to 1000, got `0`",
        ),
        ("GET", "/v1/sessions?limit=1001", String::new(), 400, "bad_query", "got `1001`"),
        ("GET", "/v1/sessions?state=stopped", String::new(), 400, "bad_query", "expected `halted` or `running`"),
        ("GET", "/v1/sessions?tenent=acme", String::new(), 400, "bad_query", "unknown field `tenent`, expected"),
        ("GET", "/v1/sessions/s?tenent=acme", String::new(), 400, "bad_query", "expected `tenant`"),
        ("GET", "/v1/halts?state=running", String::new(), 400, "bad_query", "expected `halted` or `all`"),
        ("GET", "/v1/findings?limit=x", String::new(), 400, "bad_query", "got `x`"),
        ("GET", "/v1/sessions/%ff", String::new(), 400, "bad_session", "expected /v1/sessions/SESSION"),
        ("GET", &format!("/v1/sessions/{long}"), String::new(), 400, "bad_session", "at most 256 bytes"),
        ("GET", "/v1/sessions/nobody", String::new(), 404, "unknown_session", "expected a session that was seen"),
        ("POST", "/v1/gate", String::new(), 400, "bad_json", "EOF"),
        ("POST", "/v1/gate", "nonsense".into(), 400, "bad_json", r#"expected {"session""#),
        ("POST", "/v1/gate", "{}".into(), 422, "bad_request", "missing field `session`"),
        ("POST", "/v1/gate", r#"{"session":true}"#.into(), 422, "bad_request", "expected a string"),
        ("POST", "/v1/gate", r#"{"session":""}"#.into(), 422, "bad_session", "got an empty name"),
        ("POST", "/v1/gate", r#"{"session":"a","session":"b"}"#.into(), 422, "bad_request", "duplicate field"),
        (
            "POST",
            "/v1/gate",
            format!(r#"{{"session":"a","tenant":"{long}"}}"#),
            422,
            "bad_session",
            "at most 256 bytes",
        ),
        ("POST", "/v1/events", String::new(), 400, "empty_body", "expected one event"),
        ("POST", "/v1/events", "[1,".into(), 400, "bad_json", "expected a JSON array"),
    ];
    for (method, path, body, status, code, message) in rows {
        let answer = place.send(method, path, "host: localhost\r\ncontent-type: application/json\r\n", &body).await;
        let error = answer.json()["error"].clone();
        assert_eq!(
            (answer.status, error["code"].as_str()),
            (status, Some(code)),
            "{method} {path} {body}: {}",
            answer.body
        );
        assert!(error["message"].as_str().is_some_and(|text| text.contains(message)), "{method} {path}: {error}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
    }
}

#[tokio::test]
async fn orders_need_a_person_and_a_reason() {
    let place = Place::plain().await;
    let long = "ä".repeat(1_001);
    for (body, status, message) in [
        ("{}".to_owned(), 422, "missing field `by`"),
        (json!({"by": "ana"}).to_string(), 422, "missing field `reason`"),
        (json!({"by": "", "reason": "x"}).to_string(), 422, "by: expected some words"),
        (json!({"by": "ana", "reason": " \n"}).to_string(), 422, "reason: expected some words"),
        (json!({"by": "ana", "reason": long}).to_string(), 422, "reason: expected at most 1000 characters"),
        (json!({"by": "Rule", "reason": "x"}).to_string(), 422, "`rule` stands for"),
        (json!({"by": 3, "reason": "x"}).to_string(), 422, "expected a string"),
        ("by=ana".to_owned(), 400, "expected {\"by\""),
    ] {
        for order in ["halt", "resume"] {
            let answer = place.post(&format!("/v1/sessions/s/{order}"), &body).await;
            assert_eq!(answer.status, status, "{body}: {}", answer.body);
            assert!(
                answer.json()["error"]["message"].as_str().is_some_and(|text| text.contains(message)),
                "{}",
                answer.body
            );
        }
    }
    assert_eq!(place.halts.all(), []);
}

#[tokio::test]
async fn a_session_is_halted_denied_released_and_allowed() {
    let place = Place::start(Setup { fleet: fleet_that_saw(vec![view("s/1 ä", 40)]), ..PLAIN() }).await;
    let path = |order: &str| format!("/v1/sessions/s%2F1%20%C3%A4/{order}?tenant=acme");
    let question = json!({"session": "s/1 ä", "tenant": "acme", "agent": {"id": "x"}, "action": {"kind": "tool_call", "args": {"a": [1]}}});
    let allowed = place.gate(&question).await;
    assert_eq!(
        allowed,
        json!({
            "decision": "allow", "halted": false, "halt": null, "rule": null, "reason": null, "findings": [],
            "confirmation": null, "dry_run": false, "windows": "not_here", "known": false, "ttl_ms": 0, "rev": 0,
        })
    );

    let order = json!({"by": " ana ", "reason": "looks odd"}).to_string();
    for (changed, by) in [(true, "ana"), (false, "ana")] {
        let answer = place.post(&path("halt"), &order).await.json();
        assert_eq!(
            (&answer["changed"], &answer["state"], &answer["epoch"]),
            (&json!(changed), &json!("halted"), &json!(1)),
            "{answer}"
        );
        assert_eq!((&answer["halt"]["by"], &answer["record"]["state"]), (&json!(by), &json!("halted")), "{answer}");
    }
    let denied = place.gate(&question).await;
    assert_eq!(
        (&denied["decision"], &denied["halted"], &denied["rev"]),
        (&json!("deny"), &json!(true), &json!(1)),
        "{denied}"
    );
    assert_eq!((&denied["halt"]["by"], &denied["reason"]), (&json!("ana"), &json!("looks odd")), "{denied}");
    let other = place.gate(&json!({"session": "s/1 ä"})).await;
    assert_eq!(other["decision"], "allow", "a session of that name in another tenant: {other}");

    for changed in [true, false] {
        let answer = place.post(&path("resume"), &order).await.json();
        assert_eq!(
            (&answer["changed"], &answer["state"], &answer["epoch"]),
            (&json!(changed), &json!("running"), &json!(2)),
            "{answer}"
        );
        assert_eq!(
            (&answer["halt"], &answer["record"]["cleared_through"]["offset"]),
            (&json!(null), &json!(40)),
            "{answer}"
        );
    }
    assert_eq!(place.gate(&question).await["decision"], "allow");
    let ids =
        |records: Vec<HaltRecord>| records.into_iter().map(|record| (record.id, record.epoch)).collect::<Vec<_>>();
    assert_eq!(ids(place.ledger.halts().expect("reads")), ids(place.halts.all()), "what the view says is durable");
    let one = place.get("/v1/sessions/s%2F1%20%C3%A4?tenant=acme").await.json();
    assert_eq!(
        (&one["state"], &one["halt"], &one["activity"]["events"]),
        (&json!("running"), &json!(null), &json!(4)),
        "{one}"
    );
    let never = place.post("/v1/sessions/never/resume", &order).await.json();
    assert_eq!(
        (&never["changed"], &never["state"], &never["epoch"]),
        (&json!(false), &json!("running"), &json!(0)),
        "{never}"
    );
}

#[tokio::test]
async fn the_gate_names_the_rule_and_reads_names_as_events_do() {
    let place = Place::plain().await;
    place.halts.apply(&halted_by_rule("12"));
    let denied = place.gate(&json!({"session": 12, "tenant": "acme"})).await;
    assert_eq!((&denied["rule"], &denied["halt"]["rule"]), (&json!("some-rule"), &json!("some-rule")));
    assert_eq!((&denied["halt"]["severity"], &denied["halt"]["epoch"]), (&json!("high"), &json!(1)));
    assert_eq!(denied["reason"], "Some rule: 5 events in 5m, limit 5");
    assert_eq!(denied["halt"]["since"], "1970-01-01T00:00:01.007Z");
    // An attacker's argument must not keep the gate from answering.
    for body in [
        r#"{"session":"12","tenant":"acme","action":{"args":"\ud800"}}"#,
        "{\"session\":\"12\",\"tenant\":\"acme\",\"action\":\"\x01\"}",
    ] {
        let answer = place.post("/v1/gate", body).await;
        assert_eq!((answer.status, &answer.json()["decision"]), (200, &json!("deny")), "{}", answer.body);
    }
    let deep = format!(r#"{{"session":"12","tenant":"acme","action":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(place.post("/v1/gate", &deep).await.json()["decision"], "deny");
    assert_eq!(place.metrics.gate_requests.with_label_values(&["deny"]).get(), 4);
    assert_eq!(place.post("/v1/gate", "{").await.status, 400);
    assert_eq!(place.metrics.gate_requests.with_label_values(&["error"]).get(), 1);
}

#[tokio::test]
async fn nothing_is_said_of_sessions_before_the_halts_are_known() {
    let place = Place::start(Setup { ready: false, ..PLAIN() }).await;
    let order = json!({"by": "ana", "reason": "x"}).to_string();
    let mut answers = Vec::new();
    for path in ["/v1/gate", "/v1/sessions/s/halt", "/v1/sessions/s/resume"] {
        let body = if path == "/v1/gate" { r#"{"session":"s"}"# } else { &order };
        answers.push((path, place.post(path, body).await));
    }
    for path in ["/v1/sessions", "/v1/sessions/s", "/v1/halts"] {
        answers.push((path, place.get(path).await));
    }
    for (path, answer) in answers {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{path}: {}", answer.body);
        assert_eq!(answer.json()["error"]["code"], "not_ready", "{path}");
    }
    let ready = place.get("/readyz").await;
    assert_eq!((ready.status, ready.json()), (503, json!({"ready": false, "waiting": ["halts"]})));
    assert_eq!(place.get("/healthz").await.status, 200);
    assert_eq!(place.get("/v1/findings").await.status, 200);
}
