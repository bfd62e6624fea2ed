//! Values whose key says that they are secret: `{"password": "…"}`.
//!
//! A field's value comes without its key, and rules for secrets often need both. Where the key says so, the
//! two are read together as the text `"key": "value"`; what is found counts where it lies in the value.

use std::ops::Range;

use super::texts::{looks_at, secret_evidence};
use super::{Context, Engine, Program};
use crate::finding::Finding;
use crate::limits::KEYED_BYTES_MAX;
use crate::scan::Scanner;
use crate::text::View;

/// What is in the names of secrets, lower case.
const KEY_WORDS: [&str; 7] = ["pass", "pwd", "secret", "token", "key", "auth", "cred"];

/// A key and its value as one text.
pub(super) struct Keyed {
    text: String,
    value: Range<usize>,
}

impl Keyed {
    /// `None` where the last part of the path that is no number is no name of a secret, and for values that
    /// are too long to be one.
    pub(super) fn of(path: &str, value: &str) -> Option<Self> {
        let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let key = path.rsplit('.').find(|part| !is_number(part))?;
        let lower = key.to_ascii_lowercase();
        if value.is_empty() || value.len() > KEYED_BYTES_MAX || !KEY_WORDS.iter().any(|word| lower.contains(word)) {
            return None;
        }
        let mut text = format!("\"{key}\": \"");
        let start = text.len();
        text.push_str(value);
        let value = start..text.len();
        text.push('"');
        Some(Self { text, value })
    }

    /// The piece of the value behind a range of the whole; `None` for what lies outside of it.
    fn in_value(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let (start, end) = (range.start.max(self.value.start), range.end.min(self.value.end));
        (start < end).then(|| start - self.value.start..end - self.value.start)
    }

    /// Where secrets stand in the value.
    pub(super) fn secrets(&self, scanner: &Scanner) -> Vec<Range<usize>> {
        let view = View::new(&self.text);
        let found = scanner.secrets(view.text());
        found.into_iter().filter_map(|range| self.in_value(&view.original_range(range))).collect()
    }
}

impl Engine {
    /// Has the rules for secrets read a value together with its key.
    pub(super) fn check_keyed(
        &mut self,
        program: &Program,
        context: &Context<'_>,
        path: &str,
        value: &str,
        findings: &mut Vec<Finding>,
    ) {
        let Some(keyed) = Keyed::of(path, value) else { return };
        let view = View::new(&keyed.text);
        let wanted = |n: usize| {
            program
                .match_rule(n)
                .is_some_and(|(rule, check)| check.secret && looks_at(rule, &check.fields, context.event, path))
        };
        for hit in self.scan_layer(program, view.layer(), wanted) {
            let Some((rule, _)) = program.match_rule(hit.rule) else { continue };
            let Some(span) = keyed.in_value(&view.original_range(hit.core.clone())) else { continue };
            if findings.iter().any(|finding| finding.rule == rule.id) {
                continue;
            }
            let secret = value.get(span.clone()).unwrap_or_default();
            findings.push(self.finding(rule, context, secret_evidence(secret, span, path, Vec::new()), None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_their_values_are() {
        let rows = [
            ("args.password", Some("password")),
            ("args.db.API_KEY", Some("API_KEY")),
            ("result.tokens.0.1", Some("tokens")),
            ("args.url", None),
            ("text", None),
            ("args.passwords.note", None),
            ("", None),
        ];
        for (path, key) in rows {
            let text = Keyed::of(path, "v1").map(|keyed| keyed.text);
            assert_eq!(text, key.map(|key| format!("\"{key}\": \"v1\"")), "{path}");
        }
        assert!(Keyed::of("args.key", "").is_none());
        assert!(Keyed::of("args.key", &"x".repeat(KEYED_BYTES_MAX + 1)).is_none());
    }

    #[test]
    fn ranges_lead_back_to_the_value() {
        let keyed = Keyed::of("args.key", "value").expect("a key");
        let start = keyed.value.start;
        assert_eq!(keyed.in_value(&(start + 1..start + 3)), Some(1..3));
        assert_eq!(keyed.in_value(&(0..start + 3)), Some(0..3));
        assert_eq!(keyed.in_value(&(0..start)), None);
    }
}
