//! The rules in force, and how others come into force: read, checked and compiled beside the old ones, swapped in
//! between two events, or kept out whole on any error.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::fleet::Fleet;
use super::metrics::Metrics;
use super::rule_files;
use crate::engine::Program;
use crate::finding::Mode;
use crate::rules::{SourceFile, load};

/// The word that stands for the built-in packs in a list of paths.
const BUILT_IN: &str = "builtin";

/// Loads and compiles the rules under these paths; the built-in packs where there are none.
///
/// # Errors
/// Every error of every file, each with its place; nothing is loaded then.
pub fn load_rules(paths: &[PathBuf]) -> Result<Arc<Program>, String> {
    compile(&source_files(paths)?)
}

/// Compiles rule files.
///
/// # Errors
/// Every error of every file, each with its place.
pub fn compile(files: &[SourceFile]) -> Result<Arc<Program>, String> {
    let rules = load(files).map_err(|errors| errors.to_string())?;
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

/// The rules in force, and where they come from.
pub struct Rulebook {
    paths: Vec<PathBuf>,
    shadow: bool,
    program: watch::Sender<Arc<Program>>,
    fleet: Fleet,
    metrics: Arc<Metrics>,
    /// Of two that load at once, the later one must not be overtaken.
    one_at_a_time: Mutex<()>,
}

impl Rulebook {
    /// These rules, loaded from these paths.
    #[must_use]
    pub fn new(
        program: Arc<Program>,
        (paths, shadow): (Vec<PathBuf>, bool),
        fleet: Fleet,
        metrics: Arc<Metrics>,
    ) -> Self {
        note_rules(&metrics, &program, shadow);
        Self { paths, shadow, program: watch::channel(program).0, fleet, metrics, one_at_a_time: Mutex::new(()) }
    }

    /// The rules in force.
    #[must_use]
    pub fn program(&self) -> Arc<Program> {
        self.program.borrow().clone()
    }

    /// The files behind them, as they are now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn files(&self) -> Result<Vec<SourceFile>, String> {
        source_files(&self.paths)
    }

    /// Told of new rules.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Program>> {
        self.program.subscribe()
    }

    /// Loads the rules anew. Blocks for as long as they take to compile.
    ///
    /// # Errors
    /// Every error of every file; the old rules stay.
    pub fn reload(&self) -> Result<Arc<Program>, String> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        match load_rules(&self.paths) {
            Ok(program) => {
                tracing::info!(rules = program.rules().rules.len(), hash = %program.rules().hash, "rules loaded");
                note_rules(&self.metrics, &program, self.shadow);
                self.fleet.replace_rules(&program);
                self.program.send_replace(program.clone());
                self.metrics.rules_reload.with_label_values(&["success"]).inc();
                Ok(program)
            }
            Err(errors) => {
                tracing::error!("the new rules are not taken, the old ones stay:\n{errors}");
                self.metrics.rules_reload.with_label_values(&["failure"]).inc();
                Err(errors)
            }
        }
    }
}

fn note_rules(metrics: &Metrics, program: &Program, shadow: bool) {
    metrics.rules.set(i64::try_from(program.rules().rules.len()).unwrap_or(i64::MAX));
    metrics.rules_patterns.set(i64::try_from(program.patterns()).unwrap_or(i64::MAX));
    // A counter that first shows itself at 1 has not increased, for Prometheus: begin each at 0.
    for rule in &program.rules().rules {
        metrics.halts.with_label_values(&[&*rule.id]);
        let mode = if shadow { Mode::Shadow } else { rule.mode };
        metrics.findings.with_label_values(&[&*rule.id, rule.severity.as_str(), rule.action.as_str(), mode.as_str()]);
    }
}
