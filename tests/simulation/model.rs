//! The windows of the simulation, counted by hand over the whole history.

use std::collections::{BTreeMap, BTreeSet};

use haltline::event::{Event, Kind, LeafValue, Leaves, parse};

use super::traffic::Record;

const LATENESS: i64 = 300_000;
const AHEAD: i64 = 5_000;

/// Which windows fire at which record: `rule@number`.
pub fn windows(records: &[Record]) -> BTreeSet<String> {
    let mut seen: BTreeMap<u64, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    let mut keys: BTreeMap<(&str, String), History> = BTreeMap::new();
    let mut fired = BTreeSet::new();
    for (number, record) in records.iter().enumerate() {
        let Ok(parsed) = parse(&record.bytes) else { continue };
        let event = &parsed.event;
        let id = event.id.as_deref().unwrap_or_default().to_owned();
        let recent = seen.entry(record.session).or_default();
        if recent.iter().rev().take(8).any(|(known, bytes)| *known == id && *bytes == record.bytes) {
            continue;
        }
        recent.push((id, record.bytes.clone()));
        let ts = event.ts.map_or(record.append, |ts| ts.0);
        let at = ts.clamp(record.append - LATENESS, record.append + AHEAD);
        for window in counted(event) {
            let history = keys.entry((window.rule, window.key.clone())).or_default();
            if history.observe(at, &window) {
                fired.insert(format!("{}@{number}", window.rule));
            }
        }
    }
    fired
}

/// What one event adds to one window.
struct Counted {
    rule: &'static str,
    key: String,
    span: i64,
    what: What,
}

enum What {
    Count { least: usize },
    Sum { amount: f64, above: f64 },
    Distinct { value: String, least: usize },
}

fn counted(event: &Event<'_>) -> Vec<Counted> {
    let Some(tool) = event.tool.as_ref().filter(|_| event.kind == Kind::ToolCall) else { return Vec::new() };
    let leaves = Leaves::of(event);
    let session = event.session.to_string();
    let number = |path: &str| match leaves.get(path) {
        Some(LeafValue::Number(number)) => *number,
        other => panic!("{path} is {other:?}"),
    };
    let agent = event.agent.id.as_deref().unwrap_or_default().to_owned();
    let mut all = vec![Counted { rule: "agent", key: agent, span: 60_000, what: What::Count { least: 8 } }];
    match tool.name.as_ref() {
        "refund" => {
            let amount = number("args.amount");
            all.push(Counted { rule: "count", key: session.clone(), span: 60_000, what: What::Count { least: 4 } });
            all.push(Counted { rule: "sum", key: session, span: 120_000, what: What::Sum { amount, above: 100.0 } });
        }
        "read" => {
            let value = number("args.id").to_string();
            let what = What::Distinct { value, least: 4 };
            all.push(Counted { rule: "distinct", key: session, span: 60_000, what });
        }
        _ => {}
    }
    all
}

/// All events of one key.
#[derive(Default)]
struct History {
    events: Vec<(i64, f64, String)>,
    fired: bool,
}

impl History {
    /// Whether the window fires now: everything is counted anew.
    fn observe(&mut self, at: i64, counted: &Counted) -> bool {
        let newest = self.events.iter().map(|(at, ..)| *at).max();
        if newest.is_some_and(|newest| at <= newest - counted.span) {
            return false;
        }
        let (amount, value) = match &counted.what {
            What::Count { .. } => (0.0, String::new()),
            What::Sum { amount, .. } => (*amount, String::new()),
            What::Distinct { value, .. } => (0.0, value.clone()),
        };
        self.events.push((at, amount, value));
        let newest = newest.map_or(at, |newest| newest.max(at));
        let inside: Vec<_> = self.events.iter().filter(|(at, ..)| *at > newest - counted.span).collect();
        let (now, limit, crossed) = match &counted.what {
            What::Count { least } => (inside.len() as f64, *least as f64, inside.len() >= *least),
            What::Sum { above, .. } => {
                let sum: f64 = inside.iter().map(|(_, amount, _)| amount).sum();
                (sum, *above, sum > *above)
            }
            What::Distinct { least, .. } => {
                let values: BTreeSet<&String> = inside.iter().map(|(.., value)| value).collect();
                (values.len() as f64, *least as f64, values.len() >= *least)
            }
        };
        if self.fired && now < limit * 0.7 - 1e-9 {
            self.fired = false;
        }
        let fires = crossed && !self.fired;
        self.fired |= fires;
        fires
    }
}
