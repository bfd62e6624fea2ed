//! Text as the scanner sees it: one form for the many ways to write the same words.
//!
//! A [`View`] folds what a reader does not see: runs of white space become one space, invisible
//! characters go, full-width forms become ASCII. Offsets lead back to the original text, so evidence
//! shows what was really written. Plain ASCII, nine tenths of traffic, is borrowed as it stands.
//! Case is left alone, since the scanner ignores it. Decoding (base64, percent, HTML…) is not here.

mod view;

pub use view::View;
