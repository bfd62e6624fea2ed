//! Small defects that an attacker can cause from inside a string, undone.
//!
//! A lone surrogate, a raw control character or a byte that is not UTF-8 in some tool's output makes a
//! careless producer write a record that is no JSON. The rest of it still names a session and says what
//! the agent does, so it is put right and read as an event, not only as raw bytes.

/// The record with such defects replaced; `None` where there are none of this kind.
#[must_use]
pub fn repair(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes);
    let mut repaired = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut in_string = false;
    while let Some((&byte, after)) = rest.split_first() {
        let used = match byte {
            b'\\' if in_string => escape(rest, &mut repaired),
            b'"' => {
                in_string = !in_string;
                repaired.push(byte);
                1
            }
            0..=0x1f if in_string => {
                repaired.push(b' ');
                1
            }
            _ => {
                repaired.push(byte);
                1
            }
        };
        rest = rest.get(used..).unwrap_or(after);
    }
    (repaired != bytes).then_some(repaired)
}

/// Copies one escape, a lone surrogate as the replacement character. Returns how many bytes it had.
fn escape(rest: &[u8], into: &mut Vec<u8>) -> usize {
    match (unit(rest), rest.get(6..).and_then(unit)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => copy(rest, 12, into),
        (Some(0xd800..=0xdfff), _) => {
            into.extend_from_slice(b"\\ufffd");
            6
        }
        (Some(_), _) => copy(rest, 6, into),
        (None, _) => copy(rest, 2, into),
    }
}

fn copy(rest: &[u8], length: usize, into: &mut Vec<u8>) -> usize {
    let piece = rest.get(..length).unwrap_or(rest);
    into.extend_from_slice(piece);
    piece.len()
}

/// The code unit of a `\uXXXX` at the start.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::parse;

    #[test]
    fn defects_inside_strings_are_undone() {
        let event = |text: &[u8]| [br#"{"v":1,"session":"s","kind":"message","text":""#, text, br#""}"#].concat();
        let rows: [(&[u8], &str); 6] = [
            (br"a \ud800 b", "a \u{fffd} b"),
            (br"a \udc00\ud83d\ude00", "a \u{fffd}\u{1f600}"),
            (b"a \xff b", "a \u{fffd} b"),
            (b"line\nline\ttab", "line line tab"),
            (br"quote \ud800\ d", ""),
            (br#"\ud83d\" still inside \ud800"#, "\u{fffd}\" still inside \u{fffd}"),
        ];
        for (text, plain) in rows {
            let record = event(text);
            assert!(parse(&record).is_err(), "{}", String::from_utf8_lossy(&record));
            let repaired = repair(&record).expect("has a defect");
            match parse(&repaired) {
                Ok(parsed) => assert_eq!(parsed.event.text.as_deref(), Some(plain)),
                Err(rejected) => assert_eq!(plain, "", "{rejected:?}"),
            }
        }
    }

    #[test]
    fn good_records_and_other_defects_are_left_alone() {
        for record in [&br#"{"a":"\ud83d\ude00 \\ud800 \n"}"#[..], b"{\"a\":1,\n \"b\":", b"", b"\\"] {
            assert_eq!(repair(record), None, "{}", String::from_utf8_lossy(record));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_fine(bytes: Vec<u8>) {
            if let Some(repaired) = repair(&bytes) {
                proptest::prop_assert_eq!(repair(&repaired), None);
            }
        }
    }
}
