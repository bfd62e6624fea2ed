//! Plays a rule's own cases through an engine.

use std::sync::Arc;

use super::{At, Effect, Engine, HashKey, Input, Program, Settings};
use crate::event::parse;
use crate::finding::Action;
use crate::ids::ShardId;
use crate::rules::{Case, Expected, Rule};
use crate::time::Millis;

/// A case that did not give what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// The rule's file.
    pub file: String,
    /// Line of the case in it.
    pub line: usize,
    /// The rule.
    pub rule: String,
    /// The case.
    pub case: String,
    /// What was expected and what came.
    pub message: String,
}

/// Runs all cases of all rules, each with a fresh engine and the whole set. Returns how many were run
/// and which of them failed.
#[must_use]
pub fn run_cases(program: &Arc<Program>) -> (usize, Vec<CaseFailure>) {
    let mut failures = Vec::new();
    let mut total = 0;
    for rule in &program.rules().rules {
        for case in &rule.cases {
            total += 1;
            if let Err(message) = run_case(program, rule, case) {
                failures.push(CaseFailure {
                    file: rule.file.clone(),
                    line: case.line,
                    rule: rule.id.to_string(),
                    case: case.name.clone(),
                    message,
                });
            }
        }
    }
    (total, failures)
}

fn run_case(program: &Arc<Program>, rule: &Rule, case: &Case) -> Result<(), String> {
    let shard = ShardId { topic: Arc::from("case"), partition: 0 };
    let mut engine = Engine::new(shard, program.clone(), Settings { shadow: false, hash_key: HashKey([0; 16]) });
    let mut got = Expected { action: None, at: None };
    for (position, (at, json)) in (1..).zip(&case.events) {
        let fired = play(&mut engine, position, *at, json)?;
        let strongest = fired.into_iter().filter(|(id, _)| *id == rule.id).map(|(_, action)| action).max();
        if strongest.is_some() {
            got.at = got.at.or(usize::try_from(position).ok());
        }
        got.action = got.action.max(strongest);
    }
    let wanted = case.expected;
    if got.action != wanted.action {
        return Err(format!("expected {}, got {}", name(wanted.action), name(got.action)));
    }
    match (wanted.at, got.at) {
        (Some(wanted), got) if Some(wanted) != got => {
            Err(format!("expected the first finding at event {wanted}, got it at {}", got.unwrap_or(0)))
        }
        _ => Ok(()),
    }
}

/// The rules that fire on one event, with what they ask for.
fn play(engine: &mut Engine, position: i64, at: Millis, json: &str) -> Result<Vec<(Arc<str>, Action)>, String> {
    let mut parsed =
        parse(json.as_bytes()).map_err(|rejected| format!("event {position} is no event: {}", rejected.detail))?;
    if let Some(problem) = parsed.problems.first() {
        return Err(format!("event {position}: {problem}"));
    }
    parsed.event.ts = parsed.event.ts.or(Some(at));
    let mut effects = Vec::new();
    let at = At { offset: position, append: None, silent: false };
    engine.step(at, Input::Event { event: &parsed.event, digest: 0 }, &mut effects);
    let fired = effects.into_iter().filter_map(|effect| match effect {
        Effect::Finding(finding) => Some((finding.rule, finding.action)),
        Effect::Halt(_) => None,
    });
    Ok(fired.collect())
}

fn name(action: Option<Action>) -> &'static str {
    action.map_or("none", Action::as_str)
}
