//! Alerts that are in force, sent again and again, as Alertmanager expects of its clients: it keeps no alerts
//! over a restart, and ends one by itself that is not sent again.
//!
//! Nothing is remembered here: each round asks the view, which is filled from the ledger at the start, which
//! sessions are halted and which were released lately. So memory is bounded by the view, and a restart
//! changes nothing. The release goes along because a round may have been under way when it was told, and
//! its alert have been opened again. All replicas do this; Alertmanager knows repeats by their labels.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::delivery::{Shared, stopped};
use super::retry::Outcome;
use super::shapes::ALERT_HORIZON;
use super::target::Kind;
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::io::halts::HaltView;
use crate::limits::WEBHOOK_RESENT_MAX;
use crate::time::{Millis, Span};

/// Alerts in one request.
const ALERTS_PER_CALL: usize = 100;
/// How long before a round a release may lie so that the round takes it along, beside twice the time between rounds.
const LATE: Span = Span::seconds(60);

/// Runs until `stop`; ends at once where there is nothing to send again.
pub(super) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Some(halts) = shared.deps.halts.clone().filter(|_| shared.endpoint.kind() == Kind::Alertmanager) else {
        return;
    };
    let every = shared.endpoint.timing.resend_every;
    let usual = span(every * 2) + LATE;
    // What was released while nobody watched: before the start, or while rounds failed.
    let mut released_within = ALERT_HORIZON;
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stopped(&mut stop) => return,
        }
        if shared.endpoint.seat.is_disabled() || !halts.is_complete() {
            continue;
        }
        released_within = if round(&shared, &halts, released_within).await { usual } else { ALERT_HORIZON };
    }
}

/// Sends one round. Whether all of it was taken.
async fn round(shared: &Shared, halts: &HaltView, released_within: Span) -> bool {
    let endpoint = &shared.endpoint;
    let due = due(shared, halts, clock::now(), released_within);
    let mut is_taken = true;
    for records in due.chunks(ALERTS_PER_CALL) {
        let Some(call) = endpoint.target.resend_call(records, clock::now()) else { return true };
        let _permit = shared.permits.acquire().await;
        let answer = endpoint.send(call).await;
        match answer.outcome {
            Outcome::Delivered => shared.counted("resent", records.len() as u64),
            Outcome::Failed { why, .. } | Outcome::Hopeless(why) => {
                shared.counted("resend_failed", records.len() as u64);
                tracing::warn!(endpoint = endpoint.name(), why, "alerts in force were not taken; they are sent again");
                is_taken = false;
            }
            // Not of this kind.
            Outcome::Gone | Outcome::NotThere => is_taken = false,
        }
    }
    is_taken
}

fn due(shared: &Shared, halts: &HaltView, now: Millis, released_within: Span) -> Vec<HaltRecord> {
    let endpoint = &shared.endpoint;
    let is_news = |record: &HaltRecord| record.is_halted() || now - record.news_since() <= released_within;
    let mut due = halts.latest(|record| is_news(record) && endpoint.wants(record));
    if due.len() > WEBHOOK_RESENT_MAX {
        let left_out = due.len() - WEBHOOK_RESENT_MAX;
        tracing::warn!(
            endpoint = endpoint.name(),
            left_out,
            "too many alerts are in force to be sent again; the oldest are left out"
        );
        due.truncate(WEBHOOK_RESENT_MAX);
    }
    due
}

fn span(duration: Duration) -> Span {
    Span(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4))
}
