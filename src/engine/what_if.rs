//! What would follow from an event that has not happened: the gate's question.
//!
//! The answer must not change what is known, or a question that nobody replays would make a replay differ. So a
//! spare engine is given a copy of all that the event touches: its session, its halt, the windows of its keys. Then
//! the event happens there.

use std::sync::Arc;

use super::groups::Group;
use super::memory::Memory;
use super::{At, Context, Effect, Engine, HashKey, Input, Program, Settings};
use crate::event::{Event, Leaves};
use crate::finding::Finding;
use crate::ids::ShardId;
use crate::limits::{DEFINITION_IDLE, DEFINITION_KEYS_MAX, SESSION_IDLE, SESSIONS_PER_SHARD_MAX};
use crate::rules::{Check, GroupBy};
use crate::time::Millis;
use crate::window::Keyed;

/// A spare engine.
#[derive(Debug)]
pub struct WhatIf(Engine);

impl WhatIf {
    /// A spare engine with these rules.
    #[must_use]
    pub fn new(program: Arc<Program>, settings: Settings) -> Self {
        Self(Engine::new(ShardId { topic: Arc::from("gate"), partition: 0 }, program, settings))
    }

    /// Whether it has these rules.
    #[must_use]
    pub fn is_of(&self, program: &Arc<Program>) -> bool {
        Arc::ptr_eq(&self.0.program, program)
    }

    /// What would be found if an event happened now to one who knows nothing of its session.
    pub fn alone(&mut self, event: &Event<'_>, now: Millis) -> Vec<Finding> {
        self.clear();
        self.happen(event, now)
    }

    /// What would be found if an event happened now where `engine` knows its session; `None` where it does not.
    /// Nothing changes there.
    pub fn ask(&mut self, engine: &Engine, event: &Event<'_>, now: Millis) -> Option<Vec<Finding>> {
        let session_key = engine.session_key(&event.tenant, &event.session);
        engine.sessions.get(session_key)?;
        let spare = &mut self.0;
        spare.program.clone_from(&engine.program);
        spare.settings = engine.settings;
        spare.shard.clone_from(&engine.shard);
        self.clear();
        self.borrow(engine, event, session_key, now);
        Some(self.happen(event, now))
    }

    fn clear(&mut self) {
        let spare = &mut self.0;
        spare.memory = Memory::new(&spare.program);
        spare.sessions = Keyed::new(SESSION_IDLE, SESSIONS_PER_SHARD_MAX);
        spare.hints = Keyed::new(DEFINITION_IDLE, DEFINITION_KEYS_MAX);
        spare.halts.clear();
        spare.watermark = Millis(i64::MIN);
    }

    /// Copies all that the event touches.
    fn borrow(&mut self, engine: &Engine, event: &Event<'_>, session_key: u128, now: Millis) {
        let spare = &mut self.0;
        engine.sessions.copy(session_key, &mut spare.sessions);
        spare.halts.extend(engine.halts.get(&session_key).map(|halt| (session_key, halt.clone())));
        if let Some(tool) = &event.tool {
            for server in [tool.server.as_deref().unwrap_or_default(), ""] {
                engine.hints.copy(engine.tool_key(&event.tenant, server, &tool.name), &mut spare.hints);
            }
        }
        let leaves = Leaves::of(event);
        let origin = engine.origin(NOW);
        let context = engine.context((event, session_key, now), &leaves, origin, String::new());
        for (n, rule) in engine.program.memories() {
            for key in keys(engine.settings.hash_key, &rule.id, &rule.check, &context, &leaves) {
                engine.memory.copy(n, key, &mut spare.memory);
            }
        }
    }

    fn happen(&mut self, event: &Event<'_>, now: Millis) -> Vec<Finding> {
        let mut effects = Vec::new();
        self.0.step(At { append: Some(now), ..NOW }, Input::Event { event, digest: 0 }, &mut effects);
        let findings = effects.into_iter().filter_map(|effect| match effect {
            Effect::Finding(finding) => Some(finding),
            Effect::Halt(_) => None,
        });
        findings.collect()
    }
}

/// After everything that has happened.
const NOW: At = At { offset: i64::MAX, append: None, silent: false };

/// The keys under which a rule may know something about an event.
fn keys(hash_key: HashKey, rule: &str, check: &Check, context: &Context<'_>, leaves: &Leaves<'_>) -> Vec<u128> {
    let (group_by, peers): (&[GroupBy], &[GroupBy]) = match check {
        Check::Rate(check) => (&check.group_by, &[]),
        Check::Spike(check) => (&check.group_by, &check.peers),
        Check::Repeat(check) => (&check.group_by, &[]),
        Check::Sequence(check) => (&check.group_by, &[]),
        Check::Flow(check) => (&check.group_by, &[]),
        Check::Score(_) => return vec![context.session_key],
        // Definitions of tools are not asked about before they are offered.
        Check::Tools | Check::Match(_) | Check::Classify(_) | Check::Scope(_) => return Vec::new(),
    };
    let mut groups = Group::counted(group_by, context, leaves);
    if !peers.is_empty() {
        groups.extend(Group::one(peers, context, leaves));
    }
    groups.iter().map(|group| group.key(hash_key, rule)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::parse;
    use crate::rules::{SourceFile, load};

    const RULE: &str = r#"
schema = 1
id = "refund-rate"
title = "Many refunds"
description = "More refunds of one session in a minute than anybody makes by hand."
severity = "high"
action = "deny"
tags = ["owasp.llm06"]

[when]
kind = "tool_call"

[rate]
group_by = "session"
window = "1m"
count_at_least = 3
"#;

    const REFUND: &[u8] = br#"{"v":1,"session":"s","kind":"tool_call","tool":{"name":"refund","args":{"order":1}}}"#;

    fn engine() -> Engine {
        let file = SourceFile { name: "refund-rate.toml".into(), text: RULE.into(), layer: 0 };
        let rules = load(&[file]).unwrap_or_else(|errors| panic!("{errors}"));
        let program = Arc::new(Program::new(Arc::new(rules)).expect("compiles"));
        let settings = Settings { shadow: false, hash_key: HashKey::COMMON };
        Engine::new(ShardId { topic: "t".into(), partition: 0 }, program, settings)
    }

    fn refund(engine: &mut Engine, second: i64) -> usize {
        let parsed = parse(REFUND).expect("an event");
        let at = At { offset: second, append: Some(Millis(second * 1_000)), silent: false };
        let mut effects = Vec::new();
        engine.step(at, Input::Event { event: &parsed.event, digest: 0 }, &mut effects);
        effects.len()
    }

    #[test]
    fn a_question_sees_the_windows_and_changes_nothing() {
        let mut engine = engine();
        let mut spare = WhatIf::new(engine.program.clone(), engine.settings);
        let asked = parse(REFUND).expect("an event");
        let mut rules = |engine: &Engine, second: i64| {
            let found = spare.ask(engine, &asked.event, Millis(second * 1_000));
            found.map(|found| found.iter().map(|finding| finding.rule.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(rules(&engine, 1), None, "nobody knows the session");
        assert_eq!((refund(&mut engine, 1), refund(&mut engine, 2)), (0, 0));
        let before = format!("{engine:?}");
        for _ in 0..3 {
            assert_eq!(rules(&engine, 3), Some(vec!["refund-rate".to_owned()]));
        }
        assert_eq!(format!("{engine:?}"), before);
        assert_eq!(rules(&engine, 100), Some(vec![]), "the window has passed");
        assert_eq!(refund(&mut engine, 3), 1, "and then it happens");
        assert_eq!(refund(&mut engine, 4), 0, "told once");
        assert_eq!(rules(&engine, 5), Some(vec!["refund-rate".to_owned()]), "who asks is told each time");
        assert!(spare.alone(&asked.event, Millis(5_000)).is_empty(), "who knows nothing finds nothing");
    }
}
