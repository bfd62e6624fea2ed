//! Whether a field's value is within its rule's limits.

use super::{ScopeLimit, Template};
use crate::event::{Event, LeafValue};

impl ScopeLimit {
    /// Why the value is out of scope, in words; `None` while it is within. The value is shown as `shown`
    /// makes it, which is asked before it is cut.
    #[must_use]
    pub fn exceeded(&self, value: &LeafValue<'_>, event: &Event<'_>, shown: &dyn Fn(&str) -> String) -> Option<String> {
        let text = || text_of(value);
        let show = || cut(&shown(&text()));
        match self {
            Self::NotEqual(template) => {
                let wanted = template.of(event)?;
                (text() != wanted).then(|| format!("is `{}`, expected `{}`", show(), cut(&shown(wanted))))
            }
            Self::NotIn(globs) => (!globs.iter().any(|glob| glob.matches(&text())))
                .then(|| format!("is `{}`, which is not on the list", show())),
            Self::In(globs) => globs
                .iter()
                .find(|glob| glob.matches(&text()))
                .map(|glob| format!("is `{}`, which matches `{}`", show(), glob.as_str())),
            Self::Above(limit) => {
                let number = number_of(value)?;
                (number > *limit).then(|| format!("is {number}, limit {limit}"))
            }
        }
    }
}

impl Template {
    /// What it stands for in this event; `None` where the event does not say.
    #[must_use]
    pub fn of<'e>(self, event: &'e Event<'_>) -> Option<&'e str> {
        match self {
            Self::Tenant => Some(&event.tenant),
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
    use crate::rules::Glob;

    #[test]
    fn limits_say_what_exceeded_them() {
        let event = parse(br#"{"v":1,"session":"s","tenant":"acme","kind":"tool_call"}"#).expect("good").event;
        let globs = || vec![Glob::new("*.acme.example")];
        let text = |t: &str| LeafValue::Text(t.to_owned().into());
        let rows = [
            (ScopeLimit::NotEqual(Template::Tenant), text("globex"), Some("is `globex`, expected `acme`")),
            (ScopeLimit::NotEqual(Template::Tenant), text(" acme "), None),
            (ScopeLimit::NotEqual(Template::Agent), text("x"), None),
            (ScopeLimit::NotIn(globs()), text("a.acme.example"), None),
            (ScopeLimit::NotIn(globs()), text("evil.example"), Some("is `evil.example`, which is not on the list")),
            (
                ScopeLimit::In(globs()),
                text("a.acme.example"),
                Some("is `a.acme.example`, which matches `*.acme.example`"),
            ),
            (ScopeLimit::Above(1000.0), LeafValue::Number(1000.0), None),
            (ScopeLimit::Above(1000.0), text("$1,000.50"), Some("is 1000.5, limit 1000")),
            (ScopeLimit::Above(1000.0), text("much"), None),
        ];
        for (limit, value, why) in rows {
            assert_eq!(limit.exceeded(&value, &event, &str::to_owned).as_deref(), why, "{limit:?} {value:?}");
        }
    }
}
