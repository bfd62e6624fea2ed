//! Hosts that are written without a scheme: as the whole text, in a list of hosts, and as arguments of
//! commands that connect. In running text a dotted word may be a host, but nobody is sure.

use std::ops::Range;

use super::address::{v4_plain, v6};
use super::hostname::{is_address, names};
use super::suffixes::{Ending, ending};
use super::urls::{Place, Scan, bracketed, is_soft};

/// Commands whose arguments are hosts, and that are no words of a sentence.
#[rustfmt::skip]
const CONNECT: [&str; 58] = [
    "aria2c", "axel", "bitsadmin", "certutil", "curl", "curlie", "dig", "drill", "ftp", "grpcurl", "httpie",
    "iperf", "iperf3", "irm", "iwr", "kdig", "ldapsearch", "lftp", "lwp-request", "lynx", "mongo", "mongosh",
    "msfconsole", "mysql", "mysqldump", "nc", "ncat", "netcat", "nmap", "nping", "nslookup", "openssl", "pg_dump",
    "ping", "ping6", "proxychains", "psql", "rclone", "rdesktop", "redis-cli", "smbclient", "smbmap", "snmpwalk",
    "socat", "swaks", "tcpdump", "telnet", "tftp", "tracepath", "traceroute", "tracert", "w3m", "websocat", "wget",
    "wget2", "whois", "xfreerdp", "xh",
];

/// Commands whose arguments are hosts, where they are the first word.
const CONNECT_FIRST: [&str; 8] =
    ["fetch", "host", "http", "https", "invoke-restmethod", "invoke-webrequest", "links", "resolvectl"];

/// Commands that go to `user@host` or `host:path`.
const LOG_IN: [&str; 12] = [
    "autossh",
    "mosh",
    "plink",
    "pscp",
    "rsync",
    "scp",
    "sftp",
    "slogin",
    "ssh",
    "ssh-copy-id",
    "ssh-keyscan",
    "sshpass",
];

/// Commands that go to `host:path`, while their other words are words.
const VERSIONS: [&str; 3] = ["git", "hg", "svn"];

/// Words that another command follows.
const WRAPPERS: [&str; 12] =
    ["command", "do", "doas", "env", "exec", "nohup", "run", "sudo", "then", "time", "timeout", "xargs"];

/// Longest name of a command that connects, in bytes.
const NAME_BYTES_MAX: usize = 18;

/// Least number that a command's argument is read as an address from: smaller ones are times and counts.
const NUMBER_MIN: u64 = 1 << 24;

/// What kind of command the words at hand belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Connect,
    LogIn,
    Versions,
}

/// What is around the words at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outer {
    /// The text.
    None,
    /// A substitution in the arguments of a command, or of none that is known.
    Some(Option<Command>),
}

/// What is known of the words before.
#[derive(Debug)]
pub(super) struct Words {
    only_commands: bool,
    /// Whether the text is nothing but hosts.
    list: bool,
    command: Option<Command>,
    /// What is around them.
    outer: Outer,
    /// Whether a command may begin here.
    open: bool,
    /// Whether the word before was an option, whose value this word may be.
    option: bool,
    /// Arguments of the command so far that are no options.
    arguments: usize,
    /// Whether the line goes on behind its end.
    goes_on: bool,
}

impl Words {
    pub(super) fn new(text: &str, only_commands: bool) -> Self {
        let list = !only_commands && is_list(text);
        Self {
            only_commands,
            list,
            command: None,
            outer: Outer::None,
            open: true,
            option: false,
            arguments: 0,
            goes_on: false,
        }
    }

    /// What stands between two stretches.
    pub(super) fn gap(&mut self, gap: &str) {
        if gap.contains(['\n', '\r']) && !self.goes_on {
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.command = None;
        self.open = true;
        self.option = false;
        self.arguments = 0;
    }

    /// A command begins within the arguments of another.
    fn enter(&mut self) {
        self.outer = Outer::Some(self.command);
        self.begin();
    }

    fn leave(&mut self) {
        if let Outer::Some(outer) = std::mem::replace(&mut self.outer, Outer::None) {
            self.begin();
            self.command = outer;
            self.open = false;
        }
    }

    /// Whether URLs are of interest here.
    pub(super) fn reads_urls(&self) -> bool {
        !self.only_commands || self.command.is_some()
    }

    /// Reads addresses in brackets without a scheme; returns where they stand.
    pub(super) fn brackets(&self, scan: &mut Scan<'_, '_>, chunk: Range<usize>) -> Vec<Range<usize>> {
        let mut taken = Vec::new();
        for (offset, _) in scan.slice(chunk.clone()).match_indices('[') {
            let at = chunk.start + offset;
            let before = at.checked_sub(1).and_then(|before| scan.byte(before));
            let starts = before.is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'`(<=,@".contains(&byte));
            let rest = scan.text.as_bytes().get(at..chunk.end).unwrap_or_default();
            let Some(len) = bracketed(rest).filter(|_| starts && self.reads_urls()) else { continue };
            if v6(scan.slice(at + 1..at + len - 1)).is_some() {
                let sure = self.command.is_some() || matches!(rest.get(len), None | Some(b':' | b'/'));
                scan.add(at..at + len, place(sure, true));
                taken.push(at..at + len);
            }
        }
        taken
    }

    /// Reads the words of a stretch without white space, but for what is taken already.
    pub(super) fn chunk(&mut self, scan: &mut Scan<'_, '_>, chunk: Range<usize>, taken: &[Range<usize>]) {
        self.goes_on = scan.slice(chunk.clone()) == "\\";
        let mut taken = taken.iter().peekable();
        let (mut start, mut covered) = (chunk.start, chunk.start);
        for at in chunk.clone().chain(std::iter::once(chunk.end)) {
            let byte = scan.byte(at).filter(|_| at < chunk.end);
            if byte.is_some_and(|byte| !is_soft(byte) && !matches!(byte, b'=' | b'&')) {
                continue;
            }
            let free = covered <= start;
            let mut end = at;
            while let Some(range) = taken.next_if(|range| range.start < at) {
                end = end.min(range.start.max(start));
                covered = covered.max(range.end);
            }
            if free && start < end {
                self.word(scan, start..end);
            }
            if covered > start {
                self.arguments += 1;
                self.open = false;
            }
            start = at + 1;
            match byte {
                Some(b'(') if at > 0 && scan.byte(at - 1) == Some(b'$') => self.enter(),
                Some(b'`') if self.outer == Outer::None => self.enter(),
                Some(b')' | b'`') => self.leave(),
                Some(b';' | b'|' | b'&' | b'(') => self.begin(),
                _ => {}
            }
        }
    }

    fn word(&mut self, scan: &mut Scan<'_, '_>, range: Range<usize>) {
        let text = scan.slice(range.clone());
        if text.starts_with('-') {
            self.option = true;
            return;
        }
        let base = base(text);
        if let Some(command) = command(base, self.open) {
            self.begin();
            self.open = false;
            self.command = Some(command);
            return;
        }
        self.open &= is_listed(base, &WRAPPERS);
        if text.contains("/dev/") {
            device(scan, range.clone());
        }
        match self.command {
            Some(command) => self.argument(scan, range, command),
            None if self.only_commands => {}
            None if text.contains(['.', ':', '\u{3002}']) || self.list => {
                self.plain(scan, trimmed(text, range.start).0);
            }
            None => {}
        }
        self.option = false;
        self.arguments += 1;
    }

    fn argument(&self, scan: &mut Scan<'_, '_>, range: Range<usize>, command: Command) {
        let text = scan.slice(range.clone());
        if let Some(user) = text.rfind('@') {
            // An `@` in what is sent is more likely a file or a mail address.
            let sure = command != Command::Connect || user == 0 || text.get(..user).is_some_and(|u| u.contains(':'));
            let at = range.start + user + 1;
            let end = scan.slice(at..range.end).find([':', '/']).map_or(range.end, |end| at + end);
            let written = is_host(scan.slice(at..end)).is_some();
            if command == Command::LogIn || written || (command == Command::Versions && end < range.end) {
                scan.add(at..end, place(sure, command == Command::Connect));
            }
            return;
        }
        let goes_to = command != Command::Connect;
        let colon = text.find(':').filter(|colon| goes_to && *colon > 1 && !text.starts_with(['.', '/', '\\', '~']));
        if let Some(colon) = colon.filter(|colon| !text.get(..*colon).is_some_and(|host| host.contains('/'))) {
            let sure = command == Command::LogIn || text.get(..colon).is_some_and(|host| host.contains('.'));
            return scan.add(range.start..range.start + colon, place(sure, false));
        }
        if command == Command::Versions {
            return;
        }
        let end = text.find(['/', '?', '#']).map_or(range.end, |end| range.start + end);
        let host = range.start..end;
        if command == Command::LogIn && self.arguments == 0 && !self.option && !text.contains(['/', '.']) {
            return scan.add(host, place(false, false));
        }
        self.operand(scan, host, end < range.end);
    }

    /// An argument of a command that connects: a host with or without a port, several between colons, or
    /// an address in any form.
    fn operand(&self, scan: &mut Scan<'_, '_>, range: Range<usize>, path: bool) {
        let mut at = range.start;
        for piece in scan.slice(range).split(':') {
            let end = at + piece.len();
            // The end of a name whose beginning a command makes up.
            let piece = piece.trim_start_matches('.');
            let at_name = end - piece.len();
            let number = piece.parse::<u64>().map_or(is_hex(piece), |number| number >= NUMBER_MIN);
            let short = piece.contains('.') && piece.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            match is_host(piece) {
                Some(ending) => scan.add(at_name..end, place(ending != Ending::Either || path, true)),
                None if piece == "localhost" => scan.add(at_name..end, place(true, true)),
                None if (number || short) && !self.option => {
                    scan.add(at_name..end, place(v4_plain(piece).is_some(), true));
                }
                None if piece.contains(['$', '%', '{']) => scan.add(at_name..end, place(true, true)),
                None => {}
            }
            at = end + 1;
        }
    }

    /// A word that belongs to no command.
    fn plain(&self, scan: &mut Scan<'_, '_>, range: Range<usize>) {
        let text = scan.slice(range.clone());
        if let Some(user) = text.find('@') {
            // `user@host:path`, and no mail address before a colon.
            let rest = text.get(user + 1..).unwrap_or_default();
            let path = rest.find(':').filter(|colon| rest.len() > colon + 1);
            if let Some(colon) = path {
                let at = range.start + user + 1;
                scan.add(at..at + colon, place(text.starts_with("git@"), false));
            }
            return;
        }
        let end = text.find(['/', '?', '#']).map_or(range.end, |end| range.start + end);
        let host = scan.slice(range.start..end);
        if self.list {
            if v6(text).is_some() {
                // Without a digit it may as well be a name in code.
                let sure = text.contains(|char: char| char.is_ascii_digit());
                return scan.add_address(range, place(sure, true));
            }
            let sure = written(text).is_some_and(|ending| ending != Ending::Either);
            return scan.host(range.start..end, place(sure, true));
        }
        let named = host.split(':').next().unwrap_or(host);
        let www = named.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
        let known = match is_host(named) {
            Some(Ending::Known) => true,
            Some(Ending::Country) => end < range.end || host.len() > named.len(),
            _ => v4_plain(named).is_some(),
        };
        if www || known {
            scan.host(range.start..end, place(www && is_host(named).is_some(), true));
        }
    }
}

/// A connection that bash opens as if it were a file.
fn device(scan: &mut Scan<'_, '_>, range: Range<usize>) {
    let text = scan.slice(range.clone());
    for device in ["/dev/tcp/", "/dev/udp/"] {
        if let Some((before, rest)) = text.split_once(device) {
            let at = range.start + before.len() + device.len();
            let end = at + rest.find('/').unwrap_or(rest.len());
            scan.add(at..end, place(true, false));
        }
    }
}

fn place(sure: bool, dotted: bool) -> Place<'static> {
    Place { scheme: "", sure, inner: false, dotted }
}

/// The word without the signs of a sentence around it.
fn trimmed(text: &str, start: usize) -> (Range<usize>, &str) {
    let head = text.trim_start_matches(['*', '_']);
    let word = head.trim_end_matches(['.', ',', ':', '!', '?', '*', '_']);
    let from = start + text.len() - head.len();
    (from..from + word.len(), word)
}

/// The name of a program in a path.
fn base(text: &str) -> &str {
    let base = text.rsplit(['/', '\\']).next().unwrap_or(text);
    base.strip_suffix(".exe").unwrap_or(base)
}

/// Whether a word is on a sorted list, whatever its case.
fn is_listed(word: &str, list: &[&str]) -> bool {
    let small = || word.bytes().map(|byte| byte.to_ascii_lowercase());
    list.binary_search_by(|known| known.bytes().cmp(small())).is_ok()
}

/// The last letters of the commands, as bits, by their first letter: most words are none by that.
#[allow(clippy::indexing_slicing)] // Made by the compiler, which would tell.
static ENDS: [u32; 32] = {
    let mut ends = [0; 32];
    let lists: [&[&str]; 4] = [&CONNECT, &CONNECT_FIRST, &LOG_IN, &VERSIONS];
    let mut list = 0;
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            let name = lists[list][at].as_bytes();
            ends[name[0] as usize % 32] |= 1 << (name[name.len() - 1] % 32);
            at += 1;
        }
        list += 1;
    }
    ends
};

fn command(base: &str, open: bool) -> Option<Command> {
    let listed = |list: &[&str]| is_listed(base, list);
    let ([first, .., last] | [first @ last]) = base.as_bytes() else { return None };
    let ends = ENDS.get(usize::from(first % 32)).copied().unwrap_or(0);
    if ends & 1 << (last % 32) == 0 || base.len() > NAME_BYTES_MAX {
        None
    } else if listed(&CONNECT) || (open && listed(&CONNECT_FIRST)) {
        Some(Command::Connect)
    } else if listed(&LOG_IN) {
        Some(Command::LogIn)
    } else {
        listed(&VERSIONS).then_some(Command::Versions)
    }
}

/// Whether there is a command that connects, and there are quotes inside of words, that a shell takes off.
pub(super) fn may_connect(text: &str) -> bool {
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'\\');
    let (mut word, mut inside, mut known, mut after) = (String::new(), false, false, false);
    for byte in text.bytes().chain([b' ']) {
        if is_quote(byte) {
            after |= !word.is_empty();
        } else if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            inside |= after;
            after = false;
            if word.len() <= NAME_BYTES_MAX {
                word.push(char::from(byte));
            }
        } else {
            known = known || command(&word, true).is_some();
            after &= byte == b'.';
            inside |= after;
            word.clear();
        }
        if known && inside {
            return true;
        }
    }
    false
}

fn is_hex(text: &str) -> bool {
    let numbers = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    numbers.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b'x' | b'X')))
}

/// Whether a word is a host's name with a dot by its form, and what its last label says.
fn is_host(word: &str) -> Option<Ending> {
    if word.is_ascii() && !word.contains("xn--") {
        let word = word.trim_end_matches('.');
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let label = word.rsplit_once('.').map(|(_, label)| label).filter(|_| word.bytes().all(sound))?;
        if label.starts_with(|char: char| char.is_ascii_digit()) {
            return v4_plain(word).map(|_| Ending::Known);
        }
        let labels = word.split('.').all(|label| (1..=63).contains(&label.len()));
        return Some(ending(&label.to_ascii_lowercase())).filter(|ending| labels && *ending != Ending::File);
    }
    let sound = |char: char| {
        if char.is_ascii() {
            char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')
        } else {
            char.is_alphanumeric()
        }
    };
    let dots = |char: char| matches!(char, '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{ad}');
    if word.starts_with('.') || !word.chars().all(|char| sound(char) || dots(char)) {
        return None;
    }
    let name = names(word).into_iter().next().filter(|name| name.contains('.') && !name.contains(".."))?;
    if is_address(&name) {
        return v4_plain(word).map(|_| Ending::Known);
    }
    let label = name.rsplit('.').next()?;
    Some(ending(label)).filter(|ending| *ending != Ending::File && name.split('.').all(|label| label.len() <= 63))
}

/// Whether a word is a host with or without port and path.
fn written(word: &str) -> Option<Ending> {
    let host = word.split(['/', '?', '#']).next().unwrap_or(word);
    if v6(word).is_some() {
        return Some(Ending::Known);
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let ported = match port {
        Some(port) => !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => false,
    };
    if port.is_some() && !ported {
        return None;
    }
    let short = name.starts_with("127.") || name.starts_with("0x7f.") || (ported && name.contains('.'));
    if name == "localhost" || (short && names(name).first().is_some_and(|name| is_address(name))) {
        return Some(Ending::Known);
    }
    is_host(name).map(|ending| if ported { Ending::Known } else { ending })
}

/// Whether a text is nothing but hosts.
fn is_list(text: &str) -> bool {
    let signs = |char: char| char.is_whitespace() || u8::try_from(char).is_ok_and(is_soft);
    let mut words = text.split(signs).filter(|word| !word.is_empty()).peekable();
    words.peek().is_some() && words.all(|word| written(trimmed(word, 0).1).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        for list in [&CONNECT[..], &CONNECT_FIRST, &LOG_IN, &VERSIONS, &WRAPPERS] {
            assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
        }
    }
}
