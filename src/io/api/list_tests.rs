//! Lists put together from what the view, the workers and the findings know.

use serde_json::{Value, json};

use super::tests::{PLAIN, Place, Setup, finding, fleet_that_saw, halted_by_rule, view};
use crate::halt::{HaltRecord, HaltState, Order};
use crate::io::fleet::Fleet;
use crate::time::Millis;

#[tokio::test]
async fn lists_put_the_view_and_the_workers_together() {
    let views = vec![view("busy", 30), view("held", 20), view("calm", 10)];
    let place = Place::start(Setup { fleet: fleet_that_saw(views), ..PLAIN() }).await;
    place.halts.apply(&halted_by_rule("held"));
    place.halts.apply(&halted_by_rule("elsewhere"));
    let released = Order {
        tenant: "acme".into(),
        session: "freed".into(),
        state: HaltState::Running,
        by: "ana".into(),
        reason: "fine".into(),
        at: Millis(5),
        seen_through: None,
    };
    let freed = halted_by_rule("freed");
    place.halts.apply(&freed);
    place.halts.apply(&HaltRecord::from_order(&released, Some(&freed)).expect("was halted"));
    place.recent.add([finding("held", 1), finding("busy", 2), finding("held", 3)].into_iter());

    let rows: [(&str, &str, &[&str]); 9] = [
        ("/v1/sessions", "sessions", &["elsewhere", "held", "busy", "calm"]),
        ("/v1/sessions?state=halted&tenant=acme", "sessions", &["elsewhere", "held"]),
        ("/v1/sessions?state=running&tenant=", "sessions", &["busy", "calm"]),
        ("/v1/sessions?limit=3", "sessions", &["elsewhere", "held", "busy"]),
        ("/v1/halts", "halts", &["elsewhere", "held"]),
        ("/v1/halts?state=all&limit=2", "halts", &["elsewhere", "held"]),
        ("/v1/halts?tenant=other", "halts", &[]),
        ("/v1/findings?session=held", "findings", &["held", "held"]),
        ("/v1/findings?tenant=acme&limit=2", "findings", &["held", "busy"]),
    ];
    for (path, list, sessions) in rows {
        let answer = place.get(path).await.json();
        let named = answer[list].as_array().expect("a list").iter().map(|row| row["session"].as_str().expect("a name"));
        assert_eq!(named.collect::<Vec<_>>(), sessions, "{path}: {answer}");
    }
    let all = place.get("/v1/sessions").await.json();
    assert_eq!((&all["halted"], &all["complete"]), (&json!(2), &json!(true)), "{all}");
    assert_eq!(all["sessions"][0]["activity"], Value::Null, "halted, and seen by no worker here: {all}");
    assert_eq!(
        (&all["sessions"][1]["activity"]["events"], &all["sessions"][1]["halt"]["rule"]),
        (&json!(4), &json!("some-rule"))
    );
    assert_eq!(place.get("/v1/halts?state=all&limit=2").await.json()["total"], 3);

    for (session, state, events, findings) in
        [("held", "halted", json!(4), 2), ("busy", "running", json!(4), 1), ("freed", "running", Value::Null, 0)]
    {
        let one = place.get(&format!("/v1/sessions/{session}?tenant=acme")).await.json();
        assert_eq!((&one["state"], &one["activity"]["events"]), (&json!(state), &events), "{one}");
        assert_eq!(
            (one["halt"].is_null(), one["findings"].as_array().map(Vec::len)),
            (state == "running", Some(findings)),
            "{one}"
        );
    }
    let rules = place.get("/v1/rules").await.json();
    assert!(
        rules["hash"].is_string() && rules["rules"][0]["kind"].is_string() && rules["rules"][0]["action"].is_string()
    );
}

#[tokio::test]
async fn workers_that_do_not_answer_are_not_waited_for() {
    let (queue, _nobody_reads) = crossbeam_channel::unbounded();
    let place = Place::start(Setup { fleet: Fleet::new(vec![queue]), ..PLAIN() }).await;
    place.halts.apply(&halted_by_rule("held"));
    let order = json!({"by": "ana", "reason": "x"}).to_string();
    let (list, known, unknown, resume) = tokio::join!(
        place.get("/v1/sessions"),
        place.get("/v1/sessions/held?tenant=acme"),
        place.get("/v1/sessions/nobody"),
        place.post("/v1/sessions/held/resume?tenant=acme", &order),
    );
    let list = list.json();
    assert_eq!((&list["complete"], &list["sessions"][0]["session"]), (&json!(false), &json!("held")), "{list}");
    assert_eq!(known.json()["state"], "halted", "{}", known.body);
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (503, &json!("workers_busy")));
    assert_eq!(resume.status, 503, "a release must know how far it reaches: {}", resume.body);
    assert!(place.halts.get("acme", "held").expect("known").is_halted());
}
