//! The command line of Haltline: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use haltline::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("haltline: {error:#}");
            ExitCode::FAILURE
        }
    }
}
