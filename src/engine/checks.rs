//! Running the rules over one event.

use std::sync::Arc;

use super::masks::{mask, mask_at, masked};
use super::program::{from_millionths, millionths};
use super::{Context, Engine, Program, Seen};
use crate::detect::{Crossing, RateDetector};
use crate::event::{Event, Leaves};
use crate::finding::{Evidence, Finding, Mode};
use crate::halt::HaltRecord;
use crate::ids::digest_id;
use crate::limits::FINDINGS_PER_EVENT_MAX;
use crate::rules::{Glob, GroupBy, RateCheck, Rule, Threshold, number_of, text_of};

impl Engine {
    /// Runs every rule; in a silent replay only those with a memory.
    pub(super) fn check(&mut self, context: &Context<'_>, silent: bool, seen: Seen, findings: &mut Vec<Finding>) {
        let program = self.program.clone();
        let leaves = Leaves::of(context.event);
        if silent {
            self.carry(context, &leaves);
        } else {
            self.check_texts(&program, context, &leaves, findings);
            self.check_scopes(&program, context, &leaves, findings);
        }
        if seen == Seen::New {
            self.check_rates(&program, context, &leaves, findings);
        }
        let dropped = findings.len().saturating_sub(FINDINGS_PER_EVENT_MAX);
        self.stats.findings_dropped += dropped as u64;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.action));
        findings.truncate(FINDINGS_PER_EVENT_MAX);
    }

    fn check_scopes(&self, program: &Program, context: &Context<'_>, leaves: &Leaves<'_>, findings: &mut Vec<Finding>) {
        for (rule, check) in program.scopes().filter(|(rule, _)| rule.when.passes(context.event)) {
            let covered = leaves.iter().filter(|leaf| check.fields.iter().any(|glob| glob.covers(leaf.path)));
            let mut exceeded = covered.filter_map(|leaf| {
                let shown = |text: &str| mask_at(&program.scanner, leaf.path, text);
                Some((leaf.path, check.limit.exceeded(leaf.value, context.event, &shown)?))
            });
            if let Some((path, why)) = exceeded.next() {
                let summary = format!("`{path}` {why}");
                let evidence = Evidence { summary, field: Some(path.to_owned()), ..Evidence::default() };
                findings.push(self.finding(rule, context, evidence, None));
            }
        }
    }

    fn check_rates(
        &mut self,
        program: &Program,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let settled = self.halts.get(&context.session_key).is_some_and(|halt| halt.voids(&context.origin));
        for (n, rule, check) in program.rates().filter(|(_, rule, _)| rule.when.passes(context.event)) {
            let of_session = check.group_by.contains(&GroupBy::Session);
            let owner = if of_session { context.session_key } else { 0 };
            let Some(key) = self.rate_key(rule, check, context, leaves) else { continue };
            let Some(amount) = amount(check, leaves) else { continue };
            if settled && of_session {
                continue;
            }
            let crossing = self.rates.get_mut(n).and_then(|rate| rate.observe(key, owner, context.ts, amount));
            if let Some(crossing) = crossing {
                let evidence = rate_evidence(check, crossing, self.rates.get(n));
                let episode = self.episode_id(rule, check, context, leaves, crossing);
                findings.push(self.finding(rule, context, evidence, Some(episode)));
            }
        }
    }

    /// The key of the window that an event counts in; `None` where a part of it is missing.
    fn rate_key(&self, rule: &Rule, check: &RateCheck, context: &Context<'_>, leaves: &Leaves<'_>) -> Option<u128> {
        let parts = group_parts(check, context.event, leaves)?;
        let mut parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        parts.push(rule.id.as_bytes());
        Some(self.settings.hash_key.of(&parts))
    }

    /// The id of an episode follows from the key itself, not from its secret hash, so that another
    /// replica makes the same.
    fn episode_id(
        &self,
        rule: &Rule,
        check: &RateCheck,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        crossing: Crossing,
    ) -> String {
        let parts = group_parts(check, context.event, leaves).unwrap_or_default();
        let bucket = crossing.bucket.to_le_bytes();
        // A release settles what was before it: what comes after is another episode, even in this bucket.
        let releases = self.halts.get(&context.session_key).map_or(0, HaltRecord::releases).to_le_bytes();
        let mut all: Vec<&[u8]> = vec![rule.id.as_bytes(), rule.version.as_bytes(), &bucket, &releases];
        all.extend(parts.iter().map(|part| part.as_bytes()));
        digest_id("f_", &all)
    }

    pub(super) fn finding(
        &self,
        rule: &Rule,
        context: &Context<'_>,
        evidence: Evidence,
        episode: Option<String>,
    ) -> Finding {
        let event = context.event;
        let mask = |text: &str| mask(&self.program.scanner, text);
        let (tenant, session) = match self.sessions.get(context.session_key) {
            Some(known) => known.names(),
            None => (Arc::from(event.tenant.as_ref()), Arc::from(event.session.as_ref())),
        };
        let id = episode.unwrap_or_else(|| {
            let origin = context.origin.to_string();
            digest_id("f_", &[origin.as_bytes(), rule.id.as_bytes(), rule.version.as_bytes()])
        });
        Finding {
            v: 1,
            id,
            tenant,
            session,
            agent: event.agent.id.as_deref().map(mask),
            event_id: mask(&context.event_id),
            tool: event.tool.as_ref().map(|tool| mask(&tool.name)),
            ts: context.ts,
            rule: rule.id.clone(),
            rule_version: rule.version.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            action: rule.action_at(event, evidence.field.as_deref()),
            mode: if self.settings.shadow { Mode::Shadow } else { rule.mode },
            tags: rule.tags.clone(),
            evidence: masked(evidence, mask),
            origin: context.origin.clone(),
        }
    }
}

fn rate_evidence(check: &RateCheck, crossing: Crossing, detector: Option<&RateDetector>) -> Evidence {
    let window = detector.map_or(check.window, RateDetector::span);
    let summary = match &check.threshold {
        Threshold::CountAtLeast(limit) => format!("{} events in {window}, limit {limit}", crossing.value),
        Threshold::SumAbove { above, .. } => {
            format!("a sum of {} in {window}, limit {above}", from_millionths(crossing.value))
        }
    };
    Evidence { summary, ..Evidence::default() }
}

/// What an event adds to a window; `None` where it has no such number.
fn amount(check: &RateCheck, leaves: &Leaves<'_>) -> Option<i64> {
    match &check.threshold {
        Threshold::CountAtLeast(_) => Some(0),
        Threshold::SumAbove { fields, .. } => first_number(fields, leaves).map(millionths),
    }
}

fn first_number(fields: &[Glob], leaves: &Leaves<'_>) -> Option<f64> {
    leaves.iter().filter(|leaf| fields.iter().any(|glob| glob.covers(leaf.path))).find_map(|leaf| number_of(leaf.value))
}

/// The parts that make a window's key, the tenant first.
fn group_parts(check: &RateCheck, event: &Event<'_>, leaves: &Leaves<'_>) -> Option<Vec<String>> {
    let mut parts = vec![event.tenant.to_string()];
    for part in &check.group_by {
        let tool = event.tool.as_ref();
        match part {
            GroupBy::Tenant => {}
            GroupBy::Session => parts.push(event.session.to_string()),
            GroupBy::Agent => parts.push(event.agent.id.as_deref()?.to_owned()),
            GroupBy::Tool => parts.push(tool?.name.to_string()),
            GroupBy::Call => {
                parts.push(tool?.name.to_string());
                parts.push(tool?.args.as_ref().map(|args| args.get().to_owned()).unwrap_or_default());
            }
            GroupBy::Field(path) => parts.push(text_of(leaves.get(path)?)),
        }
    }
    Some(parts)
}
