//! The ways in which a text can be written other than plainly.

use std::fmt;

/// One way of writing that was undone to read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Transform {
    /// Invisible characters inside the text: zero-width, soft hyphens, other controls.
    ZeroWidth,
    /// Controls that turn the direction of writing around.
    Bidi,
    /// Text in the invisible tag characters U+E0020 to U+E007E.
    Tags,
    /// Bytes in runs of variation selectors.
    Selectors,
    /// Letters from Unicode's compatibility forms: full-width, mathematical, circled, small capitals.
    Nfkc,
    /// Letters of other scripts that look like Latin ones.
    Confusables,
    /// Combining marks heaped on Latin letters.
    Zalgo,
    /// Accents on letters of words that are English without them.
    Accents,
    /// Digits and signs in place of letters: `1gn0r3`.
    Leetspeak,
    /// Letters one by one: `i g n o r e`.
    Spaced,
    /// Words cut by punctuation: `ig-no.re`.
    Split,
    /// Words joined into one: `ignore_all_previous`, `IgnoreAllPrevious`.
    Joined,
    /// HTML's character references: `&#105;`, `&lt;`.
    HtmlEntities,
    /// HTML tags and comments, and Markdown's emphasis, among and inside words.
    Html,
    /// Escapes of JSON and of most programming languages: `\n`, `\"`.
    JsonEscapes,
    /// Characters by number: `\u0069`, `\x69`, `\151`.
    UnicodeEscapes,
    /// Percent-encoding of URLs: `%69`.
    Percent,
    /// Quoted-printable of e-mail: `=69`.
    QuotedPrintable,
    /// Base64, standard or URL-safe.
    Base64,
    /// Base32.
    Base32,
    /// Bytes in hexadecimal.
    Hex,
    /// Letters moved thirteen places.
    Rot13,
    /// Letters moved by another number of places.
    Caesar,
    /// Letters counted from the other end of the alphabet.
    Atbash,
    /// Morse code.
    Morse,
    /// Bytes in binary.
    Binary,
    /// Character codes in decimal or octal.
    Decimal,
    /// Text written backwards.
    Reversed,
    /// String literals that are put together.
    Concatenation,
    /// Base58.
    Base58,
    /// Letters by their number in the alphabet.
    Numbered,
}

impl Transform {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 31] = [
        Self::ZeroWidth,
        Self::Bidi,
        Self::Tags,
        Self::Selectors,
        Self::Nfkc,
        Self::Confusables,
        Self::Zalgo,
        Self::Accents,
        Self::Leetspeak,
        Self::Spaced,
        Self::Split,
        Self::Joined,
        Self::HtmlEntities,
        Self::Html,
        Self::JsonEscapes,
        Self::UnicodeEscapes,
        Self::Percent,
        Self::QuotedPrintable,
        Self::Base64,
        Self::Base32,
        Self::Hex,
        Self::Rot13,
        Self::Caesar,
        Self::Atbash,
        Self::Morse,
        Self::Binary,
        Self::Decimal,
        Self::Reversed,
        Self::Concatenation,
        Self::Base58,
        Self::Numbered,
    ];

    /// Its name in findings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ZeroWidth => "zero-width",
            Self::Bidi => "bidi",
            Self::Tags => "tags",
            Self::Selectors => "selectors",
            Self::Nfkc => "nfkc",
            Self::Confusables => "confusables",
            Self::Zalgo => "zalgo",
            Self::Accents => "accents",
            Self::Leetspeak => "leetspeak",
            Self::Spaced => "spaced",
            Self::Split => "split",
            Self::Joined => "joined",
            Self::HtmlEntities => "html-entities",
            Self::Html => "html",
            Self::JsonEscapes => "json-escapes",
            Self::UnicodeEscapes => "unicode-escapes",
            Self::Percent => "percent",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
            Self::Base32 => "base32",
            Self::Hex => "hex",
            Self::Rot13 => "rot13",
            Self::Caesar => "caesar",
            Self::Atbash => "atbash",
            Self::Morse => "morse",
            Self::Binary => "binary",
            Self::Decimal => "decimal",
            Self::Reversed => "reversed",
            Self::Concatenation => "concatenation",
            Self::Base58 => "base58",
            Self::Numbered => "numbered-letters",
        }
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`Transform`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transforms(u64);

impl Transforms {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is in it.
    #[must_use]
    pub const fn contains(self, transform: Transform) -> bool {
        self.0 & (1 << transform as u8) != 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The transforms in it, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Transform> {
        Transform::ALL.into_iter().filter(move |transform| self.contains(*transform))
    }

    pub(super) const fn insert(&mut self, transform: Transform) {
        self.0 |= 1 << transform as u8;
    }

    pub(super) fn extend(&mut self, transforms: &[Transform]) {
        transforms.iter().for_each(|transform| self.insert(*transform));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut set = Transforms::NONE;
        assert!(set.is_empty());
        set.extend(&[Transform::Concatenation, Transform::ZeroWidth, Transform::ZeroWidth]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Transform::ZeroWidth, Transform::Concatenation]);
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn names_are_unique_and_the_order_is_the_declarations() {
        for (at, transform) in Transform::ALL.into_iter().enumerate() {
            assert_eq!(transform as usize, at);
            assert!(Transform::ALL[..at].iter().all(|other| other.as_str() != transform.as_str()));
        }
    }
}
