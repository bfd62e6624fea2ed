//! The checks that keep a memory, as they are compiled: windows, spikes, sequences, flows, repeats, scores
//! and definitions.

use super::{Glob, When};
use crate::time::Span;

/// What a window adds up.
#[derive(Clone, Debug)]
pub enum Measure {
    /// Events.
    Count,
    /// The first number at one of these paths.
    Sum(Vec<Glob>),
    /// Different values.
    Distinct {
        /// At these paths.
        fields: Vec<Glob>,
        /// Of what events are grouped by: sessions, hosts…
        of: Vec<GroupBy>,
    },
}

/// A sliding window over the events that pass the rule's conditions.
#[derive(Clone, Debug)]
pub struct RateCheck {
    /// Whose events are counted together; always within one tenant.
    pub group_by: Vec<GroupBy>,
    /// Length of the window.
    pub window: Span,
    /// What is counted.
    pub measure: Measure,
    /// Counts and different values fire from this on, sums above it.
    pub limit: f64,
    /// Other limits for some keys; the first that matches holds.
    pub limits: Vec<KeyLimit>,
}

/// Another limit for some keys.
#[derive(Clone, Debug)]
pub struct KeyLimit {
    /// The group's values, with `/` between several.
    pub keys: Vec<Glob>,
    /// In place of the rule's own limit.
    pub limit: f64,
}

/// Far more in a window than is usual for its key.
#[derive(Clone, Debug)]
pub struct SpikeCheck {
    /// Whose baseline.
    pub group_by: Vec<GroupBy>,
    /// Whose average a young key is compared with; empty for nobody's.
    pub peers: Vec<GroupBy>,
    /// Length of the window and of the baseline's buckets.
    pub window: Span,
    /// What is counted; never different values.
    pub measure: Measure,
    /// How what is usual is told from what is not.
    pub method: SpikeMethod,
    /// After how long a bucket counts half.
    pub half_life: Span,
    /// A baseline for each hour of the day.
    pub seasonal: bool,
    /// Closed buckets before a baseline is believed.
    pub warm_up: u32,
    /// Below this never a finding.
    pub at_least: f64,
    /// At least so many times the usual.
    pub times: f64,
    /// One in so many buckets at most.
    pub one_in: f64,
}

/// How what is usual is told from what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpikeMethod {
    /// Tail of a Poisson count whose mean is learnt, wider where counts scatter more.
    Poisson,
    /// Standard deviations from a moving average.
    Ewma,
    /// A small excess that adds up.
    Cusum,
    /// Above nearly all that was seen.
    Quantile,
}

impl SpikeMethod {
    /// Every method with its name in rules.
    pub const ALL: [(&'static str, Self); 4] =
        [("poisson", Self::Poisson), ("ewma", Self::Ewma), ("cusum", Self::Cusum), ("quantile", Self::Quantile)];
}

/// Steps that follow each other.
#[derive(Clone, Debug)]
pub struct SequenceCheck {
    /// Whose steps.
    pub group_by: Vec<GroupBy>,
    /// From the first to the last step.
    pub within: Span,
    /// Longest time between two stages.
    pub max_gap: Option<Span>,
    /// The steps, by stage.
    pub steps: Vec<Step>,
}

/// One step of a sequence.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is, for people.
    pub name: String,
    /// Which events.
    pub pattern: Pattern,
    /// Number of its stage, from 0.
    pub stage: usize,
    /// This must not come between the stage before and its own.
    pub negated: bool,
}

/// Events, and which of their texts.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    /// Which events.
    pub when: When,
    /// One of these rules fired on the event with `flag` or more; empty for no such condition.
    pub finding: Vec<Glob>,
    /// Which of its fields; empty for all.
    pub fields: Vec<Glob>,
    /// The event names a host or a recipient that is not on this list.
    pub outside: Option<Vec<Glob>>,
}

/// What a source step returned appears in a sink step.
#[derive(Clone, Debug)]
pub struct FlowCheck {
    /// Within what.
    pub group_by: Vec<GroupBy>,
    /// From the source to the sink.
    pub within: Span,
    /// Distinctive values of the source in the sink; 0 for never.
    pub values_min: u32,
    /// Characters of the source's text in the sink; 0 for never.
    pub chars_min: u32,
    /// The words of the sink's tool name count.
    pub tool_name: bool,
    /// Whose text is followed.
    pub source: Pattern,
    /// Where it must not appear.
    pub sink: Pattern,
    /// What stands here does not count as the source's.
    pub known: Option<Pattern>,
}

/// The same call again and again.
#[derive(Clone, Debug)]
pub struct RepeatCheck {
    /// Whose calls.
    pub group_by: Vec<GroupBy>,
    /// Fires at so many in a row.
    pub at_least: u64,
    /// Longest time between two of them.
    pub within: Span,
}

/// The session's risk score.
#[derive(Clone, Debug)]
pub struct ScoreCheck {
    /// After how long it has fallen to half.
    pub half_life: Span,
    /// Fires from this score on.
    pub at_least: f64,
}

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The tenant alone.
    Tenant,
    /// The session.
    Session,
    /// The agent.
    Agent,
    /// The tool's name.
    Tool,
    /// The server that offers the tool.
    Server,
    /// The tool's name and all of its arguments.
    Call,
    /// Each e-mail address that the call names.
    Recipient,
    /// Each host that the call names.
    Host,
    /// The value at a path.
    Field(String),
}

impl SequenceCheck {
    /// Number of stages.
    #[must_use]
    pub fn stages(&self) -> usize {
        self.steps.last().map_or(0, |step| step.stage + 1)
    }
}
