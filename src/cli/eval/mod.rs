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
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{ConfigArgs, EXIT_CONFIG, corpora};
use crate::app::load_rules;
use crate::engine::Program;
use crate::rules::{Check, Rule, RuleSet};
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
    /// Leave a part out, to see what it is worth; may be repeated.
    #[arg(long, value_name = "PART")]
    without: Vec<Part>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Answer as one JSON object.
    #[arg(long)]
    json: bool,
}

/// A part that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Phrases and patterns, with all that they check.
    Patterns,
    /// The classifier, also where it has a say in a pattern's hit.
    Classifier,
    /// Everything that is decoded; characters are still folded.
    Decoding,
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
    let program = ablated(&program, &args.without).map_err(|error| anyhow!(error))?;
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

/// The program without some parts.
fn ablated(program: &Arc<Program>, without: &[Part]) -> Result<Arc<Program>, String> {
    if without.is_empty() {
        return Ok(program.clone());
    }
    let leaves_out = |part| without.contains(&part);
    let mut rules: Vec<Rule> = program.rules().rules.clone();
    rules.retain(|rule| match rule.check {
        Check::Match(_) => !leaves_out(Part::Patterns),
        Check::Classify(_) => !leaves_out(Part::Classifier),
        _ => true,
    });
    for rule in &mut rules {
        if let Check::Match(check) = &mut rule.check {
            check.score_min = check.score_min.filter(|_| !leaves_out(Part::Classifier));
        }
    }
    let mut program = Program::new(Arc::new(RuleSet { rules, hash: program.rules().hash.clone() }))?;
    program.set_decoding(!leaves_out(Part::Decoding));
    Ok(Arc::new(program))
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
