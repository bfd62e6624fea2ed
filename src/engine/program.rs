//! A rule set made ready to run: one scanner for all match rules, the others sorted by kind.

use std::sync::Arc;

use super::masks;
use crate::classify::Model;
use crate::limits::REPLAY_SPAN_MAX;
use crate::rules::{Check, ClassifyCheck, GroupBy, MatchCheck, Measure, Rule, RuleSet, ScopeCheck};
use crate::scan::Scanner;
use crate::text::{Layer, Layers};
use crate::time::Span;

/// A compiled rule set, shared by all shards.
#[derive(Debug)]
pub struct Program {
    rules: Arc<RuleSet>,
    pub(super) scanner: Scanner,
    pub(super) model: Arc<Model>,
    /// Whether texts are decoded before they are read.
    pub(super) decodes: bool,
    /// Positions in `rules`, by kind; the scanner's rule numbers are positions in `matches`.
    matches: Vec<usize>,
    scopes: Vec<usize>,
    classifies: Vec<usize>,
    /// Rules with a memory, in the order in which they are asked: the score last, since it adds up what the
    /// others found.
    memories: Vec<usize>,
    /// Rules with exceptions.
    excepted: Vec<usize>,
    /// Whether some rule with a memory asks what others found, so that texts are read in a replay, too.
    follows_findings: bool,
    /// Whether some rule asks where an event goes.
    asks_destinations: bool,
}

impl Program {
    /// Compiles a rule set.
    ///
    /// # Errors
    /// When there are more patterns than the scanner can hold.
    pub fn new(rules: Arc<RuleSet>) -> Result<Self, String> {
        let positions = |wanted: fn(&Check) -> bool| -> Vec<usize> {
            let numbered = rules.rules.iter().enumerate();
            numbered.filter(|(_, rule)| wanted(&rule.check)).map(|(position, _)| position).collect()
        };
        let matches = positions(|check| matches!(check, Check::Match(_)));
        let scopes = positions(|check| matches!(check, Check::Scope(_)));
        let classifies = positions(|check| matches!(check, Check::Classify(_)));
        let mut memories = positions(|check| turn(check).is_some());
        memories.sort_by_key(|position| rules.rules.get(*position).and_then(|rule| turn(&rule.check)));
        let numbered = rules.rules.iter().enumerate();
        let excepted = numbered.filter(|(_, rule)| !rule.excepts.is_empty()).map(|(position, _)| position).collect();
        let follows_findings = rules.rules.iter().any(|rule| follows_findings(&rule.check));
        let asks_destinations = rules.rules.iter().any(|rule| asks_destinations(&rule.check));
        let checks: Vec<&MatchCheck> = rules.rules.iter().filter_map(|rule| match_check(rule)).collect();
        let scanner = Scanner::new(&checks)?;
        Ok(Self {
            scanner,
            model: Model::built_in(),
            decodes: true,
            matches,
            scopes,
            classifies,
            memories,
            excepted,
            follows_findings,
            asks_destinations,
            rules,
        })
    }

    /// The rules that it was made from.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Number of phrases and keywords in the scanner.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.scanner.patterns()
    }

    /// Whether texts are decoded before they are read; off only to measure what that is worth.
    pub fn set_decoding(&mut self, decodes: bool) {
        self.decodes = decodes;
    }

    /// The layers of a text that are read.
    pub(super) fn layers<'l, 'a>(&self, layers: &'l Layers<'a>) -> impl Iterator<Item = &'l Layer<'a>> {
        layers.iter().take(if self.decodes { usize::MAX } else { 1 })
    }

    /// The classifier.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// A text of a stranger with its secrets masked, in whatever way they are written in it.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        masks::mask(&self.scanner, text)
    }

    /// Whether a rule is one for secrets.
    pub(super) fn is_secret(&self, id: &str) -> bool {
        self.rule(id).and_then(match_check).is_some_and(|check| check.secret)
    }

    pub(super) fn match_rule(&self, number: usize) -> Option<(&Rule, &MatchCheck)> {
        let rule = self.rules.rules.get(*self.matches.get(number)?)?;
        Some((rule, match_check(rule)?))
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = (&Rule, &ScopeCheck)> {
        self.rules_at(&self.scopes).filter_map(|(_, rule)| match &rule.check {
            Check::Scope(check) => Some((rule, check)),
            _ => None,
        })
    }

    pub(super) fn classifies(&self) -> impl Iterator<Item = (&Rule, &ClassifyCheck)> {
        self.rules_at(&self.classifies).filter_map(|(_, rule)| match &rule.check {
            Check::Classify(check) => Some((rule, check)),
            _ => None,
        })
    }

    /// Rules with a memory, in the order in which they are asked, by their number.
    pub(super) fn memories(&self) -> impl Iterator<Item = (usize, &Rule)> {
        self.rules_at(&self.memories)
    }

    /// The rules that have exceptions.
    pub(super) fn excepted(&self) -> impl Iterator<Item = &Rule> {
        self.rules_at(&self.excepted).map(|(_, rule)| rule)
    }

    /// Whether some rule with a memory asks what others found.
    pub(super) fn follows_findings(&self) -> bool {
        self.follows_findings
    }

    /// Whether some rule asks where an event goes.
    pub(super) fn asks_destinations(&self) -> bool {
        self.asks_destinations
    }

    /// The rule of this id.
    pub(super) fn rule(&self, id: &str) -> Option<&Rule> {
        let position = self.rules.rules.binary_search_by(|rule| (*rule.id).cmp(id)).ok()?;
        self.rules.rules.get(position)
    }

    /// How far back a replay reaches. What reaches further, long windows and baselines, begins anew where no
    /// snapshot brings it back.
    #[must_use]
    pub fn horizon(&self) -> Span {
        self.memories().map(|(_, rule)| reach(&rule.check)).max().unwrap_or_default().min(REPLAY_SPAN_MAX)
    }

    fn rules_at<'p>(&'p self, positions: &'p [usize]) -> impl Iterator<Item = (usize, &'p Rule)> {
        positions.iter().enumerate().filter_map(|(n, position)| Some((n, self.rules.rules.get(*position)?)))
    }
}

fn match_check(rule: &Rule) -> Option<&MatchCheck> {
    match &rule.check {
        Check::Match(check) => Some(check),
        _ => None,
    }
}

/// When a rule with a memory is asked; none for rules without.
fn turn(check: &Check) -> Option<u8> {
    match check {
        Check::Match(_) | Check::Classify(_) | Check::Scope(_) => None,
        Check::Tools => Some(0),
        Check::Rate(_) => Some(1),
        Check::Spike(_) => Some(2),
        Check::Repeat(_) => Some(3),
        Check::Sequence(_) => Some(4),
        Check::Flow(_) => Some(5),
        Check::Score(_) => Some(6),
    }
}

fn follows_findings(check: &Check) -> bool {
    match check {
        Check::Sequence(check) => check.steps.iter().any(|step| !step.pattern.finding.is_empty()),
        Check::Flow(check) => !check.source.finding.is_empty() || !check.sink.finding.is_empty(),
        Check::Score(_) => true,
        _ => false,
    }
}

fn asks_destinations(check: &Check) -> bool {
    let by_goal = |group_by: &[GroupBy]| group_by.iter().any(|part| matches!(part, GroupBy::Recipient | GroupBy::Host));
    match check {
        Check::Rate(check) => {
            by_goal(&check.group_by) || matches!(&check.measure, Measure::Distinct { of, .. } if by_goal(of))
        }
        Check::Spike(check) => by_goal(&check.group_by) || by_goal(&check.peers),
        Check::Repeat(check) => by_goal(&check.group_by),
        Check::Sequence(check) => {
            by_goal(&check.group_by) || check.steps.iter().any(|step| step.pattern.outside.is_some())
        }
        Check::Flow(check) => {
            by_goal(&check.group_by) || [&check.source, &check.sink].iter().any(|pattern| pattern.outside.is_some())
        }
        _ => false,
    }
}

/// How far back a rule looks. What has no end, a baseline or a score, is rebuilt in part only: of a score a
/// 16th is left behind this.
fn reach(check: &Check) -> Span {
    const HALF_LIVES: i64 = 4;
    match check {
        Check::Match(_) | Check::Classify(_) | Check::Scope(_) | Check::Tools => Span(0),
        Check::Rate(check) => check.window,
        Check::Spike(check) => check.window,
        Check::Repeat(check) => check.within,
        Check::Sequence(check) => check.within,
        Check::Flow(check) => check.within,
        Check::Score(check) => Span(check.half_life.0.saturating_mul(HALF_LIVES)),
    }
}
