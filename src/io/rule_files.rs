//! Rule files from disk, or the packs that are built into the binary.

use std::path::{Path, PathBuf};

use crate::rules::SourceFile;

include!(concat!(env!("OUT_DIR"), "/packs.rs"));

/// The packs that are built in, as layer 0.
#[must_use]
pub fn built_in() -> Vec<SourceFile> {
    PACKS
        .iter()
        .map(|(name, text)| SourceFile { name: format!("built-in/{name}"), text: (*text).to_owned(), layer: 0 })
        .collect()
}

/// Every `*.toml` under a file or folder, in order of names, as layer 0.
///
/// # Errors
/// When the path cannot be read, or holds no rule file; says which.
pub fn from_path(path: &Path) -> Result<Vec<SourceFile>, String> {
    let mut found = Vec::new();
    collect(path, &mut found)?;
    if found.is_empty() {
        return Err(format!("{}: expected rule files (*.toml) in it, found none", path.display()));
    }
    found.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(SourceFile { name: file.display().to_string(), text, layer: 0 })
    };
    found.into_iter().map(read).collect()
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), String> {
    let named = |error: std::io::Error| format!("rules.paths: cannot read {}: {error}", path.display());
    if path.metadata().map_err(named)?.is_file() {
        into.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(named)? {
        let entry = entry.map_err(named)?.path();
        let is_rule_file = entry.extension().is_some_and(|extension| extension == "toml");
        let is_hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && (entry.is_dir() || is_rule_file) {
            collect(&entry, into)?;
        }
    }
    Ok(())
}
