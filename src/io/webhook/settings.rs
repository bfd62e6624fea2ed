//! `[[webhooks]]`: what an operator writes, checked strictly before anything starts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use reqwest::Client;
use serde::{Deserialize, Deserializer};

use super::check::{Checked, check};
use super::endpoint::{Endpoint, Timing, client};
use super::guard::{Guard, Networks};
use super::payload::EventType;
use super::seat::Seat;
use super::target::Kind;
use crate::finding::Severity;
use crate::limits::WEBHOOKS_MAX;
use crate::time::Span;

const MAX_AGE: Span = Span::seconds(86_400);

/// One receiver. `Debug` shows neither the secret nor the URL, which often holds one.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// What it is called in logs, metrics and its place in the outbox: lower-case letters, digits and
    /// single hyphens. Another name begins from the beginning of the outbox.
    pub name: String,
    /// What kind of receiver it is.
    #[serde(default)]
    pub kind: Kind,
    /// Where to: `https`, or `http` to a loopback host. PagerDuty's own where it is not given and the kind
    /// is `pagerduty`; the address of the server for `alertmanager`; for `control` the URL that stops a run,
    /// with `{session}`, `{tenant}`, `{state}`, `{id}`, `{epoch}` and `{reason}` in path and query.
    pub url: Option<String>,
    /// A file that holds the same, for URLs that are secrets themselves.
    pub url_file: Option<PathBuf>,
    /// The signing secret, `whsec_…`; while rotating the new one, a space, and the old one. For the kinds
    /// `standard` (required) and `control`.
    pub secret: Option<String>,
    /// A file that holds the same.
    pub secret_file: Option<PathBuf>,
    /// What to tell; everything if not given.
    #[serde(default = "all_events")]
    pub events: Vec<EventType>,
    /// Only tenants that one of these patterns matches; all if empty.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// Only halts by rules that one of these patterns matches, and their releases; all if empty. An
    /// operator's halt has the rule `operator`.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Only halts by rules that are at least so bad, and their releases; an operator's halt always.
    pub min_severity: Option<Severity>,
    /// How old a record may become before it is given up, such as `24h`.
    #[serde(default = "default_max_age", deserialize_with = "span")]
    pub max_age: Span,
    /// Allows `http` to hosts that are not this one: the body then goes in the clear.
    #[serde(default)]
    pub allow_http: bool,
    /// Which addresses may be connected to.
    #[serde(default)]
    pub networks: Networks,
    /// Networks that may be connected to whatever `networks` says, such as `10.1.0.0/16`.
    #[serde(default)]
    pub allow_networks: Vec<String>,
    /// For `pagerduty`: the integration's key.
    pub routing_key: Option<String>,
    /// A file that holds the same.
    pub routing_key_file: Option<PathBuf>,
    /// For `alertmanager`: labels that every alert gets besides its own.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// For `control`: `POST` (if not given), `PUT`, `PATCH` or `DELETE`.
    pub method: Option<String>,
    /// For `control`: the URL that lets a run go on; without it releases are not told.
    pub resume_url: Option<String>,
    /// For `standard`, `alertmanager` and `control`: a token that goes into a header.
    pub token: Option<String>,
    /// A file that holds the same.
    pub token_file: Option<PathBuf>,
    /// The header, such as `X-Api-Key`; `Authorization: Bearer` if not given.
    pub token_header: Option<String>,
}

fn all_events() -> Vec<EventType> {
    EventType::ALL.to_vec()
}

fn default_max_age() -> Span {
    MAX_AGE
}

fn span<'de, D: Deserializer<'de>>(input: D) -> Result<Span, D::Error> {
    Span::parse(&String::deserialize(input)?).map_err(serde::de::Error::custom)
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("WebhookSettings");
        shown
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("events", &self.events)
            .field("max_age", &self.max_age);
        shown.finish_non_exhaustive()
    }
}

/// What is wrong with the webhooks, and of which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// One of them is no good.
    #[error("webhook `{name}`: {problem}")]
    Endpoint {
        /// Which.
        name: String,
        /// What was expected, and what there is.
        problem: String,
    },
    /// There are more than the limit.
    #[error("webhooks: expected at most {WEBHOOKS_MAX}, got {0}")]
    TooMany(usize),
    /// The client that some of them share cannot be built.
    #[error("webhooks: {0}")]
    Client(String),
}

/// Checks the settings, reads the secret files and makes the endpoints ready to run.
///
/// # Errors
/// The first thing that is wrong; never shows a secret.
pub fn endpoints(settings: &[WebhookSettings]) -> Result<Vec<Endpoint>, WebhookError> {
    if settings.is_empty() {
        return Ok(Vec::new());
    }
    if settings.len() > WEBHOOKS_MAX {
        return Err(WebhookError::TooMany(settings.len()));
    }
    let mut names = BTreeSet::new();
    let mut clients = Vec::new();
    let mut endpoints = Vec::with_capacity(settings.len());
    for one in settings {
        let problem = |problem| WebhookError::Endpoint { name: one.name.clone(), problem };
        let checked = check(one).map_err(problem)?;
        if !names.insert(one.name.as_str()) {
            return Err(problem("expected a name of its own, got one that stands twice".to_owned()));
        }
        endpoints.push(endpoint(one, checked, &mut clients)?);
    }
    Ok(endpoints)
}

/// Endpoints whose connections are checked alike share a client.
fn endpoint(
    settings: &WebhookSettings,
    checked: Checked,
    clients: &mut Vec<(Guard, bool, Client)>,
) -> Result<Endpoint, WebhookError> {
    let Checked { target, token, filter, guard, is_https } = checked;
    let known = clients.iter().find(|(known, https, _)| *known == guard && *https == is_https);
    let client = match known {
        Some((_, _, client)) => client.clone(),
        None => {
            let client = client(&guard, is_https).map_err(WebhookError::Client)?;
            clients.push((guard.clone(), is_https, client.clone()));
            client
        }
    };
    let (timing, seat) = (Timing::of(target.kind()), Seat::new());
    let (name, max_age) = (settings.name.clone(), settings.max_age);
    Ok(Endpoint { name, target, token, filter, max_age, guard, client, timing, seat })
}
