//! `GET /v1/sessions` and `GET /v1/sessions/{id}`: who is halted, and what sessions do.
//!
//! Two sources are put together: the halts view, which knows every halted session, and the workers of
//! this process, which know what they have seen. A halted session is listed even when no worker here
//! has seen it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Caller;
use super::answer::{ActivityRow, HaltBody, State as SessionState};
use super::error::{ApiError, ErrorBody};
use super::request::{Limit, Names, Params};
use super::{Api, ask_workers};
use crate::engine::{SessionView, Step};
use crate::finding::Finding;
use crate::halt::HaltRecord;
use crate::limits::{FINDINGS_LISTED_MAX, PAGE_MAX};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    tenant: Option<String>,
    state: Option<Wanted>,
    #[serde(default)]
    sort: Sort,
    /// Words in the session, the agent or the reason of its halt.
    q: Option<String>,
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    limit: Limit,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SessionsWanted")]
enum Wanted {
    Halted,
    Running,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SessionsSorted")]
enum Sort {
    /// Halted ones first, then by their last event.
    #[default]
    Recent,
    /// By risk score, whether halted or not.
    Risk,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SessionRow")]
struct Row {
    tenant: Arc<str>,
    session: Arc<str>,
    state: SessionState,
    halt: Option<HaltBody>,
    /// None where the session is not among the latest that were asked for.
    activity: Option<ActivityRow>,
}

/// Sessions.
#[derive(Serialize, JsonSchema)]
pub(super) struct SessionList {
    sessions: Vec<Row>,
    /// How many are halted, also those that are not listed.
    halted: usize,
    /// False when the workers did not answer: then only halted sessions are listed.
    complete: bool,
    rev: u64,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<ListParams>,
) -> Result<Json<SessionList>, ApiError> {
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    let tenant = caller.filter(params.tenant.as_deref())?;
    // A search or another order looks at more than it shows.
    let is_plain = params.q.as_deref().unwrap_or_default().is_empty() && params.sort == Sort::Recent;
    let asked = if is_plain { params.limit.0 } else { PAGE_MAX };
    let answered = ask_workers(api.fleet.sessions(tenant.as_deref(), asked)).await;
    let complete = answered.is_ok();
    let views = answered.unwrap_or_default();
    // After the workers were asked, so that a session that they saw halted is shown halted.
    let of_tenant = |record: &HaltRecord| tenant.as_deref().is_none_or(|tenant| *record.tenant == *tenant);
    let halted = api.halts.latest(|record| record.is_halted() && of_tenant(record));
    let mut sessions = rows(&halted, &views, params.state);
    if let Some(words) = params.q.map(|q| q.to_lowercase()).filter(|q| !q.is_empty()) {
        sessions.retain(|row| words.split_whitespace().all(|word| row.has(word)));
    }
    if params.sort == Sort::Risk {
        let score = |row: &Row| row.activity.as_ref().map_or(0.0, |activity| activity.score);
        sessions.sort_by(|a, b| score(b).total_cmp(&score(a)));
    }
    sessions.truncate(params.limit.0);
    Ok(Json(SessionList { sessions, halted: halted.len(), complete, rev: api.halts.revision() }))
}

impl Row {
    /// Whether a word, in small letters, stands in what names the session.
    fn has(&self, word: &str) -> bool {
        let agent = self.activity.as_ref().and_then(ActivityRow::agent);
        let halt = self.halt.as_ref().map(HaltBody::words);
        let texts = [Some(&*self.session), Some(&*self.tenant), agent];
        texts
            .into_iter()
            .flatten()
            .chain(halt.iter().map(String::as_str))
            .any(|text| text.to_lowercase().contains(word))
    }
}

/// Halted sessions first, then the others by their last event.
fn rows(halted: &[HaltRecord], views: &[SessionView], wanted: Option<Wanted>) -> Vec<Row> {
    let mut by_name: BTreeMap<_, &SessionView> =
        views.iter().map(|view| ((&*view.tenant, &*view.session), view)).collect();
    let mut rows = Vec::new();
    for record in halted {
        let activity = by_name.remove(&(&*record.tenant, &*record.session)).map(ActivityRow::of);
        let halt = Some(HaltBody::of(record));
        let (tenant, session) = (record.tenant.clone(), record.session.clone());
        if wanted != Some(Wanted::Running) {
            rows.push(Row { tenant, session, state: SessionState::Halted, halt, activity });
        }
    }
    let others = views.iter().filter(|view| by_name.contains_key(&(&*view.tenant, &*view.session)));
    let running = others.map(|view| Row {
        tenant: view.tenant.clone(),
        session: view.session.clone(),
        state: SessionState::Running,
        halt: None,
        activity: Some(ActivityRow::of(view)),
    });
    if wanted != Some(Wanted::Halted) {
        rows.extend(running);
    }
    rows
}

/// All that is known of one session.
#[derive(Serialize, JsonSchema)]
pub(super) struct SessionPage {
    tenant: Arc<str>,
    session: Arc<str>,
    state: SessionState,
    halt: Option<HaltBody>,
    /// The latest halt or release.
    record: Option<HaltRecord>,
    activity: Option<SessionView>,
    /// The latest first.
    findings: Vec<Arc<Finding>>,
    /// The last events, the oldest first.
    trail: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    names: Names,
) -> Result<Response, ApiError> {
    let Names { tenant, session, .. } = names.of(&caller)?;
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    let answered = ask_workers(api.fleet.session(&tenant, &session)).await;
    let record = api.halts.get(&tenant, &session);
    let findings = api.recent.list(Some(&tenant), Some(&session), FINDINGS_LISTED_MAX);
    let mut activity = match answered {
        Ok(activity) => activity,
        // What the view knows is worth telling without the rest; "nothing is known" is not.
        Err(_) if record.is_some() => None,
        Err(busy) => return Err(busy),
    };
    let state = SessionState::of(record.as_ref(), activity.is_some());
    let is_known = state != SessionState::Unknown || !findings.is_empty();
    let message = "expected a session that was seen here or is halted; the tenant goes into ?tenant=";
    let page = SessionPage {
        tenant,
        session,
        state,
        halt: HaltBody::in_force(record.as_ref()),
        record,
        trail: activity.as_mut().map(|activity| std::mem::take(&mut activity.trail)).unwrap_or_default(),
        activity,
        findings,
        error: (!is_known).then(|| ErrorBody::new("unknown_session", message)),
    };
    let status = if is_known { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok((status, Json(page)).into_response())
}
