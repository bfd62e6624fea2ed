//! Running the rules over one event.

use std::sync::Arc;

use super::flows::Made;
use super::masks::{mask, mask_at, masked};
use super::{Context, Engine, Program, Seen, definitions, fields};
use crate::event::Leaves;
use crate::finding::{Action, Evidence, Finding, Mode};
use crate::ids::digest_id;
use crate::limits::{FINDINGS_PER_EVENT_MAX, POINTS_HALVED_MAX};
use crate::rules::{Check, Except, Rule};

impl Engine {
    /// Runs every rule; in a silent replay only those with a memory, and what they ask for.
    pub(super) fn check(
        &mut self,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        (silent, seen): (bool, Seen),
        findings: &mut Vec<Finding>,
    ) {
        let program = self.program.clone();
        if silent && !program.follows_findings() {
            self.carry(context, leaves);
        } else {
            self.check_texts(&program, context, leaves, findings);
            self.check_scopes(&program, context, leaves, findings);
            drop_excepted(&program, context, findings);
        }
        if seen == Seen::New {
            self.check_memories(&program, context, leaves, findings);
        }
        let dropped = findings.len().saturating_sub(FINDINGS_PER_EVENT_MAX);
        self.stats.findings_dropped += dropped as u64;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.action));
        findings.truncate(FINDINGS_PER_EVENT_MAX);
    }

    fn check_scopes(&self, program: &Program, context: &Context<'_>, leaves: &Leaves<'_>, findings: &mut Vec<Finding>) {
        let looked_at = program.scopes().filter(|(rule, _)| rule.when.passes_with(context.event, context.hints));
        for (rule, check) in looked_at {
            if let Some(summary) = check.untimely(context.ts) {
                findings.push(self.finding(rule, context, Evidence { summary, ..Evidence::default() }, None));
                continue;
            }
            let exceeded = fields::find(context.event, leaves, &check.fields, |path, value| {
                let shown = |text: &str| mask_at(&program.scanner, path, text);
                Some((path.to_owned(), check.exceeded(value, context.event, &shown)?))
            });
            if let Some((path, why)) = exceeded {
                let summary = format!("`{path}` {why}");
                let evidence = Evidence { summary, field: Some(path), ..Evidence::default() };
                findings.push(self.finding(rule, context, evidence, None));
            }
        }
    }

    /// Runs the rules with a memory.
    fn check_memories(
        &mut self,
        program: &Program,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let definitions = definitions::of(context.event, self.settings.hash_key);
        self.learn_hints(context, &definitions);
        let mut made = Made::default();
        for (n, rule) in program.memories() {
            let passes = || rule.when.passes_with(context.event, context.hints);
            match &rule.check {
                Check::Rate(check) if passes() => self.check_rate((n, rule, check), context, leaves, findings),
                Check::Spike(check) if passes() => self.check_spike((n, rule, check), context, leaves, findings),
                Check::Repeat(check) if passes() => self.check_repeat((n, rule, check), context, leaves, findings),
                Check::Sequence(check) if passes() => self.check_sequence((n, rule, check), context, leaves, findings),
                Check::Flow(check) if passes() => {
                    self.check_flow((n, rule, check), context, leaves, &mut made, findings);
                }
                Check::Tools if passes() => self.check_definitions((n, rule), context, &definitions, findings),
                _ => {}
            }
        }
        drop_excepted(program, context, findings);
        let points = self.points(program, context, findings);
        for (n, rule) in program.memories() {
            if let Check::Score(check) = &rule.check
                && rule.when.passes(context.event)
            {
                self.check_risk((n, rule, check), context, points, findings);
            }
        }
    }

    /// What the findings on an event, those of `flag` and more, add to the session's risk: the first of a rule its
    /// whole weight, each later one half of the one before, so that one rule alone cannot fill the score.
    fn points(&mut self, program: &Program, context: &Context<'_>, findings: &[Finding]) -> i64 {
        let Some(session) = self.sessions.get_mut(context.session_key) else { return 0 };
        let weight = |finding: &Finding| {
            let rule = program.rule(&finding.rule).filter(|rule| rule.mode == Mode::Enforce)?;
            let times = session.count_rule(&rule.id);
            Some(rule.points >> times.min(POINTS_HALVED_MAX))
        };
        let shown = findings.iter().filter(|finding| finding.action >= Action::Flag);
        shown.filter_map(weight).fold(0, i64::saturating_add)
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

/// Takes out what people have looked at and let pass.
fn drop_excepted(program: &Program, context: &Context<'_>, findings: &mut Vec<Finding>) {
    for rule in program.excepted() {
        findings.retain(|finding| {
            let holds = |except: &Except| except.holds(context.event, context.ts, &finding.evidence);
            finding.rule != rule.id || !rule.excepts.iter().any(holds)
        });
    }
}
