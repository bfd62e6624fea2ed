//! Reading labelled corpora: one JSON object a line, plain or gzipped.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::read::MultiGzDecoder;

use crate::corpus::Row;

/// The rows of a file, which may end in `.gz`; `-` is standard input.
///
/// # Errors
/// When it cannot be read or a line is no row; says which line and what was expected.
pub(super) fn read(path: &Path) -> Result<Vec<Row>> {
    let open = || File::open(path).with_context(|| format!("cannot read {}", path.display()));
    let reader: Box<dyn Read> = match path.extension() {
        _ if path == Path::new("-") => Box::new(std::io::stdin()),
        Some(extension) if extension == "gz" => Box::new(MultiGzDecoder::new(open()?)),
        _ => Box::new(open()?),
    };
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(reader).lines()) {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let row = serde_json::from_str::<Row>(&line).map_err(|error| {
            anyhow::anyhow!(
                "{}:{number}: expected an object with `id`, `source`, `label`, `direction`, `text`: {error}",
                path.display()
            )
        })?;
        rows.push(row);
    }
    Ok(rows)
}

/// The corpus files that arguments name: files as they are, of folders every `.jsonl` and `.jsonl.gz`.
///
/// # Errors
/// When a folder cannot be read or there is no file at all.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut inside: Vec<PathBuf> = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        inside.retain(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")
        });
        inside.sort();
        found.extend(inside);
    }
    if found.is_empty() {
        bail!("expected at least one file of rows (.jsonl or .jsonl.gz)");
    }
    Ok(found)
}

/// Name of a corpus: its file's name up to the first dot.
pub(super) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}
