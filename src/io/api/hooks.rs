//! `POST /v1/hooks/claude-code` and `/v1/authz`: harnesses and proxies that ask in words of their own.
//!
//! A step is judged first and recorded then, so that it is not counted twice in the answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Api;
use super::access::{Caller, Scope};
use super::error::ApiError;
use super::events;
use super::gate::{self, Answer, Asked};
use super::guard::Room;
use super::proposal::{Proposal, ProposalKind, Speaker};
use super::request::{Name, Names, Params};
use crate::event::{Kind, Role};
use crate::io::hooks::{self, AuthzAsk, Payload, Ruling};
use crate::io::ingest::{Ingest, Posted};
use crate::limits::EVENT_BYTES_MAX;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HookParams {
    tenant: Option<String>,
    /// The agent's name; else the hook's own `agent_type`.
    agent: Option<String>,
}

pub(super) async fn claude_code(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(room): Extension<Room>,
    Params(HookParams { tenant, agent }): Params<HookParams>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let body = body?;
    let payload = Payload::parse(&body).map_err(|problem| ApiError::unusable(problem.code, problem.message))?;
    let names = Names::asked(&caller, tenant.as_deref(), Name(payload.session().to_owned()))?;
    let asked = Asked {
        agent: agent.clone(),
        action: payload.proposal().map(|proposal| Ok(action(&proposal))),
        event: payload.proposed_event(Some(&names.tenant), agent.as_deref()).map(String::into_bytes),
        confirmation: None,
        names: names.clone(),
    };
    let ruled = gate::decide(&api, Ok(asked)).await?;
    record(&api, &caller, &payload, (&names, agent.as_deref()), room).await?;
    Ok(Json(hooks::answer(&payload, &ruling(&ruled))))
}

/// Puts the step into the log, where the caller may and events are taken at all. A step that cannot be recorded is
/// an error: nobody would count it.
async fn record(
    api: &Api,
    caller: &Caller,
    payload: &Payload,
    (names, agent): (&Names, Option<&str>),
    room: Room,
) -> Result<(), ApiError> {
    if !caller.may(&[Scope::Ingest]) || matches!(api.ingest, Ingest::Closed) {
        return Ok(());
    }
    let posted = payload.events(Some(&names.tenant), agent).into_iter();
    let posted = posted.map(|text| Posted { session: names.session.to_string(), bytes: text.into_bytes() }).collect();
    events::append(api.ingest.clone(), posted, room)
        .await
        .map_err(|why| ApiError::unavailable("log_unavailable", format!("expected the step to become durable: {why}")))
}

pub(super) async fn authz(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let asked = match body {
        Ok(body) if body.len() <= EVENT_BYTES_MAX => AuthzAsk::read(&headers, Some(&body)),
        Ok(_) => return ApiError::too_large().into_response(),
        Err(rejection) => return ApiError::from(rejection).into_response(),
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(problem) => return (StatusCode::FORBIDDEN, hooks::refusal_for(&problem)).into_response(),
    };
    let ruled = match Names::asked(&caller, asked.tenant.as_deref(), Name(asked.session.clone())) {
        Ok(names) => {
            let asked = AuthzAsk { tenant: Some(names.tenant.to_string()), ..asked };
            let event = asked.proposed_event().map(String::into_bytes);
            let action = asked.proposal.as_ref().map(|proposal| Ok(action(proposal)));
            gate::decide(&api, Ok(Asked { names, agent: asked.agent, action, event, confirmation: None })).await
        }
        Err(refused) => Err(refused),
    };
    match ruled {
        Err(error) => error.into_response(),
        Ok(ruled) => match hooks::refusal(&ruling(&ruled)) {
            Some(headers) => (StatusCode::FORBIDDEN, headers).into_response(),
            None => StatusCode::OK.into_response(),
        },
    }
}

fn ruling(answer: &Answer) -> Ruling {
    let decision = match answer.decision {
        // Nobody could tell the harness to only pretend.
        _ if answer.dry_run => hooks::Decision::Deny,
        gate::Decision::Allow => hooks::Decision::Allow,
        gate::Decision::Confirm => hooks::Decision::Confirm,
        gate::Decision::Deny => hooks::Decision::Deny,
    };
    let (rule, reason) = (answer.rule.as_deref().map(str::to_owned), answer.reason.clone());
    Ruling { decision, halted: answer.halted, rule, reason }
}

/// The step as the gate knows actions: for its digest, and for people.
fn action(proposal: &hooks::Proposal) -> Proposal {
    let tool = proposal.tool.as_ref();
    let json = |raw: &Option<Box<serde_json::value::RawValue>>| {
        let raw = raw.as_ref()?.get();
        // What is JSON, but no number or text that can be held, stands for itself.
        Some(serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.to_owned())))
    };
    Proposal {
        kind: match proposal.kind {
            Kind::ToolCall => ProposalKind::ToolCall,
            Kind::ToolResult => ProposalKind::ToolResult,
            _ => ProposalKind::Message,
        },
        tool: tool.map(|tool| tool.name.clone()),
        server: tool.and_then(|tool| tool.server.clone()),
        args: tool.and_then(|tool| json(&tool.args)),
        result: tool.and_then(|tool| json(&tool.result)),
        call_id: tool.and_then(|tool| tool.call_id.clone()),
        role: proposal.role.map(|role| match role {
            Role::User => Speaker::User,
            Role::Assistant => Speaker::Assistant,
            _ => Speaker::System,
        }),
        text: proposal.text.clone(),
    }
}
