//! Numbers that are written in groups: phones, cards, bank accounts.
//!
//! Only what has a known form is joined over spaces, so that a table of numbers stays one number a cell.

use std::ops::Range;

/// Fewest and most digits of a phone number.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 9..=15;
/// Most groups of one number.
const GROUPS_MAX: usize = 8;
/// Fewest and most characters of an IBAN.
const IBAN_CHARS: std::ops::RangeInclusive<usize> = 15..=34;
/// Digits at the end of a number by which it is known, with or without country code and leading zeros.
const LAST_DIGITS: usize = 9;

/// Tells of the number in groups that starts at a byte, in its compared form; where it ends. A phone that runs
/// into other numbers is told in each way that it may end.
pub(super) fn grouped(text: &str, start: usize, found: &mut impl FnMut(Range<usize>, &str)) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = *bytes.get(start)?;
    if first.is_ascii_alphabetic() {
        return iban(text, start, found);
    }
    if !may_be_grouped(bytes, start) {
        return None;
    }
    let groups = groups(bytes, start + usize::from(!first.is_ascii_digit()));
    if groups.len() < 2 {
        return None;
    }
    let lens: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = |count: usize| -> String { groups.iter().take(count).filter_map(|g| text.get(g.clone())).collect() };
    let end_of = |count: usize| groups.get(count - 1).map_or(start, |group| group.end);
    if let [4, 4, 4, 4, ..] | [4, 6, 5, ..] = lens.as_slice() {
        let count = if lens.get(1) == Some(&6) { 3 } else { 4 };
        let number = digits(count);
        return is_luhn(&number).then(|| {
            found(start..end_of(count), known_by(&number));
            end_of(count)
        });
    }
    if !is_phone(bytes, start, &lens) {
        return None;
    }
    let mut end = None;
    let mut sum = 0;
    for (count, len) in (1..).zip(&lens) {
        sum += len;
        if PHONE_DIGITS.contains(&sum) {
            found(start..end_of(count), known_by(&digits(count)));
            end = Some(end_of(count));
        }
    }
    end
}

/// Whether the first group is one that a number in a known form starts with; most numbers are none.
fn may_be_grouped(bytes: &[u8], start: usize) -> bool {
    let rest = bytes.get(start..).unwrap_or_default();
    let len = rest.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    matches!((rest.first(), len), (Some(b'+' | b'('), _) | (Some(b'0'), 2..=5) | (_, 3..=4))
        && (len == 0 || rest.get(len).is_some_and(|byte| b" -./()".contains(byte)))
}

/// The part of a number's digits that it is known by.
pub(super) fn known_by(digits: &str) -> &str {
    let national = (LAST_DIGITS + 1..=*PHONE_DIGITS.end()).contains(&digits.len());
    let from = if national { digits.len() - LAST_DIGITS } else { 0 };
    digits.get(from..).unwrap_or(digits)
}

/// Whether groups of digits are written as phones are: with a `+`, an area code in brackets, a leading zero, or
/// three, three and four.
fn is_phone(bytes: &[u8], start: usize, lens: &[usize]) -> bool {
    let (first, second) = (bytes.get(start), bytes.get(start + 1));
    match (first, lens) {
        (Some(b'+'), _) => true,
        (Some(b'('), [len, ..]) => bytes.get(start + 1 + len) == Some(&b')'),
        // A date, and the time after it.
        (_, [1..=2, 1..=2, 4, ..] | [4, 1..=2, 1..=2, ..]) => false,
        (Some(b'2'..=b'9'), [3, 3, 4, ..]) => true,
        (Some(b'0'), [2..=5, ..]) => second.is_some_and(u8::is_ascii_digit),
        _ => false,
    }
}

/// Groups of digits with one or two separators between them.
fn groups(bytes: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut at = start;
    while groups.len() < GROUPS_MAX {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            break;
        }
        groups.push(at..at + len);
        let rest = rest.get(len..).unwrap_or_default();
        let gap = rest.iter().take(2).take_while(|byte| b" -./()".contains(byte)).count();
        if gap == 0 || !rest.get(gap).is_some_and(u8::is_ascii_digit) {
            break;
        }
        at += len + gap;
    }
    groups
}

/// An IBAN with or without spaces, by its check digits (ISO 13616).
fn iban(text: &str, start: usize, found: &mut impl FnMut(Range<usize>, &str)) -> Option<usize> {
    let bytes = text.as_bytes().get(start..)?;
    let [a, b, c, d, ..] = bytes else { return None };
    if ![a, b].iter().all(|byte| byte.is_ascii_alphabetic()) || ![c, d].iter().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut number = String::with_capacity(*IBAN_CHARS.end());
    for (n, byte) in bytes.iter().enumerate() {
        if byte.is_ascii_alphanumeric() {
            number.push(char::from(byte.to_ascii_lowercase()));
        } else if *byte != b' ' {
            break;
        }
        let next = bytes.get(n + 1);
        if number.len() > *IBAN_CHARS.end() || (*byte == b' ' && next == Some(&b' ')) {
            break;
        }
        let ends = *byte != b' ' && next.is_none_or(|next| !next.is_ascii_alphanumeric());
        if ends && IBAN_CHARS.contains(&number.len()) && is_iban(&number) {
            found(start..start + n + 1, &number);
            return Some(start + n + 1);
        }
    }
    None
}

/// With its first four characters moved to the end, and letters for numbers from 10 on, it is 1 modulo 97.
fn is_iban(number: &str) -> bool {
    let Some((head, rest)) = number.split_at_checked(4) else { return false };
    let rest = rest.chars().chain(head.chars()).filter_map(|char| char.to_digit(36));
    rest.fold(0, |sum, digit| (sum * if digit > 9 { 100 } else { 10 } + digit) % 97) == 1
}

fn is_luhn(digits: &str) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let digits = digits.chars().rev().filter_map(|char| char.to_digit(10)).enumerate();
    digits.map(|(n, digit)| if n % 2 == 1 { doubled(digit) } else { digit }).sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_joined_where_they_have_a_known_form() {
        let rows: [(&str, &[&str]); 16] = [
            ("4111 1111 1111 1111", &["4111111111111111"]),
            ("4111-1111-1111-1111 12/27", &["4111111111111111"]),
            ("4111 1111 1111 1112", &[]),
            ("3782 822463 10005", &["246310005"]),
            ("DE89 3704 0044 0532 0130 00 or so", &["de89370400440532013000"]),
            ("de89370400440532013000", &["de89370400440532013000"]),
            ("DE89 3704 0044 0532 0130 01", &[]),
            ("+49 30 1234567", &["301234567"]),
            ("030 1234567", &["301234567"]),
            ("+1 (555) 123-4567", &["551234567"]),
            ("(555) 123-4567", &["551234567"]),
            ("555.123.4567", &["551234567"]),
            ("06 12 34 56 78", &["612345678"]),
            ("05.12.2024 10", &[]),
            ("2024-05-12 10", &[]),
            ("10 20 30 40 50", &[]),
        ];
        for (text, want) in rows {
            let mut found = Vec::new();
            grouped(text, 0, &mut |_, number| found.push(number.to_owned()));
            assert_eq!(found, want, "{text}");
        }
    }
}
