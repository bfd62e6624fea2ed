//! How much there is in a character: Shannon entropy.

use std::collections::BTreeMap;

/// Shannon entropy in bits per character, over characters, case counting.
#[expect(clippy::cast_precision_loss, reason = "lengths of tokens")]
pub(super) fn entropy(text: &str) -> f64 {
    let mut ascii = [0_usize; 128];
    let mut others: BTreeMap<char, usize> = BTreeMap::new();
    for char in text.chars() {
        match ascii.get_mut(char as usize) {
            Some(count) => *count += 1,
            None => *others.entry(char).or_default() += 1,
        }
    }
    let total = text.chars().count() as f64;
    let counts = ascii.into_iter().filter(|count| *count > 0).chain(others.into_values());
    counts.map(|count| count as f64 / total).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_not_bytes() {
        let rows = [("", 0.0), ("aaaa", 0.0), ("abab", 1.0), ("abcd", 2.0), ("aA", 1.0), ("éééé", 0.0), ("éaéa", 1.0)];
        for (text, bits) in rows {
            assert!((entropy(text) - bits).abs() < 1e-9, "{text}");
        }
        assert!(entropy("Zq8vT2mLx7Rk4Wd9Yb3N") > 4.0);
    }
}
