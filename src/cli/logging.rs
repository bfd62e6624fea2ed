//! Logs to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogSettings;

/// Starts logging. The client library's own chatter is left out, unless the level names it: what matters
/// of it comes as events of ours. A bad filter falls back to `info` and says so.
pub(super) fn start(settings: &LogSettings) {
    let directives = format!("librdkafka=off,rdkafka=off,{}", settings.level);
    let filter = EnvFilter::try_new(&directives).unwrap_or_else(|error| {
        eprintln!("haltline: log.level: {error}; using info");
        EnvFilter::new("librdkafka=off,rdkafka=off,info")
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Only a second start in one process is refused, which the first one makes harmless.
    let _ = if settings.json { subscriber.json().try_init() } else { subscriber.try_init() };
}
