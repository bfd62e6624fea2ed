//! Sessions, halts and findings, and the orders that an operator gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use crate::engine::SessionView;
use crate::event::TENANT_DEFAULT;
use crate::halt::{HaltRecord, HaltState, Order};
use crate::io::clock;
use crate::limits::{PAGE_MAX, REASON_CHARS_MAX};

const PAGE: usize = 100;

/// Tenant and session.
type Names = (Arc<str>, Arc<str>);
/// What the view and what the shards say of a session.
type Known = (Option<HaltRecord>, Option<SessionView>);

/// `?tenant=&session=&state=&limit=`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    tenant: Option<String>,
    session: Option<String>,
    state: Option<Wanted>,
    limit: Option<usize>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Halted,
    Running,
    All,
}

#[derive(Deserialize)]
pub(super) struct Tenant {
    #[serde(default = "default_tenant")]
    tenant: String,
}

fn default_tenant() -> String {
    TENANT_DEFAULT.to_owned()
}

impl Filter {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)
    }

    fn is_of_tenant(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|wanted| wanted == tenant)
    }
}

/// Sessions that were active last, and every halted one, whether or not a shard here has seen it.
pub(super) async fn list(State(api): State<Arc<Api>>, Query(filter): Query<Filter>) -> Json<Value> {
    let mut rows: BTreeMap<Names, Known> = BTreeMap::new();
    for record in api.halts.all().into_iter().filter(|record| filter.is_of_tenant(&record.tenant)) {
        rows.insert((record.tenant.clone(), record.session.clone()), (Some(record), None));
    }
    for view in api.fleet.sessions(filter.tenant.as_deref(), filter.limit()).await {
        let names = (view.tenant.clone(), view.session.clone());
        rows.entry(names).or_default().1 = Some(view);
    }
    let mut sessions: Vec<(Names, Known)> =
        rows.into_iter().filter(|(_, (halt, _))| wants(&filter, halt.as_ref())).collect();
    // Halted ones first, then by last activity.
    sessions.sort_by_key(|(_, (halt, view))| {
        let is_running = !halt.as_ref().is_some_and(HaltRecord::is_halted);
        let last = view.as_ref().map(|view| view.last_seen).max(halt.as_ref().map(|halt| halt.at));
        (is_running, std::cmp::Reverse(last))
    });
    sessions.truncate(filter.limit());
    let sessions: Vec<Value> = sessions
        .iter()
        .map(|((tenant, session), (halt, view))| describe(tenant, session, halt.as_ref(), view.as_ref()))
        .collect();
    Json(json!({"sessions": sessions, "rev": api.halts.revision()}))
}

fn wants(filter: &Filter, halt: Option<&HaltRecord>) -> bool {
    match filter.state {
        Some(Wanted::Halted) => halt.is_some_and(HaltRecord::is_halted),
        Some(Wanted::Running) => !halt.is_some_and(HaltRecord::is_halted),
        Some(Wanted::All) | None => true,
    }
}

fn describe(tenant: &str, session: &str, halt: Option<&HaltRecord>, view: Option<&SessionView>) -> Value {
    json!({"tenant": tenant, "session": session, "state": state(halt, view.is_some()), "halt": halt, "activity": view})
}

fn state(halt: Option<&HaltRecord>, is_known: bool) -> &'static str {
    match halt {
        Some(record) if record.is_halted() => "halted",
        Some(_) => "running",
        None if is_known => "running",
        None => "unknown",
    }
}

pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Path(session): Path<String>,
    Query(Tenant { tenant }): Query<Tenant>,
) -> Result<Json<Value>, ApiError> {
    let halt = api.halts.get(&tenant, &session);
    let view = api.fleet.session(&tenant, &session).await;
    if halt.is_none() && view.is_none() {
        let message =
            format!("nothing is known of session `{session}` of tenant `{tenant}`; name another with ?tenant=");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_session", message));
    }
    let mut answer = describe(&tenant, &session, halt.as_ref(), view.as_ref());
    if let Some(fields) = answer.as_object_mut() {
        let findings = api.recent.list(Some(&tenant), Some(&session), PAGE);
        fields.insert("findings".to_owned(), json!(findings));
    }
    Ok(Json(answer))
}

pub(super) async fn halts(State(api): State<Arc<Api>>, Query(filter): Query<Filter>) -> Json<Value> {
    let is_wanted = |record: &HaltRecord| filter.state == Some(Wanted::All) || record.is_halted();
    let mut halts: Vec<HaltRecord> =
        api.halts.all().into_iter().filter(|r| filter.is_of_tenant(&r.tenant) && is_wanted(r)).collect();
    halts.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| (&a.tenant, &a.session).cmp(&(&b.tenant, &b.session))));
    halts.truncate(filter.limit());
    Json(json!({"halts": halts, "rev": api.halts.revision()}))
}

pub(super) async fn findings(State(api): State<Arc<Api>>, Query(filter): Query<Filter>) -> Json<Value> {
    let findings = api.recent.list(filter.tenant.as_deref(), filter.session.as_deref(), filter.limit());
    Json(json!({"findings": findings}))
}

/// Who gives an order, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    by: String,
    reason: String,
}

pub(super) async fn halt(
    State(api): State<Arc<Api>>,
    Path(session): Path<String>,
    Query(Tenant { tenant }): Query<Tenant>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    order(&api, HaltState::Halted, &tenant, &session, &body).await
}

pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    Path(session): Path<String>,
    Query(Tenant { tenant }): Query<Tenant>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    order(&api, HaltState::Running, &tenant, &session, &body).await
}

async fn order(api: &Api, state: HaltState, tenant: &str, session: &str, body: &[u8]) -> Result<Json<Value>, ApiError> {
    let OrderBody { by, reason } = serde_json::from_slice(body)
        .map_err(|error| ApiError::malformed(format!("expected {{\"by\":…,\"reason\":…}}: {error}")))?;
    for (name, value) in [("by", &by), ("reason", &reason)] {
        let length = value.trim().chars().count();
        if length == 0 || length > REASON_CHARS_MAX {
            return Err(ApiError::malformed(format!(
                "expected `{name}` of 1 to {REASON_CHARS_MAX} characters, got {length}"
            )));
        }
    }
    if !api.halts.is_complete() {
        return Err(ApiError::unavailable("not_ready", "the halts are not known yet"));
    }
    // A release settles everything that was seen of the session so far.
    let seen = if state == HaltState::Running { api.fleet.session(tenant, session).await } else { None };
    let order = Order {
        tenant: Arc::from(tenant),
        session: Arc::from(session),
        state,
        by: by.trim().to_owned(),
        reason: reason.trim().to_owned(),
        at: clock::now(),
        seen_through: seen.map(|view| view.last_origin),
    };
    let given = api.orders.give(&order).await;
    let (record, changed) = given
        .map_err(|error| ApiError::unavailable("not_durable", format!("the order is not carried out: {error}")))?;
    let state = if order.state == HaltState::Halted { "halted" } else { "running" };
    let epoch = record.as_ref().map_or(0, |record| record.epoch);
    Ok(Json(json!({"changed": changed, "state": state, "epoch": epoch, "record": record})))
}
