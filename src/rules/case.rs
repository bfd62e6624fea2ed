//! A rule's own tests: events to play, and what the rule must make of them.

use crate::finding::Action;
use crate::time::{Millis, Span};

/// One test of a rule.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Line of the file, for messages.
    pub line: usize,
    /// The events, repeated and filled in: the time they are played at, and the JSON.
    pub events: Vec<(Millis, String)>,
    /// What must come out.
    pub expected: Expected,
}

/// What a case must give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The strongest action of this rule; `None` when it must stay silent.
    pub action: Option<Action>,
    /// Position of the first event that fires, from 1.
    pub at: Option<usize>,
}

/// The time of a case's first event; any fixed one will do.
const START: Millis = Millis(1_767_225_600_000);

/// Lays out the events of a case: `repeat` times the lines of `events`, `every` apart.
pub(super) fn lay_out(events: &str, repeat: u32, every: Span) -> Vec<(Millis, String)> {
    let lines: Vec<&str> = events.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut at = START;
    let mut laid_out = Vec::new();
    for n in 1..=repeat {
        for line in &lines {
            laid_out.push((at, line.replace("{n}", &n.to_string())));
            at = at + every;
        }
    }
    laid_out
}
