//! Receivers for which the order of a session's records matters: harnesses that are told to stop a run,
//! PagerDuty and Alertmanager.

use std::time::Duration;

use super::retry::Schedule;
use super::test_house::*;
use super::*;
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::time::{Millis, Span};

const NOT_THERE: Answer = (404, None);

/// A harness at this receiver, with `more` settings.
fn harness(url: &str, more: &str) -> (String, String) {
    let url = url.replace("/halts", "/runs/{session}/stop?tenant={tenant}&epoch={epoch}");
    (url, format!("kind = 'control'\nsecret = '{SECRET}'\n{more}"))
}

fn start(house: &House, url: &str, more: &str, schedule: Schedule) -> Task {
    let (url, more) = harness(url, more);
    house.start(&url, &more, schedule)
}

fn resume(url: &str) -> String {
    format!("resume_url = '{}'", url.replace("/halts", "/runs/{session}/resume"))
}

fn calls(house: &House, action: &str, outcome: &str) -> u64 {
    house.metrics.control_calls.with_label_values(&["hook", action, outcome]).get()
}

#[tokio::test]
async fn a_harness_is_told_to_stop_a_run_and_to_let_it_go_on() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    let more = format!("{}\nmethod = 'PUT'\ntoken = 'let-me-in'", resume(&url));
    let mut task = start(&house, &url, &more, every(1));
    let halt = halted("a/b");
    house.write(std::slice::from_ref(&halt)).await;
    let seen = soon(arrivals.recv()).await.expect("arrives");
    assert_eq!((&*seen.method, &*seen.path), ("PUT", "/runs/a%2Fb/stop?tenant=acme&epoch=1"));
    assert_eq!((seen.header("authorization"), seen.header("webhook-id")), ("Bearer let-me-in", &*halt.id));
    assert_eq!((&seen.body["type"], &seen.body["data"]["id"]), (&"session.halted".into(), &halt.id.clone().into()));
    let kept = task.audited().await;
    assert_eq!((&*kept.endpoint, &kept.record, kept.outcome), ("hook", &halt, DeliveryOutcome::Delivered));
    assert_eq!((kept.attempts, kept.status, kept.error, kept.by_hand), (1, Some(204), None, false));
    house.write(&[released(&halt)]).await;
    assert_eq!(soon(arrivals.recv()).await.expect("arrives").path, "/runs/a%2Fb/resume");
    assert!(!task.audited().await.record.is_halted());
    task.stop(&house).await;
    assert_eq!((calls(&house, "stop", "delivered"), calls(&house, "resume", "delivered")), (1, 1));
}

#[tokio::test]
async fn a_session_that_the_harness_does_not_know_is_done_and_is_said() {
    for status in [404, 410] {
        let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
        receiver.answer("a", &[(status, None)]);
        let mut task = start(&house, &url, "", every(1));
        house.halt(&["a", "b"]).await;
        let mut kept = [task.audited().await, task.audited().await];
        kept.sort_by_key(|kept| kept.record.session.clone());
        let [gone, other] = kept;
        assert_eq!((gone.outcome, gone.status, gone.attempts), (DeliveryOutcome::Gone, Some(status), 1));
        assert_eq!(other.outcome, DeliveryOutcome::Delivered, "the endpoint goes on");
        task.stop(&house).await;
        assert_eq!((calls(&house, "stop", "gone"), house.count("gone"), house.count("gave_up")), (1, 1, 0));
        assert!(house.ledger.dead_letters().expect("reads").is_empty());
    }
}

#[tokio::test]
async fn a_stop_that_fails_is_tried_again_and_given_up_in_the_audit_too() {
    let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS, TAKES]);
    let mut task = start(&house, &url, "", every(1));
    house.halt(&["a"]).await;
    assert_eq!(task.audited().await.attempts, 2);
    task.stop(&house).await;
    assert_eq!(calls(&house, "stop", "retried"), 1);
    // Two that cannot succeed: a harness that refuses, and a name that no path can carry.
    receiver.answer("b", &[FAILS]);
    let mut task = start(&house, &url, "", never_again());
    for (session, error) in [("b", "answered 500"), ("..", "a segment of the URL's path would be `.` or `..`")] {
        house.halt(&[session]).await;
        let kept = task.audited().await;
        assert_eq!((&*kept.record.session, kept.outcome), (session, DeliveryOutcome::GaveUp));
        assert!(kept.error.expect("a reason").starts_with(error));
    }
    task.stop(&house).await;
    assert_eq!((calls(&house, "stop", "gave_up"), house.ledger.dead_letters().expect("reads").len()), (2, 2));
}

#[tokio::test]
async fn a_stop_is_not_carried_out_after_the_release_that_lifted_it() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS]);
    let mut task = start(&house, &url, &resume(&url), every(600_000));
    let halt = halted("a");
    house.write(std::slice::from_ref(&halt)).await;
    assert_eq!(soon(arrivals.recv()).await.expect("arrives").path, "/runs/a/stop?tenant=acme&epoch=1");
    receiver.answer("a", &[TAKES]);
    house.write(&[released(&halt)]).await;
    let mut kept = [task.audited().await, task.audited().await].map(|kept| (kept.record.epoch, kept.outcome));
    kept.sort_by_key(|(epoch, _)| *epoch);
    assert_eq!(kept, [(1, DeliveryOutcome::Superseded), (2, DeliveryOutcome::Delivered)]);
    assert_eq!(soon(arrivals.recv()).await.expect("arrives").path, "/runs/a/resume");
    task.stop(&house).await;
    assert!(arrivals.try_recv().is_err());
    assert_eq!((calls(&house, "stop", "superseded"), house.metrics.webhooks_pending()), (1, 0));
}

#[tokio::test]
async fn what_is_read_again_after_a_restart_does_not_stop_what_was_released() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    let (halt, other) = (halted("a"), halted("b"));
    house.halts.apply(&released(&halt));
    house.halts.apply(&other);
    let mut task = start(&house, &url, "", every(1));
    house.write(&[halt, other]).await;
    let mut kept = [task.audited().await, task.audited().await].map(|kept| (kept.record.session, kept.outcome));
    kept.sort_by_key(|(session, _)| session.clone());
    assert_eq!(kept.map(|(_, outcome)| outcome), [DeliveryOutcome::Superseded, DeliveryOutcome::Delivered]);
    assert_eq!(soon(arrivals.recv()).await.expect("arrives").session, "b");
    task.stop(&house).await;
    assert!(arrivals.try_recv().is_err());
}

#[tokio::test]
async fn without_a_resume_url_releases_are_passed_over() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[NOT_THERE]);
    let mut task = start(&house, &url, "", every(1));
    let halt = halted("a");
    house.write(&[halt.clone(), released(&halt)]).await;
    house.halt(&["last"]).await;
    let mut sessions = [task.audited().await, task.audited().await].map(|kept| kept.record.session.to_string());
    sessions.sort();
    assert_eq!(sessions, ["a", "last"]);
    task.stop(&house).await;
    while let Ok(seen) = arrivals.try_recv() {
        assert_eq!(seen.body["type"], "session.halted");
    }
}

#[tokio::test]
async fn pagerduty_resolves_what_was_triggered_and_gives_up_what_it_calls_wrong() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::lenient().await);
    receiver.answer("", &[(202, None), (429, Some(("retry-after", "0"))), (202, None), (400, None)]);
    let mut task = house.start(&url, "kind = 'pagerduty'\nrouting_key = 'R0'", every(1));
    let halt = halted("a");
    house.write(std::slice::from_ref(&halt)).await;
    assert_eq!(task.delivered().await.attempts, 1);
    house.write(&[released(&halt)]).await;
    assert_eq!(task.delivered().await.attempts, 2);
    house.halt(&["b"]).await;
    until(|| house.count("gave_up") == 1).await;
    task.stop(&house).await;
    let mut events = Vec::new();
    while let Ok(seen) = arrivals.try_recv() {
        events.push((seen.body["event_action"].clone(), seen.body["dedup_key"].clone()));
    }
    let (key, other) = (halt.incident().into(), events[3].1.clone());
    let (trigger, resolve): (serde_json::Value, serde_json::Value) = ("trigger".into(), "resolve".into());
    let (first, again) = ((trigger.clone(), key), (resolve, halt.incident().into()));
    assert_eq!(events, [first, again.clone(), again, (trigger, other)]);
    assert_eq!(house.dead_letter().0["last_error"], "answered 400, which means never");
}

/// Session and end of each alert.
fn alerts(seen: &Seen) -> Vec<(String, Millis)> {
    let alert = |alert: &serde_json::Value| {
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        (text(&alert["labels"]["session"]), Millis::parse(&text(&alert["endsAt"])).expect("a time"))
    };
    let mut alerts: Vec<_> = seen.body.as_array().expect("alerts").iter().map(alert).collect();
    alerts.sort();
    alerts
}

#[tokio::test]
async fn alerts_in_force_are_sent_again_and_releases_with_them() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::lenient().await);
    let url = url.replace("/halts", "/prefix/");
    let mut endpoint = endpoint("hook", &url, "kind = 'alertmanager'\nmin_severity = 'high'\ntoken = 't'", every(1));
    endpoint.timing.resend_every = Duration::from_millis(1);
    let halt = halted("halted");
    let low = HaltRecord { severity: Some(crate::finding::Severity::Low), ..halted("low") };
    let released_now = released(&halted("released"));
    let mut released_before = released(&halted("before"));
    released_before.written = Some(clock::now() - Span::seconds(25 * 3_600));
    for record in [&halt, &low, &released_now, &released_before] {
        house.halts.apply(record);
    }
    let task = house.run(endpoint);
    house.halts.set_complete();
    let seen = soon(arrivals.recv()).await.expect("arrives");
    assert_eq!((&*seen.path, seen.header("authorization")), ("/prefix/api/v2/alerts", "Bearer t"));
    let now = clock::now();
    let [(first, lasts), (second, ended)] = alerts(&seen).try_into().expect("two of them");
    assert_eq!((&*first, &*second), ("halted", "released"));
    assert!(lasts > now + Span::seconds(23 * 3_600) && ended <= now);
    // The alert ends as soon as the view says so.
    house.halts.apply(&released(&halt));
    soon(async { while alerts(&arrivals.recv().await.expect("arrives"))[0].1 > clock::now() {} }).await;
    task.stop(&house).await;
    assert!(house.count("resent") >= 2, "the first round ended before the second began");
}

#[tokio::test]
async fn nothing_is_sent_again_while_the_halts_are_not_known_or_to_other_kinds() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::lenient().await);
    house.halts.apply(&halted("a"));
    let mut quick = endpoint("hook", &url, "kind = 'alertmanager'", every(1));
    quick.timing.resend_every = Duration::from_millis(1);
    let mut other = endpoint("other", &url, "kind = 'slack'", every(1));
    other.timing.resend_every = Duration::from_millis(1);
    let (mut unknown, slack) = (house.run(quick), house.run(other));
    house.halt(&["b"]).await;
    unknown.delivered().await;
    house.halts.set_complete();
    until(|| house.count("resent") > 0).await;
    unknown.stop(&house).await;
    slack.stop(&house).await;
    let mut seen = Vec::new();
    while let Ok(one) = arrivals.try_recv() {
        seen.push(one);
    }
    let (alerts, messages): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.path.ends_with("/api/v2/alerts"));
    assert_eq!(alerts[0].body[0]["labels"]["session"], "b", "the halt of the outbox comes first");
    assert_eq!(messages.len(), 1);
}
