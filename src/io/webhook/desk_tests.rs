//! The desk at running endpoints: lists, logs, tests of each kind, redelivery by hand.

use std::time::Duration;

use super::endpoint::client;
use super::pace::Pace;
use super::test_house::*;
use super::*;
use crate::halt::HaltRecord;
use crate::io::ledger::Ledger;

fn desk(house: &House, endpoints: &[Endpoint]) -> Desk {
    Desk::new(endpoints, Ledger::Local(house.ledger.clone()), house.metrics.clone())
}

#[tokio::test]
async fn the_list_and_the_log_say_what_has_become_of_each_delivery() {
    let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS]);
    let endpoint = endpoint("hook", &url, "events = ['session.halted']", every(600_000));
    let desk = desk(&house, std::slice::from_ref(&endpoint));
    let list = serde_json::to_value(desk.list()).expect("JSON");
    let expected = serde_json::json!([{"name": "hook", "kind": "standard", "events": ["session.halted"], "pending": 0,
                                       "oldest_pending_s": null, "last": null, "disabled": false}]);
    assert_eq!(list, expected);
    let mut task = house.run(endpoint);
    let (first, second) = (halted("a"), halted("b"));
    house.write(std::slice::from_ref(&first)).await;
    until(|| desk.list()[0].pending == 1 && desk.list()[0].last.is_some()).await;
    assert!(desk.list()[0].oldest_pending_s.is_some());
    house.write(std::slice::from_ref(&second)).await;
    task.delivered().await;
    let rows = desk.deliveries("hook", 9).expect("known");
    let shown: Vec<_> = rows.iter().map(|row| (&*row.session, row.attempts, row.outcome, row.status)).collect();
    let expected = [("b", 1, DeliveryOutcome::Delivered, Some(204)), ("a", 1, DeliveryOutcome::Retrying, Some(500))];
    assert_eq!(shown, expected);
    let row = serde_json::to_value(&rows[1]).expect("JSON");
    assert_eq!((&row["id"], &row["type"]), (&first.id.clone().into(), &"session.halted".into()));
    assert_eq!((&row["outcome"], &row["error"]), (&"retrying".into(), &"answered 500".into()));
    assert!(row["at"].as_str().expect("text").ends_with('Z') && row["duration_ms"].is_u64());
    assert_eq!(desk.deliveries("hook", 1).expect("known").len(), 1);
    task.stop(&house).await;
    assert_eq!(desk.deliveries("none", 1), Err(DeskError::UnknownEndpoint("none".to_owned())));
}

#[tokio::test]
async fn each_kind_has_a_test_that_goes_past_queue_and_log() {
    let rows = [
        ("", 1, "type", "endpoint.test"),
        ("kind = 'slack'", 1, "parse", "none"),
        ("kind = 'pagerduty'\nrouting_key = 'R0'", 2, "event_action", "trigger"),
        ("kind = 'alertmanager'", 1, "", "HaltlineEndpointTest"),
        ("kind = 'control'", 1, "type", "endpoint.test"),
    ];
    for (more, requests, field, value) in rows {
        let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::lenient().await);
        let url = if more.contains("control") { url.replace("/halts", "/{session}/{state}") } else { url };
        let desk = desk(&house, &[endpoint("hook", &url, more, every(1))]);
        let result = desk.test("hook").await.expect("known");
        assert_eq!((result.delivered, result.status, result.error), (true, Some(204), None), "{more}");
        let seen = soon(arrivals.recv()).await.expect("arrived");
        let found = if field.is_empty() { &seen.body[0]["labels"]["alertname"] } else { &seen.body[field] };
        assert_eq!(found, value, "{more}");
        assert_eq!(1 + (1..9).take_while(|_| arrivals.try_recv().is_ok()).count(), requests, "{more}");
        if more.contains("control") {
            assert_eq!(seen.path, "/haltline-endpoint-test/test");
        }
        if more.is_empty() {
            // The receiver has checked it.
            assert!(seen.header("webhook-signature").starts_with("v1,"));
            assert!(seen.header("webhook-id").starts_with("t_"));
        }
        assert_eq!((desk.deliveries("hook", 9).expect("known").len(), house.count("tested")), (0, 1));
    }
}

#[tokio::test]
async fn a_test_that_fails_says_why() {
    let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::lenient().await);
    receiver.answer("", &[(404, None)]);
    let control = url.replace("/halts", "/{session}");
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dead = format!("http://{}/swordfish", unused.local_addr().expect("bound"));
    drop(unused);
    let desk = desk(
        &house,
        &[
            endpoint("hook", &url, "", every(1)),
            endpoint("harness", &control, "kind = 'control'", every(1)),
            endpoint("dead", &dead, "", every(1)),
        ],
    );
    let result = desk.test("hook").await.expect("known");
    assert_eq!((result.delivered, result.status, result.error.as_deref()), (false, Some(404), Some("answered 404")));
    let result = desk.test("harness").await.expect("known");
    assert_eq!((result.delivered, result.status), (true, Some(404)), "it answers; the session of a test is not there");
    let result = desk.test("dead").await.expect("known");
    assert_eq!((result.delivered, result.status), (false, None));
    let error = result.error.expect("a reason");
    assert!(error.contains("refused") && !error.contains("swordfish"), "{error}");
    assert_eq!(desk.test("none").await, Err(DeskError::UnknownEndpoint("none".to_owned())));
    assert_eq!(house.count("test_failed"), 1);
}

#[tokio::test]
async fn what_was_delivered_or_given_up_can_be_sent_again_from_the_log_or_the_ledger() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS, TAKES]);
    let task = house.start(&url, "", never_again());
    let halt = halted("a");
    house.write(std::slice::from_ref(&halt)).await;
    until(|| house.count("gave_up") == 1).await;
    task.stop(&house).await;
    // A new start, so that only the ledger knows of it.
    let endpoint = endpoint("hook", &url, "", never_again());
    let desk = desk(&house, std::slice::from_ref(&endpoint));
    let mut task = house.run(endpoint);
    for rows in 1..=2 {
        desk.redeliver("hook", &halt.id).await.expect("queued");
        assert_eq!(task.delivered().await.record, halt);
        assert_eq!(desk.deliveries("hook", 9).expect("known").len(), rows, "each has a row of its own");
    }
    for _ in 0..3 {
        assert_eq!(soon(arrivals.recv()).await.expect("arrived").header("webhook-id"), halt.id);
    }
    let rows = [
        ("none", &*halt.id, DeskError::UnknownEndpoint("none".to_owned())),
        ("hook", "h_none", DeskError::UnknownRecord("h_none".to_owned())),
        ("hook", "", DeskError::UnknownRecord(String::new())),
    ];
    for (name, id, expected) in rows {
        assert_eq!(desk.redeliver(name, id).await, Err(expected));
    }
    until(|| desk.list()[0].pending == 0).await;
    task.stop(&house).await;
    assert_eq!(desk.redeliver("hook", &halt.id).await, Err(DeskError::Busy("hook".to_owned())), "nobody is there");
}

#[tokio::test]
async fn redelivery_of_what_waits_for_its_next_try_tries_it_at_once() {
    let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS, TAKES]);
    let endpoint = endpoint("hook", &url, "", every(600_000));
    let desk = desk(&house, std::slice::from_ref(&endpoint));
    let mut task = house.run(endpoint);
    let halt = halted("a");
    house.write(std::slice::from_ref(&halt)).await;
    until(|| house.count("retried") == 1).await;
    desk.redeliver("hook", &halt.id).await.expect("queued");
    let delivered = task.delivered().await;
    assert_eq!((delivered.attempts, delivered.record), (2, halt));
    until(|| desk.list()[0].pending == 0).await;
    task.stop(&house).await;
    assert_eq!(desk.deliveries("hook", 9).expect("known").len(), 1);
}

#[tokio::test]
async fn filters_and_410_hold_for_redelivery_too() {
    let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[(410, None)]);
    let bound = endpoint("hook", &url, "tenants = ['acme']", every(1));
    let desk = desk(&house, std::slice::from_ref(&bound));
    let task = house.run(bound);
    let theirs = HaltRecord { tenant: "other".into(), id: "h_theirs".to_owned(), ..halted("x") };
    let gone = halted("a");
    house.write(&[theirs, gone.clone()]).await;
    until(|| desk.list()[0].disabled).await;
    assert_eq!(desk.deliveries("hook", 9).expect("known")[0].outcome, DeliveryOutcome::Gone);
    assert_eq!(desk.redeliver("hook", &gone.id).await, Err(DeskError::Disabled("hook".to_owned())));
    task.stop(&house).await;
    let fresh = endpoint("hook", &url, "tenants = ['acme']", every(1));
    let again = Desk::new(&[fresh], Ledger::Local(house.ledger.clone()), house.metrics.clone());
    assert_eq!(again.redeliver("hook", "h_theirs").await, Err(DeskError::NotWanted("hook".to_owned())));
}

#[tokio::test]
async fn a_name_that_is_bound_to_another_address_between_two_tries_is_refused_at_the_second() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS, TAKES]);
    let url = url.replace("127.0.0.1", "harness.example");
    let more = "allow_http = true\nnetworks = 'public'\nallow_networks = ['127.0.0.1']";
    let mut endpoint = endpoint("hook", &url, more, every(1));
    let answers: &[&[&str]] = &[&["127.0.0.1"], &["169.254.169.254"], &["10.0.0.1", "127.0.0.2"], &["127.0.0.1"]];
    endpoint.guard = endpoint.guard.scripted(answers);
    endpoint.client = client(&endpoint.guard, false).expect("a client");
    let mut task = house.run(endpoint.clone());
    house.halt(&["a"]).await;
    assert_eq!(task.delivered().await.attempts, 4, "each attempt looked up anew");
    task.stop(&house).await;
    assert_eq!(std::iter::from_fn(|| arrivals.try_recv().ok()).count(), 2);
    let desk = desk(&house, &[endpoint]);
    assert_eq!(desk.deliveries("hook", 9).expect("known")[0].outcome, DeliveryOutcome::Delivered);
}

#[tokio::test]
async fn a_refused_address_is_named_in_the_log() {
    let house = House::new();
    let mut endpoint = endpoint("hook", "https://harness.example/swordfish", "networks = 'public'", never_again());
    endpoint.guard = endpoint.guard.scripted(&[&["10.0.0.1"]]);
    endpoint.client = client(&endpoint.guard, false).expect("a client");
    let desk = desk(&house, std::slice::from_ref(&endpoint));
    let task = house.run(endpoint);
    house.halt(&["a"]).await;
    until(|| house.count("gave_up") == 1).await;
    task.stop(&house).await;
    let error = desk.deliveries("hook", 1).expect("known").remove(0).error.expect("a reason");
    assert!(error.contains("the address 10.0.0.1 is refused") && !error.contains("swordfish"), "{error}");
}

#[tokio::test]
async fn slack_is_told_one_after_the_other() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::lenient().await);
    receiver.answer("", &[(429, Some(("retry-after", "1"))), (200, None)]);
    let mut endpoint = endpoint("hook", &url, "kind = 'slack'", every(1));
    endpoint.timing.pace = Pace::new(Duration::from_millis(1), true);
    let mut task = house.run(endpoint);
    house.halt(&["a", "b"]).await;
    task.delivered().await;
    task.delivered().await;
    task.stop(&house).await;
    let seen: Vec<_> = std::iter::from_fn(|| arrivals.try_recv().ok()).collect();
    assert!(seen.len() == 3 || seen.len() == 4, "{} requests", seen.len());
    assert!(seen.iter().all(|seen| seen.body["blocks"].is_array() && !seen.headers.contains_key("webhook-id")));
    let last = seen.last().expect("some").at;
    assert!(last - seen[0].at >= Duration::from_secs(1), "the 429 held up the others too");
}
