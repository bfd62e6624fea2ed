//! One form for the many ways to write a host's name.
//!
//! The form is lower case, without a dot at the end, with letters where `xn--` labels stand for letters, and
//! with addresses in their usual form. Letters that only look alike are kept apart: to a name server they are other
//! names, and a list of allowed hosts must not let them in.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::address::{self, v4_readings, v4_text, v6, v6_text};
use super::punycode;
use super::reading::percent_undone;

/// How often percent signs are undone in a host.
const PERCENT_DEPTH_MAX: usize = 2;

/// So many names are looked through for the same name again.
const FEW: usize = 16;

/// Names that stand for this machine or for a network that is not reached from outside.
const PRIVATE: [&str; 11] =
    ["localhost", "localdomain", "local", "internal", "intranet", "corp", "lan", "home", "home.arpa", "private", "svc"];

/// Schemes whose hosts are names of buckets.
pub(super) const BUCKETS: [&str; 10] = ["abfs", "abfss", "az", "gs", "oss", "r2", "s3", "s3a", "s3n", "wasbs"];

/// Every name that programs read in what stands in a host's place, the likeliest first. Where there are signs
/// that no host may have, some programs end there and some begin there: the pieces count that are names.
pub(super) fn names(raw: &str) -> Vec<String> {
    let mut found = Vec::new();
    let undone = percent_free(raw);
    let bracketed = undone.strip_prefix('[').and_then(|rest| rest.split(']').next()).and_then(v6);
    if let Some(address) = bracketed {
        return vec![v6_text(address)];
    }
    let mapped = mapped(&undone);
    add_pieces(&mapped, &mut found);
    if !mapped.is_ascii() {
        for other in other_mappings(&mapped) {
            add_pieces(&other, &mut found);
        }
    }
    found
}

fn percent_free(raw: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(raw);
    for _ in 0..PERCENT_DEPTH_MAX {
        match percent_undone(&text) {
            Some(undone) => text = Cow::Owned(undone),
            None => break,
        }
    }
    text
}

/// The letters that a name server is asked for.
fn mapped(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let seen = text.chars().filter(|char| !is_ignored(*char));
    let folded: String = seen.nfkc().flat_map(char::to_lowercase).collect();
    folded.nfkc().map(|char| if is_dot(char) { '.' } else { char }).filter(|char| !is_ignored(*char)).collect()
}

fn is_dot(char: char) -> bool {
    matches!(char, '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{fe52}')
}

fn is_ignored(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{2064}' | '\u{feff}' | '\u{34f}' | '\u{180b}'..='\u{180d}' | '\u{fe00}'..='\u{fe0f}')
}

/// What older rules make of letters that newer ones keep, and the name alone where other writing follows
/// it without a gap.
fn other_mappings(mapped: &str) -> Vec<String> {
    let mut others = Vec::new();
    if mapped.contains(['\u{df}', '\u{3c2}', '\u{200c}', '\u{200d}']) {
        let older = mapped.replace('\u{df}', "ss").replace('\u{3c2}', "\u{3c3}");
        others.push(older.replace(['\u{200c}', '\u{200d}'], ""));
    }
    let plain = mapped.find(|char: char| !char.is_ascii()).and_then(|end| mapped.get(..end));
    let ends_in_label = |plain: &&str| plain.ends_with(|char: char| char.is_ascii_alphanumeric() || char == '.');
    others.extend(plain.filter(|plain| plain.contains('.')).filter(ends_in_label).map(str::to_owned));
    others
}

/// Whether a character can stand in a name.
fn is_part(char: char) -> bool {
    if char.is_ascii() {
        char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')
    } else {
        !char.is_whitespace() && !char.is_control()
    }
}

fn add_pieces(text: &str, found: &mut Vec<String>) {
    let pieces =
        || text.split(|char: char| !is_part(char)).map(|piece| piece.trim_matches('.')).filter(|p| !p.is_empty());
    let several = pieces().nth(1).is_some();
    for piece in pieces() {
        if !several || piece.contains('.') || piece == "localhost" {
            add_name(piece, found);
        }
    }
}

fn add_name(piece: &str, found: &mut Vec<String>) {
    let addresses = v4_readings(piece);
    if addresses.is_empty() {
        return add(letters(piece), found);
    }
    for address in addresses {
        add(v4_text(address), found);
    }
}

fn add(name: String, found: &mut Vec<String>) {
    // Among a few names, so that many take no longer than they have to.
    if found.len() > FEW || !found.contains(&name) {
        found.push(name);
    }
}

/// The name with its `xn--` labels as letters.
fn letters(name: &str) -> String {
    if !name.contains("xn--") {
        return name.to_owned();
    }
    let label = |label: &str| {
        let decoded = label.strip_prefix("xn--").and_then(punycode::decode);
        // What would be mapped to other letters is not reached by them, and stays a name of its own.
        decoded.filter(|letters| mapped(letters) == *letters).unwrap_or_else(|| label.to_owned())
    };
    name.split('.').map(label).collect::<Vec<_>>().join(".")
}

/// Whether a name or address is of this machine or of a network that is not reached from outside.
pub(super) fn is_private(name: &str, scheme: &str) -> bool {
    if let Some(address) = address::v4_plain(name) {
        return address::is_private_v4(address);
    }
    if let Some(address) = v6(name) {
        return address::is_private_v6(address);
    }
    if !name.contains('.') && !BUCKETS.contains(&scheme) {
        return true;
    }
    let below = |end: &&str| name.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    PRIVATE.iter().any(below) && !BUCKETS.contains(&scheme)
}

/// Whether a name is an address.
pub(super) fn is_address(name: &str) -> bool {
    address::v4_plain(name).is_some() || v6(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        let rows: [(&str, &[&str]); 33] = [
            ("Evil.Example.", &["evil.example"]),
            ("evil%2eexample", &["evil.example"]),
            ("%65vil%252eexample", &["evil.example"]),
            ("\u{ff45}vil\u{ff0e}example", &["evil.example"]),
            ("evil\u{3002}example", &["evil.example"]),
            ("evil\u{ff61}example", &["evil.example"]),
            ("\u{24d4}vil.example", &["evil.example"]),
            ("\u{1d41e}vil.example", &["evil.example"]),
            ("e\u{ad}vil\u{200b}.example", &["evil.example"]),
            ("xn--bcher-kva.example", &["b\u{fc}cher.example"]),
            ("B\u{dc}CHER.example", &["b\u{fc}cher.example"]),
            ("bu\u{308}cher.example", &["b\u{fc}cher.example"]),
            ("xn--acme-.example", &["xn--acme-.example"]),
            ("XN--BCHER-KVA.example", &["b\u{fc}cher.example"]),
            ("\u{430}cme.example", &["\u{430}cme.example"]),
            ("xn--cme-5cd.example", &["\u{430}cme.example"]),
            ("stra\u{df}e.example", &["stra\u{df}e.example", "strasse.example"]),
            ("a\u{200d}b.example", &["a\u{200d}b.example", "ab.example"]),
            ("127.1", &["127.0.0.1"]),
            ("\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}", &["127.0.0.1"]),
            ("0x7f.0.0.0x1", &["127.0.0.1"]),
            ("[::FFFF:127.0.0.1]", &["127.0.0.1"]),
            ("%5b::1%5d", &["::1"]),
            ("[fe80::1%25en0]", &["fe80::1"]),
            ("good.example%00.evil.example", &["good.example", "evil.example"]),
            ("good.example%2f@evil.example", &["good.example", "evil.example"]),
            ("evil.ca\u{2100}.good.example", &["evil.caa", "c.good.example"]),
            ("$(whoami).evil.example", &["evil.example"]),
            ("{{x}}.evil.example", &["evil.example"]),
            ("evil.example\u{8c22}\u{8c22}", &["evil.example\u{8c22}\u{8c22}", "evil.example"]),
            ("evil.example\u{ff0c}\u{8c22}\u{8c22}", &["evil.example"]),
            ("my_db-1", &["my_db-1"]),
            ("...", &[]),
        ];
        for (raw, want) in rows {
            assert_eq!(names(raw), want, "{raw}");
        }
    }

    #[test]
    fn private_names_are_known() {
        let rows = [
            ("localhost", "", true),
            ("a.localhost", "", true),
            ("printer.local", "", true),
            ("metadata.google.internal", "http", true),
            ("git.corp", "", true),
            ("x.home.arpa", "", true),
            ("nas.lan", "", true),
            ("redis", "redis", true),
            ("backups", "s3", false),
            ("notlocalhost.example", "", false),
            ("local.example", "", false),
            ("10.0.0.1", "", true),
            ("fe80::1", "", true),
            ("8.8.8.8", "", false),
        ];
        for (name, scheme, want) in rows {
            assert_eq!(is_private(name, scheme), want, "{name}");
        }
    }
}
