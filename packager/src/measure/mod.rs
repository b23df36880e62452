//! How good the answers are, and how long they take.

mod accuracy;
mod compare;
mod latency;

pub(crate) use accuracy::matches_label;
pub use accuracy::{Accuracy, Failure, Right, evaluate};
pub use compare::{Comparison, TOLERANCE, compare, tolerance};
pub use latency::Latency;
