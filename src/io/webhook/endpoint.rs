//! One receiver, and one attempt at it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, redirect};

use super::filter::Filter;
use super::guard::Guard;
use super::pace::Pace;
use super::payload::EventType;
use super::retry::{Outcome, Schedule};
use super::seat::Seat;
use super::shapes::Test;
use super::target::{Call, Kind, Target};
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::time::{Millis, Span};

/// A receiver that is slower than this to answer the phone is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A whole attempt. Shorter than the 15 to 30 s that the standard allows a receiver: a halt is urgent,
/// and a try that is cut off comes again with the same id.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often alerts are sent again: Alertmanager forgets them when it restarts, and by itself after 5 min.
const RESEND_EVERY: Duration = Duration::from_secs(120);
const USER_AGENT: &str = concat!("haltline/", env!("CARGO_PKG_VERSION"));
/// Longest text that is kept of what went wrong, in characters: it goes into logs and dead letters, and
/// a receiver may have a hand in it.
const WHY_CHARS_MAX: usize = 300;

/// A receiver whose settings were found good.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) name: String,
    pub(super) target: Target,
    /// A header that lets the request in.
    pub(super) token: Option<(HeaderName, HeaderValue)>,
    pub(super) filter: Filter,
    pub(super) max_age: Span,
    pub(super) guard: Guard,
    pub(super) client: Client,
    pub(super) timing: Timing,
    pub(super) seat: Arc<Seat>,
}

/// When an endpoint sends.
#[derive(Clone)]
pub(super) struct Timing {
    pub(super) schedule: Schedule,
    pub(super) pace: Pace,
    pub(super) resend_every: Duration,
}

impl Timing {
    pub(super) fn of(kind: Kind) -> Self {
        Self { schedule: Schedule::default(), pace: Pace::of(kind), resend_every: RESEND_EVERY }
    }
}

/// Shows neither the secrets nor the URL, which often holds one.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// None where nothing was answered.
    pub(super) status: Option<u16>,
}

impl Answer {
    fn none(outcome: Outcome) -> Self {
        Self { outcome, status: None }
    }

    fn failed(why: String) -> Self {
        Self::none(Outcome::Failed { why, retry_after: None })
    }
}

impl Endpoint {
    /// What it is called in the settings; also names its place in the outbox.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of receiver it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.target.kind()
    }

    pub(super) fn events(&self) -> &[EventType] {
        &self.filter.events
    }

    /// Whether the receiver wants to hear of this record.
    pub(super) fn wants(&self, record: &HaltRecord) -> bool {
        self.filter.wants(record) && self.target.takes(record)
    }

    /// Until when the record may be tried.
    pub(super) fn deadline(&self, record: &HaltRecord) -> Millis {
        record.news_since() + self.max_age
    }

    /// Sends the record once. The signature is of this moment, the id stays the same.
    pub(super) async fn attempt(&self, record: &HaltRecord) -> Answer {
        match self.target.call(record, clock::now()) {
            Ok(call) => self.send(call).await,
            Err(why) => Answer::none(Outcome::Hopeless(why)),
        }
    }

    /// Sends a test: all of its requests, up to the first that fails.
    pub(super) async fn test(&self, test: &Test<'_>) -> Answer {
        let calls = match self.target.test_calls(test) {
            Ok(calls) => calls,
            Err(why) => return Answer::none(Outcome::Hopeless(why)),
        };
        let mut answer = Answer::failed("nothing was sent".to_owned());
        for call in calls {
            answer = self.send(call).await;
            if answer.outcome != Outcome::Delivered {
                break;
            }
        }
        answer
    }

    /// Sends one request. Only the head of the answer counts; its body is never read.
    pub(super) async fn send(&self, call: Call) -> Answer {
        if let Err(why) = self.guard.check(&call.url) {
            return Answer::failed(why);
        }
        let mut request = self.client.request(call.method, call.url).header(CONTENT_TYPE, "application/json");
        if let Some((name, value)) = &self.token {
            request = request.header(name, value);
        }
        if let Some(id) = &call.id {
            let timestamp = clock::now().0.div_euclid(1_000);
            request = request.header("webhook-id", id).header("webhook-timestamp", timestamp.to_string());
            if let Some(secrets) = &call.secrets {
                request = request.header("webhook-signature", secrets.sign(id, timestamp, &call.body));
            }
        }
        match request.body(call.body).send().await {
            Ok(answer) => {
                let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let status = answer.status().as_u16();
                Answer { outcome: self.target.meaning(status, retry_after, clock::now()), status: Some(status) }
            }
            Err(error) if error.is_builder() => Answer::none(Outcome::Hopeless(explain(error))),
            Err(error) => Answer::failed(explain(error)),
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

/// A client that connects to what the guard permits. Connections are not kept, so that each attempt
/// resolves and checks anew. Where `is_https` is false, the certificates of the system are not read, so
/// that a machine without any can still be told on loopback.
pub(super) fn client(guard: &Guard, is_https: bool) -> Result<Client, String> {
    // An error says that a provider is there already, which will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .dns_resolver(Arc::new(guard.clone()))
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(USER_AGENT);
    let builder = if is_https { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| format!("cannot make an HTTPS client: {}", explain(error)))
}
