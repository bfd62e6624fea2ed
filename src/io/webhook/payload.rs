//! The body of a webhook: type, time, and the halt record as `data`.
//!
//! Always below the 20 kB that Standard Webhooks recommends: what a person wrote is cut to fit, ids and
//! states never.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shapes::Test;
use crate::halt::{HaltRecord, HaltState};
use crate::time::Millis;

/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 20_000;
/// Stands where a text was cut.
const CUT: &str = "…";

/// What is told: mostly what happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventType {
    /// It was halted.
    #[serde(rename = "session.halted")]
    Halted,
    /// It was released.
    #[serde(rename = "session.resumed")]
    Resumed,
    /// Nothing: somebody tries the endpoint. Not for the settings.
    #[serde(rename = "endpoint.test", skip_deserializing)]
    Test,
}

impl EventType {
    /// What an endpoint can ask for.
    pub const ALL: [Self; 2] = [Self::Halted, Self::Resumed];

    /// What a record tells.
    #[must_use]
    pub fn of(record: &HaltRecord) -> Self {
        match record.state {
            HaltState::Halted => Self::Halted,
            HaltState::Running => Self::Resumed,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: EventType,
    timestamp: Millis,
    data: &'a HaltRecord,
}

/// The body that tells of a record. The same record always gives the same bytes.
///
/// # Errors
/// When the record cannot be written as JSON, or its ids alone are too large; neither comes from an
/// engine that keeps its limits.
pub fn body(record: &HaltRecord) -> Result<Vec<u8>, String> {
    let whole = json(record)?;
    if whole.len() <= BODY_BYTES_MAX {
        return Ok(whole);
    }
    let mut shorter = record.clone();
    cut(&mut shorter.reason, whole.len() - BODY_BYTES_MAX);
    let still_over = json(&shorter)?.len().saturating_sub(BODY_BYTES_MAX);
    cut(&mut shorter.by, still_over);
    let bytes = json(&shorter)?;
    if bytes.len() <= BODY_BYTES_MAX {
        Ok(bytes)
    } else {
        Err(format!("expected a body of at most {BODY_BYTES_MAX} bytes, got {} bytes", bytes.len()))
    }
}

/// The body of a test.
///
/// # Errors
/// Never in practice: it is two short texts.
pub(super) fn test_body(test: &Test<'_>) -> Result<Vec<u8>, String> {
    let data = serde_json::json!({"id": test.id, "endpoint": test.endpoint});
    let body = serde_json::json!({"type": EventType::Test, "timestamp": test.at, "data": data});
    serde_json::to_vec(&body).map_err(|error| format!("a test as JSON: {error}"))
}

fn json(record: &HaltRecord) -> Result<Vec<u8>, String> {
    let body = Body { r#type: EventType::of(record), timestamp: record.at, data: record };
    serde_json::to_vec(&body).map_err(|error| format!("halt record as JSON: {error}"))
}

/// Takes at least `excess` bytes off the end, as far as there are so many. A byte of text is at least
/// a byte of JSON, so that much comes off the body too.
fn cut(text: &mut String, excess: usize) {
    if excess > 0 {
        let keep = text.floor_char_boundary(text.len().saturating_sub(excess + CUT.len()));
        text.truncate(keep);
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::halt::Order;

    fn record(state: HaltState, reason: &str, by: &str) -> HaltRecord {
        let order = Order {
            tenant: "acme".into(),
            session: "s-1".into(),
            state: HaltState::Halted,
            by: by.to_owned(),
            reason: reason.to_owned(),
            at: Millis(1_700_000_000_123),
            seen_through: None,
        };
        let halted = HaltRecord::from_order(&order, None).expect("was running");
        let resumed = HaltRecord::from_order(&Order { state: HaltState::Running, ..order }, Some(&halted));
        if state == HaltState::Halted { halted } else { resumed.expect("was halted") }
    }

    #[test]
    fn the_body_carries_type_time_and_the_whole_record() {
        for (state, kind, epoch) in
            [(HaltState::Halted, "session.halted", 1), (HaltState::Running, "session.resumed", 2)]
        {
            let record = record(state, "looked at it", "ana");
            let value: serde_json::Value = serde_json::from_slice(&body(&record).expect("fits")).expect("JSON");
            assert_eq!(value["type"], kind);
            assert_eq!(value["timestamp"], "2023-11-14T22:13:20.123Z");
            assert_eq!(
                (value["data"]["epoch"].as_u64(), value["data"]["id"].as_str()),
                (Some(epoch), Some(&*record.id))
            );
            let back: HaltRecord = serde_json::from_value(value["data"].clone()).expect("a record");
            assert_eq!(back, record);
        }
    }

    #[test]
    fn a_test_says_that_it_is_one() {
        let test = Test { id: "t_1", endpoint: "on-call", at: Millis(1_000) };
        let value: serde_json::Value = serde_json::from_slice(&test_body(&test).expect("JSON")).expect("JSON");
        let expected = serde_json::json!({"type": "endpoint.test", "timestamp": "1970-01-01T00:00:01.000Z",
                                          "data": {"id": "t_1", "endpoint": "on-call"}});
        assert_eq!(value, expected);
    }

    #[test]
    fn long_texts_are_cut_to_fit_and_ids_are_not() {
        // Control characters take six bytes each in JSON, letters beyond ASCII two or more in UTF-8.
        let rows = ["x".repeat(25_000), "\u{1}".repeat(25_000), "ü€".repeat(9_000), "\"".repeat(BODY_BYTES_MAX)];
        for long in &rows {
            for (reason, by) in [(long.as_str(), "ana"), ("why", long), (long, long)] {
                let record = record(HaltState::Halted, reason, by);
                let bytes = body(&record).expect("fits");
                assert!(bytes.len() <= BODY_BYTES_MAX, "{} bytes", bytes.len());
                let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
                assert_eq!(
                    (&value["data"]["id"], &value["data"]["session"]),
                    (&record.id.clone().into(), &"s-1".into())
                );
                let cut = |field: &str| value["data"][field].as_str().is_some_and(|text| text.ends_with(CUT));
                assert!(cut("reason") || cut("by"));
            }
        }
        let mut huge = record(HaltState::Halted, "why", "ana");
        huge.session = "s".repeat(30_000).into();
        assert!(body(&huge).expect_err("an id is not cut").contains("at most 20000 bytes"));
    }
}
