//! What a quantization costs, and what so many cases prove.
//!
//! [`Sets`] are read and kept apart, [`Trial`] runs a program on one, [`Judge`] compares the answers with the original's by a
//! [`Metric`], and [`judge`] says whether the loss is within its budget: as it was measured, or with a confidence of 95 %.

mod cases;
mod error;
mod gate;
mod metric;
mod statistics;
mod trial;

pub use cases::{Digest, Set, SetRecord, Sets};
pub use error::BudgetError;
pub(crate) use error::percent;
pub use gate::{GateMode, Outcome, Verdict, judge};
pub use metric::{Judge, Metric, Score, decibels};
pub use statistics::{Looks, paired_loss_upper};
pub use trial::Trial;
