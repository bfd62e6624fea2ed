//! Against a model that keeps everything, and saved and restored in the middle.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Everything as it was told, bit for bit.
fn bytes(detector: &FlowDetector) -> Vec<u8> {
    rmp_serde::to_vec(&detector.save()).expect("saves")
}

#[derive(Clone, Debug)]
enum Step {
    Source(u128, Vec<u64>, i64),
    Known(u128, Vec<u64>),
    Sink(u128, Vec<u64>),
    Reset(u128),
}

fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    let key = || 0..3_u128;
    let hashes = || prop::collection::vec((0_u64..40).prop_map(|n| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)), 0..8);
    let step = prop_oneof![
        4 => (key(), hashes(), 0..200_i64).prop_map(|(key, hashes, mark)| Step::Source(key, hashes, mark)),
        1 => (key(), prop::collection::vec((0_u64..40).prop_map(|n| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)), 0..3)).prop_map(|(key, hashes)| Step::Known(key, hashes)),
        6 => (key(), hashes()).prop_map(|(key, hashes)| Step::Sink(key, hashes)),
        1 => key().prop_map(Step::Reset),
    ];
    prop::collection::vec((step, 0..400_000_i64), 1..80)
}

/// One step with values alone, or with the same hashes as prints far from each other.
fn run(detector: &mut FlowDetector, step: &Step, at: Millis, mark: i64, as_prints: bool) -> Option<Flow> {
    let prints =
        |hashes: &[u64]| -> Vec<(u64, u32)> { hashes.iter().zip(0_u32..).map(|(hash, n)| (*hash, n * 100)).collect() };
    let source = |hashes: &[u64], prints: &[(u64, u32)], run: &mut dyn FnMut(SourceHashes<'_>)| {
        let text = SourceHashes::default();
        run(if as_prints { SourceHashes { prints, ..text } } else { SourceHashes { values: hashes, ..text } });
    };
    match step {
        Step::Source(key, hashes, mark) => {
            source(hashes, &prints(hashes), &mut |text| detector.source(*key, *key, at, *mark, text));
        }
        Step::Known(key, hashes) => source(hashes, &prints(hashes), &mut |text| detector.known(*key, at, text)),
        Step::Sink(key, hashes) => {
            let text = SinkHashes::default();
            let text =
                if as_prints { SinkHashes { prints: hashes, ..text } } else { SinkHashes { values: hashes, ..text } };
            return detector.sink(*key, at, mark, text);
        }
        Step::Reset(owner) => detector.reset(*owner),
    }
    None
}

/// Keeps everything: every source with all of its values, everything that has left.
#[derive(Default)]
struct Model {
    sources: Vec<ModelSource>,
    known: Vec<(u128, u64)>,
}

struct ModelSource {
    key: u128,
    mark: i64,
    at: Millis,
    values: BTreeSet<u64>,
    left: BTreeSet<u64>,
    next: usize,
}

impl Model {
    /// Which source is told, and how much of it has left.
    fn step(&mut self, step: &Step, at: Millis, mark: i64, min: usize) -> Option<(BTreeSet<i64>, usize)> {
        match step {
            Step::Source(key, hashes, mark) => self.source(*key, hashes, *mark, at, min),
            Step::Known(key, hashes) => self.known.extend(hashes.iter().map(|hash| (*key, *hash))),
            Step::Reset(owner) => self.sources.retain(|source| source.key != *owner),
            Step::Sink(key, hashes) => return self.sink(*key, hashes, mark, min),
        }
        None
    }

    fn source(&mut self, key: u128, hashes: &[u64], mark: i64, at: Millis, min: usize) {
        if hashes.is_empty() {
            return;
        }
        let left: BTreeSet<u64> = self.sources.iter().filter(|s| s.key == key).flat_map(|s| s.left.clone()).collect();
        let position = self.sources.iter().position(|source| source.key == key && source.mark == mark);
        let n = position.unwrap_or(self.sources.len());
        if position.is_none() {
            let (values, left) = (BTreeSet::new(), BTreeSet::new());
            self.sources.push(ModelSource { key, mark, at, values, left, next: min });
        }
        self.sources[n].values.extend(hashes);
        self.sources[n].left.extend(hashes.iter().filter(|hash| left.contains(hash)));
    }

    fn sink(&mut self, key: u128, hashes: &[u64], mark: i64, min: usize) -> Option<(BTreeSet<i64>, usize)> {
        let known: BTreeSet<u64> = self.known.iter().filter(|(of, _)| *of == key).map(|(_, hash)| *hash).collect();
        let mut told: Option<(BTreeSet<i64>, usize)> = None;
        for source in self.sources.iter_mut().filter(|source| source.key == key && source.mark != mark) {
            let before = source.left.difference(&known).count();
            source.left.extend(hashes.iter().filter(|hash| source.values.contains(hash) && !known.contains(hash)));
            let left = source.left.difference(&known).count();
            if left > before && left >= source.next {
                source.next = 2 * left.max(min);
                match &mut told {
                    Some((marks, most)) if *most == left => drop(marks.insert(source.mark)),
                    Some((_, most)) if *most > left => {}
                    _ => told = Some((BTreeSet::from([source.mark]), left)),
                }
            }
        }
        told
    }
}

proptest! {
    /// On values, and on prints that do not overlap, the detector says what a model says that keeps all.
    #[test]
    fn agrees_with_a_model_that_keeps_everything(steps in steps(), min in 1..4_u32, as_prints: bool) {
        let reach = traces::PRINT_REACH;
        let (values_min, chars_min) = if as_prints { (u32::MAX, min * reach) } else { (min, u32::MAX) };
        let mut detector = FlowDetector::new(FlowPlan { within: Span(i64::MAX / 4), values_min, chars_min });
        let mut model = Model::default();
        for (n, (step, at)) in (1_000..).zip(&steps) {
            let found = run(&mut detector, step, Millis(*at), n, as_prints);
            let want = model.step(step, Millis(*at), n, min as usize);
            let left = found.as_ref().map(|flow| if as_prints { flow.chars / reach } else { flow.values_left });
            prop_assert_eq!(left, want.as_ref().map(|(_, left)| u32::try_from(*left).expect("few")), "{:?}", step);
            if let (Some(flow), Some((marks, _)), Step::Sink(key, hashes)) = (found, want, step) {
                prop_assert!(marks.contains(&flow.source_mark));
                let source = model.sources.iter().find(|source| source.key == *key && source.mark == flow.source_mark).expect("is there");
                let positions = if as_prints { flow.prints } else { flow.values };
                prop_assert!(!positions.is_empty() && positions.iter().all(|n| source.values.contains(&hashes[*n])));
                prop_assert_eq!(source.at, flow.source_at);
            }
        }
    }

    /// What is saved in the middle and restored goes on as if nothing had been.
    #[test]
    fn restored_is_as_good_as_never_stopped(steps in steps(), cut in 0..80_usize, as_prints: bool) {
        let plan = FlowPlan { within: Span(600_000), values_min: 2, chars_min: 48 };
        let (mut whole, mut parts, mut at) = (FlowDetector::new(plan), FlowDetector::new(plan), Millis(0));
        for (n, (step, forward)) in steps.iter().enumerate() {
            at = at + Span(*forward / 4 - 20_000);
            if n == cut {
                let saved = bytes(&parts);
                parts = FlowDetector::new(plan);
                parts.restore(rmp_serde::from_slice(&saved).expect("restores"));
            }
            let mark = 1_000 + i64::try_from(n).expect("few");
            let found = run(&mut whole, step, at, mark, as_prints);
            prop_assert_eq!(found, run(&mut parts, step, at, mark, as_prints));
        }
        prop_assert_eq!(bytes(&whole), bytes(&parts));
        prop_assert_eq!((whole.keys(), whole.evicted()), (parts.keys(), parts.evicted()));
    }
}
