//! `haltline ctl audit`: the log of orders, listed by a running Haltline, or verified from where it is kept.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};

use crate::cli::ConfigArgs;
use crate::cli::records::RecordArgs;
use crate::io::audit::{Head, Report, read, verify as verify_log};
use crate::io::local::LocalLedger;

/// The audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The latest entries of a running Haltline.
    List,
    /// Check that no entry was edited, taken out, put in or moved. Exit code 1 if one was.
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    records: RecordArgs,
    /// An embedded ledger, which no process may have open, in place of files or a topic.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// An entry that must be there, CHAIN:SEQ:sha256:HEX, noted at an earlier verification; may be repeated.
    /// Only this shows that the end of the log was cut off.
    #[arg(long = "head", value_name = "HEAD", value_parser = head)]
    heads: Vec<Head>,
}

fn head(text: &str) -> Result<Head, String> {
    text.parse()
}

pub(super) fn verify(args: &VerifyArgs, json: bool) -> Result<ExitCode> {
    let mut log = Vec::new();
    let mut line = |bytes: &[u8]| {
        log.extend_from_slice(bytes.trim_ascii_end());
        log.push(b'\n');
    };
    match &args.ledger {
        Some(path) if !path.exists() => return Err(anyhow!("{}: expected a ledger file, found none", path.display())),
        Some(path) => {
            let ledger = LocalLedger::open(path).map_err(|error| anyhow!("{error}"))?;
            ledger.audit().map_err(|error| anyhow!("{error}"))?.iter().for_each(|row| line(row));
        }
        None => args.records.each(&args.config, &mut |record| {
            line(record.payload);
            Ok(())
        })?,
    }
    let report = verify_log(read(log.as_slice()), &args.heads);
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &Report) {
    for problem in &report.problems {
        println!("{}", super::visible(&problem.to_string()));
    }
    if report.problems_left_out > 0 {
        println!("and {} more", report.problems_left_out);
    }
    let repeats = if report.repeats > 0 { format!(", {} repeats", report.repeats) } else { String::new() };
    println!("{} entries in {} chains{repeats}; heads, to be noted elsewhere:", report.entries, report.chains);
    report.heads.iter().for_each(|head| println!("{head}"));
    println!("{}", if report.is_sound() { "sound" } else { "NOT SOUND" });
}
