//! The lexicon: words and phrases of some forty languages → concepts.
//!
//! It is what makes the classifier care less about wording and language: `disregard`, `vergiss` and
//! `忽略` are one concept. The file `rules/model/lexicon.txt` is a part of the model: weights are
//! trained with it and refuse another one.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

use super::tokens::{Shape, Token, fold, is_ideograph, mix, word_hash};

/// Most concepts of one token.
pub const CONCEPTS_PER_TOKEN: usize = 4;
/// Lengths of prefixes, in characters.
const PREFIX_CHARS: std::ops::RangeInclusive<u32> = 2..=14;

/// The concepts of a token: numbers of classes from 1, 0 for none.
pub type Concepts = [u8; CONCEPTS_PER_TOKEN];

/// Words and phrases → concepts.
#[derive(Debug, Default)]
pub struct Lexicon {
    names: Vec<String>,
    words: Table<Concepts>,
    prefixes: Table<Concepts>,
    /// Words that begin a phrase, and phrases by their first two words where both are whole words.
    begins: Table<()>,
    pairs: Table<Vec<Phrase>>,
    /// Other phrases, by their first part.
    phrases: Table<Vec<Phrase>>,
    phrase_prefixes: Table<Vec<Phrase>>,
    /// Digest of the text that it was read from.
    pub digest: u64,
}

type Table<V> = HashMap<u64, V, BuildHasherDefault<HashIsKey>>;

#[derive(Debug)]
struct Phrase {
    rest: Vec<Part>,
    concept: u8,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    hash: u64,
    is_prefix: bool,
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct HashIsKey(u64);

impl Hasher for HashIsKey {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Lexicon {
    /// Reads the text of a lexicon: `== CLASS description` opens a class, `lang: entry, entry` adds to
    /// it; `*` at the end of a word is a prefix, `_` joins the words of a phrase.
    ///
    /// # Errors
    /// Line number and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lexicon = Self::default();
        let mut class = 0_u8;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with("# ") || line == "#" {
                continue;
            }
            if let Some(head) = line.strip_prefix("== ") {
                let name = head.split_whitespace().next().unwrap_or_default();
                class = lexicon.open(name).ok_or_else(|| format!("line {number}: expected at most 255 classes"))?;
                continue;
            }
            let entries = line.split_once(':').map(|(_, entries)| entries);
            let Some(entries) = entries.filter(|_| class > 0) else {
                return Err(format!("line {number}: expected `== CLASS` or `lang: entry, entry`, got `{line}`"));
            };
            for entry in entries.split([',', '،', '、']).map(str::trim).filter(|entry| is_words(entry)) {
                lexicon.add(entry, class);
            }
        }
        lexicon.digest = text.chars().fold(0, |digest, char| mix(digest, u64::from(u32::from(char))));
        Ok(lexicon)
    }

    /// Names of the concepts, the first of which is number 1.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn open(&mut self, name: &str) -> Option<u8> {
        let known = self.names.iter().position(|known| known == name);
        let position = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        u8::try_from(position + 1).ok()
    }

    fn add(&mut self, entry: &str, concept: u8) {
        let mut parts = Vec::new();
        for word in entry.split(['_', ' ', '-']).filter(|word| !word.is_empty()) {
            push_parts(word, &mut parts);
        }
        let Some((first, rest)) = parts.split_first() else { return };
        if rest.is_empty() {
            let table = if first.is_prefix { &mut self.prefixes } else { &mut self.words };
            insert(table.entry(first.hash).or_default(), concept);
            return;
        }
        let second = rest.first().filter(|second| !second.is_prefix && !first.is_prefix);
        if let Some(second) = second {
            self.begins.insert(first.hash, ());
            let phrase = Phrase { rest: rest.get(1..).unwrap_or_default().to_vec(), concept };
            self.pairs.entry(mix(first.hash, second.hash)).or_default().push(phrase);
            return;
        }
        let table = if first.is_prefix { &mut self.phrase_prefixes } else { &mut self.phrases };
        table.entry(first.hash).or_default().push(Phrase { rest: rest.to_vec(), concept });
    }

    /// The concepts of each token of a text.
    pub fn read(&self, text: &str, tokens: &[Token], memo: &mut Memo, into: &mut Vec<Concepts>) {
        into.clear();
        for (n, token) in tokens.iter().enumerate() {
            let mut concepts = Concepts::default();
            if matches!(token.shape, Shape::Word | Shape::Ideograph) {
                let known = memo.entry(token.hash, || self.of_word(text, token));
                concepts = known.concepts;
                if known.begins_phrases {
                    let following = tokens.get(n + 1..).unwrap_or_default();
                    self.of_phrases(text, token, following, &mut concepts);
                }
            }
            into.push(concepts);
        }
    }

    fn begins_phrase(&self, hash: u64) -> bool {
        self.begins.contains_key(&hash) || self.phrases.contains_key(&hash)
    }

    /// What a word means by itself, and whether it may begin a phrase.
    fn of_word(&self, text: &str, token: &Token) -> Known {
        let mut known = Known { concepts: Concepts::default(), begins_phrases: self.begins_phrase(token.hash) };
        let mut take = |concepts: &Concepts| concepts.iter().for_each(|concept| insert(&mut known.concepts, *concept));
        if let Some(concepts) = self.words.get(&token.hash) {
            take(concepts);
        }
        if token.shape == Shape::Word {
            let mut begins = false;
            for_prefixes(word(text, token), |hash| {
                if let Some(concepts) = self.prefixes.get(&hash) {
                    take(concepts);
                }
                begins |= self.phrase_prefixes.contains_key(&hash);
            });
            known.begins_phrases |= begins;
        }
        known
    }

    fn of_phrases(&self, text: &str, token: &Token, following: &[Token], concepts: &mut Concepts) {
        let mut take = |phrases: &Vec<Phrase>, after: &[Token]| {
            phrases.iter().filter(|p| p.follows(text, after)).for_each(|p| insert(concepts, p.concept));
        };
        if let Some(phrases) = self.phrases.get(&token.hash) {
            take(phrases, following);
        }
        let second = following.iter().position(|token| !joins(token));
        if let Some((at, second)) = second.and_then(|at| Some((at, following.get(at)?)))
            && let Some(phrases) = self.pairs.get(&mix(token.hash, second.hash))
        {
            take(phrases, following.get(at + 1..).unwrap_or_default());
        }
        if token.shape == Shape::Word && !self.phrase_prefixes.is_empty() {
            for_prefixes(word(text, token), |hash| {
                if let Some(phrases) = self.phrase_prefixes.get(&hash) {
                    take(phrases, following);
                }
            });
        }
    }
}

/// A mark between the words of a phrase that does not part them.
fn joins(token: &Token) -> bool {
    matches!(token.mark, b'-' | b'_')
}

/// What is known of a word.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    concepts: Concepts,
    begins_phrases: bool,
}

/// Words that were looked up lately, by hash: most words of a text are common ones. A word that falls
/// on the place of another one takes it; what is answered is the same.
#[derive(Debug)]
pub struct Memo(Vec<(u64, Known)>);

/// Places of the memo, a power of two.
const MEMO_PLACES: usize = 1 << 13;

impl Default for Memo {
    fn default() -> Self {
        Self(vec![(0, Known::default()); MEMO_PLACES])
    }
}

impl Memo {
    fn entry(&mut self, hash: u64, look_up: impl FnOnce() -> Known) -> Known {
        let Some(place) = self.0.get_mut((hash >> 7) as usize & (MEMO_PLACES - 1)) else { return look_up() };
        if place.0 != hash {
            *place = (hash, look_up());
        }
        place.1
    }
}

impl Phrase {
    fn follows(&self, text: &str, following: &[Token]) -> bool {
        let mut tokens = following.iter().filter(|token| !joins(token));
        self.rest.iter().all(|part| {
            tokens.next().is_some_and(|token| {
                if !part.is_prefix {
                    return token.hash == part.hash;
                }
                let mut found = false;
                for_prefixes(word(text, token), |hash| found |= hash == part.hash);
                found
            })
        })
    }
}

/// Whether an entry is made of words alone; one with other marks in it cannot be met as words.
fn is_words(entry: &str) -> bool {
    let joins = |c: char| matches!(c, '_' | '-' | '*' | ' ' | '\'' | '\u{2019}' | '\u{200c}' | '\u{200d}');
    let of_word = |c: char| c.is_alphanumeric() || joins(c) || unicode_normalization::char::is_combining_mark(c);
    entry.chars().any(char::is_alphabetic) && entry.chars().all(of_word)
}

fn word<'t>(text: &'t str, token: &Token) -> &'t str {
    text.get(token.start as usize..token.end as usize).unwrap_or_default()
}

/// Gives the hash of every prefix of the folded word, the whole word included.
fn for_prefixes(word: &str, mut give: impl FnMut(u64)) {
    let (mut state, mut count) = (0x5b_u64, 0_u32);
    for char in word.chars() {
        fold(char, |c| {
            if c.is_alphabetic() || !c.is_ascii() {
                state = mix(state, u64::from(u32::from(c)));
                count += 1;
                if PREFIX_CHARS.contains(&count) {
                    give(state);
                }
            }
        });
        if count > *PREFIX_CHARS.end() {
            return;
        }
    }
}

/// The parts of one word of an entry: one for most scripts, one a character for those without spaces.
fn push_parts(word: &str, parts: &mut Vec<Part>) {
    if word.chars().any(is_ideograph) {
        let chars = word.chars().filter(|char| *char != '*');
        parts.extend(chars.map(|char| Part { hash: word_hash(char.encode_utf8(&mut [0; 4])), is_prefix: false }));
        return;
    }
    let Some(prefix) = word.strip_suffix('*') else {
        let letters: String = word.chars().filter(|char| !matches!(char, '\'' | '\u{2019}')).collect();
        parts.push(Part { hash: word_hash(&letters), is_prefix: false });
        return;
    };
    let mut last = 0;
    for_prefixes(prefix, |hash| last = hash);
    parts.push(Part { hash: last, is_prefix: true });
}

/// Adds a concept where there is room and it is not there yet.
fn insert(concepts: &mut Concepts, concept: u8) {
    if concept == 0 || concepts.contains(&concept) {
        return;
    }
    if let Some(free) = concepts.iter_mut().find(|slot| **slot == 0) {
        *free = concept;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;

    #[test]
    fn words_prefixes_and_phrases_are_found() {
        let lexicon = Lexicon::parse(
            "# words\n== OVERRIDE drop\nen: ignor*, set_aside, don't_follow\nzh: 忽略\nfr: oubliez\n== PRIOR before\nen: previous\nde: vorherig*\n",
        )
        .expect("good");
        let rows: [(&str, &[u8]); 7] = [
            ("Ignoring previous", &[1, 2]),
            ("set it aside, set aside", &[0, 0, 0, 0, 1, 0]),
            ("don't follow", &[1, 0]),
            ("请忽略它", &[0, 1, 0, 0]),
            ("OUBLIEZ", &[1]),
            ("vorherige VORHERIGÉN", &[2, 2]),
            ("ignore-previous", &[1, 0, 2]),
        ];
        for (text, want) in rows {
            let (mut tokens, mut concepts) = (Vec::new(), Vec::new());
            tokenize(text, 100, &mut tokens);
            lexicon.read(text, &tokens, &mut Memo::default(), &mut concepts);
            assert_eq!(concepts.iter().map(|c| c[0]).collect::<Vec<_>>(), want, "{text}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        assert!(Lexicon::parse("en: word").expect_err("no class").starts_with("line 1"));
    }
}
