//! The commands, one file each. Each prints for people, or with `--json` for programs.

mod backtest;
mod check;
mod corpora;
mod ctl;
mod demo;
mod eval;
mod generate;
mod hook;
mod logging;
mod records;
mod remote;
mod replay;
mod schema;
mod serve;
mod test;
mod token;
mod train;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigError};

/// Exit code for settings or rules that are wrong (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// Watches every turn of every AI agent as a stream, and halts the session that is turned against its
/// owner.
#[derive(Debug, Parser)]
#[command(name = "haltline", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show it at work: an in-process Kafka, recorded sessions, attacks halted as they happen.
    Demo(demo::DemoArgs),
    /// Read events and halt sessions.
    Run(serve::RunArgs),
    /// Check settings and rules without starting anything.
    Check(check::CheckArgs),
    /// Run the rules' own test cases.
    Test(test::TestArgs),
    /// Play recorded events through the rules: one decision an event, the same from run to run.
    Replay(replay::ReplayArgs),
    /// Play recorded events through two rule sets and name every decision that would change.
    Backtest(backtest::BacktestArgs),
    /// Measure the rules on labelled corpora: recall, false positives, AUC, by source.
    Eval(eval::EvalArgs),
    /// Make labelled texts: the training corpus, or attacks hidden in every way.
    Generate(generate::GenerateArgs),
    /// Train the classifier on the project's own corpus and on rows of yours.
    Train(train::TrainArgs),
    /// Ask a running Haltline as an agent's command hook.
    Hook(hook::HookArgs),
    /// Look at a running Haltline and give it orders; verify its audit log.
    Ctl(ctl::CtlArgs),
    /// Make a token for the control API.
    Token(token::TokenArgs),
    /// Print a JSON Schema.
    Schema {
        /// Of what.
        #[arg(value_enum, default_value_t = schema::What::Event)]
        what: schema::What,
    },
}

/// Where settings come from; the same for every command that has any.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// Settings file (TOML).
    #[arg(long, short, env = "HALTLINE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as kafka.brokers=localhost:9092; may be repeated. The environment works, too:
    /// HALTLINE__KAFKA__BROKERS=localhost:9092.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
    /// Rule file or folder in place of the built-in packs; may be repeated. `builtin` stands for those.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref(), std::env::vars(), &self.sets)?;
        if !self.rules.is_empty() {
            config.rules.paths.clone_from(&self.rules);
        }
        Ok(config)
    }

    /// The settings, or the exit code after saying what is wrong with them.
    fn load_or_say(&self) -> Result<Config, ExitCode> {
        self.load().map_err(|error| {
            eprintln!("haltline: {error}");
            ExitCode::from(EXIT_CONFIG)
        })
    }
}

/// Where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SourceArg {
    Kafka,
    Http,
    File,
    Stdin,
}

/// Runs one command.
///
/// # Errors
/// What went wrong, in words for the person at the keyboard.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => serve::run(&args),
        Command::Check(args) => Ok(check::run(&args)),
        Command::Test(args) => Ok(test::run(&args)),
        Command::Replay(args) => replay::run(&args),
        Command::Backtest(args) => backtest::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Hook(args) => Ok(hook::run(&args)),
        Command::Ctl(args) => ctl::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Schema { what } => Ok(schema::run(what)),
    }
}

/// The runtime of the commands that serve.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
