//! What the tests that run the real program share: the program, HTTP, webhooks, Kafka.
//!
//! Every wait is a poll with a generous deadline; nothing is timed.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod engine;
pub mod http;
pub mod kafka;
pub mod prometheus;
pub mod webhooks;

use std::time::{Duration, Instant};

/// How long any wait may take before the test has failed.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Polls until `check` gives something; fails with `what` and the last state when it never does.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A name that no other test run has used.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    format!("{name}-{}-{}-{}", std::process::id(), now.as_millis() % 1_000_000, NEXT.fetch_add(1, Ordering::Relaxed))
}
