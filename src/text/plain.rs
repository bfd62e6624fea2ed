//! Folding of ASCII, which nine tenths of traffic is: what needs nothing is found out in one pass that
//! the compiler turns into vector code, and what has only other white space is copied once.

use memchr::memmem;

use super::map::{Map, Writer};

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// What has to be done to a text to fold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plainness {
    /// Nothing: printable ASCII whose only white space is single spaces.
    Plain,
    /// White space has to become single spaces; the rest is printable ASCII.
    Spaces,
    /// Each character has to be looked at.
    No,
}

/// Finds out what has to be done to a text.
pub(super) fn plainness(bytes: &[u8]) -> Plainness {
    let next = bytes.get(1..).unwrap_or_default();
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let (next_blocks, _) = next.as_chunks::<BLOCK>();
    // The last block may lack its neighbour; it is then left to the tail.
    let mut done = 0;
    let mut plain = true;
    for (block, next) in blocks.iter().zip(next_blocks) {
        let mut odd = 0_u8;
        let mut double = 0_u8;
        for (byte, after) in block.iter().zip(next) {
            odd |= u8::from(byte.wrapping_sub(b' ') > b'~' - b' ');
            double |= u8::from(*byte == b' ') & u8::from(*after == b' ');
        }
        if odd | double != 0 {
            plain = false;
            if odd != 0 && !only_spaces(block) {
                return Plainness::No;
            }
        }
        done += BLOCK;
    }
    let tail = bytes.get(done..).unwrap_or_default();
    if !tail.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        plain = false;
        if !only_spaces(tail) {
            return Plainness::No;
        }
    }
    let doubles = tail.iter().zip(tail.iter().skip(1)).any(|pair| pair == (&b' ', &b' '));
    if plain && !doubles { Plainness::Plain } else { Plainness::Spaces }
}

/// Whether everything is printable ASCII or white space.
fn only_spaces(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(true, |all, byte| all & ((byte.wrapping_sub(b' ') <= b'~' - b' ') | (byte.wrapping_sub(b'\t') < 5)))
}

/// Turns all white space of an ASCII text into single spaces.
pub(super) fn fold_spaces(text: &str) -> (String, Map) {
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte < b' ' { b' ' } else { byte }).collect();
    let Ok(spaced) = String::from_utf8(bytes) else { return (text.to_owned(), Map::Same) };
    let finder = memmem::Finder::new(b"  ");
    let Some(mut double) = finder.find(spaced.as_bytes()) else { return (spaced, Map::Same) };
    let mut writer = Writer::with_capacity(spaced.len());
    let mut from = 0;
    loop {
        // Up to the first of the spaces, which stands for all of them: what the run is made of is
        // asked for where letters are written one by one.
        let rest = spaced.as_bytes().get(double..).unwrap_or_default();
        let run = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
        writer.copy(spaced.get(from..double).unwrap_or_default(), from);
        writer.put(" ", double..double + run);
        from = double + run;
        let Some(next) = finder.find(spaced.as_bytes().get(from..).unwrap_or_default()) else { break };
        double = from + next;
    }
    writer.copy(spaced.get(from..).unwrap_or_default(), from);
    writer.finish(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_done_is_found_wherever_it_stands() {
        for at in 0..200 {
            let mut bytes = vec![b'x'; 200];
            assert_eq!(plainness(&bytes), Plainness::Plain);
            bytes[at] = b'\n';
            assert_eq!(plainness(&bytes), Plainness::Spaces);
            bytes[at] = 0x7f;
            assert_eq!(plainness(&bytes), Plainness::No);
            bytes[at] = 0xc3;
            assert_eq!(plainness(&bytes), Plainness::No);
            bytes[at] = b' ';
            assert_eq!(plainness(&bytes), Plainness::Plain);
            if at > 0 {
                bytes[at - 1] = b' ';
                assert_eq!(plainness(&bytes), Plainness::Spaces, "{at}");
            }
        }
    }

    #[test]
    fn runs_of_white_space_become_one_space() {
        let rows = [("a\nb", "a b"), ("a\r\n\tb  c", "a b c"), ("  a   ", " a "), ("\n\n", " "), ("a b", "a b")];
        for (text, folded) in rows {
            assert_eq!(fold_spaces(text).0, folded);
        }
        let (text, map) = fold_spaces("ab\r\n\tcd");
        assert_eq!((text.as_str(), map.source(2..3), map.source(3..5)), ("ab cd", 2..5, 5..7));
    }
}
