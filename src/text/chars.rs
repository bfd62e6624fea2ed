//! What a single character is read as.
//!
//! Only characters whose reading does not depend on their neighbours are here. Case is left alone, and
//! accents stay: they are part of how a language is written.

use std::iter::once;
use std::ops::Range;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::transform::Transform;

/// How a character is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It stands as it is.
    Keep,
    /// White space.
    Space,
    /// It is not seen; with what is undone by leaving it out.
    Drop(Transform),
    /// It is read as this one, typography aside the same.
    Same(char),
    /// A letter or digit in a form that is not typography but dress.
    Dressed(char),
    /// It joins with the character before it.
    Mark,
    /// Its compatibility form is several characters or another one.
    Compose,
}

/// How a character is folded.
pub(super) fn class(char: char) -> Class {
    match char {
        // The letters of most of the world's text come first, and need nothing.
        '\u{20}'..='\u{7e}' | '\u{c0}'..='\u{131}' | '\u{391}'..='\u{3c9}' | '\u{400}'..='\u{482}' => Class::Keep,
        '\u{48a}'..='\u{52f}' | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' => Class::Keep,
        '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => {
            Class::Keep
        }
        '\u{9}'..='\u{d}' | '\u{85}' | '\u{a0}' => Class::Space,
        '\0'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Class::Drop(Transform::ZeroWidth),
        // Accents that stand alone, and signs that would only become a space with an accent.
        '\u{a8}' | '\u{af}' | '\u{b4}' | '\u{b8}' | '\u{2d8}'..='\u{2dd}' | '\u{384}' | '\u{385}' => Class::Keep,
        _ => invisible(char)
            .or_else(|| typography(char).map(Class::Same))
            .or_else(|| dressed(char).map(Class::Dressed))
            .unwrap_or_else(|| by_tables(char)),
    }
}

fn by_tables(char: char) -> Class {
    if char.is_whitespace() {
        return Class::Space;
    }
    if canonical_combining_class(char) != 0 || is_decoration(char) {
        return Class::Mark;
    }
    match is_nfkc_quick(once(char)) {
        IsNormalized::Yes => Class::Keep,
        IsNormalized::Maybe => Class::Mark,
        IsNormalized::No => {
            let mut composed = once(char).nfkc();
            match (composed.next(), composed.next()) {
                (Some(only), None) if only.is_ascii_alphanumeric() && !is_everyday(char) => Class::Dressed(only),
                (Some(only), None) => Class::Same(only),
                (Some(' '), _) => Class::Keep,
                _ => Class::Compose,
            }
        }
    }
}

/// Compatibility forms that people type without a thought.
fn is_everyday(char: char) -> bool {
    matches!(char, '\u{aa}' | '\u{ba}' | '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}'..='\u{2099}' | '\u{212a}')
}

/// What is not seen: soft hyphens, zero-width characters, fillers, controls of direction, tags.
fn invisible(char: char) -> Option<Class> {
    Some(match char {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => {
            Class::Drop(Transform::Bidi)
        }
        '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' => {
            Class::Drop(Transform::ZeroWidth)
        }
        '\u{17b4}' | '\u{17b5}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' => {
            Class::Drop(Transform::ZeroWidth)
        }
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Class::Drop(Transform::Selectors),
        '\u{e0000}'..='\u{e007f}' => Class::Drop(Transform::Tags),
        // Blanks that are not white space by their properties: Hangul fillers and the empty Braille cell.
        '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => Class::Space,
        _ => return None,
    })
}

/// Typographic forms of ASCII's signs.
fn typography(char: char) -> Option<char> {
    Some(match char {
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' | '\u{2039}' | '\u{203a}' => '\'',
        '\u{ab}' | '\u{bb}' | '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2e3a}' | '\u{2e3b}' | '\u{fe58}' => '-',
        '\u{2044}' | '\u{2215}' => '/',
        '\u{2217}' => '*',
        _ => return None,
    })
}

/// Small capitals, and letters of phonetic alphabets that look like the plain ones.
#[rustfmt::skip]
const SMALL_CAPITALS: [(char, char); 35] = [
    ('\u{1d00}', 'a'), ('\u{299}', 'b'), ('\u{1d04}', 'c'), ('\u{1d05}', 'd'), ('\u{1d07}', 'e'), ('\u{a730}', 'f'),
    ('\u{262}', 'g'), ('\u{29c}', 'h'), ('\u{26a}', 'i'), ('\u{1d0a}', 'j'), ('\u{1d0b}', 'k'), ('\u{29f}', 'l'),
    ('\u{1d0d}', 'm'), ('\u{274}', 'n'), ('\u{1d0f}', 'o'), ('\u{1d18}', 'p'), ('\u{a7af}', 'q'), ('\u{280}', 'r'),
    ('\u{a731}', 's'), ('\u{1d1b}', 't'), ('\u{1d1c}', 'u'), ('\u{1d20}', 'v'), ('\u{1d21}', 'w'), ('\u{28f}', 'y'),
    ('\u{1d22}', 'z'), ('\u{251}', 'a'), ('\u{261}', 'g'), ('\u{269}', 'i'), ('\u{28b}', 'v'), ('\u{1d26}', 'r'),
    ('\u{1d6f}', 'm'), ('\u{1d70}', 'n'), ('\u{1d72}', 'r'), ('\u{1d74}', 's'), ('\u{1d75}', 't'),
];

/// Letters in a dress that has no compatibility form: small capitals, squared, circled and bracketed
/// letters, and the letters that flags are made of.
fn dressed(char: char) -> Option<char> {
    let code = u32::from(char);
    let from = |first: u32, letter: char| char::from_u32(code - first + u32::from(letter));
    match code {
        0x251..=0x29f | 0x1d00..=0x1d75 | 0xa730..=0xa7af => {
            SMALL_CAPITALS.iter().find(|(dressed, _)| *dressed == char).map(|(_, plain)| *plain)
        }
        0x249c..=0x24b5 => from(0x249c, 'a'),
        0x1f110..=0x1f129 => from(0x1f110, 'A'),
        0x1f130..=0x1f149 => from(0x1f130, 'A'),
        0x1f150..=0x1f169 => from(0x1f150, 'A'),
        0x1f170..=0x1f189 => from(0x1f170, 'A'),
        0x1f1e6..=0x1f1ff => from(0x1f1e6, 'A'),
        // Circled digits of the dingbats, white on black and black on white.
        0x2776..=0x277e | 0x2780..=0x2788 | 0x278a..=0x2792 => char::from_digit((code - 0x2776) % 10 + 1, 10),
        _ => None,
    }
}

/// A mark that decorates a letter rather than belongs to it: strokes through it, lines below it, rings
/// and boxes around it.
pub(super) fn is_decoration(mark: char) -> bool {
    matches!(mark,
        '\u{332}' | '\u{333}' | '\u{335}'..='\u{338}' | '\u{33f}' | '\u{35c}'..='\u{362}' | '\u{488}' | '\u{489}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters outside ASCII that need nothing, of the scripts that most text is written in.
pub(super) fn is_obvious(char: char) -> bool {
    let code = u32::from(char);
    let within = |first: u32, last: u32| code.wrapping_sub(first) <= last - first;
    within(0x400, 0x481)
        || within(0xd8, 0xf6)
        || within(0x4e00, 0x9fff)
        || within(0xac00, 0xd7a3)
        || within(0x391, 0x3c9)
}

/// Whether a character is part of a word, as near as ranges can tell: letters, digits and marks. The
/// standard library's tables are exact and cost ten times as much.
pub(super) fn is_word(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_alphanumeric();
    }
    if is_obvious(char) {
        return true;
    }
    !matches!(char,
        '\u{80}'..='\u{bf}' | '\u{d7}' | '\u{f7}' | '\u{2000}'..='\u{206f}' | '\u{20a0}'..='\u{20cf}'
        | '\u{2190}'..='\u{245f}' | '\u{2500}'..='\u{2bff}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}'
        | '\u{55a}'..='\u{55f}' | '\u{589}' | '\u{5be}' | '\u{60c}' | '\u{61b}' | '\u{61f}' | '\u{964}' | '\u{965}'
        | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}'
        | '\u{1f000}'..='\u{1faff}' | '\u{e000}'..='\u{f8ff}' | '\u{fffc}' | '\u{fffd}')
}

/// The next word from a place on.
pub(super) fn next_word(text: &str, mut at: usize) -> Option<Range<usize>> {
    loop {
        let (width, word) = word_char(text, at)?;
        if word {
            break;
        }
        at += width;
    }
    let start = at;
    while let Some((width, true)) = word_char(text, at) {
        at += width;
    }
    Some(start..at)
}

/// How long the character at a place is, and whether it is part of a word.
#[inline]
fn word_char(text: &str, at: usize) -> Option<(usize, bool)> {
    let byte = text.as_bytes().get(at)?;
    if byte.is_ascii() {
        return Some((1, byte.is_ascii_alphanumeric()));
    }
    if matches!(byte, 0xd0 | 0xd1) {
        // The first half of Cyrillic, all of it letters.
        return Some((2, true));
    }
    let char = text.get(at..)?.chars().next()?;
    Some((char.len_utf8(), is_word(char)))
}

/// Whether letters of this script can look like Latin ones.
pub(super) fn may_look_latin(char: char) -> bool {
    matches!(char, '\u{370}'..='\u{58f}' | '\u{13a0}'..='\u{13ff}' | '\u{2c80}'..='\u{2cff}')
        || matches!(char, '\u{a4d0}'..='\u{a4ff}' | '\u{a7b5}')
}

/// Whether marks on this letter are accents at most: Latin letters with or without them.
pub(super) fn is_latin(char: char) -> bool {
    matches!(char, 'a'..='z' | 'A'..='Z' | '0'..='9' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_read_as_what_they_look_like() {
        let rows = [
            ('a', Class::Keep),
            ('\u{e9}', Class::Keep),
            ('\u{2019}', Class::Same('\'')),
            ('\u{2014}', Class::Same('-')),
            ('\u{3000}', Class::Space),
            ('\u{2028}', Class::Space),
            ('\u{200b}', Class::Drop(Transform::ZeroWidth)),
            ('\u{202e}', Class::Drop(Transform::Bidi)),
            ('\u{e0069}', Class::Drop(Transform::Tags)),
            ('\u{ff49}', Class::Dressed('i')),
            ('\u{1d422}', Class::Dressed('i')),
            ('\u{24d8}', Class::Dressed('i')),
            ('\u{1f178}', Class::Dressed('I')),
            ('\u{1f1ee}', Class::Dressed('I')),
            ('\u{26a}', Class::Dressed('i')),
            ('\u{2071}', Class::Same('i')),
            ('\u{2460}', Class::Dressed('1')),
            ('\u{277c}', Class::Dressed('7')),
            ('\u{301}', Class::Mark),
            ('\u{1161}', Class::Mark),
            ('\u{fb01}', Class::Compose),
            ('\u{b4}', Class::Keep),
        ];
        for (char, want) in rows {
            assert_eq!(class(char), want, "U+{:04X}", u32::from(char));
        }
    }
}
