//! Every route against everything that must not get through: wrong tokens, scopes, tenants, methods, bodies.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::access::Scope;
use super::routes::{Access, ROUTES, Route};
use super::tests::{Answer, PLAIN, Place, Setup};
use crate::limits::HTTP_BODY_BYTES_MAX;

/// Tokens named after what they are good for; their digests are of `hl_NAME`.
const TOKENS: &str = concat!(
    "[[tokens]]\nname = 'ingest'\nhash = 'sha256:INGEST'\nscopes = ['ingest']\n",
    "[[tokens]]\nname = 'gate'\nhash = 'sha256:GATE'\nscopes = ['gate']\n",
    "[[tokens]]\nname = 'read'\nhash = 'sha256:READ'\nscopes = ['read']\n",
    "[[tokens]]\nname = 'halt'\nhash = 'sha256:HALT'\nscopes = ['halt']\n",
    "[[tokens]]\nname = 'admin'\nhash = 'sha256:ADMIN'\nscopes = ['admin']\n",
    "[[tokens]]\nname = 'acme'\nhash = 'sha256:ACME'\nscopes = ['admin']\ntenant = 'acme'\n",
    "[[tokens]]\nname = 'old'\nhash = 'sha256:OLD'\nscopes = ['admin']\nexpires = '2020-01-01T00:00:00Z'\n",
);

async fn guarded() -> Place {
    let mut tokens = TOKENS.to_owned();
    for name in ["ingest", "gate", "read", "halt", "admin", "acme", "old"] {
        let hash = super::token_hash(&format!("hl_{name}"));
        tokens = tokens.replace(&format!("sha256:{}", name.to_uppercase()), &hash);
    }
    Place::start(Setup { http: Box::leak(tokens.into_boxed_str()), ..PLAIN() }).await
}

fn path(route: &Route) -> String {
    let path = route.path.replace("{session}", "s").replace("{name}", "w").replace("{id}", "c_1");
    path.replace("{*path}", "mcp/x").replace("{file}", "app.js")
}

fn method(route: &Route) -> &'static str {
    if route.method == "*" { "POST" } else { route.method }
}

async fn ask(place: &Place, route: &Route, query: &str, token: Option<&str>, body: &str) -> Answer {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let headers = format!("host: localhost\r\ncontent-type: application/json\r\n{token}");
    place.send(method(route), &format!("{}{query}", path(route)), &headers, body).await
}

fn code(answer: &Answer) -> Value {
    answer.json()["error"]["code"].clone()
}

fn scopes(route: &Route) -> Option<&'static [Scope]> {
    match route.access {
        Access::Scopes(scopes) | Access::Unbound(scopes) => Some(scopes),
        Access::Open | Access::Signed => None,
    }
}

/// Streams never end, so nothing that reads to the end may ask for them.
fn ends(route: &Route) -> bool {
    !route.path.ends_with("/stream")
}

#[tokio::test]
async fn nobody_gets_through_without_the_right_token() {
    let place = guarded().await;
    for route in ROUTES {
        let Some(scopes) = scopes(route) else { continue };
        for token in [None, Some("hl_nobody"), Some(""), Some("hl_old"), Some("hl_Admin"), Some("hl_admin x")] {
            let answer = ask(&place, route, "", token, "{}").await;
            let at = format!("{} {} {token:?}", route.method, route.path);
            assert_eq!((answer.status, code(&answer)), (401, json!("unauthorized")), "{at}");
            assert!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")), "{at}");
            assert!(!answer.body.contains("hl_"), "{at}: a token is not repeated");
        }
        for scope in Scope::ALL.into_iter().filter(|scope| !scopes.contains(scope) && *scope != Scope::Admin) {
            let answer = ask(&place, route, "", Some(&format!("hl_{}", scope.as_str())), "{}").await;
            assert_eq!((answer.status, code(&answer)), (403, json!("forbidden")), "{} {scope:?}", route.path);
        }
        if ends(route) {
            for scope in scopes.iter().chain([&Scope::Admin]) {
                let answer = ask(&place, route, "", Some(&format!("hl_{}", scope.as_str())), "{}").await;
                assert!(![401, 429].contains(&answer.status), "{} {scope:?}: {}", route.path, answer.body);
                assert_ne!(code_or_none(&answer), json!("forbidden"), "{} {scope:?}", route.path);
            }
        }
    }
}

fn code_or_none(answer: &Answer) -> Value {
    serde_json::from_str::<Value>(&answer.body).map_or(Value::Null, |json| json["error"]["code"].clone())
}

#[tokio::test]
async fn no_tenant_gets_at_anothers() {
    let place = guarded().await;
    let other = r#"{"session":"s","tenant":"globex","by":"ana","reason":"x","tools":["*"]}"#;
    let event = r#"{"v":1,"session":"s","tenant":"globex","kind":"message","text":"x"}"#;
    for route in ROUTES.iter().filter(|route| scopes(route).is_some()) {
        let at = format!("{} {}", route.method, route.path);
        let (query, body) = match route.path {
            "/v1/gate" => ("", other),
            "/v1/events" => ("", event),
            // Named by a header.
            "/v1/authz" | "/v1/authz/{*path}" => {
                let headers = "host: localhost\r\nauthorization: Bearer hl_acme\r\nx-agent-session: s\r\nx-agent-tenant: globex\r\n";
                let answer = place.send("POST", &path(route), headers, "").await;
                assert_eq!((answer.status, code(&answer)), (403, json!("wrong_tenant")), "{at}");
                continue;
            }
            "/v1/hooks/claude-code" => ("?tenant=globex", r#"{"hook_event_name":"Stop","session_id":"s"}"#),
            // Known by an id: another tenant's is as if there were none, see `decide_tests`.
            "/v1/confirmations/{id}" | "/v1/whoami" => continue,
            // The same for all; how often they hit is not told.
            "/v1/rules" => {
                let rules = ask(&place, route, "", Some("hl_acme"), "").await.json();
                assert!(rules["rules"][0]["id"].is_string() && rules["rules"][0]["hits"].is_null(), "{at}");
                continue;
            }
            _ => ("?tenant=globex", other),
        };
        let answer = ask(&place, route, query, Some("hl_acme"), body).await;
        let expected = if matches!(route.access, Access::Unbound(_)) { "forbidden" } else { "wrong_tenant" };
        assert_eq!((answer.status, code(&answer)), (403, json!(expected)), "{at}: {}", answer.body);
    }
    assert_eq!(place.ledger.events(0, 10).expect("reads").len(), 0);
    let unnamed = r#"{"v":1,"session":"s","kind":"message","text":"x"}"#;
    let headers = "host: localhost\r\nauthorization: Bearer hl_acme\r\ncontent-type: application/json\r\n";
    let answer = place.send("POST", "/v1/events", headers, unnamed).await;
    assert_eq!((answer.status, code(&answer)), (403, json!("wrong_tenant")), "belongs to `default`");
    let own = place.send("POST", "/v1/sessions/s/halt", headers, r#"{"by":"ana","reason":"x"}"#).await;
    assert_eq!((own.status, &own.json()["tenant"]), (200, &json!("acme")), "the token's tenant is meant");
}

#[tokio::test]
async fn every_route_knows_its_methods_and_bodies() {
    let place = Place::plain().await;
    for route in ROUTES {
        let at = format!("{} {}", route.method, route.path);
        if route.method != "*" {
            for wrong in ["DELETE", "PUT", "PATCH", "OPTIONS"] {
                let answer = place.send(wrong, &path(route), "host: localhost\r\n", "").await;
                assert_eq!((answer.status, code(&answer)), (405, json!("wrong_method")), "{wrong} {at}");
                assert!(answer.header("allow").is_some_and(|allow| allow.contains(route.method)), "{at}");
            }
        }
        if route.method != "POST" {
            continue;
        }
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n",
            path(route)
        );
        let too_long = place.raw(format!("{head}content-length: {}\r\n\r\n", HTTP_BODY_BYTES_MAX + 1).as_bytes()).await;
        assert_eq!((too_long.status, code(&too_long)), (413, json!("body_too_large")), "{at}");
        for body in ["", "nonsense", "{", "[1,2", "\u{0}"] {
            let answer = place.post(&path(route), body).await;
            assert!([400, 401, 422].contains(&answer.status), "{at} {body}: {} {}", answer.status, answer.body);
            assert!(answer.json()["error"]["message"].as_str().is_some_and(|text| text.contains("expected")), "{at}");
        }
        let plain = place.send("POST", &path(route), "host: localhost\r\ncontent-type: text/plain\r\n", "{}").await;
        assert_eq!((plain.status, code(&plain)), (415, json!("bad_content_type")), "{at}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let place = Place::start(Setup { patience: Some(Duration::from_millis(200)), ..PLAIN() }).await;
    for route in ROUTES.iter().filter(|route| route.method == "POST") {
        let mut stream = TcpStream::connect(place.address).await.expect("connects");
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{{",
            path(route)
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("answered and closed");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"timeout\""), "{}: {answer}", route.path);
    }
}

#[tokio::test]
async fn the_description_names_every_route_and_only_those() {
    let place = Place::plain().await;
    let description = place.get("/openapi.json").await.json();
    let paths = description["paths"].as_object().expect("paths");
    for route in ROUTES {
        let item = &paths[&route.path.replace("{*path}", "{path}")];
        let method = if route.method == "*" { "post".to_owned() } else { route.method.to_lowercase() };
        let operation = &item[&method];
        assert_eq!(operation["summary"], route.summary, "{} {}", route.method, route.path);
        let needs_token = !matches!(route.access, Access::Open | Access::Signed);
        assert_eq!(operation["security"].is_array(), needs_token, "{}", route.path);
    }
    assert_eq!(paths.len(), ROUTES.iter().map(|route| route.path).collect::<std::collections::BTreeSet<_>>().len());
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(description["components"]["schemas"][name].is_object(), "{name} is referred to");
    }
}
