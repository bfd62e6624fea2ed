//! Text → tokens: words, folded so that case and accents do not matter, and the marks between them.
//!
//! A token is a 64-bit hash of its folded form, never a string: nothing here allocates but the list
//! itself. The hash is a part of the model's format and never changes.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A word of letters.
    Word,
    /// A character of a script without spaces between words.
    Ideograph,
    /// A run of digits.
    Number,
    /// A run of one punctuation mark.
    Mark,
}

/// One token of a text.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// Hash of the folded form.
    pub hash: u64,
    /// Hash of the first five characters of the folded form.
    pub stem: u64,
    /// Byte range in the text, for evidence: start and end.
    pub start: u32,
    /// End of the byte range.
    pub end: u32,
    /// What it is.
    pub shape: Shape,
    /// For a mark, the character; 0 for others.
    pub mark: u8,
    /// Whether a sentence, line or text begins with it.
    pub opens: bool,
    /// Whether it stands inside quotation marks or code.
    pub quoted: bool,
    /// A word in capitals.
    pub capitals: bool,
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
/// Characters of a stem.
const STEM_CHARS: u32 = 5;
/// Longest quotation that is followed, in bytes: an opening mark without its end quotes nothing more.
const QUOTE_BYTES_MAX: usize = 400;

/// Hash of a folded word, as the lexicon and the tokens make it.
#[must_use]
pub fn word_hash(word: &str) -> u64 {
    let mut hasher = Hasher::new();
    word.chars().for_each(|char| fold(char, |c| hasher.push(c)));
    hasher.finish()
}

/// Spreads the bits of two values over one.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.rotate_left(23) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 32)
}

struct Hasher {
    state: u64,
    stem: u64,
    chars: u32,
}

impl Hasher {
    fn new() -> Self {
        Self { state: SEED, stem: SEED, chars: 0 }
    }

    fn push(&mut self, char: char) {
        self.state = (self.state ^ u64::from(u32::from(char))).wrapping_mul(PRIME);
        self.chars += 1;
        if self.chars <= STEM_CHARS {
            self.stem = self.state;
        }
    }

    fn finish(&self) -> u64 {
        mix(self.state, 1)
    }
}

/// Gives the folded form of one character of a word: lower case, without accents, all digits alike.
pub(super) fn fold(char: char, mut push: impl FnMut(char)) {
    if char.is_ascii() {
        push(if char.is_ascii_digit() { '0' } else { char.to_ascii_lowercase() });
        return;
    }
    if matches!(char, '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}') {
        return;
    }
    match char {
        'ß' => ['s', 's'].into_iter().for_each(push),
        'æ' | 'Æ' => ['a', 'e'].into_iter().for_each(push),
        'œ' | 'Œ' => ['o', 'e'].into_iter().for_each(push),
        'ø' | 'Ø' => push('o'),
        'đ' | 'Đ' | 'ð' => push('d'),
        'ł' | 'Ł' => push('l'),
        'ı' | 'İ' => push('i'),
        'ё' | 'Ё' => push('е'),
        _ => {
            let lower = char.to_lowercase().next().unwrap_or(char);
            push(base_letter(lower));
        }
    }
}

/// A Latin, Greek or Vietnamese letter without its accents; others as they are.
fn base_letter(char: char) -> char {
    let has_accents = matches!(u32::from(char), 0xc0..=0x17f | 0x180..=0x24f | 0x386..=0x3ce | 0x1e00..=0x1fff);
    if !has_accents {
        return char;
    }
    unicode_normalization::char::is_combining_mark(char)
        .then_some(char)
        .or_else(|| std::iter::once(char).nfd().next())
        .unwrap_or(char)
}

use unicode_normalization::UnicodeNormalization as _;

/// Scripts that are written without spaces between words.
pub(super) fn is_ideograph(char: char) -> bool {
    matches!(u32::from(char), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

/// Reads a text into tokens, at most `tokens_max` of them.
pub fn tokenize(text: &str, tokens_max: usize, into: &mut Vec<Token>) {
    Reader::new(text, into).fill(tokens_max);
}

/// Marks that belong to the letter before them: accents, vowel signs of Indian scripts, Arabic marks.
fn is_joined_mark(char: char) -> bool {
    let joiner = matches!(char, '\u{200c}' | '\u{200d}');
    !char.is_ascii() && (joiner || unicode_normalization::char::is_combining_mark(char))
}

/// Reads a text from its beginning on, as far as it is asked to.
pub(super) struct Reader<'t> {
    text: &'t str,
    /// Byte that is read next.
    at: usize,
    opens: bool,
    /// The mark that ends the quotation and where it began.
    quote: Option<(char, usize)>,
    into: &'t mut Vec<Token>,
}

impl<'t> Reader<'t> {
    /// A reader at the beginning of a text; the buffer is emptied.
    pub(super) fn new(text: &'t str, into: &'t mut Vec<Token>) -> Self {
        into.clear();
        Self { text, at: 0, opens: true, quote: None, into }
    }

    /// Reads on until there are so many tokens, or to the end.
    pub(super) fn fill(&mut self, tokens_max: usize) {
        while let Some(char) = self.peek() {
            if self.into.len() >= tokens_max {
                return;
            }
            match char {
                '\n' => {
                    self.opens = true;
                    self.at += 1;
                }
                c if c.is_ascii_alphabetic() => self.word(),
                c if c.is_numeric() => self.number(),
                c if c.is_whitespace() || c.is_control() => self.at += c.len_utf8(),
                c if is_ideograph(c) => self.ideograph(c),
                c if c.is_alphabetic() || is_joined_mark(c) => self.word(),
                c => self.mark(c),
            }
        }
    }

    /// Forgets the first tokens; reading goes on as if they were still there.
    pub(super) fn forget(&mut self, count: usize) {
        self.into.drain(..count.min(self.into.len()));
    }

    pub(super) fn tokens(&self) -> &[Token] {
        self.into
    }

    pub(super) fn into_tokens(self) -> &'t [Token] {
        self.into
    }

    fn peek(&self) -> Option<char> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            Some(_) => self.text.get(self.at..).and_then(|rest| rest.chars().next()),
            None => None,
        }
    }

    fn quoted(&mut self) -> bool {
        let at = self.at;
        self.quote = self.quote.filter(|(_, since)| at.saturating_sub(*since) <= QUOTE_BYTES_MAX);
        self.quote.is_some()
    }

    fn word(&mut self) {
        let start = self.at;
        let mut hasher = Hasher::new();
        let mut capitals = true;
        while let Some(next) = self.peek() {
            let inside = if next.is_ascii() {
                next.is_ascii_alphanumeric()
            } else {
                next.is_alphanumeric() && !is_ideograph(next) || is_joined_mark(next)
            };
            if inside {
                fold(next, |c| hasher.push(c));
                capitals &= next.is_uppercase();
            } else if !self.is_apostrophe(next) {
                break;
            }
            self.at += next.len_utf8();
        }
        capitals &= self.at - start > 2;
        let hashes = (hasher.finish(), mix(hasher.stem, 2));
        self.push(start, hashes, (Shape::Word, 0), capitals);
        self.opens = false;
    }

    /// An apostrophe is a part of the word, whichever of them it is.
    fn is_apostrophe(&self, char: char) -> bool {
        let after = || self.text.get(self.at + char.len_utf8()..).and_then(|rest| rest.chars().next());
        matches!(char, '\'' | '\u{2019}') && after().is_some_and(char::is_alphabetic)
    }

    fn ideograph(&mut self, char: char) {
        let start = self.at;
        let mut hasher = Hasher::new();
        hasher.push(char);
        self.at += char.len_utf8();
        let hashes = (hasher.finish(), mix(hasher.stem, 2));
        self.push(start, hashes, (Shape::Ideograph, 0), false);
        self.opens = false;
    }

    /// A number counts by its length alone.
    fn number(&mut self) {
        let start = self.at;
        let mut digits = 0_u64;
        while let Some(next) = self.peek().filter(|next| next.is_numeric()) {
            digits += 1;
            self.at += next.len_utf8();
        }
        let hashes = (mix(mix(SEED, digits.min(9)), 1), mix(mix(SEED, 77), 2));
        self.push(start, hashes, (Shape::Number, 0), false);
        self.opens = false;
    }

    fn mark(&mut self, char: char) {
        let start = self.at;
        let mut run = 0_u64;
        while self.peek() == Some(char) {
            run += 1;
            self.at += char.len_utf8();
        }
        let closes = self.quote.is_some_and(|(closing, _)| closing == char);
        if closes {
            self.quote = None;
        }
        let code = u64::from(u32::from(char));
        let mark = u8::try_from(u32::from(char)).unwrap_or(1);
        self.push(start, (mix(mix(SEED, code), run.min(4)), mix(SEED, code)), (Shape::Mark, mark), false);
        if !closes && self.quote.is_none() {
            self.quote = closing_of(char).map(|closing| (closing, self.at));
        }
        self.opens |= opens_after(char);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a text is at most one record long")]
    fn push(&mut self, start: usize, (hash, stem): (u64, u64), (shape, mark): (Shape, u8), capitals: bool) {
        let quoted = self.quoted();
        let (opens, end) = (self.opens, self.at as u32);
        self.into.push(Token { hash, stem, start: start as u32, end, shape, mark, opens, quoted, capitals });
    }
}

/// Marks after which something new begins.
fn opens_after(char: char) -> bool {
    match char {
        '.' | '!' | '?' | ':' | ';' | '>' | ']' | '}' | '"' | '\'' | '|' | '#' | '*' | '-' => true,
        _ => matches!(char, '\u{3002}' | '\u{ff01}' | '\u{ff1f}' | '\u{964}'),
    }
}

/// What ends a quotation that begins with this mark.
fn closing_of(mark: char) -> Option<char> {
    Some(match mark {
        '"' | '`' => mark,
        '\u{201c}' | '\u{201e}' => '\u{201d}',
        '\u{2018}' => '\u{2019}',
        '\u{ab}' => '\u{bb}',
        '\u{300c}' => '\u{300d}',
        _ => return None,
    })
}
