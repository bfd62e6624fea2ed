//! The table that looks at one field: `[scope]`.

use toml::Spanned;

use super::compile::{Checked, Compiler, unknown};
use super::file::Names;
use super::tables::ScopeTable;
use super::{Glob, Hours, Reading, ScopeCheck, ScopeLimit, Template};

/// The days of the week in rules, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// What a path may begin with.
const ROOTS: [&str; 6] = ["text", "args", "result", "tool", "labels", "usage"];
const DAY_MINUTES: i64 = 24 * 60;

impl Compiler<'_> {
    pub(super) fn scope_check(&self, table: &Spanned<ScopeTable>) -> Checked<ScopeCheck> {
        let inner = table.get_ref();
        let limit = match (&inner.not_equal, &inner.not_in, &inner.in_, &inner.above, &inner.below) {
            (Some(template), None, None, None, None) => ScopeLimit::NotEqual(self.template(template)?),
            (None, Some(names), None, None, None) => ScopeLimit::NotIn(self.globs(names)?),
            (None, None, Some(names), None, None) => ScopeLimit::In(self.globs(names)?),
            (None, None, None, Some(above), None) => ScopeLimit::Above(self.number(above)?),
            (None, None, None, None, Some(below)) => ScopeLimit::Below(self.number(below)?),
            (None, None, None, None, None) if inner.field.0.is_empty() => ScopeLimit::Outside(self.hours(table)?),
            _ => {
                return self.error(
                    table,
                    "expected exactly one of `not_equal`, `not_in`, `in`, `above` and `below`, or `hours_outside` or \
                     `days` without a `field`",
                );
            }
        };
        let is_timed = matches!(limit, ScopeLimit::Outside(_));
        if !is_timed && (inner.hours_outside.is_some() || !inner.days.0.is_empty() || inner.utc_offset.is_some()) {
            return self.error(table, "expected the time of day in a rule of its own, without a `field`");
        }
        if !is_timed && inner.field.0.is_empty() {
            return self.error(table, "expected `field`: the path of what is checked, such as `args.url`");
        }
        Ok(ScopeCheck { fields: self.paths(&inner.field)?, reading: self.reading(inner)?, limit })
    }

    fn reading(&self, table: &ScopeTable) -> Checked<Reading> {
        let Some(name) = &table.as_ else { return Ok(Reading::Value) };
        match Reading::ALL.iter().find(|(known, _)| known == name.get_ref()) {
            Some((_, reading)) => Ok(*reading),
            None => self.error(name, unknown(name.get_ref(), &Reading::ALL.map(|(name, _)| name))),
        }
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

    /// Paths of fields, each with a root that events have.
    pub(super) fn paths(&self, names: &Names) -> Checked<Vec<Glob>> {
        for name in &names.0 {
            let root = name.get_ref().split('.').next().unwrap_or_default();
            if !ROOTS.contains(&root) && !root.starts_with('@') {
                return self.error(
                    name,
                    "expected a path that starts with `text`, `args`, `result`, `tool`, `labels` or `usage`",
                );
            }
        }
        self.globs(names)
    }

    fn hours(&self, table: &Spanned<ScopeTable>) -> Checked<Hours> {
        let inner = table.get_ref();
        if inner.hours_outside.is_none() && inner.days.0.is_empty() {
            return self.error(table, "expected `field` with a limit, or `hours_outside` or `days`");
        }
        let text = inner.hours_outside.as_ref().map_or("00:00-24:00", |hours| hours.get_ref().as_str());
        let bounds = text.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        let (Some((from, to)), hours) = (bounds, &inner.hours_outside) else {
            return self.error(
                inner.hours_outside.as_ref().unwrap_or(&Spanned::new(table.span(), String::new())),
                "expected two times of the day such as `07:00-19:00`",
            );
        };
        if from == to && hours.is_some() {
            return self.error(table, "expected two different times of the day");
        }
        let day = |name: &Spanned<String>| match DAYS.iter().position(|day| day == name.get_ref()) {
            Some(position) => Ok(i64::try_from(position).unwrap_or_default()),
            None => self.error(name, unknown(name.get_ref(), &DAYS)),
        };
        let days_off = inner.days.0.iter().map(day).collect::<Checked<Vec<_>>>()?;
        let offset = inner.utc_offset.as_ref();
        let ahead = match offset.map(|offset| (offset, ahead(offset.get_ref()))) {
            None => 0,
            Some((_, Some(ahead))) => ahead,
            Some((at, None)) => return self.error(at, "expected how far the clock is ahead of UTC, such as `+01:00`"),
        };
        let zone = offset.map_or("UTC", |offset| offset.get_ref().as_str());
        Ok(Hours { from, to, ahead, days_off, text: format!("{text} {zone}") })
    }
}

/// `07:30` as minutes of the day, up to `24:00`.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let part = |text: &str| (text.len() == 2).then(|| text.parse::<i64>().ok()).flatten();
    let (hours, minutes) = (part(hours)?, part(minutes)?);
    let all = hours * 60 + minutes;
    ((0..60).contains(&minutes) && (0..=DAY_MINUTES).contains(&all)).then_some(all)
}

/// `+01:00` or `-05:30` in minutes.
fn ahead(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    minutes(text.strip_prefix(['+', '-'])?).map(|minutes| sign * minutes)
}
