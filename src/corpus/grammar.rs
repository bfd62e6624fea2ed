//! Templates → texts. The format of the files under `rules/model/corpus/`.
//!
//! `== label=… direction=… family=… lang=…` opens a section (`expand=30` there says how many texts to
//! make of each template), `= name` a list; every other line is a
//! template with `{a|b}` choices, `{name}` lists, `{hex:32}` random characters and `\n` line breaks.

use std::collections::BTreeMap;

use super::Random;

/// Deepest nesting of lists and choices.
const DEPTH_MAX: usize = 24;
/// What stands for the place in a carrier where an instruction can be planted.
pub const HERE: &str = "{here}";

/// A file of templates.
#[derive(Debug, Default)]
pub struct Grammar {
    /// The templates in the order of the file.
    pub templates: Vec<Template>,
    lists: BTreeMap<String, Vec<Sequence>>,
}

/// One template and the properties of its section.
#[derive(Debug)]
pub struct Template {
    /// `injection`, `jailbreak`, `benign`, `payload` or `carrier`.
    pub label: String,
    /// `user`, `tool_result`, `tool_call` or `model`.
    pub direction: String,
    /// Name of the idea.
    pub family: String,
    /// ISO code of the language.
    pub lang: String,
    /// How many texts to make of it; as many as its choices allow where the section does not say.
    pub expand: Option<usize>,
    /// Line of the file.
    pub line: usize,
    sequence: Sequence,
}

type Sequence = Vec<Piece>;

#[derive(Debug)]
enum Piece {
    Text(String),
    Choice(Vec<Sequence>),
    List(String),
    /// So many random characters out of these.
    Characters(String, usize),
}

impl Grammar {
    /// Reads a file.
    ///
    /// # Errors
    /// Line number and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut grammar = Self::default();
        let mut section: Option<BTreeMap<String, String>> = None;
        let mut list: Option<String> = None;
        for (line, content) in (1..).zip(text.lines()) {
            let at = |error: String| format!("line {line}: {error}");
            if content.trim().is_empty() || content.starts_with("# ") {
                continue;
            }
            if let Some(head) = content.strip_prefix("== ") {
                section = Some(head.split_whitespace().filter_map(|p| p.split_once('=')).map(owned).collect());
                list = None;
            } else if let Some(name) = list_name(content) {
                grammar.lists.entry(name.to_owned()).or_default();
                list = Some(name.to_owned());
            } else {
                let sequence = read(content).map_err(at)?;
                match (&list, &section) {
                    (Some(list), _) => grammar.lists.entry(list.clone()).or_default().push(sequence),
                    (None, Some(section)) => grammar.templates.push(template(section, line, sequence).map_err(at)?),
                    (None, None) => {
                        return Err(at("expected `== label=…` or `= name` before the first template".into()));
                    }
                }
            }
        }
        grammar.check()?;
        Ok(grammar)
    }

    /// One text of a template.
    #[must_use]
    pub fn expand(&self, template: &Template, random: &mut Random) -> String {
        let mut text = String::new();
        self.write(&template.sequence, random, 0, &mut text);
        text
    }

    /// Number of choices in a template, which says how different its texts can be.
    #[must_use]
    pub fn choices(template: &Template) -> usize {
        count(&template.sequence)
    }

    fn write(&self, sequence: &[Piece], random: &mut Random, depth: usize, text: &mut String) {
        if depth > DEPTH_MAX {
            return;
        }
        for piece in sequence {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Characters(alphabet, count) => {
                    let letters: Vec<char> = alphabet.chars().collect();
                    text.extend((0..*count).filter_map(|_| random.pick(&letters)));
                }
                Piece::Choice(alternatives) => {
                    if let Some(chosen) = random.pick(alternatives) {
                        self.write(chosen, random, depth + 1, text);
                    }
                }
                Piece::List(name) if name == "here" => text.push_str(HERE),
                Piece::List(name) => {
                    if let Some(chosen) = self.lists.get(name).and_then(|list| random.pick(list)) {
                        self.write(chosen, random, depth + 1, text);
                    }
                }
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        for template in &self.templates {
            self.check_names(&template.sequence).map_err(|error| format!("line {}: {error}", template.line))?;
        }
        for (name, alternatives) in &self.lists {
            for sequence in alternatives {
                self.check_names(sequence).map_err(|error| format!("list `{name}`: {error}"))?;
            }
        }
        Ok(())
    }

    fn check_names(&self, sequence: &[Piece]) -> Result<(), String> {
        for piece in sequence {
            match piece {
                Piece::List(name) if name != "here" && !self.lists.contains_key(name) => {
                    return Err(format!("no list is called `{name}`; a literal brace is written `\\{{`"));
                }
                Piece::Choice(alternatives) => alternatives.iter().try_for_each(|a| self.check_names(a))?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn list_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("= ")?.trim();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

fn template(section: &BTreeMap<String, String>, line: usize, sequence: Sequence) -> Result<Template, String> {
    let get = |key: &str| section.get(key).cloned().ok_or_else(|| format!("expected its section to say `{key}=…`"));
    Ok(Template {
        label: get("label")?,
        direction: get("direction")?,
        family: get("family")?,
        lang: get("lang")?,
        expand: section.get("expand").and_then(|times| times.parse().ok()),
        line,
        sequence,
    })
}

fn count(sequence: &[Piece]) -> usize {
    let of = |piece: &Piece| match piece {
        Piece::Text(_) => 0,
        Piece::Choice(alternatives) => alternatives.len() - 1 + alternatives.iter().map(|a| count(a)).sum::<usize>(),
        Piece::List(_) => 3,
        Piece::Characters(..) => 0,
    };
    sequence.iter().map(of).sum()
}

#[derive(Debug, PartialEq)]
enum Sign {
    Char(char),
    Open,
    Close,
    Bar,
}

fn read(line: &str) -> Result<Sequence, String> {
    let mut signs = Vec::new();
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        signs.push(match char {
            '\\' => Sign::Char(match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            }),
            '{' => Sign::Open,
            '}' => Sign::Close,
            '|' => Sign::Bar,
            other => Sign::Char(other),
        });
    }
    let mut signs = signs.into_iter().peekable();
    let mut alternatives = read_alternatives(&mut signs, 0)?;
    Ok(alternatives.pop().unwrap_or_default())
}

fn read_alternatives(
    signs: &mut std::iter::Peekable<std::vec::IntoIter<Sign>>,
    depth: usize,
) -> Result<Vec<Sequence>, String> {
    let mut alternatives = vec![Sequence::new()];
    let mut text = String::new();
    let flush = |text: &mut String, alternatives: &mut Vec<Sequence>| {
        if !text.is_empty()
            && let Some(last) = alternatives.last_mut()
        {
            last.push(Piece::Text(std::mem::take(text)));
        }
    };
    while let Some(sign) = signs.next() {
        match sign {
            Sign::Char(char) => text.push(char),
            Sign::Bar if depth == 0 => text.push('|'),
            Sign::Bar => {
                flush(&mut text, &mut alternatives);
                alternatives.push(Sequence::new());
            }
            Sign::Open => {
                flush(&mut text, &mut alternatives);
                let inner = read_alternatives(signs, depth + 1)?;
                if let Some(last) = alternatives.last_mut() {
                    last.push(piece(inner)?);
                }
            }
            Sign::Close if depth == 0 => return Err("unmatched `}`; a literal brace is written `\\}`".to_owned()),
            Sign::Close => {
                flush(&mut text, &mut alternatives);
                return Ok(alternatives);
            }
        }
    }
    if depth > 0 {
        return Err("unclosed `{`; a literal brace is written `\\{`".to_owned());
    }
    flush(&mut text, &mut alternatives);
    Ok(alternatives)
}

/// A single name in braces is a list or random characters; everything else is a choice.
fn piece(alternatives: Vec<Sequence>) -> Result<Piece, String> {
    if let [only] = alternatives.as_slice()
        && let [Piece::Text(name)] = only.as_slice()
    {
        return match name.split_once(':') {
            Some((alphabet, count)) if count.parse::<usize>().is_ok() => {
                let letters = alphabet_of(alphabet).ok_or_else(|| format!("no characters are called `{alphabet}`"))?;
                Ok(Piece::Characters(letters, count.parse().unwrap_or(0)))
            }
            _ => Ok(Piece::List(name.clone())),
        };
    }
    Ok(Piece::Choice(alternatives))
}

fn alphabet_of(name: &str) -> Option<String> {
    let (upper, lower, digits) = ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789");
    Some(match name {
        "0-9" => digits.to_owned(),
        "a-z" => lower.to_owned(),
        "A-Z" => upper.to_owned(),
        "hex" => format!("{digits}abcdef"),
        "b64" => format!("{upper}{lower}{digits}+/"),
        "alnum" => format!("{upper}{lower}{digits}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand_to_what_they_say() {
        let text =
            "= who\nbot\n== label=benign direction=user family=f lang=en\nHey {who}, {a|a} \\{x\\} {|}|{hex:3}\\n.\n";
        let grammar = Grammar::parse(text).expect("good");
        let made = grammar.expand(&grammar.templates[0], &mut Random::new(1));
        assert!(made.starts_with("Hey bot, a {x} |") && made.ends_with("\n."), "{made}");
        assert_eq!(made, grammar.expand(&grammar.templates[0], &mut Random::new(1)));
    }

    #[test]
    fn errors_name_the_line() {
        let head = "== label=benign direction=user family=f lang=en\n";
        for (body, want) in [("a {b", "line 2: unclosed"), ("a }", "line 2: unmatched"), ("{none}", "line 2: no list")]
        {
            let error = Grammar::parse(&format!("{head}{body}\n")).expect_err("broken");
            assert!(error.starts_with(want), "{error}");
        }
        assert!(Grammar::parse("text\n").expect_err("no section").starts_with("line 1"));
    }
}
