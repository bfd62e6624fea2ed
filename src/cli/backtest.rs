//! `haltline backtest`: recorded events through two rule sets; every decision that would change, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::records::RecordArgs;
use super::{ConfigArgs, EXIT_CONFIG};
use crate::app::load_rules;
use crate::finding::Action;
use crate::io::replay::{Decision, Replay};

/// The candidate is what `--rules` (or the settings) name; `--against` names what it is compared with.
#[derive(Debug, Args)]
pub(super) struct BacktestArgs {
    #[command(flatten)]
    records: RecordArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Rule file or folder to compare with; may be repeated. The built-in packs where it is missing;
    /// `builtin` stands for those.
    #[arg(long, value_name = "PATH")]
    against: Vec<PathBuf>,
    /// Answer with one JSON object at the end instead of text.
    #[arg(long)]
    json: bool,
}

/// What changed for one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changes {
    /// Findings that only the candidate has.
    new: u64,
    /// Findings that only the other has.
    gone: u64,
    /// Findings of both that ask for something else.
    changed: u64,
    /// Findings of both that ask for the same.
    same: u64,
}

pub(super) fn run(args: &BacktestArgs) -> Result<ExitCode> {
    let loaded = args.config.load().map_err(|error| error.to_string());
    let loaded = loaded.and_then(|config| Ok((load_rules(&config.rules.paths)?, load_rules(&args.against)?)));
    let (candidate, present) = match loaded {
        Ok(programs) => programs,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let mut sides = (Replay::new(present, false), Replay::new(candidate, false));
    let mut report = Report::default();
    let mut out = BufWriter::new(std::io::stdout().lock());
    args.records.each(&args.config, &mut |record| {
        let (was, now) = (sides.0.feed(record), sides.1.feed(record));
        report.events += 1;
        if report.compare(&was, &now) {
            report.changed += 1;
            writeln!(out, "{}", change_line(&was, &now))?;
        }
        Ok(())
    })?;
    report.close(&sides.0, &sides.1);
    if args.json {
        writeln!(out, "{}", report.json())?;
    } else {
        report.print(&mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What each rule asks for on an event.
fn actions(decision: &Decision) -> BTreeMap<&str, Action> {
    let mut actions = BTreeMap::new();
    for finding in &decision.findings {
        let action = actions.entry(finding.rule.as_ref()).or_insert(finding.action);
        *action = (*action).max(finding.action);
    }
    actions
}

fn change_line(was: &Decision, now: &Decision) -> serde_json::Value {
    let side = |decision: &Decision| {
        let rules: BTreeMap<&str, &str> =
            actions(decision).into_iter().map(|(rule, action)| (rule, action.as_str())).collect();
        json!({"verdict": decision.verdict(), "rules": rules})
    };
    let session = now.session.as_ref().map(|(_, session)| session);
    json!({"event_id": now.event_id, "session": session, "was": side(was), "now": side(now)})
}

#[derive(Debug, Default)]
struct Report {
    events: u64,
    changed: u64,
    rules: BTreeMap<String, Changes>,
    newly_halted: Vec<String>,
    no_longer_halted: Vec<String>,
}

impl Report {
    /// Counts one event; whether anything differs.
    fn compare(&mut self, was: &Decision, now: &Decision) -> bool {
        let (before, after) = (actions(was), actions(now));
        let rules: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        let mut differs = was.verdict != now.verdict;
        for rule in rules {
            let changes = self.rules.entry(rule.to_owned()).or_default();
            let count = match (before.get(rule), after.get(rule)) {
                (None, _) => &mut changes.new,
                (_, None) => &mut changes.gone,
                (Some(was), Some(now)) if was != now => &mut changes.changed,
                _ => {
                    changes.same += 1;
                    continue;
                }
            };
            *count += 1;
            differs = true;
        }
        differs
    }

    fn close(&mut self, was: &Replay, now: &Replay) {
        let only = |one: &Replay, other: &Replay| {
            let names = one.halted().difference(other.halted()).map(|(_, session)| session.clone());
            names.collect::<Vec<_>>()
        };
        self.newly_halted = only(now, was);
        self.no_longer_halted = only(was, now);
    }

    fn json(&self) -> serde_json::Value {
        let rules: BTreeMap<&str, serde_json::Value> = self
            .rules
            .iter()
            .map(|(rule, changes)| {
                let Changes { new, gone, changed, same } = changes;
                (rule.as_str(), json!({"new": new, "gone": gone, "changed": changed, "same": same}))
            })
            .collect();
        json!({
            "events": self.events, "changed": self.changed, "rules": rules,
            "newly_halted": self.newly_halted, "no_longer_halted": self.no_longer_halted,
        })
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "\n{} events, {} decisions would change", self.events, self.changed)?;
        for (rule, Changes { new, gone, changed, same }) in &self.rules {
            writeln!(out, "{rule:<40} {new:>6} new {gone:>6} gone {changed:>6} changed {same:>6} the same")?;
        }
        let named = [("newly halted", &self.newly_halted), ("no longer halted", &self.no_longer_halted)];
        named.iter().try_for_each(|(what, sessions)| writeln!(out, "{what}: {}", list(sessions)))
    }
}

fn list(sessions: &[String]) -> String {
    if sessions.is_empty() { "none".to_owned() } else { sessions.join(", ") }
}
