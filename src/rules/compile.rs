//! One rule file → one checked rule.

use std::sync::Arc;

use toml::Spanned;

use super::case::{Case, Expected, lay_out};
use super::diagnose::{Diagnostic, Place, closest};
use super::file::{CaseTable, ExceptTable, Names, RaiseTable, RuleFile, WhenTable};
use super::lists::Lists;
use super::tables::{Number, NumberValue};
use super::{Check, Except, Glob, Hints, Raise, Rule, When};
use crate::event::{Kind, Role, Trust};
use crate::finding::{Action, Severity};
use crate::ids::digest_id;
use crate::limits::WINDOW_SPAN_MAX;
use crate::time::{Millis, Span};

pub(super) type Checked<T> = Result<T, Diagnostic>;

/// What stands before an annotation in a list of tools.
const ANNOTATION: &str = "annotation:";
/// Thousandths of a point.
const POINTS: f64 = 1e3;
/// Most points that one finding can give.
const POINTS_MAX: f64 = 1e6;

/// Most events that a case may lay out.
const CASE_EVENTS_MAX: u32 = 20_000;

/// Checks one rule. `None` for one that is switched off.
pub(super) fn compile(place: Place<'_>, lists: &Lists) -> Checked<Option<Rule>> {
    let file: RuleFile = toml::from_str(place.text).map_err(|error| place.toml_error(&error))?;
    let compiler = Compiler { place, lists };
    compiler.header(&file)?;
    let check = compiler.check(&file)?;
    let when = compiler.when(&file.when)?;
    let meaning = format!("{when:?}{check:?}");
    let rule = Rule {
        id: Arc::from(file.id.get_ref().as_str()),
        version: Arc::from(digest_id("", &[place.text.as_bytes(), meaning.as_bytes()])),
        title: Arc::from(file.title.as_str()),
        description: file.description.trim().to_owned(),
        severity: file.severity,
        action: file.action,
        raises: file.raise.iter().map(|raise| compiler.raise(raise)).collect::<Checked<_>>()?,
        mode: file.mode,
        points: compiler.points(&file)?,
        tags: Arc::from(file.tags.clone()),
        when,
        check,
        excepts: file.except.iter().map(|except| compiler.except(except)).collect::<Checked<_>>()?,
        cases: file.case.iter().map(|case| compiler.case(case)).collect::<Checked<_>>()?,
        file: place.file.to_owned(),
    };
    Ok(file.enabled.then_some(rule))
}

pub(super) struct Compiler<'a> {
    pub(super) place: Place<'a>,
    pub(super) lists: &'a Lists,
}

impl Compiler<'_> {
    pub(super) fn error<T, S>(&self, at: &Spanned<S>, message: impl Into<String>) -> Checked<T> {
        Err(self.place.error(&at.span(), message))
    }

    fn header(&self, file: &RuleFile) -> Checked<()> {
        if *file.schema.get_ref() != 1 {
            return self.error(&file.schema, "expected `schema = 1`, the only version of this format");
        }
        let id = file.id.get_ref();
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(kebab) {
            return self.error(&file.id, "expected an id of lower-case letters, digits and dashes");
        }
        Ok(())
    }

    fn check(&self, file: &RuleFile) -> Checked<Check> {
        let checks: Vec<Checked<Check>> = [
            file.match_.as_ref().map(|table| self.match_check(table).map(Check::Match)),
            file.classify.as_ref().map(|table| self.classify_check(table).map(Check::Classify)),
            file.scope.as_ref().map(|table| self.scope_check(table).map(Check::Scope)),
            file.rate.as_ref().map(|table| self.rate_check(table).map(Check::Rate)),
            file.spike.as_ref().map(|table| self.spike_check(table).map(Check::Spike)),
            file.sequence.as_ref().map(|table| self.sequence_check(table).map(Check::Sequence)),
            file.flow.as_ref().map(|table| self.flow_check(table).map(|check| Check::Flow(Box::new(check)))),
            file.repeat.as_ref().map(|table| self.repeat_check(table).map(Check::Repeat)),
            file.score.as_ref().map(|table| self.score_check(table).map(Check::Score)),
            file.tools.as_ref().map(|table| self.tools_check(table)),
        ]
        .into_iter()
        .flatten()
        .collect();
        match <[Checked<Check>; 1]>::try_from(checks) {
            Ok([check]) => check,
            Err(_) => self.error(
                &file.id,
                "expected exactly one of the tables [match], [classify], [scope], [rate], [spike], [sequence], [flow], \
                 [repeat], [score] and [tools]",
            ),
        }
    }

    fn points(&self, file: &RuleFile) -> Checked<i64> {
        let by_severity = match file.severity {
            Severity::Informational => 0.0,
            Severity::Low => 2.0,
            Severity::Medium => 8.0,
            Severity::High => 20.0,
            Severity::Critical => 50.0,
        };
        let points = file.points.as_ref().map_or(Ok(by_severity), |points| self.number(points))?;
        if points > POINTS_MAX {
            let at = file.points.as_ref().map(|points| points.0.span()).unwrap_or_default();
            return Err(self.place.error(&at, format!("expected at most {POINTS_MAX} points, got {points}")));
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        Ok((points * POINTS).round() as i64)
    }

    pub(super) fn when(&self, table: &WhenTable) -> Checked<When> {
        let (tools, hints) = self.tools(&table.tool)?;
        Ok(When {
            kinds: self.named(&table.kind, Kind::parse, &Kind::ALL.map(Kind::as_str))?,
            roles: self.named(&table.role, Role::parse, &Role::ALL.map(Role::as_str))?,
            trusts: self.named(&table.trust, Trust::parse, &Trust::ALL.map(Trust::as_str))?,
            tools,
            hints,
            not_tools: self.globs(&table.not_tool)?,
            servers: self.globs(&table.server)?,
            agents: self.globs(&table.agent)?,
            not_agents: self.globs(&table.not_agent)?,
            tenants: self.globs(&table.tenant)?,
            sessions: self.globs(&table.session)?,
            labels: self.globs(&table.label)?,
            not_labels: self.globs(&table.not_label)?,
            error: table.error,
        })
    }

    /// Names of tools, and what tools say of themselves.
    fn tools(&self, names: &Names) -> Checked<(Vec<Glob>, Hints)> {
        let mut hints = Hints::default();
        let mut tools = Vec::new();
        for item in self.lists.expand(&names.0, self.place)? {
            let Some(annotation) = item.strip_prefix(ANNOTATION) else {
                tools.push(Glob::new(item));
                continue;
            };
            let Some(hint) = Hints::parse(annotation) else {
                let at = names.0.first().map(Spanned::span).unwrap_or_default();
                let message = format!(
                    "expected `{ANNOTATION}` and one of `readOnlyHint`, `destructiveHint`, `idempotentHint` and \
                     `openWorldHint` with `=true` or `=false`, got `{item}`"
                );
                return Err(self.place.error(&at, message));
            };
            hints = hints.and(hint);
        }
        Ok((tools, hints))
    }

    fn except(&self, table: &Spanned<ExceptTable>) -> Checked<Except> {
        let inner = table.get_ref();
        let when = When {
            agents: self.globs(&inner.agent)?,
            tools: self.globs(&inner.tool)?,
            tenants: self.globs(&inner.tenant)?,
            sessions: self.globs(&inner.session)?,
            ..When::default()
        };
        let values = self.globs(&inner.value)?;
        if when.passes_every_event() && when.tenants.is_empty() && values.is_empty() {
            return self.error(table, "expected at least one of `agent`, `tool`, `tenant`, `session` and `value`");
        }
        if inner.owner.trim().is_empty() || inner.reason.trim().is_empty() {
            return self.error(table, "expected an `owner` and a `reason`, for those who read it later");
        }
        let Some(until) = Millis::end_of_day(inner.until.get_ref()) else {
            return self.error(&inner.until, "expected the last day on which it holds, such as `2027-01-31`");
        };
        Ok(Except { owner: inner.owner.clone(), reason: inner.reason.clone(), until, when, values })
    }

    fn raise(&self, table: &RaiseTable) -> Checked<Raise> {
        Ok(Raise {
            action: table.action,
            when: When {
                kinds: self.named(&table.kind, Kind::parse, &Kind::ALL.map(Kind::as_str))?,
                roles: self.named(&table.role, Role::parse, &Role::ALL.map(Role::as_str))?,
                trusts: self.named(&table.trust, Trust::parse, &Trust::ALL.map(Trust::as_str))?,
                tools: self.globs(&table.tool)?,
                not_tools: self.globs(&table.not_tool)?,
                ..When::default()
            },
            fields: self.globs(&table.fields)?,
        })
    }

    /// A number as it stands or by its name; never negative.
    pub(super) fn number(&self, number: &Number) -> Checked<f64> {
        let value = match number.0.get_ref() {
            NumberValue::Text(name) => match self.setting(name, &number.0)? {
                NumberValue::Given(value) => *value,
                NumberValue::Text(text) => {
                    return self.error(&number.0, format!("expected a number, and setting `{name}` is `{text}`"));
                }
            },
            NumberValue::Given(value) => *value,
        };
        if !value.is_finite() || value < 0.0 {
            return self.error(&number.0, format!("expected a number of 0 or more, got {value}"));
        }
        Ok(value)
    }

    /// A whole number between two bounds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number within u32")]
    pub(super) fn whole(&self, number: &Number, least: u32, most: u32) -> Checked<u32> {
        let value = self.number(number)?;
        if value.fract() != 0.0 || value < f64::from(least) || value > f64::from(most) {
            return self.error(&number.0, format!("expected a whole number from {least} to {most}, got {value}"));
        }
        Ok(value as u32)
    }

    /// A duration as it stands or by its name.
    pub(super) fn span(&self, text: &Spanned<String>) -> Checked<Span> {
        let named = text.get_ref();
        let given = match named.starts_with('@').then(|| self.setting(named, text)).transpose()? {
            None => named,
            Some(NumberValue::Text(given)) => given,
            Some(NumberValue::Given(number)) => {
                return self.error(text, format!("expected a duration, and setting `{named}` is {number}"));
            }
        };
        Span::parse(given).map_err(|message| self.place.error(&text.span(), message))
    }

    /// A duration that a window may have.
    pub(super) fn window(&self, text: &Spanned<String>) -> Checked<Span> {
        let span = self.span(text)?;
        if span > WINDOW_SPAN_MAX {
            return self.error(text, format!("expected at most {WINDOW_SPAN_MAX}, got {span}"));
        }
        Ok(span)
    }

    fn setting<S>(&self, name: &str, at: &Spanned<S>) -> Checked<&NumberValue> {
        let Some(name) = name.strip_prefix('@') else {
            return self.error(at, format!("expected a number or the `@name` of a setting, got `{name}`"));
        };
        self.lists.setting(name).map_err(|message| self.place.error(&at.span(), message))
    }

    pub(super) fn named<T>(
        &self,
        names: &Names,
        parse: fn(&str) -> Option<T>,
        known: &[&'static str],
    ) -> Checked<Vec<T>> {
        let one = |name: &Spanned<String>| match parse(name.get_ref()) {
            Some(value) => Ok(value),
            None => self.error(name, unknown(name.get_ref(), known)),
        };
        names.0.iter().map(one).collect()
    }

    pub(super) fn globs(&self, names: &Names) -> Checked<Vec<Glob>> {
        Ok(self.lists.expand(&names.0, self.place)?.into_iter().map(Glob::new).collect())
    }

    fn case(&self, table: &Spanned<CaseTable>) -> Checked<Case> {
        let case = table.get_ref();
        let every = case.every.as_ref().map_or(Ok(Span::seconds(1)), |every| self.span(every))?;
        let action = match case.expect.get_ref().as_str() {
            "none" => None,
            name => Some(self.action(name, &case.expect)?),
        };
        let lines = u32::try_from(case.events.get_ref().lines().count()).unwrap_or(u32::MAX);
        if case.repeat == 0 || case.repeat.saturating_mul(lines) > CASE_EVENTS_MAX {
            return self.error(table, format!("expected between 1 and {CASE_EVENTS_MAX} events in a case"));
        }
        let events = lay_out(case.events.get_ref(), case.repeat, every);
        if events.is_empty() {
            return self.error(&case.events, "expected at least one event, one JSON object a line");
        }
        let (line, _) = self.place.line_and_column(table.span().start);
        Ok(Case { name: case.name.clone(), line, events, expected: Expected { action, at: case.at } })
    }

    fn action(&self, name: &str, at: &Spanned<String>) -> Checked<Action> {
        const ALL: [Action; 5] = [Action::Observe, Action::Flag, Action::Confirm, Action::Deny, Action::Halt];
        let known = ["none", "observe", "flag", "confirm", "deny", "halt"];
        match ALL.into_iter().find(|action| action.as_str() == name) {
            Some(action) => Ok(action),
            None => self.error(at, unknown(name, &known)),
        }
    }
}

pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let hint = closest(name, known.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!(
        "expected one of {}, got `{name}`{hint}",
        known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
    )
}
