//! What kind of receiver an endpoint is: what it is sent, and what its answers mean.

use std::collections::BTreeMap;

use reqwest::{Method, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::payload::{body, test_body};
use super::retry::Outcome;
use super::shapes::{self, Test};
use super::sign::Secrets;
use super::template::{Template, Values};
use crate::halt::HaltRecord;
use crate::time::Millis;

/// `kind` of a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Standard Webhooks 1.0, signed.
    #[default]
    Standard,
    /// An incoming webhook of Slack.
    Slack,
    /// PagerDuty's Events API v2.
    PagerDuty,
    /// Alertmanager's API v2.
    Alertmanager,
    /// The harness's own API for stopping a run.
    Control,
}

impl Kind {
    /// The name in the settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Slack => "slack",
            Self::PagerDuty => "pagerduty",
            Self::Alertmanager => "alertmanager",
            Self::Control => "control",
        }
    }
}

/// A receiver by its kind. Has no `Debug`: all of it may be secret.
#[derive(Clone)]
pub(super) enum Target {
    Standard { url: Url, secrets: Secrets },
    Slack { url: Url },
    PagerDuty { url: Url, routing_key: String },
    Alertmanager { url: Url, labels: BTreeMap<String, String> },
    Control(Control),
}

/// A harness.
#[derive(Clone)]
pub(super) struct Control {
    pub(super) method: Method,
    pub(super) stop: Template,
    pub(super) resume: Option<Template>,
    pub(super) secrets: Option<Secrets>,
}

/// The session that a test of a control endpoint names.
const TEST_SESSION: &str = "haltline-endpoint-test";

/// One request, but for headers that every request has.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Of the record or test; goes into `webhook-id` where the receiver follows Standard Webhooks.
    pub(super) id: Option<String>,
    pub(super) secrets: Option<Secrets>,
    pub(super) body: Vec<u8>,
}

impl Call {
    fn unsigned(url: &Url, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { method: Method::POST, url: url.clone(), id: None, secrets: None, body }
    }
}

impl Target {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Standard { .. } => Kind::Standard,
            Self::Slack { .. } => Kind::Slack,
            Self::PagerDuty { .. } => Kind::PagerDuty,
            Self::Alertmanager { .. } => Kind::Alertmanager,
            Self::Control(_) => Kind::Control,
        }
    }

    /// Whether there is anything to send for such a record.
    pub(super) fn takes(&self, record: &HaltRecord) -> bool {
        !matches!(self, Self::Control(control) if !record.is_halted() && control.resume.is_none())
    }

    /// Whether a record is not to be sent any more once a later one of its session is there: a session
    /// that was released must not be stopped by a call that comes late, nor an incident opened again.
    pub(super) fn is_overtaken_by_later(&self, record: &HaltRecord) -> bool {
        match self {
            Self::Standard { .. } | Self::Slack { .. } => false,
            Self::PagerDuty { .. } | Self::Alertmanager { .. } => record.is_halted(),
            Self::Control(_) => true,
        }
    }

    /// The request that tells of a record.
    pub(super) fn call(&self, record: &HaltRecord, now: Millis) -> Result<Call, String> {
        match self {
            Self::Standard { url, secrets } => Ok(Call {
                method: Method::POST,
                url: url.clone(),
                id: Some(record.id.clone()),
                secrets: Some(secrets.clone()),
                body: body(record)?,
            }),
            Self::Slack { url } => Ok(Call::unsigned(url, &shapes::slack(record))),
            Self::PagerDuty { url, routing_key } => Ok(Call::unsigned(url, &shapes::pagerduty(record, routing_key))),
            Self::Alertmanager { url, labels } => {
                Ok(Call::unsigned(url, &Value::from(vec![shapes::alert(record, labels, now)])))
            }
            Self::Control(control) => control.call(&Values::of(record), &record.id, record.is_halted(), body(record)?),
        }
    }

    /// The requests of a test, in order.
    pub(super) fn test_calls(&self, test: &Test<'_>) -> Result<Vec<Call>, String> {
        let calls = match self {
            Self::Standard { url, secrets } => vec![Call {
                method: Method::POST,
                url: url.clone(),
                id: Some(test.id.to_owned()),
                secrets: Some(secrets.clone()),
                body: test_body(test)?,
            }],
            Self::Slack { url } => vec![Call::unsigned(url, &shapes::slack_test(test))],
            Self::PagerDuty { url, routing_key } => {
                shapes::pagerduty_test(test, routing_key).iter().map(|event| Call::unsigned(url, event)).collect()
            }
            Self::Alertmanager { url, labels } => {
                vec![Call::unsigned(url, &Value::from(vec![shapes::alert_test(test, labels)]))]
            }
            Self::Control(control) => {
                let values = Values {
                    tenant: "default",
                    session: TEST_SESSION,
                    state: "test",
                    id: test.id,
                    epoch: 0,
                    reason: "test",
                };
                vec![control.call(&values, test.id, true, test_body(test)?)?]
            }
        };
        Ok(calls)
    }

    /// One request for all alerts that are in force or just ended; only Alertmanager is told again.
    pub(super) fn resend_call(&self, records: &[HaltRecord], now: Millis) -> Option<Call> {
        let Self::Alertmanager { url, labels } = self else { return None };
        let alerts: Vec<Value> = records.iter().map(|record| shapes::alert(record, labels, now)).collect();
        Some(Call::unsigned(url, &Value::from(alerts)))
    }

    /// What an answer means. Statuses that say that the request itself is no good are final for PagerDuty
    /// and Alertmanager, as they say themselves; for the others they are likely a receiver that is being
    /// mended.
    pub(super) fn meaning(&self, status: u16, retry_after: Option<&str>, now: Millis) -> Outcome {
        match (self.kind(), status) {
            (Kind::Control, 404 | 410) => Outcome::NotThere,
            (Kind::PagerDuty | Kind::Alertmanager, 400) => {
                Outcome::Hopeless(format!("answered {status}, which means never"))
            }
            (Kind::Standard | Kind::Slack, 410) => Outcome::Gone,
            _ => Outcome::of_status(status, retry_after, now),
        }
    }
}

impl Control {
    fn call(&self, values: &Values<'_>, id: &str, is_stop: bool, body: Vec<u8>) -> Result<Call, String> {
        let template = if is_stop { Some(&self.stop) } else { self.resume.as_ref() };
        let template = template.ok_or("the endpoint has no resume_url")?;
        let (method, secrets) = (self.method.clone(), self.secrets.clone());
        Ok(Call { method, url: template.fill(values)?, id: Some(id.to_owned()), secrets, body })
    }
}
