//! The shape of a rule file, as serde and people read it.
//!
//! One rule a file; a file that holds `[[list]]` tables and no rule is a file of named lists. The same
//! types give the JSON Schema that editors use for completion.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::tables::{
    FlowTable, Number, RateTable, RepeatTable, ScopeTable, ScoreTable, SequenceTable, SpikeTable, ToolsTable,
};
use crate::finding::{Action, Mode, Severity};

/// A rule file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Haltline rule file")]
pub(super) struct RuleFile {
    /// Version of this format: 1.
    #[schemars(with = "u32")]
    pub(super) schema: Spanned<u32>,
    /// Stable name in lower-case letters, digits and dashes; never reused for something else.
    #[schemars(with = "String")]
    pub(super) id: Spanned<String>,
    /// One line for people.
    pub(super) title: String,
    /// What it looks for and why that matters.
    #[serde(default)]
    pub(super) description: String,
    /// How bad a hit is.
    pub(super) severity: Severity,
    /// What a hit asks for.
    pub(super) action: Action,
    /// `shadow` records what would have happened and does nothing.
    #[serde(default)]
    pub(super) mode: Mode,
    /// What a finding adds to the session's risk score; by its severity where it is missing: 0
    /// (informational), 2 (low), 8 (medium), 20 (high) or 50 (critical).
    pub(super) points: Option<Number>,
    /// Set to false to keep the file and switch the rule off.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// Taxonomy tags such as `owasp.llm01` or `atlas.AML.T0051.001`.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// Where to read more.
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file; checked for its type only")]
    pub(super) references: Vec<String>,
    /// What harmless things it may hit.
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file; checked for its type only")]
    pub(super) false_positives: Vec<String>,
    /// Which events it looks at.
    #[serde(default)]
    pub(super) when: WhenTable,
    /// Words in the content.
    #[serde(rename = "match")]
    #[schemars(with = "Option<MatchTable>")]
    pub(super) match_: Option<Spanned<MatchTable>>,
    /// The score of the classifier.
    #[schemars(with = "Option<ClassifyTable>")]
    pub(super) classify: Option<Spanned<ClassifyTable>>,
    /// A field against lists and limits.
    #[schemars(with = "Option<ScopeTable>")]
    pub(super) scope: Option<Spanned<ScopeTable>>,
    /// How many, how much or how many different ones in a sliding window.
    #[schemars(with = "Option<RateTable>")]
    pub(super) rate: Option<Spanned<RateTable>>,
    /// Far more than is usual for this key.
    #[schemars(with = "Option<SpikeTable>")]
    pub(super) spike: Option<Spanned<SpikeTable>>,
    /// Steps that follow each other.
    #[schemars(with = "Option<SequenceTable>")]
    pub(super) sequence: Option<Spanned<SequenceTable>>,
    /// What one step returned appears in a later one.
    #[schemars(with = "Option<FlowTable>")]
    pub(super) flow: Option<Spanned<FlowTable>>,
    /// The same call again and again.
    #[schemars(with = "Option<RepeatTable>")]
    pub(super) repeat: Option<Spanned<RepeatTable>>,
    /// The session's risk score.
    #[schemars(with = "Option<ScoreTable>")]
    pub(super) score: Option<Spanned<ScoreTable>>,
    /// Definitions of tools that change.
    #[schemars(with = "Option<ToolsTable>")]
    pub(super) tools: Option<Spanned<ToolsTable>>,
    /// Stronger actions for hits in some places.
    #[serde(default)]
    pub(super) raise: Vec<RaiseTable>,
    /// Cases that a person has looked at and lets pass.
    #[serde(default)]
    #[schemars(with = "Vec<ExceptTable>")]
    pub(super) except: Vec<Spanned<ExceptTable>>,
    /// Its own tests.
    #[serde(default)]
    #[schemars(with = "Vec<CaseTable>")]
    pub(super) case: Vec<Spanned<CaseTable>>,
}

/// A stronger action where the event meets these conditions, too.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RaiseTable {
    /// What a hit asks for there.
    pub(super) action: Action,
    /// Kinds of event.
    #[serde(default)]
    pub(super) kind: Names,
    /// Roles.
    #[serde(default)]
    pub(super) role: Names,
    /// `trusted` or `untrusted`.
    #[serde(default)]
    pub(super) trust: Names,
    /// Tool names, with `*` and `?`.
    #[serde(default)]
    pub(super) tool: Names,
    /// Tool names that are left out.
    #[serde(default)]
    pub(super) not_tool: Names,
    /// Paths of the field that was hit; any where it is missing.
    #[serde(default)]
    pub(super) fields: Names,
}

/// The score of the classifier, from 0 (honest) to 1 (an attack).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassifyTable {
    /// Paths such as `text`, `args` or `args.url`; everything where it is missing.
    #[serde(default)]
    pub(super) fields: Names,
    /// What is looked for: `injection` or `jailbreak` in what is said to the agent, `planted` in data.
    #[schemars(with = "String")]
    pub(super) head: Spanned<String>,
    /// Fires from this score on.
    #[schemars(with = "f64")]
    pub(super) score_at_least: Spanned<f64>,
}

/// Which events a rule looks at. A name that starts with `@` is a named list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhenTable {
    /// Kinds of event.
    #[serde(default)]
    pub(super) kind: Names,
    /// Roles.
    #[serde(default)]
    pub(super) role: Names,
    /// `trusted` or `untrusted`.
    #[serde(default)]
    pub(super) trust: Names,
    /// Tool names, with `*` and `?`; or what the tool's definition says of itself, such as
    /// `annotation:destructiveHint=true`.
    #[serde(default)]
    pub(super) tool: Names,
    /// Tool names that are left out, with `*` and `?`.
    #[serde(default)]
    pub(super) not_tool: Names,
    /// Servers that offer the tool, with `*` and `?`.
    #[serde(default)]
    pub(super) server: Names,
    /// Agent ids, with `*` and `?`.
    #[serde(default)]
    pub(super) agent: Names,
    /// Agent ids that are left out.
    #[serde(default)]
    pub(super) not_agent: Names,
    /// Tenants, with `*` and `?`.
    #[serde(default)]
    pub(super) tenant: Names,
    /// Sessions, with `*` and `?`.
    #[serde(default)]
    pub(super) session: Names,
    /// Labels as `name=value`, with `*` and `?`; one of them must be there.
    #[serde(default)]
    pub(super) label: Names,
    /// Labels of which none may be there.
    #[serde(default)]
    pub(super) not_label: Names,
    /// Whether the tool call failed.
    pub(super) error: Option<bool>,
}

/// A case that a person lets pass, until a day. At least one of the conditions must be there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExceptTable {
    /// Who answers for it.
    pub(super) owner: String,
    /// Why.
    pub(super) reason: String,
    /// The last day on which it holds, UTC, such as `2027-01-31`.
    #[schemars(with = "String")]
    pub(super) until: Spanned<String>,
    /// Agent ids.
    #[serde(default)]
    pub(super) agent: Names,
    /// Tool names.
    #[serde(default)]
    pub(super) tool: Names,
    /// Tenants.
    #[serde(default)]
    pub(super) tenant: Names,
    /// Sessions.
    #[serde(default)]
    pub(super) session: Names,
    /// What the excerpt or the summary of the finding must match.
    #[serde(default)]
    pub(super) value: Names,
}

/// Words in the content.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchTable {
    /// Paths such as `text`, `args` or `args.url`; everything where it is missing.
    #[serde(default)]
    pub(super) fields: Names,
    /// Whole words or phrases; case and white space do not matter.
    #[serde(default)]
    pub(super) phrases: Names,
    /// One of these must occur before a regex is tried; at least three characters each, or two where one of
    /// them is no letter or digit.
    #[serde(default)]
    pub(super) keywords: Names,
    /// Regular expressions (syntax of the Rust `regex` crate). White space runs are single spaces.
    #[serde(default)]
    pub(super) regex: Names,
    /// A match in which one of these regexes is found does not count.
    #[serde(default)]
    pub(super) except: Names,
    /// The match is a secret: evidence shows only its first characters. The first capture group of the
    /// regex, where it has one, is the secret itself.
    #[serde(default)]
    pub(super) secret: bool,
    /// What matched must not look like a placeholder or like plain words.
    #[serde(default)]
    pub(super) not_words: bool,
    /// What matched must have at least this Shannon entropy, in bits per character.
    #[schemars(with = "Option<f64>")]
    pub(super) entropy_min: Option<Spanned<f64>>,
    /// What matched must pass this check of its digits or checksum.
    #[schemars(with = "Option<String>")]
    pub(super) validate: Option<Spanned<String>>,
    /// One of these words must stand in the 60 characters before the match, or in it before its group; it
    /// must begin where a word does.
    #[serde(default)]
    pub(super) near: Names,
    /// The classifier must give the text around the match at least this score, from 0 to 1, or else it is
    /// taken for text about attacks.
    #[schemars(with = "Option<f64>")]
    pub(super) score_at_least: Option<Spanned<f64>>,
}

/// One test of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseTable {
    /// What it shows.
    pub(super) name: String,
    /// Events, one JSON object a line. `{n}` is the number of the repetition.
    #[schemars(with = "String")]
    pub(super) events: Spanned<String>,
    /// How often the events are played; 1 where it is missing.
    #[serde(default = "one")]
    pub(super) repeat: u32,
    /// Time between two events that carry no `ts` of their own; `1s` where it is missing.
    #[schemars(with = "Option<String>")]
    pub(super) every: Option<Spanned<String>>,
    /// The strongest action that this rule asks for, or `none`.
    #[schemars(with = "String")]
    pub(super) expect: Spanned<String>,
    /// Number of the event that fires first, from 1.
    pub(super) at: Option<usize>,
}

/// A file of named lists and settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFile {
    pub(super) schema: Spanned<u32>,
    #[serde(default)]
    pub(super) list: Vec<ListTable>,
    #[serde(default)]
    pub(super) setting: Vec<SettingTable>,
}

/// A number or a duration that rules call `@name`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingTable {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file; checked for its type only")]
    pub(super) description: String,
    pub(super) value: Number,
}

/// A named list, which rules call `@name`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListTable {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file; checked for its type only")]
    pub(super) description: String,
    pub(super) items: Vec<Spanned<String>>,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

/// One string or a list of them, each with its place in the file.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Names(#[schemars(with = "OneOrMany")] pub(super) Vec<Spanned<String>>);

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = Spanned::<NamesValue>::deserialize(input)?;
        let span = value.span();
        Ok(match value.into_inner() {
            NamesValue::One(name) => Self(vec![Spanned::new(span, name)]),
            NamesValue::Many(names) => Self(names),
        })
    }
}

enum NamesValue {
    One(String),
    Many(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for NamesValue {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct NamesVisitor;
        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = NamesValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E>(self, name: &str) -> Result<NamesValue, E> {
                Ok(NamesValue::One(name.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NamesValue, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(NamesValue::Many(names))
            }
        }
        input.deserialize_any(NamesVisitor)
    }
}

/// The JSON Schema of a rule file, as indented text.
#[must_use]
pub fn json_schema_text() -> String {
    format!("{:#}\n", schemars::schema_for!(RuleFile).to_value())
}
