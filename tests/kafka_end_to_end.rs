//! The whole way on a real Kafka: Kafka's own producer writes sessions, the program halts the right
//! ones, says so everywhere once, and still knows it after a crash.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use haltline::io::kafka::{KafkaLedger, KafkaSettings};
use support::engine::{Engine, command};
use support::kafka::Kafka;
use support::webhooks::Receiver;
use support::{http, unique, wait_for};

/// A deployment on the test run's node: its own topics, group and settings file.
struct Deployment {
    kafka: Kafka,
    topic: String,
    prefix: String,
    settings: tempfile::NamedTempFile,
}

impl Deployment {
    fn new(kafka: Kafka, extra: &str) -> Self {
        let name = unique("e2e");
        let (topic, prefix) = (format!("events-{name}"), format!("{name}."));
        kafka.topic(&topic, 3);
        let text = format!(
            "[kafka]\nbrokers = \"{}\"\ntopics = [\"{topic}\"]\ngroup = \"{name}\"\ntopic_prefix = \"{prefix}\"\nworkers = 2\n{extra}",
            kafka.bootstrap
        );
        let settings = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(settings.path(), text).expect("writes");
        Self { kafka, topic, prefix, settings }
    }

    fn start(&self) -> Engine {
        let config = self.settings.path().display().to_string();
        Engine::start(&["--config", &config]).ready()
    }

    fn produce(&self, events: &[Value]) {
        let record = |event: &Value| (event["session"].as_str().expect("a session").to_owned(), event.to_string());
        self.kafka.produce(&self.topic, &events.iter().map(record).collect::<Vec<_>>());
    }

    fn group(&self) -> &str {
        self.prefix.trim_end_matches('.')
    }

    fn written(&self, stream: &str) -> String {
        format!("{}{stream}", self.prefix)
    }
}

fn message(session: &str, n: usize, role: &str, text: &str) -> Value {
    json!({"v": 1, "id": format!("{session}-{n}"), "tenant": "acme", "session": session, "kind": "message", "role": role, "text": text})
}

fn call(session: &str, n: usize, tool: &str, args: Value) -> Value {
    json!({"v": 1, "id": format!("{session}-{n}"), "tenant": "acme", "session": session, "kind": "tool_call",
           "role": "assistant", "agent": {"id": "bot"}, "tool": {"name": tool, "args": args}})
}

fn refunds(session: &str, from: usize, count: usize) -> Vec<Value> {
    (from..from + count)
        .map(|n| call(session, n, "issue_refund", json!({"order": format!("A{n}"), "amount": 5})))
        .collect()
}

/// An honest session: a question, a look-up, two refunds, an answer.
fn benign(session: &str) -> Vec<Value> {
    let mut events =
        vec![message(session, 0, "user", "Please ignore my previous email, order A1 arrived. A2 is broken.")];
    events.push(call(session, 1, "get_order", json!({"order": "A2", "tenant": "acme"})));
    events.extend(refunds(session, 2, 2));
    events.push(message(session, 9, "assistant", "Both refunds are on their way."));
    events
}

fn cross_tenant(session: &str) -> Vec<Value> {
    vec![
        call(session, 0, "read_record", json!({"tenant": "acme", "id": 1})),
        call(session, 1, "read_record", json!({"tenant": "globex", "id": 1})),
        call(session, 2, "read_record", json!({"tenant": "globex", "id": 2})),
    ]
}

fn runaway(session: &str) -> Vec<Value> {
    (0..24).map(|n| call(session, n, "check_status", json!({"job": 7}))).collect()
}

/// The records of the halts topic by session.
fn halts_by_session(deployment: &Deployment, count: usize) -> BTreeMap<String, Value> {
    let records = deployment.kafka.consume(&deployment.written("halts"), count);
    records
        .iter()
        .map(|(_, value)| serde_json::from_str::<Value>(value).expect("JSON"))
        .map(|halt| (halt["session"].as_str().expect("a session").to_owned(), halt))
        .collect()
}

#[test]
fn the_right_sessions_are_halted_once_and_stay_halted() {
    let Some(kafka) = Kafka::get() else { return };
    let receiver = Receiver::start();
    let deployment = Deployment::new(kafka, &receiver.settings());
    let engine = deployment.start();
    let mut events: Vec<Value> = (0..5).flat_map(|n| benign(&format!("honest-{n}"))).collect();
    events.extend(refunds("refunds", 0, 6));
    events.extend(cross_tenant("tenants"));
    events.extend(runaway("loop"));
    deployment.produce(&events);
    deployment.kafka.produce(&deployment.topic, &[("poison".into(), "{\"v\":1,\"session\":\"poison\",".into())]);

    let expected = BTreeSet::from(["refunds", "tenants", "loop"]);
    let received = receiver.wait_for(expected.len());
    assert_eq!(received.iter().map(|r| r.session()).collect::<BTreeSet<_>>(), expected);
    wait_for("all events to be read", || {
        let read = engine.metric("haltline_events_total") + engine.metric("haltline_events_rejected_total");
        (read == events.len() as u64 + 1).then_some(())
    });
    let halts = halts_by_session(&deployment, expected.len());
    let tripped = |session: &str| halts[session]["event_id"].as_str().expect("an event").to_owned();
    assert_eq!(
        (tripped("refunds"), tripped("tenants"), tripped("loop")),
        ("refunds-4".into(), "tenants-1".into(), "loop-19".into())
    );
    assert!(deployment.kafka.describe(&deployment.written("halts")).contains("cleanup.policy=compact"));
    let letters = deployment.kafka.consume(&deployment.written("dead-letters"), 1);
    assert_eq!(letters[0], ("poison".to_owned(), "{\"v\":1,\"session\":\"poison\",".to_owned()));
    for session in &expected {
        let answer = http::get(engine.address, &format!("/v1/sessions/{session}?tenant=acme"));
        assert_eq!((answer.status, answer.json()["state"].clone()), (200, json!("halted")), "{}", answer.body);
    }
    let honest = http::get(engine.address, "/v1/sessions/honest-0?tenant=acme").json();
    assert_eq!(honest["state"], "running", "{honest}");
    engine.kill();

    // After a crash: still halted before the first event is read, and what was seen halts nobody again.
    let engine = deployment.start();
    for session in &expected {
        let gate = json!({"session": session, "tenant": "acme"});
        let answer = http::post(engine.address, "/v1/gate", &gate).json();
        assert_eq!(answer["decision"], "deny", "{answer}");
    }
    deployment.produce(&refunds("refunds", 20, 6));
    wait_for("the new events to be read", || (engine.metric("haltline_events_after_halt_total") >= 6).then_some(()));
    assert_eq!(deployment.kafka.count(&deployment.written("halt-events")), 3);
    assert_eq!(
        halts_by_session(&deployment, 3).values().map(|h| h["epoch"].clone()).collect::<Vec<_>>(),
        vec![json!(1); 3]
    );
    assert_eq!(receiver.received().len(), 3, "{:#?}", receiver.received());

    // Who ends in order leaves its groups, so that the next one need not wait for a session timeout.
    assert_eq!(engine.terminate(), Some(0));
    for group in [deployment.group().to_owned(), format!("{}-webhook-test", deployment.group())] {
        let described = deployment.kafka.describe_group(&group, "--state");
        assert!(described.contains("Empty"), "{described}");
    }
}

#[test]
fn a_window_goes_on_where_a_crash_left_it() {
    let Some(kafka) = Kafka::get() else { return };
    let deployment = Deployment::new(kafka, "");
    let engine = deployment.start();
    deployment.produce(&refunds("split", 0, 3));
    wait_for("the offsets to be committed", || {
        let lag = engine.metric("haltline_kafka_consumer_lag");
        let read = engine.metric("haltline_events_total");
        (read == 3 && lag == 0 && engine.metric("haltline_shards") == 3).then_some(())
    });
    // The offsets are committed each second; after that a restart begins behind these three.
    wait_for("the group's offsets", || committed(&deployment).filter(|committed| *committed == 3));
    engine.kill();
    let engine = deployment.start();
    deployment.produce(&refunds("split", 3, 1));
    wait_for("the fourth refund", || (engine.metric("haltline_events_total") == 1).then_some(()));
    let session = |engine: &Engine| http::get(engine.address, "/v1/sessions/split?tenant=acme").json();
    assert_eq!(session(&engine)["state"], "running");
    deployment.produce(&refunds("split", 4, 1));
    let halted = wait_for("the fifth refund to halt", || Some(session(&engine)).filter(|s| s["state"] == "halted"));
    assert_eq!(halted["halt"]["event_id"], "split-4", "{halted}");
}

/// The sum of the group's committed offsets; `None` while there is no group.
fn committed(deployment: &Deployment) -> Option<u64> {
    let text = deployment.kafka.describe_group(deployment.group(), "--offsets");
    let rows = text.lines().filter(|line| line.contains(&deployment.topic));
    let offsets: Vec<u64> = rows.filter_map(|row| row.split_whitespace().nth(3)?.parse().ok()).collect();
    (!offsets.is_empty()).then(|| offsets.iter().sum())
}

#[test]
fn a_slow_ledger_stops_the_reading_and_loses_nothing() {
    let Some(kafka) = Kafka::get() else { return };
    let deployment = Deployment::new(kafka, "");
    let engine = deployment.start();
    let ledger = format!("haltline-ledger-{}", engine.id());
    deployment.kafka.limit_producer(&ledger, Some(1_000));
    let foreign = |n| call(&format!("s-{}", n % 9), n, "read_record", json!({"tenant": "globex", "id": n}));
    let events: Vec<Value> = (0..60_000).map(foreign).collect();
    deployment.produce(&events);
    let said = |what: &str| engine.log().iter().any(|line| line.contains(what)).then_some(());
    wait_for("the reading to be paused", || said("reading is paused"));
    let read = engine.metric("haltline_events_total");
    assert!(read < events.len() as u64, "reading goes no further than the queues: {read}");
    assert!(engine.metric("haltline_batches_in_flight") <= 64);
    assert_eq!(
        http::post(engine.address, "/v1/gate", &json!({"session": "s"})).status,
        200,
        "the gate waits for nobody"
    );
    assert!(deployment.kafka.describe_group(deployment.group(), "--state").contains("Stable"));

    deployment.kafka.limit_producer(&ledger, None);
    wait_for("the reading to go on", || said("reading goes on"));
    wait_for("all events", || (engine.metric("haltline_events_total") == events.len() as u64).then_some(()));
    let findings = || deployment.kafka.count(&deployment.written("findings"));
    wait_for("a finding for each event", || (findings() >= events.len() as u64).then_some(()));
    let again = findings();
    assert_eq!(engine.terminate(), Some(0));
    assert_eq!(findings(), again, "and none twice");
}

#[test]
fn an_operator_halts_and_releases_and_a_restart_respects_it() {
    let Some(kafka) = Kafka::get() else { return };
    let receiver = Receiver::start();
    let deployment = Deployment::new(kafka, &receiver.settings());
    let engine = deployment.start();
    deployment.produce(&refunds("s", 0, 5));
    receiver.wait_for(1);
    let order = json!({"by": "ana", "reason": "checked with the customer"});
    let resumed = http::post(engine.address, "/v1/sessions/s/resume?tenant=acme", &order);
    assert_eq!((resumed.status, resumed.json()["changed"].clone()), (200, json!(true)), "{}", resumed.body);
    let again = http::post(engine.address, "/v1/sessions/s/resume?tenant=acme", &order);
    assert_eq!(again.json()["changed"], false, "{}", again.body);
    assert_eq!(receiver.wait_for(2)[1].body["type"], "session.resumed");
    engine.kill();

    // What was before the release is read again and halts nobody; what comes after it does.
    let engine = deployment.start();
    deployment.produce(&refunds("s", 5, 4));
    wait_for("four more refunds", || (engine.metric("haltline_events_total") >= 4).then_some(()));
    let state = |engine: &Engine| http::get(engine.address, "/v1/sessions/s?tenant=acme").json();
    assert_eq!(state(&engine)["state"], "running", "{}", state(&engine));
    deployment.produce(&refunds("s", 9, 1));
    let third = receiver.wait_for(3)[2].clone();
    assert_eq!((third.body["type"].clone(), third.body["data"]["epoch"].clone()), (json!("session.halted"), json!(3)));
    assert_eq!(third.body["data"]["event_id"], "s-9");

    // Whatever was told can be found again by its id, to be sent again.
    let (brokers, topic_prefix) = (deployment.kafka.bootstrap.clone(), deployment.prefix.clone());
    let settings = KafkaSettings { brokers, topic_prefix, ..KafkaSettings::default() }.resolve().expect("settings");
    let ledger = KafkaLedger::new(&settings).expect("a client");
    for told in receiver.received() {
        let found = ledger.halt_event(&told.id).expect("reads").expect("is there");
        assert_eq!(serde_json::to_value(found).expect("JSON"), told.body["data"]);
    }
    assert_eq!(ledger.halt_event("h_none"), Ok(None));
}

#[test]
fn sasl_and_tls_connect_and_a_wrong_password_says_so() {
    let Some(kafka) = Kafka::get() else { return };
    let (address, certs) = (std::env::var("HALTLINE_TEST_KAFKA_SASL_SSL"), std::env::var("HALTLINE_TEST_CERTS"));
    let (Ok(address), Ok(certs)) = (address, certs) else {
        panic!("tests/run sets HALTLINE_TEST_KAFKA_SASL_SSL and HALTLINE_TEST_CERTS")
    };
    let secure = |password: &str| {
        format!(
            "security_protocol = \"sasl_ssl\"\nsasl_mechanism = \"SCRAM-SHA-512\"\nsasl_username = \"haltline\"\n\
             sasl_password = \"{password}\"\nssl_ca_location = \"{certs}/ca.pem\"\n[kafka.librdkafka]\n\"bootstrap.servers\" = \"{address}\"\n"
        )
    };
    let deployment = Deployment::new(kafka, &secure("test-only-password"));
    let engine = deployment.start();
    deployment.produce(&cross_tenant("secure"));
    wait_for("the halt", || {
        let session = http::get(engine.address, "/v1/sessions/secure?tenant=acme");
        (session.status == 200 && session.json()["state"] == "halted").then_some(())
    });
    assert_eq!(engine.terminate(), Some(0));

    let refused = Deployment::new(Kafka::get().expect("as before"), &secure("wrong"));
    let config = refused.settings.path().display().to_string();
    let engine = Engine::spawn(command(&["run", "--config", &config, "--set", "http.listen=127.0.0.1:0"]));
    wait_for("a line about the refusal", || {
        engine.log().iter().any(|line| line.to_lowercase().contains("authentication")).then_some(())
    });
    assert_eq!(http::get(engine.address, "/readyz").status, 503);
    assert_eq!(engine.terminate(), Some(0));
}

#[test]
fn a_topic_that_is_created_later_is_read_without_a_restart() {
    let Some(kafka) = Kafka::get() else { return };
    let deployment = Deployment { topic: unique("later"), ..Deployment::new(kafka, "") };
    let config = deployment.settings.path().display().to_string();
    let topics = format!("kafka.topics=[\"{}\"]", deployment.topic);
    let engine = Engine::start(&["--config", &config, "--set", &topics]).ready();
    wait_for("a line about the missing topic", || {
        engine
            .log()
            .iter()
            .any(|line| line.contains("does not exist yet") && line.contains(&deployment.topic))
            .then_some(())
    });
    deployment.kafka.topic(&deployment.topic, 2);
    deployment.produce(&cross_tenant("s"));
    wait_for("the halt", || {
        let session = http::get(engine.address, "/v1/sessions/s?tenant=acme");
        (session.status == 200 && session.json()["state"] == "halted").then_some(())
    });
}

#[test]
fn two_replicas_share_the_partitions_and_both_know_every_halt() {
    let Some(kafka) = Kafka::get() else { return };
    let receiver = Receiver::start();
    let deployment = Deployment::new(kafka, &receiver.settings());
    let first = deployment.start();
    wait_for("all partitions", || (first.metric("haltline_shards") == 3).then_some(()));
    let second = deployment.start();
    wait_for("the partitions to be shared", || {
        let (a, b) = (first.metric("haltline_shards"), second.metric("haltline_shards"));
        (a + b == 3 && a > 0 && b > 0).then_some(())
    });
    let sessions: Vec<String> = (0..6).map(|n| format!("shared-{n}")).collect();
    deployment.produce(&sessions.iter().flat_map(|session| cross_tenant(session)).collect::<Vec<_>>());
    receiver.wait_for(sessions.len());
    for (engine, session) in [&first, &second].into_iter().flat_map(|engine| sessions.iter().map(move |s| (engine, s)))
    {
        let gate = json!({"session": session, "tenant": "acme"});
        wait_for("both gates to deny", || {
            (http::post(engine.address, "/v1/gate", &gate).json()["decision"] == "deny").then_some(())
        });
    }
    // One of them goes; the other takes over its partitions and goes on where it was.
    assert_eq!(first.terminate(), Some(0));
    wait_for("the partitions to move", || (second.metric("haltline_shards") == 3).then_some(()));
    deployment.produce(&cross_tenant("after"));
    receiver.wait_for(sessions.len() + 1);
    assert_eq!(deployment.kafka.count(&deployment.written("halt-events")), sessions.len() as u64 + 1);
    let told: BTreeSet<String> = receiver.received().iter().map(|received| received.id.clone()).collect();
    assert_eq!(told.len(), sessions.len() + 1);
}

#[test]
fn a_topic_is_replayed_the_same_each_time() {
    let Some(kafka) = Kafka::get() else { return };
    let deployment = Deployment::new(kafka, "");
    let mut events = benign("honest");
    events.extend(refunds("refunds", 0, 6));
    events.extend(cross_tenant("crm"));
    deployment.produce(&events);
    let config = deployment.settings.path().display().to_string();
    let replay = |more: &[&str]| {
        let args = [&["replay", "--json", "--config", &config, "--topic", &deployment.topic], more].concat();
        let output = command(&args).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let first = replay(&[]);
    assert_eq!(first, replay(&[]));
    let summary: Value = serde_json::from_str(first.lines().last().expect("a summary")).expect("JSON");
    assert_eq!((&summary["events"], &summary["dead_letters"]), (&json!(events.len()), &json!(0)), "{summary}");
    assert_eq!(summary["halted"], json!(["crm", "refunds"]));
    assert_eq!(first.lines().count(), events.len() + 1);
    let none = replay(&["--until", "2020-01-01T00:00:00Z"]);
    assert_eq!(none.lines().count(), 1, "nothing was written before: {none}");
    let args = ["backtest", "--json", "--config", &config, "--topic", &deployment.topic, "--against", "rules/limits"];
    let lists = ["--against", "rules/lists.toml", "--against", "rules/settings.toml"];
    let output = command(&[&args[..], &lists[..]].concat()).output().expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let summary = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let summary: Value = serde_json::from_str(summary).expect("JSON");
    assert_eq!((&summary["events"], &summary["newly_halted"]), (&json!(events.len()), &json!(["crm"])), "{summary}");
}
