//! Rule files → a program, or every error in them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::Program;
use crate::io::rule_files;
use crate::rules::{SourceFile, load};

/// The word that stands for the built-in packs in a list of paths.
const BUILT_IN: &str = "builtin";

/// Loads and compiles the rules under these paths; the built-in packs where there are none.
///
/// # Errors
/// Every error of every file, each with its place; nothing is loaded then.
pub fn load_rules(paths: &[PathBuf]) -> Result<Arc<Program>, String> {
    let files = source_files(paths)?;
    let rules = load(&files).map_err(|errors| errors.to_string())?;
    Program::new(Arc::new(rules)).map(Arc::new)
}

fn source_files(paths: &[PathBuf]) -> Result<Vec<SourceFile>, String> {
    if paths.is_empty() {
        return Ok(rule_files::built_in());
    }
    let mut files = Vec::new();
    for (layer, path) in paths.iter().enumerate() {
        let is_built_in = path.as_os_str() == BUILT_IN;
        let of_path = if is_built_in { rule_files::built_in() } else { rule_files::from_path(path)? };
        files.extend(of_path.into_iter().map(|file| SourceFile { layer, ..file }));
    }
    Ok(files)
}
