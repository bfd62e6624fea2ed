//! The conditions that every kind of rule shares: which events it looks at.

use super::Glob;
use crate::event::{Event, Kind, Role, Trust};

/// Which events a rule looks at. An empty list lets everything through.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Kinds of event.
    pub kinds: Vec<Kind>,
    /// Roles; an event without a role passes none.
    pub roles: Vec<Role>,
    /// Trusted or untrusted text.
    pub trusts: Vec<Trust>,
    /// Tool names; an event without a tool passes none.
    pub tools: Vec<Glob>,
    /// Tool names that are left out.
    pub not_tools: Vec<Glob>,
    /// Agent ids; an event without an agent passes none.
    pub agents: Vec<Glob>,
    /// Tenants.
    pub tenants: Vec<Glob>,
}

impl When {
    /// Whether the rule looks at this event.
    #[must_use]
    pub fn passes(&self, event: &Event<'_>) -> bool {
        let tool = event.tool.as_ref().map(|tool| tool.name.as_ref());
        allows(&self.kinds, Some(&event.kind))
            && allows(&self.roles, event.role.as_ref())
            && allows(&self.trusts, Some(&event.trust))
            && names(&self.tools, tool)
            && !tool.is_some_and(|tool| self.not_tools.iter().any(|glob| glob.matches(tool)))
            && names(&self.agents, event.agent.id.as_deref())
            && self.passes_tenant(&event.tenant)
    }

    /// Whether the rule looks at this tenant's events.
    #[must_use]
    pub fn passes_tenant(&self, tenant: &str) -> bool {
        names(&self.tenants, Some(tenant))
    }

    /// Whether it looks at every event of its tenants.
    #[must_use]
    pub fn passes_every_event(&self) -> bool {
        let Self { kinds, roles, trusts, tools, not_tools, agents, tenants: _ } = self;
        kinds.is_empty()
            && roles.is_empty()
            && trusts.is_empty()
            && tools.is_empty()
            && not_tools.is_empty()
            && agents.is_empty()
    }
}

fn allows<T: PartialEq>(list: &[T], value: Option<&T>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.contains(value))
}

fn names(list: &[Glob], name: Option<&str>) -> bool {
    list.is_empty() || name.is_some_and(|name| list.iter().any(|glob| glob.matches(name)))
}
