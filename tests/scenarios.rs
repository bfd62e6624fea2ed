//! Whole sessions, attacks and their honest twins, played through the packs as they are shipped.
//!
//! What each session is, and what must be said of it, stands in `scenarios/index.toml`. Each scenario is played
//! alone, and all of them together as one stream: sessions must not get into each other's way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use haltline::engine::{At, Effect, Engine, HashKey, Input, Program, Settings};
use haltline::event::parse;
use haltline::finding::{Action, Finding};
use haltline::ids::ShardId;
use haltline::io::rule_files;
use haltline::rules::{Glob, load};
use haltline::time::{Millis, Span};
use serde::Deserialize;
use serde_json::Value;

/// Attacks, and twins, that each threat has at least.
const SCENARIOS_MIN: usize = 2;

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let text = std::fs::read_to_string(folder().join("index.toml")).expect("the index");
    toml::from_str(&text).unwrap_or_else(|error| panic!("index.toml: {error}"))
});

static PACKS: LazyLock<Arc<Program>> = LazyLock::new(|| {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let set = load(&rule_files::from_path(&rules).expect("rule files")).unwrap_or_else(|errors| panic!("\n{errors}"));
    Arc::new(Program::new(Arc::new(set)).expect("not too many patterns"))
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    threat: Vec<Threat>,
    scenario: Vec<Scenario>,
}

/// A row of the table of what must be caught.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Threat {
    id: String,
    row: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    threat: String,
    name: String,
    benign: bool,
    why: String,
    #[serde(default)]
    findings: Vec<Sighting>,
    halt: Option<Sighting>,
    #[serde(default)]
    never: Vec<String>,
    #[serde(default)]
    hidden: Vec<String>,
    #[serde(default)]
    repeat: Vec<Repeat>,
}

/// One of these rules fires on one of these events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sighting {
    at: Vec<String>,
    rules: Vec<String>,
    /// The weakest action that counts; `flag` where it is missing.
    action: Option<String>,
}

/// The lines from one id to another, many times.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    from: String,
    to: String,
    times: i64,
    every: String,
}

/// One event on its way in.
struct Line {
    /// The latest time so far: a late event comes when it comes, whatever its own time says.
    arrival: Millis,
    json: String,
}

/// What the engine said of one scenario.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    /// Ids of the events that halted a session.
    halts: Vec<String>,
}

/// An engine and the next offset.
struct Run {
    engine: Engine,
    offset: i64,
}

#[test]
fn attacks_halt_where_they_trip_and_twins_never_do() {
    let problems = INDEX.scenario.iter().flat_map(|scenario| {
        let mut run = Run::new();
        let mut told = Told::default();
        lines(scenario).iter().for_each(|line| run.step(&line.json, &mut told));
        problems(scenario, &told)
    });
    report(problems.collect());
}

#[test]
fn all_sessions_in_one_stream_are_judged_the_same() {
    let mut stream: Vec<(usize, Line)> = Vec::new();
    for (n, scenario) in INDEX.scenario.iter().enumerate() {
        stream.extend(lines(scenario).into_iter().map(|line| (n, line)));
    }
    stream.sort_by_key(|(_, line)| line.arrival);
    let mut run = Run::new();
    let mut told: Vec<Told> = INDEX.scenario.iter().map(|_| Told::default()).collect();
    for (n, line) in &stream {
        run.step(&line.json, &mut told[*n]);
    }
    report(INDEX.scenario.iter().zip(&told).flat_map(|(scenario, told)| problems(scenario, told)).collect());
}

#[test]
fn every_threat_has_attacks_and_twins_and_every_file_is_played() {
    let mut problems = Vec::new();
    for threat in &INDEX.threat {
        let of_threat = || INDEX.scenario.iter().filter(|scenario| scenario.threat == threat.id);
        let twins = of_threat().filter(|scenario| scenario.benign).count();
        let attacks = of_threat().count() - twins;
        if attacks < SCENARIOS_MIN || twins < SCENARIOS_MIN {
            problems.push(format!("{} ({}): {attacks} attacks, {twins} twins", threat.id, threat.row));
        }
    }
    let expects = |scenario: &Scenario| !scenario.findings.is_empty() || scenario.halt.is_some();
    let odd = INDEX.scenario.iter().filter(|scenario| scenario.benign == expects(scenario));
    problems.extend(odd.map(|scenario| format!("{}: an attack must have an expectation, a twin none", scenario.name)));
    let named: BTreeSet<PathBuf> = INDEX.scenario.iter().map(Scenario::file).collect();
    assert_eq!(named.len(), INDEX.scenario.len(), "a scenario stands twice in the index");
    for file in INDEX.threat.iter().flat_map(|threat| files(&folder().join(&threat.id))) {
        if !named.contains(&file) {
            problems.push(format!("{}: not in the index", file.display()));
        }
    }
    report(problems);
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("readable").path()).collect()
}

/// Fails with all problems at once.
fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

impl Scenario {
    fn file(&self) -> PathBuf {
        folder().join(&self.threat).join(format!("{}.ndjson", self.name))
    }
}

/// The events of a scenario in order of arrival.
fn lines(scenario: &Scenario) -> Vec<Line> {
    let file = scenario.file();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut jsons: Vec<String> = text.lines().map(str::to_owned).collect();
    scenario.repeat.iter().for_each(|repeat| repeat.unroll(&mut jsons));
    let mut latest = Millis(i64::MIN);
    let arrive = |json: String| {
        latest = latest.max(time_of(&value(&json)));
        Line { arrival: latest, json }
    };
    jsons.into_iter().map(arrive).collect()
}

impl Repeat {
    /// Puts the rounds in the place of the lines that they are made of.
    fn unroll(&self, jsons: &mut Vec<String>) {
        let place = |id: &str| {
            let found = jsons.iter().position(|json| value(json)["id"] == id);
            found.unwrap_or_else(|| panic!("no event `{id}` to repeat"))
        };
        let (first, last) = (place(&self.from), place(&self.to));
        let block = jsons[first..=last].to_vec();
        let mut rounds: Vec<(Millis, String)> =
            (1..=self.times).flat_map(|n| block.iter().map(move |json| self.round(json, n))).collect();
        rounds.sort_by_key(|(at, _)| *at);
        jsons.splice(first..=last, rounds.into_iter().map(|(_, json)| json));
    }

    /// A line as it is in a round, and its time there.
    fn round(&self, json: &str, n: i64) -> (Millis, String) {
        let every = Span::parse(&self.every).expect("a duration");
        let mut event = value(&json.replace("{n}", &n.to_string()));
        let at = time_of(&event) + Span(every.0 * (n - 1));
        event["ts"] = Value::String(at.to_string());
        (at, event.to_string())
    }
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn time_of(event: &Value) -> Millis {
    event["ts"].as_str().and_then(Millis::parse).unwrap_or_else(|| panic!("no time in {event}"))
}

impl Run {
    fn new() -> Self {
        let shard = ShardId { topic: "scenarios".into(), partition: 0 };
        let settings = Settings { shadow: false, hash_key: HashKey([7; 16]) };
        Self { engine: Engine::new(shard, PACKS.clone(), settings), offset: 0 }
    }

    fn step(&mut self, json: &str, told: &mut Told) {
        let parsed = parse(json.as_bytes()).unwrap_or_else(|rejected| panic!("{}: {json}", rejected.detail));
        assert_eq!(parsed.problems, Vec::<String>::new(), "{json}");
        let at = At { offset: self.offset, append: None, silent: false };
        let digest = json.bytes().fold(0, |hash: u32, byte| hash.wrapping_mul(16_777_619) ^ u32::from(byte));
        let mut effects = Vec::new();
        self.engine.step(at, Input::Event { event: &parsed.event, digest }, &mut effects);
        self.offset += 1;
        told.take(effects);
    }
}

impl Told {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Finding(finding) => self.findings.push(finding),
                Effect::Halt(record) => self.halts.push(record.event_id.unwrap_or_default()),
            }
        }
    }

    /// What was said of some events in short, for a failure's message.
    fn about(&self, events: &[String]) -> String {
        let findings = self.findings.iter().filter(|finding| events.contains(&finding.event_id));
        let told: Vec<String> = findings.map(short).collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join("; ") }
    }
}

impl Sighting {
    fn is(&self, finding: &Finding, action_min: Action) -> bool {
        self.at.contains(&finding.event_id) && finding.action >= action_min && any_matches(&self.rules, finding)
    }

    fn action_min(&self) -> Action {
        let name = self.action.as_deref().unwrap_or("flag");
        let actions = [Action::Observe, Action::Flag, Action::Confirm, Action::Deny, Action::Halt];
        actions.into_iter().find(|action| action.as_str() == name).unwrap_or_else(|| panic!("no action `{name}`"))
    }
}

fn any_matches(rules: &[String], finding: &Finding) -> bool {
    rules.iter().any(|rule| Glob::new(rule.as_str()).matches(&finding.rule))
}

fn short(finding: &Finding) -> String {
    format!("{} {} on {}: {}", finding.rule, finding.action.as_str(), finding.event_id, finding.evidence.summary)
}

/// How what was said differs from what must be said.
fn problems(scenario: &Scenario, told: &Told) -> Vec<String> {
    let mut found = sightings_missed(scenario, told);
    found.extend(halt_missed(scenario, told));
    let too_strong = |finding: &&Finding| scenario.benign && finding.action >= Action::Deny;
    found.extend(told.findings.iter().filter(too_strong).map(|finding| format!("honest, and yet {}", short(finding))));
    let unwanted = told.findings.iter().filter(|finding| any_matches(&scenario.never, finding));
    found.extend(unwanted.map(|finding| format!("never expected {}", short(finding))));
    let open = told.findings.iter().filter(|finding| shows(finding, &scenario.hidden));
    found.extend(
        open.map(|finding| format!("a secret stands in the finding of {} on {}", finding.rule, finding.event_id)),
    );
    let place = format!("{}/{} ({})", scenario.threat, scenario.name, scenario.why);
    found.into_iter().map(|problem| format!("{place}: {problem}")).collect()
}

fn sightings_missed(scenario: &Scenario, told: &Told) -> Vec<String> {
    let is_missed = |wanted: &&Sighting| {
        let action_min = wanted.action_min();
        !told.findings.iter().any(|finding| wanted.is(finding, action_min))
    };
    let say =
        |wanted: &Sighting| format!("expected {:?} on {:?}, got {}", wanted.rules, wanted.at, told.about(&wanted.at));
    scenario.findings.iter().filter(is_missed).map(say).collect()
}

fn halt_missed(scenario: &Scenario, told: &Told) -> Option<String> {
    let got = || format!("got halts at {:?}, there: {}", told.halts, told.about(&told.halts));
    let Some(wanted) = &scenario.halt else {
        return (!told.halts.is_empty()).then(|| format!("expected no halt, {}", got()));
    };
    let in_place = matches!(told.halts.as_slice(), [only] if wanted.at.contains(only));
    let halting = |finding: &&Finding| told.halts.contains(&finding.event_id);
    let by_rule = told.findings.iter().filter(halting).any(|finding| wanted.is(finding, Action::Halt));
    let told_there = || told.about(&wanted.at);
    (!in_place || !by_rule).then(|| {
        format!("expected a halt at {:?} by {:?}, {}; wanted place: {}", wanted.at, wanted.rules, got(), told_there())
    })
}

/// Whether a text that must stay hidden stands anywhere in a finding.
fn shows(finding: &Finding, hidden: &[String]) -> bool {
    let json = serde_json::to_string(finding).expect("a finding is JSON");
    hidden.iter().any(|text| json.contains(text.as_str()))
}
