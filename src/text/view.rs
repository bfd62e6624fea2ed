//! The normalised form of one text, with offsets back to the original.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::layer::Layer;
use super::map::Map;
use super::plain::{Plainness, fold_spaces, plainness};
use super::transform::Transform;
use super::{confusables, fold};

/// A text in the form that is scanned: its characters folded, nothing decoded.
#[derive(Clone, Debug)]
pub struct View<'a> {
    layer: Layer<'a>,
}

impl<'a> View<'a> {
    /// The view of a text. Linear in its length.
    #[must_use]
    pub fn new(original: &'a str) -> Self {
        let mut layer = Layer::plain(original);
        if let Some(Folded { text, maps, transforms }) = folded(original) {
            (layer.text, layer.maps, layer.transforms) = (Cow::Owned(text), maps, transforms);
        }
        Self { layer }
    }

    /// The form that is scanned.
    #[must_use]
    pub fn text(&self) -> &str {
        self.layer.text()
    }

    /// The piece of the original text behind a range of the view, as a byte range on character
    /// boundaries.
    #[must_use]
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        self.layer.original_range(range)
    }

    /// The match at `range` of the view and what stands around it in the original, at most `chars_max`
    /// characters, with control characters made visible.
    #[must_use]
    pub fn excerpt(&self, range: Range<usize>, chars_max: usize) -> String {
        self.layer.excerpt(range, chars_max)
    }

    /// The view as the first of a text's layers.
    #[must_use]
    pub const fn layer(&self) -> &Layer<'a> {
        &self.layer
    }
}

/// What a text becomes by folding its characters.
pub(super) struct Folded {
    pub text: String,
    /// From the folded text back to the text, one after the other.
    pub maps: Vec<Arc<Map>>,
    pub transforms: Vec<Transform>,
}

/// Folds a text; `None` where it is its own folded form.
pub(super) fn folded(original: &str) -> Option<Folded> {
    match plainness(original.as_bytes()) {
        Plainness::Plain => None,
        Plainness::Spaces => {
            let (text, map) = fold_spaces(original);
            Some(Folded { text, maps: kept(map), transforms: Vec::new() })
        }
        Plainness::No => {
            let fold::Folded { text, map, fired, may_look_latin } = fold::fold(original);
            let mut transforms: Vec<Transform> = fired.iter().collect();
            let mut maps = kept(map);
            let disguised = if may_look_latin { confusables::fold(&text) } else { None };
            let Some((text, map)) = disguised else { return Some(Folded { text, maps, transforms }) };
            transforms.push(Transform::Confusables);
            maps.splice(0..0, kept(map));
            Some(Folded { text, maps, transforms })
        }
    }
}

fn kept(map: Map) -> Vec<Arc<Map>> {
    if map == Map::Same { Vec::new() } else { vec![Arc::new(map)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(View::new("Plain text, with spaces.").layer.text, Cow::Borrowed(_)));
        assert!(matches!(View::new("two  spaces").layer.text, Cow::Owned(_)));
    }

    #[test]
    fn what_is_not_seen_is_folded() {
        let rows = [
            ("ignore\n\t all", "ignore all"),
            ("ig\u{200b}nore\u{ad} all", "ignore all"),
            ("\u{ff49}gnore\u{3000}all", "ignore all"),
            ("don\u{2019}t", "don't"),
            ("caf\u{e9}", "caf\u{e9}"),
        ];
        for (text, seen) in rows {
            assert_eq!(View::new(text).text(), seen);
        }
    }

    #[test]
    fn ranges_lead_back_to_the_original() {
        let text = "x ig\u{200b}nore\n\nall \u{e9}";
        let view = View::new(text);
        let at = view.text().find("ignore all").expect("folded");
        let original = view.original_range(at..at + "ignore all".len());
        assert_eq!(&text[original], "ig\u{200b}nore\n\nall");
        let end = view.text().len();
        assert_eq!(view.original_range(end - 2..end).end, text.len());
    }

    proptest::proptest! {
        #[test]
        fn every_range_is_valid(text in "\\PC{0,40}[\u{200b}\u{3000} \n]{0,4}\\PC{0,10}", a in 0_usize..60, b in 0_usize..60) {
            let view = View::new(&text);
            let range = view.original_range(a.min(b)..a.max(b));
            if range.end <= text.len() {
                proptest::prop_assert!(text.get(range).is_some());
            }
            proptest::prop_assert!(view.text().len() <= text.len() * crate::limits::FOLD_GROWTH_MAX);
            let _ = view.excerpt(a.min(b)..a.max(b), 16);
        }
    }
}
