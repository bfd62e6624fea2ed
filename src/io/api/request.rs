//! What requests are made of: query parameters, the names of a session, bodies.
//!
//! Query parameters are read strictly, because a misspelt `tenent` would otherwise show everybody's
//! sessions. Bodies are read into what is needed of them; the rest is passed over.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use super::access::Caller;
use super::error::ApiError;
use crate::event::{TENANT_DEFAULT, repair};
use crate::limits::{ID_BYTES_MAX, PAGE_MAX};

/// Entries of a list where the request names no limit.
const PAGE_DEFAULT: usize = 100;

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let read = Query::try_from_uri(&parts.uri);
        let Query(params) = read.map_err(|error| ApiError::bad_request("bad_query", error.body_text()))?;
        Ok(Self(params))
    }
}

/// How many entries of a list are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit(pub(super) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(PAGE_DEFAULT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
        let expected =
            || D::Error::custom(format!("limit: expected a whole number from 1 to {PAGE_MAX}, got `{text}`"));
        limit.map(Self).ok_or_else(expected)
    }
}

/// The session that a path names, and its tenant from the query.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Whether the tenant was named, or is the default one.
    is_named: bool,
    pub(super) tenant: Arc<str>,
    pub(super) session: Arc<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantParam {
    tenant: Option<Name>,
}

impl<S: Sync + Send> FromRequestParts<S> for Names {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Params(TenantParam { tenant }) = Params::from_request_parts(parts, state).await?;
        let expected =
            |what: String| ApiError::bad_request("bad_session", format!("expected /v1/sessions/SESSION: {what}"));
        let Path(session) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| expected(error.body_text()))?;
        Self::checked(tenant, Name(session)).map_err(expected)
    }
}

impl Names {
    /// The names as the caller means them: his token's tenant where he names none.
    pub(super) fn of(self, caller: &Caller) -> Result<Self, ApiError> {
        let tenant = caller.tenant(self.is_named.then_some(&*self.tenant))?;
        Ok(Self { tenant, ..self })
    }

    /// Names as a body or a header gives them: the token's tenant where none is named.
    pub(super) fn asked(caller: &Caller, tenant: Option<&str>, session: Name) -> Result<Self, ApiError> {
        let tenant = Name(caller.tenant(tenant)?.to_string());
        Self::checked(Some(tenant), session).map_err(|what| ApiError::unusable("bad_session", what))
    }

    /// Names as they stand in requests; what names no tenant belongs to the default one.
    pub(super) fn checked(tenant: Option<Name>, Name(session): Name) -> Result<Self, String> {
        let tenant = tenant.filter(|Name(tenant)| !tenant.is_empty());
        let is_named = tenant.is_some();
        let tenant: Arc<str> = tenant.map_or_else(|| Arc::from(TENANT_DEFAULT), |Name(tenant)| Arc::from(tenant));
        if session.is_empty() {
            return Err("expected a session, got an empty name".to_owned());
        }
        if session.len().max(tenant.len()) > ID_BYTES_MAX {
            return Err(format!("expected names of at most {ID_BYTES_MAX} bytes"));
        }
        Ok(Self { is_named, tenant, session: Arc::from(session) })
    }
}

/// A name as events write it: a text, or a whole number, which stands for its digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Name, E> {
                Ok(Name(number.to_string()))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Name, E> {
                Err(E::invalid_type(Unexpected::Float(number), &self))
            }
        }
        input.deserialize_any(Read)
    }
}

/// What a body is expected to look like, for the error.
pub(super) trait Shape: DeserializeOwned {
    /// One line of JSON.
    const EXPECTED: &'static str;
}

/// A JSON body. Small defects inside its strings do not matter: whoever can put a lone surrogate into
/// a tool's arguments must not be able to keep the gate from answering.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: Shape, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state).await?;
        Self::read(&bytes).map(Self)
    }
}

impl<T: Shape> JsonBody<T> {
    /// Reads a body.
    pub(super) fn read(bytes: &[u8]) -> Result<T, ApiError> {
        let read = serde_json::from_slice(bytes).or_else(|error| match repair(bytes) {
            Some(repaired) if !error.is_data() => serde_json::from_slice(&repaired),
            _ => Err(error),
        });
        let refuse = |error: serde_json::Error| {
            let message = format!("expected {}: {error}", T::EXPECTED);
            if error.is_data() {
                ApiError::unusable("bad_request", message)
            } else {
                ApiError::bad_request("bad_json", message)
            }
        };
        read.map_err(refuse)
    }
}
