//! Every route, once: who may ask, whether it is of one tenant, how long it may take.
//!
//! The guard admits nothing that does not stand here, and the description of the API is made from it.

use std::time::Duration;

use super::access::Scope;
use super::access::Scope::{Admin, Gate, Halt, Ingest, Read};
use crate::limits::{CONFIRM_WAIT_MAX, HTTP_TIMEOUT};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Open,
    /// Who signs the request with a secret of its own.
    Signed,
    /// Who has a token with one of these scopes, whatever tenant it is bound to.
    Scopes(&'static [Scope]),
    /// Who has a token with one of these scopes that is bound to no tenant: the answer is about all of them.
    Unbound(&'static [Scope]),
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// `*` for any.
    pub(super) method: &'static str,
    /// As the router writes it.
    pub(super) path: &'static str,
    /// Who may ask.
    pub(super) access: Access,
    /// One line for readers.
    pub(super) summary: &'static str,
}

const fn route(method: &'static str, path: &'static str, access: Access, summary: &'static str) -> Route {
    Route { method, path, access, summary }
}

/// All of them, in the order of the documentation.
pub(super) const ROUTES: &[Route] = &[
    route("POST", "/v1/gate", Access::Scopes(&[Gate]), "May this session's next action go ahead?"),
    route("GET", "/v1/confirmations", Access::Scopes(&[Read]), "Actions that wait for a person, or did"),
    route(
        "GET",
        "/v1/confirmations/{id}",
        Access::Scopes(&[Gate, Read]),
        "One of them; waits for its answer if asked to",
    ),
    route("POST", "/v1/confirmations/{id}", Access::Scopes(&[Halt]), "A person's answer"),
    route("POST", "/v1/confirmations/{id}/callback", Access::Signed, "A person's answer by the harness, signed"),
    route("POST", "/v1/hooks/claude-code", Access::Scopes(&[Gate]), "A hook of Claude Code or the Agent SDK"),
    route("*", "/v1/authz", Access::Scopes(&[Gate]), "Envoy's ext_authz over HTTP"),
    route("*", "/v1/authz/{*path}", Access::Scopes(&[Gate]), "Envoy's ext_authz over HTTP"),
    route("POST", "/v1/events", Access::Scopes(&[Ingest]), "Events by HTTP: one, a JSON array, or one a line"),
    route("GET", "/v1/sessions", Access::Scopes(&[Read]), "Sessions, halted ones first"),
    route("GET", "/v1/sessions/{session}", Access::Scopes(&[Read]), "All that is known of one session"),
    route("POST", "/v1/sessions/{session}/halt", Access::Scopes(&[Halt]), "Halts a session"),
    route("POST", "/v1/sessions/{session}/resume", Access::Scopes(&[Halt]), "Releases a session"),
    route("POST", "/v1/sessions/{session}/tokens", Access::Scopes(&[Gate]), "A short-lived credential for this run"),
    route("GET", "/v1/halts", Access::Scopes(&[Read]), "Halts, the latest first"),
    route("GET", "/v1/halts/stream", Access::Scopes(&[Read]), "Halts and releases as they happen (server-sent events)"),
    route("GET", "/v1/findings", Access::Scopes(&[Read]), "The latest findings of this process"),
    route("GET", "/v1/findings/stream", Access::Scopes(&[Read]), "Findings as they happen (server-sent events)"),
    route("GET", "/v1/rules", Access::Scopes(&[Read]), "The rules in force and how often they hit"),
    route("POST", "/v1/rules/reload", Access::Unbound(&[Admin]), "Loads the rules anew"),
    route("POST", "/v1/rules/backtest", Access::Unbound(&[Admin]), "What other rules would have decided"),
    route("GET", "/v1/webhooks", Access::Unbound(&[Read]), "Webhook endpoints and how they are"),
    route("GET", "/v1/webhooks/{name}/deliveries", Access::Unbound(&[Read]), "The latest deliveries to one"),
    route("POST", "/v1/webhooks/{name}/test", Access::Unbound(&[Admin]), "Sends a test event"),
    route("POST", "/v1/webhooks/{name}/redeliver", Access::Unbound(&[Admin]), "Sends one once more"),
    route("GET", "/v1/audit", Access::Scopes(&[Admin]), "Who did what, the latest first"),
    route("GET", "/v1/whoami", Access::Scopes(&Scope::ALL), "Whose token it is and what it is good for"),
    route("GET", "/.well-known/jwks.json", Access::Open, "The keys by which run credentials are verified"),
    route("GET", "/healthz", Access::Open, "Whether the process answers"),
    route("GET", "/readyz", Access::Open, "Whether the gate may be believed"),
    route("GET", "/metrics", Access::Unbound(&[Read]), "Metrics for Prometheus"),
    route("GET", "/openapi.json", Access::Open, "This description"),
    route("GET", "/docs", Access::Open, "This description, for people"),
    route("GET", "/", Access::Open, "The console"),
    route("GET", "/assets/{file}", Access::Open, "What the console is made of"),
];

/// The route of a request, by what the router matched.
pub(super) fn find(method: &str, path: &str) -> Option<&'static Route> {
    // A router answers HEAD by GET.
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES.iter().find(|route| route.path == path && (route.method == method || route.method == "*"))
}

impl Route {
    /// How long its answer may take.
    pub(super) fn patience(&self) -> Duration {
        match self.path {
            "/v1/confirmations/{id}" => HTTP_TIMEOUT + CONFIRM_WAIT_MAX,
            // Rules are compiled, and events read, on a machine that has other things to do.
            "/v1/rules/reload" | "/v1/rules/backtest" => 4 * HTTP_TIMEOUT,
            _ => HTTP_TIMEOUT,
        }
    }

    /// Whether its body is JSON, so that a foreign page cannot send it.
    pub(super) fn takes_json(&self) -> bool {
        self.method == "POST"
    }
}
