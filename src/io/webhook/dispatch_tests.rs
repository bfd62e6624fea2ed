//! Endpoints against real receivers on loopback, with a real ledger file.

use std::time::Duration;

use super::test_house::*;
use crate::halt::{HaltRecord, HaltState};
use crate::io::clock;
use crate::io::local::LocalOutbox;
use crate::limits::WEBHOOK_IN_FLIGHT;
use crate::time::Span;

#[tokio::test]
async fn a_halt_is_delivered_once_signed_and_not_again_after_a_restart() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    let mut task = house.start(&url, "", every(1));
    let mut record = halted("a");
    // The event is from an old log; its halt is news all the same.
    record.at = record.at - Span::seconds(30 * 86_400);
    house.write(std::slice::from_ref(&record)).await;
    let seen = soon(arrivals.recv()).await.expect("arrives");
    assert_eq!((&*seen.session, &*seen.path, seen.header("webhook-id")), ("a", "/halts", &*record.id));
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("user-agent"), format!("haltline/{}", env!("CARGO_PKG_VERSION")));
    let delivered = task.delivered().await;
    assert_eq!((&*delivered.endpoint, &delivered.record, delivered.attempts), ("hook", &record, 1));
    assert!(delivered.seconds > 0.0);
    task.stop(&house).await;
    assert_eq!((house.count("delivered"), house.metrics.webhooks_pending()), (1, 0));
    // The same record twice more in the outbox, then another: only that one arrives.
    let mut task = house.start(&url, "", every(1));
    let other = halted("b");
    house.write(&[other.clone(), other.clone(), other]).await;
    house.halt(&["c"]).await;
    let mut sessions = [task.delivered().await, task.delivered().await].map(|d| d.record.session.to_string());
    sessions.sort();
    assert_eq!(sessions, ["b", "c"]);
    task.stop(&house).await;
    assert_eq!(house.count("delivered"), 3);
}

#[tokio::test]
async fn failures_are_tried_again_with_the_same_id() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS, (404, None), TAKES]);
    let mut task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    let delivered = task.delivered().await;
    assert_eq!(delivered.attempts, 3);
    for _ in 0..3 {
        assert_eq!(soon(arrivals.recv()).await.expect("arrives").header("webhook-id"), delivered.record.id);
    }
    task.stop(&house).await;
    assert_eq!((house.count("delivered"), house.count("retried"), house.count("gave_up")), (1, 2, 0));
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[(429, Some(("retry-after", "1"))), TAKES]);
    let mut task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    task.delivered().await;
    let first = soon(arrivals.recv()).await.expect("arrives").at;
    assert!(soon(arrivals.recv()).await.expect("arrives").at - first >= Duration::from_secs(1));
    task.stop(&house).await;
}

#[tokio::test]
async fn records_that_are_refused_hold_up_neither_the_rest_nor_another_endpoint() {
    let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dead = format!("http://{}/", unused.local_addr().expect("bound"));
    drop(unused);
    let dead = house.start_named("dead", &dead, "", every(1));
    // More than may be under way at once.
    let refused: Vec<String> = (0..2 * WEBHOOK_IN_FLIGHT).map(|n| format!("refused-{n}")).collect();
    refused.iter().for_each(|session| receiver.answer(session, &[FAILS]));
    let mut task = house.start(&url, "", every(60_000));
    house.halt(&refused.iter().map(String::as_str).collect::<Vec<_>>()).await;
    house.halt(&["fine"]).await;
    assert_eq!(&*task.delivered().await.record.session, "fine");
    assert_eq!(house.count("delivered"), 1);
    task.stop(&house).await;
    dead.stop(&house).await;
    // Nothing is lost: each of them comes again, the delivered one too, since it stood behind them.
    refused.iter().for_each(|session| receiver.answer(session, &[TAKES]));
    let mut task = house.start(&url, "", every(1));
    for _ in 0..=refused.len() {
        task.delivered().await;
    }
    task.stop(&house).await;
    assert_eq!(house.count("delivered"), 2 + refused.len() as u64);
    let mut again = LocalOutbox::open(house.ledger.clone(), "hook").expect("opens");
    house.halt(&["next"]).await;
    assert_eq!(&*soon(again.next()).await.1.session, "next", "the place is behind all of them");
}

#[tokio::test]
async fn redirects_are_failures_and_are_not_followed() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[(302, Some(("location", "/elsewhere"))), (307, Some(("location", "/elsewhere"))), TAKES]);
    let mut task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    assert_eq!(task.delivered().await.attempts, 3);
    task.stop(&house).await;
    for _ in 0..3 {
        assert_eq!(soon(arrivals.recv()).await.expect("arrives").path, "/halts");
    }
    assert!(arrivals.try_recv().is_err(), "nothing else was asked for");
}

#[tokio::test]
async fn what_is_given_up_is_a_dead_letter_and_does_not_come_again() {
    let mut unsendable = halted("b");
    unsendable.id = "h_\n".to_owned();
    let rows = [(halted("a"), "answered 503"), (unsendable, "builder error: failed to parse header value")];
    for (record, expected) in rows {
        let (house, (receiver, url, _arrivals)) = (House::new(), Receiver::start().await);
        receiver.answer("a", &[(503, None)]);
        let mut task = house.start(&url, "", never_again());
        house.write(std::slice::from_ref(&record)).await;
        house.halt(&["last"]).await;
        assert_eq!(&*task.delivered().await.record.session, "last");
        soon(async {
            while house.count("gave_up") == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        task.stop(&house).await;
        let (headers, kept) = house.dead_letter();
        assert_eq!(kept, record);
        let expected = serde_json::json!({
            "reason": "webhook_gave_up", "endpoint": "hook", "attempts": "1", "last_error": expected
        });
        assert_eq!(headers, expected);
        let mut task = house.start(&url, "", never_again());
        house.halt(&["next"]).await;
        assert_eq!(&*task.delivered().await.record.session, "next");
        task.stop(&house).await;
        assert_eq!((house.count("gave_up"), house.metrics.webhooks_pending()), (1, 0));
    }
}

#[tokio::test]
async fn gone_disables_the_endpoint_until_a_restart() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[(410, None)]);
    let task = house.start(&url, "", every(1));
    house.halt(&["a"]).await;
    soon(async {
        while house.count("gave_up") == 0 || house.metrics.webhooks_pending() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // When another endpoint has both of these, one after the other, this one has had its chance.
    let (_other, other_url, _) = Receiver::start().await;
    let mut other = house.start_named("other", &other_url, "", every(1));
    assert_eq!(&*other.delivered().await.record.session, "a");
    for session in ["b", "c"] {
        house.halt(&[session]).await;
        assert_eq!(&*other.delivered().await.record.session, session);
    }
    other.stop(&house).await;
    task.stop(&house).await;
    assert_eq!(house.dead_letter().0["last_error"], "answered 410, which means never again");
    assert_eq!(soon(arrivals.recv()).await.expect("arrived").session, "a");
    assert!(arrivals.try_recv().is_err(), "nothing after 410");
    let mut task = house.start(&url, "", every(1));
    let mut sessions = [task.delivered().await, task.delivered().await].map(|d| d.record.session.to_string());
    sessions.sort();
    assert_eq!(sessions, ["b", "c"]);
    task.stop(&house).await;
}

#[tokio::test]
async fn a_stop_in_the_middle_loses_nothing() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    ["a", "b"].iter().for_each(|session| receiver.answer(session, &[FAILS]));
    let task = house.start(&url, "", every(600_000));
    house.halt(&["a", "b"]).await;
    let first = soon(arrivals.recv()).await.expect("arrives");
    task.stop(&house).await;
    ["a", "b"].iter().for_each(|session| receiver.answer(session, &[TAKES]));
    let mut task = house.start(&url, "", every(1));
    let records = [task.delivered().await, task.delivered().await].map(|delivered| delivered.record);
    assert!(records.iter().any(|record| record.id == first.header("webhook-id")));
    task.stop(&house).await;
    assert!(house.ledger.dead_letters().expect("reads").is_empty());
}

#[tokio::test]
async fn what_is_too_old_or_not_wanted_is_passed_over() {
    let (house, (_receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    let mut old = halted("old");
    old.written = Some(clock::now() - Span::seconds(7_201));
    let before = halted("resumed");
    let resumed = HaltRecord::from_order(&order("resumed", HaltState::Running), Some(&before)).expect("was halted");
    let mut task = house.start(&url, "events = ['session.resumed']\nmax_age = '2h'", every(1));
    old.state = HaltState::Running;
    house.write(&[old, before, resumed]).await;
    let delivered = task.delivered().await;
    assert_eq!((&*delivered.record.session, delivered.record.epoch), ("resumed", 2));
    task.stop(&house).await;
    assert_eq!(soon(arrivals.recv()).await.expect("arrived").session, "resumed");
    assert!(arrivals.try_recv().is_err());
    assert_eq!((house.count("expired"), house.count("delivered")), (1, 1));
}

#[tokio::test]
async fn what_is_under_way_shows_in_the_metrics() {
    let (house, (receiver, url, mut arrivals)) = (House::new(), Receiver::start().await);
    receiver.answer("a", &[FAILS]);
    let task = house.start(&url, "", every(600_000));
    let mut record = halted("a");
    record.written = Some(clock::now() - Span::seconds(3_600));
    house.write(&[record]).await;
    soon(arrivals.recv()).await.expect("arrives");
    soon(async {
        while house.count("retried") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(house.metrics.webhooks_pending(), 1);
    let oldest = house.metrics.webhook_oldest_pending.with_label_values(&["hook"]).get();
    assert!((3_600.0..3_700.0).contains(&oldest), "{oldest}");
    task.stop(&house).await;
}
