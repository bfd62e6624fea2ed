//! `haltline token`: a new token, and what goes into the settings for it.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};

use crate::io::api::{self, Scope};

/// Make a token for the control API.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// Who it is given to.
    #[arg(long, default_value = "ops")]
    name: String,
    /// What it is good for; may be repeated.
    #[arg(long = "scope", value_enum, default_values_t = [ScopeArg::Read, ScopeArg::Halt])]
    scopes: Vec<ScopeArg>,
    /// The only tenant that it may ask about.
    #[arg(long)]
    tenant: Option<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeArg {
    Ingest,
    Gate,
    Read,
    Halt,
    Admin,
}

impl ScopeArg {
    fn scope(self) -> Scope {
        match self {
            Self::Ingest => Scope::Ingest,
            Self::Gate => Scope::Gate,
            Self::Read => Scope::Read,
            Self::Halt => Scope::Halt,
            Self::Admin => Scope::Admin,
        }
    }
}

pub(super) fn run(args: &TokenArgs) -> Result<ExitCode> {
    let token = api::new_token().map_err(|error| anyhow!("{error}"))?;
    let hash = api::token_hash(&token);
    let scopes: Vec<Scope> = args.scopes.iter().map(|scope| scope.scope()).collect();
    if args.json {
        let (name, tenant) = (&args.name, &args.tenant);
        println!(
            "{}",
            serde_json::json!({"token": token, "name": name, "hash": hash, "scopes": scopes, "tenant": tenant})
        );
        return Ok(ExitCode::SUCCESS);
    }
    println!("{token}\n\nShown once. The settings hold its digest only:\n");
    println!("[[http.tokens]]\nname = {}\nhash = \"{hash}\"", toml::Value::from(args.name.as_str()));
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    println!("scopes = {}", toml::Value::from(names));
    if let Some(tenant) = &args.tenant {
        println!("tenant = {}", toml::Value::from(tenant.as_str()));
    }
    Ok(ExitCode::SUCCESS)
}
