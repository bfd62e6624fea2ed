//! Starting everything in the order in which it may be believed, and ending it in reverse.
//!
//! The API answers at once, but says that it is not ready until the halts are known. Events are read
//! only after that: an engine that does not know the halts would halt again what was released.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use crossbeam_channel::unbounded;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::SourceKind;
use super::sources::{Sources, bring_up};
use crate::config::Config;
use crate::engine::{HashKey, Settings};
use crate::finding::Finding;
use crate::io::api::{self, Api, Parts};
use crate::io::audit::{self, AuditLog};
use crate::io::clock;
use crate::io::confirm::Confirmations;
use crate::io::credentials::Signer;
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
use crate::io::rulebook::{Rulebook, load_rules};
use crate::io::webhook::{self, ControlOutcome, Delivered, Desk, Endpoint};
use crate::shard::HaltNotice;
use crate::worker::{Queue, Shared};

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
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Its metrics.
    pub metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    ended: mpsc::UnboundedReceiver<Result<(), String>>,
    source: JoinHandle<()>,
    webhooks: Vec<JoinHandle<()>>,
    stop_tasks: watch::Sender<bool>,
    serve: JoinHandle<()>,
    ledger: Ledger,
    rules: Arc<Rulebook>,
    audit: Arc<AuditLog>,
}

/// Starts everything.
///
/// # Errors
/// When the settings, the rules, the address or the ledger file are no good; says which and what to do.
pub async fn start(config: Config, kind: SourceKind, hooks: Hooks) -> Result<Running> {
    let program = load_rules(&config.rules.paths).map_err(Error::msg)?;
    let endpoints = webhook::endpoints(&config.webhooks).map_err(|error| anyhow!("{error}"))?;
    let kafka = (kind == SourceKind::Kafka).then(|| config.kafka.clone().resolve()).transpose();
    let kafka = kafka.map_err(Error::msg)?;
    let guard = api::Guard::new(&config.http).map_err(Error::msg)?;
    let callback_secrets = config.gate.secrets().map_err(Error::msg)?;
    let listener = api::bind(&config.http).await?;
    let (address, scheme) = (listener.local_addr().context("the address just bound")?, listener.scheme());
    let ledger = open_ledger(&config, kafka.as_ref())?;
    let signer = Signer::open(&config.credentials)?;
    let metrics = Arc::new(Metrics::new().context("the metrics")?);
    let (fleet, queues) = fleet(worker_count(kafka.as_ref()));
    let (paths, shadow) = (config.rules.paths, config.rules.shadow);
    let rules = Arc::new(Rulebook::new(program, (paths, shadow), fleet.clone(), metrics.clone()));
    let audit = Arc::new(open_audit(&ledger, &rules)?);
    let confirmations = Arc::new(Confirmations::new(ledger.clone(), config.gate.confirm_timeout));
    let shared = Arc::new(Shared {
        ledger: ledger.clone(),
        halts: Arc::new(HaltView::default()),
        metrics: metrics.clone(),
        recent: Arc::new(Recent::default()),
        fleet: fleet.clone(),
        settings: Settings { shadow, hash_key: random_key()? },
        halted: hooks.halted,
        found: hooks.found,
        noted: Some(note_halts(audit.clone())),
    });
    let (stop_tasks, stopping) = watch::channel(false);
    let (ended_in, ended) = mpsc::unbounded_channel();
    let ready = Arc::new(Readiness::new(&[HALTS_KNOWN]));
    let stop = Arc::new(AtomicBool::new(false));
    let api = Api::new(Parts {
        orders: Orders::new(ledger.clone(), shared.halts.clone(), fleet.clone(), metrics.clone()),
        halts: shared.halts.clone(),
        fleet,
        metrics: metrics.clone(),
        recent: shared.recent.clone(),
        ingest: ingest(&kind, kafka.as_ref(), &ledger),
        ready: ready.clone(),
        rules: rules.clone(),
        settings: shared.settings,
        gate: config.gate,
        callback_secrets,
        confirmations: confirmations.clone(),
        audit: audit.clone(),
        signer,
        webhooks: Desk::new(&endpoints, ledger.clone(), metrics.clone()),
        stopping: stopping.clone(),
        started: clock::now(),
    });
    let serve = tokio::spawn(serve(listener, api::router(api, guard), stopping.clone()));
    let halts = shared.halts.clone();
    let sources = Sources {
        kind,
        kafka: kafka.clone(),
        shared,
        queues,
        rules: rules.clone(),
        confirmations,
        audit: audit.clone(),
        stop: stop.clone(),
        ready,
    };
    let source = tokio::spawn(bring_up(sources, ended_in));
    let deps = deps((&metrics, &ledger, &halts), hooks.delivered, &audit);
    let webhooks = start_webhooks(endpoints, kafka, &ledger, &deps, &stopping)?;
    Ok(Running { address, scheme, metrics, stop, ended, source, webhooks, stop_tasks, serve, ledger, rules, audit })
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
    pub async fn reload_rules(&self) {
        let before = self.rules.program().rules().hash.to_string();
        let draft = audit::Draft {
            actor: "signal".to_owned(),
            action: "rules.reload".to_owned(),
            detail: serde_json::json!({"before": before}),
            ..audit::Draft::default()
        };
        if let Err(error) = self.audit.record(draft).await {
            tracing::error!(%error, "the rules are not loaded: that could not be noted");
            return;
        }
        let rules = self.rules.clone();
        // It says itself how that went.
        let _ = tokio::task::spawn_blocking(move || rules.reload().map(drop)).await;
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

fn ingest(kind: &SourceKind, kafka: Option<&KafkaSettings>, ledger: &Ledger) -> Ingest {
    match (ledger, kind, kafka.and_then(|kafka| kafka.topics.first())) {
        (Ledger::Kafka(ledger), _, Some(topic)) => Ingest::Kafka(ledger.clone(), Arc::from(topic.as_str())),
        (Ledger::Local(ledger), SourceKind::Http, _) => Ingest::Local(ledger.clone()),
        _ => Ingest::Closed,
    }
}

fn fleet(workers: usize) -> (Fleet, Vec<Queue>) {
    let (mut controls, mut asks, mut queues) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..workers {
        let ((to_self, control), (ask, questions)) = (unbounded(), unbounded());
        controls.push(to_self.clone());
        asks.push(ask);
        queues.push(Queue { to_self, control, questions });
    }
    (Fleet::new(controls).with_questions(asks), queues)
}

/// The chain of this process, linked to what the embedded ledger holds already; that of a Kafka topic is linked when
/// the broker answers.
fn open_audit(ledger: &Ledger, rules: &Rulebook) -> Result<AuditLog> {
    let about = serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "rules": rules.program().rules().hash});
    let last = match ledger {
        Ledger::Local(ledger) => ledger.last_audit().map_err(|error| anyhow!("{error}"))?,
        Ledger::Kafka(_) => None,
    };
    let last = last.and_then(|row| audit::Entry::from_line(&row).ok());
    AuditLog::open(ledger.clone(), last.as_ref(), about).map_err(|error| anyhow!("{error}"))
}

fn deps(
    (metrics, ledger, halts): (&Arc<Metrics>, &Ledger, &Arc<HaltView>),
    told: Option<mpsc::UnboundedSender<Delivered>>,
    audit: &Arc<AuditLog>,
) -> webhook::Deps {
    let (metrics, ledger, halts) = (metrics.clone(), ledger.clone(), Some(halts.clone()));
    webhook::Deps { metrics, ledger, told, audit: Some(note_controls(audit.clone())), halts }
}

/// Notes the halts of rules, which have become durable already.
fn note_halts(audit: Arc<AuditLog>) -> mpsc::UnboundedSender<crate::halt::HaltRecord> {
    let (noted, mut notes) = mpsc::unbounded_channel::<crate::halt::HaltRecord>();
    tokio::spawn(async move {
        while let Some(record) = notes.recv().await {
            let draft = audit::Draft {
                actor: format!("rule:{}", record.rule.as_deref().unwrap_or_default()),
                action: "halt".to_owned(),
                tenant: Some(record.tenant.to_string()),
                session: Some(record.session.to_string()),
                reason: Some(record.reason.clone()),
                detail: serde_json::json!({"id": record.id, "finding": record.finding, "event_id": record.event_id}),
                ..audit::Draft::default()
            };
            insist(&audit, draft).await;
        }
    });
    noted
}

/// Notes what harnesses have answered to being told to stop.
fn note_controls(audit: Arc<AuditLog>) -> mpsc::UnboundedSender<ControlOutcome> {
    let (noted, mut notes) = mpsc::unbounded_channel::<ControlOutcome>();
    tokio::spawn(async move {
        while let Some(outcome) = notes.recv().await {
            let record = &outcome.record;
            let draft = audit::Draft {
                actor: format!("webhook:{}", outcome.endpoint),
                action: "control".to_owned(),
                tenant: Some(record.tenant.to_string()),
                session: Some(record.session.to_string()),
                detail: serde_json::json!({
                    "id": record.id, "state": record.state, "outcome": outcome.outcome, "attempts": outcome.attempts,
                    "status": outcome.status, "error": outcome.error, "by_hand": outcome.by_hand,
                }),
                ..audit::Draft::default()
            };
            insist(&audit, draft).await;
        }
    });
    noted
}

/// Notes what has happened already, however long the ledger takes.
async fn insist(audit: &AuditLog, draft: audit::Draft) {
    while let Err(error) = audit.record(draft.clone()).await {
        if matches!(error, audit::AuditError::TooLarge(_)) {
            tracing::error!(%error, "an entry of the audit log is left out");
            return;
        }
        tracing::warn!(%error, "an entry of the audit log is not durable; it is tried again");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn serve(listener: api::Bound, router: axum::Router, mut stopping: watch::Receiver<bool>) {
    let shutdown = async move { drop(stopping.wait_for(|stop| *stop).await) };
    if let Err(error) = api::serve(listener, router, shutdown).await {
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
