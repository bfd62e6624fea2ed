//! The conditions that every kind of rule shares: which events it looks at.

use super::Glob;
use crate::event::{Event, Kind, Role, Trust};

/// Which events a rule looks at. An empty list lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Kinds of event.
    pub kinds: Vec<Kind>,
    /// Roles; an event without a role passes none.
    pub roles: Vec<Role>,
    /// Trusted or untrusted text.
    pub trusts: Vec<Trust>,
    /// Tool names; an event without a tool passes none.
    pub tools: Vec<Glob>,
    /// What a tool's definition says of itself; a tool passes that has one of these, too.
    pub hints: Hints,
    /// Tool names that are left out.
    pub not_tools: Vec<Glob>,
    /// Servers; an event without one passes none.
    pub servers: Vec<Glob>,
    /// Agent ids; an event without an agent passes none.
    pub agents: Vec<Glob>,
    /// Agent ids that are left out.
    pub not_agents: Vec<Glob>,
    /// Tenants.
    pub tenants: Vec<Glob>,
    /// Sessions.
    pub sessions: Vec<Glob>,
    /// Labels as `name=value`, of which one must be there.
    pub labels: Vec<Glob>,
    /// Labels of which none may be there.
    pub not_labels: Vec<Glob>,
    /// Whether the tool call failed.
    pub error: Option<bool>,
}

/// What the definition of a tool says of itself: the annotations of MCP, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hints(pub u8);

impl Hints {
    /// The annotations with their bits: for true, and the next one for false.
    const NAMES: [(&'static str, u8); 4] =
        [("readOnlyHint", 1), ("destructiveHint", 1 << 2), ("idempotentHint", 1 << 4), ("openWorldHint", 1 << 6)];

    /// The bit of `readOnlyHint=true` and the like; a name alone means true.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let (_, bit) = Self::NAMES.iter().find(|(known, _)| *known == name)?;
        match value {
            "true" => Some(Self(*bit)),
            "false" => Some(Self(bit << 1)),
            _ => None,
        }
    }

    /// The bit of an annotation with its value; nothing for one that is unknown.
    #[must_use]
    pub fn of(name: &str, value: bool) -> Self {
        let bit = Self::NAMES.iter().find(|(known, _)| *known == name).map_or(0, |(_, bit)| *bit);
        Self(if value { bit } else { bit << 1 })
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl When {
    /// Whether the rule looks at this event, of whose tool's definition nothing is known.
    #[must_use]
    pub fn passes(&self, event: &Event<'_>) -> bool {
        self.passes_with(event, Hints::default())
    }

    /// Whether the rule looks at this event, whose tool says this of itself.
    #[must_use]
    pub fn passes_with(&self, event: &Event<'_>, hints: Hints) -> bool {
        let tool = event.tool.as_ref().map(|tool| tool.name.as_ref());
        allows(&self.kinds, Some(&event.kind))
            && allows(&self.roles, event.role.as_ref())
            && allows(&self.trusts, Some(&event.trust))
            && self.passes_tool(tool, hints)
            && self.passes_agent(event.agent.id.as_deref())
            && self.passes_tenant(&event.tenant)
            && self.passes_rarely_asked(event)
    }

    /// Whether the event's tool is one that the rule looks at by its name, whatever kind of event it is.
    #[must_use]
    pub fn names_tool(&self, event: &Event<'_>, hints: Hints) -> bool {
        let tool = event.tool.as_ref().map(|tool| tool.name.as_ref());
        self.asks_tool() && self.passes_tool(tool, hints)
    }

    /// Whether the rule looks at this tenant's events.
    #[must_use]
    pub fn passes_tenant(&self, tenant: &str) -> bool {
        names(&self.tenants, Some(tenant))
    }

    /// Whether it looks at every event of its tenants.
    #[must_use]
    pub fn passes_every_event(&self) -> bool {
        *self == Self { tenants: self.tenants.clone(), ..Self::default() }
    }

    fn passes_tool(&self, tool: Option<&str>, hints: Hints) -> bool {
        let is_named = || tool.is_some_and(|tool| Glob::any(&self.tools, tool));
        (!self.asks_tool() || self.hints.meets(hints) || is_named())
            && !tool.is_some_and(|tool| Glob::any(&self.not_tools, tool))
    }

    /// Whether it matters what tool it is, but for those that are left out.
    fn asks_tool(&self) -> bool {
        !self.tools.is_empty() || self.hints != Hints::default()
    }

    fn passes_agent(&self, agent: Option<&str>) -> bool {
        names(&self.agents, agent) && !agent.is_some_and(|agent| Glob::any(&self.not_agents, agent))
    }

    fn passes_rarely_asked(&self, event: &Event<'_>) -> bool {
        let tool = event.tool.as_ref();
        names(&self.servers, tool.and_then(|tool| tool.server.as_deref()))
            && names(&self.sessions, Some(&event.session))
            && (self.labels.is_empty() || has_label(event, &self.labels))
            && (self.not_labels.is_empty() || !has_label(event, &self.not_labels))
            && self.error.is_none_or(|error| tool.is_some_and(|tool| tool.error) == error)
    }
}

fn has_label(event: &Event<'_>, globs: &[Glob]) -> bool {
    event.labels.iter().any(|(name, value)| Glob::any(globs, &format!("{name}={value}")))
}

fn allows<T: PartialEq>(list: &[T], value: Option<&T>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.contains(value))
}

fn names(list: &[Glob], name: Option<&str>) -> bool {
    list.is_empty() || name.is_some_and(|name| Glob::any(list, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::parse;

    #[test]
    fn a_tool_passes_by_name_or_by_what_it_says_of_itself() {
        let globs = |names: &[&str]| names.iter().map(|name| Glob::new(*name)).collect::<Vec<_>>();
        let read_only = Hints::parse("readOnlyHint").expect("known");
        type Row<'r> = (&'r [&'r str], Hints, &'r [&'r str], Hints, bool);
        let rows: [Row<'_>; 7] = [
            (&[], Hints::default(), &[], Hints::default(), true),
            (&["send*"], Hints::default(), &[], Hints::default(), false),
            (&["get*"], Hints::default(), &[], Hints::default(), true),
            (&["send*"], read_only, &[], Hints::of("readOnlyHint", true), true),
            (&["send*"], read_only, &[], Hints::of("readOnlyHint", false), false),
            (&[], read_only, &["get*"], Hints::of("readOnlyHint", true), false),
            (&[], Hints::default(), &["get*"], Hints::default(), false),
        ];
        let event = parse(br#"{"v":1,"session":"s","kind":"tool_call","tool":{"name":"get_x"}}"#).expect("good").event;
        for (tools, hints, not_tools, told, passes) in rows {
            let when = When { tools: globs(tools), hints, not_tools: globs(not_tools), ..When::default() };
            assert_eq!(when.passes_with(&event, told), passes, "{tools:?} {hints:?} {not_tools:?} {told:?}");
        }
    }

    #[test]
    fn labels_and_errors_are_conditions() {
        let json =
            br#"{"v":1,"session":"s","kind":"tool_result","labels":{"env":"prod"},"tool":{"name":"t","error":true}}"#;
        let event = parse(json).expect("good").event;
        let label = |text: &str| vec![Glob::new(text)];
        assert!(When { labels: label("env=prod"), error: Some(true), ..When::default() }.passes(&event));
        assert!(!When { labels: label("env=test"), ..When::default() }.passes(&event));
        assert!(!When { not_labels: label("env=*"), ..When::default() }.passes(&event));
        assert!(!When { error: Some(false), ..When::default() }.passes(&event));
    }
}
