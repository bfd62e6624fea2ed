//! `haltline test`: the rules' own test cases.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{ConfigArgs, EXIT_CONFIG};
use crate::app::load_rules;
use crate::engine::{CaseFailure, run_cases};

/// Run the rules' own test cases.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Answer as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TestArgs) -> ExitCode {
    let loaded = args.config.load().map_err(|error| error.to_string());
    let program = match loaded.and_then(|config| load_rules(&config.rules.paths)) {
        Ok(program) => program,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let (total, failures) = run_cases(&program);
    if args.json {
        let failed: Vec<_> = failures.iter().map(as_json).collect();
        println!("{}", json!({"passed": total - failures.len(), "failed": failures.len(), "failures": failed}));
    } else {
        for CaseFailure { file, line, rule, case, message } in &failures {
            println!("{file}:{line}: rule `{rule}`, case `{case}`: {message}");
        }
        println!("{} passed, {} failed", total - failures.len(), failures.len());
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn as_json(failure: &CaseFailure) -> serde_json::Value {
    let CaseFailure { file, line, rule, case, message } = failure;
    json!({"file": file, "line": line, "rule": rule, "case": case, "message": message})
}
