//! Letters of other scripts that look like Latin ones.
//!
//! They become Latin letters only where a word mixes scripts, or where it is made of look-alikes alone
//! in a text that is otherwise Latin: Russian and Greek text stays what it is.

use std::ops::Range;

use super::chars::{is_latin, next_word};
use super::map::{Map, Writer};

/// How far a letter looks like its Latin one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Likeness {
    /// The two can hardly be told apart.
    Same,
    /// They are close enough inside a word that is otherwise Latin.
    Close,
}

/// What is known of one word.
#[derive(Debug, Default, Clone, Copy)]
struct Word {
    latin: usize,
    same: usize,
    close: usize,
    /// Letters of other scripts that look like no Latin one.
    foreign: usize,
}

/// Replaces look-alikes; `None` where there is nothing to replace.
pub(super) fn fold(text: &str) -> Option<(String, Map)> {
    let (mut latin_words, mut foreign_words) = (0_usize, 0_usize);
    let mut alike: Vec<(Range<usize>, Word)> = Vec::new();
    let mut at = 0;
    while let Some(range) = next_word(text, at) {
        at = range.end;
        let word = look(text.get(range.clone()).unwrap_or_default());
        latin_words += usize::from(word.latin > 1 && word.same + word.close + word.foreign == 0);
        foreign_words += usize::from(word.foreign + word.close > 0 && word.latin == 0);
        if word.same + word.close > 0 && word.foreign == 0 {
            alike.push((range, word));
        }
    }
    alike.retain(|(_, word)| is_disguised(*word, latin_words > 0 && foreign_words == 0));
    if alike.is_empty() {
        return None;
    }
    let mut writer = Writer::with_capacity(text.len());
    let mut from = 0;
    for (range, _) in alike {
        writer.copy(text.get(from..range.start).unwrap_or_default(), from);
        for (offset, char) in text.get(range.clone()).unwrap_or_default().char_indices() {
            let (at, plain) = (range.start + offset, lookalike(char).map_or(char, |(plain, _)| plain));
            writer.put(plain.encode_utf8(&mut [0; 4]), at..at + char.len_utf8());
        }
        from = range.end;
    }
    writer.copy(text.get(from..).unwrap_or_default(), from);
    Some(writer.finish(text.len()))
}

fn look(word: &str) -> Word {
    let mut found = Word::default();
    if word.is_ascii() {
        found.latin = word.len();
        return found;
    }
    for char in word.chars() {
        match char {
            'a'..='z' | 'A'..='Z' => found.latin += 1,
            '0'..='9' => {}
            c => match lookalike(c) {
                Some((_, Likeness::Same)) => found.same += 1,
                Some((_, Likeness::Close)) => found.close += 1,
                None if is_latin(c) => found.latin += 1,
                None => found.foreign += 1,
            },
        }
    }
    found
}

/// Whether a word was written to be read as a Latin one. Units such as `\u{3bc}s` have too few letters,
/// and a foreign ending on a Latin name has letters that look like none.
fn is_disguised(word: Word, latin_context: bool) -> bool {
    let alike = word.same + word.close;
    if word.foreign > 0 || alike == 0 {
        return false;
    }
    if word.latin > 0 {
        return word.latin + alike > 2 && (word.same > 0 || word.latin >= word.close);
    }
    word.close == 0 && word.same > 1 && latin_context
}

/// The Latin letter that one of another script looks like.
#[rustfmt::skip]
fn lookalike(char: char) -> Option<(char, Likeness)> {
    let same = match char {
        // Cyrillic.
        'а' => 'a', 'е' => 'e', 'о' => 'o', 'р' => 'p', 'с' => 'c', 'у' => 'y', 'х' => 'x', 'ѕ' => 's', 'і' => 'i',
        'ї' => 'i', 'ј' => 'j', 'ԁ' => 'd', 'һ' => 'h', 'ԛ' => 'q', 'ԝ' => 'w', 'ӏ' => 'l', 'ѵ' => 'v', 'ү' => 'y',
        'ԍ' => 'g', 'А' => 'A', 'В' => 'B', 'Е' => 'E', 'К' => 'K', 'М' => 'M', 'Н' => 'H', 'О' => 'O', 'Р' => 'P',
        'С' => 'C', 'Т' => 'T', 'У' => 'Y', 'Х' => 'X', 'Ѕ' => 'S', 'І' => 'I', 'Ї' => 'I', 'Ј' => 'J', 'Ԍ' => 'G',
        'Ӏ' => 'I', 'Ԛ' => 'Q', 'Ԝ' => 'W', 'Ү' => 'Y', 'Ѵ' => 'V',
        // Greek.
        'ο' => 'o', 'ν' => 'v', 'ι' => 'i', 'Α' => 'A', 'Β' => 'B', 'Ε' => 'E', 'Ζ' => 'Z', 'Η' => 'H', 'Ι' => 'I',
        'Κ' => 'K', 'Μ' => 'M', 'Ν' => 'N', 'Ο' => 'O', 'Ρ' => 'P', 'Τ' => 'T', 'Υ' => 'Y', 'Χ' => 'X', 'ϲ' => 'c',
        'ϳ' => 'j', 'Ϲ' => 'C', 'Ϳ' => 'J',
        // Armenian.
        'օ' => 'o', 'ո' => 'n', 'ս' => 'u', 'հ' => 'h', 'ց' => 'g', 'յ' => 'j', 'զ' => 'q', 'Տ' => 'S', 'Օ' => 'O',
        'Ս' => 'U', 'Լ' => 'L',
        // Cherokee.
        'Ꭺ' => 'A', 'Ᏼ' => 'B', 'Ꮯ' => 'C', 'Ꭰ' => 'D', 'Ꭼ' => 'E', 'Ꮐ' => 'G', 'Ꮋ' => 'H', 'Ꭵ' => 'i', 'Ꭻ' => 'J',
        'Ꮶ' => 'K', 'Ꮮ' => 'L', 'Ꮇ' => 'M', 'Ꮲ' => 'P', 'Ꭱ' => 'R', 'Ꮪ' => 'S', 'Ꭲ' => 'T', 'Ꮩ' => 'V', 'Ꮃ' => 'W',
        'Ꭹ' => 'y', 'Ꮓ' => 'Z',
        // Lisu, whose letters are Latin capitals.
        'ꓐ' => 'B', 'ꓑ' => 'P', 'ꓓ' => 'D', 'ꓔ' => 'T', 'ꓖ' => 'G', 'ꓗ' => 'K', 'ꓙ' => 'J', 'ꓚ' => 'C', 'ꓜ' => 'Z',
        'ꓝ' => 'F', 'ꓟ' => 'M', 'ꓠ' => 'N', 'ꓡ' => 'L', 'ꓢ' => 'S', 'ꓣ' => 'R', 'ꓦ' => 'V', 'ꓧ' => 'H', 'ꓪ' => 'W',
        'ꓫ' => 'X', 'ꓬ' => 'Y', 'ꓮ' => 'A', 'ꓰ' => 'E', 'ꓲ' => 'I', 'ꓳ' => 'O', 'ꓴ' => 'U',
        // Coptic.
        'ⲟ' => 'o', 'Ⲟ' => 'O', 'ⲣ' => 'p', 'Ⲣ' => 'P', 'ⲥ' => 'c', 'Ⲥ' => 'C', 'ⲓ' => 'i', 'Ⲓ' => 'I', 'Ⲕ' => 'K',
        'Ⲙ' => 'M', 'Ⲛ' => 'N', 'Ⲏ' => 'H', 'Ⲉ' => 'E', 'Ⲧ' => 'T', 'Ⲭ' => 'X',
        _ => return close(char).map(|plain| (plain, Likeness::Close)),
    };
    Some((same, Likeness::Same))
}

#[rustfmt::skip]
fn close(char: char) -> Option<char> {
    Some(match char {
        'к' => 'k', 'т' => 't', 'м' => 'm', 'н' => 'h', 'в' => 'b', 'г' => 'r', 'п' => 'n', 'и' => 'u', 'з' => 'e',
        'ё' => 'e', 'ь' => 'b', 'З' => 'E', 'ғ' => 'f', 'қ' => 'k', 'ҡ' => 'k', 'ң' => 'h', 'Я' => 'R', 'И' => 'N',
        'α' => 'a', 'ε' => 'e', 'κ' => 'k', 'ρ' => 'p', 'τ' => 't', 'υ' => 'u', 'χ' => 'x', 'η' => 'n', 'ω' => 'w',
        'γ' => 'y', 'σ' => 'o', 'ϋ' => 'u', 'ί' => 'i', 'ϊ' => 'i', 'ό' => 'o', 'ά' => 'a', 'έ' => 'e', 'ή' => 'n',
        'ύ' => 'u', 'ς' => 's', 'β' => 'b', 'ꞵ' => 'b', 'ⲁ' => 'a', 'ⲅ' => 'r', 'ⲏ' => 'h',
        'ⲕ' => 'k', 'ⲧ' => 't', 'ⲩ' => 'y', 'ⲭ' => 'x', 'ⲛ' => 'n', 'ⲙ' => 'm', 'ⲉ' => 'e',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_to_be_read_as_latin_becomes_latin() {
        let rows: [(&str, Option<&str>); 16] = [
            ("ign\u{43e}re all", Some("ignore all")),
            ("\u{456}gn\u{43e}r\u{435} \u{430}ll prev\u{456}ous", Some("ignore all previous")),
            ("\u{441}\u{43e}\u{440}\u{443} this", Some("copy this")),
            ("p\u{3b1}ssw\u{3bf}rd", Some("password")),
            ("\u{13aa}\u{13a7}pt", None),
            ("\u{a4ee}dmin", Some("Admin")),
            ("s\u{435}nd \u{4bb}elp", Some("send help")),
            // Languages stay.
            ("привет, как дела", None),
            ("Зачем использовать Python в работе", None),
            ("сору и забудь all", None),
            ("γνωρίζω την αλήθεια", None),
            ("5 μs, 3 Ωm, α-helix", None),
            ("\u{441}\u{43e}\u{440}\u{443}", None),
            ("plain text", None),
            ("caf\u{e9} na\u{ef}ve", None),
            ("忽略 all", None),
        ];
        for (text, want) in rows {
            assert_eq!(fold(text).map(|(text, _)| text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn look_alikes_are_of_the_scripts_that_are_looked_for() {
        for char in '\0'..=char::MAX {
            if let Some((plain, _)) = lookalike(char) {
                assert!(plain.is_ascii_alphabetic() && super::super::chars::may_look_latin(char), "{char}");
            }
        }
    }

    #[test]
    fn offsets_lead_back_to_the_letters() {
        let (text, map) = fold("x ign\u{43e}re").expect("disguised");
        let at = text.find("ore").expect("there");
        assert_eq!(map.source(at..at + 3), 5..9);
    }
}
