//! What a shell fills in: variables that the text sets, escapes of `$'…'`, the output of `echo`.

use std::collections::BTreeMap;

use super::shell_words::{Command, Word};

/// Most variables that are known at once, and the longest value that is filled in, in bytes.
const VARIABLES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 1_024;

/// Most values of a loop's variable.
const LOOP_VALUES_MAX: usize = 64;

/// Most bytes that all variables of one text are filled in with.
const FILLED_BYTES_MAX: usize = 1 << 20;

/// Commands that set variables by their arguments.
const DECLARING: [&str; 6] = ["declare", "export", "let", "local", "readonly", "typeset"];

/// Commands that download.
pub(super) const FETCHING: [&str; 10] =
    ["aria2c", "axel", "curl", "fetch", "ftp", "http", "lwp-request", "lynx", "wget", "xh"];

/// Shells.
#[rustfmt::skip]
pub(super) const SHELLS: [&str; 14] =
    ["ash", "bash", "csh", "dash", "fish", "ksh", "ksh93", "mksh", "rbash", "rksh", "sh", "tcsh", "yash", "zsh"];

/// The part of a path behind its last slash.
pub(super) fn base(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// Variables of a text.
#[derive(Debug, Default)]
pub(super) struct Variables {
    known: BTreeMap<String, Vec<String>>,
    filled: usize,
}

impl Variables {
    /// The values that a variable may have; none where they are not known.
    pub(super) fn get(&mut self, name: &str) -> Vec<String> {
        let Some(values) = self.known.get(name) else { return Vec::new() };
        self.filled += values.iter().map(String::len).sum::<usize>();
        if self.filled > FILLED_BYTES_MAX { Vec::new() } else { values.clone() }
    }

    pub(super) fn set(&mut self, name: &str, mut values: Vec<String>) {
        values.truncate(LOOP_VALUES_MAX);
        values.retain(|value| value.len() <= VALUE_BYTES_MAX);
        if self.known.len() < VARIABLES_MAX || self.known.contains_key(name) {
            self.known.insert(name.to_owned(), values);
        }
    }

    /// Sets what a command sets; true where it does nothing else.
    pub(super) fn assign(&mut self, words: &[Word]) -> bool {
        let declares = words.first().is_some_and(|word| DECLARING.contains(&word.text.as_str()));
        let mut all = !words.is_empty() && !declares;
        for word in words.iter().skip(usize::from(declares)) {
            match assignment(&word.text) {
                Some((name, value)) if word.empty.is_none() => self.set(name, vec![value.to_owned()]),
                Some(_) => {}
                None => all = false,
            }
            if !all && !declares {
                break;
            }
        }
        all
    }
}

/// The name and the value of an assignment.
pub(super) fn assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let sound = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'[' | b']'));
    (sound && name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')).then_some((name, value))
}

/// A value behind an operator such as `:0:1`; `None` where it is not known.
pub(super) fn operated(value: &str, operator: &str) -> Option<String> {
    match operator {
        "" | "[0]" => return Some(value.to_owned()),
        ",," => return Some(value.to_lowercase()),
        "^^" => return Some(value.to_uppercase()),
        _ => {}
    }
    if operator.starts_with([':', '-', '=', '?']) && operator.trim_start_matches(':').starts_with(['-', '=', '?']) {
        return Some(value.to_owned());
    }
    let mut numbers = operator.strip_prefix(':')?.split(':').map(|number| number.trim().parse::<usize>().ok());
    let from = numbers.next().flatten()?;
    let count = numbers.next().map_or(Some(usize::MAX), |count| count)?;
    Some(value.chars().skip(from).take(count).collect())
}

/// The text of `$'…'` and its length with the closing quote; `None` where it is not closed.
pub(super) fn ansi(inside: &str) -> Option<(String, usize)> {
    let bytes = inside.as_bytes();
    let mut end = 0;
    loop {
        match bytes.get(end)? {
            b'\\' => end += 2,
            b'\'' => break,
            _ => end += 1,
        }
    }
    Some((unescaped(inside.get(..end)?), end + 1))
}

/// The text with the escapes of `$'…'`, `printf` and `echo -e` undone.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(slash) = rest.find('\\') {
        bytes.extend_from_slice(rest.get(..slash).unwrap_or_default().as_bytes());
        rest = rest.get(slash + 1..).unwrap_or_default();
        let Some(char) = rest.chars().next() else {
            bytes.push(b'\\');
            break;
        };
        let digits = |base: u32, from: usize, most: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            let count = tail.chars().take(most).take_while(|char| char.is_digit(base)).count();
            u32::from_str_radix(tail.get(..count)?, base).ok().map(|value| (value, from + count))
        };
        let number = match char {
            'x' => digits(16, 1, 2),
            'u' => digits(16, 1, 4),
            'U' => digits(16, 1, 8),
            '0'..='7' => digits(8, 0, if char == '0' { 4 } else { 3 }),
            _ => None,
        };
        if let Some((value, length)) = number {
            match u8::try_from(value).ok().filter(|_| !matches!(char, 'u' | 'U')) {
                Some(byte) => bytes.push(byte),
                None => bytes.extend(char::from_u32(value).unwrap_or_default().to_string().bytes()),
            }
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let plain = match char {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' | 'b' | 'e' | 'E' | 'f' | 'v' => ' ',
            other => other,
        };
        bytes.extend(plain.to_string().bytes());
        rest = rest.get(char.len_utf8()..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a command writes, where that is known from its words.
pub(super) fn output(words: &[Word]) -> Option<String> {
    let (name, words) = words.split_first()?;
    if words.iter().any(|word| word.empty.is_some()) {
        return None;
    }
    let mut texts = words.iter().map(|word| word.text.as_str()).peekable();
    match base(&name.text) {
        "echo" => {
            let mut escapes = false;
            while let Some(option) = texts.next_if(|text| matches!(*text, "-n" | "-e" | "-E" | "-ne" | "-en")) {
                escapes |= option.contains('e');
            }
            let text = texts.collect::<Vec<_>>().join(" ");
            Some(if escapes { unescaped(&text) } else { text })
        }
        "printf" => {
            texts.next_if_eq(&"--");
            let format = unescaped(texts.next()?);
            let mut text = String::new();
            for (order, piece) in format.split("%s").enumerate() {
                text.push_str(if order > 0 { texts.next().unwrap_or_default() } else { "" });
                text.push_str(piece);
            }
            Some(text)
        }
        "which" | "type" => texts.next_back().map(str::to_owned),
        "command" if texts.peek().is_some_and(|text| text.starts_with('-')) => texts.next_back().map(str::to_owned),
        _ => None,
    }
}

/// Whether a command downloads, or has what another has downloaded.
pub(super) fn may_fetch(words: &[Word]) -> bool {
    let mut first = words.iter().take(8).map(|word| base(&word.text));
    first.any(|name| FETCHING.contains(&name)) || words.iter().any(|word| word.fetched)
}

/// Whether a command may run what it reads.
pub(super) fn may_run_input(command: &Command) -> bool {
    let runs = |name: &str| {
        SHELLS.contains(&name) || matches!(name, "ssh" | "source" | "." | "at" | "batch" | "eval" | "crontab")
    };
    command.words.iter().any(|word| runs(base(&word.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let rows = [
            ("\\x72m", "rm"),
            ("\\162\\155", "rm"),
            ("\\u0072\\U0000006d", "rm"),
            ("a\\n\\tb\\'\\\\", "a\n\tb'\\"),
            ("\\xc3\\xa9", "\u{e9}"),
            ("\\", "\\"),
            ("\\q", "q"),
        ];
        for (text, want) in rows {
            assert_eq!(unescaped(text), want, "{text}");
        }
        assert_eq!(ansi("a\\'b' c"), Some(("a'b".to_owned(), 5)));
        assert_eq!(ansi("a\\'b"), None);
    }
}
