//! The bodies that Slack, PagerDuty and Alertmanager want.
//!
//! A reason may quote what an attacker wrote, and names of sessions come from strangers: everywhere they
//! are data of limited length, never markup. A halt and its release carry the same key
//! ([`HaltRecord::incident`]), so that the release closes what the halt opened, after a restart too.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::text::{shown, shown_in_slack};
use crate::finding::Severity;
use crate::halt::HaltRecord;
use crate::time::{Millis, Span};

/// Longest text of a field, and of a reason, in characters; Slack takes 2000 and 3000.
const FIELD_CHARS_MAX: usize = 400;
const REASON_CHARS_MAX: usize = 2_000;
/// PagerDuty's own limit.
const SUMMARY_CHARS_MAX: usize = 1_024;
/// Longest label of an alert, in characters; an id has at most 256 bytes.
const LABEL_CHARS_MAX: usize = 256;
/// How long an alert stays in force without being sent again. A halt has no end of its own, so this is
/// how long Haltline may be down before its alerts end by themselves.
pub(super) const ALERT_HORIZON: Span = Span::seconds(24 * 3_600);
/// The same for a test.
const TEST_ALERT_HORIZON: Span = Span::seconds(60);

/// A test of an endpoint.
pub(super) struct Test<'a> {
    pub(super) id: &'a str,
    pub(super) endpoint: &'a str,
    pub(super) at: Millis,
}

/// The rule behind a record or behind the halt that it lifts, or `operator`; `None` where it is not known.
pub(super) fn cause(record: &HaltRecord) -> Option<&str> {
    let rule = match &record.lifted {
        Some(lifted) => &lifted.rule,
        None if record.is_halted() => &record.rule,
        None => return None,
    };
    Some(rule.as_deref().unwrap_or("operator"))
}

/// The severity of that rule; an operator's order has none.
pub(super) fn severity(record: &HaltRecord) -> Option<Severity> {
    record.lifted.as_ref().map_or(record.severity, |lifted| lifted.severity)
}

fn headline(record: &HaltRecord) -> &'static str {
    if record.is_halted() { "Agent session halted" } else { "Agent session resumed" }
}

/// A message for an incoming webhook of Slack. All that strangers wrote is `plain_text`, which has no
/// markup, and is escaped besides, since `text` is read as markup by old clients.
pub(super) fn slack(record: &HaltRecord) -> Value {
    let field = |name: &str, value: &str| plain(&format!("{name}\n"), value, FIELD_CHARS_MAX);
    let mut fields = vec![field("Tenant", &record.tenant), field("Session", &record.session)];
    fields.extend(cause(record).map(|rule| field("Rule", rule)));
    fields.extend(severity(record).map(|severity| field("Severity", severity.as_str())));
    fields.push(field("By", &record.by));
    let context = format!("{} · epoch {} · {}", record.id, record.epoch, record.at);
    let summary = format!("{} of {}: {}", record.session, record.tenant, record.reason);
    let mut blocks = vec![
        json!({"type": "header", "text": plain("", headline(record), FIELD_CHARS_MAX)}),
        json!({"type": "section", "fields": fields}),
    ];
    // Slack refuses a section whose text is empty.
    if !record.reason.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": plain("", &record.reason, REASON_CHARS_MAX)}));
    }
    blocks.push(json!({"type": "context", "elements": [plain("", &context, FIELD_CHARS_MAX)]}));
    slack_message(&format!("{}: {}", headline(record), shown_in_slack(&summary, REASON_CHARS_MAX)), &blocks)
}

/// The same for a test.
pub(super) fn slack_test(test: &Test<'_>) -> Value {
    let text = format!("Haltline: a test of the webhook {}. Nothing was halted.", test.endpoint);
    let blocks = [
        json!({"type": "section", "text": plain("", &text, FIELD_CHARS_MAX)}),
        json!({"type": "context", "elements": [plain("", &format!("{} · {}", test.id, test.at), FIELD_CHARS_MAX)]}),
    ];
    slack_message(&text, &blocks)
}

fn slack_message(text: &str, blocks: &[Value]) -> Value {
    json!({"text": text, "blocks": blocks, "mrkdwn": false, "parse": "none", "link_names": false,
           "unfurl_links": false, "unfurl_media": false})
}

fn plain(before: &str, text: &str, chars_max: usize) -> Value {
    json!({"type": "plain_text", "text": format!("{before}{}", shown_in_slack(text, chars_max)), "emoji": false})
}

/// An event of PagerDuty's Events API v2: a halt triggers, a release resolves.
pub(super) fn pagerduty(record: &HaltRecord, routing_key: &str) -> Value {
    let dedup_key = record.incident();
    if !record.is_halted() {
        return json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key});
    }
    let (tenant, session) = (shown(&record.tenant, FIELD_CHARS_MAX), shown(&record.session, FIELD_CHARS_MAX));
    let summary = format!("Agent session {} of {} halted: {}", record.session, record.tenant, record.reason);
    json!({
        "routing_key": routing_key, "event_action": "trigger", "dedup_key": dedup_key, "client": "Haltline",
        "payload": {
            "summary": shown(&summary, SUMMARY_CHARS_MAX),
            "source": format!("{tenant}/{session}"),
            "severity": pagerduty_severity(record.severity),
            "timestamp": record.at,
            "component": session, "group": tenant, "class": cause(record),
            "custom_details": {
                "id": record.id, "tenant": tenant, "session": session, "epoch": record.epoch,
                "by": shown(&record.by, FIELD_CHARS_MAX), "reason": shown(&record.reason, REASON_CHARS_MAX),
                "rule": record.rule, "severity": record.severity, "finding": record.finding,
                "event_id": record.event_id.as_deref().map(|id| shown(id, FIELD_CHARS_MAX)),
            },
        },
    })
}

/// A test triggers and resolves at once.
pub(super) fn pagerduty_test(test: &Test<'_>, routing_key: &str) -> [Value; 2] {
    let summary = format!("Haltline: a test of the webhook {}. Nothing was halted.", test.endpoint);
    [
        json!({"routing_key": routing_key, "event_action": "trigger", "dedup_key": test.id, "client": "Haltline",
               "payload": {"summary": summary, "source": "haltline", "severity": "info", "timestamp": test.at}}),
        json!({"routing_key": routing_key, "event_action": "resolve", "dedup_key": test.id}),
    ]
}

/// An operator's halt is an error: it is serious, and somebody is at it already.
fn pagerduty_severity(severity: Option<Severity>) -> &'static str {
    match severity {
        Some(Severity::Critical) => "critical",
        Some(Severity::High) | None => "error",
        Some(Severity::Medium) => "warning",
        Some(Severity::Low | Severity::Informational) => "info",
    }
}

/// One alert for Alertmanager's `POST /api/v2/alerts`. The labels, by which Alertmanager knows an alert
/// again, are the same for a halt and its release.
pub(super) fn alert(record: &HaltRecord, extra: &BTreeMap<String, String>, now: Millis) -> Value {
    let mut labels: BTreeMap<&str, String> = BTreeMap::from([
        ("alertname", "AgentSessionHalted".to_owned()),
        ("tenant", shown(&record.tenant, LABEL_CHARS_MAX)),
        ("session", shown(&record.session, LABEL_CHARS_MAX)),
        ("incident", record.incident()),
    ]);
    labels.extend(cause(record).map(|rule| ("rule", shown(rule, LABEL_CHARS_MAX))));
    labels.extend(severity(record).map(|severity| ("severity", severity.as_str().to_owned())));
    labels.extend(extra.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let annotations = json!({
        "summary": shown(&format!("Agent session {} of {} is halted", record.session, record.tenant), FIELD_CHARS_MAX),
        "description": shown(&record.reason, REASON_CHARS_MAX),
        "by": shown(&record.by, FIELD_CHARS_MAX),
        "halt": record.lifted.as_ref().map_or(&record.id, |lifted| &lifted.id),
    });
    // Never after its end, whatever the clock of the event said.
    let since = record.news_since().min(now);
    if record.is_halted() {
        return json!({"labels": labels, "annotations": annotations, "startsAt": since, "endsAt": now + ALERT_HORIZON});
    }
    match &record.lifted {
        Some(lifted) => {
            let start = lifted.since.min(since);
            json!({"labels": labels, "annotations": annotations, "startsAt": start, "endsAt": since})
        }
        // Without a start Alertmanager keeps that of the alert which it knows.
        None => json!({"labels": labels, "annotations": annotations, "endsAt": since}),
    }
}

/// An alert that ends by itself.
pub(super) fn alert_test(test: &Test<'_>, extra: &BTreeMap<String, String>) -> Value {
    let mut labels = BTreeMap::from([("alertname", "HaltlineEndpointTest"), ("severity", "informational")]);
    labels.extend(extra.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    labels.insert("incident", test.id);
    let summary = format!("A test of the webhook {}; nothing was halted", test.endpoint);
    json!({"labels": labels, "annotations": {"summary": summary},
           "startsAt": test.at, "endsAt": test.at + TEST_ALERT_HORIZON})
}
