//! Webhooks: halts and releases told to receivers outside, after Standard Webhooks 1.0.
//!
//! - Delivery is at least once: a record is noted as done only when it was delivered or when its dead
//!   letter is durable. A receiver drops repeats by `webhook-id`, and needs no order, since the body
//!   carries the state and the epoch.
//! - One task an endpoint, with a place of its own in the outbox: a dead endpoint holds up nobody else,
//!   and a record that one endpoint refuses does not hold up the others for it.
//! - Endpoints come from the operator's settings and are trusted; redirects are never followed and
//!   proxies are not taken from the environment, so that a request goes where the settings say.
//!
//! Deliberately absent: ordered delivery, and a memory of attempts over a restart (the schedule begins
//! anew; how old a record may become does not).

mod dispatch;
#[cfg(test)]
mod dispatch_tests;
mod endpoint;
mod payload;
mod retry;
mod settings;
mod sign;
mod track;

pub use dispatch::{Delivered, Deps, run};
pub use endpoint::Endpoint;
pub use payload::{BODY_BYTES_MAX, EventType, body};
pub use settings::{WebhookError, WebhookSettings, endpoints};
pub use sign::{Secret, SecretError, Secrets};
