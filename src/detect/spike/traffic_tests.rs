//! Simulated traffic: how often chance alone is found, and how soon a true spike is.
//!
//! Everything is drawn from a fixed seed with the exact arithmetic of this module, so the numbers are the
//! same on every machine.

use super::exact::ln;
use super::*;

const WINDOW: i64 = 300_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Exponential with mean 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    fn gap(&mut self) -> f64 {
        ln((1_u64 << 53) as f64 / ((self.next() >> 11) as f64 + 0.5))
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        let (mut events, mut at) = (0, self.gap());
        while at < mean {
            (events, at) = (events + 1, at + self.gap());
        }
        events
    }

    /// Bursts of 1 to 2 · `burst` − 1 events, so many events on average.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn bursts(&mut self, mean: f64, burst: u64) -> u64 {
        (0..self.poisson(mean / burst as f64)).map(|_| 1 + self.below(2 * burst - 1)).sum()
    }
}

/// One finding: key and bucket.
type Found = (u128, i64);

/// Runs keys side by side, bucket by bucket, with events at random times in it.
fn run(
    params: SpikeParams,
    keys: u128,
    buckets: i64,
    mut events: impl FnMut(&mut Random, u128, i64) -> u64,
) -> Vec<Found> {
    let (mut detector, mut random, mut found) = (SpikeDetector::new(params), Random(42), Vec::new());
    for bucket in 0..buckets {
        for key in 0..keys {
            let events = events(&mut random, key, bucket);
            let mut times: Vec<u64> = (0..events).map(|_| random.below(WINDOW.unsigned_abs())).collect();
            times.sort_unstable();
            for time in times {
                let at = Millis(bucket * WINDOW) + Span(i64::try_from(time).expect("small"));
                found.extend(detector.observe(key, None, 0, at, 1).map(|_| (key, bucket)));
            }
        }
    }
    found
}

/// For each key the first finding from `start` on, in buckets after it; sorted.
fn delays(found: &[Found], start: i64) -> Vec<i64> {
    let mut first = std::collections::BTreeMap::new();
    for (key, bucket) in found.iter().filter(|(_, bucket)| *bucket >= start) {
        first.entry(*key).or_insert(bucket - start);
    }
    let mut delays: Vec<i64> = first.into_values().collect();
    delays.sort_unstable();
    delays
}

fn median(sorted: &[i64]) -> Option<i64> {
    sorted.get(sorted.len() / 2).copied()
}

const DEFAULT: SpikeParams = SpikeParams {
    window: Span(WINDOW),
    unit: 1,
    method: SpikeMethod::Poisson,
    half_life: Span::seconds(86_400),
    seasonal: false,
    warm_up: 12,
    at_least: 10,
    times: 3.0,
    one_in: 1e6,
};
/// Chance is the only gate.
const CHANCE: SpikeParams = SpikeParams { at_least: 1, times: 1.0, ..DEFAULT };
const CUSUM: SpikeParams = SpikeParams { method: SpikeMethod::Cusum, ..DEFAULT };

#[test]
fn two_thousand_quiet_keys_raise_no_alarm() {
    let found = run(CHANCE, 2_000, 500, |random, _, _| random.poisson(2.0));
    assert!(found.len() <= 1, "{} in a million buckets at one in a million: {found:?}", found.len());
}

#[test]
fn chance_is_about_as_rare_as_asked_for() {
    // The window slides and is looked at more often than once a bucket: up to six times as many.
    for (one_in, mean, most) in [(1e3, 0.2, 10), (1e3, 2.0, 200), (1e3, 20.0, 600), (1e4, 20.0, 60)] {
        let found = run(SpikeParams { one_in, ..CHANCE }, 200, 500, |random, _, _| random.poisson(mean));
        assert!(found.len() <= most, "one in {one_in}, mean {mean}: {} of 100,000 buckets", found.len());
    }
}

#[test]
fn benign_bursts_are_learnt() {
    for (mean, burst) in [(2.0, 5), (10.0, 10), (40.0, 20)] {
        for params in [DEFAULT, CUSUM] {
            let found = run(params, 200, 500, |random, _, _| random.bursts(mean, burst));
            let late = found.iter().filter(|(_, bucket)| *bucket >= 50).count();
            assert!(
                late <= 1 && found.len() <= 4,
                "{:?} {mean} in bursts of {burst}: {} of 100,000 buckets, {late} of them late",
                params.method,
                found.len()
            );
        }
    }
}

#[test]
fn keys_that_are_busy_now_and_then_are_for_the_quantile() {
    let quantile = SpikeParams { method: SpikeMethod::Quantile, ..DEFAULT };
    let found = run(quantile, 50, 1_000, |random, _, _| if random.below(20) == 0 { random.poisson(40.0) } else { 0 });
    let late = found.iter().filter(|(_, bucket)| *bucket >= 100).count();
    assert_eq!(late, 0, "{found:?}");
    let spike = |bucket| if bucket == 1_000 { 400 } else { 0 };
    let found = run(quantile, 50, 1_001, |random, _, bucket| {
        spike(bucket) + if random.below(20) == 0 { random.poisson(40.0) } else { 0 }
    });
    assert_eq!(delays(&found, 1_000).len(), 50);
}

#[test]
fn a_spike_is_found_at_once() {
    for (mean, times, least) in [(2.0, 10.0, 99), (4.0, 5.0, 95), (20.0, 5.0, 100)] {
        let rate = |bucket| if bucket >= 400 { mean * times } else { mean };
        let found = run(DEFAULT, 100, 420, |random, _, bucket| random.poisson(rate(bucket)));
        let delays = delays(&found, 400);
        assert!(delays.len() >= least, "{mean} times {times}: {} of 100", delays.len());
        assert_eq!(median(&delays), Some(0), "{mean} times {times}: {delays:?}");
    }
}

#[test]
fn low_and_slow_is_found_by_its_sum() {
    let rows = [(0.5, 5.0, 13), (0.5, 3.0, 40), (2.0, 3.0, 10)];
    for (mean, times, most) in rows {
        let rate = |bucket| if bucket >= 600 { mean * times } else { mean };
        let found = run(CUSUM, 100, 800, |random, _, bucket| random.poisson(rate(bucket)));
        let delays = delays(&found, 600);
        assert!(found.iter().all(|(_, bucket)| *bucket >= 600), "{found:?}");
        assert!(delays.len() >= 99, "{mean} times {times}: {} of 100", delays.len());
        assert!(median(&delays) <= Some(most), "{mean} times {times}: {delays:?}");
    }
}

#[test]
fn a_ramp_does_not_teach_its_way_past() {
    // Buckets before the ramp, buckets in which it doubles, and how far it may get. While the lagged
    // memory is as young as the near one, a slow ramp is for the CUSUM alone.
    let rows = [
        (DEFAULT, 500, 24, 8.0),
        (DEFAULT, 5_000, 72, 8.0),
        (DEFAULT, 5_000, 288, 8.0),
        (CUSUM, 500, 72, 5.0),
        (CUSUM, 500, 288, 5.0),
        (CUSUM, 500, 1_152, 5.0),
    ];
    for (params, before, doubling, most) in rows {
        let step = 1.0 / exact::half_to(1.0 / f64::from(doubling));
        let mut rate = 4.0;
        let found = run(params, 1, before + 5 * i64::from(doubling), |random, _, bucket| {
            rate *= if bucket >= before { step } else { 1.0 };
            random.poisson(rate)
        });
        let method = params.method;
        let Some((_, bucket)) = found.first() else { panic!("{method:?}: a doubling in {doubling} is not found") };
        let reached = exact::power(step, (bucket - before).unsigned_abs());
        assert!(*bucket >= before && reached <= most, "{method:?}, a doubling in {doubling}: found at {reached} times");
    }
}

#[test]
fn days_and_nights_are_usual() {
    let rate = |bucket: i64| if (9..17).contains(&(bucket / 12 % 24)) { 20.0 } else { 1.0 };
    for seasonal in [false, true] {
        let params = SpikeParams { seasonal, ..DEFAULT };
        let found = run(params, 20, 10 * 288, |random, _, bucket| random.poisson(rate(bucket)));
        // On the first day the morning is a spike: nothing was seen but the night.
        let late = found.iter().filter(|(_, bucket)| *bucket >= 2 * 288).count();
        assert!(late <= 2, "seasonal {seasonal}: {late} after the second day: {found:?}");
    }
}

#[test]
fn a_busy_night_is_found_where_hours_are_told_apart() {
    let night = 12 * 288 + 36;
    let rate = |bucket: i64| match bucket / 12 % 24 {
        9..17 => 20.0,
        _ if bucket >= night => 20.0,
        _ => 1.0,
    };
    for (seasonal, least, most) in [(true, 18, 20), (false, 0, 2)] {
        let params = SpikeParams { seasonal, half_life: Span::seconds(3 * 86_400), ..DEFAULT };
        let found = run(params, 20, night + 3, |random, _, bucket| random.poisson(rate(bucket)));
        let delays = delays(&found, night);
        assert!((least..=most).contains(&delays.len()), "seasonal {seasonal}: {} of 20", delays.len());
    }
}

#[test]
fn many_short_sessions_are_compared_with_each_other() {
    let (mut detector, mut random, mut found) = (SpikeDetector::new(DEFAULT), Random(9), Vec::new());
    for session in 0..3_000_u128 {
        let start = i64::try_from(session).expect("small") * 20_000;
        let attack = session % 1_000 == 999;
        for _ in 0..if attack { 60 } else { random.poisson(4.0) } {
            let at = Millis(start + i64::try_from(random.below(60_000)).expect("small"));
            found.extend(detector.observe(session, Some(1), session, at, 1).map(|spike| (session, spike.of_peers)));
        }
    }
    assert_eq!(found, [(999, true), (1_999, true), (2_999, true)]);
}

#[test]
fn what_was_saved_goes_on_bit_for_bit() {
    for method in [SpikeMethod::Poisson, SpikeMethod::Ewma, SpikeMethod::Cusum, SpikeMethod::Quantile] {
        for seasonal in [false, true] {
            let params = SpikeParams { method, seasonal, at_least: 3, times: 1.5, one_in: 100.0, ..DEFAULT };
            let (mut whole, mut parts) = (SpikeDetector::new(params), SpikeDetector::new(params));
            let (mut random, mut at, mut found) = (Random(3), 0, 0);
            for n in 0..20_000 {
                at += i64::try_from(random.below(if n % 3_000 < 200 { 2_000 } else { 60_000 })).expect("small");
                let key = u128::from(random.below(8));
                let late = i64::try_from(random.below(200_000)).expect("small") * i64::from(n % 9 == 0);
                let event = (key, Some(key % 2), key, Millis(at - late), 1 + i64::from(n % 4));
                let (one, other) = (observe(&mut whole, event), observe(&mut parts, event));
                assert_eq!(one, other, "{method:?} {seasonal}");
                found += usize::from(one.is_some());
                if n % 2_500 == 2_499 {
                    parts = saved_and_restored(&parts, params);
                    whole.reset(3);
                    parts.reset(3);
                }
            }
            assert!(found > 10, "{method:?} {seasonal}: {found}");
            let bytes = |detector: &SpikeDetector| rmp_serde::to_vec(&detector.save()).expect("saves");
            assert_eq!(bytes(&whole), bytes(&parts), "{method:?} {seasonal}");
        }
    }
}

fn observe(detector: &mut SpikeDetector, event: (u128, Option<u128>, u128, Millis, i64)) -> Option<Spike> {
    let (key, peers, owner, at, amount) = event;
    detector.observe(key, peers, owner, at, amount)
}

fn saved_and_restored(detector: &SpikeDetector, params: SpikeParams) -> SpikeDetector {
    let bytes = rmp_serde::to_vec(&detector.save()).expect("saves");
    let mut restored = SpikeDetector::new(params);
    restored.restore(rmp_serde::from_slice(&bytes).expect("restores"));
    restored
}

#[test]
fn what_means_something_else_is_not_restored() {
    let mut detector = SpikeDetector::new(DEFAULT);
    detector.observe(1, None, 1, Millis(0), 1);
    let rows = [
        (SpikeParams { at_least: 99, times: 9.0, one_in: 1e9, half_life: Span::seconds(3_600), ..DEFAULT }, 1),
        (SpikeParams { window: Span(60_000), ..DEFAULT }, 0),
        (SpikeParams { unit: 1_000_000, ..DEFAULT }, 0),
        (SpikeParams { method: SpikeMethod::Quantile, ..DEFAULT }, 0),
        (SpikeParams { seasonal: true, ..DEFAULT }, 0),
    ];
    for (params, keys) in rows {
        assert_eq!(saved_and_restored(&detector, params).keys(), keys, "{params:?}");
    }
}
