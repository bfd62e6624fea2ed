//! `GET /v1/sessions` and `GET /v1/sessions/{id}`: who is halted, and what sessions do.
//!
//! Two sources are put together: the halts view, which knows every halted session, and the workers of
//! this process, which know what they have seen. A halted session is listed even when no worker here
//! has seen it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{ActivityRow, HaltBody, State as SessionState};
use super::error::ApiError;
use super::request::{Limit, Names, Params, tenant_filter};
use super::{Api, ask_workers};
use crate::engine::SessionView;
use crate::halt::HaltRecord;
use crate::limits::FINDINGS_PER_SESSION_MAX;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    tenant: Option<String>,
    state: Option<Wanted>,
    #[serde(default)]
    limit: Limit,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Halted,
    Running,
}

#[derive(Serialize)]
struct Row<'a> {
    tenant: &'a str,
    session: &'a str,
    state: SessionState,
    halt: Option<HaltBody<'a>>,
    /// None where the session is not among the latest that were asked for.
    activity: Option<ActivityRow<'a>>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Params(ListParams { tenant, state, limit }): Params<ListParams>,
) -> Result<Json<Value>, ApiError> {
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    let tenant = tenant_filter(tenant.as_deref());
    let answered = ask_workers(api.fleet.sessions(tenant, limit.0)).await;
    let complete = answered.is_ok();
    let views = answered.unwrap_or_default();
    // After the workers were asked, so that a session that they saw halted is shown halted.
    let halted = api.halts.latest(|record| record.is_halted() && tenant.is_none_or(|tenant| *record.tenant == *tenant));
    let rows = rows(&halted, &views, state, limit.0);
    Ok(Json(json!({
        "sessions": rows,
        "halted": halted.len(),
        // False when the workers did not answer: then only halted sessions are listed.
        "complete": complete,
        "rev": api.halts.revision(),
    })))
}

/// Halted sessions first, then the others by their last event.
fn rows<'a>(halted: &'a [HaltRecord], views: &'a [SessionView], wanted: Option<Wanted>, limit: usize) -> Vec<Row<'a>> {
    let mut by_name: BTreeMap<_, &SessionView> =
        views.iter().map(|view| ((&*view.tenant, &*view.session), view)).collect();
    let mut rows = Vec::new();
    for record in halted {
        let activity = by_name.remove(&(&*record.tenant, &*record.session)).map(ActivityRow::of);
        let halt = Some(HaltBody::of(record));
        let (tenant, session) = (&*record.tenant, &*record.session);
        if wanted != Some(Wanted::Running) {
            rows.push(Row { tenant, session, state: SessionState::Halted, halt, activity });
        }
    }
    let others = views.iter().filter(|view| by_name.contains_key(&(&*view.tenant, &*view.session)));
    let running = others.map(|view| Row {
        tenant: &view.tenant,
        session: &view.session,
        state: SessionState::Running,
        halt: None,
        activity: Some(ActivityRow::of(view)),
    });
    if wanted != Some(Wanted::Halted) {
        rows.extend(running);
    }
    rows.truncate(limit);
    rows
}

pub(super) async fn one(State(api): State<Arc<Api>>, names: Names) -> Result<Response, ApiError> {
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    let Names { tenant, session } = names;
    let answered = ask_workers(api.fleet.session(&tenant, &session)).await;
    let record = api.halts.get(&tenant, &session);
    let findings = api.recent.list(Some(&tenant), Some(&session), FINDINGS_PER_SESSION_MAX);
    let activity = match answered {
        Ok(activity) => activity,
        // What the view knows is worth telling without the rest; "nothing is known" is not.
        Err(_) if record.is_some() => None,
        Err(busy) => return Err(busy),
    };
    let state = SessionState::of(record.as_ref(), activity.is_some());
    let mut body = json!({
        "tenant": tenant,
        "session": session,
        "state": state,
        "halt": HaltBody::in_force(record.as_ref()),
        "record": record,
        "activity": activity,
        "findings": findings,
    });
    if state != SessionState::Unknown || !findings.is_empty() {
        return Ok(Json(body).into_response());
    }
    if let Some(fields) = body.as_object_mut() {
        let message = "expected a session that was seen here or is halted; the tenant goes into ?tenant=";
        fields.insert("error".to_owned(), json!({"code": "unknown_session", "message": message}));
    }
    Ok((StatusCode::NOT_FOUND, Json(body)).into_response())
}
