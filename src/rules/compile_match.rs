//! The tables that look at words: `[match]` and `[classify]`.

use regex::{Regex, RegexBuilder};
use toml::Spanned;

use super::compile::{Checked, Compiler, unknown};
use super::file::{ClassifyTable, MatchTable, Names};
use super::{AttackHead, ClassifyCheck, MatchCheck, Proof, Validator};
use crate::limits::REGEX_BYTES_MAX;

/// Shortest keyword: shorter ones hit everywhere and spare nothing. One less is enough where not all of it
/// is letters and digits.
const KEYWORD_CHARS_MIN: usize = 3;

impl Compiler<'_> {
    pub(super) fn match_check(&self, table: &Spanned<MatchTable>) -> Checked<MatchCheck> {
        let inner = table.get_ref();
        if inner.phrases.0.is_empty() && inner.regex.0.is_empty() {
            return self.error(table, "expected `phrases`, or `regex` with `keywords`");
        }
        if inner.regex.0.is_empty() != inner.keywords.0.is_empty() {
            return self
                .error(table, "expected `keywords` and `regex` together: a regex is tried where a keyword occurs");
        }
        let keywords = self.lists.expand(&inner.keywords.0, self.place)?;
        if let Some(short) = keywords.iter().find(|keyword| is_short(keyword)) {
            let message = format!(
                "expected keywords of at least {KEYWORD_CHARS_MIN} characters, or 2 where one is no letter or digit, got `{short}`"
            );
            return self.error(table, message);
        }
        let phrases = self.lists.expand(&inner.phrases.0, self.place)?;
        if let Some(blank) = phrases.iter().find(|phrase| phrase.trim().len() < 2) {
            return self.error(table, format!("expected phrases of at least 2 characters, got `{blank}`"));
        }
        Ok(MatchCheck {
            fields: self.globs(&inner.fields)?,
            phrases,
            keywords,
            regexes: self.regexes(&inner.regex, inner.secret)?,
            except: self.regexes(&inner.except, inner.secret)?,
            secret: inner.secret,
            proof: self.proof(inner)?,
            score_min: inner.score_at_least.as_ref().map(|score| self.score(score)).transpose()?,
        })
    }

    fn proof(&self, table: &MatchTable) -> Checked<Proof> {
        let validator = |name: &Spanned<String>| {
            let found = Validator::ALL.iter().find(|(known, _)| known == name.get_ref());
            match found {
                Some((_, validator)) => Ok(*validator),
                None => self.error(name, unknown(name.get_ref(), &Validator::ALL.map(|(known, _)| known))),
            }
        };
        let entropy = |bits: &Spanned<f64>| match *bits.get_ref() {
            value if (0.0..=8.0).contains(&value) => Ok(value),
            value => self.error(bits, format!("expected bits per character from 0 to 8, got {value}")),
        };
        let near = self.lists.expand(&table.near.0, self.place)?;
        Ok(Proof {
            not_words: table.not_words,
            entropy_min: table.entropy_min.as_ref().map(entropy).transpose()?,
            validator: table.validate.as_ref().map(validator).transpose()?,
            near: near.into_iter().map(|word| word.to_lowercase()).collect(),
        })
    }

    /// Regexes of secrets see bytes, not Unicode, where they can: a token is ASCII, and word boundaries
    /// are much cheaper so.
    fn regexes(&self, names: &Names, ascii: bool) -> Checked<Vec<Regex>> {
        let build = |text: &str, unicode| RegexBuilder::new(text).unicode(unicode).size_limit(REGEX_BYTES_MAX).build();
        let one = |text: &Spanned<String>| {
            let in_ascii = ascii.then(|| build(text.get_ref(), false).ok()).flatten();
            in_ascii.map_or_else(|| build(text.get_ref(), true), Ok).map_err(|error| {
                let message = error.to_string().replace('\n', " ");
                self.place.error(&text.span(), format!("bad regex: {message}"))
            })
        };
        names.0.iter().map(one).collect()
    }

    pub(super) fn classify_check(&self, table: &Spanned<ClassifyTable>) -> Checked<ClassifyCheck> {
        let inner = table.get_ref();
        let name = inner.head.get_ref();
        let Some((_, head)) = AttackHead::ALL.iter().find(|(known, _)| known == name) else {
            return self.error(&inner.head, unknown(name, &AttackHead::ALL.map(|(known, _)| known)));
        };
        let score_min = self.score(&inner.score_at_least)?;
        Ok(ClassifyCheck { fields: self.globs(&inner.fields)?, head: *head, score_min })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a score has no more digits than that")]
    fn score(&self, score: &Spanned<f64>) -> Checked<f32> {
        match *score.get_ref() {
            value if value > 0.0 && value <= 1.0 => Ok(value as f32),
            value => self.error(score, format!("expected a score above 0 and at most 1, got {value}")),
        }
    }
}

fn is_short(keyword: &str) -> bool {
    let has_sign = keyword.chars().any(|char| !char.is_alphanumeric());
    keyword.chars().count() + usize::from(has_sign) < KEYWORD_CHARS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_long_enough_to_spare_something() {
        let rows =
            [("Q~", false), ("ab", true), ("abc", false), ("~", true), (" ab", false), ("a b", false), ("密码", true)];
        for (keyword, want) in rows {
            assert_eq!(is_short(keyword), want, "{keyword}");
        }
    }
}
