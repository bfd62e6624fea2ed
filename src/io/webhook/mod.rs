//! Webhooks: halts and releases told to receivers outside.
//!
//! - Kinds: Standard Webhooks 1.0 (signed), Slack, PagerDuty, Alertmanager, and `control`, which calls the
//!   harness's own API for stopping a run. `target` says what each is sent and what its answers mean.
//! - Delivery is at least once: a record is noted as done only when it was delivered or when its dead
//!   letter is durable. A receiver drops repeats by `webhook-id`, and needs no order, since the body
//!   carries the state and the epoch. Where the receiver cannot know the order (`control`, PagerDuty,
//!   Alertmanager), records of one session go one at a time and a halt that was lifted is not sent any more.
//! - One task an endpoint, with a place of its own in the outbox: a dead endpoint holds up nobody else,
//!   and a record that one endpoint refuses does not hold up the others for it.
//! - Requests go where the settings say and to addresses that `guard` permits, checked at every attempt;
//!   redirects are never followed, proxies are not taken from the environment, answers are not read
//!   beyond their head.
//! - [`Desk`] is what the control API asks: lists, logs, tests, redelivery by hand.
//!
//! Deliberately absent: ordered delivery to the other kinds, several halts in one message, and a memory of
//! attempts over a restart (the schedule begins anew; how old a record may become does not).

mod check;
#[cfg(test)]
mod control_tests;
mod delivery;
mod desk;
#[cfg(test)]
mod desk_tests;
mod dispatch;
#[cfg(test)]
mod dispatch_tests;
mod endpoint;
mod filter;
mod guard;
mod lanes;
mod pace;
mod payload;
mod resend;
mod retry;
mod seat;
mod settings;
#[cfg(test)]
mod settings_tests;
mod shapes;
#[cfg(test)]
mod shapes_tests;
mod sign;
mod target;
mod template;
#[cfg(test)]
mod test_house;
mod text;
mod track;

pub use delivery::{ControlOutcome, Delivered, Deps};
pub use desk::{Desk, DeskError, EndpointRow, TestResult};
pub use dispatch::run;
pub use endpoint::Endpoint;
pub use guard::Networks;
pub use payload::{BODY_BYTES_MAX, EventType, body};
pub use seat::{DeliveryOutcome, DeliveryRow};
pub use settings::{WebhookError, WebhookSettings, endpoints};
pub use sign::{Secret, SecretError, Secrets};
pub use target::Kind;
