//! How detections with a memory are told: one sentence in words and numbers.

use super::groups::Group;
use super::numbers::from_millionths;
use crate::detect::{Change, Spike};
use crate::event::Event;
use crate::finding::{Evidence, Finding};
use crate::rules::{GroupBy, Measure, RateCheck, ScoreCheck, SpikeCheck};

/// Most findings that a sentence about a score names.
const NAMED_MAX: usize = 3;

pub(super) fn rate(check: &RateCheck, group: &Group, value: f64, limit: f64) -> Evidence {
    let window = check.window;
    let told = match &check.measure {
        Measure::Count => format!("{value} events in {window}, limit {limit}"),
        Measure::Sum(_) => format!("a sum of {value} in {window}, limit {limit}"),
        Measure::Distinct { .. } => format!("{value} different values in {window}, limit {limit}"),
    };
    summary(format!("{told}{}", by(&check.group_by, group)))
}

pub(super) fn spike(check: &SpikeCheck, group: &Group, spike: &Spike) -> Evidence {
    let (usual, deviation) = (spike.usual, spike.deviation);
    let is_count = matches!(check.measure, Measure::Count);
    let value = if is_count { count(spike.value) } else { from_millionths(spike.value) };
    let what = if is_count { " events" } else { "" };
    let whose = if spike.of_peers { " for its like" } else { "" };
    let excess = spike.excess.map(|excess| format!(", {} above that since {}", excess.amount, excess.since));
    summary(format!(
        "{value}{what} in {}, usually {usual} \u{b1} {deviation}{whose}{}{}",
        check.window,
        excess.unwrap_or_default(),
        by(&check.group_by, group)
    ))
}

pub(super) fn repeat(event: &Event<'_>, times: i64) -> Evidence {
    let tool = event.tool.as_ref().map(|tool| tool.name.as_ref()).unwrap_or_default();
    summary(format!("`{tool}` with the same arguments {times} times in a row"))
}

/// What the session's score comes from: the findings on this event, the gravest first.
pub(super) fn score(score: f64, check: &ScoreCheck, findings: &[Finding]) -> Evidence {
    let mut last: Vec<&Finding> = findings.iter().collect();
    last.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let named: Vec<&str> = last.iter().take(NAMED_MAX).map(|finding| finding.rule.as_ref()).collect();
    let score = score.round();
    summary(format!("a risk score of {score}, limit {}; last added: {}", check.at_least, named.join(", ")))
}

pub(super) fn definition(name: &str, changed: usize, change: &Change, seen_at: &str) -> String {
    let more = if changed > 1 { format!(" and {} more", changed - 1) } else { String::new() };
    format!(
        "the definition of `{name}`{more} is not what it was at {seen_at}, version {} since {}",
        change.versions, change.first_seen
    )
}

/// Whose events they are, where that is not the session.
fn by(group_by: &[GroupBy], group: &Group) -> String {
    let is_plain = |part: &GroupBy| matches!(part, GroupBy::Session | GroupBy::Tenant | GroupBy::Call);
    if group_by.iter().all(is_plain) {
        return String::new();
    }
    format!(", of `{}`", group.name().trim_matches('/').chars().take(80).collect::<String>())
}

fn summary(summary: String) -> Evidence {
    Evidence { summary, ..Evidence::default() }
}

/// A count as a number for people.
#[expect(clippy::cast_precision_loss, reason = "no window counts 2^53 events")]
pub(super) fn count(value: i64) -> f64 {
    value as f64
}
