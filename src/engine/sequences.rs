//! Rules about steps that follow each other.

use super::groups::Group;
use super::memory::Detector;
use super::{Context, Engine};
use crate::detect::Completion;
use crate::event::Leaves;
use crate::finding::{Action, Evidence, Finding};
use crate::rules::{Glob, Pattern, Rule, SequenceCheck};

impl Engine {
    pub(super) fn check_sequence(
        &mut self,
        (n, rule, check): (usize, &Rule, &SequenceCheck),
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let numbered = (0_u32..).zip(&check.steps);
        let matched = numbered
            .filter(|(_, step)| matches(&step.pattern, context, findings))
            .fold(0_u32, |bits, (number, _)| bits | 1 << number);
        if matched == 0 {
            return;
        }
        self.mark(context);
        for group in Group::counted(&check.group_by, context, leaves) {
            let (key, owner) = self.key_and_owner(rule, &check.group_by, &group, context);
            let Some(Detector::Sequence(sequence)) = self.memory.get_mut(n) else { return };
            let offset = context.origin.offset;
            if let Some(done) = sequence.observe(key, owner, context.ts, offset, matched) {
                let evidence = self.sequence_evidence(check, context, &done);
                findings.push(self.finding(rule, context, evidence, None));
            }
        }
    }

    fn sequence_evidence(&self, check: &SequenceCheck, context: &Context<'_>, done: &Completion) -> Evidence {
        let positive = check.steps.iter().filter(|step| !step.negated);
        let told = positive.zip(&done.marks).map(|(step, (_, mark))| {
            let place = self.place(context, *mark);
            format!("{} ({place})", step.name)
        });
        let steps: Vec<String> = told.collect();
        let first = done.marks.iter().map(|(at, _)| *at).min().unwrap_or(context.ts);
        let without: Vec<&str> =
            check.steps.iter().filter(|step| step.negated).map(|step| step.name.as_str()).collect();
        let without = if without.is_empty() { String::new() } else { format!(", without {}", without.join(" or ")) };
        let summary = format!("{}{without}, within {}", steps.join(", then "), context.ts - first);
        Evidence { summary, ..Evidence::default() }
    }
}

/// Whether an event is what a pattern is about.
pub(super) fn matches(pattern: &Pattern, context: &Context<'_>, findings: &[Finding]) -> bool {
    pattern.when.passes_with(context.event, context.hints)
        && (pattern.finding.is_empty() || has_finding(pattern, findings))
        && pattern.outside.as_ref().is_none_or(|inside| context.destinations.outside(inside, context.event).is_some())
}

fn has_finding(pattern: &Pattern, findings: &[Finding]) -> bool {
    let is_meant = |finding: &Finding| Glob::any(&pattern.finding, &finding.rule);
    findings.iter().any(|finding| finding.action >= Action::Flag && is_meant(finding))
}
