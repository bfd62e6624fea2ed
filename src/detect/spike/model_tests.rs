//! The detector against a model that keeps every event and works everything out anew, bucket by bucket.
//!
//! The model knows no shortcut: no decayed sums that are carried along, no silence in one step, no
//! histogram. A run is given up where a value is so near to what is needed that rounding decides, and
//! where a member's late event reaches a group that has gone on.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const WINDOW: i64 = 300_000;
const HOUR: i64 = 3_600_000;
const HALF_LIFE: i64 = 2 * HOUR;
const WARM_UP: u32 = 3;
const CASES: u32 = 96;

/// What became of one bucket of a key.
#[derive(Clone, Copy)]
struct Record {
    amount: f64,
    events: u32,
    in_alarm: bool,
}

#[derive(Default)]
struct Key {
    /// Since the last reset.
    events: Vec<(i64, i64)>,
    last_seen: i64,
    buckets: BTreeMap<i64, Record>,
    alarm: Option<i64>,
    /// Excess of closed buckets, amount of the open one, its number, first bucket of the excess.
    cusum: Option<(f64, f64, i64, i64)>,
}

#[derive(Default)]
struct Peers {
    bucket: i64,
    /// Bucket, member, amount.
    fed: Vec<(i64, u128, f64)>,
}

struct Model {
    params: SpikeParams,
    keys: BTreeMap<u128, Key>,
    groups: BTreeMap<u128, Peers>,
}

/// What was learnt, with weights of single buckets.
#[derive(Clone, Default)]
struct Learnt {
    /// Near and lagged: value as it was cut, and weight.
    values: [Vec<(f64, f64)>; 2],
    /// Uncut, for the percentile, with the lagged weight.
    whole: Vec<(f64, f64)>,
    swings: Vec<(f64, f64)>,
    events: f64,
    last: f64,
    seen: u32,
    active: u32,
}

fn moments(values: &[(f64, f64)], size: f64) -> (f64, f64, f64) {
    let weight: f64 = values.iter().map(|(_, w)| w).sum();
    if weight <= 0.0 {
        return (0.0, 0.0, 0.0);
    }
    let mean = values.iter().map(|(x, w)| x * w).sum::<f64>() / weight;
    let square = values.iter().map(|(x, w)| x * x * w).sum::<f64>() / weight;
    let spread = if weight > 1.0 { (square - mean * mean) * weight / (weight - 1.0) } else { 0.0 };
    (weight, mean, spread.max(mean * size))
}

impl Learnt {
    fn fade(&mut self, factors: [f64; 2]) {
        for (values, factor) in self.values.iter_mut().zip(factors) {
            values.iter_mut().for_each(|(_, weight)| *weight *= factor);
        }
        self.events *= factors[0];
        self.whole.iter_mut().chain(&mut self.swings).for_each(|(_, weight)| *weight *= factors[1]);
    }

    /// Cuts for the two memories and for what is kept whole.
    fn limits(&self, params: &SpikeParams, amount: f64, events: u32) -> [f64; 3] {
        if self.seen < WARM_UP {
            return [f64::INFINITY; 3];
        }
        let usual = self.usual(params, amount / f64::from(events.max(1)));
        let limit = |values: &[(f64, f64)]| {
            let (_, mean, variance) = moments(values, usual.size);
            mean + 3.0 * (variance + usual.size * usual.size).sqrt()
        };
        [limit(&self.values[0]), limit(&self.values[1]), unusual(params, &usual)]
    }

    /// A bucket of the key itself; `None` for one without events.
    fn close(&mut self, params: &SpikeParams, factors: [f64; 2], bucket: Option<(f64, u32)>) {
        let (amount, events) = bucket.unwrap_or_default();
        let limits = self.limits(params, amount, events);
        self.fade(factors);
        let swing = amount.min(limits[2]) - self.last;
        // The first of several empty buckets is a swing that fades with them.
        self.swings.push((swing * swing / 2.0, if events > 0 { 1.0 } else { factors[1] }));
        self.last = amount.min(limits[2]);
        self.add(limits, amount, events);
    }

    fn add(&mut self, limits: [f64; 3], amount: f64, events: u32) {
        self.values[0].push((amount.min(limits[0]), 1.0));
        self.values[1].push((amount.min(limits[1]), 1.0));
        self.whole.push((amount.min(limits[2]), 1.0));
        if amount > 0.0 {
            self.events += f64::from(events) * amount.min(limits[0]) / amount;
        }
        self.seen += 1;
        self.active += u32::from(events > 0);
    }

    fn usual(&self, params: &SpikeParams, size: f64) -> Usual {
        let near_sum: f64 = self.values[0].iter().map(|(x, w)| x * w).sum();
        let size = if near_sum > 0.0 { near_sum / self.events } else { size };
        let (near, lagged) = (moments(&self.values[0], size), moments(&self.values[1], size));
        let (weight, mean, variance) = if lagged.1 < near.1 * (1.0 - 1e-9) { lagged } else { near };
        let swings = self.swings.iter().map(|(x, w)| x * w).sum::<f64>() / lagged.0.max(1.0);
        let percentile = if params.method == SpikeMethod::Quantile { percentile(&self.whole) } else { 0.0 };
        Usual {
            mean,
            variance: swings.max(variance).min(4.0 * variance),
            weight,
            size,
            percentile,
            seen: self.seen,
            active: self.active,
        }
    }
}

/// Edges of the bins, written down.
fn percentile(values: &[(f64, f64)]) -> f64 {
    let mut bins = vec![(0, 0), (1, 1), (2, 2), (3, 3)];
    for half in (1..30).map(|power| 1_u32 << power) {
        bins.extend([(2 * half, 3 * half - 1), (3 * half, 4 * half - 1)]);
    }
    let all: f64 = values.iter().map(|(_, weight)| weight).sum();
    let mut above = 0.0;
    for (low, high) in bins.into_iter().rev().map(|(low, high)| (f64::from(low), f64::from(high))) {
        let within = values.iter().filter(|(x, _)| (low..=high).contains(&x.ceil()));
        let weight: f64 = within.map(|(_, weight)| weight).sum();
        above += weight;
        if above > 0.01 * all {
            return low + (high - low) * ((above - 0.01 * all) / weight).min(1.0);
        }
    }
    0.0
}

fn dispersion(usual: &Usual) -> f64 {
    let variance = usual.variance * (1.0 + 6.0 / f64::from(usual.active.max(1)));
    if usual.mean > 0.0 { (variance / usual.mean).max(usual.size) } else { usual.size }
}

fn unusual(params: &SpikeParams, usual: &Usual) -> f64 {
    // One in ten, as below.
    let z = 1.281_552;
    let variance = usual.variance * (1.0 + 6.0 / f64::from(usual.active.max(1))) * (1.0 + 1.0 / usual.weight.max(1.0));
    let burst = dispersion(usual) / 2.0 - usual.size / 6.0;
    let bursts = usual.mean + z * z * burst / 2.0 + ((z * z * burst / 2.0).powi(2) + z * z * variance).sqrt();
    let asked = match params.method {
        SpikeMethod::Poisson | SpikeMethod::Cusum => bursts.max(params.times * usual.mean),
        SpikeMethod::Ewma => (usual.mean + z * variance.sqrt()).max(params.times * usual.mean),
        SpikeMethod::Quantile => params.times * usual.percentile,
    };
    asked.max(amount_of(params.at_least))
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn amount_of(amount: i64) -> f64 {
    amount as f64
}

fn factors(half_life: i64) -> [f64; 2] {
    let lives = amount_of(half_life) / amount_of(WINDOW);
    [(-1.0 / lives).exp2(), (-1.0 / (8.0 * lives)).exp2()]
}

impl Key {
    /// What was learnt from closed buckets: of one hour of the day, or of all.
    fn learnt(&self, params: &SpikeParams, open: i64, hour: Option<i64>) -> Learnt {
        let of_hour = |bucket: i64| hour.is_none_or(|hour| bucket.div_euclid(12).rem_euclid(24) == hour);
        let factors = factors(if hour.is_some() { HALF_LIFE / 24 } else { HALF_LIFE });
        let mut learnt = Learnt::default();
        let Some(first) = self.buckets.keys().copied().find(|bucket| of_hour(*bucket)) else { return learnt };
        for bucket in (first..open).filter(|bucket| of_hour(*bucket)) {
            match self.buckets.get(&bucket) {
                Some(record) if record.in_alarm => {}
                Some(record) => learnt.close(params, factors, Some((record.amount, record.events))),
                None => learnt.close(params, factors, None),
            }
        }
        learnt
    }

    fn usual(&self, params: &SpikeParams, open: i64, size: f64) -> Option<Usual> {
        let warm = |learnt: Learnt| (learnt.seen >= WARM_UP).then(|| learnt.usual(params, size));
        let all_day = warm(self.learnt(params, open, None));
        if !params.seasonal {
            return all_day;
        }
        let hour = |bucket: i64| Some(bucket.div_euclid(12).rem_euclid(24));
        let of = |bucket: i64| warm(self.learnt(params, open, hour(bucket))).or(all_day);
        match (of(open - 1), of(open)) {
            (Some(before), Some(now)) => Some(if now.mean > before.mean { now } else { before }),
            (before, now) => before.or(now),
        }
    }

    /// The excess without and with this event.
    fn excess(&mut self, bucket: i64, amount: f64, reference: f64, most: f64) -> (f64, f64) {
        let (mut excess, mut open, mut at, mut since) = self.cusum.unwrap_or((0.0, 0.0, bucket, bucket));
        let mut most = most;
        while at < bucket {
            excess = (excess + open - reference).max(0.0).min(most);
            (open, most, at) = (0.0, f64::INFINITY, at + 1);
            since = if excess <= 0.0 { bucket } else { since };
        }
        let held = excess.max(excess + open - reference);
        open += if bucket == at { amount } else { 0.0 };
        self.cusum = Some((excess, open, at, since));
        (held, (excess + open - reference).max(0.0))
    }
}

impl Peers {
    fn learnt(&self, params: &SpikeParams) -> Learnt {
        let mut learnt = Learnt::default();
        let Some(first) = self.fed.first().map(|fed| fed.0) else { return learnt };
        for bucket in first..self.bucket {
            let before = learnt.clone();
            learnt.fade(factors(HALF_LIFE));
            let mean = moments(&before.values[1], 0.0).1;
            let mut members: BTreeMap<u128, (f64, u32)> = BTreeMap::new();
            for (_, member, amount) in self.fed.iter().filter(|fed| fed.0 == bucket) {
                let sum = members.entry(*member).or_default();
                *sum = (sum.0 + amount, sum.1 + 1);
            }
            for (amount, events) in members.into_values() {
                let limits = before.limits(params, amount, events);
                learnt.add(limits, amount, events);
                learnt.swings.push(((amount.min(limits[2]) - mean).powi(2), 1.0));
            }
        }
        learnt
    }
}

/// Key, group, bucket, amount of one event.
type Event = (u128, u128, i64, f64);

impl Model {
    fn observe(&mut self, key: u128, peers: u128, at: i64, amount: i64) -> Result<Option<Spike>, ()> {
        let params = self.params;
        let bucket = at.div_euclid(WINDOW);
        self.forget(key, at);
        let state = self.keys.entry(key).or_default();
        state.events.push((at, amount));
        let newest = state.events.iter().map(|event| event.0).max().unwrap_or(at);
        let window: Vec<i64> = state.events.iter().filter(|e| e.0 > newest - WINDOW).map(|e| e.1).collect();
        let value: i64 = window.iter().sum();
        let size = amount_of(value) / amount_of(i64::try_from(window.len()).unwrap_or(1));
        let open = state.buckets.keys().next_back().copied().unwrap_or(bucket).max(bucket);
        let group = self.groups.entry(peers).or_default();
        if bucket - group.bucket > 4 * HALF_LIFE / WINDOW {
            group.fed.clear();
        }
        group.bucket = group.bucket.max(bucket);
        let of_group = group.learnt(&params);
        let of_group = (of_group.seen >= WARM_UP).then(|| of_group.usual(&params, size));
        let basis = match (state.usual(&params, open, size), of_group) {
            (Some(own), Some(group)) if own.active < WARM_UP && group.mean > own.mean => Some((group, true)),
            (Some(own), _) => Some((own, false)),
            (None, group) => group.map(|group| (group, true)),
        };
        let spike = self.judge(key, basis, value, bucket, amount_of(amount))?;
        if bucket == open {
            self.learn((key, peers, bucket, amount_of(amount)))?;
        }
        Ok(spike)
    }

    /// Windows that nothing was added to for their length, and everything after four half-lives.
    fn forget(&mut self, key: u128, at: i64) {
        if self.params.method != SpikeMethod::Cusum {
            for state in self.keys.values_mut().filter(|state| state.last_seen + WINDOW <= at) {
                state.events.clear();
                state.alarm = None;
            }
        }
        let state = self.keys.entry(key).or_default();
        state.last_seen = state.last_seen.max(at);
        let last = state.buckets.keys().next_back().copied();
        if last.is_some_and(|last| at.div_euclid(WINDOW) - last > 4 * HALF_LIFE / WINDOW) {
            state.buckets.clear();
        }
    }

    fn judge(
        &mut self,
        key: u128,
        basis: Option<(Usual, bool)>,
        value: i64,
        bucket: i64,
        amount: f64,
    ) -> Result<Option<Spike>, ()> {
        let params = self.params;
        let state = self.keys.entry(key).or_default();
        let Some((usual, of_peers)) = basis else {
            (state.alarm, state.cusum) = (None, None);
            return Ok(None);
        };
        let (held, reached, needed) = if params.method == SpikeMethod::Cusum {
            let ratio = params.times;
            let doubt =
                usual.mean + (usual.variance / usual.weight.max(1.0)).sqrt() + usual.size / usual.weight.max(1.0);
            let needed = (dispersion(&usual) * 10_f64.ln() / ratio.ln()).max(amount_of(params.at_least));
            let (held, reached) = state.excess(bucket, amount, doubt * (ratio - 1.0) / ratio.ln(), needed);
            (held, reached, needed)
        } else {
            (amount_of(value), amount_of(value), unusual(&params, &usual))
        };
        let near = |value: f64, threshold: f64| (value - threshold).abs() < 1e-3 * threshold.max(1.0);
        if near(reached, needed) || near(held, 0.7 * needed) {
            return Err(());
        }
        if state.alarm.is_some() && held < 0.7 * needed {
            state.alarm = None;
        }
        if state.alarm.is_some() || reached < needed {
            return Ok(None);
        }
        state.alarm = Some(bucket);
        let quantile = params.method == SpikeMethod::Quantile;
        Ok(Some(Spike {
            value,
            usual: if quantile { usual.percentile } else { usual.mean },
            deviation: if quantile { 0.0 } else { usual.variance.sqrt() },
            needed,
            excess: state.cusum.map(|cusum| Excess { amount: reached, since: Millis(cusum.3 * WINDOW) }),
            of_peers,
            buckets_seen: usual.seen,
            method: params.method,
            bucket,
        }))
    }

    fn learn(&mut self, (key, peers, bucket, amount): Event) -> Result<(), ()> {
        let state = self.keys.entry(key).or_default();
        let record = state.buckets.entry(bucket).or_insert(Record { amount: 0.0, events: 0, in_alarm: false });
        record.amount += amount;
        record.events += 1;
        record.in_alarm |= state.alarm.is_some_and(|raised| bucket - raised < i64::from(WARM_UP));
        let group = self.groups.entry(peers).or_default();
        if record.in_alarm {
            return Ok(());
        }
        if group.bucket != bucket {
            return Err(());
        }
        group.fed.push((bucket, key, amount));
        Ok(())
    }
}

/// Everything but the last decimal.
fn is_alike(found: Option<Spike>, expected: Option<Spike>) -> bool {
    let (Some(found), Some(expected)) = (found, expected) else { return found.is_none() && expected.is_none() };
    let close = |a: f64, b: f64| (a - b).abs() <= 0.06 + 1e-3 * b.abs();
    let excess = |spike: &Spike| spike.excess.map_or((0.0, None), |excess| (excess.amount, Some(excess.since)));
    let exact = |spike: &Spike| (spike.value, spike.of_peers, spike.buckets_seen, spike.bucket, excess(spike).1);
    exact(&found) == exact(&expected)
        && close(found.usual, expected.usual)
        && close(found.deviation, expected.deviation)
        && close(found.needed, expected.needed)
        && close(excess(&found).0, excess(&expected).0)
}

fn gaps() -> impl Strategy<Value = i64> {
    prop_oneof![48 => 1..20_000_i64, 24 => 1..400_000_i64, 8 => 1..4_000_000_i64, 1 => 1..40_000_000_i64]
}

fn amounts() -> impl Strategy<Value = i64> {
    prop_oneof![12 => 1..4_i64, 1 => 4..40_i64]
}

fn methods() -> impl Strategy<Value = SpikeMethod> {
    use SpikeMethod::{Cusum, Ewma, Poisson, Quantile};
    prop_oneof![Just(Poisson), Just(Ewma), Just(Cusum), Just(Quantile)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]
    #[test]
    fn agrees_with_a_model_that_keeps_everything(
        method in methods(),
        seasonal in any::<bool>(),
        times in prop_oneof![Just(1.5), Just(3.0)],
        steps in proptest::collection::vec((gaps(), 0..3_u128, amounts(), 0..40_u8), 1..160),
    ) {
        let params = SpikeParams {
            window: Span(WINDOW), method, half_life: Span(HALF_LIFE), seasonal, warm_up: WARM_UP,
            at_least: 4, times, one_in: 10.0, unit: 1,
        };
        let mut detector = SpikeDetector::new(params);
        let mut model = Model { params, keys: BTreeMap::new(), groups: BTreeMap::new() };
        let mut now = 1_000 * WINDOW;
        for (gap, key, amount, chance) in steps {
            now += gap;
            // Late for a window that may or may not be forgotten yet: both answers are right.
            let is_watched = model.keys.get(&key).is_some_and(|state| state.last_seen + WINDOW > now);
            let at = now - if chance == 1 && is_watched { 50_000 } else { 0 };
            if chance == 0 {
                detector.reset(key);
                if let Some(state) = model.keys.get_mut(&key) {
                    state.events.clear();
                    (state.alarm, state.cusum) = (None, None);
                }
            }
            let found = detector.observe(key, Some(key / 2), key, Millis(at), amount);
            let Ok(expected) = model.observe(key, key / 2, at, amount) else { return Ok(()) };
            prop_assert!(is_alike(found, expected), "at {at}\n{found:?}\n{expected:?}");
        }
    }
}
