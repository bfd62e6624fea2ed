//! The detectors of a rule set's rules with a memory, one each, in the order of the program.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Program;
use super::numbers::{millionths, thousandths};
use crate::detect::{
    self, DefinitionDetector, DefinitionsSaved, DefinitionsSaving, FlowDetector, FlowPlan, FlowSaved, FlowSaving,
    RateDetector, RateLimit, RateSaved, RateSaving, RepeatDetector, RepeatSaved, RepeatSaving, ScoreDetector,
    ScoreSaved, ScoreSaving, SequenceDetector, SequencePlan, SequenceSaved, SequenceSaving, SpikeDetector, SpikeParams,
    SpikeSaved, SpikeSaving, Stage,
};
use crate::rules::{Check, FlowCheck, Measure, RateCheck, SequenceCheck, SpikeCheck, SpikeMethod};
use crate::time::Millis;

/// What one rule remembers.
#[derive(Debug)]
pub(super) enum Detector {
    Definitions(DefinitionDetector),
    Rate(RateDetector),
    Spike(Box<SpikeDetector>),
    Repeat(RepeatDetector),
    Sequence(SequenceDetector),
    Flow(FlowDetector),
    Score(ScoreDetector),
}

/// The same, to be written down.
#[derive(Serialize)]
pub(super) enum Saving<'m> {
    Definitions(DefinitionsSaving<'m>),
    Rate(RateSaving<'m>),
    Spike(SpikeSaving<'m>),
    Repeat(RepeatSaving<'m>),
    Sequence(SequenceSaving<'m>),
    Flow(FlowSaving<'m>),
    Score(ScoreSaving<'m>),
}

/// The same, as it is read again.
#[derive(Deserialize)]
pub(super) enum Saved {
    Definitions(DefinitionsSaved),
    Rate(RateSaved),
    Spike(SpikeSaved),
    Repeat(RepeatSaved),
    Sequence(SequenceSaved),
    Flow(FlowSaved),
    Score(ScoreSaved),
}

/// All detectors of a program.
#[derive(Debug, Default)]
pub(super) struct Memory(Vec<(Arc<str>, Detector)>);

/// Does the same with whatever detector it is.
macro_rules! each {
    ($detector:expr, $one:ident => $body:expr) => {
        match $detector {
            Detector::Definitions($one) => $body,
            Detector::Rate($one) => $body,
            Detector::Spike($one) => $body,
            Detector::Repeat($one) => $body,
            Detector::Sequence($one) => $body,
            Detector::Flow($one) => $body,
            Detector::Score($one) => $body,
        }
    };
}

impl Memory {
    /// Detectors without any history.
    pub(super) fn new(program: &Program) -> Self {
        let made = program.memories().filter_map(|(_, rule)| Some((rule.version.clone(), Detector::new(&rule.check)?)));
        Self(made.collect())
    }

    /// The detector of a rule, by its number in the program.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Detector> {
        self.0.get_mut(number).map(|(_, detector)| detector)
    }

    /// The detectors of another program; those of rules that stayed the same keep what they know.
    pub(super) fn replaced(self, program: &Program) -> Self {
        let mut kept: BTreeMap<Arc<str>, Detector> = self.0.into_iter().collect();
        let fresh = Self::new(program).0.into_iter();
        Self(fresh.map(|(version, detector)| (version.clone(), kept.remove(&version).unwrap_or(detector))).collect())
    }

    /// Copies what a rule remembers of a key into the memory of another engine with the same program.
    pub(super) fn copy(&self, number: usize, key: u128, into: &mut Self) {
        let from = self.0.get(number).map(|(_, detector)| detector);
        if let (Some(from), Some(into)) = (from, into.get_mut(number)) {
            from.copy(key, into);
        }
    }

    pub(super) fn reset(&mut self, owner: u128) {
        self.0.iter_mut().for_each(|(_, detector)| each!(detector, one => one.reset(owner)));
    }

    pub(super) fn expire(&mut self, now: Millis, steps: usize) {
        self.0.iter_mut().for_each(|(_, detector)| each!(detector, one => one.expire(now, steps)));
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.iter().map(|(_, detector)| each!(detector, one => one.evicted())).sum()
    }

    /// The risk score of an owner in thousandths of a point, where some rule keeps it.
    pub(super) fn score(&self, owner: u128, now: Millis) -> i64 {
        let scores = self.0.iter().filter_map(|(_, detector)| match detector {
            Detector::Score(score) => Some(score.score(owner, now)),
            _ => None,
        });
        scores.max().unwrap_or_default()
    }

    /// Every detector with the version of its rule.
    pub(super) fn save(&self) -> Vec<(&str, Saving<'_>)> {
        self.0.iter().map(|(version, detector)| (version.as_ref(), detector.save())).collect()
    }

    /// Takes back what was saved of rules that are still the same.
    pub(super) fn restore(&mut self, saved: Vec<(String, Saved)>) {
        let mut saved: BTreeMap<String, Saved> = saved.into_iter().collect();
        for (version, detector) in &mut self.0 {
            if let Some(saved) = saved.remove(version.as_ref()) {
                detector.restore(saved);
            }
        }
    }
}

impl Detector {
    fn new(check: &Check) -> Option<Self> {
        Some(match check {
            Check::Match(_) | Check::Classify(_) | Check::Scope(_) => return None,
            Check::Tools => Self::Definitions(DefinitionDetector::new()),
            Check::Rate(check) => Self::Rate(RateDetector::new(rate_limit(check, check.limit), check.window)),
            Check::Spike(check) => Self::Spike(Box::new(SpikeDetector::new(spike_params(check)))),
            Check::Repeat(check) => Self::Repeat(RepeatDetector::new(check.at_least, check.within)),
            Check::Sequence(check) => Self::Sequence(SequenceDetector::new(plan(check))),
            Check::Flow(check) => Self::Flow(FlowDetector::new(flow_plan(check))),
            Check::Score(check) => Self::Score(ScoreDetector::new(thousandths(check.at_least), check.half_life)),
        })
    }

    fn copy(&self, key: u128, into: &mut Self) {
        match (self, into) {
            (Self::Definitions(one), Self::Definitions(into)) => one.copy(key, into),
            (Self::Rate(one), Self::Rate(into)) => one.copy(key, into),
            (Self::Spike(one), Self::Spike(into)) => one.copy(key, into),
            (Self::Repeat(one), Self::Repeat(into)) => one.copy(key, into),
            (Self::Sequence(one), Self::Sequence(into)) => one.copy(key, into),
            (Self::Flow(one), Self::Flow(into)) => one.copy(key, into),
            (Self::Score(one), Self::Score(into)) => one.copy(key, into),
            _ => {}
        }
    }

    fn save(&self) -> Saving<'_> {
        match self {
            Self::Definitions(one) => Saving::Definitions(one.save()),
            Self::Rate(one) => Saving::Rate(one.save()),
            Self::Spike(one) => Saving::Spike(one.save()),
            Self::Repeat(one) => Saving::Repeat(one.save()),
            Self::Sequence(one) => Saving::Sequence(one.save()),
            Self::Flow(one) => Saving::Flow(one.save()),
            Self::Score(one) => Saving::Score(one.save()),
        }
    }

    /// A saved state of another kind cannot be this rule's: versions are digests of the rules.
    fn restore(&mut self, saved: Saved) {
        match (self, saved) {
            (Self::Definitions(one), Saved::Definitions(saved)) => one.restore(saved),
            (Self::Rate(one), Saved::Rate(saved)) => one.restore(saved),
            (Self::Spike(one), Saved::Spike(saved)) => one.restore(saved),
            (Self::Repeat(one), Saved::Repeat(saved)) => one.restore(saved),
            (Self::Sequence(one), Saved::Sequence(saved)) => one.restore(saved),
            (Self::Flow(one), Saved::Flow(saved)) => one.restore(saved),
            (Self::Score(one), Saved::Score(saved)) => one.restore(saved),
            _ => {}
        }
    }
}

/// A rule's limit in the unit of its measure.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates; never negative")]
pub(super) fn rate_limit(check: &RateCheck, limit: f64) -> RateLimit {
    match check.measure {
        Measure::Count => RateLimit::CountAtLeast(limit.ceil() as u64),
        Measure::Sum(_) => RateLimit::SumAbove(millionths(limit)),
        Measure::Distinct { .. } => RateLimit::DistinctAtLeast(limit.ceil() as u64),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn spike_params(check: &SpikeCheck) -> SpikeParams {
    let is_count = matches!(check.measure, Measure::Count);
    SpikeParams {
        window: check.window,
        unit: if is_count { 1 } else { millionths(1.0) },
        method: match check.method {
            SpikeMethod::Poisson => detect::SpikeMethod::Poisson,
            SpikeMethod::Ewma => detect::SpikeMethod::Ewma,
            SpikeMethod::Cusum => detect::SpikeMethod::Cusum,
            SpikeMethod::Quantile => detect::SpikeMethod::Quantile,
        },
        half_life: check.half_life,
        seasonal: check.seasonal,
        warm_up: check.warm_up,
        at_least: if is_count { check.at_least.ceil() as i64 } else { millionths(check.at_least) },
        times: check.times,
        one_in: check.one_in,
    }
}

fn plan(check: &SequenceCheck) -> SequencePlan {
    let mut stages = vec![Stage::default(); check.stages()];
    for (n, step) in check.steps.iter().enumerate() {
        let Some(stage) = stages.get_mut(step.stage) else { continue };
        let bit = 1_u32 << n;
        if step.negated { stage.not |= bit } else { stage.steps |= bit }
    }
    SequencePlan { stages, within: check.within, max_gap: check.max_gap }
}

fn flow_plan(check: &FlowCheck) -> FlowPlan {
    let or_never = |least: u32| if least == 0 { u32::MAX } else { least };
    FlowPlan { within: check.within, values_min: or_never(check.values_min), chars_min: or_never(check.chars_min) }
}
