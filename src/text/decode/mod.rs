//! The decoders: each looks for one way of writing in a folded text.
//!
//! A decoder asks the survey where it may have something to do, and returns a text only on evidence: a
//! syntax that nothing else has, or far more English words than before. What is random by design (keys,
//! hashes, identifiers, pictures) gives none.

mod accents;
mod cipher;
mod codes;
mod concat;
mod encoded;
mod escapes;
mod evidence;
mod gain;
mod leet;
mod markup;
mod morse;
mod numbered;
mod quoted;
mod reversed;
mod spaced;
mod tokens;

use super::edits::Edits;
use super::map::Map;
use super::survey::{Bits, Survey};
use super::transform::Transform;

/// A text that was found in another.
#[derive(Debug)]
pub(super) struct Found {
    pub text: String,
    /// Where it comes from in the text that it was found in.
    pub map: Map,
    pub transforms: Vec<Transform>,
    /// Whether it may hold something decoded in turn that is found nowhere else.
    pub goes_on: bool,
}

impl Found {
    /// The whole text with replacements.
    pub(super) fn among(text: &str, edits: &Edits, transforms: Vec<Transform>) -> Option<Self> {
        if edits.is_empty() {
            return None;
        }
        let (text, map) = edits.apply(text);
        Some(Self { text, map, transforms, goes_on: true })
    }

    /// The decoded pieces alone, and the text with them in their places.
    fn both(source: Source<'_>, edits: &Edits, transform: Transform, into: &mut Vec<Self>) {
        if edits.is_empty() {
            return;
        }
        let (alone, map) = edits.alone(source.text.len());
        into.push(Self { text: alone, map, transforms: vec![transform], goes_on: true });
        if source.transforms.iter().all(|transform| spelling(*transform).is_none()) {
            let among = Self::among(source.text, edits, vec![transform]);
            into.extend(among.map(|found| Self { goes_on: false, ..found }));
        }
    }
}

/// A text to decode.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    pub text: &'s str,
    /// Leads to what the text was folded from, for what folding took away.
    pub map: Option<&'s Map>,
    pub survey: &'s Survey,
    /// What was undone already.
    pub transforms: &'s [Transform],
}

impl Source<'_> {
    /// A place, or the end of the word that it is in the middle of.
    fn no_middle_of_a_word(&self, at: usize) -> usize {
        let is_middle = self.text.as_bytes().get(at.wrapping_sub(1)).is_some_and(u8::is_ascii_alphanumeric);
        if is_middle { self.survey.end(Bits::Word, at) } else { at }
    }

    /// Whether the space at a place stands for more than one character of white space.
    fn is_wide(&self, at: usize) -> bool {
        self.text.as_bytes().get(at) == Some(&b' ') && self.map.is_some_and(|map| map.source(at..at + 1).len() > 1)
    }

    fn has(&self, transform: Transform) -> bool {
        self.transforms.contains(&transform)
    }
}

/// Ways of spelling, in the order in which they are undone: each only where no later one was before it,
/// so that two of them in one text make one reading and not two.
fn spelling(transform: Transform) -> Option<u8> {
    match transform {
        Transform::Concatenation => Some(1),
        Transform::Html | Transform::Accents => Some(2),
        Transform::Spaced => Some(3),
        Transform::Leetspeak => Some(4),
        Transform::Split | Transform::Joined => Some(5),
        _ => None,
    }
}

/// Looks for one way of writing.
type Finder = fn(Source<'_>, &mut Vec<Found>);

/// Everything that is found in a text.
pub(super) fn all(source: Source<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let spelled = source.transforms.iter().filter_map(|transform| spelling(*transform)).max().unwrap_or(0);
    // In words that were joined or cut nothing is encoded.
    if spelled < 4 {
        escapes::find(source, &mut found);
        quoted::find(source, &mut found);
        encoded::find(source, &mut found);
        codes::find(source, &mut found);
        numbered::find(source, &mut found);
        morse::find(source, &mut found);
        cipher::find(source, &mut found);
        reversed::find(source, &mut found);
    }
    let spellings: [(u8, Finder); 6] = [
        (1, concat::find),
        (2, markup::find),
        (2, accents::find),
        (3, spaced::find),
        (4, leet::find),
        (5, tokens::find),
    ];
    for (rank, find) in spellings {
        if spelled < rank {
            find(source, &mut found);
        }
    }
    found
}

#[cfg(test)]
mod tests;
