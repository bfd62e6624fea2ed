//! One rule file → one checked rule.

use std::sync::Arc;

use toml::Spanned;

use super::case::{Case, Expected, lay_out};
use super::diagnose::{Diagnostic, Place, closest};
use super::file::{CaseTable, Names, RaiseTable, RateTable, RuleFile, ScopeTable, WhenTable};
use super::lists::Lists;
use super::{Check, Glob, GroupBy, Raise, RateCheck, Rule, ScopeCheck, ScopeLimit, Template, Threshold, When};
use crate::event::{Kind, Role, Trust};
use crate::finding::Action;
use crate::ids::digest_id;
use crate::limits::WINDOW_SPAN_MAX;
use crate::time::Span;

pub(super) type Checked<T> = Result<T, Diagnostic>;

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
        tags: Arc::from(file.tags.clone()),
        when,
        check,
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
        match (&file.match_, &file.scope, &file.rate, &file.classify) {
            (Some(table), None, None, None) => self.match_check(table).map(Check::Match),
            (None, Some(table), None, None) => self.scope_check(table).map(Check::Scope),
            (None, None, Some(table), None) => self.rate_check(table).map(Check::Rate),
            (None, None, None, Some(table)) => self.classify_check(table).map(Check::Classify),
            _ => self.error(&file.id, "expected exactly one of the tables [match], [scope], [rate] and [classify]"),
        }
    }

    fn when(&self, table: &WhenTable) -> Checked<When> {
        Ok(When {
            kinds: self.named(&table.kind, Kind::parse, &Kind::ALL.map(Kind::as_str))?,
            roles: self.named(&table.role, Role::parse, &Role::ALL.map(Role::as_str))?,
            trusts: self.named(&table.trust, Trust::parse, &Trust::ALL.map(Trust::as_str))?,
            tools: self.globs(&table.tool)?,
            not_tools: self.globs(&table.not_tool)?,
            agents: self.globs(&table.agent)?,
            tenants: self.globs(&table.tenant)?,
        })
    }

    fn raise(&self, table: &RaiseTable) -> Checked<Raise> {
        Ok(Raise {
            action: table.action,
            when: When {
                kinds: self.named(&table.kind, Kind::parse, &Kind::ALL.map(Kind::as_str))?,
                roles: self.named(&table.role, Role::parse, &Role::ALL.map(Role::as_str))?,
                trusts: self.named(&table.trust, Trust::parse, &Trust::ALL.map(Trust::as_str))?,
                tools: self.globs(&table.tool)?,
                ..When::default()
            },
            fields: self.globs(&table.fields)?,
        })
    }

    fn named<T>(&self, names: &Names, parse: fn(&str) -> Option<T>, known: &[&'static str]) -> Checked<Vec<T>> {
        let one = |name: &Spanned<String>| match parse(name.get_ref()) {
            Some(value) => Ok(value),
            None => self.error(name, unknown(name.get_ref(), known)),
        };
        names.0.iter().map(one).collect()
    }

    pub(super) fn globs(&self, names: &Names) -> Checked<Vec<Glob>> {
        Ok(self.lists.expand(&names.0, self.place)?.into_iter().map(Glob::new).collect())
    }

    fn scope_check(&self, table: &Spanned<ScopeTable>) -> Checked<ScopeCheck> {
        let inner = table.get_ref();
        let limit = match (&inner.not_equal, &inner.not_in, &inner.in_, inner.above) {
            (Some(template), None, None, None) => ScopeLimit::NotEqual(self.template(template)?),
            (None, Some(names), None, None) => ScopeLimit::NotIn(self.globs(names)?),
            (None, None, Some(names), None) => ScopeLimit::In(self.globs(names)?),
            (None, None, None, Some(above)) => ScopeLimit::Above(above),
            _ => return self.error(table, "expected exactly one of `not_equal`, `not_in`, `in` and `above`"),
        };
        Ok(ScopeCheck { fields: self.paths(&inner.field)?, limit })
    }

    fn template(&self, text: &Spanned<String>) -> Checked<Template> {
        match text.get_ref().as_str() {
            "{session.tenant}" => Ok(Template::Tenant),
            "{session.id}" => Ok(Template::Session),
            "{agent.id}" => Ok(Template::Agent),
            _ => self.error(
                text,
                "expected `{session.tenant}`, `{session.id}` or `{agent.id}`; for a fixed value use `not_in`",
            ),
        }
    }

    fn paths(&self, names: &Names) -> Checked<Vec<Glob>> {
        for name in &names.0 {
            let root = name.get_ref().split('.').next().unwrap_or_default();
            if !matches!(root, "text" | "args" | "result") && !root.starts_with('@') {
                return self.error(name, "expected a path that starts with `text`, `args` or `result`");
            }
        }
        self.globs(names)
    }

    fn rate_check(&self, table: &Spanned<RateTable>) -> Checked<RateCheck> {
        let inner = table.get_ref();
        let threshold = match (&inner.count_at_least, &inner.sum, inner.sum_above) {
            (Some(count), None, None) if *count.get_ref() > 0 => Threshold::CountAtLeast(*count.get_ref()),
            (Some(count), None, None) => return self.error(count, "expected a count of at least 1"),
            (None, Some(fields), Some(above)) => Threshold::SumAbove { fields: self.paths(fields)?, above },
            _ => return self.error(table, "expected either `count_at_least`, or `sum` with `sum_above`"),
        };
        let window = self.span(&inner.window)?;
        if window > WINDOW_SPAN_MAX {
            return self.error(&inner.window, format!("expected a window of at most {WINDOW_SPAN_MAX}, got {window}"));
        }
        let group_by = inner.group_by.0.iter().map(|name| self.group_by(name)).collect::<Checked<Vec<_>>>()?;
        if group_by.is_empty() {
            return self.error(table, "expected `group_by` to name at least one of `session`, `agent`, `tenant`…");
        }
        Ok(RateCheck { group_by, window, threshold })
    }

    fn group_by(&self, name: &Spanned<String>) -> Checked<GroupBy> {
        const KNOWN: [&str; 5] = ["session", "agent", "tenant", "tool", "call"];
        Ok(match name.get_ref().as_str() {
            "session" => GroupBy::Session,
            "agent" => GroupBy::Agent,
            "tenant" => GroupBy::Tenant,
            "tool" => GroupBy::Tool,
            "call" => GroupBy::Call,
            path if path.starts_with("args.") || path.starts_with("result.") => GroupBy::Field(path.to_owned()),
            other => return self.error(name, format!("{} or a path such as `args.to`", unknown(other, &KNOWN))),
        })
    }

    fn span(&self, text: &Spanned<String>) -> Checked<Span> {
        Span::parse(text.get_ref()).map_err(|message| self.place.error(&text.span(), message))
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
