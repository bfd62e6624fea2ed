//! The settings of one endpoint, checked. What belongs to another kind is refused where it stands: a
//! secret that is silently not used is worse than none. Errors repeat no URL and no secret.

use std::path::Path;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::filter::Filter;
use super::guard::Guard;
use super::settings::WebhookSettings;
use super::sign::Secrets;
use super::target::{Control, Kind, Target};
use super::template::Template;
use crate::limits::WEBHOOK_LIST_MAX;
use crate::rules::Glob;

const NAME_BYTES_MAX: usize = 64;
/// Where events of PagerDuty go, but for its European region.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";
const ALERTS_PATH: &str = "api/v2/alerts";
/// Labels that say which alert it is; `severity` may be set anew, since routes know their own words.
const OWN_LABELS: [&str; 5] = ["alertname", "tenant", "session", "incident", "rule"];
/// Headers that are not for tokens.
const OWN_HEADERS: [&str; 8] = [
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "host",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];
const LABEL_CHARS_MAX: usize = 256;

/// What an endpoint is made of.
pub(super) struct Checked {
    pub(super) target: Target,
    pub(super) token: Option<(HeaderName, HeaderValue)>,
    pub(super) filter: Filter,
    pub(super) guard: Guard,
    pub(super) is_https: bool,
}

pub(super) fn check(settings: &WebhookSettings) -> Result<Checked, String> {
    check_name(&settings.name)?;
    check_belongs(settings)?;
    let allow = bounded("allow_networks", &settings.allow_networks)?;
    let guard = Guard::new(settings.networks, allow).map_err(|error| format!("allow_networks: {error}"))?;
    let url = url_text(settings)?;
    let (target, is_https) = target(settings, &guard, &url)?;
    let filter = filter(settings)?;
    Ok(Checked { target, token: token(settings)?, filter, guard, is_https })
}

fn check_name(name: &str) -> Result<(), String> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if name.len() <= NAME_BYTES_MAX && name.split('-').all(is_word) {
        return Ok(());
    }
    Err(format!(
        "name: expected at most {NAME_BYTES_MAX} lower-case letters, digits and single hyphens, such as `on-call`"
    ))
}

/// Refuses what another kind would use.
fn check_belongs(settings: &WebhookSettings) -> Result<(), String> {
    use Kind::{Alertmanager, Control, PagerDuty, Standard};
    let given: [(&str, bool, &[Kind]); 10] = [
        ("secret", settings.secret.is_some(), &[Standard, Control]),
        ("secret_file", settings.secret_file.is_some(), &[Standard, Control]),
        ("routing_key", settings.routing_key.is_some(), &[PagerDuty]),
        ("routing_key_file", settings.routing_key_file.is_some(), &[PagerDuty]),
        ("labels", !settings.labels.is_empty(), &[Alertmanager]),
        ("method", settings.method.is_some(), &[Control]),
        ("resume_url", settings.resume_url.is_some(), &[Control]),
        ("token", settings.token.is_some(), &[Standard, Alertmanager, Control]),
        ("token_file", settings.token_file.is_some(), &[Standard, Alertmanager, Control]),
        ("token_header", settings.token_header.is_some(), &[Standard, Alertmanager, Control]),
    ];
    let stray = given.iter().find(|(_, is_given, kinds)| *is_given && !kinds.contains(&settings.kind));
    let Some((name, _, kinds)) = stray else { return Ok(()) };
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
    Err(format!("{name}: expected only with kind {}, got kind `{}`", kinds.join(", "), settings.kind.as_str()))
}

fn target(settings: &WebhookSettings, guard: &Guard, text: &str) -> Result<(Target, bool), String> {
    let plain = || check_url("url", text, settings.allow_http, guard);
    let target = match settings.kind {
        Kind::Control => return control(settings, guard, text),
        Kind::Standard => {
            let secrets = secrets(settings)?.ok_or("expected secret or secret_file, got neither")?;
            Target::Standard { url: plain()?, secrets }
        }
        Kind::Slack => Target::Slack { url: plain()? },
        Kind::PagerDuty => Target::PagerDuty { url: plain()?, routing_key: routing_key(settings)? },
        Kind::Alertmanager => {
            check_labels(settings)?;
            Target::Alertmanager { url: alerts_url(plain()?), labels: settings.labels.clone() }
        }
    };
    Ok((target, plain()?.scheme() == "https"))
}

fn control(settings: &WebhookSettings, guard: &Guard, text: &str) -> Result<(Target, bool), String> {
    let template = |name: &str, text: &str| -> Result<Template, String> {
        let template = Template::parse(text).map_err(|error| format!("{name}: {error}"))?;
        check_url(name, template.sample().as_str(), settings.allow_http, guard)?;
        if template.names_the_session() {
            Ok(template)
        } else {
            Err(format!("{name}: expected `{{session}}` in path or query, got a URL that is the same for all sessions"))
        }
    };
    let stop = template("url", text)?;
    let resume = settings.resume_url.as_deref().map(|text| template("resume_url", text)).transpose()?;
    let method = match settings.method.as_deref() {
        None | Some("POST") => Method::POST,
        Some("PUT") => Method::PUT,
        Some("PATCH") => Method::PATCH,
        Some("DELETE") => Method::DELETE,
        Some(other) => {
            return Err(format!("method: expected `POST`, `PUT`, `PATCH` or `DELETE`, got `{other}`"));
        }
    };
    let templates = [Some(&stop), resume.as_ref()];
    let is_https = templates.iter().flatten().any(|template| template.sample().scheme() == "https");
    Ok((Target::Control(Control { method, stop, resume, secrets: secrets(settings)? }), is_https))
}

fn url_text(settings: &WebhookSettings) -> Result<String, String> {
    match one_of(("url", settings.url.as_ref()), ("url_file", settings.url_file.as_deref()))? {
        Some(url) => Ok(url),
        None if settings.kind == Kind::PagerDuty => Ok(PAGERDUTY_URL.to_owned()),
        None => Err("expected url or url_file, got neither".to_owned()),
    }
}

/// Errors do not repeat the URL: it often holds a token.
fn check_url(name: &str, text: &str, allow_http: bool, guard: &Guard) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("{name}: expected such as `https://example.org/halts`: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    if !["http", "https"].contains(&url.scheme()) || host.is_empty() {
        return Err(format!("{name}: expected `https://` or `http://` and a host, got scheme `{}`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("{name}: expected none with a user or password in it; a header can let requests in"));
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(host) {
        return Err(format!(
            "{name}: expected `https://`, got `http://` to {host}, which is not this host; set allow_http = true to send in the clear"
        ));
    }
    guard.check(&url).map_err(|error| format!("{name}: {error}"))?;
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The server's URL with the path of its API, which may stand there already.
fn alerts_url(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(ALERTS_PATH) {
        url.set_path(&format!("{path}/{ALERTS_PATH}"));
    }
    url
}

fn filter(settings: &WebhookSettings) -> Result<Filter, String> {
    if settings.events.is_empty() {
        return Err("events: expected `session.halted`, `session.resumed` or both, got none".to_owned());
    }
    let globs = |name: &str, list: &[String]| -> Result<Vec<Glob>, String> {
        if list.iter().any(String::is_empty) {
            return Err(format!("{name}: expected patterns, got an empty one"));
        }
        Ok(bounded(name, list)?.iter().map(Glob::new).collect())
    };
    Ok(Filter {
        events: settings.events.clone(),
        tenants: globs("tenants", &settings.tenants)?,
        rules: globs("rules", &settings.rules)?,
        min_severity: settings.min_severity,
    })
}

fn bounded<'l>(name: &str, list: &'l [String]) -> Result<&'l [String], String> {
    if list.len() <= WEBHOOK_LIST_MAX {
        return Ok(list);
    }
    Err(format!("{name}: expected at most {WEBHOOK_LIST_MAX}, got {}", list.len()))
}

fn check_labels(settings: &WebhookSettings) -> Result<(), String> {
    if settings.labels.len() > WEBHOOK_LIST_MAX {
        return Err(format!("labels: expected at most {WEBHOOK_LIST_MAX}, got {}", settings.labels.len()));
    }
    let is_name = |name: &str| {
        let good = |(n, b): (usize, u8)| b.is_ascii_alphabetic() || b == b'_' || (n > 0 && b.is_ascii_digit());
        !name.is_empty() && name.bytes().enumerate().all(good)
    };
    for (name, value) in &settings.labels {
        if !is_name(name) || OWN_LABELS.contains(&name.as_str()) {
            return Err(format!(
                "labels: expected names of letters, digits and `_` other than {}, got `{name}`",
                OWN_LABELS.join(", ")
            ));
        }
        if value.chars().count() > LABEL_CHARS_MAX {
            return Err(format!("labels.{name}: expected at most {LABEL_CHARS_MAX} characters"));
        }
    }
    Ok(())
}

fn secrets(settings: &WebhookSettings) -> Result<Option<Secrets>, String> {
    let name = if settings.secret.is_some() { "secret" } else { "secret_file" };
    let text = one_of(("secret", settings.secret.as_ref()), ("secret_file", settings.secret_file.as_deref()))?;
    text.map(|text| text.parse().map_err(|error| format!("{name}: {error}"))).transpose()
}

fn routing_key(settings: &WebhookSettings) -> Result<String, String> {
    let file = settings.routing_key_file.as_deref();
    let key = one_of(("routing_key", settings.routing_key.as_ref()), ("routing_key_file", file))?;
    let key = key.ok_or("expected routing_key or routing_key_file, got neither")?;
    // PagerDuty's are 32 of them; a proxy in between may have its own.
    let is_good = (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_good { Ok(key) } else { Err("routing_key: expected 1 to 128 letters and digits".to_owned()) }
}

fn token(settings: &WebhookSettings) -> Result<Option<(HeaderName, HeaderValue)>, String> {
    let token = one_of(("token", settings.token.as_ref()), ("token_file", settings.token_file.as_deref()))?;
    let Some(token) = token else {
        return match settings.token_header {
            Some(_) => Err("token_header: expected token or token_file besides, got neither".to_owned()),
            None => Ok(None),
        };
    };
    let expected = "token: expected visible ASCII characters without spaces";
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(expected.to_owned());
    }
    let (name, value) = match &settings.token_header {
        None => (AUTHORIZATION, format!("Bearer {token}")),
        Some(header) => {
            let name = HeaderName::try_from(header.as_str()).ok();
            let name = name.filter(|name| !OWN_HEADERS.contains(&name.as_str()));
            let named = || format!("token_header: expected a header such as `X-Api-Key`, got `{header}`");
            (name.ok_or_else(named)?, token)
        }
    };
    let mut value = HeaderValue::try_from(value).map_err(|_| expected.to_owned())?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// A text that stands in the settings or in a file, not in both. White space around it is dropped.
fn one_of(
    (name, text): (&str, Option<&String>),
    (file_name, file): (&str, Option<&Path>),
) -> Result<Option<String>, String> {
    match (text, file) {
        (Some(_), Some(_)) => Err(format!("expected either {name} or {file_name}, got both")),
        (Some(text), None) => Ok(Some(text.trim().to_owned())),
        (None, None) => Ok(None),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map(|text| Some(text.trim().to_owned()))
            .map_err(|error| format!("{file_name}: cannot read {}: {error}", file.display())),
    }
}
