//! Sorts the bytes of a block into kinds, as bit masks.
//!
//! A table gives each byte one bit for each kind, eight bits apart; eight of them, each shifted by one
//! more, make eight masks of eight bytes at once. That needs no vector instructions, no branches and no
//! `unsafe`, and takes about five instructions a byte.

/// Bytes that are sorted at once.
pub(super) const BLOCK: usize = 64;

/// Which bytes of a block are of which kind, the first byte in the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    /// ASCII letters and bytes that are not ASCII.
    pub letter: u64,
    /// ASCII capitals.
    pub upper: u64,
    /// ASCII digits.
    pub digit: u64,
    /// ASCII above the space that is neither letter nor digit.
    pub sign: u64,
    /// Bytes that are not ASCII.
    pub foreign: u64,
    /// The letters a, b, c, i, p, u and v, with which English words seldom end.
    pub ending: u64,
    /// Letters among the rarest of English: j, k, q, v, x and z.
    pub rare: u64,
    /// What base64 is written with, in both alphabets.
    pub base64: u64,
}

/// The kinds of each byte, in the order of the masks below.
#[allow(clippy::indexing_slicing)] // Made by the compiler, which would tell.
static TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        let small = byte | 0x20;
        let kinds = [
            byte.is_ascii_alphabetic() || !byte.is_ascii(),
            byte.is_ascii_uppercase(),
            byte.is_ascii_digit(),
            byte > b' ' && byte.is_ascii() && !byte.is_ascii_alphanumeric(),
            !byte.is_ascii(),
            matches!(small, b'a'..=b'c' | b'i' | b'p' | b'u' | b'v'),
            matches!(small, b'j' | b'k' | b'q' | b'v' | b'x' | b'z'),
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'),
        ];
        let mut n = 0;
        while n < kinds.len() {
            table[byte as usize] |= (kinds[n] as u64) << (8 * n);
            n += 1;
        }
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Sorts a block.
pub(super) fn kinds(block: &[u8; BLOCK]) -> Kinds {
    let mut lanes = [0; 8];
    for (lane, eight) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
        for byte in eight.iter().rev() {
            *lane = *lane << 1 | TABLE.get(usize::from(*byte)).copied().unwrap_or(0);
        }
    }
    let [letter, upper, digit, sign, foreign, ending, rare, base64] = transpose(lanes);
    Kinds { letter, upper, digit, sign, foreign, ending, rare, base64 }
}

/// Byte `n` of word `m` becomes byte `m` of word `n`.
#[allow(clippy::many_single_char_names)] // Eight words are eight words.
fn transpose(words: [u64; 8]) -> [u64; 8] {
    let swap = |low: u64, high: u64, by: u32, mask: u64| {
        let change = ((low >> by) ^ high) & mask;
        (low ^ (change << by), high ^ change)
    };
    let [a, b, c, d, e, f, g, h] = words;
    let mask = 0x0000_0000_ffff_ffff;
    let ((a, e), (b, f)) = (swap(a, e, 32, mask), swap(b, f, 32, mask));
    let ((c, g), (d, h)) = (swap(c, g, 32, mask), swap(d, h, 32, mask));
    let mask = 0x0000_ffff_0000_ffff;
    let ((a, c), (b, d)) = (swap(a, c, 16, mask), swap(b, d, 16, mask));
    let ((e, g), (f, h)) = (swap(e, g, 16, mask), swap(f, h, 16, mask));
    let mask = 0x00ff_00ff_00ff_00ff;
    let ((a, b), (c, d)) = (swap(a, b, 8, mask), swap(c, d, 8, mask));
    let ((e, f), (g, h)) = (swap(e, f, 8, mask), swap(g, h, 8, mask));
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, byte by byte.
    fn plainly(block: &[u8; BLOCK]) -> Kinds {
        let mut found = Kinds::default();
        for (n, &byte) in block.iter().enumerate() {
            let put = |mask: &mut u64, holds: bool| *mask |= u64::from(holds) << n;
            let small = byte | 0x20;
            put(&mut found.letter, byte.is_ascii_alphabetic() || !byte.is_ascii());
            put(&mut found.upper, byte.is_ascii_uppercase());
            put(&mut found.digit, byte.is_ascii_digit());
            put(&mut found.sign, byte.is_ascii_punctuation() || byte == 0x7f);
            put(&mut found.foreign, !byte.is_ascii());
            put(&mut found.ending, matches!(small, b'a'..=b'c' | b'i' | b'p' | b'u' | b'v'));
            put(&mut found.rare, matches!(small, b'j' | b'k' | b'q' | b'v' | b'x' | b'z'));
            put(&mut found.base64, byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte));
        }
        found
    }

    proptest::proptest! {
        #[test]
        fn bytes_are_sorted_as_one_by_one(bytes in proptest::collection::vec(proptest::num::u8::ANY, BLOCK)) {
            let block: &[u8; BLOCK] = bytes.as_slice().try_into().expect("as long");
            proptest::prop_assert_eq!(kinds(block), plainly(block));
        }
    }
}
