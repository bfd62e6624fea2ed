//! URLs in a text, and the hosts in them.
//!
//! A URL is read as browsers read it, and where older programs read it otherwise, their host is given as well.
//! Each stretch of the text is looked through a bounded number of times.

use std::ops::Range;

use memchr::memchr3;

use super::address::{v6, v6_text};
use super::host_words::Words;
use super::hostname::names;
use super::hosts::{Found, Host};
use super::reading::Reading;

/// Longest scheme, in bytes.
const SCHEME_BYTES_MAX: usize = 32;

/// Longest substitution such as `$(…)` that an authority goes on behind, in bytes.
const SUBSTITUTION_BYTES_MAX: usize = 512;

/// Longest address in brackets, in bytes.
const BRACKETED_BYTES_MAX: usize = 64;

/// Most signs between the end of an authority and an `@` that begins another host.
const SIGNS_MAX: usize = 8;

/// Schemes that need no slashes.
const SPECIAL: [&str; 5] = ["ftp", "http", "https", "ws", "wss"];

/// Schemes that make programs connect to what is named, even if it has one label only.
#[rustfmt::skip]
const CONNECTING: [&str; 52] = [
    "abfs", "abfss", "amqp", "amqps", "az", "bolt", "clickhouse", "couchbase", "file", "ftp", "ftps", "git", "git+https",
    "git+ssh", "gopher", "gs", "hdfs", "http", "https", "imap", "imaps", "kafka", "ldap", "ldaps", "memcached", "mongodb",
    "mongodb+srv", "mqtt", "mqtts", "mssql", "mysql", "nats", "neo4j", "oss", "pop3", "postgres", "postgresql", "r2",
    "redis", "rediss", "rmi", "rsync", "s3", "s3a", "s3n", "sftp", "smb", "ssh", "telnet", "ws", "wss", "zookeeper",
];

/// Schemes that name no host.
const HOSTLESS: [&str; 8] = ["about", "cid", "data", "javascript", "mailto", "sms", "tel", "urn"];

/// What is known of a host from where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'s> {
    pub scheme: &'s str,
    pub sure: bool,
    pub inner: bool,
    /// Whether only names with a dot, addresses and `localhost` count.
    pub dotted: bool,
}

/// A URL in the text.
#[derive(Clone, Debug)]
struct Url {
    start: usize,
    scheme: String,
    /// The slashes behind the scheme.
    slashes: Range<usize>,
    /// Where it ends, by the sign that quotes or separates it.
    end: usize,
    inner: bool,
}

/// One pass over one reading of a text.
pub(super) struct Scan<'r, 'f> {
    pub text: &'r str,
    reading: &'r Reading<'r>,
    found: &'f mut Found,
    /// Where the text begins behind white space.
    start: usize,
    /// How far authorities have been read.
    authorities: usize,
    /// How far stretches behind authorities have been looked through.
    looked: usize,
}

impl<'r, 'f> Scan<'r, 'f> {
    pub(super) fn new(reading: &'r Reading<'r>, found: &'f mut Found) -> Self {
        let text: &str = &reading.text;
        let start = text.len() - text.trim_start().len();
        Self { text, reading, found, start, authorities: 0, looked: 0 }
    }

    /// Finds every host; where `only_commands`, those in the arguments of commands that connect.
    pub(super) fn run(&mut self, only_commands: bool) {
        let mut words = Words::new(self.text, only_commands);
        let mut at = 0;
        while let Some(chunk) = next_chunk(self.text, at) {
            words.gap(self.slice(at..chunk.start));
            at = chunk.end;
            let mut taken = self.urls(chunk.clone(), words.reads_urls());
            taken.extend(words.brackets(self, chunk.clone()));
            taken.sort_by_key(|range| range.start);
            words.chunk(self, chunk, &taken);
        }
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &'r str {
        self.text.get(range).unwrap_or_default()
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Where the next byte stands that the test holds for, or the end.
    fn until(&self, from: usize, end: usize, test: impl Fn(u8) -> bool) -> usize {
        let bytes = self.text.as_bytes().get(from..end).unwrap_or_default();
        from + bytes.iter().position(|byte| test(*byte)).unwrap_or(bytes.len())
    }

    /// Whether a name or an address without a scheme can begin here.
    pub(super) fn is_start(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.byte(before));
        before.is_none_or(|byte| byte.is_ascii_whitespace() || is_soft(byte) || byte == b'=')
    }

    /// Reads the URLs of a stretch without white space; returns where they stand.
    fn urls(&mut self, chunk: Range<usize>, wanted: bool) -> Vec<Range<usize>> {
        let mut taken: Vec<Range<usize>> = Vec::new();
        let mut at = chunk.start;
        while let Some(skip) = memchr3(b':', b'/', b'\\', self.text.as_bytes().get(at..chunk.end).unwrap_or_default()) {
            at += skip;
            let Some(mut url) = self.url_at(at, &chunk) else {
                at += 1;
                continue;
            };
            let around = taken.last().filter(|around| around.contains(&url.start));
            url.inner = around.is_some();
            url.end = match around {
                Some(around) => around.end,
                None => self.until(url.slashes.end, chunk.end, is_soft),
            };
            at = url.slashes.end.max(at + 1);
            if url.slashes.len() < 2 && (url.inner || url.slashes.end < self.authorities) {
                continue;
            }
            if wanted {
                self.url(&url);
            }
            taken.push(url.start..url.end);
        }
        taken
    }

    /// The URL whose colon or slashes stand here.
    fn url_at(&self, at: usize, chunk: &Range<usize>) -> Option<Url> {
        let slashes_from = |from| from..self.until(from, chunk.end, |byte| !is_slash(byte));
        let slashes = match self.byte(at)? {
            b':' => slashes_from(at + 1),
            byte if is_slash(byte) && self.is_start(at) => slashes_from(at),
            _ => return None,
        };
        let start = if slashes.start > at { self.scheme_start(at, chunk.start) } else { at };
        let scheme = self.slice(start..at).to_ascii_lowercase();
        let sound = slashes.len() >= 2 || SPECIAL.contains(&scheme.as_str());
        let url = Url { start, scheme, slashes, end: 0, inner: false };
        (sound && url.scheme.len() != 1 && !HOSTLESS.contains(&url.scheme.as_str())).then_some(url)
    }

    fn scheme_start(&self, colon: usize, floor: usize) -> usize {
        let floor = floor.max(colon.saturating_sub(SCHEME_BYTES_MAX));
        let before = self.text.as_bytes().get(floor..colon).unwrap_or_default();
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let start = colon - before.iter().rev().take_while(part).count();
        self.until(start, colon, |byte| byte.is_ascii_alphabetic())
    }

    /// Reads the authority of a URL, and what some programs take for it.
    fn url(&mut self, url: &Url) {
        let first = url.start == self.start;
        let relative = url.scheme.is_empty();
        let before = url.start.checked_sub(1).and_then(|before| self.byte(before));
        let quoted = matches!(before, Some(b'"' | b'\'' | b'=' | b'(' | b'<'));
        let special = SPECIAL.contains(&url.scheme.as_str());
        let signs = self.slice(url.slashes.clone());
        let forward = signs.bytes().filter(|byte| *byte == b'/').count();
        let count = if forward > 0 { forward } else { signs.len() };
        let file = url.scheme == "file" && count > 3;
        if count > 2 && !relative && !special && !file {
            return;
        }
        let place = Place {
            scheme: &url.scheme,
            sure: if relative { first || quoted } else { special || forward > 0 },
            inner: url.inner,
            dotted: if relative { !first } else { file || count < 2 },
        };
        let authority = url.slashes.end..self.authority_end(url.slashes.end);
        self.authority(authority.clone(), place);
        let mut end = authority.end;
        while end >= self.looked
            && let Some(host) = self.behind(end, first)
        {
            end = host.end;
            self.host(host, Place { dotted: true, ..place });
        }
    }

    /// Where an authority ends: at a slash, `?`, `#`, white space, or a sign that quotes or separates.
    /// Substitutions are part of it.
    fn authority_end(&mut self, start: usize) -> usize {
        // What was jumped over once is not jumped out of again, so that no stretch is read many times.
        let jumps = start >= self.authorities;
        let mut at = start;
        while let Some(byte) = self.byte(at) {
            let rest = self.text.as_bytes().get(at..).unwrap_or_default();
            let before = at.checked_sub(1).and_then(|before| self.byte(before));
            let skipped = match rest {
                [b'[', ..] if at == start || matches!(before, Some(b'@' | b',')) => bracketed(rest),
                [b'$', b'(', ..] if jumps => closed(rest, b')'),
                [b'$', b'{', ..] | [b'{', ..] if jumps => closed(rest, b'}'),
                [b'`', ..] if jumps => {
                    closed(rest, b'`').filter(|len| matches!(rest.get(*len), Some(b'.' | b'-' | b'a'..=b'z')))
                }
                _ => None,
            };
            let ends = is_slash(byte)
                || matches!(byte, b'?' | b'#' | ..=b' ')
                || (is_soft(byte) && byte != b',')
                || (byte >= 0xc2 && self.text.get(at..).is_some_and(|rest| rest.starts_with(char::is_whitespace)));
            match skipped {
                Some(len) => at += len,
                None if ends => break,
                None => at += 1,
            }
        }
        self.authorities = self.authorities.max(at);
        at
    }

    /// Reads user, hosts and ports. With several `@`, programs differ in which of them ends the user.
    fn authority(&mut self, range: Range<usize>, place: Place<'_>) {
        let connects = CONNECTING.binary_search(&place.scheme).is_ok();
        let mut pieces = pieces(self.slice(range.clone()), '@', range.start);
        if pieces.len() > 1 {
            pieces.remove(0);
        }
        for (order, piece) in pieces.into_iter().rev().enumerate() {
            for (nth, host) in self::pieces(self.slice(piece.clone()), ',', piece.start).into_iter().enumerate() {
                let text = self.slice(host.clone());
                let dotted = place.dotted || order > 0 || (nth > 0 && !has_port(text));
                let sure = place.sure && (connects || text.contains(['.', '[', '%']));
                self.host(host, Place { dotted, sure, ..place });
            }
        }
    }

    /// Reads a host and its port; what stands where a port should may be a host to some.
    pub(super) fn host(&mut self, range: Range<usize>, place: Place<'_>) {
        let text = self.slice(range.clone());
        let close = if text.starts_with('[') { bracketed(text.as_bytes()) } else { text.find(':') };
        let colon = close.unwrap_or(text.len());
        self.add(range.start..range.start + colon, place);
        let port = text.get(colon..).unwrap_or_default();
        if port.contains('.') {
            for piece in pieces(port, ':', range.start + colon) {
                self.add(piece, Place { dotted: true, ..place });
            }
        }
    }

    /// Adds every reading of what stands in a host's place.
    pub(super) fn add(&mut self, range: Range<usize>, place: Place<'_>) {
        for name in names(self.slice(range.clone())) {
            // A small number is an address with a zero in front, and more likely a port.
            let address = (name.contains('.') && !name.starts_with("0.")) || name.contains(':');
            if place.dotted && !address && name != "localhost" {
                continue;
            }
            self.found.add(Host {
                range: self.reading.source(range.clone()),
                name,
                scheme: place.scheme.to_owned(),
                sure: place.sure,
                inner: place.inner,
            });
        }
    }

    /// Adds an IPv6 address that stands without brackets.
    pub(super) fn add_address(&mut self, range: Range<usize>, place: Place<'_>) {
        if let Some(address) = v6(self.slice(range.clone())) {
            let (range, scheme) = (self.reading.source(range), place.scheme.to_owned());
            self.found.add(Host { range, name: v6_text(address), scheme, sure: place.sure, inner: place.inner });
        }
    }

    /// The host behind an `@` behind the end of an authority, where some programs see no end.
    fn behind(&mut self, end: usize, first: bool) -> Option<Range<usize>> {
        let hard = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#');
        let any = |byte: u8| hard(byte) || is_soft(byte);
        let stop = self.byte(end)?;
        let is_sign = |byte: u8| byte == b' ' || (byte.is_ascii_punctuation() && byte != b'@');
        let signs = self.until(end, (end + SIGNS_MAX).min(self.text.len()), |byte| !is_sign(byte));
        if self.byte(signs) == Some(b'@') && self.slice(end..signs).contains(['#', '?', '&', '\\', ';']) {
            let host = signs + 1..self.until(signs + 1, self.text.len(), any);
            self.looked = self.looked.max(host.end);
            return Some(host);
        }
        let stretch = match stop {
            b'\\' => end..self.until(end, self.text.len(), hard),
            b'?' | b'#' => end + 1..self.until(end + 1, self.text.len(), any),
            _ if is_soft(stop) && (first || !b"\"'<>`)".contains(&stop)) => end..self.until(end, self.text.len(), hard),
            _ => return None,
        };
        self.looked = self.looked.max(stretch.end);
        let text = self.slice(stretch.clone());
        let user = text.rfind('@')?;
        let parameter = stop != b'\\' && text.get(..user)?.contains(['=', '&', '"', '\'', '<', '>']);
        (!parameter || first && is_soft(stop)).then_some(stretch.start + user + 1..stretch.end)
    }
}

/// The pieces between signs, by where they stand in the text that theirs starts in at `at`.
fn pieces(text: &str, sign: char, mut at: usize) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    for piece in text.split(sign) {
        pieces.push(at..at + piece.len());
        at += piece.len() + 1;
    }
    pieces
}

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The length of an address in brackets.
pub(super) fn bracketed(rest: &[u8]) -> Option<usize> {
    let inside = rest.get(1..BRACKETED_BYTES_MAX.min(rest.len()))?;
    let close = inside.iter().position(|byte| *byte == b']')?;
    let sound = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'%' | b'-' | b'_');
    inside.get(..close)?.iter().all(sound).then_some(close + 2)
}

/// The length of a substitution with its closing sign.
fn closed(rest: &[u8], sign: u8) -> Option<usize> {
    let inside = rest.get(1..SUBSTITUTION_BYTES_MAX.min(rest.len()))?;
    let close = inside.iter().position(|byte| *byte == sign)?;
    let doubled = usize::from(sign == b'}' && inside.get(close + 1) == Some(&b'}'));
    Some(close + 2 + doubled)
}

/// Signs that quote or separate, and that a URL is taken to end at.
pub(super) fn is_soft(byte: u8) -> bool {
    matches!(
        byte,
        b'"' | b'\'' | b'`' | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'|' | b'^' | b',' | b';'
    )
}

/// The next stretch without white space and control characters.
fn next_chunk(text: &str, at: usize) -> Option<Range<usize>> {
    let gap = |char: char| char.is_whitespace() || char.is_control();
    let rest = text.get(at..)?;
    let start = at + rest.find(|char: char| !gap(char))?;
    let length = text.get(start..)?.find(gap).unwrap_or(text.len() - start);
    Some(start..start + length)
}
