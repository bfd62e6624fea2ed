//! Text as the scanner sees it: one form for the many ways to write the same words.
//!
//! ```text
//! text ── fold ──▶ View ── survey ──▶ decode ──▶ Layers
//!         chars     one form  where to    what is written otherwise,
//!         together  to scan   look        folded and read again
//! ```
//!
//! - [`View`] folds what a reader does not see: runs of white space become one space, invisible characters
//!   go, letters in disguise become plain ones. Case and accents are left alone. Plain ASCII, nine tenths
//!   of traffic, is borrowed as it stands.
//! - [`Layers`] adds what is found in it: encodings, escapes, ciphers, spelling out, to a bounded depth.
//! - Offsets lead back from every layer to the original, so that evidence shows what was really written.
//!
//! A new way of writing is a file in `decode/` with its rows in `decode/tests.rs`, a [`Transform`], and, if
//! no mark of the survey fits, a new mark. Work is linear in the text: each decoder looks at each byte of a
//! layer a bounded number of times, and all layers together are bounded in `limits`. What is not here:
//! languages other than English as evidence for ciphers, words cut by a space, base85 and compressed data.

mod chars;
mod confusables;
mod decode;
mod edits;
pub mod extract;
mod fingerprint;
mod fold;
mod hidden;
mod kernel;
mod layer;
mod layers;
mod map;
mod plain;
mod survey;
mod transform;
mod view;
mod words;

pub use fingerprint::{
    Kind as ValueKind, Normal, PASSAGE_CHARS, Printer, SinkPrints, SourcePrints, Tail, Tails, Value, cut_codes,
    identifier_words, value_hashes,
};
pub use layer::Layer;
pub use layers::Layers;
pub use transform::{Transform, Transforms};
pub use view::View;
