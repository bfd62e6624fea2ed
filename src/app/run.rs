//! Starting everything in the order in which it may be believed, and ending it in reverse.
//!
//! The API answers at once, but says that it is not ready until the halts are known. Events are read
//! only after that: an engine that does not know the halts would halt again what was released.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::unbounded;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::SourceKind;
use super::rules::load_rules;
use super::sources::{Sources, bring_up};
use crate::config::Config;
use crate::engine::{HashKey, Program, Settings};
use crate::finding::{Finding, Mode};
use crate::io::api::{self, Api};
use crate::io::fleet::Fleet;
use crate::io::halts::HaltView;
use crate::io::ingest::Ingest;
use crate::io::kafka::{KafkaLedger, KafkaOutbox, KafkaSettings};
use crate::io::ledger::Ledger;
use crate::io::local::{LocalLedger, LocalOutbox};
use crate::io::metrics::Metrics;
use crate::io::orders::Orders;
use crate::io::outbox::Outbox;
use crate::io::ready::Readiness;
use crate::io::recent::Recent;
use crate::io::webhook::{self, Delivered, Endpoint};
use crate::shard::HaltNotice;
use crate::worker::Shared;

/// The condition for readiness: the halts are known.
pub(super) const HALTS_KNOWN: &str = "halts";
/// How long the end waits for the API's last answers.
const SERVE_DEADLINE: Duration = Duration::from_secs(3);

/// How long webhooks are waited for when a source has ended, in steps.
const SETTLE_STEP: Duration = Duration::from_millis(250);
const SETTLE_STEPS: usize = 20;

/// Who wants to be told of what happens, besides the ledger.
#[derive(Default)]
pub struct Hooks {
    /// Each halt of a rule, when it is durable.
    pub halted: Option<mpsc::UnboundedSender<HaltNotice>>,
    /// Each finding, when it is durable.
    pub found: Option<mpsc::UnboundedSender<Finding>>,
    /// Each webhook, when it is delivered.
    pub delivered: Option<mpsc::UnboundedSender<Delivered>>,
}

/// A running engine.
pub struct Running {
    /// Where the API listens.
    pub address: SocketAddr,
    /// Its metrics.
    pub metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    ended: mpsc::UnboundedReceiver<Result<(), String>>,
    source: JoinHandle<()>,
    webhooks: Vec<JoinHandle<()>>,
    stop_tasks: watch::Sender<bool>,
    serve: JoinHandle<()>,
    ledger: Ledger,
    program: watch::Sender<Arc<Program>>,
    fleet: Fleet,
    rule_paths: Vec<std::path::PathBuf>,
    shadow: bool,
}

/// Starts everything.
///
/// # Errors
/// When the settings, the rules, the address or the ledger file are no good; says which and what to do.
pub async fn start(config: Config, kind: SourceKind, hooks: Hooks) -> Result<Running> {
    let program = load_rules(&config.rules.paths).map_err(|errors| anyhow!("{errors}"))?;
    let endpoints = webhook::endpoints(&config.webhooks).map_err(|error| anyhow!("{error}"))?;
    let kafka = (kind == SourceKind::Kafka).then(|| config.kafka.clone().resolve()).transpose();
    let kafka = kafka.map_err(|error| anyhow!("{error}"))?;
    let listener = api::bind(config.http.listen).await?;
    let address = listener.local_addr().context("the address just bound")?;
    let metrics = Arc::new(Metrics::new().context("the metrics")?);
    note_rules(&metrics, &program, config.rules.shadow);
    let ledger = open_ledger(&config, kafka.as_ref())?;
    let workers = worker_count(kafka.as_ref());
    let queues: Vec<_> = (0..workers).map(|_| unbounded()).collect();
    let fleet = Fleet::new(queues.iter().map(|(to, _)| to.clone()).collect());
    let shared = Arc::new(Shared {
        ledger: ledger.clone(),
        halts: Arc::new(HaltView::default()),
        metrics: metrics.clone(),
        recent: Arc::new(Recent::default()),
        fleet: fleet.clone(),
        settings: Settings { shadow: config.rules.shadow, hash_key: random_key()? },
        halted: hooks.halted,
        found: hooks.found,
    });
    let (program_in, program_out) = watch::channel(program);
    let (stop_tasks, stopping) = watch::channel(false);
    let (ended_in, ended) = mpsc::unbounded_channel();
    let ready = Arc::new(Readiness::new(&[HALTS_KNOWN]));
    let stop = Arc::new(AtomicBool::new(false));
    let api = api(&kind, kafka.as_ref(), &shared, ready.clone(), program_out.clone());
    let serve = tokio::spawn(serve(listener, api, stopping.clone()));
    let sources =
        Sources { kind, kafka: kafka.clone(), shared, queues, program: program_out, stop: stop.clone(), ready };
    let source = tokio::spawn(bring_up(sources, ended_in));
    let deps = webhook::Deps { metrics: metrics.clone(), ledger: ledger.clone(), told: hooks.delivered };
    let webhooks = start_webhooks(endpoints, kafka, &ledger, &deps, &stopping)?;
    let (rule_paths, shadow) = (config.rules.paths, config.rules.shadow);
    Ok(Running {
        address,
        metrics,
        stop,
        ended,
        source,
        webhooks,
        stop_tasks,
        serve,
        ledger,
        program: program_in,
        fleet,
        rule_paths,
        shadow,
    })
}

impl Running {
    /// Waits until the source has come to its end, or something happened that cannot go on.
    ///
    /// # Errors
    /// What cannot go on, and why.
    pub async fn ended(&mut self) -> Result<()> {
        match self.ended.recv().await {
            Some(Ok(())) | None => Ok(()),
            Some(Err(error)) => Err(anyhow!("{error}")),
        }
    }

    /// Loads the rules anew and swaps them in between two events; on any error the old ones stay.
    pub fn reload_rules(&self) {
        match load_rules(&self.rule_paths) {
            Ok(program) => {
                tracing::info!(rules = program.rules().rules.len(), hash = %program.rules().hash, "rules loaded");
                note_rules(&self.metrics, &program, self.shadow);
                self.fleet.replace_rules(&program);
                self.program.send_replace(program);
                self.metrics.rules_reload.with_label_values(&["success"]).inc();
            }
            Err(errors) => {
                tracing::error!("the new rules are not taken, the old ones stay:\n{errors}");
                self.metrics.rules_reload.with_label_values(&["failure"]).inc();
            }
        }
    }

    /// Gives webhooks of a source that has ended a moment to be delivered.
    pub async fn settle(&self) {
        for _ in 0..SETTLE_STEPS {
            tokio::time::sleep(SETTLE_STEP).await;
            if self.metrics.webhooks_pending() == 0 {
                return;
            }
        }
        tracing::warn!("some webhooks are not delivered yet; the next start goes on with them");
    }

    /// Ends in order: no new records, effects durable, offsets committed, webhooks noted.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.source.await;
        self.stop_tasks.send_replace(true);
        for webhook in self.webhooks {
            let _ = webhook.await;
        }
        let _ = tokio::time::timeout(SERVE_DEADLINE, self.serve).await;
        match self.ledger {
            Ledger::Kafka(ledger) => tokio::task::block_in_place(|| ledger.flush(Duration::from_secs(5))),
            Ledger::Local(ledger) => ledger.flush().await,
        }
    }
}

fn open_ledger(config: &Config, kafka: Option<&KafkaSettings>) -> Result<Ledger> {
    let ledger = match kafka {
        Some(settings) => KafkaLedger::new(settings).map(|ledger| Ledger::Kafka(Arc::new(ledger))),
        None => LocalLedger::open(&config.ledger.path).map(Ledger::Local),
    };
    ledger.map_err(|error| anyhow!("{error}"))
}

fn worker_count(kafka: Option<&KafkaSettings>) -> usize {
    match kafka {
        // A source that is not Kafka has one partition.
        None => 1,
        Some(settings) if settings.workers > 0 => settings.workers,
        Some(_) => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
    }
}

fn random_key() -> Result<HashKey> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(HashKey(key))
}

fn note_rules(metrics: &Metrics, program: &Program, shadow: bool) {
    metrics.rules.set(i64::try_from(program.rules().rules.len()).unwrap_or(i64::MAX));
    metrics.rules_patterns.set(i64::try_from(program.patterns()).unwrap_or(i64::MAX));
    // A counter that first shows itself at 1 has not increased, for Prometheus: begin each at 0.
    for rule in &program.rules().rules {
        metrics.halts.with_label_values(&[&*rule.id]);
        let mode = if shadow { Mode::Shadow } else { rule.mode };
        metrics.findings.with_label_values(&[&*rule.id, rule.severity.as_str(), rule.action.as_str(), mode.as_str()]);
    }
}

fn api(
    kind: &SourceKind,
    kafka: Option<&KafkaSettings>,
    shared: &Arc<Shared>,
    ready: Arc<Readiness>,
    program: watch::Receiver<Arc<Program>>,
) -> Arc<Api> {
    let ingest = match (&shared.ledger, kind, kafka.and_then(|kafka| kafka.topics.first())) {
        (Ledger::Kafka(ledger), _, Some(topic)) => Ingest::Kafka(ledger.clone(), Arc::from(topic.as_str())),
        (Ledger::Local(ledger), SourceKind::Http, _) => Ingest::Local(ledger.clone()),
        _ => Ingest::Closed,
    };
    let (ledger, halts, fleet, metrics) =
        (shared.ledger.clone(), shared.halts.clone(), shared.fleet.clone(), shared.metrics.clone());
    Arc::new(Api {
        orders: Orders::new(ledger, halts.clone(), fleet.clone(), metrics.clone()),
        halts,
        fleet,
        metrics,
        recent: shared.recent.clone(),
        ingest,
        ready,
        program,
    })
}

async fn serve(listener: tokio::net::TcpListener, api: Arc<Api>, mut stopping: watch::Receiver<bool>) {
    let shutdown = async move { drop(stopping.wait_for(|stop| *stop).await) };
    if let Err(error) = api::serve(listener, api::router(api), shutdown).await {
        tracing::error!(%error, "the control API has ended");
    }
}

fn start_webhooks(
    endpoints: Vec<Endpoint>,
    kafka: Option<KafkaSettings>,
    ledger: &Ledger,
    deps: &webhook::Deps,
    stopping: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>> {
    let mut tasks = Vec::new();
    for endpoint in endpoints {
        let (ledger, deps, stopping, kafka) = (ledger.clone(), deps.clone(), stopping.clone(), kafka.clone());
        let outbox = match (&ledger, &kafka) {
            (Ledger::Local(ledger), _) => LocalOutbox::open(ledger.clone(), endpoint.name()).map(Outbox::Local),
            (Ledger::Kafka(_), Some(settings)) => KafkaOutbox::open(settings, endpoint.name()).map(Outbox::Kafka),
            (Ledger::Kafka(_), None) => Err("a Kafka ledger without Kafka settings".to_owned()),
        };
        let outbox = outbox.map_err(|error| anyhow!("{error}"))?;
        tasks.push(tokio::spawn(webhook::run(endpoint, outbox, deps, stopping)));
    }
    Ok(tasks)
}
