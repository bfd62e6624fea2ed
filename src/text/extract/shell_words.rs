//! The commands of a shell text as words, with quotes taken off and what is known filled in.
//!
//! One pass over the text without recursion: substitutions and groups are frames on a stack. Variables that the
//! text itself sets are filled in, unknown ones stay as `$name`, and a substitution whose output is not known is
//! `$()`.

use super::shell_expand::{self as expand, Variables};

/// Deepest nesting of substitutions and groups; deeper ones are read as if they stood beside each other.
///
const FRAMES_MAX: usize = 256;

/// Most words that braces make of one, and the bytes that they may have together.
const BRACE_WORDS_MAX: usize = 64;
const BRACE_BYTES_MAX: usize = 4_096;

/// A word of a command.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    /// The word without its quotes.
    pub text: String,
    /// The word if unknown variables and substitutions are empty; `None` where it has none.
    pub empty: Option<String>,
    /// Other values, where it is a loop's variable.
    pub others: Vec<String>,
    /// Whether it has wildcards.
    pub glob: bool,
    /// Whether it has the output of a command that downloads.
    pub fetched: bool,
    /// Whether it has quotes or something filled in, so that it is no word of the shell's own.
    pub changed: bool,
    /// Places of braces and commas without quotes.
    pub(super) braces: Vec<(usize, char)>,
}

impl Word {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        if let Some(empty) = &mut self.empty {
            empty.push_str(text);
        }
    }

    /// Adds something whose value is not known.
    pub(super) fn push_unknown(&mut self, shown: &str) {
        self.changed = true;
        self.empty.get_or_insert_with(|| self.text.clone());
        self.text.push_str(shown);
    }

    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// A command, or the end of a group where it has no words.
#[derive(Debug)]
pub(super) struct Command {
    pub words: Vec<Word>,
    /// Whether it reads what the one before it writes.
    pub piped: bool,
    /// How deep in substitutions and groups it stands.
    pub depth: usize,
    /// Texts that it reads.
    pub input: Vec<String>,
}

/// A text behind `<<`.
#[derive(Debug)]
pub(super) struct Document {
    pub text: String,
    /// Whether a shell on its line may run it; otherwise only its substitutions are run.
    pub run: bool,
}

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub commands: Vec<Command>,
    pub documents: Vec<Document>,
}

/// Words of the shell's own that a command follows, or nothing.
const OWN: [&str; 15] =
    ["!", "coproc", "do", "done", "elif", "else", "esac", "fi", "if", "in", "then", "until", "while", "{", "}"];

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The text itself.
    Top,
    /// `$(…)` and `<(…)`.
    Substitution,
    /// A pair of backquotes.
    Backquotes,
    /// `(…)`.
    Group,
    /// `$((…))`, unless it turns out to be a group in a substitution.
    Arithmetic,
    /// `((…))`, unless it turns out to be a group in a group.
    Calculation,
    /// The list of an array.
    Array,
}

/// Where the next word goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Words,
    /// A file that is read or written.
    File,
    /// A text that is read.
    Text,
    /// The end of a document, and whether tabs before its lines do not count.
    Document(bool),
}

/// A text, a substitution or a group that is being read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) words: Vec<Word>,
    pub(super) word: Option<Word>,
    /// Whether the current word has quotes.
    pub(super) quoted: bool,
    /// Inside of double quotes.
    pub(super) double: bool,
    pub(super) piped: bool,
    pub(super) target: Target,
    pub(super) input: Vec<String>,
    /// Open `${name:-`.
    pub(super) defaults: usize,
    /// Commands before the frame.
    pub(super) start: usize,
    /// Open `case`, and whether a pattern comes next.
    pub(super) cases: usize,
    pub(super) pattern: bool,
    /// Inside of `[[`.
    pub(super) test: bool,
    /// Whether a command in it downloads.
    pub(super) fetches: bool,
}

impl Frame {
    fn new(kind: Kind, start: usize) -> Self {
        Self {
            kind,
            words: Vec::new(),
            word: None,
            quoted: false,
            double: false,
            piped: false,
            target: Target::Words,
            input: Vec::new(),
            defaults: 0,
            start,
            cases: 0,
            pattern: false,
            test: false,
            fetches: false,
        }
    }
}

/// Reads a text, or a document whose substitutions alone are run.
pub(super) fn parse(text: &str, document: bool, variables: &mut Variables) -> Parsed {
    let mut top = Frame::new(Kind::Top, 0);
    top.double = document;
    let mut parser = Parser {
        text,
        at: 0,
        document,
        outer: Vec::new(),
        frame: top,
        line: 0,
        pending: Vec::new(),
        parsed: Parsed::default(),
        variables,
        backquotes: 0,
        groups: 0,
        no_brace: false,
        no_ansi: false,
    };
    while let Some(char) = parser.peek(0) {
        if parser.frame.double { parser.double(char) } else { parser.plain(char) }
    }
    while !parser.outer.is_empty() {
        parser.pop();
    }
    if document {
        // What is around the substitutions is read by somebody else.
        parser.frame = Frame::new(Kind::Top, 0);
    }
    parser.end_command(false);
    parser.parsed
}

/// What is being read.
pub(super) struct Parser<'t, 'v> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) document: bool,
    pub(super) outer: Vec<Frame>,
    pub(super) frame: Frame,
    /// Commands before this line.
    pub(super) line: usize,
    /// Ends of documents that start behind this line; whether tabs count, and whether substitutions do.
    pub(super) pending: Vec<(String, bool, bool)>,
    pub(super) parsed: Parsed,
    pub(super) variables: &'v mut Variables,
    /// Frames that backquotes and that parentheses close.
    pub(super) backquotes: usize,
    pub(super) groups: usize,
    /// Whether no brace is closed, and no `$'` ended, from here on.
    pub(super) no_brace: bool,
    pub(super) no_ansi: bool,
}

impl<'t> Parser<'t, '_> {
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self, on: usize) -> Option<char> {
        if on == 0 { self.rest().chars().next() } else { self.rest().as_bytes().get(on).copied().map(char::from) }
    }

    pub(super) fn word(&mut self) -> &mut Word {
        self.frame.word.get_or_insert_default()
    }

    pub(super) fn push(&mut self, char: char) {
        self.word().push(char.encode_utf8(&mut [0; 4]));
        self.at += char.len_utf8();
    }

    pub(super) fn enter(&mut self, kind: Kind, signs: usize) {
        self.at += signs;
        if self.outer.len() >= FRAMES_MAX {
            return self.end_command(false);
        }
        *self.closers(kind) += 1;
        let start = self.parsed.commands.len();
        let outer = std::mem::replace(&mut self.frame, Frame::new(kind, start));
        self.outer.push(outer);
    }

    /// How many frames of such a kind are open that the same sign closes.
    pub(super) fn closers(&mut self, kind: Kind) -> &mut usize {
        if kind == Kind::Backquotes { &mut self.backquotes } else { &mut self.groups }
    }

    /// Reads a closing parenthesis.
    pub(super) fn close(&mut self) {
        let case = self.frame.words.first().is_some_and(|word| word.text == "case" && !word.changed);
        if self.frame.pattern || case {
            self.at += 1;
            self.frame.cases += usize::from(case);
            self.frame.pattern = false;
            self.frame.words.clear();
            self.frame.word = None;
            return;
        }
        self.at += 1;
        if self.groups == 0 {
            return self.end_command(false);
        }
        while matches!(self.frame.kind, Kind::Top | Kind::Backquotes) {
            self.pop();
        }
        if self.calculates() {
            if self.peek(0) == Some(')') {
                self.at += 1;
                self.frame.words.clear();
                self.frame.word = None;
            } else {
                // A group in a group after all.
                self.frame.kind = Kind::Group;
                return self.end_command(false);
            }
        }
        self.leave();
    }

    /// Ends the innermost frame.
    pub(super) fn leave(&mut self) {
        if self.frame.kind == Kind::Array {
            self.end_word();
            self.frame.words.clear();
        }
        self.end_command(false);
        self.pop();
    }

    /// Goes back to the frame around.
    pub(super) fn pop(&mut self) {
        self.end_command(false);
        let Some(outer) = self.outer.pop() else { return };
        let inner = std::mem::replace(&mut self.frame, outer);
        *self.closers(inner.kind) -= 1;
        self.frame.fetches |= inner.fetches;
        match inner.kind {
            Kind::Substitution | Kind::Backquotes => self.output(inner.start, inner.fetches),
            Kind::Arithmetic => self.word().push("0"),
            Kind::Group => {
                // What comes next may read what the group has written.
                let (piped, depth) = (std::mem::take(&mut self.frame.piped), self.outer.len());
                self.parsed.commands.push(Command { words: Vec::new(), piped, depth, input: Vec::new() });
            }
            Kind::Calculation | Kind::Top | Kind::Array => {}
        }
    }

    /// Adds the output of the commands of a substitution, where it is known.
    pub(super) fn output(&mut self, start: usize, fetched: bool) {
        let commands = self.parsed.commands.get(start..).unwrap_or_default();
        let known = match commands {
            [command] => expand::output(&command.words),
            _ => None,
        };
        let quoted = self.frame.double;
        match known {
            Some(text) => self.fill(text.trim_end_matches('\n'), quoted),
            None => self.word().push_unknown("$()"),
        }
        if fetched && let Some(word) = &mut self.frame.word {
            word.fetched = true;
        }
    }

    /// Ends a word and puts it where it belongs.
    pub(super) fn end_word(&mut self) {
        let quoted = std::mem::take(&mut self.frame.quoted);
        let Some(mut word) = self.frame.word.take() else { return };
        word.changed |= quoted;
        if word.text.is_empty() && !quoted && word.empty.is_none() {
            return;
        }
        match std::mem::replace(&mut self.frame.target, Target::Words) {
            Target::Words => {
                if quoted || !self.braces(&word) {
                    self.frame.words.push(word);
                }
            }
            Target::File => {}
            Target::Text => self.frame.input.push(word.text),
            Target::Document(tabs) => self.pending.push((word.text, tabs, !quoted)),
        }
    }

    /// Adds the words that braces make of one; false where they make none.
    pub(super) fn braces(&mut self, word: &Word) -> bool {
        let Some(open) = word.braces.iter().position(|(_, sign)| *sign == '{') else { return false };
        let (mut depth, mut cuts) = (0_usize, Vec::new());
        for (at, sign) in word.braces.iter().skip(open) {
            match sign {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 || (depth == 1 && (*sign == ',' || cuts.is_empty())) {
                cuts.push(*at);
            }
            if depth == 0 {
                break;
            }
        }
        let (Some(first), Some(last)) = (cuts.first(), cuts.last()) else { return false };
        if depth > 0 || cuts.len() < 3 {
            return false;
        }
        let head = word.text.get(..*first).unwrap_or_default();
        let tail = word.text.get(last + 1..).unwrap_or_default();
        let around = cuts.len() <= BRACE_WORDS_MAX && (head.len() + tail.len()) * cuts.len() <= BRACE_BYTES_MAX;
        for cut in cuts.windows(2) {
            let [from, to] = cut else { continue };
            let inside = word.text.get(from + 1..*to).unwrap_or_default();
            let text = if around { format!("{head}{inside}{tail}") } else { inside.to_owned() };
            if !text.is_empty() {
                self.frame.words.push(Word { glob: word.glob, ..Word::new(&text) });
            }
        }
        true
    }

    /// Ends a command; `pipe` where the next one reads its output.
    pub(super) fn end_command(&mut self, pipe: bool) {
        self.end_word();
        self.frame.target = Target::Words;
        let mut words = std::mem::take(&mut self.frame.words);
        let input = std::mem::take(&mut self.frame.input);
        let piped = std::mem::replace(&mut self.frame.piped, pipe);
        let own = words.iter().take_while(|word| !word.changed && OWN.contains(&word.text.as_str())).count();
        let closes = words.drain(..own).any(|word| word.text == "esac");
        if closes {
            self.frame.cases = self.frame.cases.saturating_sub(1);
            self.frame.pattern = false;
        }
        if words.is_empty() && input.is_empty() {
            // A line may end behind a pipe.
            self.frame.piped |= piped && own == 0;
            return;
        }
        if self.is_syntax(&mut words) || self.variables.assign(&words) && input.is_empty() {
            return;
        }
        self.frame.fetches |= expand::may_fetch(&words);
        self.parsed.commands.push(Command { words, piped, depth: self.outer.len(), input });
    }

    /// Whether words belong to a loop's head, a pattern or a condition.
    pub(super) fn is_syntax(&mut self, words: &mut Vec<Word>) -> bool {
        let own = words.first().filter(|word| !word.changed).map(|word| word.text.as_str());
        match own {
            _ if self.frame.pattern => return true,
            Some("case") => {
                self.frame.cases += 1;
                self.frame.pattern = true;
                return true;
            }
            Some("for" | "select") => {
                let values = words.iter().skip(3).map(|word| word.text.clone()).collect();
                if let Some(name) = words.get(1) {
                    self.variables.set(&name.text, values);
                }
                return true;
            }
            Some("function") => {
                let head = 2 + words.iter().skip(2).take_while(|word| word.text == "{").count();
                words.drain(..head.min(words.len()));
                return words.is_empty();
            }
            Some("[[") => self.frame.test = true,
            _ if !self.frame.test => return false,
            _ => {}
        }
        // A shell without `[[` runs what stands in it behind a separator.
        let compares = words.get(1).is_none_or(|word| word.text.starts_with(['=', '!', '-', ']', '<', '>']));
        let condition = own.is_none_or(|own| own.starts_with(['-', '[', '!', '('])) || compares;
        self.frame.test = !words.iter().any(|word| word.text == "]]");
        condition
    }
}
