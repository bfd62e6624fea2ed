//! The classifier: a text → how much it reads like an attack on the agent.
//!
//! A linear model over hashed words, word pairs and concepts (`lexicon`), scored over windows of the
//! text, so that one planted sentence in a long document counts as much as a short message. A long text is
//! read in pieces (`pieces`): time is linear in it, memory does not grow with it. Training (`train`) is a command of this project; the weights are a
//! file beside the rules. What the model says is explained by the features that weigh most.

use std::sync::{Arc, OnceLock};

mod features;
mod lexicon;
mod model;
mod pieces;
#[cfg(test)]
mod tests;
mod tokens;
pub mod train;

pub use lexicon::Lexicon;
pub use model::{Head, Model, Score, Scores, Scratch};

/// The lexicon and the weights that are built into the binary.
const LEXICON: &str = include_str!("../../rules/model/lexicon.txt");
const WEIGHTS: &[u8] = include_bytes!("../../rules/model/weights.bin");

impl Model {
    /// The model that is built into the binary; read once.
    ///
    /// # Panics
    /// Never: a test holds that the two files belong together.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
        let read = || Lexicon::parse(LEXICON).and_then(|lexicon| Self::from_bytes(WEIGHTS, lexicon));
        MODEL.get_or_init(|| Arc::new(read().expect("the lexicon and the weights belong together"))).clone()
    }
}
