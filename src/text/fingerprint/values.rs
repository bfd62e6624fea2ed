//! Tokens that hardly stand in two texts by chance: addresses, numbers of accounts and orders, keys.
//!
//! What is common is none: dates, times, prices, counts, versions, words with a small number, names of fields.
//! Names of people are none either: two capitalised words are as often a street, a product or a heading.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::super::words::is_common;
use super::normal::is_label;
use super::numbers::{grouped, known_by};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A URL: its host and path.
    Url,
    /// A URL without a path, or with a query, its host and path without that: mostly a public address, and no
    /// secret.
    Host,
    /// A number of a phone, a card, a bank account.
    Number,
    /// Any other token: an order's number, a key, a UUID, a handle with digits.
    Token,
}

/// A distinctive token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// The keyed hash of the form in which it is compared.
    pub hash: u64,
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
}

/// Longest token; what is longer is a blob.
const TOKEN_BYTES_MAX: usize = 128;
/// Longest URL that is looked at.
const URL_BYTES_MAX: usize = 2_048;
/// Fewest letters of a key that has no digits.
const KEY_LETTERS_MIN: usize = 24;

/// Longest word in the lists below.
const WORD_BYTES_MAX: usize = 16;

/// What numbers are counted in, or what they are counts of.
#[rustfmt::skip]
const MEASURES: [&str; 92] = [
    "amount", "balance", "budget", "bytes", "calories", "cents", "characters", "chars", "chf", "cost", "count",
    "customers", "days", "deg", "dollars", "downloads", "duration", "elapsed", "epoch", "eur", "euro", "euros", "fee",
    "followers", "ft", "gb", "gbp", "height", "hits", "hours", "hz", "inr", "items", "jpy", "kb", "kg", "kilometers",
    "km", "kwh", "latency", "length", "likes", "limit", "lines", "lux", "mah", "max", "mb", "meters", "mhz", "miles",
    "million", "min", "minutes", "ms", "offset", "pages", "people", "points", "population", "port", "pounds", "price",
    "px", "qty", "quantity", "records", "requests", "results", "revenue", "rows", "rpm", "salary", "score", "seconds",
    "size", "sqft", "steps", "subtotal", "tax", "time", "timestamp", "tokens", "total", "ts", "usd", "users", "views",
    "votes", "width", "words", "year",
];

/// What is followed by a small number without being a name of anything: kinds, standards, steps.
#[rustfmt::skip]
const NUMBERED: [&str; 105] = [
    "act", "aes", "amd", "android", "appendix", "apt", "area", "arm", "base", "bit", "build", "chapter", "class",
    "col", "column", "covid", "crc", "cuda", "cve", "day", "debian", "decimal", "double", "ed", "es", "example", "fig",
    "figure", "float", "fy", "galaxy", "gate", "gpt", "grade", "group", "h", "hdmi", "host", "http", "image", "img",
    "int", "ios", "iphone", "ipv", "iso", "item", "java", "kernel", "layer", "level", "line", "llama", "log", "long",
    "md", "model", "no", "node", "num", "option", "page", "part", "phase", "photo", "pod", "port", "python", "q",
    "question", "release", "rev", "rfc", "room", "row", "rsa", "rundll", "sample", "section", "server", "sha", "size",
    "slide", "ssl", "step", "table", "task", "team", "test", "tls", "torch", "type", "uac", "ubuntu", "uint", "usb",
    "user", "utf", "v", "vector", "ver", "version", "wifi", "win", "windows",
];

/// Letters between digits that make times and measures of them.
#[rustfmt::skip]
const TIMES: [&str; 80] = [
    "am", "apr", "april", "aug", "august", "cm", "d", "day", "days", "dec", "december", "deg", "feb", "february",
    "fri", "fy", "gb", "ghz", "h", "hour", "hr", "hrs", "jan", "january", "jul", "july", "jun", "june", "k", "kb",
    "kg", "km", "lb", "m", "mar", "march", "may", "mb", "mg", "min", "mins", "minute", "ml", "mm", "mon", "month",
    "months", "nd", "nov", "november", "oct", "october", "oz", "pm", "q", "rd", "s", "sat", "sec", "sep", "september",
    "st", "star", "stars", "sun", "t", "tb", "th", "thu", "tue", "w", "wed", "week", "weeks", "wk", "x", "y", "year",
    "yr", "z",
];

/// Calls back with every value of a text: its kind, where it stands, and the form in which it is compared.
/// Linear in the text.
pub(super) fn find(text: &str, found: &mut impl FnMut(Kind, Range<usize>, &str)) {
    let emails = emails(text);
    for email in &emails {
        found(Kind::Email, email.clone(), &text.get(email.clone()).unwrap_or_default().to_ascii_lowercase());
    }
    urls(text, found);
    let bytes = text.as_bytes();
    let mut emails = emails.into_iter().peekable();
    let mut before = 0..0;
    let mut at = 0;
    while let Some(start) = next_start(bytes, at) {
        while emails.next_if(|email| email.end <= start).is_some() {}
        if let Some(email) = emails.peek().filter(|email| email.start <= start) {
            at = email.end;
            continue;
        }
        if let Some(after) = after_escape(bytes, start) {
            at = after;
            continue;
        }
        let token = token(bytes, start);
        let number = grouped(text, start, &mut |range, number| found(Kind::Number, range, number));
        at = number.unwrap_or(token.end).max(start + 1);
        if number.is_none() && is_value(bytes, &token, &before) {
            found(Kind::Token, token.clone(), &compared(bytes, &token));
        }
        if !token.is_empty() {
            before = token;
        }
    }
}

/// The next place where a token or a number may start.
fn next_start(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let starts = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'(');
    rest.iter().position(starts).map(|n| at + n)
}

/// The end of an escape whose backslash stands before a place: `\n`, `\u2019`.
fn after_escape(bytes: &[u8], start: usize) -> Option<usize> {
    let (before, rest) = bytes.split_at_checked(start)?;
    let is_escape =
        before.last() == Some(&b'\\') && before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    match rest {
        [b'u', a, b, c, d, ..] if is_escape && [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => {
            Some(start + 5)
        }
        [b'n' | b'r' | b't' | b'b' | b'f', ..] if is_escape => Some(start + 1),
        _ => None,
    }
}

/// Letters and digits, with single hyphens or underscores between them.
fn token(bytes: &[u8], start: usize) -> Range<usize> {
    let mut end = start;
    loop {
        let rest = bytes.get(end..).unwrap_or_default();
        end += rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        match bytes.get(end..) {
            Some([b'-' | b'_', next, ..]) if end > start && next.is_ascii_alphanumeric() => end += 1,
            _ => return start..end,
        }
    }
}

/// The form of a token in which it is compared.
fn compared(bytes: &[u8], token: &Range<usize>) -> String {
    let bytes = bytes.get(token.clone()).unwrap_or_default();
    let plain = bytes.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let plain: String = plain.map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    if plain.bytes().all(|byte| byte.is_ascii_digit()) { known_by(&plain).to_owned() } else { plain }
}

fn is_value(bytes: &[u8], token: &Range<usize>, before: &Range<usize>) -> bool {
    let word = bytes.get(token.clone()).unwrap_or_default();
    if word.len() < 5 || word.len() > TOKEN_BYTES_MAX {
        return false;
    }
    if !word.iter().any(u8::is_ascii_digit) {
        return is_key(word);
    }
    if is_label(bytes, token) {
        return false;
    }
    if word.iter().all(u8::is_ascii_digit) {
        return is_number(word) && !is_measured(bytes, token, before);
    }
    let parts: Vec<Part> = word.split(|byte| matches!(byte, b'-' | b'_')).map(Part::of).collect();
    if parts.iter().all(|part| part.letters == 0) {
        return is_joined_number(&parts);
    }
    parts.iter().any(Part::is_strong) || is_numbered(&parts)
}

/// Letters alone whose case goes up and down as it does in no word and no camelCase.
fn is_key(word: &[u8]) -> bool {
    let flips = word.windows(2).filter(|pair| pair.iter().filter(|byte| byte.is_ascii_uppercase()).count() == 1);
    word.len() >= KEY_LETTERS_MIN && flips.count() * 5 >= word.len() * 2
}

/// Digits that are no date, no time, not round and not all alike.
fn is_number(digits: &[u8]) -> bool {
    let value = number(digits);
    let seconds = 1_400_000_000..2_100_000_000;
    let is_time = match digits.len() {
        10 => seconds.contains(&value),
        13 => seconds.contains(&(value / 1_000)),
        8 => {
            is_date(value / 10_000, value / 100 % 100, value % 100)
                || is_date(value % 10_000, value / 10_000 % 100, value / 1_000_000)
        }
        14 => is_date(value / 10_000_000_000, value / 100_000_000 % 100, value / 1_000_000 % 100),
        _ => false,
    };
    let is_round = digits.len() <= 9 && digits.ends_with(b"000");
    let alike = digits.iter().all(|digit| Some(digit) == digits.first());
    digits.len() >= 5 && !is_time && !is_round && !alike
}

fn is_date(year: u64, month: u64, day: u64) -> bool {
    (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Whether a number is an amount of something: money, a share, a part of a decimal, a count.
fn is_measured(bytes: &[u8], token: &Range<usize>, before: &Range<usize>) -> bool {
    let head = bytes.get(..token.start).unwrap_or_default();
    let rest = bytes.get(token.end..).unwrap_or_default();
    let decimal_before = matches!(head, [.., digit, b'.'] if digit.is_ascii_digit());
    let decimal_after = match rest {
        [b'.', digit, ..] => digit.is_ascii_digit(),
        [b',', a, b, c, ..] => a.is_ascii_digit() && !(b.is_ascii_digit() && c.is_ascii_digit()),
        [b',', a, ..] => a.is_ascii_digit(),
        _ => false,
    };
    let sign = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        text.trim_matches(' ')
            .chars()
            .next()
            .is_some_and(|char| matches!(char, '$' | '%' | '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20cf}'))
    };
    let after = bytes.get(token.end..(token.end + 4).min(bytes.len())).unwrap_or_default();
    let last = head.len() - head.iter().rev().take_while(|byte| !byte.is_ascii()).count().min(3);
    let signed = head.last() == Some(&b'$') || sign(head.get(last..).unwrap_or_default()) || sign(after);
    let next = rest.strip_prefix(b" ").map_or(0..0, |_| self::token(bytes, token.end + 1));
    let near = token.start.saturating_sub(before.end) <= 4;
    decimal_before || decimal_after || signed || is_measure(bytes, &next) || (near && is_measure(bytes, before))
}

/// Whether a word, or the last part of one, says that a number is a measure.
fn is_measure(bytes: &[u8], word: &Range<usize>) -> bool {
    let word = bytes.get(word.clone()).unwrap_or_default();
    let last = word.rsplit(|byte| matches!(byte, b'_' | b'-')).next().unwrap_or_default();
    one_of(&MEASURES, last)
}

fn one_of(words: &[&str], word: &[u8]) -> bool {
    let mut lower = [0_u8; WORD_BYTES_MAX];
    let Some(lower) = lower.get_mut(..word.len()) else { return false };
    lower.iter_mut().zip(word).for_each(|(to, from)| *to = from.to_ascii_lowercase());
    words.binary_search_by(|known| known.as_bytes().cmp(lower)).is_ok()
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value: u64, digit| value.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0'))))
}

/// Digits joined by hyphens that are no dates and no ranges of years or small numbers.
fn is_joined_number(parts: &[Part<'_>]) -> bool {
    let lens: Vec<usize> = parts.iter().map(|part| part.digits).collect();
    let is_date = matches!(lens.as_slice(), [4, 1..=2, 1..=2, ..] | [1..=2, 1..=2, 4 | 2]);
    let only_years = parts.iter().all(Part::is_year);
    let is_round = parts.last().is_some_and(|last| last.bytes == b"000");
    !is_round && lens.iter().sum::<usize>() >= 7 && lens.iter().any(|len| *len > 1) && !is_date && !only_years
}

/// A number of something, with its letters before it: `ORD-5512`, `INV-2024-001`, `mia_li_3668`.
fn is_numbered(parts: &[Part<'_>]) -> bool {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let digits: usize = parts.iter().map(|part| part.digits).sum();
    let whole = last.letters == 0 && last.digits >= 3 && !last.is_year() && !last.bytes.ends_with(b"000");
    let strong = parts.iter().any(|part| part.letters == 0 && part.digits >= 5 && is_number(part.bytes));
    strong || (whole && digits >= 4 && parts.len() <= 5 && first.digits == 0 && !one_of(&NUMBERED, first.bytes))
}

/// Letters and digits without anything between them.
#[derive(Clone, Copy)]
struct Part<'a> {
    bytes: &'a [u8],
    letters: usize,
    digits: usize,
    /// How often letters and digits change.
    changes: usize,
}

impl<'a> Part<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
        let changes = bytes.windows(2).filter(|pair| pair.iter().filter(|byte| byte.is_ascii_digit()).count() == 1);
        Self { bytes, letters: bytes.len() - digits, digits, changes: changes.count() }
    }

    fn is_year(&self) -> bool {
        self.letters == 0 && self.digits == 4 && (1900..2100).contains(&number(self.bytes))
    }

    /// Letters and digits mixed as no word, measure or time has them.
    fn is_strong(&self) -> bool {
        if self.letters == 0 || self.digits < 2 || self.bytes.len() < 5 {
            return false;
        }
        let is_digit = u8::is_ascii_digit;
        let mut runs = self.bytes.chunk_by(|a, b| is_digit(a) == is_digit(b));
        let letters = |run: &&[u8]| !run.first().is_some_and(is_digit);
        if runs.clone().filter(letters).all(|run| one_of(&TIMES, run) || one_of(&MEASURES, run)) {
            // `h12345` is as good a number as any other letter before one.
            return self.changes == 1 && letters(&self.bytes) && self.letters == 1 && self.digits >= 5;
        }
        let (first, second) = (runs.next().unwrap_or_default(), runs.next().unwrap_or_default());
        let small = self.bytes.len() < 10 && letters(&first) && one_of(&NUMBERED, first);
        let year = second.len() == 4 && Part::of(second).is_year();
        match (self.changes, letters(&first)) {
            (1, true) => self.is_letters_and_number(first, second) && !small && !year,
            (1, false) => self.digits >= 3 && self.bytes.len() >= 6 && !Part::of(first).is_year(),
            _ => self.bytes.len() >= 6 && !small,
        }
    }

    /// `amy01`, `W2378156`; not a word with its small number.
    fn is_letters_and_number(&self, letters: &[u8], digits: &[u8]) -> bool {
        let word = String::from_utf8_lossy(letters).to_ascii_lowercase();
        if self.digits >= 5 {
            return true;
        }
        let enough = if letters.len() == 1 { 4 } else { 2 };
        self.digits >= enough && !digits.ends_with(b"000") && !is_common(&word)
    }
}

/// Where e-mail addresses stand, in order.
fn emails(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let is_local = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let is_domain = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let mut found: Vec<Range<usize>> = Vec::new();
    for sign in memchr_iter(b'@', bytes) {
        let from = found.last().map_or(0, |email| email.end);
        let head = bytes.get(from..sign).unwrap_or_default();
        let start = sign - head.iter().rev().take(64).take_while(is_local).count();
        let rest = bytes.get(sign + 1..).unwrap_or_default();
        let domain = rest.get(..rest.iter().take(254).take_while(is_domain).count()).unwrap_or_default();
        let len = domain.len() - domain.iter().rev().take_while(|byte| b".-".contains(byte)).count();
        let mut parts = domain.get(..len).unwrap_or_default().rsplitn(2, |byte| *byte == b'.');
        let is_top = |top: &[u8]| top.len() > 1 && top.iter().all(u8::is_ascii_alphabetic);
        if start < sign && parts.next().is_some_and(is_top) && parts.next().is_some_and(|rest| !rest.is_empty()) {
            found.push(start..sign + 1 + len);
        }
    }
    found
}

/// Hosts and paths of URLs.
fn urls(text: &str, found: &mut impl FnMut(Kind, Range<usize>, &str)) {
    let bytes = text.as_bytes();
    let with_scheme = memmem::find_iter(bytes, b"://").map(|at| at + 3);
    let without = memmem::find_iter(bytes, b"www.").filter(|at| {
        let head = bytes.get(..*at).unwrap_or_default();
        !head.ends_with(b"://") && !head.last().is_some_and(u8::is_ascii_alphanumeric)
    });
    urls_at(text, with_scheme, found);
    urls_at(text, without, found);
}

fn urls_at(text: &str, starts: impl Iterator<Item = usize>, found: &mut impl FnMut(Kind, Range<usize>, &str)) {
    let mut end = 0;
    for start in starts {
        if start < end {
            continue;
        }
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let ends = |byte: &u8| !byte.is_ascii_graphic() || b"\\\"'<>()[]{}|^`?#,;".contains(byte);
        let len = rest.iter().take(URL_BYTES_MAX).position(ends).unwrap_or(rest.len().min(URL_BYTES_MAX));
        end = start + len;
        let url = text.get(start..start + len).unwrap_or_default().trim_end_matches(['.', ':', '!', '*', '/']);
        let range = start..start + url.len();
        let (host, path) = url.split_once('/').unwrap_or((url, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_ascii_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host);
        if host.is_empty() || host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("0.0.0.0") {
            continue;
        }
        let has_query = rest.get(len) == Some(&b'?');
        match path {
            "" => found(Kind::Host, range, host),
            path => {
                let kind = if has_query { Kind::Host } else { Kind::Url };
                found(kind, range, &format!("{host}/{}", path.to_lowercase()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        find(text, &mut |_, range, value| {
            assert!(text.get(range.clone()).is_some_and(|piece| !piece.is_empty()), "{text}: {range:?}");
            found.push(value.to_owned());
        });
        found
    }

    #[test]
    fn lists_are_sorted() {
        assert!(MEASURES.is_sorted() && NUMBERED.is_sorted() && TIMES.is_sorted());
        let all = || MEASURES.iter().chain(&NUMBERED).chain(&TIMES);
        assert!(all().all(|word| word.len() <= WORD_BYTES_MAX && one_of(&[word], word.to_uppercase().as_bytes())));
    }

    #[test]
    fn what_is_distinctive_is_a_value() {
        let rows: [(&str, &[&str]); 39] = [
            ("Write to John.Doe92@Mail.Example.com.", &["john.doe92@mail.example.com"]),
            ("mailto:a+b@x.org?subject=hi", &["a+b@x.org"]),
            ("see https://Evil.example/Collect/1?d=2#x", &["evil.example/collect/1"]),
            ("![x](http://www.evil.example/a.png) (www.evil.example)", &["evil.example/a.png", "evil.example"]),
            ("your order W2378156 is late", &["w2378156"]),
            ("order #W2378156, ORD-5512, inv-2024-001", &["w2378156", "ord5512", "inv2024001"]),
            ("product B08KFQ9HK5", &["b08kfq9hk5"]),
            ("user mia_li_3668 or guest_amy01", &["miali3668", "guestamy01"]),
            ("note_id 'efg456', patient id 123abc", &["efg456", "123abc"]),
            (r#"{"credit_card_4421486": {"zip": "78750"}}"#, &["creditcard4421486", "78750"]),
            ("id=550e8400-e29b-41d4-a716-446655440000", &["550e8400e29b41d4a716446655440000"]),
            ("SSN 123-45-6789", &["123456789"]),
            ("call 555-123-4567 now", &["551234567"]),
            ("call (555) 123-4567 or 5551234567", &["551234567", "551234567"]),
            ("+49 (0)30 1234567", &["301234567"]),
            ("card 4111 1111 1111 1111 and 4111111111111111", &["4111111111111111", "4111111111111111"]),
            ("IBAN DE89 3704 0044 0532 0130 00.", &["de89370400440532013000"]),
            ("ids 12345,67891,23456", &["12345", "67891", "23456"]),
            ("kJxQwzPLmNvbTRyuHGfDsaCe", &["kjxqwzplmnvbtryuhgfdsace"]),
            ("AKIAIOSFODNN7EXAMPLE2", &["akiaiosfodnn7example2"]),
            ("\u{8ba2}\u{5355}W2378156\u{5df2}\u{53d1}\u{8d27}", &["w2378156"]),
            (r"id:\nW2378156\tB08KFQ9HK5 it\u2019s C:\\\\n12345678", &["w2378156", "b08kfq9hk5", "n12345678"]),
            ("1_000_000 float64 rundll32 APT28", &[]),
            ("on 2024-05-15, 15.05.2024, 05/15/2024, 20240515 and 15052024", &[]),
            ("at 2024-05-15T10:30:00Z, 20240515T103000Z, 15-May-2024, 10:30:45", &[]),
            ("created 1700000000 or 1700000000123", &[]),
            ("$12345, 12345 USD, 12,345.67, 12345.67, \u{20ac}12345, 12345 \u{20ac}, 12345%", &[]),
            (r#"{"amount": 12345, "total_bytes": 67891, "limit":54321}"#, &[]),
            ("12345 users read 23456 pages of 50000", &[]),
            ("version 1.2.3, v10.20.30, python3, utf-8, utf8mb4, iso8601, sha256, ipv4, covid-19", &[]),
            ("status 404, 200 OK, port 27017, 3840x2160, 1080p, 16gb, 1h30m, 10am-5pm, x86_64", &[]),
            ("FY2024 Q3-2024 summer2024 2020-2024 page12 step-100 top-10-list room1204", &[]),
            ("http://localhost:8080/x https://127.0.0.1/y", &[]),
            ("gpt-4-turbo-2024-04-09 claude-3-5-sonnet", &[]),
            (r#"{"address_line_1": "x", "sha256_sum": "y", 'item_123': 1}"#, &[]),
            ("getUserAccountDetailsFromDatabase and internationalization", &[]),
            ("52.520008, 13.404954 0.98234", &[]),
            ("99999 00000", &[]),
            ("a short sentence without anything, from Monday to Friday.", &[]),
        ];
        for (text, want) in rows {
            assert_eq!(values(text), want, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_range_is_valid(text in "[a-c1-3@.:/+() \u{e9}-]{0,60}|\\PC{0,40}") {
            let _ = values(&text);
        }
    }
}
