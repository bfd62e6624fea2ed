//! What a session costs in memory and time: windows, repeats, sequences and flows over few and very many keys,
//! and a sequence over a session that gets longer. Look at the ratios within one run, not at the times.
//!
//! Bytes are the growth of the process's resident memory by key, so allocator slack counts, too.

use std::time::Instant;

use haltline::detect::{
    Amount, FlowDetector, FlowPlan, RateDetector, RateLimit, RepeatDetector, SequenceDetector, SequencePlan,
    SourceHashes, Stage,
};
use haltline::text::{Printer, value_hashes};
use haltline::time::{Millis, Span};

/// Keeps a result from being optimised away.
fn hold<T>(value: T) {
    std::hint::black_box(value);
}

const RUNS: usize = 5;
const HOUR: Span = Span::seconds(3_600);

/// Keys as keyed hashes would be.
fn key(n: u64) -> u128 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    u128::from(z ^ (z >> 27)) << 64 | u128::from(z)
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

/// Median nanoseconds of one call of `step`, each with a number of its own.
#[allow(clippy::cast_precision_loss)]
fn nanos(mut step: impl FnMut(u64)) -> f64 {
    const STEPS: u64 = 200_000;
    let mut times: Vec<f64> = (0..RUNS as u64)
        .map(|run| {
            let began = Instant::now();
            (run * STEPS..(run + 1) * STEPS).for_each(&mut step);
            began.elapsed().as_nanos() as f64 / STEPS as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// One detector over so many keys: three events of each, and then events of keys in no order.
#[allow(clippy::cast_precision_loss)]
fn row(name: &str, keys: u64, mut observe: impl FnMut(u128, Millis)) {
    let before = resident();
    for turn in 0..3 {
        (0..keys).for_each(|n| observe(key(n), Millis(1_000 + turn)));
    }
    let bytes = resident().saturating_sub(before) as f64 / keys as f64;
    let nanos = nanos(|n| observe(key(n.wrapping_mul(0x9e37_79b9) % keys), Millis(2_000)));
    println!("{name:<28} {keys:>10} {nanos:>10.0} {bytes:>10.0}");
}

fn windows() {
    println!("\n{:<28} {:>10} {:>10} {:>10}", "one update", "keys", "ns", "bytes/key");
    for keys in [10_000, 1_000_000] {
        let mut rate = RateDetector::new(RateLimit::CountAtLeast(1_000_000), HOUR);
        row("rate: count", keys, |key, at| hold(rate.observe(key, key, at, Amount::One, None)));
        let mut sum = RateDetector::new(RateLimit::SumAbove(i64::MAX), HOUR);
        row("rate: sum", keys, |key, at| hold(sum.observe(key, key, at, Amount::Sum(40), None)));
        let mut repeat = RepeatDetector::new(1_000_000, HOUR);
        row("repeat", keys, |key, at| hold(repeat.observe(key, key, at, 7)));
        let mut sequence = SequenceDetector::new(plan());
        row("sequence, one step done", keys, |key, at| hold(sequence.observe(key, key, at, 1, 1)));
    }
}

fn plan() -> SequencePlan {
    let stage = |steps| Stage { steps, not: 0 };
    SequencePlan { stages: vec![stage(0b011), stage(0b100)], within: HOUR, max_gap: None }
}

/// A session in which the same steps come again and again and never complete.
fn long_session() {
    println!("\n{:<28} {:>10} {:>10}", "a session's next turn", "after", "ns");
    for turns in [100_u64, 10_000, 1_000_000] {
        let mut sequence = SequenceDetector::new(plan());
        (0..turns).for_each(|n| drop(sequence.observe(1, 1, Millis(1_000), 1, 1 + u32::from(n % 2 == 0))));
        let nanos = nanos(|n| hold(sequence.observe(1, 1, Millis(1_000), 1, 1 + u32::from(n % 2 == 0))));
        println!("{:<28} {turns:>10} {nanos:>10.0}", "sequence");
    }
}

fn flows() {
    let printer = Printer::new([0; 16]);
    let record =
        "Name Ana Berg, iban DE89 3704 0044 0532 0130 00, ana.berg@customers.example, order W2378156. ".repeat(10);
    let source = printer.source(&record);
    let values = value_hashes(&source.values, false);
    println!("{:<28} {:>10} {:>10} {:>10}", "flow", "keys", "ns", "bytes/key");
    let mut flow = FlowDetector::new(FlowPlan { within: HOUR, values_min: 1, chars_min: 48 });
    let keys = 20_000;
    let before = resident();
    for n in 0..keys {
        let hashes = SourceHashes { prints: &source.prints, values: &values, words: &[] };
        flow.source(key(n), key(n), Millis(1_000), 1, hashes);
    }
    let bytes = resident().saturating_sub(before) / keys;
    let unknown = nanos(|n| hold(flow.has_sources(key(keys + n % keys), Millis(1_000))));
    let known = nanos(|n| hold(flow.has_sources(key(n % keys), Millis(1_000))));
    println!("{:<28} {keys:>10} {unknown:>10.0} {bytes:>10}", "any source? (there is none)");
    println!("{:<28} {keys:>10} {known:>10.0}", "any source? (one of 1 KB)");
    std::mem::forget(flow);
}

fn main() {
    // First, and never given back: memory that is taken again does not show.
    flows();
    windows();
    long_session();
}
