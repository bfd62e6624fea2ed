//! `haltline schema`

use std::process::ExitCode;

use clap::ValueEnum;

use crate::io::api;
use crate::{event, rules};

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// The event that harnesses stream.
    Event,
    /// A rule file.
    Rule,
    /// The control API, as an OpenAPI description.
    Openapi,
}

pub(super) fn run(what: What) -> ExitCode {
    let text = match what {
        What::Event => event::json_schema_text(),
        What::Rule => rules::json_schema_text(),
        What::Openapi => api::description_text(),
    };
    print!("{text}");
    ExitCode::SUCCESS
}
