//! Asking a running Haltline: the client, the token, and what goes wrong in words.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url, redirect};
use serde_json::Value;

/// Environment variable with the token.
pub(super) const TOKEN_VARIABLE: &str = "HALTLINE_TOKEN";
/// Largest token file, in bytes.
const TOKEN_BYTES_MAX: u64 = 4_096;
/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where it is and whose token is shown.
#[derive(Debug, Args)]
pub(super) struct RemoteArgs {
    /// Where Haltline's control plane is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8088", global = true)]
    url: String,
    /// File with a token; without it the environment variable HALTLINE_TOKEN counts.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

impl RemoteArgs {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// What was expected and what came, in words.
    pub(super) fn ask(
        &self,
        path: &[&str],
        query: &[(&str, Option<&str>)],
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let expected = "expected --url to be like http://127.0.0.1:8088";
        let mut url = Url::parse(&self.url).map_err(|error| format!("{expected}: {error}"))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(format!("{expected}, got another scheme than http and https"));
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let token = match &self.token_file {
            Some(file) => Some(token_in(file)?),
            None => std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.trim().is_empty()),
        };
        let authorization = token.as_deref().map(str::trim).map(bearer).transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("expected a runtime: {error}"))?;
        runtime.block_on(send(url, authorization, body))
    }
}

async fn send(url: Url, authorization: Option<HeaderValue>, body: Option<&Value>) -> Result<Value, String> {
    let (client, origin) = (client(&url)?, url.origin().ascii_serialization());
    let mut request = match body {
        Some(body) => client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string()),
        None => client.get(url),
    };
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let failed = |error: reqwest::Error| format!("expected an answer from {origin}: {}", explain(error));
    let response = request.timeout(TIMEOUT).send().await.map_err(failed)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(failed)?;
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    match json {
        Some(json) if status.is_success() => Ok(json),
        Some(json) => {
            let why = json.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason was given");
            Err(format!("{origin} answers {}: {why}", status.as_u16()))
        }
        None => Err(format!("expected JSON from {origin}, got an answer {}", status.as_u16())),
    }
}

/// Redirects are not followed and proxies not taken from the environment: the question goes where the command
/// line says. Where no certificate has to be checked, those of the system are not read.
pub(super) fn client(url: &Url) -> Result<Client, String> {
    // An error says that a provider is there already, which will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(concat!("haltline/", env!("CARGO_PKG_VERSION")));
    let builder = if url.scheme() == "https" { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| format!("expected an HTTP client: {}", explain(error)))
}

/// The error and its causes, without the URL.
pub(super) fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let first: &(dyn std::error::Error + 'static) = &error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub(super) fn token_in(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|open| open.take(TOKEN_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| format!("expected a token in {}: {error}", file.display()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("expected a token in {}, got an empty file", file.display()));
    }
    Ok(token.to_owned())
}

/// The header of a token; what it says of a bad one does not show it.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, String> {
    let is_good = token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_good);
    let mut value = value.ok_or("expected a token of letters, digits and signs on one line, got something else")?;
    value.set_sensitive(true);
    Ok(value)
}
