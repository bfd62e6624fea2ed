//! `haltline check`: are settings and rules good, without starting anything?

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{ConfigArgs, EXIT_CONFIG};
use crate::app::load_rules;
use crate::io::webhook;

/// Check settings and rules without starting anything.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Answer as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was found to be in order.
struct Good {
    rules: usize,
    patterns: usize,
    hash: String,
    webhooks: usize,
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    match (check(&args.config), args.json) {
        (Ok(good), false) => {
            let Good { rules, patterns, hash, webhooks } = good;
            println!("ok: {rules} rules with {patterns} phrases and keywords, {webhooks} webhooks, rule set {hash}");
            ExitCode::SUCCESS
        }
        (Ok(good), true) => {
            let Good { rules, patterns, hash, webhooks } = good;
            println!(
                "{}",
                json!({"ok": true, "rules": rules, "patterns": patterns, "webhooks": webhooks, "hash": hash})
            );
            ExitCode::SUCCESS
        }
        (Err(errors), false) => {
            eprintln!("{errors}");
            ExitCode::from(EXIT_CONFIG)
        }
        (Err(errors), true) => {
            println!("{}", json!({"ok": false, "errors": errors.lines().collect::<Vec<_>>()}));
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn check(args: &ConfigArgs) -> Result<Good, String> {
    let config = args.load().map_err(|error| error.to_string())?;
    let endpoints = webhook::endpoints(&config.webhooks).map_err(|error| error.to_string())?;
    let program = load_rules(&config.rules.paths)?;
    Ok(Good {
        rules: program.rules().rules.len(),
        patterns: program.patterns(),
        hash: program.rules().hash.to_string(),
        webhooks: endpoints.len(),
    })
}
