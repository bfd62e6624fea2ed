//! `haltline demo`: everything in one process, on a real Kafka protocol.
//!
//! An in-process broker of the client library takes the place of a cluster; all else is the program
//! itself: recorded sessions are produced to a topic, read by the consumer group, halted through the
//! ledger, told to a receiver of signed webhooks. Only the broker keeps nothing on disk.

mod broker;
mod player;
mod receiver;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{logging, runtime};
use crate::app::{self, Hooks, Running, SourceKind};
use crate::config::{Config, LogSettings};
use crate::finding::Finding;
use crate::io::webhook::Delivered;
use crate::shard::HaltNotice;

use broker::Broker;
use player::Player;
use receiver::Receiver;
use story::Story;

/// How long `--once` waits for the last effects.
const DEADLINE: Duration = Duration::from_secs(60);

/// Show it at work.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Play the sessions as fast as possible and end.
    #[arg(long)]
    once: bool,
    /// With --once: print one JSON object in place of the story.
    #[arg(long, requires = "once")]
    json: bool,
    /// Where the control API and the console listen; a free port where this one is taken.
    #[arg(long, default_value = "127.0.0.1:8088", value_name = "ADDRESS")]
    listen: std::net::SocketAddr,
}

/// What happens, as it happens.
struct Feed {
    halted: UnboundedReceiver<HaltNotice>,
    found: UnboundedReceiver<Finding>,
    delivered: UnboundedReceiver<Delivered>,
}

/// What has happened.
#[derive(Default)]
struct Seen {
    findings: usize,
    halts: Vec<HaltNotice>,
    delivered: usize,
}

pub(super) fn run(args: &DemoArgs) -> Result<ExitCode> {
    logging::start(&LogSettings { level: "error".to_owned(), json: false });
    let runtime = runtime()?;
    let result = runtime.block_on(demo(args));
    runtime.shutdown_background();
    result
}

async fn demo(args: &DemoArgs) -> Result<ExitCode> {
    let broker = Broker::start()?;
    let receiver = Receiver::start().await?;
    let config = config(args, &broker, &receiver)?;
    let (halted_in, halted) = unbounded_channel();
    let (found_in, found) = unbounded_channel();
    let (delivered_in, delivered) = unbounded_channel();
    let hooks = Hooks { halted: Some(halted_in), found: Some(found_in), delivered: Some(delivered_in) };
    let mut running = app::start(config, SourceKind::Kafka, hooks).await.context("the engine does not start")?;
    let mut feed = Feed { halted, found, delivered };
    let story = Story { silent: args.json };
    story.begin(&running, args.once);
    let player = Player::new(&broker)?;
    until_assigned(&mut running).await?;
    let seen = if args.once {
        player.play_at_once(&story).await?;
        settle(&mut running, &mut feed, &player, &receiver, &story).await?
    } else {
        watch(&mut running, &mut feed, &player, &story).await?
    };
    let summary = summary(&seen, &player, &receiver);
    if args.json {
        println!("{summary}");
    } else if args.once {
        story.end(&seen, &player);
    }
    running.stop().await;
    drop(broker);
    Ok(ExitCode::SUCCESS)
}

/// Waits until the consumer group has given out its partitions, so that the latencies that are shown
/// are those of a running engine and not of its start.
async fn until_assigned(running: &mut Running) -> Result<()> {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while running.metrics.shards.get() < i64::from(broker::PARTITIONS) {
        tokio::select! {
            ended = running.ended() => { ended?; bail!("the source has ended") }
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        if tokio::time::Instant::now() > deadline {
            bail!("the in-process Kafka gave no partitions within {DEADLINE:?}");
        }
    }
    Ok(())
}

fn config(args: &DemoArgs, broker: &Broker, receiver: &Receiver) -> Result<Config> {
    let mut config = Config::default();
    config.kafka.brokers = broker.address();
    config.kafka.topics = vec![broker::TOPIC.to_owned()];
    // The in-process broker keeps a fetch until its time is over, where a real one answers at once.
    config.kafka.librdkafka.insert("fetch.wait.max.ms".to_owned(), "5".to_owned());
    config.webhooks = vec![receiver.endpoint()?];
    let is_free = std::net::TcpListener::bind(args.listen).is_ok();
    config.http.listen = args.listen;
    if args.once || !is_free {
        config.http.listen.set_port(0);
    }
    Ok(config)
}

/// Plays the sessions at a human pace, tells what happens, and stays until it is interrupted.
async fn watch(running: &mut Running, feed: &mut Feed, player: &Player, story: &Story) -> Result<Seen> {
    let mut seen = Seen::default();
    let play = player.play_slowly(story);
    tokio::pin!(play);
    let mut played = false;
    loop {
        tokio::select! {
            result = &mut play, if !played => {
                result?;
                played = true;
                // The last effects are still on their way.
                tokio::time::sleep(Duration::from_secs(2)).await;
                while seen.take_ready(feed, story) {}
                story.played(&seen, player, running);
            }
            () = seen.take(feed, story) => {}
            ended = running.ended() => { ended?; bail!("the source has ended") }
            _ = tokio::signal::ctrl_c() => return Ok(seen),
        }
    }
}

/// Waits until every event is read, every halt has its webhook, and nothing more comes.
async fn settle(
    running: &mut Running,
    feed: &mut Feed,
    player: &Player,
    receiver: &Receiver,
    story: &Story,
) -> Result<Seen> {
    let mut seen = Seen::default();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let quiet = tokio::select! {
            () = seen.take(feed, story) => false,
            ended = running.ended() => { ended?; bail!("the source has ended") }
            () = tokio::time::sleep(Duration::from_millis(300)) => true,
        };
        let all_read = running.metrics.events_read() >= player.events();
        let all_told = seen.delivered >= seen.halts.len() && receiver.verified() >= seen.halts.len();
        if quiet && all_read && all_told {
            return Ok(seen);
        }
        if tokio::time::Instant::now() > deadline {
            let (read, sent) = (running.metrics.events_read(), player.events());
            bail!(
                "after {DEADLINE:?}: {read} of {sent} events read, {} halts, {} webhooks",
                seen.halts.len(),
                seen.delivered
            );
        }
    }
}

impl Seen {
    /// Waits for one thing to happen.
    async fn take(&mut self, feed: &mut Feed, story: &Story) {
        tokio::select! {
            // A finding is told before the halt that follows from it.
            biased;
            Some(finding) = feed.found.recv() => self.finding(&finding, story),
            Some(notice) = feed.halted.recv() => self.halt(notice, story),
            Some(delivered) = feed.delivered.recv() => self.delivery(&delivered, story),
        }
    }

    /// Takes one thing that has happened already, if there is one.
    fn take_ready(&mut self, feed: &mut Feed, story: &Story) -> bool {
        if let Ok(finding) = feed.found.try_recv() {
            self.finding(&finding, story);
        } else if let Ok(notice) = feed.halted.try_recv() {
            self.halt(notice, story);
        } else if let Ok(delivered) = feed.delivered.try_recv() {
            self.delivery(&delivered, story);
        } else {
            return false;
        }
        true
    }

    fn finding(&mut self, finding: &Finding, story: &Story) {
        self.findings += 1;
        story.finding(finding);
    }

    fn halt(&mut self, notice: HaltNotice, story: &Story) {
        story.halt(&notice);
        self.halts.push(notice);
    }

    fn delivery(&mut self, delivered: &Delivered, story: &Story) {
        self.delivered += 1;
        story.delivery(delivered);
    }
}

fn summary(seen: &Seen, player: &Player, receiver: &Receiver) -> serde_json::Value {
    let halts: Vec<_> = seen
        .halts
        .iter()
        .map(|notice| {
            json!({
                "session": &*notice.record.session,
                "rule": notice.record.rule.as_deref(),
                "event_id": notice.record.event_id,
                "latency_ms": notice.latency_seconds.map(|seconds| (seconds * 1e3).round()),
            })
        })
        .collect();
    json!({
        "events": player.events(),
        "findings": seen.findings,
        "halts": halts,
        "webhooks_delivered": receiver.verified(),
        "benign_halted": seen.halts.iter().filter(|notice| player.is_benign(&notice.record.session)).count(),
    })
}
