//! `POST /v1/gate`: may this session's next action go ahead?
//!
//! First the halts, by one look-up; then what the rules say of the proposed action; then, where a rule asks for a
//! person, the confirmation. Nothing here waits for the ledger or Kafka.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Api;
use super::access::Caller;
use super::answer::HaltBody;
use super::error::ApiError;
use super::judge::Windows;
use super::proposal::{AgentName, Proposal};
use super::request::{JsonBody, Name, Names, Shape};
use super::settings::{GateSettings, Otherwise};
use crate::engine::Program;
use crate::finding::{Action, Finding, Mode, Severity};
use crate::halt::HaltRecord;
use crate::io::clock;
use crate::io::confirm::{Ask, Worth};
use crate::time::Millis;

/// How long a caller may go on with an answer that is about the session alone.
const TTL_MS: u64 = 1_000;
/// Findings that an answer names.
const NAMED_MAX: usize = 16;

/// The question.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Question {
    #[schemars(with = "String")]
    pub(super) session: Name,
    #[schemars(with = "Option<String>")]
    pub(super) tenant: Option<Name>,
    pub(super) agent: Option<AgentName>,
    /// What wants to happen; without it only the halts are looked up.
    #[schemars(with = "Option<Proposal>")]
    pub(super) action: Option<Box<RawValue>>,
    /// Id of a confirmation that the same action has got.
    pub(super) confirmation: Option<String>,
}

impl Shape for Question {
    const EXPECTED: &'static str = r#"{"session":"…","tenant":"…","agent":"…","action":{"kind":"tool_call","tool":"…","args":{…}}}, of which only session is required"#;
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decision {
    /// The action may go ahead.
    Allow,
    /// A person must confirm it first.
    Confirm,
    /// It must not go ahead.
    Deny,
}

impl Decision {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Confirm => "confirm",
            Self::Deny => "deny",
        }
    }
}

/// A finding on the proposed action.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Named {
    rule: Arc<str>,
    title: Arc<str>,
    severity: Severity,
    action: Action,
    mode: Mode,
    summary: String,
    field: Option<String>,
    excerpt: Option<String>,
}

impl Named {
    fn of(finding: &Finding) -> Self {
        Self {
            rule: finding.rule.clone(),
            title: finding.title.clone(),
            severity: finding.severity,
            action: finding.action,
            mode: finding.mode,
            summary: finding.evidence.summary.clone(),
            field: finding.evidence.field.clone(),
            excerpt: finding.evidence.excerpt.clone(),
        }
    }
}

/// A confirmation that is waited for.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Waiting {
    id: String,
    state: &'static str,
    expires: Millis,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    pub(super) decision: Decision,
    pub(super) halted: bool,
    pub(super) halt: Option<HaltBody>,
    pub(super) rule: Option<Arc<str>>,
    pub(super) reason: Option<String>,
    /// What the rules say of the action, the gravest first.
    findings: Vec<Named>,
    /// With `confirm`: what to ask again with.
    confirmation: Option<Waiting>,
    /// The action may be carried out as a dry run only.
    pub(super) dry_run: bool,
    /// Whether what the session did before was looked at.
    windows: Windows,
    /// Whether the session was seen here before.
    known: bool,
    /// How long the answer may be kept; 0 where it is about this action alone.
    ttl_ms: u64,
    /// Counts up with every change of any halt.
    rev: u64,
}

impl Answer {
    fn new(decision: Decision, rev: u64) -> Self {
        Self {
            decision,
            halted: false,
            halt: None,
            rule: None,
            reason: None,
            findings: Vec::new(),
            confirmation: None,
            dry_run: false,
            windows: Windows::NotHere,
            known: false,
            ttl_ms: 0,
            rev,
        }
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    fn halted(record: &HaltRecord, rev: u64) -> Self {
        Self {
            halted: true,
            halt: Some(HaltBody::of(record)),
            rule: record.rule.clone(),
            known: true,
            ttl_ms: TTL_MS,
            ..Self::new(Decision::Deny, rev)
        }
        .because(record.reason.as_str())
    }
}

pub(super) async fn ask(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    question: Result<JsonBody<Question>, ApiError>,
) -> Result<Json<Answer>, ApiError> {
    let asked = question.and_then(|JsonBody(question)| Asked::of(question, &caller));
    decide(&api, asked).await.map(Json)
}

/// A question with all of its parts.
pub(super) struct Asked {
    pub(super) names: Names,
    pub(super) agent: Option<String>,
    /// What wants to happen, or why it cannot be read; without it only the halts are looked up.
    pub(super) action: Option<Result<Proposal, String>>,
    /// The event that it would be, where it is not to be made from the action.
    pub(super) event: Option<Vec<u8>>,
    pub(super) confirmation: Option<String>,
}

impl Asked {
    fn of(question: Question, caller: &Caller) -> Result<Self, ApiError> {
        let tenant = question.tenant.as_ref().map(|Name(tenant)| tenant.as_str());
        Ok(Self {
            names: Names::asked(caller, tenant, question.session)?,
            agent: question.agent.map(AgentName::into_name),
            // Whoever writes the arguments must not be able to keep the gate from answering.
            action: question.action.map(|raw| serde_json::from_str(raw.get()).map_err(|error| error.to_string())),
            event: None,
            confirmation: question.confirmation,
        })
    }
}

/// Decides, and counts what was decided.
pub(super) async fn decide(api: &Api, asked: Result<Asked, ApiError>) -> Result<Answer, ApiError> {
    let began = Instant::now();
    let answer = match asked {
        Ok(asked) => consider(api, asked).await,
        Err(error) => Err(error),
    };
    let decision = answer.as_ref().map_or("error", |answer| answer.decision.as_str());
    api.metrics.gate_requests.with_label_values(&[decision]).inc();
    api.metrics.gate_duration.record_seconds(began.elapsed().as_secs_f64());
    answer
}

async fn consider(api: &Api, mut asked: Asked) -> Result<Answer, ApiError> {
    // Read first: an answer must not claim a newer revision than it was made from.
    let rev = api.halts.revision();
    if !api.halts.is_complete() {
        return match api.gate.when_unready {
            Otherwise::Error => Err(ApiError::not_ready()),
            Otherwise::Deny => Ok(Answer::new(Decision::Deny, rev).because("the halts are not known yet")),
            Otherwise::Allow => Ok(Answer::new(Decision::Allow, rev).because("the halts are not known yet")),
        };
    }
    let record = api.halts.get(&asked.names.tenant, &asked.names.session);
    if let Some(record) = record.as_ref().filter(|record| record.is_halted()) {
        return Ok(Answer::halted(record, rev));
    }
    match asked.action.take() {
        Some(Ok(action)) => judge(api, (asked, action), record.is_some(), rev).await,
        Some(Err(why)) => Ok(unreadable(api, record.is_some(), rev, &why)),
        None => plain(api, &asked.names, record.is_some(), rev).await,
    }
}

/// Without an action: the halts have been looked up, and that is all.
async fn plain(api: &Api, names: &Names, has_record: bool, rev: u64) -> Result<Answer, ApiError> {
    let mut answer = Answer { known: has_record, ttl_ms: TTL_MS, ..Answer::new(Decision::Allow, rev) };
    if !has_record && !api.gate.allows_unknown() {
        let seen = super::ask_workers(api.fleet.session(&names.tenant, &names.session)).await?;
        answer.known = seen.is_some();
        if seen.is_none() {
            return Ok(unknown(&api.gate, answer));
        }
    }
    Ok(answer)
}

fn unknown(gate: &GateSettings, answer: Answer) -> Answer {
    if gate.allows_unknown() {
        return answer;
    }
    Answer { decision: Decision::Deny, ttl_ms: 0, ..answer }.because("no event of this session was seen here")
}

async fn judge(api: &Api, (asked, action): (Asked, Proposal), has_record: bool, rev: u64) -> Result<Answer, ApiError> {
    let Names { tenant, session, .. } = &asked.names;
    let program = api.rules.program();
    let event = asked.event.clone();
    let event = event.unwrap_or_else(|| action.event((tenant, session), asked.agent.as_deref()));
    let judged = match api.judge.judge(&program, event.into()).await {
        Ok(judged) => judged,
        Err(why) => return Ok(unreadable(api, has_record, rev, &why)),
    };
    let known = has_record || judged.windows == Windows::Checked;
    let mut findings: Vec<&Finding> = judged.findings.iter().collect();
    findings
        .sort_by_key(|finding| std::cmp::Reverse((finding.mode == Mode::Enforce, finding.action, finding.severity)));
    let findings = findings.into_iter().take(NAMED_MAX).map(Named::of).collect();
    let answer = Answer { findings, windows: judged.windows, known, ..Answer::new(Decision::Allow, rev) };
    let answer = match judged.gravest() {
        None if asked.confirmation.is_some() => spend(api, (&asked, &action), answer),
        None => answer,
        Some(grave) => {
            let answer = Answer { rule: Some(grave.rule.clone()), ..answer };
            let answer = answer.because(format!("{}: {}", grave.title, grave.evidence.summary));
            match (grave.action, &asked.confirmation) {
                (Action::Confirm, None) => open(api, &program, (&asked, &action), grave, answer),
                (Action::Confirm, Some(_)) => spend(api, (&asked, &action), answer),
                _ => Answer { decision: Decision::Deny, ..answer },
            }
        }
    };
    Ok(if known { answer } else { unknown(&api.gate, answer) })
}

/// What cannot be read must not be a way past.
fn unreadable(api: &Api, known: bool, rev: u64, why: &str) -> Answer {
    let why = format!("the action cannot be judged: {}", api.rules.program().mask(why));
    Answer { known, ..Answer::new(Decision::Deny, rev) }.because(why)
}

/// Asks for a person; what one has said already of the same action counts, too, for those who cannot name a
/// confirmation.
fn open(api: &Api, program: &Program, (asked, action): (&Asked, &Proposal), grave: &Finding, answer: Answer) -> Answer {
    let Names { tenant, session, .. } = &asked.names;
    let ask = Ask {
        tenant: tenant.clone(),
        session: session.clone(),
        agent: asked.agent.as_deref().map(|agent| program.mask(agent)),
        action: action.shown(program),
        digest: action.digest(),
        rule: grave.rule.clone(),
        title: grave.title.clone(),
        severity: grave.severity,
        reason: grave.evidence.summary.clone(),
    };
    if let Some(id) = api.confirmations.answered((tenant, session), &ask.digest, clock::now()) {
        return spend_one(api, &id, (asked, action), answer);
    }
    match api.confirmations.open(ask, clock::now()) {
        Some(one) => waiting(one.id, one.expires, answer),
        None => Answer { decision: Decision::Deny, ..answer }.because("too many actions wait for a person already"),
    }
}

fn waiting(id: String, expires: Millis, answer: Answer) -> Answer {
    let confirmation = Some(Waiting { id, state: "pending", expires });
    Answer { decision: Decision::Confirm, confirmation, ..answer }
}

/// Uses the confirmation that the question names.
fn spend(api: &Api, (asked, action): (&Asked, &Proposal), answer: Answer) -> Answer {
    spend_one(api, asked.confirmation.as_deref().unwrap_or_default(), (asked, action), answer)
}

fn spend_one(api: &Api, id: &str, (asked, action): (&Asked, &Proposal), answer: Answer) -> Answer {
    let Names { tenant, session, .. } = &asked.names;
    match api.confirmations.spend(id, (tenant, session), &action.digest(), clock::now()) {
        Worth::Approved => Answer { decision: Decision::Allow, ..answer },
        Worth::DryRun => Answer { decision: Decision::Allow, dry_run: true, ..answer },
        Worth::Pending(one) => waiting(one.id, one.expires, answer),
        Worth::Nothing(why) => Answer { decision: Decision::Deny, ..answer }.because(why),
    }
}
