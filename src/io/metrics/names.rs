//! The names of all metrics, in base units, and nothing else. Dashboards and alerts are tested
//! against this list.

/// Events read, by kind.
pub const EVENTS: &str = "haltline_events_total";
/// Records that were no events, by reason.
pub const EVENTS_REJECTED: &str = "haltline_events_rejected_total";
/// Events with fields that could not be used.
pub const EVENT_PROBLEMS: &str = "haltline_event_problems_total";
/// Events that had been seen before.
pub const EVENT_DUPLICATES: &str = "haltline_event_duplicates_total";
/// Timestamps that were moved to lie near their append time.
pub const EVENT_CLOCK_CLAMPED: &str = "haltline_event_clock_clamped_total";
/// Events of sessions that were halted at the time.
pub const EVENTS_AFTER_HALT: &str = "haltline_events_after_halt_total";
/// Bytes of records read.
pub const BYTES: &str = "haltline_bytes_total";
/// Findings, by rule, severity, action and mode.
pub const FINDINGS: &str = "haltline_findings_total";
/// Halts, by rule; `operator` for an order.
pub const HALTS: &str = "haltline_halts_total";
/// Releases by operators.
pub const RESUMES: &str = "haltline_resumes_total";
/// Keys that were forgotten because a map was full.
pub const STATE_EVICTED: &str = "haltline_state_evicted_total";
/// Answers of the gate, by decision.
pub const GATE_REQUESTS: &str = "haltline_gate_requests_total";
/// Time that the gate takes.
pub const GATE_DURATION: &str = "haltline_gate_duration_seconds";
/// Requests to the control API, by route and status.
pub const HTTP_REQUESTS: &str = "haltline_http_requests_total";
/// Webhook attempts, by endpoint and outcome.
pub const WEBHOOK_DELIVERIES: &str = "haltline_webhook_deliveries_total";
/// Time of one webhook attempt.
pub const WEBHOOK_DURATION: &str = "haltline_webhook_delivery_duration_seconds";
/// Webhooks under way, by endpoint.
pub const WEBHOOK_PENDING: &str = "haltline_webhook_pending";
/// Calls of the harness's own stop API, by endpoint, action (stop or resume) and outcome.
pub const CONTROL_CALLS: &str = "haltline_control_calls_total";
/// Age of the oldest webhook under way, by endpoint.
pub const WEBHOOK_OLDEST_PENDING: &str = "haltline_webhook_oldest_pending_seconds";
/// Writes to the ledger that failed and were tried again.
pub const LEDGER_ERRORS: &str = "haltline_ledger_errors_total";
/// Time until a write to the ledger is durable.
pub const LEDGER_WRITE_DURATION: &str = "haltline_ledger_write_duration_seconds";
/// Rebalances, by event.
pub const KAFKA_REBALANCES: &str = "haltline_kafka_rebalances_total";
/// Records behind the end of the partition.
pub const KAFKA_LAG: &str = "haltline_kafka_consumer_lag";
/// Age of the last record read while there are more, else 0.
pub const KAFKA_LAG_SECONDS: &str = "haltline_kafka_consumer_lag_seconds";
/// Attempts to load rules, by result.
pub const RULES_RELOAD: &str = "haltline_rules_reload_total";
/// Rules in force.
pub const RULES: &str = "haltline_rules";
/// Phrases and keywords in the scanner.
pub const RULES_PATTERNS: &str = "haltline_rules_patterns";
/// Sessions with state.
pub const SESSIONS: &str = "haltline_sessions";
/// Sessions that are halted.
pub const SESSIONS_HALTED: &str = "haltline_sessions_halted";
/// Shards (partitions) that this process owns.
pub const SHARDS: &str = "haltline_shards";
/// 1 when ready to answer the gate.
pub const READY: &str = "haltline_ready";
/// 1 when a partition's windows hold their whole length.
pub const WINDOW_COMPLETE: &str = "haltline_window_complete";
/// Batches whose effects are on the way to the ledger.
pub const BATCHES_IN_FLIGHT: &str = "haltline_batches_in_flight";
/// Version of the program, as a label.
pub const BUILD_INFO: &str = "haltline_build_info";
/// From the record's append to the decision.
pub const EVENT_LATENCY: &str = "haltline_event_latency_seconds";
/// Exact quantiles of [`EVENT_LATENCY`] since the start.
pub const EVENT_LATENCY_QUANTILE: &str = "haltline_event_latency_quantile_seconds";
/// From the record's append to the durable halt.
pub const HALT_LATENCY: &str = "haltline_halt_latency_seconds";
/// Exact quantiles of [`HALT_LATENCY`] since the start.
pub const HALT_LATENCY_QUANTILE: &str = "haltline_halt_latency_quantile_seconds";
/// Time that the engine takes for one event.
pub const STEP_DURATION: &str = "haltline_step_duration_seconds";
