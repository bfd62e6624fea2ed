//! What Prometheus sees.
//!
//! Labels are bounded: kinds, reasons, rules, endpoints, partitions, never a session. Workers count in
//! plain numbers and add them up here once a batch, so that nothing on the hot path is shared.

mod latency;
pub mod names;

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result, TextEncoder};

pub use latency::Latency;

use crate::event::{Kind, Reason};

/// Every metric of one process.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is described where its name is, in `names`")]
pub struct Metrics {
    registry: Registry,
    pub events: IntCounterVec,
    pub events_rejected: IntCounterVec,
    pub event_problems: IntCounter,
    pub event_duplicates: IntCounter,
    pub event_clock_clamped: IntCounter,
    pub events_after_halt: IntCounter,
    pub bytes: IntCounter,
    pub findings: IntCounterVec,
    pub halts: IntCounterVec,
    pub resumes: IntCounter,
    pub state_evicted: IntCounter,
    pub gate_requests: IntCounterVec,
    pub gate_duration: Arc<Latency>,
    pub http_requests: IntCounterVec,
    pub webhook_deliveries: IntCounterVec,
    pub webhook_duration: Arc<Latency>,
    pub control_calls: IntCounterVec,
    pub webhook_pending: IntGaugeVec,
    pub webhook_oldest_pending: GaugeVec,
    pub ledger_errors: IntCounter,
    pub ledger_write_duration: Arc<Latency>,
    pub kafka_rebalances: IntCounterVec,
    pub kafka_lag: IntGaugeVec,
    pub kafka_lag_seconds: GaugeVec,
    pub rules_reload: IntCounterVec,
    pub rules: IntGauge,
    pub rules_patterns: IntGauge,
    pub sessions: IntGauge,
    pub sessions_halted: IntGauge,
    pub shards: IntGauge,
    pub ready: IntGauge,
    pub window_complete: IntGaugeVec,
    pub batches_in_flight: IntGauge,
    pub event_latency: Arc<Latency>,
    pub halt_latency: Arc<Latency>,
    pub step_duration: Arc<Latency>,
}

impl Metrics {
    /// Registers every metric in a registry of its own.
    ///
    /// # Errors
    /// When a name or label is bad or stands twice.
    pub fn new() -> Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let metrics = Self {
            events: counters(r, names::EVENTS, "Events read, by kind", &["kind"])?,
            events_rejected: counters(r, names::EVENTS_REJECTED, "Records that were no events", &["reason"])?,
            event_problems: counter(r, names::EVENT_PROBLEMS, "Events with fields that could not be used")?,
            event_duplicates: counter(r, names::EVENT_DUPLICATES, "Events that had been seen before")?,
            event_clock_clamped: counter(r, names::EVENT_CLOCK_CLAMPED, "Timestamps moved near their append time")?,
            events_after_halt: counter(r, names::EVENTS_AFTER_HALT, "Events of halted sessions")?,
            bytes: counter(r, names::BYTES, "Bytes of records read")?,
            findings: counters(r, names::FINDINGS, "Findings", &["rule", "severity", "action", "mode"])?,
            halts: counters(r, names::HALTS, "Halts, by rule or operator", &["rule"])?,
            resumes: counter(r, names::RESUMES, "Releases by operators")?,
            state_evicted: counter(r, names::STATE_EVICTED, "Keys forgotten because a map was full")?,
            gate_requests: counters(r, names::GATE_REQUESTS, "Answers of the gate", &["decision"])?,
            gate_duration: latency(r, names::GATE_DURATION, "Time that the gate takes", None)?,
            http_requests: counters(r, names::HTTP_REQUESTS, "Requests to the control API", &["route", "status"])?,
            webhook_deliveries: counters(r, names::WEBHOOK_DELIVERIES, "Webhook attempts", &["endpoint", "outcome"])?,
            webhook_duration: latency(r, names::WEBHOOK_DURATION, "Time of one webhook attempt", None)?,
            control_calls: counters(
                r,
                names::CONTROL_CALLS,
                "Calls of the harness's stop API",
                &["endpoint", "action", "outcome"],
            )?,
            webhook_pending: gauges(r, names::WEBHOOK_PENDING, "Webhooks under way", &["endpoint"])?,
            webhook_oldest_pending: seconds(
                r,
                names::WEBHOOK_OLDEST_PENDING,
                "Age of the oldest webhook under way",
                &["endpoint"],
            )?,
            ledger_errors: counter(r, names::LEDGER_ERRORS, "Ledger writes that failed and were tried again")?,
            ledger_write_duration: latency(r, names::LEDGER_WRITE_DURATION, "Time until a write is durable", None)?,
            kafka_rebalances: counters(r, names::KAFKA_REBALANCES, "Rebalances, by event", &["event"])?,
            kafka_lag: gauges(r, names::KAFKA_LAG, "Records behind the end", &["topic", "partition"])?,
            kafka_lag_seconds: seconds(
                r,
                names::KAFKA_LAG_SECONDS,
                "Age of the last record read while there are more, else 0",
                &["topic", "partition"],
            )?,
            rules_reload: counters(r, names::RULES_RELOAD, "Attempts to load rules", &["result"])?,
            rules: gauge(r, names::RULES, "Rules in force")?,
            rules_patterns: gauge(r, names::RULES_PATTERNS, "Phrases and keywords in the scanner")?,
            sessions: gauge(r, names::SESSIONS, "Sessions with state")?,
            sessions_halted: gauge(r, names::SESSIONS_HALTED, "Sessions that are halted")?,
            shards: gauge(r, names::SHARDS, "Shards that this process owns")?,
            ready: gauge(r, names::READY, "1 when ready to answer the gate")?,
            window_complete: gauges(
                r,
                names::WINDOW_COMPLETE,
                "1 when windows hold their whole length",
                &["topic", "partition"],
            )?,
            batches_in_flight: gauge(r, names::BATCHES_IN_FLIGHT, "Batches on the way to the ledger")?,
            event_latency: latency(r, names::EVENT_LATENCY, "Append to decision", Some(names::EVENT_LATENCY_QUANTILE))?,
            halt_latency: latency(
                r,
                names::HALT_LATENCY,
                "Append to durable halt",
                Some(names::HALT_LATENCY_QUANTILE),
            )?,
            step_duration: latency(r, names::STEP_DURATION, "Engine time for one event", None)?,
            registry,
        };
        metrics.begin()?;
        Ok(metrics)
    }

    /// Everything in the text exposition format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self) -> Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Webhooks under way, over all endpoints.
    #[must_use]
    pub fn webhooks_pending(&self) -> i64 {
        let families = self.webhook_pending.collect();
        #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
        let value = |metric: &prometheus::proto::Metric| metric.get_gauge().get_value() as i64;
        families.iter().flat_map(|family| family.get_metric()).map(value).sum()
    }

    /// Events read so far, over all kinds.
    #[must_use]
    pub fn events_read(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.events.with_label_values(&[kind.as_str()]).get()).sum()
    }

    fn begin(&self) -> Result<()> {
        self.begin_at_zero();
        self.publish_constants()
    }

    /// A counter that first shows itself at 1 has not increased, for Prometheus.
    fn begin_at_zero(&self) {
        Kind::ALL.iter().for_each(|kind| drop(self.events.with_label_values(&[kind.as_str()])));
        Reason::ALL.iter().for_each(|reason| drop(self.events_rejected.with_label_values(&[reason.as_str()])));
        ["allow", "confirm", "deny"]
            .iter()
            .for_each(|decision| drop(self.gate_requests.with_label_values(&[decision])));
        ["assign", "revoke"].iter().for_each(|event| drop(self.kafka_rebalances.with_label_values(&[event])));
        ["success", "failure"].iter().for_each(|result| drop(self.rules_reload.with_label_values(&[result])));
        self.halts.with_label_values(&["operator"]);
    }

    fn publish_constants(&self) -> Result<()> {
        let info = gauges(&self.registry, names::BUILD_INFO, "Version of the program", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        self.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(())
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter> {
    registered(registry, IntCounter::new(name, help)?)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge> {
    registered(registry, IntGauge::new(name, help)?)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn seconds(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
    registered(registry, GaugeVec::new(Opts::new(name, help), labels)?)
}

fn latency(registry: &Registry, name: &str, help: &str, quantiles: Option<&str>) -> Result<Arc<Latency>> {
    let shared = Arc::new(Latency::new(name, help, quantiles)?);
    registry.register(Box::new(latency::Shared(shared.clone())))?;
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_registers_and_renders() {
        let metrics = Metrics::new().expect("names are good and stand once");
        metrics.events.with_label_values(&["message"]).inc();
        let text = metrics.render().expect("renders");
        assert!(text.contains("haltline_events_total{kind=\"message\"} 1"), "{text}");
        assert!(text.contains("haltline_halt_latency_quantile_seconds{quantile=\"0.99\"} 0"), "{text}");
        assert!(text.contains(&format!("haltline_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
    }
}
