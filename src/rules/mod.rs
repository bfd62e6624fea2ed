//! Rules: from TOML files to a checked, compiled set.
//!
//! `file` is the shape of one file, `compile` turns it into a [`Rule`], `diagnose` says what is wrong
//! with it at file, line and column, `load` puts the files of several folders together. What people
//! write is read strictly: an unknown key is an error, and a set with one error is refused whole.
//! Nothing here looks at an event's content; that is for the floors above.

mod case;
mod compile;
mod compile_match;
mod compile_memory;
mod compile_scope;
mod diagnose;
mod except;
mod file;
mod glob;
mod lists;
mod load;
mod memory;
mod network;
mod scope;
mod tables;
mod when;

use std::sync::Arc;

use regex::Regex;

use crate::event::Event;
use crate::finding::{Action, Mode, Severity};

pub use case::{Case, Expected};
pub use diagnose::{Diagnostic, Diagnostics};
pub use except::Except;
pub use file::json_schema_text;
pub use glob::Glob;
pub use load::{SourceFile, load};
pub use memory::{
    FlowCheck, GroupBy, KeyLimit, Measure, Pattern, RateCheck, RepeatCheck, ScoreCheck, SequenceCheck, SpikeCheck,
    SpikeMethod, Step,
};
pub use scope::{Hours, Reading, ScopeCheck, ScopeLimit, Template, is_listed, number_of, text_of};
pub use when::{Hints, When};

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
    /// What a hit asks for where no raise applies.
    pub action: Action,
    /// Stronger actions for hits in some places.
    pub raises: Vec<Raise>,
    /// Whether that is carried out.
    pub mode: Mode,
    /// What a finding adds to the session's risk score, in thousandths of a point.
    pub points: i64,
    /// Taxonomy tags.
    pub tags: Arc<[String]>,
    /// Which events it looks at.
    pub when: When,
    /// What it looks for in them.
    pub check: Check,
    /// Cases that a person lets pass.
    pub excepts: Vec<Except>,
    /// Its own tests.
    pub cases: Vec<Case>,
    /// The file it came from.
    pub file: String,
}

/// A stronger action for hits in some places.
#[derive(Clone, Debug)]
pub struct Raise {
    /// What a hit asks for there.
    pub action: Action,
    /// Which events.
    pub when: When,
    /// Which fields; empty for all.
    pub fields: Vec<Glob>,
}

impl Rule {
    /// What a hit in a field of an event asks for: the strongest of the rule's own action and of the
    /// raises that apply there.
    #[must_use]
    pub fn action_at(&self, event: &Event<'_>, path: Option<&str>) -> Action {
        let applies = |raise: &&Raise| {
            let in_fields = |path| raise.fields.iter().any(|glob| glob.covers(path));
            raise.when.passes(event) && (raise.fields.is_empty() || path.is_some_and(in_fields))
        };
        self.raises.iter().filter(applies).map(|raise| raise.action).fold(self.action, Action::max)
    }
}

/// What a rule looks for.
#[derive(Clone, Debug)]
pub enum Check {
    /// Words in the content.
    Match(MatchCheck),
    /// The score of the classifier.
    Classify(ClassifyCheck),
    /// A field against lists and limits.
    Scope(ScopeCheck),
    /// How many or how much in a sliding window.
    Rate(RateCheck),
    /// Far more than is usual.
    Spike(SpikeCheck),
    /// Steps that follow each other.
    Sequence(SequenceCheck),
    /// What one step returned appears in a later one.
    Flow(Box<FlowCheck>),
    /// The same call again and again.
    Repeat(RepeatCheck),
    /// The session's risk score.
    Score(ScoreCheck),
    /// Definitions of tools that change.
    Tools,
}

impl Check {
    /// The name of its table in a rule file.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Match(_) => "match",
            Self::Classify(_) => "classify",
            Self::Scope(_) => "scope",
            Self::Rate(_) => "rate",
            Self::Spike(_) => "spike",
            Self::Sequence(_) => "sequence",
            Self::Flow(_) => "flow",
            Self::Repeat(_) => "repeat",
            Self::Score(_) => "score",
            Self::Tools => "tools",
        }
    }
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
    /// What else must hold for what matched.
    pub proof: Proof,
    /// Least score of the classifier for the text around a match.
    pub score_min: Option<f32>,
}

/// What must hold for the text that a regex found, so that a look-alike is no hit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proof {
    /// It must not look like a placeholder or like plain words.
    pub not_words: bool,
    /// Least Shannon entropy, in bits per character.
    pub entropy_min: Option<f64>,
    /// A check of its digits or checksum.
    pub validator: Option<Validator>,
    /// One of these words, in lower case, must stand shortly before it.
    pub near: Vec<String>,
}

/// A check of a text's digits, checksum or inner form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validator {
    /// Luhn's sum over 12 to 19 digits, as on payment cards.
    Luhn,
    /// ISO 13616: a country's length and mod 97.
    Iban,
    /// GitHub's and npm's tokens: the last six characters are the CRC-32 of the rest, in base 62.
    Crc32,
    /// A JSON Web Token: the first part decodes to a JSON object that names an algorithm.
    Jwt,
    /// Base64 of a name and a password, as in the header of HTTP.
    BasicAuth,
    /// Letters, and a digit or sign that is no separator.
    Mixed,
    /// What somebody can have chosen for a password.
    Password,
    /// Letters among many different signs, and no code.
    Strong,
    /// A US social security number that can have been given out.
    Ssn,
    /// An IPv4 or IPv6 address that is routed in public.
    PublicIp,
    /// Luhn's sum over 8 to 11 digits.
    LuhnShort,
    /// Verhoeff's check over 12 digits, as on Aadhaar cards.
    Verhoeff,
    /// Spanish DNI and NIE.
    Dni,
    /// French NIR.
    Nir,
    /// Chinese resident identity number.
    CnId,
    /// Singapore NRIC and FIN.
    Nric,
}

impl Validator {
    /// Every validator with its name in rules.
    pub const ALL: [(&'static str, Self); 16] = [
        ("luhn", Self::Luhn),
        ("iban", Self::Iban),
        ("crc32", Self::Crc32),
        ("jwt", Self::Jwt),
        ("basic-auth", Self::BasicAuth),
        ("mixed", Self::Mixed),
        ("password", Self::Password),
        ("strong", Self::Strong),
        ("ssn", Self::Ssn),
        ("public-ip", Self::PublicIp),
        ("luhn-short", Self::LuhnShort),
        ("verhoeff", Self::Verhoeff),
        ("dni", Self::Dni),
        ("nir", Self::Nir),
        ("cn-id", Self::CnId),
        ("nric", Self::Nric),
    ];
}

/// A limit on the score of the classifier.
#[derive(Clone, Debug)]
pub struct ClassifyCheck {
    /// Paths of the fields to look at; empty for all.
    pub fields: Vec<Glob>,
    /// What is looked for.
    pub head: AttackHead,
    /// Fires from this score on, from 0 to 1.
    pub score_min: f32,
}

/// What the classifier is asked about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttackHead {
    /// Whether it takes the agent's instructions away or gets at what is hidden.
    Injection,
    /// Whether it talks the agent out of its rules.
    Jailbreak,
    /// Whether it is data that gives orders.
    Planted,
}

impl AttackHead {
    /// Every head with its name in rules.
    pub const ALL: [(&'static str, Self); 3] =
        [("injection", Self::Injection), ("jailbreak", Self::Jailbreak), ("planted", Self::Planted)];
}
