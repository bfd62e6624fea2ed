//! The URL of a harness's stop API, with the session's names in it: `https://harness/runs/{session}/stop`.
//!
//! Names come from strangers. They are percent-encoded, all but letters, digits and `-._~`, and stand in
//! the path or the query only, never in what decides where the request goes. A name that would turn a
//! segment of the path into `.` or `..` cannot be encoded away, since URLs resolve those; such a record
//! is given up and said, not sent somewhere else.

use std::fmt::Write as _;

use reqwest::Url;

use crate::halt::{HaltRecord, HaltState};

/// Longest reason that goes into a URL, in characters; what an operator wrote may be long.
const REASON_CHARS_MAX: usize = 200;

/// What may stand in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Tenant,
    Session,
    State,
    Id,
    Epoch,
    Reason,
}

const FIELDS: [(&str, Field); 6] = [
    ("tenant", Field::Tenant),
    ("session", Field::Session),
    ("state", Field::State),
    ("id", Field::Id),
    ("epoch", Field::Epoch),
    ("reason", Field::Reason),
];

/// The values that go into a URL.
pub(super) struct Values<'a> {
    pub(super) tenant: &'a str,
    pub(super) session: &'a str,
    pub(super) state: &'a str,
    pub(super) id: &'a str,
    pub(super) epoch: u64,
    pub(super) reason: &'a str,
}

impl<'a> Values<'a> {
    pub(super) fn of(record: &'a HaltRecord) -> Self {
        let state = match record.state {
            HaltState::Halted => "halted",
            HaltState::Running => "running",
        };
        let (tenant, session, id) = (&record.tenant, &record.session, &record.id);
        Self { tenant, session, state, id, epoch: record.epoch, reason: &record.reason }
    }

    fn get(&self, field: Field) -> String {
        match field {
            Field::Tenant => self.tenant.to_owned(),
            Field::Session => self.session.to_owned(),
            Field::State => self.state.to_owned(),
            Field::Id => self.id.to_owned(),
            Field::Epoch => self.epoch.to_string(),
            Field::Reason => self.reason.chars().take(REASON_CHARS_MAX).collect(),
        }
    }
}

#[derive(Clone)]
enum Piece {
    Text(String),
    Value(Field),
}

/// A URL with places for values. Has no `Debug`: URLs often hold a token.
#[derive(Clone)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// With a value in every place; says where all requests go.
    sample: Url,
}

impl Template {
    /// Reads a template. Errors do not repeat it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let authority = authority_end(text)?;
        let (fixed, open) = text.split_at(authority);
        if fixed.contains(['{', '}']) {
            return Err("expected placeholders in path and query only, got one in the scheme, host or port".to_owned());
        }
        if open.contains('#') {
            return Err("expected no `#`: what stands after it is never sent".to_owned());
        }
        let pieces = pieces(text)?;
        let sample = |_| "x".to_owned();
        let sample = Url::parse(&joined(&pieces, sample)).map_err(|error| format!("expected a URL: {error}"))?;
        let template = Self { pieces, sample };
        template.check_path(&sample_values())?;
        Ok(template)
    }

    /// Says where all requests go: scheme, host and port.
    pub(super) fn sample(&self) -> &Url {
        &self.sample
    }

    /// Whether any two sessions have different URLs.
    pub(super) fn names_the_session(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Value(Field::Session)))
    }

    /// The URL for these values.
    pub(super) fn fill(&self, values: &Values<'_>) -> Result<Url, String> {
        self.check_path(values)?;
        let text = joined(&self.pieces, |field| encoded(&values.get(field)));
        let url = Url::parse(&text).map_err(|error| format!("the template gives no URL: {error}"))?;
        if url.origin() == self.sample.origin() {
            Ok(url)
        } else {
            Err("the template gives a URL to another host".to_owned())
        }
    }

    /// No segment of the path may come out empty or as a step up or nowhere.
    fn check_path(&self, values: &Values<'_>) -> Result<(), String> {
        let text = joined(&self.pieces, |field| {
            let value = encoded(&values.get(field));
            if value.is_empty() { EMPTY.to_string() } else { value }
        });
        let path = text.get(authority_end(&text)?..).unwrap_or_default();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        for segment in path.split(['/', '\\']) {
            if segment.contains(EMPTY) {
                return Err("a value in the path of the URL is empty".to_owned());
            }
            if [".", ".."].contains(&&*segment.to_ascii_lowercase().replace("%2e", ".")) {
                return Err("a segment of the URL's path would be `.` or `..`, which names another path".to_owned());
            }
        }
        Ok(())
    }
}

/// Stands for an empty value while the path is checked; encoded values are ASCII.
const EMPTY: char = '\u{0}';

fn sample_values() -> Values<'static> {
    Values { tenant: "x", session: "x", state: "x", id: "x", epoch: 1, reason: "x" }
}

/// Where path, query or fragment begin.
fn authority_end(text: &str) -> Result<usize, String> {
    let scheme = ["https://", "http://"]
        .iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let expected = "expected `https://` or `http://` and a host";
    let start = scheme.map(|scheme| scheme.len()).ok_or(expected)?;
    let after = text.get(start..).unwrap_or_default();
    let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
    // URLs skip slashes before a host: what follows them would be taken for it.
    if end == 0 { Err(expected.to_owned()) } else { Ok(start + end) }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let known = || FIELDS.map(|(name, _)| format!("{{{name}}}")).join(", ");
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or("expected `}` after `{`, got none")?;
        let found = FIELDS.iter().find(|(known, _)| *known == name);
        let (_, field) = found.ok_or_else(|| format!("expected one of {}, got `{{{name}}}`", known()))?;
        pieces.extend([Piece::Text(before.to_owned()), Piece::Value(*field)]);
        rest = behind;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    let stray = pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains('}')));
    if stray { Err("expected `{` before `}`, got none".to_owned()) } else { Ok(pieces) }
}

fn joined(pieces: &[Piece], value: impl Fn(Field) -> String) -> String {
    pieces.iter().fold(String::new(), |mut text, piece| {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Value(field) => text.push_str(&value(*field)),
        }
        text
    })
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values<'a>(tenant: &'a str, session: &'a str, reason: &'a str) -> Values<'a> {
        Values { tenant, session, state: "halted", id: "h_1", epoch: 3, reason }
    }

    fn fill(template: &str, session: &str) -> Result<String, String> {
        let filled = Template::parse(template).expect(template).fill(&values("acme", session, "it & that"));
        filled.map(|url| url.to_string())
    }

    #[test]
    fn values_are_encoded_where_they_stand() {
        let rows = [
            ("https://h/runs/{session}/stop", "s-1.a_b~c", "https://h/runs/s-1.a_b~c/stop"),
            ("https://h/runs/{session}/stop", "a/../b?x#y%2f", "https://h/runs/a%2F..%2Fb%3Fx%23y%252f/stop"),
            ("https://h/{tenant}/{session}", "a b\u{e9}\n", "https://h/acme/a%20b%C3%A9%0A"),
            ("http://h:81/stop?s={session}&why={reason}", "&x=1", "http://h:81/stop?s=%26x%3D1&why=it%20%26%20that"),
            ("https://h?{state}={epoch},{id}", "s", "https://h/?halted=3,h_1"),
            ("https://h/stop?dir=..&s={session}", "..", "https://h/stop?dir=..&s=.."),
            ("https://h/x{session}", "..", "https://h/x.."),
            ("https://h/stop", "s", "https://h/stop"),
        ];
        for (template, session, expected) in rows {
            assert_eq!(fill(template, session).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_session_cannot_be_named_so_that_another_path_is_called() {
        let rows = [
            ("https://h/runs/{session}/stop", "."),
            ("https://h/runs/{session}/stop", ".."),
            ("https://h/runs/{session}", ".."),
            ("https://h/runs/.{session}?x", "."),
            ("https://h/runs/%2E{session}", "."),
            ("https://h/runs/{session}{session}", "."),
        ];
        for (template, session) in rows {
            assert!(fill(template, session).expect_err(template).contains("names another path"), "{template}");
        }
        assert!(fill("https://h/runs/{session}/stop", "").expect_err("empty").contains("is empty"));
        assert_eq!(fill("https://h/stop?s={session}", "").as_deref(), Ok("https://h/stop?s="));
    }

    #[test]
    fn templates_that_let_a_stranger_choose_the_host_are_refused() {
        let rows = [
            ("https://{session}.example.org/stop", "scheme, host or port"),
            ("https://{tenant}/stop", "scheme, host or port"),
            ("https://h:{epoch}/stop", "scheme, host or port"),
            ("https://h{session}", "scheme, host or port"),
            ("https://{session}@h/stop", "scheme, host or port"),
            ("{state}://h/stop", "expected `https://`"),
            ("ftp://h/{session}", "expected `https://`"),
            ("/runs/{session}", "expected `https://`"),
            ("https://h/#{session}", "expected no `#`"),
            ("https://h/{run}", "expected one of {tenant}, {session}, {state}, {id}, {epoch}, {reason}, got `{run}`"),
            ("https://h/{}", "got `{}`"),
            ("https://h/{session", "expected `}`"),
            ("https://h/session}", "expected `{`"),
            ("https://h/a/../{session}", "names another path"),
            ("https://h/%2e%2E/{session}", "names another path"),
            ("https:///{session}", "and a host"),
            ("https://h:99999/{session}", "expected a URL"),
        ];
        for (template, expected) in rows {
            let error = Template::parse(template).err().expect(template);
            assert!(error.contains(expected), "{template}: {error}");
        }
    }

    proptest! {
        /// Whatever the names, the request goes where the template says and the server reads back the name.
        #[test]
        fn the_path_has_its_shape_and_gives_the_name_back(session in "\\PC{1,40}|[./%\\\\?#@:]{1,8}") {
            let template = Template::parse("https://h:8443/runs/{session}/stop?why={reason}").expect("good");
            let Ok(url) = template.fill(&values("acme", &session, "r")) else {
                prop_assert!([".", ".."].contains(&&*session));
                return Ok(());
            };
            prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some("h"), Some(8443)));
            let segments: Vec<_> = url.path_segments().expect("a path").collect();
            prop_assert_eq!((segments.len(), segments[0], segments[2]), (3, "runs", "stop"));
            let bytes = decoded(segments[1]);
            prop_assert_eq!(bytes, session.as_bytes());
        }
    }

    fn decoded(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if *first == b'%' {
                let hex = std::str::from_utf8(&after[..2]).expect("ASCII");
                bytes.push(u8::from_str_radix(hex, 16).expect("hex"));
                rest = &after[2..];
            } else {
                bytes.push(*first);
            }
        }
        bytes
    }
}
