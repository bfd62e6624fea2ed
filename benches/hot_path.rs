//! The hot path beside what it is measured against: reading the same event with `serde_json` into
//! borrowed fields. Look at the ratio within one run, not at the times.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use haltline::app::load_rules;
use haltline::engine::{At, Engine, HashKey, Input, Settings};
use haltline::event::parse;
use haltline::ids::ShardId;
use haltline::time::Millis;

/// A tool result of about 850 bytes, as one of many sessions would have it.
fn event(session: u64) -> String {
    let text = "The order was placed on Monday and left the warehouse on Tuesday. The customer asked for a refund of \
        the second item, which arrived with a scratch on the lid; a photo is attached to the ticket. Policy says that \
        items under 50 can be refunded without a return. Address and payment were checked against the account. "
        .repeat(2);
    format!(
        r#"{{"v":1,"id":"e-{session}","ts":"2026-11-23T10:00:00.123Z","tenant":"acme","session":"s-{session}","turn":3,"agent":{{"id":"support-bot"}},"kind":"tool_result","tool":{{"name":"get_ticket","call_id":"c1","result":{{"body":"{text}","open":true}}}}}}"#
    )
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "it is only read into")]
struct Borrowed<'a> {
    v: u32,
    id: &'a str,
    ts: &'a str,
    tenant: &'a str,
    session: &'a str,
    turn: u64,
    kind: &'a str,
    #[serde(borrow)]
    tool: &'a serde_json::value::RawValue,
}

fn hot_path(criterion: &mut Criterion) {
    let events: Vec<String> = (0..4_096).map(event).collect();
    let program = load_rules(&[]).expect("the built-in packs are good");
    let mut group = criterion.benchmark_group("hot_path");
    group.throughput(Throughput::Bytes(events[0].len() as u64));
    let mut next = 0;
    group.bench_function("serde_json into borrowed fields", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % events.len();
            black_box(serde_json::from_str::<Borrowed<'_>>(&events[next]).expect("an event"));
        });
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % events.len();
            black_box(parse(events[next].as_bytes()).expect("an event"));
        });
    });
    let shard = ShardId { topic: Arc::from("bench"), partition: 0 };
    let mut engine = Engine::new(shard, program, Settings { shadow: false, hash_key: HashKey([1; 16]) });
    let (mut effects, mut offset) = (Vec::new(), 0);
    group.bench_function("parse and step", |bencher| {
        bencher.iter(|| {
            next = (next + 1) % events.len();
            offset += 1;
            let parsed = parse(events[next].as_bytes()).expect("an event");
            let at = At { offset, append: Some(Millis(1_795_000_000_000 + offset)), silent: false };
            // Another digest each time, so that no event is taken for a retry.
            let digest = u32::try_from(offset % i64::from(u32::MAX)).expect("in range");
            engine.step(at, Input::Event { event: &parsed.event, digest }, &mut effects);
            black_box(&effects);
            effects.clear();
        });
    });
    group.finish();
}

criterion_group!(benches, hot_path);
criterion_main!(benches);
