//! Folding of text that is not ASCII: character by character, and letters with their marks together.

use std::ops::Range;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::chars::{Class, class, is_decoration, is_latin, is_obvious, may_look_latin};
use super::map::{Map, Writer};
use super::transform::{Transform, Transforms};
use crate::limits::{FOLD_GROWTH_MAX, MARKS_MAX};

/// Marks on one Latin letter from which on they are a heap and no accents: Vietnamese has two.
const HEAP: usize = 3;

/// Longest letter with its marks, in bytes.
const BASE_BYTES_MAX: usize = 48;

/// What came of folding a text.
#[derive(Debug)]
pub(super) struct Folded {
    pub text: String,
    pub map: Map,
    /// What was undone.
    pub fired: Transforms,
    /// Whether there are letters that may look like Latin ones, and Latin ones.
    pub may_look_latin: bool,
}

/// Folds every character. Linear in the text's length.
pub(super) fn fold(original: &str) -> Folded {
    let mut folding = Folding {
        original,
        writer: Writer::with_capacity(original.len()),
        fired: Transforms::NONE,
        base: None,
        selectors: 0,
        may_look_latin: false,
        latin: false,
    };
    let mut at = 0;
    while at < original.len() {
        at = folding.step(at);
    }
    let (text, map) = folding.writer.finish(original.len());
    Folded { text, map, fired: folding.fired, may_look_latin: folding.may_look_latin && folding.latin }
}

struct Folding<'a> {
    original: &'a str,
    writer: Writer,
    fired: Transforms,
    /// Where the last letter stands, in the original and in what was written: marks join it.
    base: Option<(usize, usize)>,
    /// Variation selectors seen one after the other.
    selectors: usize,
    may_look_latin: bool,
    latin: bool,
}

impl Folding<'_> {
    /// Folds what stands at `at` and returns where to go on.
    fn step(&mut self, at: usize) -> usize {
        let rest = self.original.get(at..).unwrap_or_default();
        let kept = self.kept_run(rest);
        if kept > 0 {
            let run = rest.get(..kept).unwrap_or_default();
            let last = run.chars().next_back().map_or(0, char::len_utf8);
            self.writer.copy(run, at);
            self.base = Some((at + kept - last, self.writer.text().len() - last));
            return at + kept;
        }
        let Some(char) = rest.chars().next() else { return self.original.len() };
        let end = at + char.len_utf8();
        match class(char) {
            Class::Keep => {
                self.may_look_latin |= may_look_latin(char);
                self.put(char, at..end);
            }
            Class::Same(same) => self.put(same, at..end),
            Class::Dressed(plain) => {
                self.fired.insert(Transform::Nfkc);
                self.latin = true;
                self.put(plain, at..end);
            }
            Class::Space => self.space(at..end),
            Class::Drop(why) => return self.drop(why, char, at, end),
            Class::Mark => return self.marks(at),
            Class::Compose => self.compose(char, at..end),
        }
        end
    }

    /// How many bytes can be taken over as they stand: printable ASCII and letters that need nothing.
    fn kept_run(&mut self, rest: &str) -> usize {
        let mut before = if self.writer.text().ends_with(' ') { b' ' } else { 0 };
        let mut run = 0;
        while let Some(byte) = rest.as_bytes().get(run) {
            match *byte {
                b' ' if before == b' ' => break,
                b' '..=b'~' => {
                    self.latin |= byte.is_ascii_alphabetic();
                    run += 1;
                }
                // The first half of Cyrillic, all of it obvious.
                0xd0 | 0xd1 => {
                    self.may_look_latin = true;
                    run += 2;
                }
                _ => {
                    let next = rest.get(run..).and_then(|rest| rest.chars().next());
                    let Some(char) = next.filter(|char| is_obvious(*char)) else { break };
                    self.may_look_latin |= may_look_latin(char);
                    run += char.len_utf8();
                }
            }
            before = *byte;
        }
        run
    }

    fn put(&mut self, char: char, source: Range<usize>) {
        if char == ' ' {
            return self.space(source);
        }
        self.base = Some((source.start, self.writer.text().len()));
        self.writer.put(char.encode_utf8(&mut [0; 4]), source);
    }

    fn space(&mut self, source: Range<usize>) {
        if self.writer.text().ends_with(' ') {
            self.writer.widen(source.end);
        } else {
            self.base = None;
            self.writer.put(" ", source);
        }
    }

    fn drop(&mut self, why: Transform, char: char, at: usize, end: usize) -> usize {
        if char == '\u{1b}' {
            return self.terminal_sequence(end);
        }
        let counts = match why {
            Transform::Tags => true,
            Transform::Selectors => {
                // One selector is an emoji's or a Han character's own form.
                let follows = self.original.get(..at).and_then(|head| head.chars().next_back());
                let runs_on = follows.is_some_and(|c| matches!(class(c), Class::Drop(Transform::Selectors)));
                self.selectors = if runs_on { self.selectors + 1 } else { 1 };
                self.selectors >= super::hidden::SELECTORS_MIN
            }
            // Between letters of Latin script there is no honest use; emoji and Persian need joiners.
            _ => self.writer.text().ends_with(|c: char| c.is_ascii_alphanumeric() || c == ' ') && at > 0,
        };
        if counts {
            self.fired.insert(why);
        }
        end
    }

    /// Leaves out a terminal's control sequence, such as a colour.
    fn terminal_sequence(&self, at: usize) -> usize {
        let rest = self.original.as_bytes().get(at..).unwrap_or_default();
        if rest.first() != Some(&b'[') {
            return at;
        }
        let parameters = rest.iter().skip(1).take_while(|byte| (b' '..=b'?').contains(byte)).count();
        match rest.get(1 + parameters) {
            Some(b'@'..=b'~') => at + parameters + 2,
            _ => at,
        }
    }

    /// Joins a run of marks with the letter before it.
    fn marks(&mut self, at: usize) -> usize {
        let rest = self.original.get(at..).unwrap_or_default();
        let end = rest.find(|c: char| class(c) != Class::Mark).map_or(self.original.len(), |run| at + run);
        let run = self.original.get(at..end).unwrap_or_default();
        let Some((base_at, written)) = self.base else {
            let kept: String = run.chars().take(MARKS_MAX).collect();
            self.writer.put(&kept, at..end);
            return end;
        };
        let base = self.writer.text().get(written..).unwrap_or_default();
        if base.len() > BASE_BYTES_MAX {
            // Runs of marks with something unseen between them heap up on the same letter.
            return end;
        }
        let latin = base.chars().next().is_some_and(is_latin);
        if !latin && run.chars().nth(MARKS_MAX).is_none() && is_composed(base, run) {
            self.writer.copy(run, at);
            return end;
        }
        let kept: Vec<char> = run.chars().filter(|c| !(latin && is_decoration(*c))).collect();
        let heaped = latin && (kept.len() >= HEAP || run.chars().any(is_decoration));
        if heaped {
            self.fired.insert(Transform::Zalgo);
        }
        let stays = if latin && kept.len() >= HEAP { 0 } else { MARKS_MAX };
        let joined: String = base.chars().chain(kept.into_iter().take(stays)).nfkc().collect();
        self.writer.truncate(written);
        self.writer.put(&joined, base_at..end);
        end
    }

    fn compose(&mut self, char: char, source: Range<usize>) {
        let composed: String = std::iter::once(char).nfkc().collect();
        if composed.len() > source.len() * FOLD_GROWTH_MAX {
            return self.put(char, source);
        }
        self.base = Some((source.start, self.writer.text().len()));
        self.writer.put(&composed, source);
    }
}

fn is_composed(base: &str, marks: &str) -> bool {
    is_nfkc_quick(base.chars().chain(marks.chars())) == IsNormalized::Yes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(&str, &str)]) {
        for (text, want) in rows {
            let folded = fold(text);
            assert_eq!(folded.text, *want, "{text:?}");
            for at in 0..=folded.text.len() {
                let range = folded.map.source(at..folded.text.len());
                assert!(range.end <= text.len() && range.start <= range.end, "{text:?} {range:?}");
            }
        }
    }

    #[test]
    fn what_is_not_seen_goes() {
        check(&[
            ("ig\u{200b}nore\u{ad} all", "ignore all"),
            ("ig\0nore \u{7f}all", "ignore all"),
            ("\u{202e}abc\u{202c}", "abc"),
            ("a\u{e0069}\u{e0067}b", "ab"),
            ("x \u{200b} y", "x y"),
            ("x\u{a0}\u{3000}\u{2028}y", "x y"),
            ("\u{1b}[31mred\u{1b}[0m \u{1b}x", "red x"),
            ("1\u{fe0f}\u{20e3} \u{2764}\u{fe0f}", "1 \u{2764}"),
        ]);
    }

    #[test]
    fn letters_and_marks_compose() {
        check(&[
            ("cafe\u{301}", "caf\u{e9}"),
            ("e\u{302}\u{301}", "\u{1ebf}"),
            ("i\u{336}g\u{336}n\u{336}", "ign"),
            ("h\u{300}\u{301}\u{302}\u{303}i", "hi"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
            ("\u{438}\u{306}", "\u{439}"),
            ("\u{5e9}\u{5c1}\u{5b8}", "\u{5e9}\u{5b8}\u{5c1}"),
            ("\u{928}\u{93c}", "\u{929}"),
            ("\u{301}x", "\u{301}x"),
            (" \u{301}x", " \u{301}x"),
        ]);
    }

    #[test]
    fn dress_is_taken_off_and_languages_stay() {
        check(&[
            ("\u{ff49}\u{ff47}\u{ff4e}\u{ff4f}\u{ff52}\u{ff45}", "ignore"),
            ("\u{1d422}\u{1d420}\u{1d427}\u{1d428}\u{1d42b}\u{1d41e}", "ignore"),
            ("\u{1f178}\u{1f176}\u{1f17d}", "IGN"),
            ("\u{fb01}le \u{2026}", "file ..."),
            ("\u{201c}x\u{201d} \u{2014} don\u{2019}t", "\"x\" - don't"),
            (
                "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} na\u{ef}ve",
                "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} na\u{ef}ve",
            ),
            ("\u{5ffd}\u{7565}\u{3002}", "\u{5ffd}\u{7565}\u{3002}"),
            ("\u{fdfa}", "\u{fdfa}"),
        ]);
    }

    #[test]
    fn what_was_undone_is_told() {
        let rows: [(&str, &[Transform]); 7] = [
            ("ig\u{200b}nore", &[Transform::ZeroWidth]),
            ("\u{1f468}\u{200d}\u{1f469} \u{2764}\u{fe0f}", &[]),
            ("\u{feff}start", &[]),
            ("\u{201c}typography\u{201d}\u{a0}\u{2026} m\u{b2}", &[]),
            ("\u{ff49}", &[Transform::Nfkc]),
            ("a\u{e0069}", &[Transform::Tags]),
            ("i\u{336}", &[Transform::Zalgo]),
        ];
        for (text, want) in rows {
            assert_eq!(fold(text).fired.iter().collect::<Vec<_>>(), want, "{text:?}");
        }
    }
}
