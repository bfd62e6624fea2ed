//! Detectors with a memory, one a file.
//!
//! A detector gets keys, times and amounts and says when something has crossed its threshold. It knows
//! nothing of events, text or rules; the engine translates.

mod rate;

pub use rate::{Crossing, RateDetector, RateLimit};
