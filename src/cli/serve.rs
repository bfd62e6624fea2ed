//! `haltline run`: the engine, until its source ends or it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArgs, SourceArg, logging, runtime};
use crate::app::{self, Hooks, Running, SourceKind};

/// Read events and halt sessions.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where events come from.
    #[arg(long, value_enum, default_value_t = SourceArg::Kafka)]
    source: SourceArg,
    /// The file to read, one event a line (with `--source file`).
    #[arg(long, value_name = "FILE", required_if_eq("source", "file"))]
    path: Option<PathBuf>,
    /// Act on nothing, only say what would have been done.
    #[arg(long)]
    shadow: bool,
}

pub(super) fn run(args: &RunArgs) -> Result<ExitCode> {
    let mut config = match args.config.load_or_say() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    config.rules.shadow |= args.shadow;
    logging::start(&config.log);
    let kind = match (args.source, &args.path) {
        (SourceArg::Kafka, _) => SourceKind::Kafka,
        (SourceArg::Http, _) => SourceKind::Http,
        (SourceArg::Stdin, _) => SourceKind::Stdin,
        (SourceArg::File, Some(path)) => SourceKind::File(path.clone()),
        (SourceArg::File, None) => return Err(anyhow!("--source file needs --path FILE")),
    };
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let mut running = app::start(config, kind, Hooks::default()).await?;
        tracing::info!("control API and console at {}://{}", running.scheme, running.address);
        let result = wait(&mut running).await;
        running.stop().await;
        result
    });
    // Standard input may still be waited for by a thread that cannot be called off.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// Until the source ends, something fails, or a signal asks for the end. A hang-up signal loads the
/// rules anew.
async fn wait(running: &mut Running) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            ended = running.ended() => {
                ended?;
                running.settle().await;
                tracing::info!("the source has ended");
                return Ok(());
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => running.reload_rules().await,
        }
    }
    tracing::info!("stopping: effects are made durable and offsets committed first");
    Ok(())
}
