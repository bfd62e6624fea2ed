//! What is wrong with a file, where, and how to mend it.

use std::fmt;
use std::ops::Range;

/// One error in a file that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, what was expected, how to mend it.
    pub message: String,
}

impl Diagnostic {
    /// What the TOML reader says of a file, with its place and a hint where a key is misspelt.
    #[must_use]
    pub fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        Place { file, text }.toml_error(error)
    }
}

/// `file:line:column: message`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// Every error that was found, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Diagnostics(pub Vec<Diagnostic>);

/// A file's name and text, to turn byte ranges into lines and columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Place<'_> {
    /// An error at a byte range.
    pub(crate) fn error(&self, span: &Range<usize>, message: impl Into<String>) -> Diagnostic {
        let (line, column) = self.line_and_column(span.start);
        Diagnostic { file: self.file.to_owned(), line, column, message: message.into() }
    }

    /// What the TOML reader says, with a hint where a key is misspelt.
    pub(crate) fn toml_error(&self, error: &toml::de::Error) -> Diagnostic {
        let message = error.message().replace('\n', ", ");
        let hint = did_you_mean(&message).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        self.error(&error.span().unwrap_or(0..0), format!("{message}{hint}"))
    }

    /// Line and column of a byte, both from 1.
    pub(crate) fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..self.text.floor_char_boundary(byte)).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// Finds, in serde's "unknown field `x`, expected one of `a`, `b`", the name that is closest to `x`.
fn did_you_mean(message: &str) -> Option<&str> {
    let (head, tail) = message.split_once(", expected")?;
    let wrong = head.split('`').nth(1)?;
    closest(wrong, tail.split('`').skip(1).step_by(2))
}

/// The name closest to `wrong`, if one is close enough to be meant.
pub(crate) fn closest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
