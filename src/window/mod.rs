//! Arithmetic over time: sliding windows and bounded maps of keyed state.
//!
//! Knows nothing of events, rules or text: times, keys and amounts come in, numbers go out.

mod keyed;
mod sliding;

pub use keyed::Keyed;
pub use sliding::Sliding;
