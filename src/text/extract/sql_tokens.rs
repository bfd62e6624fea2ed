//! The words and signs of SQL, without comments, as each family of databases reads them.

use memchr::memmem;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes; variables and temporary tables with their sign.
    Word,
    /// A name in quotes.
    Name,
    /// A string.
    Text,
    /// A number.
    Number,
    /// Any other character that is no letter.
    Sign,
}

/// A word or a sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub kind: Kind,
    /// What stands there, without quotes.
    pub text: &'t str,
    /// Whether it is the first of its line.
    pub first: bool,
}

impl Token<'_> {
    /// Whether it is this keyword, given in lower case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is one of these keywords, given in lower case and sorted.
    pub(super) fn is_in(&self, words: &[&str]) -> bool {
        self.kind == Kind::Word && self.find_in(words).is_some()
    }

    /// Which of some words it is, given in lower case and sorted.
    pub(super) fn find_in(&self, words: &[&str]) -> Option<usize> {
        let small = || self.text.bytes().map(|byte| byte.to_ascii_lowercase());
        words.binary_search_by(|word| word.bytes().cmp(small())).ok()
    }

    /// Whether it is this sign.
    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }
}

/// How a family of databases reads strings and comments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// A backslash in a string takes the next character with it; double quotes are for strings; `#` starts a
    /// comment, `--` only before white space; `/*!` is no comment.
    mysql: bool,
    /// Comments stand in comments; `$x$` quotes.
    postgres: bool,
    /// Brackets are for names.
    brackets: bool,
}

/// The families: PostgreSQL and the standard, MySQL and MariaDB, SQL Server and SQLite.
pub(super) const DIALECTS: [Dialect; 3] = [
    Dialect { mysql: false, postgres: true, brackets: false },
    Dialect { mysql: true, postgres: false, brackets: false },
    Dialect { mysql: false, postgres: false, brackets: true },
];

/// Whether the families may read a text in different ways.
pub(super) fn is_ambiguous(text: &str) -> bool {
    text.contains(['\\', '#', '$', '[', '"', '`']) || text.contains("--") || text.contains("/*")
}

/// The tokens of a text. Linear: an end that is missing is looked for once.
pub(super) fn tokens(text: &str, dialect: Dialect) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, dialect, first: true, executable: false };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    dialect: Dialect,
    first: bool,
    /// Whether a comment is open whose inside is run.
    executable: bool,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<Token<'t>> {
        self.skip();
        let rest = self.rest();
        let char = rest.chars().next()?;
        let first = std::mem::take(&mut self.first);
        let (kind, len, text) = self.quoted(rest, char).unwrap_or_else(|| plain(rest, char, self.dialect));
        self.at += len;
        Some(Token { kind, text, first })
    }

    /// Passes over white space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let Some(char) = rest.chars().next() else { return };
            if char.is_whitespace() || char.is_control() || matches!(char, '\u{feff}' | '\u{200b}') {
                self.first |= char == '\n';
                self.at += char.len_utf8();
            } else if let Some(len) = self.comment(rest) {
                self.at += len;
            } else {
                return;
            }
        }
    }

    /// The length of a comment that stands here, or of the signs around one that is run.
    fn comment(&mut self, rest: &str) -> Option<usize> {
        let line = |from: usize| rest.find('\n').unwrap_or(rest.len()).max(from);
        if rest.starts_with("--") {
            let spaced =
                rest.as_bytes().get(2).is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
            return (spaced || !self.dialect.mysql).then(|| line(2));
        }
        if self.dialect.mysql && rest.starts_with('#') {
            return Some(line(1));
        }
        if self.executable && rest.starts_with("*/") {
            self.executable = false;
            return Some(2);
        }
        let inside = rest.strip_prefix("/*")?;
        let run = inside.strip_prefix('!').or_else(|| inside.strip_prefix("M!"));
        if let Some(run) = run.filter(|_| self.dialect.mysql) {
            let version = run.bytes().take(6).take_while(|byte| byte.is_ascii_digit()).count();
            self.executable = true;
            return Some(rest.len() - run.len() + if version >= 5 { version } else { 0 });
        }
        if self.dialect.postgres {
            return Some(2 + nested_comment(inside));
        }
        Some(memmem::find(inside.as_bytes(), b"*/").map_or(rest.len(), |end| end + 4))
    }

    /// A string or a name in quotes: its kind, its length and its inside.
    fn quoted(&self, rest: &'t str, char: char) -> Option<(Kind, usize, &'t str)> {
        let Dialect { mysql, postgres, brackets } = self.dialect;
        match char {
            '\'' => {
                // `E'…'`: the letter was the token before.
                let mut head = self.text.get(..self.at).unwrap_or_default().chars().rev();
                let escapes = postgres
                    && matches!(head.next(), Some('e' | 'E'))
                    && !head.next().is_some_and(|char| char.is_alphanumeric() || char == '_');
                Some(enclosed(rest, b'\'', mysql || escapes, Kind::Text))
            }
            '"' => Some(enclosed(rest, b'"', mysql, if mysql { Kind::Text } else { Kind::Name })),
            '`' if mysql || brackets => Some(enclosed(rest, b'`', false, Kind::Name)),
            '[' if brackets => Some(enclosed(rest, b']', false, Kind::Name)),
            '$' if postgres => dollars(rest),
            _ => None,
        }
    }
}

/// The length of the rest of a comment that may hold comments.
fn nested_comment(inside: &str) -> usize {
    let bytes = inside.as_bytes();
    let (mut depth, mut at) = (1_usize, 0);
    while let Some(slash) = memchr::memchr2(b'*', b'/', bytes.get(at..).unwrap_or_default()) {
        at += slash;
        match bytes.get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    inside.len()
}

/// What stands up to a quote that is not doubled, or to the end.
fn enclosed(rest: &str, quote: u8, escapes: bool, kind: Kind) -> (Kind, usize, &str) {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        if escapes && *byte == b'\\' {
            at += 2;
        } else if *byte != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return (kind, at + 1, rest.get(1..at).unwrap_or_default());
        }
    }
    (kind, rest.len(), rest.get(1..).unwrap_or_default())
}

/// A string between `$tag$` and `$tag$`.
fn dollars(rest: &str) -> Option<(Kind, usize, &str)> {
    let inside = rest.get(1..)?;
    let tag = inside.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if inside.as_bytes().get(tag) != Some(&b'$') || inside.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let mark = rest.get(..tag + 2)?;
    let text = rest.get(tag + 2..)?;
    let end = memmem::find(text.as_bytes(), mark.as_bytes());
    let len = end.map_or(rest.len(), |end| end + 2 * mark.len());
    Some((Kind::Text, len, end.and_then(|end| text.get(..end)).unwrap_or(text)))
}

/// A word, a number or a sign.
fn plain(rest: &str, char: char, dialect: Dialect) -> (Kind, usize, &str) {
    let letter = |char: char| {
        if char.is_ascii() { char.is_ascii_alphanumeric() || matches!(char, '_' | '$') } else { !char.is_whitespace() }
    };
    let run = |kind: Kind, from: usize| {
        let tail = rest.get(from..).unwrap_or_default();
        let len = from + tail.find(|char: char| !letter(char)).unwrap_or(tail.len());
        (kind, len, rest.get(..len).unwrap_or_default())
    };
    match char {
        '0'..='9' => run(Kind::Number, 1),
        '@' if rest.chars().skip(1).take(2).find(|char| *char != '@').is_some_and(letter) => {
            run(Kind::Word, rest.bytes().take(2).take_while(|byte| *byte == b'@').count())
        }
        '#' if dialect.brackets => run(Kind::Word, rest.bytes().take(2).take_while(|byte| *byte == b'#').count()),
        char if letter(char) && char != '$' => run(Kind::Word, char.len_utf8()),
        char => (Kind::Sign, char.len_utf8(), rest.get(..char.len_utf8()).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: usize, rows: &[(&str, &str)]) {
        for (text, want) in rows {
            let shown: Vec<String> = tokens(text, DIALECTS[dialect])
                .iter()
                .map(|token| match token.kind {
                    Kind::Word | Kind::Number | Kind::Sign => token.text.to_owned(),
                    Kind::Name => format!("[{}]", token.text),
                    Kind::Text => format!("<{}>", token.text),
                })
                .collect();
            assert_eq!(shown.join(" "), *want, "{text:?}");
        }
    }

    #[test]
    fn each_family_reads_its_own() {
        check(
            0,
            &[
                ("SELECT a.b, 'it''s' -- x\n FROM \"T\";", "SELECT a . b , <it''s> FROM [T] ;"),
                ("a /* b /* c */ d */ e", "a e"),
                ("'\\' x", "<\\> x"),
                ("E'\\'' x", "E <\\'> x"),
                ("$$a'b$$ $t$ $$ $t$ $1", "<a'b> < $$ > $ 1"),
                ("a#b --c", "a # b"),
                ("/*!50000 x*/ y", "y"),
                ("/* open", ""),
                ("'open", "<open>"),
            ],
        );
        check(
            1,
            &[
                ("'\\'' x", "<\\'> x"),
                ("\"a\" `b``c`", "<a> [b``c]"),
                ("a # b\nc --d\n-- e\nf", "a c - - d f"),
                ("/*!50000 DROP*/ /*!TABLE*/ /*M!100100x*/ y /* z */", "DROP TABLE x y"),
                ("a /* b /* c */ d", "a d"),
                ("@a @@b", "@a @@b"),
            ],
        );
        check(2, &[("[a b] `c` #t ##u", "[a b] [c] #t ##u"), ("a --b", "a"), ("12.5e3 0x41", "12 . 5e3 0x41")]);
    }

    #[test]
    fn lines_begin_with_their_first_word() {
        let firsts: Vec<bool> =
            tokens("a b\n-- x\nc /* \n */ d", DIALECTS[0]).iter().map(|token| token.first).collect();
        assert_eq!(firsts, [true, false, true, false]);
    }
}
