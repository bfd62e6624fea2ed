//! `haltline eval`: how well the rules do on labelled corpora.
//!
//! Each row becomes one event of a session of its own, as a harness would have sent it, and goes
//! through the engine with the rules in force. It counts as flagged when any finding asks for `flag`
//! or more. The score, for the AUC and for choosing thresholds, is the strongest of what the findings
//! and the classifier say.

mod figures;
mod judge;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::{ConfigArgs, EXIT_CONFIG, corpora};
use crate::app::load_rules;
use figures::{Figures, Judged};
use judge::Judge;

/// Measure the rules on labelled corpora.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// Files of rows (.jsonl, .jsonl.gz; `-` is standard input) or folders of them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show so many of the worst misses of each source.
    #[arg(long, value_name = "N", default_missing_value = "10", num_args = 0..=1)]
    misses: Option<usize>,
    /// Write each row's id, score, whether it was flagged, and by which rule, as JSON lines.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Name sources after their rows' `source` field, not after the file.
    #[arg(long)]
    by_source: bool,
    /// Group by the rows' `notes` instead.
    #[arg(long)]
    by_notes: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// Answer as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &EvalArgs) -> Result<ExitCode> {
    let loaded = args.config.load().map_err(|error| error.to_string());
    let program = match loaded.and_then(|config| load_rules(&config.rules.paths)) {
        Ok(program) => program,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let mut judge = Judge::new(program);
    let mut judged: Vec<Judged> = Vec::new();
    for file in corpora::files(&args.files)? {
        for row in corpora::read(&file)? {
            let group = if args.by_notes {
                row.notes.clone()
            } else if args.by_source {
                row.source.clone()
            } else {
                corpora::name(&file)
            };
            judged.push(judge.judge(row, group));
        }
    }
    if let Some(path) = &args.scores {
        write_scores(path, &judged)?;
    }
    let figures = Figures::of(&judged);
    if args.json {
        println!("{}", figures.as_json());
    } else {
        print!("{figures}");
        if let Some(count) = args.misses {
            print!("{}", figures::misses(&judged, count));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_scores(path: &PathBuf, judged: &[Judged]) -> Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut out = std::io::BufWriter::new(file);
    for one in judged {
        let line = json!({
            "id": one.row.id, "source": one.group, "label": one.row.label, "score": one.score,
            "flagged": one.rule.is_some(), "rule": one.rule,
        });
        writeln!(out, "{line}")?;
    }
    out.flush().with_context(|| format!("cannot write {}", path.display()))
}
