//! String literals that a program would put together: `"ig" + "nore"`, `'ig''nore'`, and
//! `a = "ig"; b = "nore"; a + b`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::edits::Edits;
use super::super::survey::Marks;
use super::super::transform::Transform;
use super::{Found, Source};
use crate::limits::{TOKEN_BYTES_MAX, VARIABLES_MAX};

/// What languages put strings together with.
const OPERATORS: [&str; 7] = ["+", "..", ".", "&", "~", "||", ""];

pub(super) fn find(source: Source<'_>, into: &mut Vec<Found>) {
    if !source.survey.any(Marks::CONCAT) {
        return;
    }
    literals(source, into);
    if source.survey.any(Marks::EQUALS) {
        variables(source, into);
    }
}

/// Removes what stands between two literals.
fn literals(source: Source<'_>, into: &mut Vec<Found>) {
    let mut edits = Edits::default();
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::CONCAT) {
        // An operator's quotes stand on both sides of it.
        let mut at = stretch.start.saturating_sub(2).max(done);
        while let Some(next) = source.text.as_bytes().get(at..stretch.end).and_then(|s| memchr::memchr2(b'"', b'\'', s))
        {
            at += next;
            match joint(source.text, at) {
                Some(end) => {
                    edits.replace(at..end, "");
                    at = end;
                }
                None => at += 1,
            }
        }
        done = at.max(done);
    }
    into.extend(Found::among(source.text, &edits, vec![Transform::Concatenation]));
}

/// The end of what joins two literals, from the quote that ends the first.
fn joint(text: &str, at: usize) -> Option<usize> {
    let quote = text.as_bytes().get(at)?;
    let inside = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b' ' || *b >= 0x80);
    if !inside(at.checked_sub(1).and_then(|before| text.as_bytes().get(before))) {
        return None;
    }
    let rest = text.get(at + 1..)?;
    let trimmed = rest.trim_start_matches(' ');
    OPERATORS.iter().find_map(|operator| {
        let after = trimmed.strip_prefix(operator)?.trim_start_matches(' ');
        let spaces = rest.len() - after.len() > operator.len();
        let end = text.len() - after.len() + 1;
        let opens = after.as_bytes().first() == Some(quote) && inside(after.as_bytes().get(1));
        // Nothing but quotes between letters is a shell's way; with a space it is a list.
        let word = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_alphanumeric);
        let tells = !operator.is_empty() || (!spaces && word(at.checked_sub(1)) && word(Some(end)));
        (opens && tells).then_some(end)
    })
}

/// Puts the values in place of sums of variables.
fn variables(source: Source<'_>, into: &mut Vec<Found>) {
    let values = assignments(source.text);
    if values.is_empty() {
        return;
    }
    let mut edits = Edits::default();
    let mut done = 0;
    for stretch in source.survey.stretches(Marks::CONCAT) {
        let mut at = stretch.start.saturating_sub(TOKEN_BYTES_MAX).max(done);
        while at < stretch.end {
            let Some(start) = next_name(source.text, at, stretch.end) else { break };
            at = start.end;
            if let Some((range, value)) = sum(source.text, start, &values) {
                at = range.end;
                edits.replace(range, &value);
            }
        }
        done = at.max(done);
    }
    into.extend(Found::among(source.text, &edits, vec![Transform::Concatenation]));
}

/// The names that are given a literal, the last one where there are several.
fn assignments(text: &str) -> BTreeMap<&str, &str> {
    let mut values = BTreeMap::new();
    for at in memchr::memchr_iter(b'=', text.as_bytes()) {
        if values.len() >= VARIABLES_MAX {
            break;
        }
        let (Some(head), Some(tail)) = (text.get(..at), text.get(at + 1..)) else { continue };
        let head = head.strip_suffix(':').unwrap_or(head).trim_end_matches(' ');
        let from = text.floor_char_boundary(head.len().saturating_sub(32));
        let name = head.get(from..).unwrap_or_default().rsplit(|c: char| !is_name(c)).next().unwrap_or_default();
        let value = tail.trim_start_matches(' ');
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        let end = text.len().min(text.len() - value.len() + 1 + TOKEN_BYTES_MAX);
        let inside = text.get(text.len() - value.len() + 1..text.floor_char_boundary(end)).unwrap_or_default();
        if let (false, Some(length)) = (name.is_empty(), inside.find(quote)) {
            values.insert(name, inside.get(..length).unwrap_or_default());
        }
    }
    values
}

fn is_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

fn next_name(text: &str, at: usize, until: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let part = |byte: &u8| is_name(char::from(*byte));
    let start = at + bytes.get(at..until)?.iter().position(part)?;
    let rest = bytes.get(start..)?;
    Some(start..start + rest.iter().position(|byte| !part(byte)).unwrap_or(rest.len()))
}

/// The value of a sum that starts with a name: names and literals with pluses between them, or names in
/// braces one after the other.
fn sum(text: &str, first: Range<usize>, values: &BTreeMap<&str, &str>) -> Option<(Range<usize>, String)> {
    let mut value = (*values.get(text.get(first.clone())?)?).to_owned();
    let mut end = first.end;
    let mut terms = 1;
    loop {
        let rest = text.get(end..)?;
        let after = rest.trim_start_matches(['}', ' ']);
        let Some(after) = after.strip_prefix('+').or_else(|| rest.strip_prefix('}').map(|r| r.trim_start_matches('$')))
        else {
            break;
        };
        let after = after.trim_start_matches(['{', '$', ' ']);
        let start = text.len() - after.len();
        if let Some(literal) = after.strip_prefix(['"', '\'']) {
            let Some(length) = literal.bytes().take(TOKEN_BYTES_MAX).position(|b| Some(&b) == after.as_bytes().first())
            else {
                break;
            };
            value.push_str(literal.get(..length)?);
            end = start + length + 2;
        } else {
            let length = after.bytes().take_while(|byte| is_name(char::from(*byte))).count();
            let Some(next) = after.get(..length).and_then(|name| values.get(name)) else { break };
            value.push_str(next);
            end = start + length;
        }
        terms += 1;
        if value.len() > TOKEN_BYTES_MAX * 4 {
            break;
        }
    }
    (terms > 1).then_some((first.start..end, value))
}
