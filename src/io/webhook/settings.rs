//! `[[webhooks]]`: what an operator writes, checked strictly before anything starts.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Deserializer};

use super::endpoint::{Endpoint, client};
use super::payload::EventType;
use super::sign::Secrets;
use crate::limits::WEBHOOKS_MAX;
use crate::time::Span;

const NAME_BYTES_MAX: usize = 64;
const MAX_AGE: Span = Span::seconds(86_400);

/// One receiver. `Debug` shows neither the secret nor the URL, which often holds one.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// What it is called in logs, metrics and its place in the outbox: lower-case letters, digits and
    /// single hyphens. Another name begins from the beginning of the outbox.
    pub name: String,
    /// Where to: `https`, or `http` to a loopback host.
    pub url: String,
    /// The signing secret, `whsec_…`; while rotating the new one, a space, and the old one.
    pub secret: Option<String>,
    /// A file that holds the same.
    pub secret_file: Option<PathBuf>,
    /// What to tell; everything if not given.
    #[serde(default = "all_events")]
    pub events: Vec<EventType>,
    /// How old a record may become before it is given up, such as `24h`.
    #[serde(default = "default_max_age", deserialize_with = "span")]
    pub max_age: Span,
    /// Allows `http` to hosts that are not this one: the body then goes in the clear.
    #[serde(default)]
    pub allow_http: bool,
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
        shown.field("name", &self.name).field("events", &self.events).field("max_age", &self.max_age);
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
    /// The client that all of them share cannot be built.
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
    let mut checked = Vec::with_capacity(settings.len());
    for one in settings {
        let problem = |problem| WebhookError::Endpoint { name: one.name.clone(), problem };
        check_name(&one.name).map_err(problem)?;
        if !names.insert(one.name.as_str()) {
            return Err(problem("expected a name of its own, got one that stands twice".to_owned()));
        }
        if one.events.is_empty() {
            return Err(problem("events: expected `session.halted`, `session.resumed` or both, got none".to_owned()));
        }
        let url = check_url(&one.url, one.allow_http).map_err(problem)?;
        checked.push((one, url, read_secrets(one).map_err(problem)?));
    }
    let is_https = checked.iter().any(|(_, url, _)| url.scheme() == "https");
    let client = client(is_https).map_err(WebhookError::Client)?;
    let endpoint = |(one, url, secrets): (&WebhookSettings, Url, Secrets)| {
        Endpoint::new(&one.name, url, secrets, &one.events, one.max_age, client.clone())
    };
    Ok(checked.into_iter().map(endpoint).collect())
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

/// Errors do not repeat the URL: it often holds a token.
fn check_url(text: &str, allow_http: bool) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("url: expected such as `https://example.org/halts`: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    if !["http", "https"].contains(&url.scheme()) || host.is_empty() {
        return Err(format!("url: expected `https://` or `http://` and a host, got scheme `{}`", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("url: expected none with a user or password in it; receivers check the signature".to_owned());
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(host) {
        return Err(format!(
            "url: expected `https://`, got `http://` to {host}, which is not this host; set allow_http = true to send in the clear"
        ));
    }
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read_secrets(settings: &WebhookSettings) -> Result<Secrets, String> {
    match (&settings.secret, &settings.secret_file) {
        (Some(secret), None) => secret.parse().map_err(|error| format!("secret: {error}")),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("secret_file: cannot read {}: {error}", file.display()))?;
            text.parse().map_err(|error| format!("secret_file: {}: {error}", file.display()))
        }
        (Some(_), Some(_)) => Err("expected either secret or secret_file, got both".to_owned()),
        (None, None) => Err("expected secret or secret_file, got neither".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

    fn parse(text: &str) -> WebhookSettings {
        toml::from_str(text).expect("settings")
    }

    fn with(name: &str, url: &str, more: &str) -> WebhookSettings {
        parse(&format!("name = '{name}'\nurl = '{url}'\n{more}"))
    }

    fn error(settings: &[WebhookSettings]) -> String {
        let error = endpoints(settings).expect_err("refused").to_string();
        assert!(!error.contains("MDEyMz") && !error.contains("token"), "{error}");
        error
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let settings = with("a", "https://example.org/x", "");
        assert_eq!((&*settings.events, settings.max_age), (&EventType::ALL[..], Span::seconds(86_400)));
        let settings = with("a", "https://example.org/x", "events = ['session.resumed']\nmax_age = '30m'");
        assert_eq!((&*settings.events, settings.max_age), (&[EventType::Resumed][..], Span::seconds(1_800)));
        assert!(endpoints(&[]).expect("none").is_empty());
    }

    #[test]
    fn what_is_unknown_or_malformed_is_refused_where_it_stands() {
        let rows = [
            ("name = 'a'\nurl = 'https://a'\nsecrt = 'x'", "unknown field `secrt`"),
            ("name = 'a'\nurl = 'https://a'\nevents = ['session.paused']", "unknown variant `session.paused`"),
            ("name = 'a'\nurl = 'https://a'\nmax_age = '1 day'", "expected a duration"),
            ("name = 'a'", "missing field `url`"),
        ];
        for (text, expected) in rows {
            let error = toml::from_str::<WebhookSettings>(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn names_are_kebab_case_and_stand_once() {
        let secret = format!("secret = '{SECRET}'");
        for name in ["a", "on-call", "7", "a-b-c"] {
            let all = endpoints(&[with(name, "https://example.org", &secret)]).expect(name);
            assert_eq!(all.iter().map(Endpoint::name).collect::<Vec<_>>(), [name]);
        }
        for name in ["", "A", "a_b", "-a", "a-", "a--b", "a b", "ü", &"a".repeat(65)] {
            assert!(error(&[with(name, "https://example.org", &secret)]).contains("name: expected"), "{name}");
        }
        let same = with("a", "https://example.org", &secret);
        assert!(error(&[same.clone(), same]).contains("webhook `a`: expected a name of its own"));
        let many: Vec<_> = (0..33).map(|n| with(&format!("n{n}"), "https://example.org", &secret)).collect();
        assert_eq!(error(&many), "webhooks: expected at most 32, got 33");
    }

    #[test]
    fn urls_are_https_or_stay_on_this_host() {
        let secret = format!("secret = '{SECRET}'");
        let allowed = format!("{secret}\nallow_http = true");
        let good = [
            ("https://example.org/token", &secret),
            ("http://localhost:9/token", &secret),
            ("http://127.1.2.3/token", &secret),
            ("http://[::1]:80/token", &secret),
            ("http://example.org/token", &allowed),
        ];
        for (url, more) in good {
            assert!(endpoints(&[with("a", url, more)]).is_ok(), "{url}");
        }
        let bad = [
            ("http://example.org/token", &secret, "set allow_http = true"),
            ("http://localhost.example.org/token", &secret, "set allow_http = true"),
            ("http://10.0.0.1/token", &secret, "set allow_http = true"),
            ("ftp://example.org/token", &allowed, "got scheme `ftp`"),
            ("unix:/token", &allowed, "got scheme `unix`"),
            ("https://user:token@example.org", &allowed, "user or password"),
            ("https://token@example.org", &allowed, "user or password"),
            ("example.org/token", &allowed, "relative URL"),
            ("https://", &allowed, "empty host"),
        ];
        for (url, more, expected) in bad {
            let error = error(&[with("a", url, more)]);
            assert!(error.contains(expected), "{url}: {error}");
        }
    }

    #[test]
    fn the_secret_comes_from_one_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            format!("secret_file = '{}'", path.display())
        };
        for text in [format!("{SECRET}\n"), format!(" {SECRET}\r\n"), format!("{SECRET}\n{SECRET}\n")] {
            endpoints(&[with("a", "https://example.org", &file("good", &text))]).expect("trimmed");
        }
        let both = format!("secret = '{SECRET}'\n{}", file("both", SECRET));
        let rows = [
            (String::new(), "got neither"),
            (both, "got both"),
            (file("empty", "\n"), "expected one secret"),
            (file("short", "whsec_MDEyMzQ1"), "got 6 bytes"),
            ("secret_file = '/nowhere/at/all'".to_owned(), "cannot read /nowhere/at/all"),
            ("secret = 'MDEyMzQ1Njc4OTAx'".to_owned(), "secret: expected `whsec_`"),
            (format!("secret = '{SECRET}'\nevents = []"), "got none"),
        ];
        for (more, expected) in rows {
            let error = error(&[with("a", "https://example.org", &more)]);
            assert!(error.contains(expected), "{error}");
        }
        let shown = format!("{:?}", with("a", "https://example.org/token", &format!("secret = '{SECRET}'")));
        assert!(!shown.contains("MDEy") && !shown.contains("token"), "{shown}");
    }
}
