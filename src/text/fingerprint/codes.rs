//! Base64 and hexadecimal that were cut at odd places.
//!
//! The decoders of the text floor ask for a run that starts where a code starts and ends where it ends. A piece
//! of a code that was cut starts anywhere; here each way to align it is tried, and one counts where what comes
//! out is printable for the most part. Digests and keys come out as noise and give nothing.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Shortest run that is tried.
const RUN_BYTES_MIN: usize = 24;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// What the long runs of base64 (either alphabet) and hexadecimal digits in a text are the middle of; nothing
/// for a run that is something else. Linear in the text.
#[must_use]
pub fn cut_codes(text: &str) -> Vec<String> {
    let is_code = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let runs = text.as_bytes().split(|byte| !is_code(byte));
    runs.filter(|run| run.len() >= RUN_BYTES_MIN).filter_map(decoded).collect()
}

/// The best reading of a run.
fn decoded(run: &[u8]) -> Option<String> {
    if run.iter().all(u8::is_ascii_hexdigit) {
        return best((0..2).filter_map(|start| Some(hex(run.get(start..)?))));
    }
    let run: Vec<u8> = run.iter().map(|byte| standard(*byte)).collect();
    best((0..4).filter_map(|start| base64(run.get(start..)?)))
}

/// The text that is printable for the largest part, at least nine tenths.
fn best(readings: impl Iterator<Item = Vec<u8>>) -> Option<String> {
    let texts = readings.filter_map(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let (mut chars, mut bad) = (0_usize, 0_usize);
        for char in text.chars() {
            chars += 1;
            bad += usize::from(char == '\u{fffd}' || (char.is_control() && !char.is_whitespace()));
        }
        (bad * 10 <= chars).then(|| (bad, text.into_owned()))
    });
    texts.min_by_key(|(bad, _)| *bad).map(|(_, text)| text)
}

fn hex(run: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    run.as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

/// A single character at the end holds no byte.
fn base64(run: &[u8]) -> Option<Vec<u8>> {
    let run = run.get(..if run.len() % 4 == 1 { run.len() - 1 } else { run.len() })?;
    BASE64.decode(run).ok()
}

/// A letter of the URL-safe alphabet in the standard one.
const fn standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const TEXT: &str =
        "Jos\u{e9} Garc\u{ed}a, 12 Main Street, Springfield, jose@garcia.example, card 4111 1111 1111 1111";

    #[test]
    fn codes_that_were_cut_are_read() {
        let hex: String = TEXT.bytes().map(|byte| format!("{byte:02x}")).collect();
        for code in [STANDARD.encode(TEXT), URL_SAFE_NO_PAD.encode(TEXT), hex] {
            for start in 0..5 {
                let text = format!("q={}!", &code[start..code.len() - start]);
                let found = cut_codes(&text);
                assert!(found.iter().any(|found| found.contains("12 Main Street, Springfield")), "{start}: {found:?}");
            }
        }
    }

    #[test]
    fn noise_and_prose_are_nothing() {
        let rows = [
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
            "550e8400-e29b-41d4-a716-446655440000",
            "/usr/share/doc/packages/something/README",
            "A plain sentence without any code in it.",
            "getUserAccountDetailsFromDatabase",
        ];
        for row in rows {
            assert_eq!(cut_codes(row), [""; 0], "{row}");
        }
    }
}
