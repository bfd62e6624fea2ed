//! One row → one event → what the rules say of it.

use std::sync::Arc;

use serde_json::json;

use super::figures::Judged;
use crate::classify::{Head, Scratch};
use crate::corpus::Row;
use crate::engine::{At, Effect, Engine, HashKey, Input, Program, Settings};
use crate::event::parse;
use crate::finding::{Action, Finding, Severity};
use crate::ids::ShardId;

/// Rows after which the engine is made anew, so that none meets a full memory.
const ROWS_PER_ENGINE: i64 = 10_000;

/// Plays rows through an engine.
pub(super) struct Judge {
    program: Arc<Program>,
    engine: Engine,
    scratch: Scratch,
    rows: i64,
}

impl Judge {
    pub(super) fn new(program: Arc<Program>) -> Self {
        Self { engine: engine(&program), program, scratch: Scratch::default(), rows: 0 }
    }

    /// What the rules make of a row.
    pub(super) fn judge(&mut self, row: Row, group: String) -> Judged {
        self.rows += 1;
        if self.rows % ROWS_PER_ENGINE == 0 {
            self.engine = engine(&self.program);
        }
        let json = event(&row, self.rows).to_string();
        let mut effects = Vec::new();
        let at = At { offset: self.rows, append: None, silent: false };
        match parse(json.as_bytes()) {
            Ok(parsed) => self.engine.step(at, Input::Event { event: &parsed.event, digest: 0 }, &mut effects),
            Err(rejected) => {
                let (bytes, key) = (json.as_bytes(), None);
                self.engine.step(at, Input::Malformed { rejected: &rejected, bytes, key }, &mut effects);
            }
        }
        let findings = effects.into_iter().filter_map(|effect| match effect {
            Effect::Finding(finding) if finding.action >= Action::Flag => Some(finding),
            _ => None,
        });
        let findings: Vec<Finding> = findings.collect();
        let heads: &[Head] =
            if row.direction == "user" { &[Head::Injection, Head::Jailbreak] } else { &[Head::Planted] };
        let scores = self.program.model().scores(&row.text, |head| heads.contains(&head), &mut self.scratch);
        let classified = f64::from(scores.worst().probability());
        let strongest = findings.iter().max_by(|a, b| weight(a).total_cmp(&weight(b)));
        // What a rule is sure of lies above all that only the classifier says.
        let score = strongest.map_or(classified / 2.0, |finding| f64::midpoint(1.0, weight(finding).max(classified)));
        let rule = strongest.map(|finding| finding.rule.to_string());
        Judged { row, group, score, rule }
    }
}

fn engine(program: &Arc<Program>) -> Engine {
    let shard = ShardId { topic: Arc::from("eval"), partition: 0 };
    Engine::new(shard, program.clone(), Settings { shadow: false, hash_key: HashKey([0; 16]) })
}

fn weight(finding: &Finding) -> f64 {
    finding.evidence.score.map_or_else(
        || match finding.severity {
            Severity::Informational => 0.5,
            Severity::Low => 0.6,
            Severity::Medium => 0.7,
            Severity::High => 0.85,
            Severity::Critical => 0.95,
        },
        |score| score.value(),
    )
}

/// The event that a harness would have sent for a row.
fn event(row: &Row, number: i64) -> serde_json::Value {
    let session = format!("row-{number}");
    let args = || serde_json::from_str(&row.text).unwrap_or_else(|_| json!({"text": row.text}));
    match row.direction.as_str() {
        "tool_result" => json!({"v": 1, "session": session, "kind": "tool_result",
            "tool": {"name": "read_document", "result": row.text}}),
        "tool_call" => json!({"v": 1, "session": session, "kind": "tool_call", "role": "assistant",
            "tool": {"name": "call", "args": args()}}),
        "model" => json!({"v": 1, "session": session, "kind": "message", "role": "assistant", "text": row.text}),
        _ => json!({"v": 1, "session": session, "kind": "message", "role": "user", "text": row.text}),
    }
}
