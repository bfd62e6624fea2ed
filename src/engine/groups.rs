//! The keys that events are counted by.

use std::borrow::Cow;

use super::fields;
use super::{Context, HashKey};
use crate::event::{Event, Leaves};
use crate::limits::KEYS_PER_EVENT_MAX;
use crate::rules::GroupBy;

/// What one event is counted by for one rule: the values of the rule's `group_by`, the tenant first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group(Vec<String>);

impl Group {
    /// All groups of an event: one for most rules, one for each recipient or host where the rule counts by
    /// those. None where a part is missing.
    pub(super) fn all(group_by: &[GroupBy], context: &Context<'_>, leaves: &Leaves<'_>) -> Vec<Self> {
        let mut groups = vec![vec![context.event.tenant.to_string()]];
        for part in group_by {
            let values = values(part, context, leaves);
            groups = groups
                .iter()
                .flat_map(|group| values.iter().map(move |value| [group.as_slice(), &[value.to_string()]].concat()))
                .take(KEYS_PER_EVENT_MAX)
                .collect();
        }
        groups.into_iter().map(Self).collect()
    }

    /// The groups that an event counts in: none where an operator's release has settled it.
    pub(super) fn counted(group_by: &[GroupBy], context: &Context<'_>, leaves: &Leaves<'_>) -> Vec<Self> {
        if context.settled && is_of_session(group_by) { Vec::new() } else { Self::all(group_by, context, leaves) }
    }

    /// The group of an event's session.
    pub(super) fn of_session(event: &Event<'_>) -> Self {
        Self(vec![event.tenant.to_string(), event.session.to_string()])
    }

    /// The first group.
    pub(super) fn one(group_by: &[GroupBy], context: &Context<'_>, leaves: &Leaves<'_>) -> Option<Self> {
        Self::all(group_by, context, leaves).into_iter().next()
    }

    /// The key under which a rule keeps it.
    pub(super) fn key(&self, hash_key: HashKey, rule: &str) -> u128 {
        let mut parts: Vec<&[u8]> = self.parts();
        parts.push(rule.as_bytes());
        hash_key.of(&parts)
    }

    /// The values, the tenant first.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        self.0.iter().map(|part| part.as_bytes()).collect()
    }

    /// The values without the tenant, for people and for limits by key.
    pub(super) fn name(&self) -> String {
        self.0.get(1..).unwrap_or_default().join("/")
    }
}

/// Whether all that is kept for such groups belongs to one session.
pub(super) fn is_of_session(group_by: &[GroupBy]) -> bool {
    group_by.contains(&GroupBy::Session)
}

/// The values of one part: none where the event has none.
pub(super) fn values<'c>(part: &GroupBy, context: &'c Context<'_>, leaves: &Leaves<'_>) -> Vec<Cow<'c, str>> {
    let event = context.event;
    let tool = event.tool.as_ref();
    let of = |value: Option<&'c str>| value.map(Cow::Borrowed).into_iter().collect();
    match part {
        // The tenant stands at the head of every key.
        GroupBy::Tenant => vec![Cow::Borrowed("")],
        GroupBy::Session => of(Some(&event.session)),
        GroupBy::Agent => of(event.agent.id.as_deref()),
        GroupBy::Tool => of(tool.map(|tool| tool.name.as_ref())),
        GroupBy::Server => of(tool.and_then(|tool| tool.server.as_deref())),
        GroupBy::Call => call(event).map(Cow::Owned).into_iter().collect(),
        GroupBy::Recipient => context.destinations.recipients.iter().map(|one| Cow::Borrowed(one.as_str())).collect(),
        GroupBy::Host => context.destinations.hosts.iter().map(|one| Cow::Borrowed(one.as_str())).collect(),
        GroupBy::Field(path) => fields::text_at(event, leaves, path).map(Cow::Owned).into_iter().collect(),
    }
}

/// A tool call with all of its arguments, in whatever order they stand; `None` where no tool is called.
pub(super) fn call(event: &Event<'_>) -> Option<String> {
    let tool = event.tool.as_ref()?;
    let args = tool.args.as_ref().map(|args| args.get()).unwrap_or_default();
    let sorted = serde_json::from_str::<serde_json::Value>(args).map(|value| value.to_string());
    Some(format!("{}\u{0}{}", tool.name, sorted.as_deref().unwrap_or(args)))
}
