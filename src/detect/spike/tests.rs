//! What a spike is, case by case.

use super::*;

const WINDOW: i64 = 300_000;
const HOUR: i64 = 3_600_000;

/// A detector that is fed bucket by bucket.
struct Feed {
    detector: SpikeDetector,
    /// Start of the next bucket.
    next: i64,
}

impl Feed {
    fn new(params: SpikeParams) -> Self {
        Self { detector: SpikeDetector::new(params), next: 0 }
    }

    /// One bucket with so many events of key 1, evenly over it; the last finding.
    fn bucket(&mut self, events: i64) -> Option<Spike> {
        self.bucket_of(1, None, events)
    }

    fn bucket_of(&mut self, key: u128, peers: Option<u128>, events: i64) -> Option<Spike> {
        let step = WINDOW / events.max(1);
        let times: Vec<i64> = (0..events).map(|n| self.next + n * step).collect();
        self.next += WINDOW;
        times.into_iter().filter_map(|at| self.detector.observe(key, peers, key, Millis(at), 1)).last()
    }

    /// So many buckets; how many findings.
    fn buckets(&mut self, buckets: usize, events: i64) -> usize {
        (0..buckets).filter(|_| self.bucket(events).is_some()).count()
    }
}

fn fed(params: SpikeParams, buckets: usize, events: i64) -> Feed {
    let mut feed = Feed::new(params);
    assert_eq!(feed.buckets(buckets, events), 0, "steady traffic is no spike");
    feed
}

#[test]
fn the_evidence_says_what_was_usual() {
    let mut feed = fed(SpikeParams::default(), 100, 2);
    let spike = feed.bucket(31).expect("found");
    let expected = Spike {
        value: 15,
        usual: 2.0,
        deviation: 1.4,
        needed: 14.2,
        excess: None,
        of_peers: false,
        buckets_seen: 100,
        method: SpikeMethod::Poisson,
        bucket: 100,
    };
    assert_eq!(spike, expected);
}

#[test]
fn nothing_is_found_before_the_warm_up() {
    for method in [SpikeMethod::Poisson, SpikeMethod::Ewma, SpikeMethod::Cusum, SpikeMethod::Quantile] {
        for (warm_up, buckets, found) in [(12, 12, true), (12, 11, false), (30, 29, false), (30, 30, true)] {
            let params = SpikeParams { warm_up, method, ..SpikeParams::default() };
            let spike = fed(params, buckets, 2).bucket(200);
            assert_eq!(spike.is_some(), found, "{method:?}: {buckets} closed buckets of {warm_up}");
        }
    }
}

#[test]
fn every_gate_must_hold() {
    let base = SpikeParams { at_least: 1, times: 1.0, one_in: 10.0, ..SpikeParams::default() };
    let method = |method| SpikeParams { method, ..base };
    let rows = [
        ("chance 10", base, 5),
        ("chance 1e6", SpikeParams { one_in: 1e6, ..base }, 14),
        ("chance 1e12", SpikeParams { one_in: 1e12, ..base }, 24),
        ("floor", SpikeParams { at_least: 40, ..base }, 40),
        ("ratio", SpikeParams { times: 20.0, ..base }, 40),
        ("all", SpikeParams { at_least: 30, times: 20.0, one_in: 1e12, ..base }, 40),
        ("ewma", SpikeParams { one_in: 1e6, ..method(SpikeMethod::Ewma) }, 9),
        ("ewma ratio", SpikeParams { times: 20.0, ..method(SpikeMethod::Ewma) }, 40),
        ("quantile ratio", SpikeParams { times: 20.0, ..method(SpikeMethod::Quantile) }, 40),
        ("quantile floor", SpikeParams { times: 2.0, at_least: 6, ..method(SpikeMethod::Quantile) }, 6),
    ];
    for (name, params, value) in rows {
        let spike = fed(params, 400, 2).bucket(100).expect(name);
        assert_eq!(spike.value, value, "{name}: {spike:?}");
    }
}

#[test]
fn an_episode_is_found_once() {
    let rows: [(&str, &[i64], usize); 5] = [
        ("goes on", &[40, 40, 40, 40, 40], 1),
        ("falls below the threshold, not below 0.7 of it", &[40, 12, 40, 12, 40], 1),
        ("is over in between", &[40, 2, 2, 40, 2, 2, 40], 3),
        ("is over after a silence", &[40, 0, 0, 40], 2),
        ("never was", &[9, 9, 9, 2, 9], 0),
    ];
    for (name, buckets, found) in rows {
        let mut feed = fed(SpikeParams::default(), 100, 2);
        let spikes: Vec<Spike> = buckets.iter().filter_map(|events| feed.bucket(*events)).collect();
        assert_eq!(spikes.len(), found, "{name}");
        assert!(spikes.iter().all(|spike| (spike.usual - 2.0).abs() < 0.35), "{name}: taught by alarms: {spikes:?}");
    }
}

#[test]
fn a_new_level_is_learnt_in_the_end() {
    let mut feed = fed(SpikeParams { half_life: Span::seconds(6 * 3_600), ..SpikeParams::default() }, 100, 2);
    assert_eq!(feed.buckets(4_000, 20), 1, "one episode, however long");
    let spike = feed.bucket(400).expect("the alarm is over, and there can be another one");
    assert!((19.0..=21.0).contains(&spike.usual), "{spike:?}");
}

#[test]
fn a_young_key_is_compared_with_its_peers() {
    let mut feed = Feed::new(SpikeParams::default());
    for round in 0..30_u128 {
        assert_eq!(feed.bucket_of(100 + round % 5, Some(7), 3), None);
    }
    assert_eq!(feed.bucket_of(1, None, 60), None, "no peers");
    assert_eq!(feed.bucket_of(2, Some(8), 60), None, "unknown peers");
    assert_eq!(feed.bucket_of(3, Some(7), 8), None, "like its peers, a little more");
    let spike = feed.bucket_of(4, Some(7), 60).expect("found");
    assert!(spike.of_peers && (spike.usual - 3.0).abs() < 0.3, "{spike:?}");
    assert!(spike.buckets_seen >= 30);
}

#[test]
fn an_old_key_is_compared_with_itself() {
    let mut feed = Feed::new(SpikeParams::default());
    for _ in 0..40 {
        feed.bucket_of(1, Some(7), 30);
        feed.bucket_of(2, Some(7), 2);
    }
    assert_eq!(feed.bucket_of(1, Some(7), 45), None, "its own usual is 30, in every second bucket");
    let spike = feed.bucket_of(2, Some(7), 40).expect("its own usual is less");
    assert!(!spike.of_peers && spike.usual < 2.1, "{spike:?}");
}

#[test]
fn mere_silence_makes_no_key_stricter_than_its_peers() {
    let mut feed = Feed::new(SpikeParams::default());
    for _ in 0..40 {
        feed.bucket_of(1, Some(7), 30);
    }
    feed.bucket_of(2, Some(7), 1);
    feed.next += 30 * WINDOW;
    assert_eq!(feed.bucket_of(2, Some(7), 40), None, "a key that has done nothing yet, at work for the first time");
    feed.next += 2 * WINDOW;
    assert!(feed.bucket_of(2, Some(7), 200).expect("far more than any").of_peers);
}

#[test]
fn a_release_clears_windows_and_keeps_baselines() {
    let mut feed = fed(SpikeParams::default(), 100, 2);
    assert!(feed.bucket(40).is_some());
    feed.detector.reset(99);
    assert_eq!(feed.bucket(40), None, "of another owner");
    feed.detector.reset(1);
    let spike = feed.bucket(40).expect("counts from nothing, against the old usual");
    assert_eq!((spike.value, spike.usual), (15, 2.0));
    assert_eq!(feed.detector.keys(), 1);
}

#[test]
fn a_release_settles_the_excess() {
    let params = SpikeParams { method: SpikeMethod::Cusum, ..SpikeParams::default() };
    let after = |reset: bool| {
        let mut feed = fed(params, 200, 2);
        feed.buckets(3, 6);
        if reset {
            feed.detector.reset(1);
        }
        (0..9).position(|_| feed.bucket(6).is_some())
    };
    let (with, without) = (after(true).expect("found"), after(false).expect("found"));
    assert!(with >= without + 2, "{with} buckets after a release, {without} without");
}

#[test]
fn low_and_slow_adds_up() {
    let params = SpikeParams { method: SpikeMethod::Cusum, ..SpikeParams::default() };
    let mut feed = fed(params, 300, 2);
    let spikes: Vec<Spike> = (0..40).filter_map(|_| feed.bucket(6)).collect();
    let [spike] = spikes.as_slice() else { panic!("once an episode: {spikes:?}") };
    let excess = spike.excess.expect("is what a CUSUM finds");
    assert!(spike.value <= 6 && excess.amount >= 10.0, "{spike:?}");
    assert_eq!(excess.since, Millis(300 * WINDOW));
    assert_eq!(fed(SpikeParams::default(), 300, 2).buckets(40, 6), 0, "each bucket by itself is no spike");
}

#[test]
fn an_excess_is_one_episode_until_it_is_gone() {
    let rows = [
        (2, [(20, 6), (20, 6), (20, 6)], 1),
        (20, [(20, 60), (20, 60), (20, 60)], 1),
        (20, [(10, 60), (10, 20), (10, 60)], 2),
        (20, [(10, 60), (100, 0), (10, 60)], 2),
    ];
    for (usual, phases, found) in rows {
        let mut feed = fed(SpikeParams { method: SpikeMethod::Cusum, ..SpikeParams::default() }, 300, usual);
        let spikes: usize = phases.iter().map(|(buckets, events)| feed.buckets(*buckets, *events)).sum();
        assert_eq!(spikes, found, "usual {usual}, {phases:?}");
    }
}

#[test]
fn late_events_count_in_the_window_and_teach_nothing() {
    let observe = |feed: &mut Feed, at: i64| feed.detector.observe(1, None, 1, Millis(at), 1);
    let mut feed = fed(SpikeParams::default(), 100, 2);
    let now = feed.next + 1_000;
    assert_eq!(observe(&mut feed, now), None);
    let found: Vec<Spike> = (0..40).filter_map(|n| observe(&mut feed, now - 100_000 - n)).collect();
    let [spike] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((spike.value, spike.usual), (15, 2.0));
    assert_eq!(observe(&mut feed, now - WINDOW), None, "older than the window");

    let mut late = fed(SpikeParams::default(), 100, 2);
    for n in 0..8 {
        let at = late.next - 1 - n;
        assert_eq!(observe(&mut late, at), None);
    }
    for n in 0..6 {
        let at = late.next - WINDOW - 1 - n;
        assert_eq!(observe(&mut late, at), None);
    }
    late.bucket(2);
    let spike = late.bucket(60).expect("found");
    assert!(spike.usual <= 2.1, "only the open bucket was learnt: {spike:?}");
}

#[test]
fn a_long_silence_is_zeros_and_a_longer_one_a_new_start() {
    let half_life = SpikeParams::default().half_life.0;
    for (silence, usual) in [(half_life, Some(1.0)), (2 * half_life, Some(0.5)), (5 * half_life, None)] {
        let mut feed = fed(SpikeParams::default(), 2_000, 2);
        feed.next += silence;
        let spike = feed.bucket(60);
        assert_eq!(spike.map(|spike| spike.usual), usual, "after {silence} ms");
    }
}

#[test]
fn no_time_and_no_amount_is_too_large() {
    for method in [SpikeMethod::Poisson, SpikeMethod::Ewma, SpikeMethod::Cusum, SpikeMethod::Quantile] {
        for seasonal in [false, true] {
            let params = SpikeParams { method, seasonal, warm_up: 2, half_life: Span(i64::MAX), ..Default::default() };
            let mut detector = SpikeDetector::new(params);
            for at in [i64::MIN, -1, 0, 1 << 40, 1 << 60, i64::MAX, 5, i64::MAX] {
                for amount in [0, 1, i64::MAX, i64::MIN] {
                    if let Some(spike) = detector.observe(1, Some(2), 3, Millis(at), amount) {
                        assert!(spike.usual.is_finite() && spike.deviation.is_finite(), "{spike:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn sums_are_judged_alike_in_any_currency() {
    let run = |one: i64| {
        let params = SpikeParams { unit: 1_000_000, at_least: 5 * one, ..SpikeParams::default() };
        let mut detector = SpikeDetector::new(params);
        let mut spikes = Vec::new();
        for n in 0..3_000_i64 {
            let at = Millis(n * 100_000 + n % 7);
            let amount = if n % 500 == 499 { 40 * one } else { (1 + n % 3) * one };
            spikes.extend(detector.observe(1, None, 1, at, amount).map(|spike| (n, spike.value / one)));
        }
        spikes
    };
    let in_cents = run(10_000);
    assert!(in_cents.len() >= 4, "{in_cents:?}");
    assert_eq!(in_cents, run(1_000_000));
    assert_eq!(in_cents, run(50_000_000));
}

/// Busy from 9 to 17, nearly idle else.
fn office_hours(hour: i64) -> i64 {
    if (9..17).contains(&hour) { 20 } else { 1 }
}

#[test]
fn each_hour_of_the_day_has_its_own_usual() {
    let busy_night = |seasonal: bool| {
        let mut feed = Feed::new(SpikeParams { seasonal, half_life: Span::seconds(3 * 86_400), ..Default::default() });
        let mut found = 0;
        for bucket in 0..10 * 288_i64 {
            let spike = feed.bucket(office_hours(bucket * WINDOW / HOUR % 24));
            found += usize::from(spike.is_some() && bucket >= 288);
        }
        assert_eq!(found, 0, "seasonal: {seasonal}; the edges of busy hours are no spikes");
        feed.buckets(36, 1);
        feed.bucket(16)
    };
    let spike = busy_night(true).expect("16 at three in the night");
    assert_eq!((spike.usual, spike.value), (1.0, 12));
    assert_eq!(busy_night(false), None, "16 are usual at other hours");
}

#[test]
fn a_young_hour_falls_back_to_the_whole_day() {
    let mut feed = Feed::new(SpikeParams { seasonal: true, ..SpikeParams::default() });
    assert_eq!(feed.buckets(30, 2), 0);
    let spike = feed.bucket(60).expect("found");
    assert_eq!((spike.usual, spike.buckets_seen), (2.0, 30), "hour 2 has only six buckets");
}

#[test]
fn state_is_small() {
    let (history, watch, group) = (size_of::<History>(), size_of::<Watch>(), size_of::<Group>());
    assert!(history <= 128 && watch <= 128 && group <= 192, "{history} {watch} {group}");
}
