//! Everything that a text can be read as.

use std::borrow::Cow;
use std::sync::Arc;

use super::decode::{self, Found, Source};
use super::hidden;
use super::layer::Layer;
use super::survey::Survey;
use super::transform::Transforms;
use super::view::{View, folded};
use crate::limits::{DECODE_DEPTH_MAX, DECODED_BYTES_MAX, DECODED_BYTES_MIN, DECODED_GROWTH_MAX, LAYERS_MAX};

/// All readings of one text: the folded text first, then what was found decoded in it.
///
/// What is found is read again, to a depth of [`DECODE_DEPTH_MAX`]. The bytes of all readings together
/// are bounded by a multiple of the text's length, so time and memory are linear in it.
#[derive(Debug)]
pub struct Layers<'a> {
    folded: View<'a>,
    decoded: Vec<Layer<'a>>,
    fired: Transforms,
}

impl<'a> Layers<'a> {
    /// Reads a text in every way there is.
    #[must_use]
    pub fn of(original: &'a str) -> Self {
        let folded = View::new(original);
        let mut reading = Reading {
            fired: Transforms::NONE,
            decoded: Vec::new(),
            bytes_left: (original.len() * DECODED_GROWTH_MAX + DECODED_BYTES_MIN).min(DECODED_BYTES_MAX),
        };
        reading.fired.extend(folded.layer().transforms());
        let hidden = hidden::all(original, reading.fired);
        if !hidden.is_empty() {
            // What is hidden was found in the text as it was, not as it is folded.
            let raw = Layer::plain(original);
            hidden.into_iter().for_each(|found| reading.add(&raw, &folded, found));
        }
        reading.read(folded.layer(), &folded);
        let mut next = 0;
        while let Some(layer) = reading.decoded.get(next).cloned() {
            if layer.goes_on {
                reading.read(&layer, &folded);
            }
            next += 1;
        }
        Self { folded, decoded: reading.decoded, fired: reading.fired }
    }

    /// The text with its characters folded and nothing decoded.
    #[must_use]
    pub const fn folded(&self) -> &View<'a> {
        &self.folded
    }

    /// All layers, the folded text first.
    pub fn iter(&self) -> impl Iterator<Item = &Layer<'a>> {
        std::iter::once(self.folded.layer()).chain(&self.decoded)
    }

    /// What was undone anywhere in the text.
    #[must_use]
    pub const fn transforms(&self) -> Transforms {
        self.fired
    }
}

/// The state of reading one text.
struct Reading<'a> {
    fired: Transforms,
    decoded: Vec<Layer<'a>>,
    bytes_left: usize,
}

impl<'a> Reading<'a> {
    /// Finds what is decoded in a layer.
    fn read(&mut self, layer: &Layer<'a>, folded: &View<'a>) {
        if layer.depth >= DECODE_DEPTH_MAX || self.decoded.len() >= LAYERS_MAX {
            return;
        }
        let survey = Survey::of(layer.text());
        if survey.is_clean() {
            return;
        }
        let map = layer.maps.first().map(AsRef::as_ref);
        let source = Source { text: layer.text(), map, survey: &survey, transforms: &layer.transforms };
        for found in decode::all(source) {
            self.add(layer, folded, found);
        }
    }

    /// Adds what was found in a layer, and what is hidden in it, unless it has been read before.
    fn add(&mut self, parent: &Layer<'a>, folded_original: &View<'a>, found: Found) {
        if found.text.len() > self.bytes_left || self.decoded.len() >= LAYERS_MAX {
            return;
        }
        self.bytes_left -= found.text.len();
        let mut layer = Layer {
            original: parent.original,
            text: Cow::Owned(found.text),
            transforms: parent.transforms.iter().copied().chain(found.transforms).collect(),
            maps: std::iter::once(Arc::new(found.map)).chain(parent.maps.iter().cloned()).collect(),
            depth: parent.depth + 1,
            goes_on: found.goes_on,
        };
        let known = |text: &str| {
            text == folded_original.text() || self.decoded.iter().any(|layer: &Layer<'_>| layer.text() == text)
        };
        let Some(again) = folded(layer.text()) else {
            if !known(layer.text()) {
                self.push(layer);
            }
            return;
        };
        let mut met = Transforms::NONE;
        met.extend(&again.transforms);
        let hidden = hidden::all(layer.text(), met);
        let raw = layer.clone();
        if !known(&again.text) {
            layer.transforms.extend(again.transforms);
            layer.maps.splice(0..0, again.maps);
            layer.text = Cow::Owned(again.text);
            self.push(layer);
        }
        if raw.depth < DECODE_DEPTH_MAX {
            hidden.into_iter().for_each(|found| self.add(&raw, folded_original, found));
        }
    }

    fn push(&mut self, layer: Layer<'a>) {
        self.fired.extend(&layer.transforms);
        self.decoded.push(layer);
    }
}
