//! One pass over a folded text that finds where each kind of decoder could have something to do.
//!
//! It answers for blocks of 64 bytes and errs on the side of yes. Plain English pays for this pass and
//! for little else.

use std::ops::Range;

use super::kernel::{BLOCK, Kinds, kinds};

/// Digits in two blocks from which on they may hold character codes.
const DIGITS_MIN: u32 = 12;
/// Dots and dashes in two blocks from which on they may hold Morse code.
const DOTS_MIN: u32 = 12;
/// Letters that English has few of, in two blocks, from which on it may be rotated.
const RARE_MIN: u32 = 5;
/// The same in one block.
const RARE_BLOCK_MIN: u32 = 4;
/// Words with an ending that English has few of, in two blocks, from which on they may be reversed.
const ENDINGS_MIN: u32 = 4;

/// Most bytes from a quote over an operator to the next one.
const OPERATOR_GAP_MAX: u32 = 5;

/// Kinds of suspicion, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    /// `%`, `&` or a backslash: references and escapes.
    pub(super) const ESCAPE: Self = Self(1);
    /// `=`.
    pub(super) const EQUALS: Self = Self(1 << 1);
    /// `<`, `*`, a backtick or `~`.
    pub(super) const MARKUP: Self = Self(1 << 2);
    /// Digits or signs inside words.
    pub(super) const LEET: Self = Self(1 << 3);
    /// A capital after a small letter.
    pub(super) const CAMEL: Self = Self(1 << 4);
    /// Punctuation between letters.
    pub(super) const JOINER: Self = Self(1 << 5);
    /// Three single letters.
    pub(super) const SPACED: Self = Self(1 << 6);
    /// Sixteen bytes of what base64 is made of, or nearly.
    pub(super) const LONG: Self = Self(1 << 7);
    /// `+`, `$`, braces or two quotes.
    pub(super) const CONCAT: Self = Self(1 << 8);
    /// Many digits.
    pub(super) const NUMBERS: Self = Self(1 << 9);
    /// Many dots and dashes.
    pub(super) const DOTS: Self = Self(1 << 10);
    /// Many letters that English has few of.
    pub(super) const RARE: Self = Self(1 << 11);
    /// Many words that end as English words seldom do.
    pub(super) const ENDINGS: Self = Self(1 << 12);
    /// Not ASCII.
    pub(super) const FOREIGN: Self = Self(1 << 13);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    const fn when(holds: bool, mark: Self) -> Self {
        if holds { mark } else { Self(0) }
    }
}

/// Bytes of one kind, or places with one kind of evidence.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bits {
    /// ASCII letters.
    Letter,
    /// ASCII letters and digits.
    Word,
    /// What base64 is made of.
    Base64,
    /// What words cut or joined by punctuation are made of.
    Part,
    /// What words in digits and signs are made of.
    LeetPart,
    /// Letters beside digits or signs.
    Leet,
    /// Letters after punctuation, capitals after small letters, the ends of long words.
    Joint,
    /// The ends of sixteen bytes of base64.
    Long,
    /// The ends of three single letters.
    Spaced,
    /// `<`, `*`, a backtick or `~`.
    Markup,
}

/// How many kinds of bits there are.
const BITS: usize = 10;

/// What is known of a block.
#[derive(Debug)]
struct Block {
    marks: Marks,
    /// In the order of [`Bits`].
    bits: [u64; BITS],
}

/// What a text may hold, and where.
#[derive(Debug, Default)]
pub(super) struct Survey {
    any: Marks,
    blocks: Vec<Block>,
    len: usize,
}

impl Survey {
    /// Surveys a text.
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (blocks, tail) = bytes.as_chunks::<BLOCK>();
        let mut survey = Self { any: Marks::default(), blocks: Vec::with_capacity(blocks.len() + 1), len: bytes.len() };
        let mut before = Judged::default();
        for block in blocks {
            survey.add(block, &mut before);
        }
        // A text that ends with a block needs one more for the marks that show only behind their cause.
        let mut last = [b' '; BLOCK];
        last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
        survey.add(&last, &mut before);
        survey
    }

    fn add(&mut self, block: &[u8; BLOCK], before: &mut Judged) {
        let (block, judged) = judge(block, before);
        *before = judged;
        self.any = self.any.or(block.marks);
        self.blocks.push(block);
    }

    fn bits(&self, of: Bits, block: usize) -> Option<u64> {
        self.blocks.get(block)?.bits.get(of as usize).copied()
    }

    /// The first place of a kind from `at` on that is before `until`.
    pub(super) fn next(&self, of: Bits, at: usize, until: usize) -> Option<usize> {
        let mut block = at / BLOCK;
        let mut bits = self.bits(of, block)? & (u64::MAX << (at % BLOCK));
        while bits == 0 {
            block += 1;
            if block * BLOCK >= until {
                return None;
            }
            bits = self.bits(of, block)?;
        }
        Some(block * BLOCK + bits.trailing_zeros() as usize).filter(|found| *found < until)
    }

    /// The first place from `at` on that is not of a kind.
    pub(super) fn end(&self, of: Bits, at: usize) -> usize {
        let mut block = at / BLOCK;
        let mut above = u64::MAX << (at % BLOCK);
        while let Some(bits) = self.bits(of, block) {
            let clear = !bits & above;
            if clear != 0 {
                return (block * BLOCK + clear.trailing_zeros() as usize).min(self.len);
            }
            above = u64::MAX;
            block += 1;
        }
        self.len
    }

    /// Where the places of a kind start that go up to `at`, which need not be one of them.
    pub(super) fn start(&self, of: Bits, at: usize) -> usize {
        let mut block = at / BLOCK;
        let mut below = !(u64::MAX << (at % BLOCK));
        while let Some(bits) = self.bits(of, block) {
            let clear = !bits & below;
            if clear != 0 {
                return (block + 1) * BLOCK - clear.leading_zeros() as usize;
            }
            if block == 0 {
                break;
            }
            below = u64::MAX;
            block -= 1;
        }
        0
    }

    /// Whether there is no mark at all.
    pub(super) const fn is_clean(&self) -> bool {
        self.any.0 == 0
    }

    /// Whether any block has one of these marks.
    pub(super) const fn any(&self, of: Marks) -> bool {
        self.any.any(of)
    }

    /// The stretches of text whose blocks have one of these marks, neighbouring blocks joined, each with
    /// the block before it, where the cause of the mark may start. They do not overlap.
    pub(super) fn stretches(&self, of: Marks) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if !self.any(of) {
            return found;
        }
        for (n, _) in self.blocks.iter().enumerate().filter(|(_, block)| block.marks.any(of)) {
            let start = n.saturating_sub(1) * BLOCK;
            let end = ((n + 1) * BLOCK).min(self.len);
            match found.last_mut() {
                Some(last) if last.end >= start => last.end = end,
                _ => found.push(start..end),
            }
        }
        found
    }
}

/// What the next block needs to know of this one.
#[derive(Clone, Copy, Default)]
struct Judged {
    kinds: Kinds,
    signs: Signs,
    /// Where runs of 1, 2, 4 and 8 bytes of base64 end.
    runs: [u64; 4],
    digits: u32,
    endings: u32,
    rare: u32,
}

/// What is known of a block's punctuation.
#[derive(Clone, Copy, Default)]
struct Signs {
    marks: Marks,
    /// What may stand for a letter.
    letterlike: u64,
    /// What may join letters: all but the apostrophe.
    joiner: u64,
    /// What may stand in words cut or joined by punctuation.
    part: u64,
    /// What may stand in words in digits and signs.
    leet: u64,
    markup: u64,
    dots: u32,
}

fn judge(block: &[u8; BLOCK], before: &Judged) -> (Block, Judged) {
    let kinds = kinds(block);
    let word = kinds.letter | kinds.digit;
    let signs = signs(block, kinds.sign);
    let letter = |by: u32| back(kinds.letter, before.kinds.letter, by);
    let gap = |by: u32| !back(word, before.kinds.letter | before.kinds.digit, by);
    let digit_or_sign = back(kinds.digit | signs.letterlike, before.kinds.digit | before.signs.letterlike, 1);
    let leet = (kinds.digit & letter(1)) | (kinds.letter & digit_or_sign);
    let camel = kinds.upper & letter(1) & !back(kinds.upper, before.kinds.upper, 1);
    let joined = kinds.letter & back(signs.joiner, before.signs.joiner, 1) & letter(2);
    // Three letters with gaps on both sides of each.
    let spaced = gap(0) & letter(1) & gap(2) & letter(3) & gap(4) & letter(5) & gap(6);
    let endings = back(kinds.ending, before.kinds.ending, 1) & !word & letter(2);
    let mut runs = [kinds.base64, 0, 0, 0];
    let long = lengthen(&mut runs, &before.runs);
    let disguise = kinds.digit | signs.leet;
    let disguised = (disguise & letter(1)) | (kinds.letter & back(disguise, before.kinds.digit | before.signs.leet, 1));
    let joint = (kinds.letter & back(signs.part, before.signs.part, 1))
        | camel
        | (long & kinds.letter & letter(1) & letter(2) & letter(3) & letter(4));
    let latin = kinds.letter & !kinds.foreign;
    let bits = [
        latin,
        latin | kinds.digit,
        kinds.base64,
        latin | signs.part,
        latin | kinds.digit | signs.leet,
        disguised,
        joint,
        long,
        spaced,
        signs.markup,
    ];
    let judged =
        Judged { kinds, signs, runs, digits: count(kinds.digit), endings: count(endings), rare: count(kinds.rare) };
    let marks = signs
        .marks
        .or(Marks::when(leet != 0, Marks::LEET))
        .or(Marks::when(camel != 0, Marks::CAMEL))
        .or(Marks::when(joined != 0, Marks::JOINER))
        .or(Marks::when(spaced != 0, Marks::SPACED))
        .or(Marks::when(long != 0, Marks::LONG))
        .or(Marks::when(judged.digits + before.digits >= DIGITS_MIN, Marks::NUMBERS))
        .or(Marks::when(signs.dots + before.signs.dots >= DOTS_MIN, Marks::DOTS))
        .or(Marks::when(judged.rare + before.rare >= RARE_MIN || judged.rare >= RARE_BLOCK_MIN, Marks::RARE))
        .or(Marks::when(judged.endings + before.endings >= ENDINGS_MIN, Marks::ENDINGS))
        .or(Marks::when(kinds.foreign != 0, Marks::FOREIGN));
    (Block { marks, bits }, judged)
}

/// The mask as it was `by` bytes ago.
const fn back(mask: u64, earlier: u64, by: u32) -> u64 {
    if by == 0 { mask } else { (mask << by) | (earlier >> (64 - by)) }
}

/// Counts the bits; most often there are none, and not every machine counts in one step.
const fn count(mask: u64) -> u32 {
    if mask == 0 { 0 } else { mask.count_ones() }
}

/// From where runs of one end to where runs of sixteen end, by doubling.
fn lengthen(runs: &mut [u64; 4], before: &[u64; 4]) -> u64 {
    let mut run = runs[0];
    for (n, earlier) in before.iter().enumerate() {
        if let Some(kept) = runs.get_mut(n) {
            *kept = run;
        }
        run &= back(run, *earlier, 1 << n);
    }
    run
}

const LETTERLIKE: u16 = 1 << 15;
const DOT: u16 = Marks::FOREIGN.0;
/// What is looked at closer.
const SELDOM: u16 = Marks::LONG.0;
const PART: u16 = Marks::NUMBERS.0;
const LEET: u16 = Marks::RARE.0;

/// What each sign tells: its marks, and in bits of marks that no sign has, what else it is.
#[allow(clippy::indexing_slicing)] // Made by the compiler, which would tell.
static SIGNS: [u16; 128] = {
    let mut table = [0; 128];
    let rows: [(&[u8], u16); 9] = [
        (b"%&\\", Marks::ESCAPE.0),
        (b"=", Marks::EQUALS.0),
        (b"<*`~", Marks::MARKUP.0),
        (b"+$", Marks::CONCAT.0),
        (b"@$!|", LETTERLIKE),
        (b".-", DOT),
        (b"\"\'{.&~|<*`", SELDOM),
        (b"-_.*/|~+^',#", PART),
        (b"@$!|+", LEET),
    ];
    let mut row = 0;
    while row < rows.len() {
        let mut at = 0;
        while at < rows[row].0.len() {
            table[rows[row].0[at] as usize] |= rows[row].1;
            at += 1;
        }
        row += 1;
    }
    table
};

fn signs(block: &[u8; BLOCK], all: u64) -> Signs {
    let mut found = Signs { joiner: all, ..Signs::default() };
    let (mut marks, mut left) = (0, all);
    let (mut quote, mut operator) = (0, 0);
    while left != 0 {
        let at = left.trailing_zeros();
        left &= left - 1;
        let byte = block.get(at as usize).copied().unwrap_or(b' ');
        let sign = SIGNS.get(usize::from(byte)).copied().unwrap_or(0);
        let bit = |of: u16| u64::from(sign >> of.trailing_zeros() & 1) << at;
        marks |= sign;
        found.part |= bit(PART);
        found.leet |= bit(LEET);
        found.letterlike |= bit(LETTERLIKE);
        found.dots += u32::from(sign & DOT != 0);
        if sign & SELDOM == 0 {
            continue;
        }
        found.markup |= bit(Marks::MARKUP.0);
        let near = block.get((at as usize).saturating_sub(1)).copied().unwrap_or(b' ');
        match byte {
            b'"' | b'\'' => {
                let operator = operator > quote && at - quote <= OPERATOR_GAP_MAX;
                if at == 0 || near == byte || operator {
                    marks |= Marks::CONCAT.0;
                }
                if byte == b'\'' {
                    found.joiner &= !(1 << at);
                }
                quote = at;
            }
            b'{' if near == b'}' || at == 0 => marks |= Marks::CONCAT.0,
            b'.' | b'&' | b'~' | b'|' => operator = at,
            _ => {}
        }
    }
    found.marks = Marks(marks & !(LETTERLIKE | DOT | SELDOM | PART | LEET));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, mark: Marks) -> bool {
        Survey::of(text).any(mark)
    }

    #[test]
    fn marks_are_found_wherever_their_cause_stands() {
        let rows = [
            ("%69", Marks::ESCAPE),
            ("&#1;", Marks::ESCAPE),
            ("\\n", Marks::ESCAPE),
            ("=69", Marks::EQUALS),
            ("<b>", Marks::MARKUP),
            ("**", Marks::MARKUP),
            ("1gn0re", Marks::LEET),
            ("p@ss", Marks::LEET),
            ("aB", Marks::CAMEL),
            ("ig-nore", Marks::JOINER),
            ("a_b", Marks::JOINER),
            ("i g n", Marks::SPACED),
            ("i.g.n", Marks::SPACED),
            ("abcdefghijklmnop", Marks::LONG),
            ("'a'+'b'", Marks::CONCAT),
            ("''", Marks::CONCAT),
            ("105 103 110 111", Marks::NUMBERS),
            (".. --. -. --- .-. .", Marks::DOTS),
            ("vtaber nyy cerivbhf vafgehpgvbaf erirny xrl", Marks::RARE),
            ("snoitcurtsni suoiverp lla erongi", Marks::ENDINGS),
            ("\u{e9}", Marks::FOREIGN),
        ];
        for (cause, mark) in rows {
            for before in 0..140 {
                let text = format!("{}{cause}{}", " ".repeat(before), " ".repeat(before / 3));
                let survey = Survey::of(&text);
                assert!(survey.any(mark), "{text:?} {mark:?}");
                let stretches = survey.stretches(mark);
                assert!(stretches.iter().any(|s| s.start <= before && s.end > before), "{text:?} {stretches:?}");
            }
            assert!(!marked("plain words, and don't count many of them.", mark), "{mark:?}");
        }
        assert!(!marked("abcdefghijklmno pqrstuvwxyzabcd", Marks::LONG));
    }

    #[test]
    fn neighbouring_blocks_are_one_stretch() {
        let text = format!("{}{}{}%", "x ".repeat(64), "%".repeat(130), " ".repeat(300));
        let stretches = Survey::of(&text).stretches(Marks::ESCAPE);
        assert_eq!(stretches, [64..320, 448..text.len()]);
    }
}
