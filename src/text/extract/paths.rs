//! File paths in one form, so that a pattern sees where they lead and not how they are written.
//!
//! The form has `/` between names and none at the end, no `.`, no `..` but at the start of a relative path, small
//! drive letters (`c:/x`), `//host/share` for a network share, `~` for home. Links are not followed but for
//! those that every system has: there is no file system here. A path that systems read in several ways has several
//! readings.

use std::borrow::Cow;

use super::reading::{Reading, percent_undone};

/// How often percent signs are undone in a path.
const PERCENT_DEPTH_MAX: usize = 2;

/// What stands for the home directory.
const HOMES: [&str; 8] = [
    "$HOME",
    "${HOME}",
    "%USERPROFILE%",
    "%HOMEDRIVE%%HOMEPATH%",
    "%HOMEPATH%",
    "%HOME%",
    "$env:USERPROFILE",
    "$env:HOME",
];

/// What stands for the working directory.
const HERE: [&str; 6] = ["$PWD", "${PWD}", "$(pwd)", "`pwd`", "%CD%", "~+"];

/// Schemes of URLs that are read as a path behind them.
const LOCAL: [&str; 9] = ["compress.bzip2", "compress.zlib", "file", "glob", "local", "netdoc", "phar", "rar", "zip"];

/// The form of a path that patterns are matched against: of several readings the one in which the most is
/// undone. `None` for white space.
///
/// ```
/// use haltline::text::extract::path;
/// assert_eq!(path("/work/%2e%2e/etc//passwd").as_deref(), Some("/etc/passwd"));
/// assert_eq!(path("..\\x").as_deref(), Some("../x"));
/// ```
#[must_use]
pub fn path(text: &str) -> Option<String> {
    readings(text).into_iter().next().map(|reading| reading.text)
}

/// Every reading of a path, each once, that of [`path`] first: as written and with percent signs and other
/// widths undone, with backslashes as separators and as letters, with and without the links of `/proc`. At most a
/// few dozen, one for a plain path.
#[must_use]
pub fn paths(text: &str) -> Vec<String> {
    readings(text).into_iter().map(|reading| reading.text).collect()
}

/// Whether a path leaves what it starts from, in any reading: `../x`, `a/../../x`, `/work/../../etc`.
#[must_use]
pub fn is_above_root(text: &str) -> bool {
    readings(text).iter().any(|reading| reading.above)
}

/// One reading of a path.
struct Resolved {
    text: String,
    /// Whether it climbs above where it starts.
    above: bool,
}

/// How a path is read.
#[derive(Clone, Copy)]
struct Manner {
    /// As Windows and lax web servers do: backslashes separate, dots and spaces at the end of a name are
    /// nothing, `..;x` is `..`.
    lax: bool,
    /// Whether the links that every system has are followed.
    links: bool,
}

fn readings(text: &str) -> Vec<Resolved> {
    let mut found: Vec<Resolved> = Vec::new();
    for form in forms(text) {
        for (lax, links) in [(true, true), (true, false), (false, true), (false, false)] {
            let Some(new) = resolved(&form, Manner { lax, links }) else { continue };
            match found.iter_mut().find(|known| known.text == new.text) {
                Some(known) => known.above |= new.above,
                None => found.push(new),
            }
        }
    }
    found
}

/// The text as written and with ever more undone, the last first.
fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    let mut undo = |step: &dyn Fn(&str) -> Option<String>| {
        let next = forms.last().and_then(|latest| step(latest));
        forms.extend(next);
    };
    undo(&plain_signs);
    for _ in 0..PERCENT_DEPTH_MAX {
        undo(&percent_undone);
    }
    undo(&plain_signs);
    // Programs in C end a text where others pass a zero on.
    let ends = |form: String| match form.split_once('\0') {
        Some((head, _)) => vec![form.replace('\0', ""), head.to_owned()],
        None => vec![form],
    };
    forms.into_iter().flat_map(ends).rev().collect()
}

/// Slashes and dots of other widths as the plain ones that lax conversions make of them.
fn plain_signs(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let plain = Reading::raw(text).plain_widths().map_or_else(|| text.to_owned(), |reading| reading.text.into_owned());
    let plain = plain.replace(['\u{2044}', '\u{2215}', '\u{29f8}'], "/").replace(['\u{2216}', '\u{29f5}'], "\\");
    (plain != text).then_some(plain)
}

fn resolved(form: &str, manner: Manner) -> Option<Resolved> {
    let text = unquoted(form.trim_matches(|char: char| char.is_whitespace() || char.is_control()));
    if text.is_empty() {
        return None;
    }
    let text = expanded(local(text, manner.lax), manner.lax);
    let (root, rest) = root(&text, manner.lax);
    // With backslashes alone, or behind a drive, they can only be separators.
    let windows = matches!(root, Root::Drive(..)) || (text.contains('\\') && !text.contains('/'));
    if windows && !manner.lax {
        return None;
    }
    let mut walk = Walk { root, names: Vec::new(), above: false, links: manner.links };
    for name in rest.split(|char| char == '/' || (manner.lax && char == '\\')) {
        walk.step(if manner.lax { lax_name(name) } else { name });
    }
    Some(Resolved { text: walk.text(), above: walk.above })
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).filter(|inside| !inside.is_empty()).unwrap_or(text)
}

/// Takes off the schemes of URLs that name local files.
fn local(text: &str, lax: bool) -> Cow<'_, str> {
    let mut text = text;
    while let Some((scheme, rest)) = text.split_once(':') {
        let scheme = scheme.to_ascii_lowercase();
        let inner = rest.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("file:"));
        if scheme == "php"
            && let Some((_, resource)) = rest.split_once("resource=")
        {
            text = resource;
        } else if inner && scheme.len() > 1 {
            text = rest;
        } else if LOCAL.contains(&scheme.as_str()) && (scheme == "file" || rest.starts_with("//")) {
            return of_file_url(rest, lax);
        } else {
            break;
        }
    }
    Cow::Borrowed(text)
}

/// The path of a URL behind its `file:`.
fn of_file_url(rest: &str, lax: bool) -> Cow<'_, str> {
    let slash = |char: char| char == '/' || (lax && char == '\\');
    let path = rest.trim_start_matches(slash);
    let slashes = rest.len() - path.len();
    let path = if lax { path.split(['?', '#']).next().unwrap_or(path) } else { path };
    let (host, tail) = path.split_at(path.find(slash).unwrap_or(path.len()));
    let drive = matches!(host.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic());
    match slashes {
        _ if drive => format!("{}{tail}", host.replace('|', ":")).into(),
        0 => path.into(),
        2 if ["localhost", "127.0.0.1", "[::1]"].contains(&host.to_ascii_lowercase().as_str()) => tail.into(),
        2 if host.starts_with(['~', '.', '$', '%']) || !lax => path.into(),
        2 => format!("\\\\{path}").into(),
        1 | 3 => format!("/{path}").into(),
        _ if lax => format!("\\\\{path}").into(),
        _ => format!("/{path}").into(),
    }
}

/// What starts with a name for a place, with the place.
fn expanded(text: Cow<'_, str>, lax: bool) -> Cow<'_, str> {
    let slash = |char: char| char == '/' || (lax && char == '\\');
    let below = |name: &str| {
        let head = text.get(..name.len())?;
        let rest = text.get(name.len()..)?;
        let ends = rest.is_empty() || rest.starts_with(slash) || name.ends_with(['}', '%', ')', '`']);
        (head.eq_ignore_ascii_case(name) && ends).then_some(rest)
    };
    let place = |names: &[&str]| names.iter().find_map(|name| below(name));
    if let Some(rest) = place(&HOMES) {
        return format!("~{rest}").into();
    }
    if let Some(rest) = place(&HERE) {
        return format!(".{rest}").into();
    }
    if let Some(rest) = below("~root") {
        return format!("/root{rest}").into();
    }
    for device in ["\\\\?\\", "\\\\.\\", "\\??\\", "//?/", "//./"] {
        if let Some(rest) = text.strip_prefix(device).filter(|_| lax) {
            let share =
                rest.get(..4).filter(|head| head.eq_ignore_ascii_case("unc\\") || head.eq_ignore_ascii_case("unc/"));
            return share.map_or(rest.to_owned(), |head| rest.replacen(head, "\\\\", 1)).into();
        }
    }
    text
}

/// What a path starts from.
enum Root {
    /// The working directory, whatever it is.
    Relative,
    /// `/`.
    Slash,
    /// Somebody's home.
    Home(String),
    /// A drive, and whether the path starts at its top.
    Drive(char, bool),
    /// A share of a host, or a bucket: nothing is above it.
    Top(String),
}

/// What a path starts from, and the rest.
fn root(text: &str, lax: bool) -> (Root, &str) {
    let slash = |char: char| char == '/' || (lax && char == '\\');
    let cut = |text: &str| text.find(slash).unwrap_or(text.len());
    if let Some((host, rest)) = share(text).filter(|_| lax) {
        return (host, rest);
    }
    let mut letters = text.chars();
    if let (Some(letter), Some(':')) = (letters.next().filter(char::is_ascii_alphabetic), letters.next())
        && lax
    {
        let rest = letters.as_str();
        return (Root::Drive(letter.to_ascii_lowercase(), rest.starts_with(slash) || rest.is_empty()), rest);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let sound = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.');
        if scheme.len() > 1 && scheme.chars().all(sound) {
            let web = scheme.len() < 6 && scheme.to_ascii_lowercase().starts_with("http");
            let rest = if web { rest.split(['?', '#']).next().unwrap_or(rest) } else { rest };
            let (host, rest) = rest.split_at(cut(rest));
            return (Root::Top(format!("{scheme}://{host}").to_lowercase()), rest);
        }
    }
    if text.starts_with('~') {
        let (home, rest) = text.split_at(cut(text));
        return (Root::Home(home.to_owned()), rest);
    }
    (if text.starts_with(slash) { Root::Slash } else { Root::Relative }, text)
}

/// The share that a path with two backslashes starts from. The share of a drive of this machine is the drive.
fn share(text: &str) -> Option<(Root, &str)> {
    let slash = |char: char| char == '/' || char == '\\';
    let path = text.strip_prefix('\\')?.strip_prefix(slash)?.trim_start_matches(slash);
    let (host, rest) = path.split_at(path.find(slash)?);
    let rest = rest.trim_start_matches(slash);
    let (name, rest) = rest.split_at(rest.find(slash).unwrap_or(rest.len()));
    if host.is_empty() || name.is_empty() {
        return None;
    }
    let here = ["localhost", "127.0.0.1", "."].contains(&host.to_ascii_lowercase().as_str());
    if let (true, [letter, b'$']) = (here, name.as_bytes())
        && letter.is_ascii_alphabetic()
    {
        return Some((Root::Drive(char::from(letter.to_ascii_lowercase()), true), rest));
    }
    Some((Root::Top(format!("//{host}/{name}").to_lowercase()), rest))
}

/// A name as Windows and lax web servers read it.
fn lax_name(name: &str) -> &str {
    if let Some((dots @ ("." | ".."), _)) = name.split_once(';') {
        return dots;
    }
    let name = name.strip_suffix("::$DATA").or_else(|| name.strip_suffix("::$data")).unwrap_or(name);
    let trimmed = name.trim_end_matches([' ', '.']);
    if !trimmed.is_empty() {
        return trimmed;
    }
    match name.bytes().filter(|byte| *byte == b'.').count() {
        0 => "",
        1 => ".",
        _ => "..",
    }
}

/// A way through directories.
struct Walk<'t> {
    root: Root,
    names: Vec<&'t str>,
    above: bool,
    links: bool,
}

impl<'t> Walk<'t> {
    fn step(&mut self, name: &'t str) {
        match name {
            "" | "." => {}
            ".." => self.climb(),
            name => {
                self.names.push(name);
                if self.links && matches!(self.root, Root::Slash) {
                    self.follow();
                }
            }
        }
    }

    fn climb(&mut self) {
        if self.links && matches!(self.names.as_slice(), ["proc", _, "fd", _]) {
            // Above an open directory, wherever that is.
            self.root = Root::Relative;
            self.names = vec![".."];
            self.above = true;
        } else if self.names.last().is_some_and(|last| *last != "..") {
            self.names.pop();
        } else {
            self.above = true;
            if matches!(self.root, Root::Relative | Root::Home(_) | Root::Drive(_, false)) {
                self.names.push("..");
            }
        }
    }

    /// Follows a link that every system has.
    fn follow(&mut self) {
        let process = |name: &str| matches!(name, "self" | "thread-self") || name.bytes().all(|b| b.is_ascii_digit());
        match self.names.as_slice() {
            ["proc", id, "root"] | ["proc", id, "task", _, "root"] if process(id) => self.names.clear(),
            ["proc", "self" | "thread-self", "cwd"] | ["proc", "self" | "thread-self", "task", _, "cwd"] => {
                self.root = Root::Relative;
                self.names.clear();
            }
            ["dev", "fd"] => self.names = vec!["proc", "self", "fd"],
            ["private", place @ ("etc" | "var" | "tmp")] => self.names = vec![place],
            _ => {}
        }
    }

    fn text(&self) -> String {
        let names = self.names.join("/");
        let below = |root: &str| if names.is_empty() { root.to_owned() } else { format!("{root}/{names}") };
        match &self.root {
            Root::Relative if names.is_empty() => ".".to_owned(),
            Root::Relative => names,
            Root::Slash => format!("/{names}"),
            Root::Home(home) => below(home),
            Root::Drive(letter, true) => format!("{letter}:/{names}"),
            Root::Drive(letter, false) => format!("{letter}:{names}"),
            Root::Top(top) => below(top),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_rows;
    use super::*;

    fn check(rows: &[(&str, &str)]) {
        check_rows(rows, |text| path(text).unwrap_or_default());
    }

    #[test]
    fn paths_have_one_form() {
        check(&[
            ("/etc/passwd", "/etc/passwd"),
            ("/etc//passwd", "/etc/passwd"),
            ("//etc/passwd", "/etc/passwd"),
            ("/etc/./passwd/.", "/etc/passwd"),
            ("/work/../etc/passwd", "/etc/passwd"),
            ("/work/a/../../etc/passwd", "/etc/passwd"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/work/", "/work"),
            ("/", "/"),
            ("/..", "/"),
            ("a/b", "a/b"),
            ("./a/../b", "b"),
            ("../x", "../x"),
            ("a/../../x", "../x"),
            ("../../a/../x", "../../x"),
            (".", "."),
            ("a/..", "."),
            ("  /etc/passwd \n", "/etc/passwd"),
            ("\"/etc/passwd\"", "/etc/passwd"),
            ("hello world", "hello world"),
            ("na\u{ef}ve/\u{65e5}\u{672c}", "na\u{ef}ve/\u{65e5}\u{672c}"),
            ("100%", "100%"),
            ("", ""),
            ("  ", ""),
        ]);
    }

    #[test]
    fn encodings_are_undone() {
        check(&[
            ("%2e%2e%2fetc", "../etc"),
            ("%252e%252e%252fetc", "../etc"),
            ("/work/..%2f..%2fetc/passwd", "/etc/passwd"),
            ("/work/%2e%2e/etc", "/etc"),
            ("/work/%c0%ae%c0%ae%c0%afetc", "/etc"),
            ("/work/%e0%80%ae%e0%80%ae/etc", "/etc"),
            ("/work/%u002e%u002e/etc", "/etc"),
            ("/work/..%5c..%5cetc", "/etc"),
            ("/work/..;/etc", "/etc"),
            ("/work/..;a=b/etc", "/etc"),
            ("/work/..%3b/etc", "/etc"),
            ("/work/\u{ff0e}\u{ff0e}\u{ff0f}etc", "/etc"),
            ("/work/\u{2025}/etc", "/etc"),
            ("/work/..\u{2215}..\u{2215}etc", "/etc"),
            ("/work/%ef%bc%8e%ef%bc%8e%ef%bc%8fetc", "/etc"),
            ("/work/\u{ff05}2e\u{ff05}2e/etc", "/etc"),
            ("/etc/passwd%00.png", "/etc/passwd"),
            ("/etc/passwd\0.png", "/etc/passwd"),
            ("a%20b", "a b"),
            ("....//....//etc/passwd", "../../etc/passwd"),
            ("/work/.../etc", "/etc"),
        ]);
    }

    #[test]
    fn windows_is_read_as_windows_does() {
        check(&[
            ("..\\x", "../x"),
            ("a\\..\\..\\x", "../x"),
            ("C:\\Users\\x\\..\\y", "c:/Users/y"),
            ("C:/a/../../b", "c:/b"),
            ("c:", "c:/"),
            ("C:x", "c:x"),
            ("C:..\\x", "c:../x"),
            ("\\Windows\\System32", "/Windows/System32"),
            ("C:\\x.txt. .", "c:/x.txt"),
            ("/etc/passwd. . ", "/etc/passwd"),
            ("C:\\a\\.. \\b", "c:/b"),
            ("C:\\x.txt::$DATA", "c:/x.txt"),
            ("\\\\Host\\Share\\a\\..\\b", "//host/share/b"),
            ("\\\\host\\share\\..\\..\\x", "//host/share/x"),
            ("\\\\?\\C:\\x", "c:/x"),
            ("\\\\.\\C:\\x", "c:/x"),
            ("\\??\\C:\\x", "c:/x"),
            ("//?/C:/x", "c:/x"),
            ("\\\\?\\UNC\\host\\share\\x", "//host/share/x"),
            ("\\\\localhost\\C$\\x", "c:/x"),
            ("\\\\127.0.0.1\\d$\\..\\x", "d:/x"),
        ]);
    }

    #[test]
    fn places_have_names() {
        check(&[
            ("~", "~"),
            ("~/.ssh/id_rsa", "~/.ssh/id_rsa"),
            ("$HOME/.ssh", "~/.ssh"),
            ("${HOME}/.ssh", "~/.ssh"),
            ("%USERPROFILE%\\.ssh", "~/.ssh"),
            ("$env:USERPROFILE\\x", "~/x"),
            ("$HOMER/x", "$HOMER/x"),
            ("~/a/../../bob", "~/../bob"),
            ("~bob/x", "~bob/x"),
            ("~root/.ssh", "/root/.ssh"),
            ("$PWD/x", "x"),
            ("$(pwd)/../x", "../x"),
            ("$TMPDIR/../x", "x"),
        ]);
    }

    #[test]
    fn urls_of_files_are_paths() {
        check(&[
            ("file:///etc/passwd", "/etc/passwd"),
            ("FILE:///etc/passwd", "/etc/passwd"),
            ("file:/etc/passwd", "/etc/passwd"),
            ("file://localhost/etc/passwd", "/etc/passwd"),
            ("file://127.0.0.1/etc/passwd", "/etc/passwd"),
            ("file://host/share/x", "//host/share/x"),
            ("file:////host/share/x", "//host/share/x"),
            ("file:///C:/x", "c:/x"),
            ("file:///C|/x", "c:/x"),
            ("file://C:/x", "c:/x"),
            ("file:///work/%2e%2e/etc/passwd?x#y", "/etc/passwd"),
            ("file:x", "x"),
            ("file://../etc", "../etc"),
            ("file://~/x", "~/x"),
            ("view-source:file:///etc/passwd", "/etc/passwd"),
            ("jar:file:///a.jar!/x", "/a.jar!/x"),
            ("php://filter/convert.base64-encode/resource=/etc/passwd", "/etc/passwd"),
            ("phar:///tmp/x.phar", "/tmp/x.phar"),
            ("https://Evil.example/a/../b?c#d", "https://evil.example/b"),
            ("s3://bucket/../x", "s3://bucket/x"),
        ]);
    }

    #[test]
    fn links_that_all_systems_have_are_followed() {
        check(&[
            ("/proc/self/root/etc/passwd", "/etc/passwd"),
            ("/proc/self/root/proc/self/root/etc/passwd", "/etc/passwd"),
            ("/proc/thread-self/root/etc/passwd", "/etc/passwd"),
            ("/proc/1/root/etc/shadow", "/etc/shadow"),
            ("/proc/self/task/12/root/etc", "/etc"),
            ("/proc/self/cwd/x", "x"),
            ("/proc/self/cwd/../x", "../x"),
            ("/proc/self/environ", "/proc/self/environ"),
            ("/dev/fd/../root/etc/passwd", "/etc/passwd"),
            ("/dev/fd/../environ", "/proc/self/environ"),
            ("/dev/fd/3/../x", "../x"),
            ("/dev/fd/3", "/proc/self/fd/3"),
            ("/private/etc/passwd", "/etc/passwd"),
            ("/work/../proc/self/root/../etc", "/etc"),
        ]);
    }

    #[test]
    fn other_readings_are_given_as_well() {
        let rows: [(&str, &[&str]); 9] = [
            ("/work/a.txt", &["/work/a.txt"]),
            ("sub\\a.txt", &["sub/a.txt"]),
            ("C:\\work\\a.txt", &["c:/work/a.txt"]),
            ("/etc/x.d/..\\..\\..\\work\\a.sh", &["/work/a.sh", "/etc/x.d/..\\..\\..\\work\\a.sh"]),
            ("/etc/x.d/..%2f..%2f..%2fwork%2fa.sh", &["/work/a.sh", "/etc/x.d/..%2f..%2f..%2fwork%2fa.sh"]),
            ("/proc/1/root/work", &["/work", "/proc/1/root/work"]),
            ("/a/..;/b", &["/b", "/a/..;/b"]),
            ("/work/x\0/../y", &["/work/x", "/work/y"]),
            ("file:///a#/../../b", &["/a", "/b"]),
        ];
        for (text, want) in rows {
            assert_eq!(paths(text), want, "{text:?}");
        }
    }

    #[test]
    fn climbing_is_known() {
        for text in
            ["../x", "..", "a/../../x", "/work/../../etc", "/..", "~/..", "C:\\..\\x", "C:..", "%2e%2e/x", "..;/x"]
        {
            assert!(is_above_root(text), "{text}");
        }
        for text in ["x", "a/../b", "/work/../etc", "..x", "x..", "/", "~", "", "a..b/c", "https://a.example/b"] {
            assert!(!is_above_root(text), "{text}");
        }
    }
}
