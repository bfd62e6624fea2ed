//! The signs of a shell text, one by one: quotes, escapes, variables, separators and redirections.

use memchr::memchr;

use super::shell_expand as expand;
use super::shell_words::{Document, Kind, Parser, Target};

impl<'t> Parser<'t, '_> {
    /// Takes a character whatever it is.
    fn push_quoted(&mut self) {
        self.frame.quoted = true;
        match self.peek(0) {
            Some(char) => self.push(char),
            None => {
                self.word();
            }
        }
    }

    pub(super) fn double(&mut self, char: char) {
        match char {
            '"' if !self.document || !self.outer.is_empty() => {
                self.frame.double = false;
                self.at += 1;
            }
            '\\' => {
                self.at += 1;
                match self.peek(0) {
                    Some('\n') => self.at += 1,
                    Some('"' | '$' | '`' | '\\') => self.push_quoted(),
                    _ => self.word().push("\\"),
                }
            }
            '$' => self.dollar(),
            '`' => self.backquote(),
            '}' if self.frame.defaults > 0 => {
                self.frame.defaults -= 1;
                self.at += 1;
            }
            char => self.push(char),
        }
    }

    pub(super) fn plain(&mut self, char: char) {
        match char {
            '\\' => self.backslash(),
            '\'' => self.single(),
            '"' => {
                self.word();
                self.frame.quoted = true;
                self.frame.double = true;
                self.at += 1;
            }
            '$' => self.dollar(),
            '`' => self.backquote(),
            '\0' => self.at += 1,
            '\n' if self.frame.kind != Kind::Array => self.newline(),
            char if char.is_whitespace() => {
                self.end_word();
                self.at += char.len_utf8();
            }
            '#' if self.frame.word.is_none() => {
                self.at += memchr(b'\n', self.rest().as_bytes()).unwrap_or(self.rest().len());
            }
            ';' | '&' | '|' | '<' | '>' if self.calculates() => self.push(char),
            ';' | '&' | '|' => self.separator(char),
            '(' => self.open(),
            ')' => self.close(),
            '<' | '>' => self.redirection(),
            '}' if self.frame.defaults > 0 => {
                self.frame.defaults -= 1;
                self.at += 1;
            }
            char => self.letter(char),
        }
    }

    pub(super) fn calculates(&self) -> bool {
        matches!(self.frame.kind, Kind::Arithmetic | Kind::Calculation)
    }

    fn letter(&mut self, char: char) {
        let word = self.word();
        match char {
            '{' | '}' => word.braces.push((word.text.len(), char)),
            ',' if !word.braces.is_empty() => word.braces.push((word.text.len(), char)),
            '*' | '?' | '[' => word.glob = true,
            _ => {}
        }
        self.push(char);
    }

    fn backslash(&mut self) {
        self.at += 1;
        match self.peek(0) {
            Some('\n') => self.at += 1,
            // Within backquotes it leads to backquotes in them.
            Some('`') if self.backquotes > 0 => self.nested_backquote(),
            _ => self.push_quoted(),
        }
    }

    fn single(&mut self) {
        let inside = self.rest().get(1..).unwrap_or_default();
        let Some(end) = memchr(b'\'', inside.as_bytes()) else {
            // It is never closed, as an apostrophe in a sentence.
            self.push_quoted();
            return;
        };
        self.frame.quoted = true;
        self.word().push(inside.get(..end).unwrap_or_default());
        self.at += end + 2;
    }

    fn dollar(&mut self) {
        match self.peek(1) {
            Some('(') if self.peek(2) == Some('(') => self.enter(Kind::Arithmetic, 3),
            Some('(') => self.enter(Kind::Substitution, 2),
            Some('{') => self.parameter(),
            Some('\'') if !self.frame.double && !self.no_ansi => self.ansi(),
            Some('"') if !self.frame.double => self.at += 1,
            Some(char) if char.is_ascii_alphabetic() || char == '_' => {
                let name = self.rest().get(1..).unwrap_or_default();
                let length = name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
                self.at += 1 + length;
                self.variable(name.get(..length).unwrap_or_default());
            }
            Some('@' | '*' | '!' | '-' | '1'..='9') => {
                self.word();
                self.at += 2;
            }
            Some(char @ ('?' | '#' | '$' | '0')) => {
                self.word().push(if char == '0' { "sh" } else { "0" });
                self.at += 2;
            }
            _ => self.push('$'),
        }
    }

    fn ansi(&mut self) {
        let inside = self.rest().get(2..).unwrap_or_default();
        let Some((text, length)) = expand::ansi(inside) else {
            self.no_ansi = true;
            return self.push('$');
        };
        self.frame.quoted = true;
        self.word().push(&text);
        self.at += 2 + length;
    }

    /// Fills in a variable.
    fn variable(&mut self, name: &str) {
        if name == "IFS" && !self.frame.double {
            return self.end_word();
        }
        let (values, quoted) = (self.variables.get(name), self.frame.double);
        let Some((first, others)) = values.split_first() else {
            let shown = format!("${name}");
            return self.word().push_unknown(&shown);
        };
        let alone = self.frame.word.is_none();
        self.fill(first, quoted);
        if alone && let Some(word) = &mut self.frame.word {
            word.others.extend_from_slice(others);
        }
    }

    /// Adds a value; without quotes it is split into words.
    pub(super) fn fill(&mut self, value: &str, quoted: bool) {
        if quoted {
            return self.word().push(value);
        }
        let space = |char: char| char.is_whitespace();
        for (order, piece) in value.split(space).enumerate() {
            if order > 0 {
                self.end_word();
            }
            if !piece.is_empty() {
                let word = self.word();
                word.changed = true;
                word.glob |= piece.contains(['*', '?', '[']);
                word.push(piece);
            }
        }
    }

    /// Reads `${…}`.
    fn parameter(&mut self) {
        let inside = self.rest().get(2..).unwrap_or_default();
        let length = inside.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let name = inside.get(..length).unwrap_or_default();
        let operator = inside.get(length..).unwrap_or_default();
        let default = [":-", "-", ":=", "="].into_iter().find(|sign| operator.starts_with(sign) && !name.is_empty());
        if let Some(sign) = default.filter(|_| self.variables.get(name).is_empty()) {
            // What follows is the value.
            self.frame.defaults += 1;
            self.at += 2 + length + sign.len();
            return;
        }
        let end = if self.no_brace { None } else { memchr(b'}', operator.as_bytes()) };
        let Some(end) = end else {
            self.no_brace = true;
            return self.push('$');
        };
        self.at += 2 + length + end + 1;
        let operator = operator.get(..end).unwrap_or_default();
        if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
            if matches!(operator, "@" | "*" | "!" | "-" | "") {
                self.word();
            } else {
                self.word().push_unknown("${}");
            }
            return;
        }
        match self.variables.get(name).first().and_then(|value| expand::operated(value, operator)) {
            Some(value) => {
                let quoted = self.frame.double;
                self.fill(&value, quoted);
            }
            None => self.variable(name),
        }
    }

    fn backquote(&mut self) {
        if self.backquotes == 0 {
            return self.enter(Kind::Backquotes, 1);
        }
        self.at += 1;
        while self.frame.kind != Kind::Backquotes {
            self.pop();
        }
        self.leave();
    }

    /// Reads a backquote behind a backslash, within backquotes.
    fn nested_backquote(&mut self) {
        if self.backquotes > 1 {
            return self.backquote();
        }
        self.enter(Kind::Backquotes, 1);
    }

    fn newline(&mut self) {
        self.at += 1;
        self.end_command(false);
        if self.pending.is_empty() {
            self.line = self.parsed.commands.len();
            return;
        }
        let run = self.parsed.commands.get(self.line..).unwrap_or_default().iter().any(expand::may_run_input);
        for (end, tabs, substitutes) in std::mem::take(&mut self.pending) {
            let text = self.document(&end, tabs);
            if run || substitutes {
                self.parsed.documents.push(Document { text: text.to_owned(), run });
            }
        }
        self.line = self.parsed.commands.len();
    }

    /// The lines up to the one that ends a document.
    fn document(&mut self, end: &str, tabs: bool) -> &'t str {
        let start = self.at;
        while self.at < self.text.len() {
            let rest = self.rest();
            let length = memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
            let line = rest.get(..length).unwrap_or_default();
            let line = if tabs { line.trim_start_matches('\t') } else { line };
            let before = self.at;
            self.at = (self.at + length + 1).min(self.text.len());
            if line.trim_end_matches('\r') == end {
                return self.text.get(start..before).unwrap_or_default();
            }
        }
        self.text.get(start..).unwrap_or_default()
    }

    fn separator(&mut self, char: char) {
        let next = self.peek(1);
        match (char, next) {
            ('&', Some('>')) => {
                self.end_word();
                self.at += 1;
                return self.redirection();
            }
            ('&', Some('&')) | ('|', Some('|' | '&')) | (';', Some(';' | '&')) => self.at += 2,
            _ => self.at += 1,
        }
        let pipe = char == '|' && next != Some('|');
        self.end_command(pipe);
        if char == ';' && matches!(next, Some(';' | '&')) && self.frame.cases > 0 {
            self.frame.pattern = true;
        }
    }

    /// Reads an opening parenthesis.
    fn open(&mut self) {
        let first = self.frame.word.is_none() && self.frame.words.is_empty();
        let assigns = self.frame.word.as_ref().is_some_and(|word| word.text.ends_with('='));
        if first && self.frame.pattern {
            self.at += 1;
        } else if self.frame.word.is_some()
            && self.rest().get(1..).is_some_and(|rest| rest.trim_start_matches(' ').starts_with(')'))
        {
            // A function's name.
            self.frame.word = None;
            self.at += 1 + memchr(b')', self.rest().as_bytes()).unwrap_or(0);
            self.frame.words.clear();
        } else if first && self.peek(1) == Some('(') {
            self.enter(Kind::Calculation, 2);
        } else {
            self.enter(if assigns { Kind::Array } else { Kind::Group }, 1);
        }
    }

    fn redirection(&mut self) {
        let descriptor =
            self.frame.word.as_ref().is_some_and(|word| word.text.bytes().all(|byte| byte.is_ascii_digit()));
        if descriptor && !self.frame.quoted {
            self.frame.word = None;
        }
        self.end_word();
        let rest = self.rest();
        let (target, length) = match rest.as_bytes() {
            [b'<' | b'>', b'(', ..] => return self.enter(Kind::Substitution, 2),
            [b'<', b'<', b'<', ..] => (Target::Text, 3),
            [b'<', b'<', b'-', ..] => (Target::Document(true), 3),
            [b'<', b'<', ..] => (Target::Document(false), 2),
            [b'>', b'>' | b'|' | b'&', ..] | [b'<', b'&' | b'>', ..] => (Target::File, 2),
            _ => (Target::File, 1),
        };
        self.frame.target = target;
        self.at += length;
    }
}
