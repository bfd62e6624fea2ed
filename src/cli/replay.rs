//! `haltline replay`: recorded events → one decision a line, the same bytes from run to run.

use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::records::RecordArgs;
use super::{ConfigArgs, EXIT_CONFIG};
use crate::app::load_rules;
use crate::io::replay::Replay;

/// Play recorded events through the rules.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    records: RecordArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Every rule only says what it would have done.
    #[arg(long)]
    shadow: bool,
    /// Only decisions other than `allow`.
    #[arg(long)]
    changes: bool,
    /// No decisions at all, only the summary.
    #[arg(long)]
    quiet: bool,
    /// Close with one JSON object: events, findings, halted sessions, dead letters.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let loaded = args.config.load().map_err(|error| error.to_string());
    let loaded = loaded.and_then(|config| Ok((load_rules(&config.rules.paths)?, config.rules.shadow)));
    let (program, shadow) = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let mut replay = Replay::new(program, shadow || args.shadow);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let (mut events, mut findings, mut dead_letters) = (0_u64, 0_u64, 0_u64);
    args.records.each(&args.config, &mut |record| {
        let decision = replay.feed(record);
        match decision.dead_letter {
            Some(_) => dead_letters += 1,
            None => events += 1,
        }
        findings += decision.findings.len() as u64;
        if !args.quiet && (!args.changes || decision.verdict.is_some()) {
            writeln!(out, "{}", decision.line())?;
        }
        Ok(())
    })?;
    let halted: Vec<&str> = replay.halted().iter().map(|(_, session)| session.as_str()).collect();
    if args.json {
        let summary = json!({
            "events": events, "findings": findings, "halted": halted, "dead_letters": dead_letters,
        });
        writeln!(out, "{summary}")?;
    }
    out.flush()?;
    if !args.json {
        eprintln!(
            "{events} events, {findings} findings, {} sessions halted, {dead_letters} dead letters",
            halted.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}
