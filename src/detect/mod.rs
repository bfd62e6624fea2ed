//! Detectors with a memory, one a file.
//!
//! A detector gets keys, times and amounts and says when something has crossed its threshold. It knows
//! nothing of events, text or rules; the engine translates.

mod definitions;
mod flow;
mod rate;
mod repeat;
mod score;
mod sequence;
mod spike;

pub use definitions::{Change, DefinitionDetector, DefinitionsSaved, DefinitionsSaving};
pub use flow::{Flow, FlowDetector, FlowPlan, FlowSaved, FlowSaving, SinkHashes, SourceHashes};
pub use rate::{Amount, Crossing, RateDetector, RateLimit, RateSaved, RateSaving};
pub use repeat::{RepeatDetector, RepeatSaved, RepeatSaving};
pub use score::{ScoreDetector, ScoreSaved, ScoreSaving};
pub use sequence::{Completion, SequenceDetector, SequencePlan, SequenceSaved, SequenceSaving, Stage};
pub use spike::{Spike, SpikeDetector, SpikeMethod, SpikeParams, SpikeSaved, SpikeSaving};
