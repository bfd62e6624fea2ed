//! Labels of host names that are written as `xn--…`, read as the letters they stand for.

/// Longest label that a name server knows, in bytes.
const LABEL_BYTES_MAX: usize = 63;

const BASE: u32 = 36;
const SKEW: u32 = 38;
const DAMP: u32 = 700;

/// The letters of a label behind its `xn--`; `None` where it is none, or stands for ASCII letters alone:
/// such a label is a name of its own and not the one that it imitates.
pub(super) fn decode(encoded: &str) -> Option<String> {
    if encoded.len() > LABEL_BYTES_MAX || !encoded.is_ascii() {
        return None;
    }
    let (plain, digits) = encoded.rsplit_once('-').unwrap_or(("", encoded));
    let mut label: Vec<char> = plain.chars().collect();
    let (mut code, mut place, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = digits.bytes().peekable();
    digits.peek()?;
    while digits.peek().is_some() {
        let before = place;
        place = place.checked_add(number(&mut digits, bias)?)?;
        let count = u32::try_from(label.len()).ok()? + 1;
        bias = adapted(place - before, count, before == 0);
        code = code.checked_add(place / count)?;
        place %= count;
        label.insert(usize::try_from(place).ok()?, char::from_u32(code)?);
        place += 1;
    }
    Some(label.into_iter().collect())
}

/// A number of as many digits as it needs, where the bias says which digit is the last.
fn number(digits: &mut impl Iterator<Item = u8>, bias: u32) -> Option<u32> {
    let (mut value, mut weight, mut position) = (0_u32, 1_u32, BASE);
    loop {
        let digit = match digits.next()? {
            letter @ b'a'..=b'z' => u32::from(letter - b'a'),
            letter @ b'A'..=b'Z' => u32::from(letter - b'A'),
            figure @ b'0'..=b'9' => u32::from(figure - b'0') + 26,
            _ => return None,
        };
        value = value.checked_add(digit.checked_mul(weight)?)?;
        let threshold = position.saturating_sub(bias).clamp(1, 26);
        if digit < threshold {
            return Some(value);
        }
        weight = weight.checked_mul(BASE - threshold)?;
        position += BASE;
    }
}

fn adapted(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / count;
    let mut bias = 0;
    while delta > 455 {
        delta /= BASE - 1;
        bias += BASE;
    }
    bias + BASE * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_decoded() {
        let rows = [
            ("bcher-kva", Some("b\u{fc}cher")),
            ("80ak6aa92e", Some("\u{430}\u{440}\u{440}\u{4cf}\u{435}")),
            ("fiqs8s", Some("\u{4e2d}\u{56fd}")),
            ("maana-pta", Some("ma\u{f1}ana")),
            ("n3h", Some("\u{2603}")),
            ("ls8h", Some("\u{1f4a9}")),
            (
                "egbpdaj6bu4bxfgehfvwxn",
                Some(
                    "\u{644}\u{64a}\u{647}\u{645}\u{627}\u{628}\u{62a}\u{643}\u{644}\u{645}\u{648}\u{634}\u{639}\u{631}\u{628}\u{64a}\u{61f}",
                ),
            ),
            ("acme-", None),
            ("", None),
            ("99999999", None),
            ("a\u{fc}-x", None),
        ];
        for (encoded, want) in rows {
            assert_eq!(decode(encoded).as_deref(), want, "{encoded}");
        }
    }
}
