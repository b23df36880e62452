//! What loading a model came to.

use crate::Flavour;

/// What runs a model, and what loading it took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Name of the engine inside the sandbox.
    pub engine: String,
    /// The build of the guest: never [`Flavour::Auto`].
    pub flavour: Flavour,
    /// Whether the memory image came from the cache.
    pub from_cache: bool,
    /// Size of the memory image in bytes, as it is in the cache: without what is zero. All instances of the model share
    /// it; an instance owns what it writes.
    pub image_bytes: u64,
    /// Size of the linear memory that a fresh instance has, in bytes.
    pub instance_bytes: u64,
    /// Most bytes of linear memory that an instance may have: the strictest of the host's limits and of what the signed
    /// envelope implies, which is three times the peak that it states, plus the size of the bundle, plus 16 MiB and the
    /// guest's initial memory. 4 GiB where nothing is stated.
    pub memory_limit_bytes: u64,
    /// How long loading took.
    pub load: LoadTimes,
}

/// How long the steps of loading took, in milliseconds. A step that the cache made unnecessary took 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct LoadTimes {
    /// Reading the header, checking the signatures, reading the manifest: on the host.
    pub verify_ms: f64,
    /// Finding the image in the cache and checking it, the digest of the bundle included.
    pub cache_ms: f64,
    /// Reading, preparing and testing the model in a new instance of the guest: loading from scratch.
    pub prepare_ms: f64,
    /// Turning the instance's memory into an image, and writing that to the cache.
    pub snapshot_ms: f64,
    /// Making the image ready for instances, and asking the first one what it is.
    pub ready_ms: f64,
}

impl LoadTimes {
    /// All of it.
    pub fn total_ms(&self) -> f64 {
        self.verify_ms + self.cache_ms + self.prepare_ms + self.snapshot_ms + self.ready_ms
    }
}
