//! Letters moved along the alphabet: ROT13 and the other Caesar ciphers, and the alphabet backwards.

use std::ops::Range;

use super::super::map::Writer;
use super::super::survey::Marks;
use super::super::transform::Transform;
use super::super::words::low_bytes;
use super::gain;
use super::{Found, Source};

/// How often each letter is used in English, in thousandths.
const FREQUENCY: [u32; 26] =
    [82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1];

/// Bytes of which two lots are judged together: a short phrase.
const CHUNK: usize = 16;
/// Fewest letters among them.
const LETTERS_MIN: u32 = 20;
/// The mean frequency of a phrase's letters below which it may be a cipher: English has 65 and seldom
/// less than 52, a cipher has 40 and seldom more.
const ENGLISH_MIN: u32 = 52;

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    let ciphers = [Transform::Rot13, Transform::Caesar, Transform::Atbash];
    if ciphers.iter().any(|cipher| source.has(*cipher)) {
        return;
    }
    for stretch in source.survey.stretches(Marks::RARE) {
        let bytes = source.text.as_bytes().get(stretch.clone()).unwrap_or_default();
        let Some(odd) = odd_part(bytes) else { continue };
        let counts = counts(bytes.get(odd).unwrap_or_default());
        let spans = gain::spans(source.text, source.survey, &stretch);
        let likely = (1..26).max_by_key(|shift| fit(&counts, *shift)).unwrap_or(13);
        let keys = [Key::Shift(13), Key::Shift(likely), Key::Mirror];
        let found = keys.iter().find_map(|key| {
            gain::best(&spans, |word, len| key.turn_word(word) & low_bytes(len)).map(|range| (key, range))
        });
        let Some((key, range)) = found else { continue };
        let turned: String =
            source.text.get(range.clone()).unwrap_or_default().chars().map(|c| key.turn_char(c)).collect();
        let mut writer = Writer::with_capacity(turned.len());
        writer.copy(&turned, range.start);
        let (text, map) = writer.finish(source.text.len());
        into.push(Found { text, map, transforms: vec![key.transform()], goes_on: true });
    }
}

#[derive(Clone, Copy)]
enum Key {
    Shift(u8),
    Mirror,
}

impl Key {
    fn turn(self, byte: u8) -> u8 {
        let first = if byte.is_ascii_uppercase() { b'A' } else { b'a' };
        match self {
            _ if !byte.is_ascii_alphabetic() => byte,
            Self::Shift(by) => first + (byte - first + by) % 26,
            Self::Mirror => first + 25 - (byte - first),
        }
    }

    /// Turns sixteen small letters at once; what is no letter becomes anything.
    fn turn_word(self, word: u128) -> u128 {
        const EACH: u128 = 0x0101_0101_0101_0101_0101_0101_0101_0101;
        let letters = word.wrapping_sub(EACH * 0x61);
        match self {
            Self::Shift(by) => {
                let moved = letters.wrapping_add(EACH * u128::from(by));
                // The highest bit of each byte tells that it is past the last letter.
                let past = moved.wrapping_add(EACH * (0x80 - 26)) >> 7 & EACH;
                moved.wrapping_sub(past * 26).wrapping_add(EACH * 0x61)
            }
            Self::Mirror => (EACH * (0x61 + 0x7a)).wrapping_sub(word),
        }
    }

    fn turn_char(self, char: char) -> char {
        u8::try_from(char).ok().filter(u8::is_ascii).map_or(char, |byte| char::from(self.turn(byte)))
    }

    const fn transform(self) -> Transform {
        match self {
            Self::Shift(13) => Transform::Rot13,
            Self::Shift(_) => Transform::Caesar,
            Self::Mirror => Transform::Atbash,
        }
    }
}

/// How often each letter stands in a text.
fn counts(text: &[u8]) -> [u32; 26] {
    let mut counts = [0; 26];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from((byte | 0x20).wrapping_sub(b'a'))) {
            *count += 1;
        }
    }
    counts
}

/// How well letters fit English after a shift: the sum of their frequencies.
fn fit(counts: &[u32; 26], shift: u8) -> u32 {
    let turned = TWICE.get(usize::from(shift)..).and_then(|rest| rest.first_chunk::<26>());
    turned.map_or(0, |turned| turned.iter().zip(counts).map(|(frequency, count)| frequency * count).sum())
}

/// The frequencies twice over, so that each shift of them is a piece.
#[allow(clippy::indexing_slicing)] // Made by the compiler, which would tell.
static TWICE: [u32; 52] = {
    let mut twice = [0; 52];
    let mut n = 0;
    while n < twice.len() {
        twice[n] = FREQUENCY[n % 26];
        n += 1;
    }
    twice
};

/// The part of a text whose letters are not used as in English, if there is one.
fn odd_part(text: &[u8]) -> Option<Range<usize>> {
    let mut last = 0;
    let mut found: Option<Range<usize>> = None;
    for (n, chunk) in text.chunks(CHUNK).enumerate() {
        let here: u32 = chunk.iter().map(|byte| WEIGHTS.get(usize::from(*byte)).copied().unwrap_or(0)).sum();
        // The number of letters is in the upper half, the sum of their frequencies in the lower.
        let (letters, sum) = ((here + last) >> 16, (here + last) & 0xffff);
        if letters >= LETTERS_MIN && sum < ENGLISH_MIN * letters {
            let start = n.saturating_sub(1) * CHUNK;
            found = Some(found.map_or(start, |found| found.start)..n * CHUNK + chunk.len());
        }
        last = here;
    }
    found
}

/// For each byte that is a letter, one in the upper half and its frequency in the lower.
#[allow(clippy::indexing_slicing)] // Made by the compiler, which would tell.
static WEIGHTS: [u32; 256] = {
    let mut weights = [0; 256];
    let mut n = 0;
    while n < FREQUENCY.len() {
        let weight = (1 << 16) + FREQUENCY[n];
        weights[b'a' as usize + n] = weight;
        weights[b'A' as usize + n] = weight;
        n += 1;
    }
    weights
};
