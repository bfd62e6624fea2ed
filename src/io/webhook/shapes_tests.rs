//! The shapes, field by field, from halts of rules and operators and from their releases.

use super::shapes::*;
use crate::finding::Severity;
use crate::halt::{HaltRecord, HaltState, Order};
use crate::time::{Millis, Span};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HOUR: Span = Span::seconds(3_600);

fn order(state: HaltState, at: i64) -> Order {
    let (tenant, session) = ("acme".into(), "s-1".into());
    Order { tenant, session, state, by: "ana".into(), reason: "looked".into(), at: Millis(at), seen_through: None }
}

/// A rule's halt at second 1, written at second 2.
pub(super) fn halt() -> HaltRecord {
    let mut record = HaltRecord::from_order(&order(HaltState::Halted, 1_000), None).expect("was running");
    record.written = Some(Millis(2_000));
    (record.by, record.rule, record.severity) = ("rule".to_owned(), Some("leak".into()), Some(Severity::High));
    record.reason = "A leak: <!channel> & \u{202e}more".to_owned();
    record
}

/// Its release at second 9.
pub(super) fn release() -> HaltRecord {
    let mut record = HaltRecord::from_order(&order(HaltState::Running, 9_000), Some(&halt())).expect("was halted");
    record.written = Some(Millis(9_000));
    record
}

fn operators_halt() -> HaltRecord {
    HaltRecord::from_order(&order(HaltState::Halted, 1_000), None).expect("was running")
}

fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, into)),
        _ => {}
    }
}

#[test]
fn slack_gets_blocks_in_which_nothing_of_a_stranger_is_markup() {
    let mut record = halt();
    record.session = "<@U1>|<http://evil.example|ok>".into();
    let message = slack(&record);
    let mut all = Vec::new();
    texts(&message, &mut all);
    assert!(all.iter().all(|text| !text.contains(['<', '>', '\u{202e}'])), "{all:?}");
    assert!(all.iter().any(|text| text == "A leak: &lt;!channel&gt; &amp; \u{fffd}more"), "{all:?}");
    assert_eq!(message["blocks"][0]["text"]["text"], "Agent session halted");
    let fields: Vec<_> = message["blocks"][1]["fields"].as_array().expect("a list").iter().collect();
    assert_eq!(fields.len(), 5);
    assert_eq!(fields[1]["text"], "Session\n&lt;@U1&gt;|&lt;http://evil.example|ok&gt;");
    assert_eq!((&fields[2]["text"], &fields[3]["text"]), (&json!("Rule\nleak"), &json!("Severity\nhigh")));
    let kinds = |block: &Value| ["header", "section", "context"].contains(&block["type"].as_str().unwrap_or_default());
    assert!(message["blocks"].as_array().expect("a list").iter().all(kinds));
    assert!(!message.to_string().contains(r#""type":"mrkdwn""#));
    for off in ["mrkdwn", "link_names", "unfurl_links", "unfurl_media"] {
        assert_eq!(message[off], false, "{off}");
    }
    let released = slack(&release());
    assert_eq!(released["blocks"][0]["text"]["text"], "Agent session resumed");
    assert!(released["text"].as_str().expect("text").starts_with("Agent session resumed: s-1 of acme: looked"));
}

#[test]
fn slack_messages_keep_its_limits() {
    let mut record = halt();
    let long = "<&>".repeat(9_000);
    (record.reason, record.by) = (long.clone(), long.clone());
    (record.session, record.tenant) = (long.clone().into(), long.into());
    let message = slack(&record);
    let blocks = message["blocks"].as_array().expect("a list");
    let length = |value: &Value| value.as_str().expect("text").chars().count();
    assert!(length(&message["text"]) <= 4_000);
    assert!(blocks[1]["fields"].as_array().expect("a list").iter().all(|field| length(&field["text"]) <= 2_000));
    assert!(length(&blocks[2]["text"]["text"]) <= 3_000 && length(&blocks[0]["text"]["text"]) <= 150);
    record.reason = "  ".to_owned();
    let bare = slack(&record);
    let kinds: Vec<_> = bare["blocks"].as_array().expect("a list").iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["header", "section", "context"], "a section without text would be refused");
}

#[test]
fn pagerduty_opens_and_closes_one_incident() {
    let (event, closing) = (pagerduty(&halt(), "R0"), pagerduty(&release(), "R0"));
    assert_eq!((&event["event_action"], &event["routing_key"]), (&json!("trigger"), &json!("R0")));
    assert_eq!(event["payload"]["summary"], "Agent session s-1 of acme halted: A leak: <!channel> & \u{fffd}more");
    assert_eq!((&event["payload"]["source"], &event["payload"]["severity"]), (&json!("acme/s-1"), &json!("error")));
    assert_eq!((&event["payload"]["class"], &event["payload"]["component"]), (&json!("leak"), &json!("s-1")));
    assert_eq!(event["payload"]["timestamp"], "1970-01-01T00:00:01.000Z");
    assert_eq!(event["payload"]["custom_details"]["id"], halt().id);
    let key = event["dedup_key"].as_str().expect("a key");
    assert!((1..=255).contains(&key.len()));
    assert_eq!(closing, json!({"routing_key": "R0", "event_action": "resolve", "dedup_key": key}));
    let mut long = halt();
    long.reason = "ü".repeat(5_000);
    let summary = pagerduty(&long, "R0")["payload"]["summary"].as_str().expect("text").to_owned();
    assert_eq!((summary.chars().count(), summary.ends_with('…')), (1_024, true));
}

#[test]
fn pagerduty_knows_four_severities() {
    let rows = [
        (Some(Severity::Critical), "critical"),
        (Some(Severity::High), "error"),
        (Some(Severity::Medium), "warning"),
        (Some(Severity::Low), "info"),
        (Some(Severity::Informational), "info"),
        (None, "error"),
    ];
    for (severity, expected) in rows {
        let record = HaltRecord { severity, ..halt() };
        assert_eq!(pagerduty(&record, "R0")["payload"]["severity"], expected);
    }
}

#[test]
fn alerts_have_the_same_labels_from_the_halt_to_its_release() {
    let extra = BTreeMap::from([("team".to_owned(), "sec".to_owned())]);
    let now = Millis(10_000);
    let (firing, over) = (alert(&halt(), &extra, now), alert(&release(), &extra, now));
    let labels = json!({"alertname": "AgentSessionHalted", "tenant": "acme", "session": "s-1", "rule": "leak",
                        "severity": "high", "incident": halt().incident(), "team": "sec"});
    assert_eq!((&firing["labels"], &over["labels"]), (&labels, &labels));
    assert_eq!((&firing["startsAt"], &firing["endsAt"]), (&json!(Millis(2_000)), &json!(now + ALERT_HORIZON)));
    assert_eq!((&over["startsAt"], &over["endsAt"]), (&json!(Millis(2_000)), &json!(Millis(9_000))));
    assert_eq!((&firing["annotations"]["halt"], &over["annotations"]["halt"]), (&json!(halt().id), &json!(halt().id)));
    assert_eq!(alert(&operators_halt(), &extra, now)["labels"]["rule"], "operator");
}

#[test]
fn alerts_never_end_before_they_start() {
    let mut ahead = halt();
    ahead.written = Some(Millis(10_000) + HOUR);
    let mut before = release();
    before.written = Some(Millis(1_000));
    before.lifted.as_mut().expect("lifts").since = Millis(5_000);
    for record in [halt(), ahead, release(), before] {
        let alert = alert(&record, &BTreeMap::new(), Millis(10_000));
        let time = |key: &str| Millis::parse(alert[key].as_str().expect("a time")).expect("RFC 3339");
        assert!(time("startsAt") <= time("endsAt"), "{alert}");
        assert!(record.is_halted() || time("endsAt") <= Millis(10_000), "{alert}");
    }
}

#[test]
fn labels_are_bounded() {
    let mut record = halt();
    (record.session, record.tenant) = ("s\n".repeat(5_000).into(), "t".repeat(9_000).into());
    record.rule = Some("r".repeat(9_000).into());
    let alert = alert(&record, &BTreeMap::new(), Millis(0));
    let labels = alert["labels"].as_object().expect("labels");
    assert!(labels.len() == 6 && labels.values().all(|label| label.as_str().expect("text").chars().count() <= 256));
}

#[test]
fn a_release_whose_halt_is_not_known_has_no_cause() {
    let mut unknown = release();
    unknown.lifted = None;
    let rows = [
        (halt(), Some("leak"), Some(Severity::High)),
        (release(), Some("leak"), Some(Severity::High)),
        (operators_halt(), Some("operator"), None),
        (unknown.clone(), None, None),
    ];
    for (record, rule, level) in rows {
        assert_eq!((cause(&record), severity(&record)), (rule, level));
    }
    assert_eq!(alert(&unknown, &BTreeMap::new(), Millis(0))["labels"].get("rule"), None);
}

#[test]
fn tests_say_that_nothing_was_halted() {
    let test = Test { id: "t_1", endpoint: "on-call", at: Millis(0) };
    let [open, close] = pagerduty_test(&test, "R0");
    assert_eq!((&open["dedup_key"], &close["dedup_key"]), (&json!("t_1"), &json!("t_1")));
    assert_eq!((&open["payload"]["severity"], &close["event_action"]), (&json!("info"), &json!("resolve")));
    let alert = alert_test(&test, &BTreeMap::new());
    assert_eq!((&alert["startsAt"], &alert["endsAt"]), (&json!(Millis(0)), &json!(Millis(60_000))));
    for body in [slack_test(&test), open, alert] {
        assert!(body.to_string().to_lowercase().contains("nothing was halted"), "{body}");
    }
}
