//! wasmtime's engine, set up for many short-lived instances of one guest.

use crate::config::Config;
use crate::error::Error;
use crate::limits::ADDRESS_SPACE_BYTES;
use sha2::{Digest, Sha256};
use std::hash::{Hash as _, Hasher};
use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm};

/// Most entries of the guest's table of functions. The tract guest has some ten thousand.
const TABLE_ELEMENTS_MAX: usize = 1 << 17;

/// Most bytes that wasmtime's own record of an instance takes; it grows with the number of functions.
const INSTANCE_RECORD_BYTES_MAX: usize = 16 << 20;

/// Bytes that an instance wrote to its memory and that are set back by copying, in place, rather than given back to the
/// system: the next instance there finds its pages mapped. A place that is free keeps what its last instance wrote, and at
/// most that much. Measured: a run in a fresh instance of the smallest model goes from 0.96 ms without to 0.21 ms, and
/// its page faults from 110 to none; the larger models gain little from 16 MiB over this.
const KEPT_MEMORY_BYTES: usize = 4 << 20;

/// The same for the table of functions.
const KEPT_TABLE_BYTES: usize = 1 << 20;

/// Free places that stay as they are for the model that used them; with more of them, one that was used before is taken
/// rather than a new one.
const WARM_PLACES: u32 = 16;

/// What the sandbox wants of wasmtime.
pub(crate) fn configuration(config: &Config, max_instances: u32) -> wasmtime::Config {
    let mut pool = PoolingAllocationConfig::new();
    // An instance is two to wasmtime: the code, and the memory that it imports.
    pool.total_core_instances(max_instances.saturating_mul(2))
        .total_memories(max_instances)
        .total_tables(max_instances)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_core_instance_size(INSTANCE_RECORD_BYTES_MAX)
        .max_unused_warm_slots(WARM_PLACES)
        .linear_memory_keep_resident(KEPT_MEMORY_BYTES)
        .table_keep_resident(KEPT_TABLE_BYTES)
        .pagemap_scan(Enabled::Auto);
    let mut engine = wasmtime::Config::new();
    engine
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        // A memory with a model in it is always worth an image, however large and sparse.
        .memory_guaranteed_dense_image_size(ADDRESS_SPACE_BYTES)
        // For the word by which an instance is stopped, a memory of its own that is shared with the host.
        .wasm_multi_memory(true)
        .wasm_threads(true)
        .shared_memory(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(cfg!(windows))
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking);
    if config.deterministic {
        engine.relaxed_simd_deterministic(true).cranelift_nan_canonicalization(true);
    }
    engine
}

/// Everything about the compiler that its output depends on: version, settings, processor.
pub(crate) fn settings(engine: &Engine) -> [u8; 32] {
    /// Feeds what is hashed to SHA-256.
    struct Sink(Sha256);
    impl Hasher for Sink {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sink = Sink(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sink);
    sink.0.finalize().into()
}

/// wasmtime cannot do what it has to.
pub(crate) fn setup(error: wasmtime::Error) -> Error {
    Error::Setup { reason: format!("{error:#}") }
}
