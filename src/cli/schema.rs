//! `haltline schema`

use std::process::ExitCode;

use clap::ValueEnum;

use crate::{event, rules};

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// The event that harnesses stream.
    Event,
    /// A rule file.
    Rule,
}

pub(super) fn run(what: What) -> ExitCode {
    let text = match what {
        What::Event => event::json_schema_text(),
        What::Rule => rules::json_schema_text(),
    };
    print!("{text}");
    ExitCode::SUCCESS
}
