//! The tables of rules that check a field or keep a memory: `[scope]`, `[rate]`, `[spike]`, `[sequence]`,
//! `[flow]`, `[repeat]`, `[score]` and `[tools]`, as serde and people read them.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::file::{Names, WhenTable};

/// A number, or `@name` of a setting that holds one; in a setting also any text.
#[derive(Debug)]
pub(super) struct Number(pub(super) Spanned<NumberValue>);

/// What stands there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NumberValue {
    Given(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Spanned::deserialize(input).map(Self)
    }
}

impl<'de> Deserialize<'de> for NumberValue {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = NumberValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or the `@name` of a setting")
            }
            #[expect(clippy::cast_precision_loss, reason = "limits that large make no sense")]
            fn visit_i64<E: Error>(self, number: i64) -> Result<NumberValue, E> {
                Ok(NumberValue::Given(number as f64))
            }
            #[expect(clippy::cast_precision_loss, reason = "limits that large make no sense")]
            fn visit_u64<E: Error>(self, number: u64) -> Result<NumberValue, E> {
                Ok(NumberValue::Given(number as f64))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<NumberValue, E> {
                Ok(NumberValue::Given(number))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<NumberValue, E> {
                Ok(NumberValue::Text(text.to_owned()))
            }
        }
        input.deserialize_any(NumberVisitor)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number, or the `@name` of a setting.",
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^@"}]
        })
    }
}

/// A field against lists and limits; exactly one of `not_equal`, `not_in`, `in`, `above`, `below`, or the
/// time of day without a field.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeTable {
    /// Paths of the fields to check: in `text`, `args`, `result`, `tool`, `labels` or `usage`.
    #[serde(default)]
    pub(super) field: Names,
    /// What is read in them: `value` (the default), `host`, `recipient`, `path`, `sql` or `shell`.
    #[serde(rename = "as")]
    #[schemars(with = "Option<String>")]
    pub(super) as_: Option<Spanned<String>>,
    /// Out of scope unless equal to `{session.tenant}`, `{session.id}` or `{agent.id}`.
    #[schemars(with = "Option<String>")]
    pub(super) not_equal: Option<Spanned<String>>,
    /// Out of scope unless it matches one of these; `{session.tenant}` stands for the tenant's name.
    pub(super) not_in: Option<Names>,
    /// Out of scope when it matches one of these.
    #[serde(rename = "in")]
    pub(super) in_: Option<Names>,
    /// Out of scope when it is a number above this.
    pub(super) above: Option<Number>,
    /// Out of scope when it is a number below this.
    pub(super) below: Option<Number>,
    /// Out of scope at other times of the day, such as `07:00-19:00`.
    #[schemars(with = "Option<String>")]
    pub(super) hours_outside: Option<Spanned<String>>,
    /// Which time of day is meant, such as `+01:00`; UTC where it is missing.
    #[schemars(with = "Option<String>")]
    pub(super) utc_offset: Option<Spanned<String>>,
    /// Days on which all hours are out of scope: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    #[serde(default)]
    pub(super) days: Names,
}

/// A sliding window; exactly one of `count_at_least`, `sum` with `sum_above`, `distinct` with
/// `distinct_at_least`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RateTable {
    /// `session`, `agent`, `tenant`, `tool`, `server`, `call` (tool and arguments), `recipient` and `host`
    /// (each that the call names), or a path such as `args.to`.
    pub(super) group_by: Names,
    /// Length, such as `5m`.
    #[schemars(with = "String")]
    pub(super) window: Spanned<String>,
    /// Fires from this many events on.
    pub(super) count_at_least: Option<Number>,
    /// Paths of the number to add up; the first that is there counts.
    pub(super) sum: Option<Names>,
    /// Fires when the sum is above this.
    pub(super) sum_above: Option<Number>,
    /// Paths of the values of which different ones are counted, or `session`, `host` and the like as in
    /// `group_by`.
    pub(super) distinct: Option<Names>,
    /// Fires from this many different values on.
    pub(super) distinct_at_least: Option<Number>,
    /// Other limits for some keys; the first that matches holds.
    #[serde(default)]
    pub(super) limit: Vec<KeyLimitTable>,
}

/// Another limit for some keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyLimitTable {
    /// The values of `group_by`, with `/` between several, with `*` and `?`.
    pub(super) key: Names,
    /// In place of the rule's own.
    pub(super) count_at_least: Option<Number>,
    /// In place of the rule's own.
    pub(super) sum_above: Option<Number>,
    /// In place of the rule's own.
    pub(super) distinct_at_least: Option<Number>,
}

/// Far more in a window than is usual for its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpikeTable {
    /// Whose baseline, as in `[rate]`.
    pub(super) group_by: Names,
    /// Length of the window and of the buckets that the baseline learns from.
    #[schemars(with = "String")]
    pub(super) window: Spanned<String>,
    /// Paths of the number to add up; events are counted where it is missing.
    pub(super) sum: Option<Names>,
    /// `poisson` (the default), `ewma`, `cusum` or `quantile`.
    #[schemars(with = "Option<String>")]
    pub(super) method: Option<Spanned<String>>,
    /// After how long a bucket counts half in the baseline; `24h` where it is missing.
    #[schemars(with = "Option<String>")]
    pub(super) half_life: Option<Spanned<String>>,
    /// A baseline for each hour of the day, UTC.
    #[serde(default)]
    pub(super) seasonal: bool,
    /// Closed buckets before a baseline is believed; 12 where it is missing.
    pub(super) warm_up: Option<Number>,
    /// Whose average a young key is compared with: `tenant`, `agent`, `tool`…
    #[serde(default)]
    pub(super) peers: Names,
    /// Below this never a finding.
    pub(super) at_least: Number,
    /// At least so many times the usual; 3 where it is missing.
    pub(super) times: Option<Number>,
    /// How unlikely it must be: one in so many buckets; a million where it is missing.
    pub(super) one_in: Option<Number>,
}

/// Steps that follow each other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SequenceTable {
    /// Whose steps, as in `[rate]`.
    pub(super) group_by: Names,
    /// From the first to the last step.
    #[schemars(with = "String")]
    pub(super) within: Spanned<String>,
    /// Longest time between two stages.
    #[schemars(with = "Option<String>")]
    pub(super) max_gap: Option<Spanned<String>>,
    /// `strict` (the default: each step after the one before) or `any`.
    #[schemars(with = "Option<String>")]
    pub(super) order: Option<Spanned<String>>,
    /// The steps.
    #[schemars(with = "Vec<StepTable>")]
    pub(super) step: Vec<Spanned<StepTable>>,
}

/// One step of a sequence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepTable {
    /// What it is, for people.
    pub(super) name: String,
    /// Which events.
    #[serde(default)]
    pub(super) when: WhenTable,
    /// One of these rules fired on the event with `flag` or more.
    #[serde(default)]
    pub(super) finding: Names,
    /// The event names a host or a recipient that is not on this list.
    pub(super) outside: Option<Names>,
    /// Steps of one stage come in any order; stages follow each other.
    #[schemars(with = "Option<u8>")]
    pub(super) stage: Option<Spanned<u8>>,
    /// This must not come between the stage before and its own.
    #[serde(default)]
    pub(super) not: bool,
}

/// What a source step returned appears in a sink step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlowTable {
    /// Within what, as in `[rate]`.
    pub(super) group_by: Names,
    /// From the source to the sink.
    #[schemars(with = "String")]
    pub(super) within: Spanned<String>,
    /// Fires from so many distinctive values of the source on; 0 for never.
    pub(super) values_at_least: Number,
    /// Fires from so many characters of the source's text on, letters and digits only; 0 for never.
    pub(super) chars_at_least: Number,
    /// Fires, too, when the words of the sink's tool name stand in the source and nowhere in `known`.
    #[serde(default)]
    pub(super) tool_name: bool,
    /// Whose text is followed.
    #[schemars(with = "PatternTable")]
    pub(super) source: Spanned<PatternTable>,
    /// Where it must not appear.
    #[schemars(with = "PatternTable")]
    pub(super) sink: Spanned<PatternTable>,
    /// What stands here does not count as the source's.
    #[schemars(with = "Option<PatternTable>")]
    pub(super) known: Option<Spanned<PatternTable>>,
}

/// Events, and which of their texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternTable {
    /// Which events.
    #[serde(default)]
    pub(super) when: WhenTable,
    /// One of these rules fired on the event with `flag` or more.
    #[serde(default)]
    pub(super) finding: Names,
    /// Which of its fields; all where it is missing.
    #[serde(default)]
    pub(super) fields: Names,
    /// The event names a host or a recipient that is not on this list.
    pub(super) outside: Option<Names>,
}

/// The same call, tool and arguments, again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RepeatTable {
    /// Whose calls, as in `[rate]`.
    pub(super) group_by: Names,
    /// Fires at so many in a row.
    pub(super) at_least: Number,
    /// Longest time between two of them.
    #[schemars(with = "String")]
    pub(super) within: Spanned<String>,
}

/// The session's risk score.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreTable {
    /// After how long it has fallen to half.
    #[schemars(with = "String")]
    pub(super) half_life: Spanned<String>,
    /// Fires from this score on.
    pub(super) at_least: Number,
}

/// Definitions of tools.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolsTable {
    /// Fires when the definition of a tool is not what it was.
    pub(super) change: bool,
}
