//! The tract engine.
