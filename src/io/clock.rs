//! The wall clock, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Millis;

/// Now.
#[must_use]
pub fn now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Seconds from `since` until now; negative where `since` lies ahead.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "differences are small")]
pub fn seconds_since(since: Millis) -> f64 {
    (now() - since).0 as f64 / 1e3
}
