//! Wildcards: `*` for any run of characters, `?` for one. ASCII case is ignored.

use super::Template;
use crate::event::Event;

/// What may stand for a value of the event in a pattern.
const TEMPLATES: [(&str, Template); 3] =
    [("{session.tenant}", Template::Tenant), ("{session.id}", Template::Session), ("{agent.id}", Template::Agent)];

/// A pattern for names and paths.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    pattern: String,
    /// The bytes that a text must have, whatever their order: a sieve, since lists of hundreds of names are
    /// asked about every event.
    needs: Bytes,
}

/// Which bytes stand in a text, ASCII case ignored; several bytes share a bit.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Bytes(u64);

impl Bytes {
    fn of(text: &[u8]) -> Self {
        Self(text.iter().fold(0, |bits, byte| bits | 1 << (byte.to_ascii_lowercase() & 63)))
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// As it is written: versions of rules are digests of this.
#[expect(clippy::missing_fields_in_debug, reason = "the sieve follows from the pattern")]
impl std::fmt::Debug for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Glob").field("pattern", &self.pattern).finish()
    }
}

impl Glob {
    /// The pattern as written.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        let literal: Vec<u8> = pattern.bytes().filter(|byte| !matches!(byte, b'*' | b'?')).collect();
        Self { needs: Bytes::of(&literal), pattern }
    }

    /// Whether the whole of `text` matches one of these.
    #[must_use]
    pub fn any(globs: &[Self], text: &str) -> bool {
        Self::first(globs, text).is_some()
    }

    /// The first of these that the whole of `text` matches.
    #[must_use]
    pub fn first<'g>(globs: &'g [Self], text: &str) -> Option<&'g Self> {
        let bytes = Bytes::of(text.as_bytes());
        globs.iter().find(|glob| bytes.has(glob.needs) && glob.matches(text))
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether a value of the event stands in it.
    #[must_use]
    pub fn is_template(&self) -> bool {
        TEMPLATES.iter().any(|(name, _)| self.pattern.contains(name))
    }

    /// The pattern with the values of an event in it; what the event does not say matches nothing. A value
    /// that is a stranger's is no wildcard.
    #[must_use]
    pub fn for_event(&self, event: &Event<'_>) -> Self {
        let put = |pattern: String, (name, template): &(&str, Template)| {
            let value = template.of(event).unwrap_or_default();
            if value.is_empty() { pattern } else { pattern.replace(name, &value.replace(['*', '?'], "\u{0}")) }
        };
        Self::new(TEMPLATES.iter().fold(self.pattern.clone(), put))
    }

    /// Whether the whole of `text` matches.
    ///
    /// ```
    /// use haltline::rules::Glob;
    /// assert!(Glob::new("mcp__*__send*").matches("mcp__mail__Send_message"));
    /// assert!(!Glob::new("send").matches("resend"));
    /// ```
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        matches(self.pattern.as_bytes(), text.as_bytes())
    }

    /// Whether `path` is what the pattern names or lies below it: `args` covers `args.url`.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        self.matches(path)
            || path.match_indices('.').any(|(dot, _)| path.get(..dot).is_some_and(|head| self.matches(head)))
    }
}

/// Goes back to the latest `*` only, so the time is at most the product of the lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(byte) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_texts_match() {
        let rows = [
            ("refund", "Refund", true),
            ("refund", "refunds", false),
            ("*refund*", "issue_refund_v2", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
            ("?", "x", true),
            ("?", "", false),
            ("*", "", true),
            ("", "", true),
        ];
        for (pattern, text, matches) in rows {
            assert_eq!(Glob::new(pattern).matches(text), matches, "{pattern} {text}");
        }
    }

    proptest::proptest! {
        /// The sieve lets everything through that matches.
        #[test]
        fn the_first_of_a_list_is_the_first_that_matches(
            patterns in proptest::collection::vec("[aAz_9*?\u{e9}\u{ff}]{0,6}", 0..6),
            text in "[aAzZ_9*?\u{e9}]{0,8}",
        ) {
            let globs: Vec<Glob> = patterns.into_iter().map(Glob::new).collect();
            proptest::prop_assert_eq!(Glob::first(&globs, &text), globs.iter().find(|glob| glob.matches(&text)));
        }
    }

    #[test]
    fn a_path_covers_what_lies_below() {
        let rows = [
            ("args", "args.url", true),
            ("args", "args", true),
            ("args", "argsX.url", false),
            ("args.*.to", "args.mail.to", true),
            ("args.*.to", "args.mail.to.0", true),
            ("args.url", "args", false),
        ];
        for (pattern, path, covers) in rows {
            assert_eq!(Glob::new(pattern).covers(path), covers, "{pattern} {path}");
        }
    }
}
