//! `haltline train`: the classifier's weights, from the training corpus.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use super::corpora;
use super::generate::TemplateArgs;
use crate::classify::Lexicon;
use crate::classify::train::{Sample, Settings, targets, train};
use crate::corpus::Row;

/// Train the classifier.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    /// Further labelled rows (.jsonl, .jsonl.gz or folders) beside the project's own corpus. Only what its
    /// licence allows.
    files: Vec<PathBuf>,
    /// Files of these names are left out, such as `injecagent`; may be repeated.
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    /// Rows whose notes hold this are left out, such as a kind of attack that no text can show; may be
    /// repeated.
    #[arg(long, value_name = "TEXT")]
    leave_out_notes: Vec<String>,
    #[command(flatten)]
    templates: TemplateArgs,
    /// The lexicon.
    #[arg(long, default_value = "rules/model/lexicon.txt")]
    lexicon: PathBuf,
    /// Where to write the weights.
    #[arg(long, default_value = "rules/model/weights.bin")]
    out: PathBuf,
    /// Passes over all texts.
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: usize,
}

/// Texts of one source and label that count in full; where there are more, each counts less.
const FULL_ROWS: f32 = 120.0;

pub(super) fn run(args: &TrainArgs) -> Result<ExitCode> {
    let mut rows = args.templates.rows()?;
    let own = rows.len();
    if !args.files.is_empty() {
        for file in corpora::files(&args.files)? {
            if !args.leave_out.contains(&corpora::name(&file)) {
                rows.extend(corpora::read(&file)?);
            }
        }
    }
    rows.retain(|row| !args.leave_out_notes.iter().any(|text| row.notes.contains(text.as_str())));
    eprintln!("{own} texts of our own, {} from files", rows.len() - own);
    let text =
        std::fs::read_to_string(&args.lexicon).with_context(|| format!("cannot read {}", args.lexicon.display()))?;
    let lexicon = Lexicon::parse(&text).map_err(|error| anyhow!("{}: {error}", args.lexicon.display()))?;
    let settings = Settings { epochs: args.epochs, ..Settings::default() };
    let progress = |epoch, loss| eprintln!("pass {}: loss {loss:.4}", epoch + 1);
    let model = train(lexicon, &samples(&rows), settings, progress);
    let bytes = model.to_bytes();
    std::fs::write(&args.out, &bytes).with_context(|| format!("cannot write {}", args.out.display()))?;
    eprintln!("{}: {} bytes", args.out.display(), bytes.len());
    Ok(ExitCode::SUCCESS)
}

/// Rows as samples: each source, family and label counts about as much as any other, however many rows
/// it has.
fn samples(rows: &[Row]) -> Vec<Sample> {
    let key = |row: &Row| (row.source.clone(), row.notes.clone(), row.label.clone());
    let mut sizes: BTreeMap<_, usize> = BTreeMap::new();
    for row in rows {
        *sizes.entry(key(row)).or_default() += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of rows")]
    let weight = |row: &Row| (FULL_ROWS / sizes.get(&key(row)).map_or(1.0, |size| *size as f32)).min(1.0);
    let wanted = rows.iter().filter(|row| !row.label.starts_with("exfil"));
    wanted
        .map(|row| Sample { text: row.text.clone(), targets: targets(&row.label, &row.direction), weight: weight(row) })
        .collect()
}
