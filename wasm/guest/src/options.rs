//! What the host says when it loads a bundle.

use std::time::Duration;

use pannier::{Options, Trust};

/// How a bundle is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadOptions {
    pub(crate) trust: Trust,
    /// Whether the golden cases are run.
    pub(crate) self_test: bool,
    /// Whether answers have to be the same bits as in deterministic mode elsewhere.
    pub(crate) deterministic: bool,
    /// Seconds since 1970, for keys and policies that expire.
    pub(crate) now_unix_s: Option<u64>,
    /// Most memory that the session with one run in flight may hold, weights included, in bytes.
    pub(crate) memory_bytes: Option<u64>,
}

impl LoadOptions {
    /// The session's options.
    pub(crate) fn session(&self) -> Options {
        let defaults = if self.deterministic { Options::deterministic() } else { Options::default() };
        Options {
            memory_bytes: self.memory_bytes,
            self_test: self.self_test,
            now_unix_s: self.now_unix_s,
            // The host keeps the time: it knows the envelope and stops the guest from outside, in the middle of an
            // operator if need be. The session wants a clock before it takes a model with a deadline, and this one
            // never lets it pass.
            clock: Some(|| Duration::ZERO),
            ..defaults
        }
    }
}
