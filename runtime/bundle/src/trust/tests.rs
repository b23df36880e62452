//! The rules of trust as tables. Each case names the rule; all failures of a table are reported at once.

mod documents;
mod fixtures;
mod keys;
mod policies;
mod resources;
mod signers;
