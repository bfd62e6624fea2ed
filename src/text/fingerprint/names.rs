//! The words that identifiers are made of, to see whether a tool's name stems from a text.

/// What every name may have and says nothing about what a tool does.
const STOP_WORDS: [&str; 40] = [
    "a",
    "an",
    "and",
    "api",
    "as",
    "at",
    "by",
    "call",
    "do",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "get",
    "in",
    "is",
    "it",
    "manage",
    "management",
    "manager",
    "mcp",
    "of",
    "on",
    "or",
    "service",
    "set",
    "system",
    "that",
    "the",
    "this",
    "to",
    "tool",
    "tools",
    "use",
    "using",
    "via",
    "will",
    "with",
    "you",
];

/// Longest word.
const WORD_BYTES_MAX: usize = 32;

/// The words of an identifier in lower case, in its order: `mcp__lock__grantGuestAccess` is lock, grant, guest,
/// access. Stop words, digits and single letters are left out.
#[must_use]
pub fn identifier_words(identifier: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(identifier, |word| words.push(word.to_owned()));
    words
}

/// Calls back with every word of a text in lower case, those in identifiers one by one.
pub(super) fn each_word(text: &str, mut found: impl FnMut(&str)) {
    let mut word = String::with_capacity(WORD_BYTES_MAX);
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(char) = chars.next() {
        let next_is_small = chars.peek().is_some_and(|next| next.is_lowercase());
        // `grantGuest` and `HTTPServer` are two words each.
        let hump = char.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && next_is_small));
        if hump || !char.is_alphabetic() {
            end(&mut word, &mut found);
        }
        if char.is_alphabetic() && word.len() <= WORD_BYTES_MAX {
            word.extend(char.to_lowercase());
        }
        before = char;
    }
    end(&mut word, &mut found);
}

fn end(word: &mut String, found: &mut impl FnMut(&str)) {
    let known = STOP_WORDS.binary_search(&word.as_str()).is_ok();
    if !known && word.len() > 1 && word.len() <= WORD_BYTES_MAX {
        found(word);
    }
    word.clear();
}

/// A word without its ending, as far as English needs it: permission and permissions, grant and granting.
pub(super) fn stem(word: &str) -> &str {
    let endings = ["ings", "ing", "ed", "es", "s"];
    let cut = |ending: &&str| word.strip_suffix(*ending).filter(|rest| rest.len() >= 3 && !word.ends_with("ss"));
    let rest = endings.iter().find_map(cut).unwrap_or(word);
    rest.strip_suffix('e').filter(|rest| rest.len() >= 3).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_made_of_words() {
        let rows: [(&str, &[&str]); 8] = [
            ("AugustSmartLockGrantGuestAccess", &["august", "smart", "lock", "grant", "guest", "access"]),
            ("mcp__billing__issue_refund", &["billing", "issue", "refund"]),
            ("get-user-details", &["user", "details"]),
            ("HTTPServerURL", &["http", "server", "url"]),
            ("The23andMeGetGeneticData", &["me", "genetic", "data"]),
            ("sendEmail2", &["send", "email"]),
            ("getTool", &[]),
            ("", &[]),
        ];
        for (identifier, want) in rows {
            assert_eq!(identifier_words(identifier), want, "{identifier}");
        }
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn endings_make_no_difference() {
        let rows = [
            ("permission", "permissions"),
            ("grant", "granting"),
            ("share", "shared"),
            ("share", "shares"),
            ("address", "addresses"),
            ("schedule", "scheduling"),
        ];
        for (a, b) in rows {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
        assert_ne!(stem("pay"), stem("paint"));
    }
}
