//! `/v1/rules`: what is looked for, how often it was found, how others would decide.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::Api;
use super::access::Caller;
use super::audit::From;
use super::error::ApiError;
use super::guard::Room;
use super::orders::{Body as OrderBody, checked};
use super::request::{JsonBody, Shape};
use crate::engine::Program;
use crate::finding::{Action, Mode, Severity};
use crate::io::audit::Draft;
use crate::io::recent::Hits;
use crate::io::record::RecordView;
use crate::io::replay::{Decision, Replay};
use crate::io::rulebook::compile;
use crate::limits::BACKTEST_EVENTS_MAX;
use crate::rules::{Rule, SourceFile};

/// The rules in force.
#[derive(Serialize, JsonSchema)]
pub(super) struct RuleList {
    hash: String,
    rules: Vec<RuleRow>,
}

#[derive(Serialize, JsonSchema)]
struct RuleRow {
    id: Arc<str>,
    version: Arc<str>,
    title: Arc<str>,
    description: String,
    severity: Severity,
    action: Action,
    mode: Mode,
    tags: Vec<String>,
    kind: &'static str,
    /// Of all tenants, so not told to a token that is bound to one.
    #[serde(flatten)]
    hits: Option<Hits>,
}

pub(super) async fn list(State(api): State<Arc<Api>>, Extension(caller): Extension<Caller>) -> Json<RuleList> {
    let hits = |rule: &Rule| caller.tenant.is_none().then(|| api.recent.hits(&rule.id));
    let program = api.rules.program();
    let rules = program.rules().rules.iter().map(|rule| row(rule, hits(rule)));
    Json(RuleList { hash: program.rules().hash.to_string(), rules: rules.collect() })
}

fn row(rule: &Rule, hits: Option<Hits>) -> RuleRow {
    RuleRow {
        id: rule.id.clone(),
        version: rule.version.clone(),
        title: rule.title.clone(),
        description: rule.description.to_string(),
        severity: rule.severity,
        action: rule.action,
        mode: rule.mode,
        tags: rule.tags.iter().map(ToString::to_string).collect(),
        kind: rule.check.kind(),
        hits,
    }
}

/// What is in force now.
#[derive(Serialize, JsonSchema)]
pub(super) struct Reloaded {
    hash: String,
    /// How many there are.
    rules: usize,
    /// Whether they are others than before.
    changed: bool,
}

pub(super) async fn reload(
    State(api): State<Arc<Api>>,
    Extension(room): Extension<Room>,
    from: From,
    JsonBody(body): JsonBody<OrderBody>,
) -> Result<Json<Reloaded>, ApiError> {
    let (by, reason) = (checked("by", &body.by)?, checked("reason", &body.reason)?);
    let before = api.rules.program().rules().hash.to_string();
    let draft = from.draft(&by, "rules.reload", json!({"before": before}));
    api.audit.record(Draft { reason: Some(reason), ..draft }).await?;
    let rules = api.rules.clone();
    let loaded = tokio::task::spawn_blocking(move || {
        let _room = room;
        rules.reload()
    });
    let program = loaded.await.unwrap_or_else(|error| Err(error.to_string()));
    let program = program.map_err(|errors| ApiError::unusable("bad_rules", errors))?;
    let hash = program.rules().hash.to_string();
    Ok(Json(Reloaded { rules: program.rules().rules.len(), changed: hash != before, hash }))
}

/// Rules and the traffic that they are tried on.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "BacktestRequest")]
pub(super) struct BacktestBody {
    /// A rule file (TOML), laid over the rules in force: a rule of the same id replaces that one.
    rules: String,
    /// Events of the native schema, in order.
    #[schemars(with = "Vec<serde_json::Value>")]
    events: Vec<Box<RawValue>>,
}

impl Shape for BacktestBody {
    const EXPECTED: &'static str = r#"{"rules":"a rule file (TOML)","events":[{"v":1,…},…]}"#;
}

/// Every decision that would be another.
#[derive(Serialize, JsonSchema)]
pub(super) struct Backtest {
    events: usize,
    changed: Vec<Changed>,
}

#[derive(Serialize, JsonSchema)]
struct Changed {
    event_id: String,
    session: String,
    /// An action, or `allow`.
    before: &'static str,
    after: &'static str,
    rules_added: Vec<String>,
    rules_removed: Vec<String>,
}

pub(super) async fn backtest(
    State(api): State<Arc<Api>>,
    Extension(room): Extension<Room>,
    JsonBody(body): JsonBody<BacktestBody>,
) -> Result<Json<Backtest>, ApiError> {
    if body.events.len() > BACKTEST_EVENTS_MAX {
        let message = format!("expected at most {BACKTEST_EVENTS_MAX} events; `haltline backtest` takes any number");
        return Err(ApiError::unusable("too_many_events", message));
    }
    let run = tokio::task::spawn_blocking(move || {
        let _room = room;
        let mut files = api.rules.files()?;
        let layer = files.iter().map(|file| file.layer).max().unwrap_or_default() + 1;
        files.push(SourceFile { name: "rules".to_owned(), text: body.rules, layer });
        let candidate = compile(&files)?;
        Ok(compare((&api.rules.program(), &candidate), &body.events))
    });
    let compared: Result<Backtest, String> = run.await.unwrap_or_else(|error| Err(error.to_string()));
    compared.map(Json).map_err(|errors| ApiError::unusable("bad_rules", errors))
}

fn compare((was, now): (&Arc<Program>, &Arc<Program>), events: &[Box<RawValue>]) -> Backtest {
    let mut sides = (Replay::new(was.clone(), false), Replay::new(now.clone(), false));
    let mut changed = Vec::new();
    for (offset, event) in (0..).zip(events) {
        let payload = event.get().as_bytes();
        let record = RecordView { topic: "backtest", partition: 0, offset, append: None, key: None, payload };
        let (before, after) = (sides.0.feed(record), sides.1.feed(record));
        let (had, has) = (fired(&before), fired(&after));
        if had == has && before.verdict == after.verdict {
            continue;
        }
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| these.difference(those).cloned().collect();
        changed.push(Changed {
            session: after.session.as_ref().map(|(_, session)| now.mask(session)).unwrap_or_default(),
            event_id: now.mask(&after.event_id),
            before: before.verdict(),
            after: after.verdict(),
            rules_added: only(&has, &had),
            rules_removed: only(&had, &has),
        });
    }
    Backtest { events: events.len(), changed }
}

/// The rules that found something.
fn fired(decision: &Decision) -> BTreeSet<String> {
    decision.findings.iter().map(|finding| finding.rule.to_string()).collect()
}
