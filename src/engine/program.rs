//! A rule set made ready to run: one scanner for all match rules, the others sorted by kind.

use std::sync::Arc;

use super::masks;
use crate::classify::Model;
use crate::detect::{RateDetector, RateLimit};
use crate::rules::{Check, ClassifyCheck, MatchCheck, RateCheck, Rule, RuleSet, ScopeCheck, Threshold};
use crate::scan::Scanner;
use crate::text::{Layer, Layers};

/// Amounts are counted in millionths, so that sums are exact and the order of adding does not matter.
const MILLIONTHS: f64 = 1e6;

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
    rates: Vec<usize>,
    classifies: Vec<usize>,
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
        let rates = positions(|check| matches!(check, Check::Rate(_)));
        let classifies = positions(|check| matches!(check, Check::Classify(_)));
        let checks: Vec<&MatchCheck> = rules.rules.iter().filter_map(|rule| match_check(rule)).collect();
        let scanner = Scanner::new(&checks)?;
        Ok(Self { scanner, model: Model::built_in(), decodes: true, matches, scopes, rates, classifies, rules })
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
        self.rules.rules.iter().filter(|rule| *rule.id == *id).filter_map(match_check).any(|check| check.secret)
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

    pub(super) fn rates(&self) -> impl Iterator<Item = (usize, &Rule, &RateCheck)> {
        self.rules_at(&self.rates).filter_map(|(n, rule)| match &rule.check {
            Check::Rate(check) => Some((n, rule, check)),
            _ => None,
        })
    }

    /// A fresh detector for each windowed rule, in order.
    pub(super) fn rate_detectors(&self) -> Vec<RateDetector> {
        let limit = |check: &RateCheck| match &check.threshold {
            Threshold::CountAtLeast(count) => RateLimit::CountAtLeast(*count),
            Threshold::SumAbove { above, .. } => RateLimit::SumAbove(millionths(*above)),
        };
        self.rates().map(|(_, _, check)| RateDetector::new(limit(check), check.window)).collect()
    }

    /// The version of each windowed rule, in order.
    pub(super) fn rate_versions(&self) -> impl Iterator<Item = Arc<str>> {
        self.rates().map(|(_, rule, _)| rule.version.clone())
    }

    /// Length of the longest window, which is how far back a replay must reach.
    #[must_use]
    pub fn horizon(&self) -> crate::time::Span {
        self.rates().map(|(_, _, check)| check.window).max().unwrap_or_default()
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

/// An amount in millionths. Saturates; a negative amount counts as much as a positive one, or else it
/// would make room for more.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what an absurd amount should do")]
pub(super) fn millionths(amount: f64) -> i64 {
    (amount.abs() * MILLIONTHS).round() as i64
}

/// Millionths as a number for people.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(super) fn from_millionths(amount: i64) -> f64 {
    amount as f64 / MILLIONTHS
}
