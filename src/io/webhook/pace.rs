//! How fast an endpoint may be called, for receivers that limit it: Slack takes about one message a second
//! for each webhook, and a receiver that answers 429 speaks for all records, not for the one it got.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::target::Kind;

/// Slack's own figure.
const SLACK_INTERVAL: Duration = Duration::from_secs(1);

/// Shared by all deliveries of an endpoint.
#[derive(Clone)]
pub(super) struct Pace {
    interval: Duration,
    is_limited: bool,
    /// When the next call may begin; whoever holds it is next.
    next: Arc<tokio::sync::Mutex<Option<Instant>>>,
    /// Nothing before this, as the receiver asked.
    held: Arc<Mutex<Option<Instant>>>,
}

impl Pace {
    pub(super) fn of(kind: Kind) -> Self {
        let interval = if kind == Kind::Slack { SLACK_INTERVAL } else { Duration::ZERO };
        Self::new(interval, matches!(kind, Kind::Slack | Kind::PagerDuty))
    }

    pub(super) fn new(interval: Duration, is_limited: bool) -> Self {
        Self { interval, is_limited, next: Arc::default(), held: Arc::default() }
    }

    /// Waits for the turn of a call. Safe to cancel.
    pub(super) async fn turn(&self) {
        if !self.is_limited {
            return;
        }
        let mut next = self.next.lock().await;
        while let Some(at) = (*next).max(self.held()).filter(|at| *at > Instant::now()) {
            sleep_until(at).await;
        }
        *next = Instant::now().checked_add(self.interval);
    }

    /// The receiver wants no call for so long.
    pub(super) fn hold(&self, wait: Duration) {
        if self.is_limited {
            let until = Instant::now().checked_add(wait);
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            *held = (*held).max(until);
        }
    }

    fn held(&self) -> Option<Instant> {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn calls_keep_their_distance_where_the_receiver_wants_it() {
        for (kind, interval) in [(Kind::Slack, SECOND), (Kind::PagerDuty, Duration::ZERO)] {
            let (pace, before) = (Pace::of(kind), Instant::now());
            pace.turn().await;
            let next = pace.next.lock().await.expect("a call was made");
            assert!(next >= before + interval && next <= Instant::now() + SECOND);
        }
        let pace = Pace::of(Kind::Standard);
        pace.turn().await;
        assert_eq!((*pace.next.lock().await, pace.held()), (None, None));
    }

    #[tokio::test]
    async fn a_429_holds_up_all_calls_and_a_shorter_one_does_not_undo_it() {
        let (pace, before) = (Pace::of(Kind::PagerDuty), Instant::now());
        pace.hold(9 * SECOND);
        pace.hold(2 * SECOND);
        assert!(pace.held().expect("held") >= before + 9 * SECOND);
        let other = Pace::of(Kind::Standard);
        other.hold(9 * SECOND);
        assert_eq!(other.held(), None);
        let short = Pace::new(Duration::ZERO, true);
        short.hold(Duration::from_millis(20));
        short.turn().await;
        assert!(Instant::now() >= short.held().expect("held"));
    }
}
