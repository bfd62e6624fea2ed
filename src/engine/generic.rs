//! The specific before the generic: where a rule for one kind of secret and a rule for any password or
//! key find the same, only the first is reported. What both find is masked all the same.

use std::ops::Range;

use super::Program;
use crate::event::Event;
use crate::finding::{Finding, Mode};
use crate::rules::Rule;
use crate::scan::Hit;

/// How the ids of generic rules begin.
const GENERIC: &str = "secret-generic-";

fn is_generic(id: &str) -> bool {
    id.starts_with(GENERIC)
}

/// Moves the hits of generic rules in one text to their first match that no specific rule finds, and takes
/// away those that have none. A specific rule that would do less leaves the generic one its word.
pub(super) fn settle(program: &Program, (event, path): (&Event<'_>, &str), text: &str, hits: &mut Vec<Hit>) {
    let is_wanted = |hit: &Hit, generic: bool| {
        let of_rule =
            program.match_rule(hit.rule).filter(|(rule, check)| check.secret && is_generic(&rule.id) == generic);
        of_rule.map(|(rule, _)| rule)
    };
    if !hits.iter().any(|hit| is_wanted(hit, true).is_some()) {
        return;
    }
    let specific: Vec<(&Rule, Vec<Range<usize>>)> =
        hits.iter().filter_map(|hit| Some((is_wanted(hit, false)?, cores(program, hit, text)))).collect();
    hits.retain_mut(|hit| {
        let Some(generic) = is_wanted(hit, true) else { return true };
        let yields = |rule: &Rule| {
            let does_as_much = rule.action_at(event, Some(path)) >= generic.action_at(event, Some(path));
            does_as_much && (rule.mode == Mode::Enforce || generic.mode == Mode::Shadow)
        };
        let taken: Vec<&Range<usize>> =
            specific.iter().filter(|(rule, _)| yields(rule)).flat_map(|(_, cores)| cores).collect();
        let is_free = |core: &Range<usize>| !taken.iter().any(|other| overlap(other, core));
        match std::iter::once(hit.clone()).chain(program.scanner.matches(hit.rule, text)).find(|h| is_free(&h.core)) {
            Some(free) => {
                *hit = free;
                true
            }
            None => false,
        }
    });
}

/// All that a hit's rule finds, the hit among it.
fn cores(program: &Program, hit: &Hit, text: &str) -> Vec<Range<usize>> {
    std::iter::once(hit.core.clone()).chain(program.scanner.matches(hit.rule, text).map(|hit| hit.core)).collect()
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The same among the findings of one event, for what was found in different readings of one field.
pub(super) fn settle_findings(program: &Program, findings: &mut Vec<Finding>) {
    if !findings.iter().any(|finding| is_generic(&finding.rule)) {
        return;
    }
    let mut specific = findings.clone();
    specific.retain(|finding| !is_generic(&finding.rule) && program.is_secret(&finding.rule));
    findings.retain(|finding| {
        let yields = |other: &Finding| {
            let (Some(a), Some(b)) = (finding.evidence.span, other.evidence.span) else { return false };
            finding.evidence.field == other.evidence.field
                && overlap(&(a.0..a.1), &(b.0..b.1))
                && other.action >= finding.action
                && (other.mode == Mode::Enforce || finding.mode == Mode::Shadow)
        };
        !is_generic(&finding.rule) || !specific.iter().any(yields)
    });
}
