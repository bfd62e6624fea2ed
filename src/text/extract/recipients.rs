//! E-mail addresses that a text would make a program write to.
//!
//! Every `@` with a name on its left and a domain on its right counts, wherever it stands: in a list, in angle
//! brackets, in a `mailto:` link, in JSON. The user part of a URL does not.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::{memchr, memmem};

use super::address::v4_plain;
use super::hostname::{is_address, names};
use super::reading::Reading;
use super::suffixes::{Ending, ending};

/// Longest quoted name before an `@`, and longest comment around it, in bytes.
const QUOTED_BYTES_MAX: usize = 256;

/// Longest address in brackets, in bytes.
const BRACKETED_BYTES_MAX: usize = 64;

/// Names of fields and parameters that an address follows behind `=`.
const FIELDS: [&str; 14] = [
    "address",
    "bcc",
    "cc",
    "email",
    "emails",
    "from",
    "mail",
    "mailto",
    "rcpt",
    "recipient",
    "recipients",
    "reply-to",
    "sender",
    "to",
];

/// Somebody whom a text would make a program write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where the address stands in the text, in bytes.
    pub range: Range<usize>,
    /// The address: the name as written (tags stay, quotes stay where they are needed), and the domain in the
    /// form of [`Host::name`](super::Host::name).
    pub address: String,
}

impl Recipient {
    /// The domain of the address.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address.rsplit('@').next().unwrap_or_default()
    }
}

/// Every e-mail address in a text, each once. Linear in the text.
///
/// ```
/// use haltline::text::extract::recipients;
/// let found = recipients("Ann <ann+x@Acme.Example>; bob@evil.example");
/// assert_eq!(found[0].address, "ann+x@acme.example");
/// assert_eq!(found[1].domain(), "evil.example");
/// ```
#[must_use]
pub fn recipients(text: &str) -> Vec<Recipient> {
    let mut found = Vec::new();
    // However an `@` is written, by its number or by its name.
    let named = ["@", "40", "64", "commat"].iter().any(|sign| memmem::find(text.as_bytes(), sign.as_bytes()).is_some());
    if !named && text.is_ascii() {
        return found;
    }
    let mut known = BTreeSet::new();
    for reading in Reading::all(text, true) {
        if memchr(b'@', reading.text.as_bytes()).is_none() {
            continue;
        }
        let scan = Scan { text: &reading.text, json: text.trim_start().starts_with(['{', '[', '"']) };
        scan.run(&mut |range, address| {
            if known.insert(address.clone()) {
                found.push(Recipient { range: reading.source(range), address });
            }
        });
    }
    found
}

struct Scan<'r> {
    text: &'r str,
    json: bool,
}

impl<'r> Scan<'r> {
    fn slice(&self, range: Range<usize>) -> &'r str {
        self.text.get(range).unwrap_or_default()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).and_then(|before| self.byte(before))
    }

    fn run(&self, found: &mut impl FnMut(Range<usize>, String)) {
        let mut user = false;
        for (at, byte) in self.text.bytes().enumerate() {
            match byte {
                b'@' if !user => self.address(at, found),
                b'/' => {
                    let scheme = self.before(at) == Some(b'/') && at > 1 && self.byte(at - 2) == Some(b':');
                    user = scheme && !self.slice(0..at - 2).ends_with("mailto");
                }
                b'?' | b'#' | b',' | b';' | b'"' | b'\'' | b'<' | b'>' | b'\\' => user = false,
                byte if byte.is_ascii_whitespace() => user = false,
                _ => {}
            }
        }
    }

    fn address(&self, at: usize, found: &mut impl FnMut(Range<usize>, String)) {
        let (end, start) = (self.gap_before(at), self.gap_behind(at + 1));
        let domain = start..self.domain_end(start);
        let local = self.local_start(end)..end;
        if (end < at || start > at + 1) && !self.stands_alone(local.start, domain.end) {
            return;
        }
        if local.is_empty() || (self.json && self.is_escape(local.start)) {
            return;
        }
        let written = self.slice(domain.clone());
        // Mail to a longer name is not delivered, and the domain is what counts then.
        let tail = self.text.ceil_char_boundary(local.start.max(local.end.saturating_sub(QUOTED_BYTES_MAX)));
        let local = tail..local.end;
        if self.slice(local.clone()) == "git" && self.byte(domain.end) == Some(b':') {
            return;
        }
        for domain_name in domains(written) {
            for name in locals(self.slice(local.clone())) {
                found(local.start..domain.end, format!("{name}@{domain_name}"));
                if let Some((name, domain_name)) = relayed(&name) {
                    found(local.start..domain.end, format!("{name}@{domain_name}"));
                }
            }
        }
    }

    /// Whether a letter belongs to an escape such as `\n`.
    fn is_escape(&self, at: usize) -> bool {
        self.before(at) == Some(b'\\')
    }

    /// Goes back over white space and comments.
    fn gap_before(&self, at: usize) -> usize {
        let floor = at.saturating_sub(QUOTED_BYTES_MAX);
        let bytes = self.text.as_bytes().get(floor..at).unwrap_or_default();
        let (mut depth, mut end) = (0_usize, at);
        for (offset, byte) in bytes.iter().enumerate().rev() {
            match byte {
                b')' => depth += 1,
                b'(' if depth > 0 => depth -= 1,
                _ if depth > 0 || byte.is_ascii_whitespace() => {}
                _ => break,
            }
            if depth == 0 {
                end = floor + offset;
            }
        }
        end
    }

    /// Goes on over white space and comments.
    fn gap_behind(&self, at: usize) -> usize {
        let bytes = self.text.as_bytes().get(at..).unwrap_or_default();
        let (mut depth, mut start) = (0_usize, at);
        for (offset, byte) in bytes.iter().take(QUOTED_BYTES_MAX).enumerate() {
            match byte {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                _ if depth > 0 || byte.is_ascii_whitespace() => {}
                _ => break,
            }
            if depth == 0 {
                start = at + offset + 1;
            }
        }
        start
    }

    fn domain_end(&self, start: usize) -> usize {
        let rest = self.slice(start..self.text.len());
        if rest.starts_with('[') {
            let head = rest.as_bytes().get(..BRACKETED_BYTES_MAX.min(rest.len())).unwrap_or_default();
            return head.iter().position(|byte| *byte == b']').map_or(start, |close| start + close + 1);
        }
        let part = |char: char| {
            if char.is_ascii() {
                char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')
            } else {
                !char.is_whitespace()
            }
        };
        rest.find(|char: char| !part(char)).map_or(self.text.len(), |length| start + length)
    }

    /// Where the name before an `@` starts.
    fn local_start(&self, end: usize) -> usize {
        if self.before(end) == Some(b'"') {
            let floor = end.saturating_sub(QUOTED_BYTES_MAX);
            let inside = self.text.as_bytes().get(floor..end - 1).unwrap_or_default();
            let mut quotes = inside.iter().enumerate().rev().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at);
            let open = quotes.find(|at| at.checked_sub(1).and_then(|before| inside.get(before)) != Some(&b'\\'));
            if let Some(open) = open {
                return floor + open;
            }
        }
        let head = self.slice(0..end);
        let part = |char: char| {
            if char.is_ascii() {
                char.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(char)
            } else {
                !char.is_whitespace() && !char.is_control()
            }
        };
        head.trim_end_matches(part).len()
    }

    /// Whether an address with white space in it is all that stands between separators.
    fn stands_alone(&self, start: usize, end: usize) -> bool {
        let gap = |byte: &&u8| matches!(byte, b' ' | b'\t');
        let bytes = self.text.as_bytes();
        let near = bytes.get(start.saturating_sub(QUOTED_BYTES_MAX)..start).unwrap_or_default();
        let before = near.iter().rev().find(|byte| !gap(byte));
        let after = bytes.get(end..).unwrap_or_default().iter().take(QUOTED_BYTES_MAX).find(|byte| !gap(byte));
        before.is_none_or(|byte| b",;<:\"'[\r\n>".contains(byte))
            && after.is_none_or(|byte| b",;>\"']\r\n(".contains(byte))
    }
}

/// Every reading of a domain that mail can be sent to.
fn domains(written: &str) -> Vec<String> {
    if let Some(inside) = written.strip_prefix('[') {
        let inside = inside.trim_end_matches(']');
        let tagged = inside.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("ipv6:"));
        let inside = if tagged { inside.get(5..).unwrap_or(inside) } else { inside };
        let address = if inside.contains(':') { format!("[{inside}]") } else { inside.to_owned() };
        return names(&address).into_iter().filter(|name| is_address(name)).collect();
    }
    let sound = |name: &String| {
        if is_address(name) {
            return v4_plain(written.trim_matches('.')).is_some();
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        name == "localhost" || (name.contains('.') && ending(last) != Ending::File)
    };
    names(written).into_iter().filter(sound).collect()
}

/// Every reading of the name before an `@`.
fn locals(written: &str) -> Vec<String> {
    if let Some(inside) = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let plain = |char: char| char.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(char);
        let bare = !inside.is_empty() && inside.chars().all(plain);
        return vec![if bare { inside.to_owned() } else { written.to_owned() }];
    }
    // Signs that a name may have, but that more likely belong to what is around it.
    let name = written.trim_start_matches(|char: char| char.is_ascii_punctuation() && !matches!(char, '_' | '-' | '+'));
    let name = name.trim_matches('.');
    let name = name.rsplit(['?', '&']).next().unwrap_or(name);
    let Some((field, value)) = name.rsplit_once('=').filter(|(_, value)| !value.is_empty()) else {
        let tail = name.rsplit('/').next().unwrap_or(name);
        return [name, tail]
            .into_iter()
            .filter(|name| !name.is_empty())
            .take(1 + usize::from(tail != name))
            .map(str::to_owned)
            .collect();
    };
    let field = field.rsplit(['/', '=']).next().unwrap_or(field).trim_start_matches('-').to_ascii_lowercase();
    if FIELDS.contains(&field.as_str()) {
        return vec![value.to_owned()];
    }
    vec![name.to_owned(), value.to_owned()]
}

/// Where old relays send what has `%` or `!` in its name.
fn relayed(name: &str) -> Option<(String, String)> {
    let (user, domain) = match name.rsplit_once('%') {
        Some(split) => split,
        None => name.split_once('!').map(|(domain, user)| (user, domain))?,
    };
    let domain = domains(domain).into_iter().next()?;
    (!user.is_empty()).then(|| (user.to_owned(), domain))
}

#[cfg(test)]
mod tests {
    use super::super::check_rows;
    use super::*;

    fn check(rows: &[(&str, &str)]) {
        let shown = |text: &str| recipients(text).into_iter().map(|r| r.address).collect::<Vec<_>>().join(" ");
        check_rows(rows, shown);
    }

    #[test]
    fn addresses_are_found_in_fields() {
        check(&[
            ("bob@evil.example", "bob@evil.example"),
            ("Bob@EVIL.Example.", "Bob@evil.example"),
            ("Bob <bob@evil.example>", "bob@evil.example"),
            ("\"Doe, Bob\" <bob@evil.example>", "bob@evil.example"),
            ("a@x.example, b@y.example;c@z.example\nd@w.example", "a@x.example b@y.example c@z.example d@w.example"),
            ("a@x.example a@x.example", "a@x.example"),
            ("mailto:bob@evil.example?cc=al@x.example&bcc=z%40y.example", "bob@evil.example al@x.example z@y.example"),
            ("mailto:bob%40evil.example", "bob@evil.example"),
            ("mailto://bob@evil.example", "bob@evil.example"),
            ("ann+tag@acme.example", "ann+tag@acme.example"),
            ("o'brien@acme.example", "o'brien@acme.example"),
            ("'bob@evil.example'", "bob@evil.example"),
            ("`bob@evil.example`", "bob@evil.example"),
            ("**bob@evil.example**", "bob@evil.example"),
            ("(bob@evil.example)", "bob@evil.example"),
            ("Team:bob@evil.example,al@x.example;", "bob@evil.example al@x.example"),
            ("{\"to\":[\"bob@evil.example\",\"al@x.example\"]}", "bob@evil.example al@x.example"),
            ("{\"to\":\"a@x.example\\nb@y.example\"}", "a@x.example b@y.example"),
            ("{\\\"to\\\":\\\"bob@evil.example\\\"}", "bob@evil.example"),
            ("to=bob@evil.example", "bob@evil.example"),
            ("--bcc=bob@evil.example", "bob@evil.example"),
            ("bounce+bob=acme.example@list.example", "bounce+bob=acme.example@list.example acme.example@list.example"),
            ("https://api.example/send?to=bob@evil.example", "bob@evil.example"),
            ("bob@localhost", "bob@localhost"),
            ("bob@[127.0.0.1]", "bob@127.0.0.1"),
            ("bob@[IPv6:::1]", "bob@::1"),
            ("m\u{fc}ller@b\u{fc}cher.example", "m\u{fc}ller@b\u{fc}cher.example"),
            ("x@xn--bcher-kva.example", "x@b\u{fc}cher.example"),
        ]);
    }

    #[test]
    fn disguises_are_taken_off() {
        check(&[
            ("bob\u{ff20}evil.example", "bob@evil.example"),
            ("bob\u{fe6b}evil\u{ff0e}example", "bob@evil.example"),
            ("bob&#64;evil.example", "bob@evil.example"),
            ("bob&commat;evil&period;example", "bob@evil.example"),
            ("bob\\u0040evil.example", "bob@evil.example"),
            ("bob%2540evil.example", "bob@evil.example"),
            ("bob @ evil.example", "bob@evil.example"),
            ("to: bob@ evil.example, al@x.example", "bob@evil.example al@x.example"),
            ("bob(work)@(x)evil.example", "bob@evil.example"),
            ("\"bob\"@evil.example", "bob@evil.example"),
            ("\"bob smith\"@evil.example", "\"bob smith\"@evil.example"),
            ("\"a\\\"b\"@evil.example", "\"a\\\"b\"@evil.example b@evil.example"),
            ("\"bob@evil.example\"@good.example", "bob@evil.example \"bob@evil.example\"@good.example"),
            ("bob@evil.example@good.example", "bob@evil.example evil.example@good.example"),
            ("<@relay.example:bob@evil.example>", "bob@evil.example"),
            ("bob%evil.example@good.example", "bob%evil.example@good.example bob@evil.example"),
            ("evil.example!bob@good.example", "evil.example!bob@good.example bob@evil.example"),
            ("bob@evil.ex\u{ad}ample", "bob@evil.example"),
            ("good.example <bob@evil.example>", "bob@evil.example"),
            ("ann@acme.example <bob@evil.example>", "ann@acme.example bob@evil.example"),
            ("ann@acme.example\0bob@evil.example", "ann@acme.example bob@evil.example"),
        ]);
    }

    #[test]
    fn what_is_no_address_gives_none() {
        check(&[
            ("", ""),
            ("@bob and @acme.example", ""),
            ("meet @ noon, lunch @ acme.example today", ""),
            ("https://user:pass@evil.example/x", ""),
            ("https://good.example@evil.example/", ""),
            ("git@evil.example:org/repo.git", ""),
            ("lodash@4.17.21 react@latest actions/checkout@v4", ""),
            ("icon@2x.png", ""),
            ("a@b", ""),
            ("@", ""),
            ("a@", ""),
            ("100% @ 5", ""),
        ]);
    }

    #[test]
    fn addresses_say_where_they_stand() {
        for (text, want) in [
            ("to: Bob <bob@evil.example>!", "bob@evil.example"),
            ("x bob%40evil.example y", "bob%40evil.example"),
            ("x \"b c\"@evil.example y", "\"b c\"@evil.example"),
        ] {
            assert_eq!(&text[recipients(text)[0].range.clone()], want);
        }
    }
}
