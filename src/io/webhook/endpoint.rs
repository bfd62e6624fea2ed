//! One receiver, and one attempt at it.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Url, redirect};

use super::payload::{EventType, body};
use super::retry::{Outcome, Schedule};
use super::sign::Secrets;
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::time::Span;

/// A receiver that is slower than this to answer the phone is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A whole attempt. Shorter than the 15 to 30 s that the standard allows a receiver: a halt is urgent,
/// and a try that is cut off comes again with the same id.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("haltline/", env!("CARGO_PKG_VERSION"));
/// Longest text that is kept of what went wrong, in characters: it goes into logs and dead letters, and
/// a receiver may have a hand in it.
const WHY_CHARS_MAX: usize = 300;

/// A receiver whose settings were found good.
#[derive(Clone)]
pub struct Endpoint {
    name: String,
    url: Url,
    secrets: Secrets,
    events: Vec<EventType>,
    max_age: Span,
    pub(super) schedule: Schedule,
    client: Client,
}

/// Shows neither the secrets nor the URL, which often holds one.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Endpoint {
    pub(super) fn new(
        name: &str,
        url: Url,
        secrets: Secrets,
        events: &[EventType],
        max_age: Span,
        client: Client,
    ) -> Self {
        let (name, events) = (name.to_owned(), events.to_vec());
        Self { name, url, secrets, events, max_age, schedule: Schedule::default(), client }
    }

    /// What it is called in the settings; also names its place in the outbox.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the receiver wants to hear of this record.
    pub(super) fn wants(&self, record: &HaltRecord) -> bool {
        self.events.contains(&EventType::of(record))
    }

    /// How long the record may still be tried; negative when it is too old.
    pub(super) fn time_left(&self, record: &HaltRecord) -> Span {
        record.news_since() + self.max_age - clock::now()
    }

    /// Sends the record once. The signature is of this moment, the id stays the same.
    pub(super) async fn attempt(&self, record: &HaltRecord) -> Outcome {
        let body = match body(record) {
            Ok(body) => body,
            Err(error) => return Outcome::Unsendable(error),
        };
        let timestamp = clock::now().0.div_euclid(1_000);
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &record.id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", self.secrets.sign(&record.id, timestamp, &body))
            .body(body);
        // Only the head of the answer counts; its body is never read.
        match request.send().await {
            Ok(answer) => {
                let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                Outcome::of_status(answer.status().as_u16(), retry_after, clock::now())
            }
            Err(error) if error.is_builder() => Outcome::Unsendable(explain(error)),
            Err(error) => Outcome::Failed { why: explain(error), retry_after: None },
        }
    }
}

/// The error and its causes in one line, without the URL, which may hold a token.
fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let first: &(dyn std::error::Error + 'static) = &error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WHY_CHARS_MAX).collect()
}

/// The client that all endpoints share. Where none of them is `https`, the certificates of the system
/// are not read, so that a machine without any can still be told on loopback.
pub(super) fn client(is_https: bool) -> Result<Client, String> {
    // An error says that a provider is there already, which will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(USER_AGENT);
    let builder = if is_https { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| format!("cannot make an HTTPS client: {}", explain(error)))
}
