//! `POST /v1/sessions/{id}/tokens` and the keys by which tool servers verify what it gives.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::access::Caller;
use super::audit::From;
use super::error::ApiError;
use super::request::{JsonBody, Names, Shape};
use crate::io::audit::Draft;
use crate::io::clock;
use crate::io::credentials::{Grant, MintError};
use crate::time::{Millis, Span};

/// How long a token lives where nothing is said, in seconds.
const TTL_S: u32 = 300;

/// What a run asks for.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TokenRequest")]
pub(super) struct Body {
    /// Globs of the tools that it may call.
    tools: Vec<String>,
    /// Seconds; 300 if not given, cut to credentials.ttl_max.
    ttl_s: Option<u32>,
    agent: Option<String>,
    /// Who is to accept it.
    audience: Option<String>,
}

impl Shape for Body {
    const EXPECTED: &'static str =
        r#"{"tools":["lookup_*"],"ttl_s":300,"agent":"…","audience":"…"}, of which tools is required"#;
}

/// A run credential.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenAnswer {
    token: String,
    token_type: &'static str,
    expires: Millis,
    jti: String,
    scope: TokenScope,
}

/// What it is good for.
#[derive(Serialize, JsonSchema)]
pub(super) struct TokenScope {
    tools: Vec<String>,
}

pub(super) async fn mint(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    from: From,
    names: Names,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<TokenAnswer>, ApiError> {
    let Names { tenant, session, .. } = names.of(&caller)?;
    if !api.halts.is_complete() {
        return Err(ApiError::not_ready());
    }
    if api.halts.get(&tenant, &session).is_some_and(|record| record.is_halted()) {
        let message = "expected a session that is not halted; a halted one gets no credentials";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "halted", message));
    }
    let grant = Grant {
        tenant: tenant.to_string(),
        session: session.to_string(),
        agent: body.agent,
        audience: body.audience,
        tools: body.tools,
        ttl: Span::seconds(body.ttl_s.unwrap_or(TTL_S).into()),
    };
    let minted = api.signer.mint(&grant, clock::now()).map_err(|error| match error {
        MintError::Grant(why) => ApiError::unusable("bad_grant", why),
        MintError::Failed(why) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "signer", why),
    })?;
    let detail = json!({"jti": minted.jti, "tools": grant.tools, "expires": minted.expires.to_string()});
    let of_session = (Some(grant.tenant), Some(grant.session));
    let draft = from.draft_of_token("token.mint", detail);
    api.audit.record(Draft { tenant: of_session.0, session: of_session.1, ..draft }).await?;
    let (token_type, scope) = ("Bearer", TokenScope { tools: grant.tools });
    Ok(Json(TokenAnswer { token: minted.token, token_type, expires: minted.expires, jti: minted.jti, scope }))
}

pub(super) async fn keys(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(api.signer.jwks())
}
