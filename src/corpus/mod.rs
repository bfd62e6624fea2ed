//! Labelled texts: the training corpus that this project writes itself, and variants of attacks.
//!
//! The corpus is kept as templates (`grammar`), from which a seed makes the same texts each time.

mod compose;
mod evasions;
mod grammar;
mod random;
mod rows;

pub use compose::{Amounts, compose};
pub use evasions::Evasion;
pub use grammar::{Grammar, Template};
pub use random::Random;
pub use rows::Row;
