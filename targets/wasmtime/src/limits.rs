//! Which limit counts, and how memory is kept within it.

use crate::config::Limits;
use crate::error::Error;
use pannier::manifest::Envelope;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// What 32-bit addresses reach.
pub(crate) const ADDRESS_SPACE_BYTES: u64 = 4 << 30;

/// The limits of one model, with nothing left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effective {
    /// Of linear memory.
    pub(crate) memory_bytes: u64,
    pub(crate) deadline: Option<Duration>,
    pub(crate) load_deadline: Duration,
    pub(crate) output_bytes: u64,
}

impl Effective {
    /// The strictest of the host's policies and what the publisher signed.
    ///
    /// `bundle_bytes` is the size of the file, `base_bytes` the memory of a guest without a model.
    pub(crate) fn of(policies: [&Limits; 2], envelope: &Envelope, bundle_bytes: u64, base_bytes: u64) -> Effective {
        let [a, b] = policies;
        let implied = implied_memory_bytes(envelope, bundle_bytes, base_bytes);
        let stated_ms = u64::from(envelope.deadline_ms);
        let stated = (stated_ms > 0).then(|| Duration::from_millis(stated_ms));
        Effective {
            memory_bytes: strictest([a.memory_bytes, b.memory_bytes, implied]).map_or(ADDRESS_SPACE_BYTES, at_most_all),
            deadline: strictest([a.deadline, b.deadline, stated]),
            load_deadline: strictest([a.load_deadline, b.load_deadline]).unwrap_or(Limits::LOAD_DEADLINE),
            output_bytes: strictest([a.output_bytes, b.output_bytes]).unwrap_or(Limits::OUTPUT_BYTES),
        }
    }
}

/// The linear memory that a model may have by its signed envelope, if that states a peak.
///
/// The envelope states the peak of weights and tensors as measured natively. A linear memory holds more, and never
/// shrinks: the runtime's own data, the bundle while it is loaded, and weights as they are in the bundle beside weights
/// as the engine packs them. Measured (in MB, with the self-test, after the first run):
///
/// | model    | bundle | peak in the envelope | linear memory | allowed here |
/// |----------|-------:|---------------------:|--------------:|-------------:|
/// | magika   |    2.6 |                  9.4 |          20.4 |           48 |
/// | ocr-cls  |    0.4 |                  1.2 |           9.8 |           22 |
/// | ocr-det  |    4.0 |                 37.1 |          29.3 |          133 |
/// | ocr-rec  |    9.1 |                 17.2 |          41.0 |           79 |
/// | silero   |    0.9 |                  1.6 |           6.8 |           23 |
fn implied_memory_bytes(envelope: &Envelope, bundle_bytes: u64, base_bytes: u64) -> Option<u64> {
    let peak_bytes = Some(envelope.peak_memory_bytes).filter(|bytes| *bytes > 0)?;
    let tensors_bytes = peak_bytes.saturating_mul(PEAK_FACTOR);
    Some(tensors_bytes.saturating_add(bundle_bytes).saturating_add(base_bytes).saturating_add(RUNTIME_BYTES))
}

/// How much more weights and tensors take in a linear memory than natively: 2.1 at most above, and there is room for a
/// model whose weights outweigh everything.
const PEAK_FACTOR: u64 = 3;

/// For what the runtime takes whatever the model: 4 to 9 MB above.
const RUNTIME_BYTES: u64 = 16 << 20;

fn at_most_all(bytes: u64) -> u64 {
    bytes.min(ADDRESS_SPACE_BYTES)
}

/// The least of the limits that are there.
pub(crate) fn strictest<T: Ord, const N: usize>(limits: [Option<T>; N]) -> Option<T> {
    limits.into_iter().flatten().min()
}

/// Keeps a linear memory within its limit.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    limit_bytes: u64,
    /// The size that was refused last.
    refused_bytes: Option<u64>,
}

impl MemoryLimit {
    pub(crate) fn new(limit_bytes: u64) -> MemoryLimit {
        MemoryLimit { limit_bytes, refused_bytes: None }
    }

    /// Forgets what was refused.
    pub(crate) fn forget(&mut self) {
        self.refused_bytes = None;
    }

    /// The error of what was refused since.
    pub(crate) fn refused(&self) -> Option<Error> {
        self.refused_bytes.map(|wanted_bytes| self.error(wanted_bytes))
    }

    /// The error of a memory of this size.
    pub(crate) fn error(&self, wanted_bytes: u64) -> Error {
        Error::Memory { wanted_bytes, limit_bytes: self.limit_bytes }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let desired = u64::try_from(desired).unwrap_or(u64::MAX);
        let within = desired <= self.limit_bytes;
        if !within {
            self.refused_bytes = Some(desired);
        }
        // The guest is told that there is no memory: it may do with less, or say in its own words what it needed.
        Ok(within)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // Code that changes a table is refused when the guest is split, and the pool bounds what it starts with.
        Ok(true)
    }
}
