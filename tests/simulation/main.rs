//! The engine under everything that can go wrong, from seeds: traffic with retries, reordering, late events and
//! lying clocks; rules that are loaded anew; a ledger that takes nothing; crashes with and without a snapshot.
//! Each seed is run several times, and seven things are checked. A failure prints its seed:
//! `HALTLINE_SEED=N cargo test --test simulation` runs that one alone, `HALTLINE_SEEDS=N` so many.

#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation
)]

mod model;
mod random;
mod rules;
mod traffic;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use haltline::engine::{Effect, Engine, HashKey, Settings, SnapshotError};
use haltline::event::{LeafValue, Leaves, parse};
use haltline::finding::Finding;
use haltline::ids::ShardId;
use haltline::limits::{EXCERPT_CHARS_MAX, FINDINGS_PER_EVENT_MAX, FINDINGS_PER_SESSION_MAX};

use traffic::{Happening, Record, Story};
use world::{World, step};

const SEEDS: u64 = 1_000;

/// Runs a check over all seeds, or over the one of the environment; on every thread that there is.
fn for_seeds(check: impl Fn(u64) + Sync) {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    if let Some(seed) = number("HALTLINE_SEED") {
        return check(seed);
    }
    let seeds = number("HALTLINE_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    std::thread::scope(|scope| {
        for first in 0..threads {
            let check = &check;
            scope.spawn(move || (first..seeds).step_by(threads as usize).for_each(check));
        }
    });
}

/// What does not change what follows: everything but an operator, the rules and the clock.
fn is_trouble(happening: &Happening) -> bool {
    !matches!(happening, Happening::Release { .. } | Happening::Rules { .. } | Happening::Tick)
}

fn findings(world: &World<'_>) -> BTreeMap<String, Finding> {
    world.ledger.findings.clone()
}

#[test]
fn the_same_seed_gives_the_same_effects_whatever_the_secret() {
    for_seeds(|seed| {
        let story = Story::of(seed);
        let run = |key| World::new(&story, key, &[]).run(|happening| !is_trouble(happening));
        let (one, other, foreign) = (run(1), run(1), run(2));
        assert_eq!(one.steps, other.steps, "seed {seed}");
        assert_eq!(one.steps, foreign.steps, "seed {seed}: another secret of the hashes");
    });
}

#[test]
fn crashes_and_snapshots_change_nothing() {
    for_seeds(|seed| {
        let story = Story::of(seed);
        // Rules that change in between are in force in a replay from the beginning, too, where they were not
        // then: the windows of a rule that comes and goes are not compared.
        let calm = World::new(&story, 1, &["agent"]).run(|happening| matches!(happening, Happening::Tick));
        let troubled = World::new(&story, 1, &["agent"])
            .run(|happening| is_trouble(happening) || matches!(happening, Happening::Tick));
        let (want, got) = (findings(&calm), findings(&troubled));
        let missing: Vec<&Finding> = want.iter().filter(|(id, _)| !got.contains_key(*id)).map(|(_, f)| f).collect();
        let added: Vec<&Finding> = got.iter().filter(|(id, _)| !want.contains_key(*id)).map(|(_, f)| f).collect();
        assert!(missing.is_empty() && added.is_empty(), "seed {seed}: missing {missing:#?}, added {added:#?}");
        assert_eq!(calm.ledger.halts, troubled.ledger.halts, "seed {seed}");
    });
}

#[test]
fn every_window_agrees_with_a_count_over_the_whole_history() {
    for_seeds(|seed| {
        let story = Story::of(seed);
        let world = World::new(&story, 1, &[]).run(|_| false);
        let told = world.steps.iter().enumerate().flat_map(|(number, effects)| {
            let findings = effects.iter().filter_map(|effect| match effect {
                Effect::Finding(finding) => Some(finding.rule.to_string()),
                Effect::Halt(_) => None,
            });
            let windows = findings.filter(|rule| ["count", "sum", "distinct", "agent"].contains(&rule.as_str()));
            windows.map(move |rule| format!("{rule}@{number}")).collect::<Vec<_>>()
        });
        let told: BTreeSet<String> = told.collect();
        assert_eq!(told, model::windows(&story.records), "seed {seed}");
    });
}

#[test]
fn nothing_is_undone_but_by_an_operator() {
    for_seeds(|seed| {
        let story = Story::of(seed);
        let world = World::new(&story, 1, &[]).run(|_| true);
        let mut halted: BTreeMap<&str, (bool, u64)> = BTreeMap::new();
        for record in &world.ledger.halts {
            let (was, epoch) = halted.get(&*record.session).copied().unwrap_or_default();
            assert_ne!(was, record.is_halted(), "seed {seed}: {record:?} says again what holds");
            assert_eq!(record.epoch, epoch + 1, "seed {seed}: {record:?}");
            assert!(record.is_halted() || record.by == "ana", "seed {seed}: {record:?} was released by nobody");
            let voided = record.origin.as_ref().is_some_and(|origin| record.is_halted() && record.voids(origin));
            assert!(!voided, "seed {seed}: {record:?} was halted for what an operator had released");
            halted.insert(&record.session, (record.is_halted(), record.epoch));
        }
    });
}

#[test]
fn any_number_of_shards_decides_as_one() {
    for_seeds(|seed| {
        let story = Story::of(seed);
        assert_eq!(decided(&story.records, 1), decided(&story.records, 3), "seed {seed}");
    });
}

/// What is found for each session when its records are spread over so many partitions, without what depends on
/// where a record stands.
fn decided(records: &[Record], partitions: u64) -> BTreeMap<u64, Vec<String>> {
    let program = rules::program(&["agent", "spike"]);
    let settings = Settings { shadow: false, hash_key: HashKey([3; 16]) };
    let shard = |partition| ShardId { topic: "t".into(), partition };
    let mut engines: Vec<Engine> =
        (0..partitions).map(|n| Engine::new(shard(n as i32), program.clone(), settings)).collect();
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (number, record) in records.iter().enumerate() {
        let engine = &mut engines[(record.session % partitions) as usize];
        let effects = step(engine, record, number as i64, false);
        let told = effects.iter().map(|effect| match effect {
            Effect::Finding(finding) => {
                let summary = finding.evidence.summary.split('(').next().unwrap_or_default().to_owned();
                format!("{number} {} {:?} {summary}", finding.rule, finding.action)
            }
            Effect::Halt(halt) => format!("{number} halt {}", halt.epoch),
        });
        found.entry(record.session).or_default().extend(told);
    }
    found
}

#[test]
fn limits_hold_and_evidence_points_into_its_event() {
    for_seeds(|seed| {
        let story = Story::of(seed);
        let world = World::new(&story, 1, &[]).run(|_| false);
        for (record, effects) in story.records.iter().zip(&world.steps) {
            let found: Vec<&Finding> = effects.iter().filter_map(as_finding).collect();
            assert!(found.len() <= FINDINGS_PER_EVENT_MAX, "seed {seed}");
            assert!(effects.len() - found.len() <= 1, "seed {seed}: two halts by one event");
            found.iter().for_each(|finding| check_evidence(seed, record, finding));
        }
        for session in world.engine().latest_sessions(None, 100) {
            assert!(session.findings.len() <= FINDINGS_PER_SESSION_MAX, "seed {seed}");
        }
    });
}

fn as_finding(effect: &Effect) -> Option<&Finding> {
    match effect {
        Effect::Finding(finding) => Some(finding),
        Effect::Halt(_) => None,
    }
}

/// The span lies in the field that the evidence names, between characters; nothing shows a secret.
fn check_evidence(seed: u64, record: &Record, finding: &Finding) {
    let evidence = &finding.evidence;
    let json = serde_json::to_string(evidence).expect("JSON");
    assert!(!json.contains("0123456789abcdef"), "seed {seed}: a secret in {json}");
    assert!(evidence.excerpt.as_ref().is_none_or(|text| text.chars().count() <= EXCERPT_CHARS_MAX + 2), "seed {seed}");
    let (Some((start, end)), Some(field)) = (evidence.span, &evidence.field) else { return };
    let Ok(parsed) = parse(&record.bytes) else { return };
    let leaves = Leaves::of(&parsed.event);
    match leaves.get(field) {
        Some(LeafValue::Text(text)) => {
            assert!(start < end && text.get(start..end).is_some(), "seed {seed}: {start}..{end} in {field} {text:?}");
        }
        other => panic!("seed {seed}: {field} is {other:?}"),
    }
}

#[test]
fn the_traffic_meets_every_rule() {
    let mut met: BTreeSet<String> = BTreeSet::new();
    for seed in 0..60 {
        let story = Story::of(seed);
        let world = World::new(&story, 1, &[]).run(|_| false);
        met.extend(world.ledger.findings.values().map(|finding| finding.rule.to_string()));
    }
    let missed: Vec<&str> =
        rules::OF_SESSIONS.iter().copied().chain(["agent", "spike", "token"]).filter(|id| !met.contains(*id)).collect();
    assert!(missed.is_empty(), "no seed meets {missed:?}");
}

#[test]
fn a_snapshot_that_is_damaged_or_somebody_elses_is_refused() {
    let story = Story::of(1);
    let bytes = World::new(&story, 1, &[]).run(|_| false).engine().snapshot().expect("can be written");
    let shard = |partition| ShardId { topic: "t".into(), partition };
    let settings = |key| Settings { shadow: false, hash_key: HashKey([key; 16]) };
    let restore =
        |shard, key, bytes: &[u8]| Engine::restore(shard, rules::program(&[]), settings(key), bytes).map(drop);
    assert_eq!(restore(shard(0), 1, &bytes), Ok(()));
    let mut flipped = bytes.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let mut newer = bytes.clone();
    newer[8] = 9;
    let format = |what: &str| SnapshotError::Format(what.to_owned());
    let name = |n| format!("t:{n}");
    let rows = [
        (restore(shard(0), 1, &flipped), SnapshotError::Damaged),
        (restore(shard(0), 1, &bytes[..last]), SnapshotError::Damaged),
        (restore(shard(0), 1, &bytes[..20]), format("a beginning only")),
        (restore(shard(0), 1, b"{}"), format("something else")),
        (restore(shard(0), 1, &newer), format("version 9")),
        (restore(shard(3), 1, &bytes), SnapshotError::Shard { expected: name(3), actual: name(0) }),
        (restore(shard(0), 2, &bytes), SnapshotError::Key),
    ];
    for (got, want) in rows {
        assert_eq!(got, Err(want));
    }
}
