//! Whether a field's value is within its rule's limits.

use super::{Glob, network};
use crate::event::{Event, LeafValue, TENANT_DEFAULT};
use crate::text::extract;
use crate::time::Millis;

/// A field of a tool call against lists and limits. A field that is not there is within scope.
#[derive(Clone, Debug)]
pub struct ScopeCheck {
    /// Paths of the fields; each one that is there is checked. None for a rule on the time of day.
    pub fields: Vec<Glob>,
    /// What is read in them.
    pub reading: Reading,
    /// What is out of scope.
    pub limit: ScopeLimit,
}

/// What is read in a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// The value as it stands.
    #[default]
    Value,
    /// Every host that it names.
    Host,
    /// Every e-mail address.
    Recipient,
    /// A file's path, without detours.
    Path,
    /// The verbs of SQL statements.
    Sql,
    /// The commands of a shell line.
    Shell,
}

impl Reading {
    /// Every reading with its name in rules.
    pub const ALL: [(&'static str, Self); 6] = [
        ("value", Self::Value),
        ("host", Self::Host),
        ("recipient", Self::Recipient),
        ("path", Self::Path),
        ("sql", Self::Sql),
        ("shell", Self::Shell),
    ];

    /// What a value says when it is read like this.
    fn of(self, value: &LeafValue<'_>) -> Vec<String> {
        let text = text_of(value);
        match self {
            Self::Value => vec![text],
            Self::Host => extract::hosts(&text).into_iter().filter(|host| !host.inner).map(|host| host.name).collect(),
            Self::Recipient => extract::recipients(&text).into_iter().map(|one| one.address).collect(),
            Self::Path => extract::paths(&text),
            Self::Sql => extract::sql_verbs(&text).into_iter().map(str::to_owned).collect(),
            Self::Shell => extract::shell_commands(&text),
        }
    }
}

/// What puts a field out of scope.
#[derive(Clone, Debug)]
pub enum ScopeLimit {
    /// It is not what this is for the event.
    NotEqual(Template),
    /// It matches none of these.
    NotIn(Vec<Glob>),
    /// It matches one of these.
    In(Vec<Glob>),
    /// It is a number above this.
    Above(f64),
    /// It is a number below this.
    Below(f64),
    /// The event lies at another time than this.
    Outside(Hours),
}

/// A value that an event itself gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// `{session.tenant}`
    Tenant,
    /// `{session.id}`
    Session,
    /// `{agent.id}`
    Agent,
}

/// Times of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// First minute of the day.
    pub from: i64,
    /// First minute of the day after it; before `from` where the time goes over midnight.
    pub to: i64,
    /// How far the clock is ahead of UTC, in minutes.
    pub ahead: i64,
    /// Days of the week that do not count, 0 for Monday.
    pub days_off: Vec<i64>,
    /// As it was written.
    pub text: String,
}

impl Hours {
    /// Whether this moment is one of these times.
    #[must_use]
    pub fn contain(&self, at: Millis) -> bool {
        let (minute, day) = at.clock(self.ahead);
        let within = if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        };
        within && !self.days_off.contains(&day)
    }
}

impl ScopeCheck {
    /// Why the value is out of scope, in words; `None` while it is within. The value is shown as `shown`
    /// makes it, which is asked before it is cut.
    #[must_use]
    pub fn exceeded(&self, value: &LeafValue<'_>, event: &Event<'_>, shown: &dyn Fn(&str) -> String) -> Option<String> {
        let show = |text: &str| cut(&shown(text));
        match &self.limit {
            ScopeLimit::NotEqual(template) => {
                let wanted = template.of(event)?;
                let other = self.reading.of(value).into_iter().find(|text| *text != wanted)?;
                Some(format!("is `{}`, expected `{}`", show(&other), show(wanted)))
            }
            ScopeLimit::NotIn(globs) => {
                let outside = |text: &String| listed(globs, text, self.reading, event).is_none();
                let other = self.reading.of(value).into_iter().find(outside)?;
                Some(format!("{} `{}`, which is not on the list", self.verb(), show(&other)))
            }
            ScopeLimit::In(globs) => self.reading.of(value).iter().find_map(|text| {
                let glob = listed(globs, text, self.reading, event)?;
                Some(format!("{} `{}`, which matches `{}`", self.verb(), show(text), glob.as_str()))
            }),
            ScopeLimit::Above(limit) => {
                let number = number_of(value)?;
                (number > *limit).then(|| format!("is {number}, limit {limit}"))
            }
            ScopeLimit::Below(limit) => {
                let number = number_of(value)?;
                (number < *limit).then(|| format!("is {number}, at least {limit} expected"))
            }
            ScopeLimit::Outside(_) => None,
        }
    }

    /// Why the event's time is out of scope; `None` while it is within.
    #[must_use]
    pub fn untimely(&self, at: Millis) -> Option<String> {
        match &self.limit {
            ScopeLimit::Outside(hours) if !hours.contain(at) => Some(format!("at {at}, outside of {}", hours.text)),
            _ => None,
        }
    }

    fn verb(&self) -> &'static str {
        match self.reading {
            Reading::Value | Reading::Path => "is",
            Reading::Host | Reading::Recipient => "names",
            Reading::Sql | Reading::Shell => "runs",
        }
    }
}

/// Whether a host or an address is on a list.
#[must_use]
pub fn is_listed(globs: &[Glob], name: &str, reading: Reading, event: &Event<'_>) -> bool {
    listed(globs, name, reading, event).is_some()
}

/// The item of a list that a text is on. For an e-mail address its domain counts, too. Items with
/// `{session.tenant}` are about the domain that somebody registered: `acme.*` is not `acme.evil.example`.
fn listed<'g>(globs: &'g [Glob], text: &str, reading: Reading, event: &Event<'_>) -> Option<&'g Glob> {
    let domain = match reading {
        Reading::Recipient => text.rsplit('@').next(),
        Reading::Host => Some(text),
        _ => None,
    };
    globs.iter().find(|glob| match (glob.is_template(), domain) {
        (false, Some(domain)) => glob.matches(text) || glob.matches(domain) || network::holds(glob.as_str(), domain),
        (false, None) => glob.matches(text),
        (true, Some(domain)) => glob.for_event(event).matches(extract::registrable(domain)),
        (true, None) => glob.for_event(event).matches(text),
    })
}

impl Template {
    /// What it stands for in this event; `None` where the event does not say. A stream that names no tenants
    /// says nothing of them.
    #[must_use]
    pub fn of<'e>(self, event: &'e Event<'_>) -> Option<&'e str> {
        match self {
            Self::Tenant => Some(event.tenant.as_ref()).filter(|tenant| *tenant != TENANT_DEFAULT),
            Self::Session => Some(&event.session),
            Self::Agent => event.agent.id.as_deref(),
        }
    }
}

/// A value as text.
#[must_use]
pub fn text_of(value: &LeafValue<'_>) -> String {
    match value {
        LeafValue::Text(text) => text.trim().to_owned(),
        LeafValue::Number(number) => number.to_string(),
        LeafValue::Bool(value) => value.to_string(),
    }
}

/// A value as a number: also from a text such as `1,000.50` or `$40`, whose currency signs, spaces
/// and thousands separators are passed over. `None` where there is no number.
#[must_use]
pub fn number_of(value: &LeafValue<'_>) -> Option<f64> {
    match value {
        LeafValue::Number(number) => Some(*number),
        LeafValue::Bool(_) => None,
        LeafValue::Text(text) => {
            let digits: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-')).collect();
            digits.parse().ok().filter(|number: &f64| number.is_finite())
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::parse;

    #[test]
    fn limits_say_what_exceeded_them() {
        let event = parse(br#"{"v":1,"session":"s","tenant":"acme","kind":"tool_call"}"#).expect("good").event;
        let globs = || vec![Glob::new("*.acme.example"), Glob::new("{session.tenant}.*")];
        let text = |t: &str| LeafValue::Text(t.to_owned().into());
        let value = Reading::Value;
        let rows = [
            (value, ScopeLimit::NotEqual(Template::Tenant), text("globex"), Some("is `globex`, expected `acme`")),
            (value, ScopeLimit::NotEqual(Template::Tenant), text(" acme "), None),
            (value, ScopeLimit::NotEqual(Template::Agent), text("x"), None),
            (value, ScopeLimit::NotIn(globs()), text("a.acme.example"), None),
            (
                value,
                ScopeLimit::NotIn(globs()),
                text("evil.example"),
                Some("is `evil.example`, which is not on the list"),
            ),
            (
                value,
                ScopeLimit::In(globs()),
                text("a.acme.example"),
                Some("is `a.acme.example`, which matches `*.acme.example`"),
            ),
            (value, ScopeLimit::Above(1000.0), LeafValue::Number(1000.0), None),
            (value, ScopeLimit::Above(1000.0), text("$1,000.50"), Some("is 1000.5, limit 1000")),
            (value, ScopeLimit::Above(1000.0), text("much"), None),
            (value, ScopeLimit::Below(10.0), LeafValue::Number(9.0), Some("is 9, at least 10 expected")),
            (Reading::Host, ScopeLimit::NotIn(globs()), text("see https://acme.example/x"), None),
            (
                Reading::Host,
                ScopeLimit::NotIn(globs()),
                text("https://acme.evil.example/x"),
                Some("names `acme.evil.example`, which is not on the list"),
            ),
            (Reading::Recipient, ScopeLimit::NotIn(globs()), text("Ana <ana@acme.example>"), None),
        ];
        for (reading, limit, value, why) in rows {
            let check = ScopeCheck { fields: Vec::new(), reading, limit };
            assert_eq!(check.exceeded(&value, &event, &str::to_owned).as_deref(), why, "{check:?} {value:?}");
        }
    }

    #[test]
    fn hours_go_over_midnight_and_know_the_weekend() {
        let hours = |from, to, days_off: &[i64]| Hours {
            from,
            to,
            ahead: 60,
            days_off: days_off.to_vec(),
            text: String::new(),
        };
        let at = |text: &str| Millis::parse(text).expect("a time");
        // A Tuesday and a Saturday.
        let rows = [
            (hours(7 * 60, 19 * 60, &[]), "2026-11-24T06:00:00Z", true),
            (hours(7 * 60, 19 * 60, &[]), "2026-11-24T05:59:00Z", false),
            (hours(7 * 60, 19 * 60, &[]), "2026-11-24T18:00:00Z", false),
            (hours(22 * 60, 6 * 60, &[]), "2026-11-24T23:30:00Z", true),
            (hours(22 * 60, 6 * 60, &[]), "2026-11-24T12:00:00Z", false),
            (hours(0, 24 * 60, &[5, 6]), "2026-11-28T12:00:00Z", false),
        ];
        for (hours, text, contained) in rows {
            assert_eq!(hours.contain(at(text)), contained, "{hours:?} {text}");
        }
    }
}
