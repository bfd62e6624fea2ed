//! Rules: from TOML files to a checked, compiled set.
//!
//! `file` is the shape of one file, `compile` turns it into a [`Rule`], `diagnose` says what is wrong
//! with it at file, line and column, `load` puts the files of several folders together. What people
//! write is read strictly: an unknown key is an error, and a set with one error is refused whole.
//! Nothing here looks at an event's content; that is for the floors above.

mod case;
mod compile;
mod diagnose;
mod file;
mod glob;
mod lists;
mod load;
mod scope;
mod when;

use std::sync::Arc;

use regex::Regex;

use crate::finding::{Action, Mode, Severity};
use crate::time::Span;

pub use case::{Case, Expected};
pub use diagnose::{Diagnostic, Diagnostics};
pub use file::json_schema_text;
pub use glob::Glob;
pub use load::{SourceFile, load};
pub use scope::{number_of, text_of};
pub use when::When;

/// A checked set of rules.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// The rules, by id.
    pub rules: Vec<Rule>,
    /// Digest over the versions of all rules.
    pub hash: Arc<str>,
}

/// One checked rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Stable, never reused.
    pub id: Arc<str>,
    /// Digest of the rule's text and of the lists it names.
    pub version: Arc<str>,
    /// One line for people.
    pub title: Arc<str>,
    /// What it looks for and why.
    pub description: String,
    /// How bad a hit is.
    pub severity: Severity,
    /// What a hit asks for.
    pub action: Action,
    /// Whether that is carried out.
    pub mode: Mode,
    /// Taxonomy tags.
    pub tags: Arc<[String]>,
    /// Which events it looks at.
    pub when: When,
    /// What it looks for in them.
    pub check: Check,
    /// Its own tests.
    pub cases: Vec<Case>,
    /// The file it came from.
    pub file: String,
}

/// What a rule looks for.
#[derive(Clone, Debug)]
pub enum Check {
    /// Words in the content.
    Match(MatchCheck),
    /// A field against lists and limits.
    Scope(ScopeCheck),
    /// How many or how much in a sliding window.
    Rate(RateCheck),
}

/// Words in the content of an event.
#[derive(Clone, Debug)]
pub struct MatchCheck {
    /// Paths of the fields to look at; empty for all.
    pub fields: Vec<Glob>,
    /// Whole words or phrases, case and white space ignored.
    pub phrases: Vec<String>,
    /// One of these must occur before the regexes are tried.
    pub keywords: Vec<String>,
    /// Tried on texts that hold a keyword.
    pub regexes: Vec<Regex>,
    /// A match that one of these finds, too, is none.
    pub except: Vec<Regex>,
    /// Whether the matching text must not be shown.
    pub secret: bool,
}

/// A field of a tool call against lists and limits. A field that is not there is within scope.
#[derive(Clone, Debug)]
pub struct ScopeCheck {
    /// Paths of the fields; each one that is there is checked.
    pub fields: Vec<Glob>,
    /// What is out of scope.
    pub limit: ScopeLimit,
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

/// A sliding window over the events that pass the rule's conditions.
#[derive(Clone, Debug)]
pub struct RateCheck {
    /// Whose events are counted together; always within one tenant.
    pub group_by: Vec<GroupBy>,
    /// Length of the window.
    pub window: Span,
    /// When it fires.
    pub threshold: Threshold,
}

/// When a window fires.
#[derive(Clone, Debug)]
pub enum Threshold {
    /// From this many events on.
    CountAtLeast(u64),
    /// When the numbers in `field` add up to more than `above`.
    SumAbove {
        /// Path of the number; the first that is there counts.
        fields: Vec<Glob>,
        /// The limit.
        above: f64,
    },
}

/// One part of a window's key.
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
    /// The tool's name and all of its arguments.
    Call,
    /// The value at a path.
    Field(String),
}
