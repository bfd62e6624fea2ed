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
    into.clear();
    let mut reader = Reader { opens: true, quote: None, into };
    let mut chars = text.char_indices().peekable();
    while let Some((start, char)) = chars.next() {
        if reader.into.len() >= tokens_max {
            return;
        }
        if char == '\n' {
            reader.opens = true;
        } else if char.is_whitespace() || char.is_control() {
        } else if is_ideograph(char) {
            reader.word(start, start + char.len_utf8(), &Hasher::of(char), Shape::Ideograph, false);
        } else if char.is_alphabetic() || is_joined_mark(char) {
            let mut hasher = Hasher::of(char);
            let (mut end, mut capitals) = (start + char.len_utf8(), char.is_uppercase());
            while let Some(&(at, next)) = chars.peek() {
                let inside = next.is_alphanumeric() && !is_ideograph(next) || is_joined_mark(next);
                // An apostrophe is a part of the word, whichever of them it is.
                let apostrophe = matches!(next, '\'' | '\u{2019}') && text.get(at + next.len_utf8()..).is_some_and(starts_with_letter);
                if !inside && !apostrophe {
                    break;
                }
                if inside {
                    fold(next, |c| hasher.push(c));
                    capitals &= next.is_uppercase();
                }
                end = at + next.len_utf8();
                chars.next();
            }
            capitals &= end - start > 2;
            reader.word(start, end, &hasher, Shape::Word, capitals);
        } else if char.is_numeric() {
            let mut digits = 1_u64;
            let mut end = start + char.len_utf8();
            while let Some(&(at, next)) = chars.peek().filter(|(_, next)| next.is_numeric()) {
                digits += 1;
                end = at + next.len_utf8();
                chars.next();
            }
            let hasher = Hasher { state: mix(SEED, digits.min(9)), stem: mix(SEED, 77), chars: 0 };
            reader.word(start, end, &hasher, Shape::Number, false);
        } else {
            let mut run = 1_u64;
            let mut end = start + char.len_utf8();
            while let Some(&(at, _)) = chars.peek().filter(|(_, next)| *next == char) {
                run += 1;
                end = at + char.len_utf8();
                chars.next();
            }
            reader.mark(start, end, char, run);
        }
    }
}

fn starts_with_letter(rest: &str) -> bool {
    rest.chars().next().is_some_and(char::is_alphabetic)
}

/// Marks that belong to the letter before them: accents, vowel signs of Indian scripts, Arabic marks.
fn is_joined_mark(char: char) -> bool {
    let joiner = matches!(char, '\u{200c}' | '\u{200d}');
    !char.is_ascii() && (joiner || unicode_normalization::char::is_combining_mark(char))
}

struct Reader<'t> {
    opens: bool,
    /// The mark that ends the quotation and where it began.
    quote: Option<(char, usize)>,
    into: &'t mut Vec<Token>,
}

impl Hasher {
    fn of(first: char) -> Self {
        let mut hasher = Self::new();
        fold(first, |c| hasher.push(c));
        hasher
    }
}

impl Reader<'_> {
    fn quoted(&mut self, at: usize) -> bool {
        self.quote = self.quote.filter(|(_, since)| at - since <= QUOTE_BYTES_MAX);
        self.quote.is_some()
    }

    fn word(&mut self, start: usize, end: usize, hasher: &Hasher, shape: Shape, capitals: bool) {
        let (hash, stem) = (hasher.finish(), mix(hasher.stem, 2));
        self.push(start, end, hash, stem, shape, 0, capitals);
        self.opens = false;
    }

    fn mark(&mut self, start: usize, end: usize, char: char, run: u64) {
        let closes = self.quote.is_some_and(|(closing, _)| closing == char);
        if closes {
            self.quote = None;
        }
        let code = u64::from(u32::from(char));
        let mark = u8::try_from(u32::from(char)).unwrap_or(1);
        let hash = mix(mix(SEED, code), run.min(4));
        self.push(start, end, hash, mix(SEED, code), Shape::Mark, mark, false);
        if !closes && self.quote.is_none() {
            self.quote = closing_of(char).map(|closing| (closing, end));
        }
        let ends_sentence = matches!(char, '.' | '!' | '?' | ':' | ';' | '。' | '！' | '？' | '।' | '>' | ']' | '}' | '"' | '\'' | '|' | '#' | '*' | '-');
        self.opens |= ends_sentence;
    }

    #[expect(clippy::cast_possible_truncation, reason = "a text is at most one record long")]
    fn push(&mut self, start: usize, end: usize, hash: u64, stem: u64, shape: Shape, mark: u8, capitals: bool) {
        let quoted = self.quoted(start);
        let opens = self.opens;
        self.into.push(Token { hash, stem, start: start as u32, end: end as u32, shape, mark, opens, quoted, capitals });
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
