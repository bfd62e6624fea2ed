//! One text of an event with all that is read of it, each once: its layers, and where secrets stand in it.

use std::cell::OnceCell;
use std::ops::Range;

use super::masks;
use crate::scan::Scanner;
use crate::text::Layers;

/// A text and where it stands in its event.
pub(super) struct Field<'t> {
    pub(super) path: &'t str,
    pub(super) layers: Layers<'t>,
    /// Looked for when something is shown of the text; most texts are never shown.
    secrets: OnceCell<Vec<Range<usize>>>,
}

impl<'t> Field<'t> {
    pub(super) fn of(path: &'t str, text: &'t str) -> Self {
        Self { path, layers: Layers::of(text), secrets: OnceCell::new() }
    }

    /// Where in the original text secrets stand, in order.
    pub(super) fn secrets(&self, scanner: &Scanner) -> &[Range<usize>] {
        self.secrets.get_or_init(|| masks::secrets_at(scanner, &self.layers, self.path))
    }

    /// The text with its secrets masked.
    pub(super) fn masked(&self, scanner: &Scanner) -> String {
        masks::replace(self.layers.folded().layer().original(), self.secrets(scanner))
    }
}
