//! Whether what a regex found is what it looks like: neighbours, entropy, words, checksums.

use std::ops::Range;

use super::entropy::entropy;
use super::validators::passes;
use super::words::is_words;
use crate::rules::Proof;

/// How far before a match one of its `near` words may stand, in characters.
const NEAR_CHARS: usize = 60;

/// Whether a match stands: what was found at `secret` in `text` satisfies all that the rule asks.
pub(super) fn stands(proof: &Proof, text: &str, found: &Range<usize>, secret: &Range<usize>) -> bool {
    let value = text.get(secret.clone()).unwrap_or_default();
    if !proof.near.is_empty() && !is_near(&proof.near, text, found.start, secret.start) {
        return false;
    }
    if proof.entropy_min.is_some_and(|least| entropy(value) < least) {
        return false;
    }
    if proof.not_words && is_words(value) {
        return false;
    }
    proof.validator.is_none_or(|validator| passes(validator, value))
}

/// Whether one of the words, which are in lower case, stands between shortly before a match and the
/// secret in it, and not in the middle of a word: before it is no ASCII letter, or a small one before a
/// capital. What comes after it does not matter.
fn is_near(words: &[String], text: &str, start: usize, secret: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let from = before.char_indices().rev().take(NEAR_CHARS).last().map_or(start, |(at, _)| at);
    let window: Vec<char> = text.get(from..secret).unwrap_or_default().chars().collect();
    // One character for each, so that positions stay the same.
    let lower: Vec<char> = window.iter().map(|char| char.to_lowercase().next().unwrap_or(*char)).collect();
    words.iter().any(|word| {
        let word: Vec<char> = word.chars().collect();
        let begins = |at: usize| {
            let before =
                at.checked_sub(1).and_then(|before| window.get(before)).filter(|char| char.is_ascii_alphabetic());
            let is_capital = window.get(at).is_some_and(|char| char.is_uppercase());
            before.is_none_or(|before| before.is_ascii_lowercase() && is_capital)
        };
        lower.windows(word.len().max(1)).enumerate().any(|(at, piece)| piece == word && begins(at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_near_where_a_word_begins() {
        let words = ["key".to_owned(), "пароль".to_owned()];
        let far = format!("key {}", "x".repeat(60));
        let rows = [
            ("key = |V", true),
            ("KEY=|V", true),
            ("my_key: |V", true),
            ("apiKey: |V", true),
            ("monkey: |V", false),
            ("MONKEY: |V", false),
            ("monkey key |V", true),
            ("keys |V", true),
            ("Пароль: |V", true),
            ("value |V", false),
            ("|V key", false),
            (&*format!("{far}|V"), false),
            (&*format!("{}|V", far.replacen('x', "", 4)), true),
        ];
        for (row, want) in rows {
            let start = row.find('|').expect("marked");
            assert_eq!(is_near(&words, row, start, start + 1), want, "{row}");
        }
        // What a match has before its secret counts, too.
        assert!(is_near(&words, "x key=V", 2, 6) && !is_near(&words, "x key=V", 2, 2));
    }

    #[test]
    fn all_that_is_asked_must_hold() {
        let text = "token: v9Kq2Zt7Lw4Xr8Bn";
        let proof = Proof { not_words: true, entropy_min: Some(3.0), near: vec!["token".to_owned()], validator: None };
        assert!(stands(&proof, text, &(7..23), &(7..23)));
        assert!(!stands(&Proof { entropy_min: Some(4.5), ..proof.clone() }, text, &(7..23), &(7..23)));
        assert!(!stands(&Proof { near: vec!["key".to_owned()], ..proof.clone() }, text, &(7..23), &(7..23)));
        assert!(!stands(&proof, "token: your_token_here", &(7..22), &(7..22)));
    }
}
