//! Arithmetic over time: sliding windows and bounded maps of keyed state.
//!
//! Knows nothing of events, rules or text: times, keys and amounts come in, numbers go out.

mod distinct;
mod keyed;
mod places;
mod sample;
mod sliding;

pub use distinct::Distinct;
pub use keyed::{Keyed, Saved};
pub use sliding::Sliding;
