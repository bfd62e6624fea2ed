//! One reading of a text, with offsets back to the original.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::map::Map;
use super::transform::Transform;

/// One form that a text can be read as.
#[derive(Clone, Debug)]
pub struct Layer<'a> {
    pub(super) original: &'a str,
    pub(super) text: Cow<'a, str>,
    pub(super) transforms: Vec<Transform>,
    /// From this text back to the original, one after the other.
    pub(super) maps: Vec<Arc<Map>>,
    /// How often something was decoded to get here.
    pub(super) depth: usize,
    /// Whether something may be decoded in it that is found nowhere else.
    pub(super) goes_on: bool,
}

impl<'a> Layer<'a> {
    /// The text as it stands.
    pub(super) fn plain(original: &'a str) -> Self {
        let (transforms, maps) = (Vec::new(), Vec::new());
        Self { original, text: Cow::Borrowed(original), transforms, maps, depth: 0, goes_on: true }
    }

    /// The text of this layer.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What was undone to get here, the outermost first; empty for text that was written plainly.
    #[must_use]
    pub fn transforms(&self) -> &[Transform] {
        &self.transforms
    }

    /// Whether something was decoded to get here, beyond the folding of characters.
    #[must_use]
    pub const fn is_decoded(&self) -> bool {
        self.depth > 0
    }

    /// The piece of the original text behind a range of this layer, as a byte range on character
    /// boundaries; valid for whatever range is asked for.
    #[must_use]
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        let mut found = range.start..range.end.max(range.start);
        for map in &self.maps {
            found = map.source(found);
        }
        let start = self.original.floor_char_boundary(found.start);
        let end = self.original.ceil_char_boundary(found.end.min(self.original.len()));
        start..end.max(start)
    }

    /// The match at a range of this layer and what stands around it in the original, at most
    /// `chars_max` characters, with control characters made visible.
    #[must_use]
    pub fn excerpt(&self, range: Range<usize>, chars_max: usize) -> String {
        let found = self.original_range(range);
        let around = chars_max.saturating_sub(found.len()) / 2;
        let start = self.original.floor_char_boundary(found.start.saturating_sub(around));
        let piece = self.original.get(start..).unwrap_or_default();
        piece.chars().take(chars_max).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// The text that all this was read from.
    #[must_use]
    pub const fn original(&self) -> &'a str {
        self.original
    }
}
