//! Rules with a memory of numbers: rates, spikes, repeats, scores, and definitions of tools.

use super::definitions::Definition;
use super::groups::{Group, call, is_of_session};
use super::memory::{Detector, rate_limit};
use super::numbers::{from_millionths, from_thousandths, millionths};
use super::{Context, Engine, HashKey, fields, groups, words};
use crate::detect::Amount;
use crate::event::Leaves;
use crate::finding::{Evidence, Finding};
use crate::halt::HaltRecord;
use crate::ids::digest_id;
use crate::rules::{Glob, GroupBy, Measure, RateCheck, RepeatCheck, Rule, ScoreCheck, SpikeCheck};

impl Engine {
    pub(super) fn check_rate(
        &mut self,
        (n, rule, check): (usize, &Rule, &RateCheck),
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(measured) = Measured::of(&check.measure, context, leaves) else { return };
        for group in Group::counted(&check.group_by, context, leaves) {
            let other = check.limits.iter().find(|limit| Glob::any(&limit.keys, &group.name()));
            let limit = other.map(|other| rate_limit(check, other.limit));
            let (key, owner) = self.key_and_owner(rule, &check.group_by, &group, context);
            let Some(Detector::Rate(rate)) = self.memory.get_mut(n) else { return };
            let Some(crossing) = rate.observe(key, owner, context.ts, measured.amount(), limit) else { continue };
            let limit = other.map_or(check.limit, |other| other.limit);
            let value = match check.measure {
                Measure::Sum(_) => from_millionths(crossing.value),
                _ => words::count(crossing.value),
            };
            let evidence = words::rate(check, &group, value, limit);
            let episode = self.episode_id(rule, &group, context, crossing.bucket);
            findings.push(self.finding(rule, context, evidence, Some(episode)));
        }
    }

    pub(super) fn check_spike(
        &mut self,
        (n, rule, check): (usize, &Rule, &SpikeCheck),
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let amount = match Measured::of(&check.measure, context, leaves) {
            Some(Measured::Sum(amount)) => amount,
            Some(Measured::One) => 1,
            _ => return,
        };
        let peers = (!check.peers.is_empty()).then(|| Group::one(&check.peers, context, leaves)).flatten();
        let peers = peers.map(|peers| peers.key(self.settings.hash_key, &rule.id));
        for group in Group::counted(&check.group_by, context, leaves) {
            let (key, owner) = self.key_and_owner(rule, &check.group_by, &group, context);
            let Some(Detector::Spike(spikes)) = self.memory.get_mut(n) else { return };
            let Some(spike) = spikes.observe(key, peers, owner, context.ts, amount) else { continue };
            let evidence = words::spike(check, &group, &spike);
            let episode = self.episode_id(rule, &group, context, spike.bucket);
            findings.push(self.finding(rule, context, evidence, Some(episode)));
        }
    }

    pub(super) fn check_repeat(
        &mut self,
        (n, rule, check): (usize, &Rule, &RepeatCheck),
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(call) = call(context.event) else { return };
        let call = HashKey::COMMON.long(call.as_bytes());
        for group in Group::counted(&check.group_by, context, leaves) {
            let (key, owner) = self.key_and_owner(rule, &check.group_by, &group, context);
            let Some(Detector::Repeat(repeats)) = self.memory.get_mut(n) else { return };
            if let Some(crossing) = repeats.observe(key, owner, context.ts, call) {
                let evidence = words::repeat(context.event, crossing.value);
                findings.push(self.finding(rule, context, evidence, None));
            }
        }
    }

    /// Adds what this event's findings weigh to the session's risk score.
    pub(super) fn check_risk(
        &mut self,
        (n, rule, check): (usize, &Rule, &ScoreCheck),
        context: &Context<'_>,
        points: i64,
        findings: &mut Vec<Finding>,
    ) {
        if points <= 0 {
            return;
        }
        let Some(Detector::Score(score)) = self.memory.get_mut(n) else { return };
        let (key, at) = (context.session_key, context.ts);
        let Some(crossing) = score.observe(key, key, at, points) else { return };
        let evidence = words::score(from_thousandths(crossing.value), check, findings);
        let group = Group::of_session(context.event);
        let episode = self.episode_id(rule, &group, context, crossing.bucket);
        findings.push(self.finding(rule, context, evidence, Some(episode)));
    }

    /// Whether definitions of tools in this event are not what they were.
    pub(super) fn check_definitions(
        &mut self,
        (n, rule): (usize, &Rule),
        context: &Context<'_>,
        definitions: &[Definition],
        findings: &mut Vec<Finding>,
    ) {
        let event = context.event;
        let server = event.tool.as_ref().and_then(|tool| tool.server.as_deref()).unwrap_or_default();
        let mut changed = Vec::new();
        for definition in definitions {
            let key = self.tool_key(&event.tenant, server, &definition.name);
            let Some(Detector::Definitions(known)) = self.memory.get_mut(n) else { return };
            let change = known.observe(key, context.ts, definition.digest, context.origin.offset);
            changed.extend(change.map(|change| (definition.name.as_str(), change)));
        }
        if let Some((name, change)) = changed.first() {
            let seen_at = self.place(context, change.last_mark);
            let summary = words::definition(name, changed.len(), change, &seen_at);
            findings.push(self.finding(rule, context, Evidence { summary, ..Evidence::default() }, None));
        }
    }

    /// The key under which a rule keeps a group, and whose it is.
    pub(super) fn key_and_owner(
        &self,
        rule: &Rule,
        group_by: &[GroupBy],
        group: &Group,
        context: &Context<'_>,
    ) -> (u128, u128) {
        let owner = if is_of_session(group_by) { context.session_key } else { 0 };
        (group.key(self.settings.hash_key, &rule.id), owner)
    }

    /// The id of an episode follows from the key itself, not from its secret hash, so that another
    /// replica makes the same.
    fn episode_id(&self, rule: &Rule, group: &Group, context: &Context<'_>, bucket: i64) -> String {
        let bucket = bucket.to_le_bytes();
        // A release settles what was before it: what comes after is another episode, even in this bucket.
        let releases = self.halts.get(&context.session_key).map_or(0, HaltRecord::releases).to_le_bytes();
        let mut all: Vec<&[u8]> = vec![rule.id.as_bytes(), rule.version.as_bytes(), &bucket, &releases];
        all.extend(group.parts());
        digest_id("f_", &all)
    }
}

/// What an event adds to a window.
enum Measured {
    One,
    Sum(i64),
    Values(Vec<u64>),
}

impl Measured {
    /// `None` where the event has nothing of the kind.
    fn of(measure: &Measure, context: &Context<'_>, leaves: &Leaves<'_>) -> Option<Self> {
        match measure {
            Measure::Count => Some(Self::One),
            Measure::Sum(globs) => fields::number(context.event, leaves, globs).map(|one| Self::Sum(millionths(one))),
            Measure::Distinct { fields, of } => {
                let mut values = Vec::new();
                fields::each(context.event, leaves, fields, |text| values.push(HashKey::COMMON.long(text.as_bytes())));
                for part in of {
                    let named = groups::values(part, context, leaves);
                    values.extend(named.iter().map(|value| HashKey::COMMON.long(value.as_bytes())));
                }
                (!values.is_empty()).then_some(Self::Values(values))
            }
        }
    }

    fn amount(&self) -> Amount<'_> {
        match self {
            Self::One => Amount::One,
            Self::Sum(amount) => Amount::Sum(*amount),
            Self::Values(values) => Amount::Values(values),
        }
    }
}
