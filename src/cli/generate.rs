//! `haltline generate`: labelled texts, made from a seed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};

use super::corpora;
use crate::corpus::{Amounts, Evasion, Grammar, Random, Row, compose};

/// Where the templates are, from the project's own folder.
const TEMPLATES: &str = "rules/model/corpus";

/// Make labelled texts from a seed.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The training corpus: every template expanded, instructions planted in carriers.
    Corpus {
        #[command(flatten)]
        templates: TemplateArgs,
    },
    /// Attacks hidden in every way there is: base64, zero-width, leetspeak… One source for each way.
    Evasions {
        /// Rows to hide (.jsonl, .jsonl.gz or a folder); those with an injection or jailbreak are taken. The
        /// training corpus where it is missing.
        files: Vec<PathBuf>,
        /// So many rows for each way, drawn at random.
        #[arg(long, default_value_t = 100)]
        per: usize,
        /// Longest text that is hidden, in bytes.
        #[arg(long, default_value_t = 600)]
        bytes_max: usize,
        #[command(flatten)]
        templates: TemplateArgs,
    },
}

/// How the templates are expanded.
#[derive(Debug, Args)]
pub(super) struct TemplateArgs {
    /// Folder of the templates.
    #[arg(long, default_value = TEMPLATES)]
    templates: PathBuf,
    /// Most texts of one template.
    #[arg(long, default_value_t = Amounts::default().per_template)]
    per_template: usize,
    /// Seed of all choices.
    #[arg(long, default_value_t = Amounts::default().seed)]
    seed: u64,
}

impl TemplateArgs {
    /// The rows that the templates give.
    ///
    /// # Errors
    /// When a file cannot be read or a template is broken; says where.
    pub(super) fn rows(&self) -> Result<Vec<Row>> {
        let amounts = Amounts { per_template: self.per_template, seed: self.seed, ..Amounts::default() };
        Ok(compose(&grammars(&self.templates)?, amounts))
    }
}

fn grammars(folder: &Path) -> Result<Vec<(String, Grammar)>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read templates in {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let grammar = Grammar::parse(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        Ok((corpora::name(file), grammar))
    };
    files.iter().map(read).collect()
}

pub(super) fn run(args: &GenerateArgs) -> Result<ExitCode> {
    let rows = match &args.what {
        What::Corpus { templates } => templates.rows()?,
        What::Evasions { files, per, bytes_max, templates } => {
            let attacks = attacks(files, templates, *bytes_max)?;
            evasions(&attacks, *per, templates.seed)
        }
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for row in rows {
        serde_json::to_writer(&mut out, &row)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn attacks(files: &[PathBuf], templates: &TemplateArgs, bytes_max: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if files.is_empty() {
        rows = templates.rows()?;
    } else {
        for file in corpora::files(files)? {
            rows.extend(corpora::read(&file)?);
        }
    }
    let is_attack = |row: &Row| matches!(row.label.as_str(), "injection" | "jailbreak");
    rows.retain(|row| is_attack(row) && row.text.len() <= bytes_max && row.text.len() >= 24);
    Ok(rows)
}

fn evasions(attacks: &[Row], per: usize, seed: u64) -> Vec<Row> {
    let mut random = Random::new(seed);
    let mut rows = Vec::new();
    for evasion in Evasion::ALL {
        for number in 0..per {
            let Some(attack) = random.pick(attacks) else { return rows };
            let text = evasion.hide(&attack.text, &mut random);
            let (id, source) = (format!("{}-{number}", evasion.name), format!("evasion:{}", evasion.name));
            rows.push(Row { id, source, text, notes: attack.id.clone(), ..attack.clone() });
        }
    }
    rows
}
