//! `GET /v1/audit`, and who is named in its entries.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Api;
use super::access::Caller;
use super::error::ApiError;
use super::listen::Peer;
use super::request::{Limit, Params};
use crate::io::audit::{Draft, Entry};

/// Where a request comes from: address, and name of its token.
#[derive(Clone, Debug)]
pub(super) struct From {
    address: Option<SocketAddr>,
    token: Option<Arc<str>>,
}

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let address = parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(address))| *address);
        let token = parts.extensions.get::<Caller>().and_then(|caller| caller.name.clone());
        Ok(Self { address, token })
    }
}

impl From {
    /// An entry of what somebody orders.
    pub(super) fn draft(&self, actor: &str, action: &str, detail: Value) -> Draft {
        Draft {
            actor: actor.to_owned(),
            token: self.token.as_deref().map(str::to_owned),
            from: self.address.map(|address| address.to_string()),
            action: action.to_owned(),
            detail,
            ..Draft::default()
        }
    }

    /// The same, by the name of the token alone.
    pub(super) fn draft_of_token(&self, action: &str, detail: Value) -> Draft {
        self.draft(self.token.as_deref().unwrap_or("anybody"), action, detail)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditParams {
    tenant: Option<String>,
    #[serde(default)]
    #[schemars(with = "Option<u16>")]
    limit: Limit,
}

/// What this process has written since its start, the latest first.
#[derive(Serialize, JsonSchema)]
pub(super) struct AuditList {
    entries: Vec<Arc<Entry>>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(params): Params<AuditParams>,
) -> Result<Json<AuditList>, ApiError> {
    let tenant = caller.filter(params.tenant.as_deref())?;
    let is_of = |entry: &Entry| tenant.as_deref().is_none_or(|tenant| entry.tenant.as_deref() == Some(tenant));
    Ok(Json(AuditList { entries: api.audit.recent.latest(params.limit.0, is_of) }))
}
