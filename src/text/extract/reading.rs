//! A text as a program reads it after it has undone escapes, with offsets back to what was written.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr3, memmem};
use unicode_normalization::UnicodeNormalization;

/// HTML's named references for the signs that addresses are made of.
const NAMED: [(&str, char); 18] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("sol", '/'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("semi", ';'),
    ("comma", ','),
    ("period", '.'),
    ("commat", '@'),
    ("num", '#'),
    ("quest", '?'),
    ("percnt", '%'),
    ("lowbar", '_'),
    ("hyphen", '-'),
    ("equals", '='),
];

/// Longest named or numbered reference, in bytes.
const REFERENCE_BYTES_MAX: usize = 12;

/// One reading of a text.
#[derive(Debug)]
pub(super) struct Reading<'t> {
    pub text: Cow<'t, str>,
    /// Where each byte comes from, and where the text ends; `None` where it is read as written.
    map: Option<Vec<usize>>,
}

/// What a few bytes stand for: how many they are, and the characters.
type Undone = Option<(usize, Cow<'static, str>)>;

impl<'t> Reading<'t> {
    /// The text as written.
    pub(super) fn raw(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), map: None }
    }

    /// The text as written, and what becomes of it when widths, escapes, references and percent signs
    /// (these twice) are undone one after the other. Escapes that stand for white space and quotes are
    /// undone only where `spaces`, or among others.
    pub(super) fn all(text: &'t str, spaces: bool) -> Vec<Self> {
        let mut readings = vec![Self::raw(text)];
        let mut undo = |step: &dyn Fn(&Reading<'_>) -> Option<Reading<'static>>| {
            let next = readings.last().and_then(step);
            readings.extend(next);
        };
        undo(&|reading| reading.plain_widths());
        undo(&|reading| if spaces || reading.has_numbers() { reading.escapes() } else { None });
        undo(&|reading| reading.references());
        undo(&|reading| reading.percent());
        undo(&|reading| reading.percent());
        readings
    }

    /// Whether there are escapes with numbers.
    fn has_numbers(&self) -> bool {
        let bytes = self.text.as_bytes();
        memmem::find(bytes, b"\\u").is_some() || memmem::find(bytes, b"\\x").is_some()
    }

    /// Where a range comes from.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        let Some(map) = &self.map else { return range };
        let place = |at: usize| map.get(at).or_else(|| map.last()).copied().unwrap_or(0);
        place(range.start)..place(range.end)
    }

    /// The reading with something undone at the marks that `find` finds; `None` where there is nothing to
    /// undo.
    fn undo(&self, find: impl Fn(&[u8]) -> Option<usize>, read: impl Fn(&str) -> Undone) -> Option<Reading<'static>> {
        let text: &str = &self.text;
        let (mut new, mut map) = (String::new(), Vec::new());
        let (mut at, mut done) = (0, 0);
        while let Some(skip) = text.as_bytes().get(at..).and_then(&find) {
            at += skip;
            let rest = text.get(at..).unwrap_or_default();
            let Some((len, replacement)) = read(rest) else {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            self.copy(done..at, &mut new, &mut map);
            let source = self.source(at..at).start;
            map.resize(map.len() + replacement.len(), source);
            new.push_str(&replacement);
            at += len;
            done = at;
        }
        if done == 0 {
            return None;
        }
        self.copy(done..text.len(), &mut new, &mut map);
        map.push(self.source(text.len()..text.len()).start);
        Some(Reading { text: Cow::Owned(new), map: Some(map) })
    }

    fn copy(&self, range: Range<usize>, new: &mut String, map: &mut Vec<usize>) {
        new.push_str(self.text.get(range.clone()).unwrap_or_default());
        match &self.map {
            Some(known) => map.extend_from_slice(known.get(range).unwrap_or_default()),
            None => map.extend(range),
        }
    }

    /// Letters and signs of other widths and styles as the ASCII ones that they stand for.
    pub(super) fn plain_widths(&self) -> Option<Reading<'static>> {
        if self.text.is_ascii() {
            return None;
        }
        self.undo(|rest| rest.iter().position(|byte| *byte >= 0x80), |rest| plain_width(rest.chars().next()?))
    }

    /// Percent signs undone once. White space and quotes stay as they are, because words end there.
    pub(super) fn percent(&self) -> Option<Reading<'static>> {
        self.undo(
            |rest| memchr(b'%', rest),
            |rest| {
                let (len, char) = percent_char(rest.as_bytes())?;
                let breaks = char.is_whitespace() || char.is_control() || matches!(char, '"' | '\'' | '<' | '>' | '`');
                (!breaks).then(|| (len, char.to_string().into()))
            },
        )
    }

    /// Backslash escapes of JSON and programming languages undone once.
    pub(super) fn escapes(&self) -> Option<Reading<'static>> {
        self.undo(|rest| memchr(b'\\', rest), |rest| escape(rest.as_bytes()))
    }

    /// HTML's references undone once.
    pub(super) fn references(&self) -> Option<Reading<'static>> {
        self.undo(|rest| memchr(b'&', rest), |rest| reference(rest.as_bytes()))
    }

    /// Tabs and line ends left out, as in URLs.
    pub(super) fn joined(&self) -> Option<Reading<'static>> {
        self.undo(|rest| memchr3(b'\t', b'\r', b'\n', rest), |_| Some((1, Cow::Borrowed(""))))
    }

    /// Quotes and backslashes left out, as by a shell.
    pub(super) fn unquoted(&self) -> Option<Reading<'static>> {
        self.undo(|rest| memchr3(b'"', b'\'', b'\\', rest), |_| Some((1, Cow::Borrowed(""))))
    }
}

fn plain_width(char: char) -> Undone {
    let plain: String = std::iter::once(char).nfkc().collect();
    let sound = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_graphic());
    sound.then(|| (char.len_utf8(), plain.into()))
}

/// The text with percent signs undone once; `None` where there are none.
pub(super) fn percent_undone(text: &str) -> Option<String> {
    let reading = Reading::raw(text);
    let undone = reading.undo(
        |rest| memchr(b'%', rest),
        |rest| percent_char(rest.as_bytes()).map(|(len, char)| (len, char.to_string().into())),
    );
    undone.map(|reading| reading.text.into_owned())
}

fn hex_byte(rest: &[u8]) -> Option<u8> {
    let [high, low, ..] = rest else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

fn hex_number(digits: &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    for byte in digits {
        value = value.checked_mul(16)?.checked_add(char::from(*byte).to_digit(16)?)?;
    }
    (!digits.is_empty()).then_some(value)
}

/// The character that stands here percent-encoded. Forms that are longer than they have to be count as
/// well: lax decoders take them, and they were made for those.
fn percent_char(rest: &[u8]) -> Option<(usize, char)> {
    if matches!(rest.get(1), Some(b'u' | b'U')) {
        return Some((6, char::from_u32(hex_number(rest.get(2..6)?)?)?));
    }
    let first = hex_byte(rest.get(1..)?)?;
    let (count, bits) = match first {
        0..=0x7f => (1, u32::from(first)),
        0xc0..=0xdf => (2, u32::from(first & 0x1f)),
        0xe0..=0xef => (3, u32::from(first & 0x0f)),
        0xf0..=0xf7 => (4, u32::from(first & 0x07)),
        _ => return None,
    };
    let mut value = bits;
    for n in 1..count {
        let (b'%', digits) = rest.get(3 * n..)?.split_first()? else { return None };
        let byte = hex_byte(digits)?;
        if byte & 0xc0 != 0x80 && first > 0xc1 {
            return None;
        }
        value = value << 6 | u32::from(byte & 0x3f);
    }
    Some((3 * count, char::from_u32(value)?))
}

fn escape(rest: &[u8]) -> Undone {
    let char = |len: usize, code: u32| Some((len, char::from_u32(code)?.to_string().into()));
    let sign = |sign: &'static str| Some((2, Cow::Borrowed(sign)));
    match rest.get(1)? {
        b'n' => sign("\n"),
        b'r' => sign("\r"),
        b't' => sign("\t"),
        b'/' => sign("/"),
        b'"' => sign("\""),
        b'\'' => sign("'"),
        b'\\' => sign("\\"),
        b'x' => char(4, hex_number(rest.get(2..4)?)?),
        b'u' if rest.get(2) == Some(&b'{') => {
            let digits = rest.get(3..REFERENCE_BYTES_MAX.min(rest.len()))?;
            let close = digits.iter().position(|byte| *byte == b'}')?;
            char(close + 4, hex_number(digits.get(..close)?)?)
        }
        b'u' => char(6, hex_number(rest.get(2..6)?)?),
        _ => None,
    }
}

fn reference(rest: &[u8]) -> Undone {
    let inside = rest.get(1..REFERENCE_BYTES_MAX.min(rest.len()))?;
    let Some(number) = inside.strip_prefix(b"#") else {
        let name = inside.get(..inside.iter().position(|byte| *byte == b';')?)?;
        let (_, char) = NAMED.iter().find(|(known, _)| known.as_bytes() == name)?;
        return Some((name.len() + 2, char.to_string().into()));
    };
    let hex = matches!(number.first(), Some(b'x' | b'X'));
    let digits = number.get(usize::from(hex)..)?;
    let base = if hex { 16 } else { 10 };
    let count = digits.iter().take_while(|byte| char::from(**byte).is_digit(base)).count();
    let text = std::str::from_utf8(digits.get(..count)?).ok()?;
    let char = char::from_u32(u32::from_str_radix(text, base).ok()?)?;
    let len = 2 + usize::from(hex) + count;
    Some((len + usize::from(rest.get(len) == Some(&b';')), char.to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_lead_back() {
        let text = "a%2fb &#47;&#x2F;&sol; \\u002f\\x2f\\/ \u{ff0f}";
        let raw = Reading::raw(text);
        let rows: [(Option<Reading<'_>>, &str); 4] = [
            (raw.percent(), "a/b &#47;&#x2F;&sol; \\u002f\\x2f\\/ \u{ff0f}"),
            (raw.references(), "a%2fb /// \\u002f\\x2f\\/ \u{ff0f}"),
            (raw.escapes(), "a%2fb &#47;&#x2F;&sol; /// \u{ff0f}"),
            (raw.plain_widths(), "a%2fb &#47;&#x2F;&sol; \\u002f\\x2f\\/ /"),
        ];
        for (reading, want) in rows {
            let reading = reading.expect("there is something to undo");
            assert_eq!(reading.text, want);
            let at = want.find(' ').expect("there");
            let source = reading.source(at..at + 1);
            assert_eq!(&text[source], " ");
        }
        let twice = raw.percent().and_then(|reading| reading.references()).expect("both");
        assert_eq!(twice.source(0..4), 0..6);
    }

    #[test]
    fn lax_percent_forms_count() {
        let rows = [
            ("%c0%ae", "."),
            ("%c0%af", "/"),
            ("%c1%1c", "\\"),
            ("%e0%80%af", "/"),
            ("%u002e%uFF0E", ".\u{ff0e}"),
            ("%e2%82%ac", "\u{20ac}"),
            ("%252e", "%2e"),
        ];
        for (text, want) in rows {
            assert_eq!(percent_undone(text).as_deref(), Some(want), "{text}");
        }
        for text in ["%", "%2", "%zz", "%ff", "%e2%82", "100%", "%u12", "%ud800"] {
            assert_eq!(percent_undone(text), None, "{text}");
        }
    }
}
