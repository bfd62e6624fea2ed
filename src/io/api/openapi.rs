//! `GET /openapi.json` and `/docs`: the API described from the table of routes and the types of its answers.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::error::ErrorAnswer;
use super::routes::{Access, ROUTES, Route};
use super::{
    answer, audit, confirmations, console, credentials, events, gate, hooks, lists, orders, rules, sessions, streams,
    webhooks,
};

/// A type's schema, its parts put among the components.
type Of = fn(&mut SchemaGenerator) -> Schema;

/// What one route takes and gives.
#[derive(Default)]
struct Shape {
    query: Option<Of>,
    body: Option<Of>,
    /// Status, content type and schema of a good answer.
    answers: Vec<(u16, &'static str, Option<Of>)>,
    /// Statuses beside those that every route has.
    errors: &'static [u16],
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn any(_: &mut SchemaGenerator) -> Schema {
    Schema::default()
}

fn object(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "object"})
}

const JSON: &str = "application/json";

fn get<A: JsonSchema>() -> Shape {
    Shape { answers: vec![(200, JSON, Some(of::<A>))], ..Shape::default() }
}

fn listed<Q: JsonSchema, A: JsonSchema>() -> Shape {
    Shape { query: Some(of::<Q>), ..get::<A>() }
}

fn posted<B: JsonSchema, A: JsonSchema>(errors: &'static [u16]) -> Shape {
    Shape { body: Some(of::<B>), errors, ..get::<A>() }
}

fn text(content_type: &'static str) -> Shape {
    Shape { answers: vec![(200, content_type, None)], ..Shape::default() }
}

fn shape(route: &Route) -> Shape {
    match (route.method, route.path) {
        ("POST", "/v1/gate") => posted::<gate::Question, gate::Answer>(&[503]),
        ("GET", "/v1/confirmations") => listed::<confirmations::ListParams, confirmations::List>(),
        ("GET", "/v1/confirmations/{id}") => {
            Shape { errors: &[404], ..listed::<confirmations::WaitParams, crate::io::confirm::Confirmation>() }
        }
        ("POST", "/v1/confirmations/{id}" | "/v1/confirmations/{id}/callback") => {
            posted::<confirmations::Body, crate::io::confirm::Confirmation>(&[404, 409, 503])
        }
        ("POST", "/v1/hooks/claude-code") => Shape {
            query: Some(of::<hooks::HookParams>),
            body: Some(object),
            answers: vec![(200, JSON, Some(object))],
            errors: &[503],
        },
        (_, "/v1/authz" | "/v1/authz/{*path}") => {
            Shape { answers: vec![(200, "", None), (403, "", None)], errors: &[503], ..Shape::default() }
        }
        ("POST", "/v1/events") => Shape { body: Some(any), ..posted::<Value, events::Accepted>(&[409, 503]) },
        ("GET", "/v1/sessions") => Shape { errors: &[503], ..listed::<sessions::ListParams, sessions::SessionList>() },
        ("GET", "/v1/sessions/{session}") => {
            let page = Some(of::<sessions::SessionPage> as Of);
            Shape { answers: vec![(200, JSON, page), (404, JSON, page)], errors: &[503], ..Shape::default() }
        }
        ("POST", "/v1/sessions/{session}/halt" | "/v1/sessions/{session}/resume") => {
            posted::<orders::Body, orders::OrderAnswer>(&[503])
        }
        ("POST", "/v1/sessions/{session}/tokens") => posted::<credentials::Body, credentials::TokenAnswer>(&[503]),
        ("GET", "/v1/halts") => Shape { errors: &[503], ..listed::<lists::HaltParams, lists::HaltList>() },
        ("GET", "/v1/findings") => listed::<lists::FindingParams, lists::FindingList>(),
        ("GET", "/v1/halts/stream" | "/v1/findings/stream") => {
            Shape { query: Some(of::<streams::StreamParams>), errors: &[503], ..text("text/event-stream") }
        }
        ("GET", "/v1/rules") => get::<rules::RuleList>(),
        ("POST", "/v1/rules/reload") => posted::<orders::Body, rules::Reloaded>(&[503]),
        ("POST", "/v1/rules/backtest") => posted::<rules::BacktestBody, rules::Backtest>(&[]),
        ("GET", "/v1/webhooks") => get::<webhooks::WebhookList>(),
        ("GET", "/v1/webhooks/{name}/deliveries") => {
            Shape { errors: &[404], ..listed::<webhooks::DeliveryParams, webhooks::DeliveryList>() }
        }
        ("POST", "/v1/webhooks/{name}/test") => {
            posted::<webhooks::TestBody, crate::io::webhook::TestResult>(&[404, 503])
        }
        ("POST", "/v1/webhooks/{name}/redeliver") => Shape {
            answers: vec![(202, JSON, Some(of::<webhooks::Queued>))],
            ..posted::<webhooks::RedeliverBody, webhooks::Queued>(&[404, 409, 503])
        },
        ("GET", "/v1/audit") => listed::<audit::AuditParams, audit::AuditList>(),
        ("GET", "/v1/whoami") => get::<lists::WhoAmI>(),
        ("GET", "/readyz") => {
            Shape { answers: vec![(200, JSON, Some(object)), (503, JSON, Some(object))], ..Shape::default() }
        }
        ("GET", "/metrics") => text("text/plain"),
        ("GET", "/docs" | "/") => text("text/html"),
        ("GET", "/assets/{file}") => Shape { errors: &[404], ..text("text/javascript") },
        _ => Shape { answers: vec![(200, JSON, Some(object))], ..Shape::default() },
    }
}

/// The description, OpenAPI 3.1.
#[must_use]
pub fn description() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let _ = generator.subschema_for::<answer::HaltBody>();
    let mut paths = Map::new();
    for route in ROUTES {
        // A path has one description, whatever the router calls what is behind it.
        let path = route.path.replace("{*path}", "{path}");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        let methods: &[&str] = if route.method == "*" { &["get", "post"] } else { &[""] };
        for method in methods {
            let method = if method.is_empty() { route.method.to_lowercase() } else { (*method).to_owned() };
            let operation = operation(route, &method, &mut generator);
            if let Some(item) = item.as_object_mut() {
                item.insert(method, operation);
            }
        }
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Haltline control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Whether an agent's next action may go ahead, who is halted and why, and orders of operators.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token of http.tokens"}},
        },
    })
}

fn operation(route: &Route, method: &str, generator: &mut SchemaGenerator) -> Value {
    let shape = shape(route);
    let name: String = route.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let mut operation = json!({
        "operationId": format!("{method}{}", name.trim_end_matches('_')),
        "summary": route.summary,
        "responses": responses(route, &shape, generator),
    });
    let parameters = parameters(route, &shape, generator);
    let Some(fields) = operation.as_object_mut() else { return operation };
    if !parameters.is_empty() {
        fields.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if let Some(body) = shape.body {
        let body = json!({"required": true, "content": {JSON: {"schema": body(generator)}}});
        fields.insert("requestBody".to_owned(), body);
    }
    let (scopes, unbound) = match route.access {
        Access::Open | Access::Signed => return operation,
        Access::Scopes(scopes) => (scopes, false),
        Access::Unbound(scopes) => (scopes, true),
    };
    fields.insert("security".to_owned(), json!([{"token": []}]));
    let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let bound = if unbound { " and bound to no tenant" } else { "" };
    let needs = format!("Needs a token with scope `{}`{bound}.", names.join("` or `"));
    fields.insert("description".to_owned(), json!(needs));
    operation
}

/// What stands in the path, and in the query.
fn parameters(route: &Route, shape: &Shape, generator: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in route.path.split(['{', '}']).skip(1).step_by(2) {
        let schema = json!({"type": "string", "minLength": 1});
        let name = name.trim_start_matches('*');
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    if route.path.starts_with("/v1/sessions/{session}") {
        let schema = json!({"type": "string", "maxLength": 256});
        parameters.push(json!({"name": "tenant", "in": "query", "schema": schema}));
    }
    let Some(query) = shape.query else { return parameters };
    let named = query(generator);
    let name = named.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()).map(str::to_owned);
    let whole = name.and_then(|name| generator.definitions_mut().remove(&name));
    let Some(whole) = whole else { return parameters };
    for (name, schema) in whole.get("properties").and_then(Value::as_object).into_iter().flatten() {
        parameters.push(json!({"name": name, "in": "query", "schema": schema}));
    }
    parameters
}

fn responses(route: &Route, shape: &Shape, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for (status, content_type, schema) in &shape.answers {
        let mut answer = json!({"description": "As asked for"});
        let content = match schema {
            Some(schema) => json!({*content_type: {"schema": schema(generator)}}),
            None => json!({*content_type: {}}),
        };
        // Headers say it all where there is no type.
        if let Some(answer) = answer.as_object_mut().filter(|_| !content_type.is_empty()) {
            answer.insert("content".to_owned(), content);
        }
        responses.insert(status.to_string(), answer);
    }
    let error = generator.subschema_for::<ErrorAnswer>();
    let mut errors: Vec<u16> = shape.errors.to_vec();
    errors.extend([400, 421]);
    match route.access {
        Access::Open => {}
        Access::Signed => errors.push(401),
        Access::Scopes(_) | Access::Unbound(_) => errors.extend([401, 403, 429]),
    }
    if route.takes_json() {
        errors.extend([413, 415, 422]);
    }
    errors.push(503);
    for status in errors {
        let answer = json!({"description": "Not done, and why", "content": {JSON: {"schema": error}}});
        responses.entry(status.to_string()).or_insert(answer);
    }
    Value::Object(responses)
}

/// The same as text, as it is committed.
#[must_use]
pub fn description_text() -> String {
    let mut text = serde_json::to_string_pretty(&description()).unwrap_or_default();
    text.push('\n');
    text
}

static TEXT: LazyLock<String> = LazyLock::new(|| serde_json::to_string(&description()).unwrap_or_default());

pub(super) async fn json() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON))], TEXT.as_str()).into_response()
}

const PAGE: &str = include_str!("docs/page.html");

pub(super) async fn page() -> Response {
    console::answer("text/html; charset=utf-8", PAGE)
}
