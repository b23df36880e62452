//! The sandbox: wasmtime's engine and the compiled guest.

use crate::cache::{self, Folder, Key, Kind};
use crate::clock::{Ticker, Watch};
use crate::config::{Config, Flavour, Limits, LoadOptions};
use crate::error::{Error, GuestFault};
use crate::event::{Event, Rejection};
use crate::instance::{ABI_VERSION, Instance};
use crate::limits::ADDRESS_SPACE_BYTES;
use crate::model::SandboxedModel;
use crate::{guest, load};
use pannier::Trust;
use pannier_wasm_module::{memory_module, split};
use sha2::{Digest, Sha256};
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{Engine, InstanceAllocationStrategy, Module, OptLevel, PoolingAllocationConfig, RegallocAlgorithm};

/// Time in which a guest says which interface it has.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Most entries of the guest's table of functions. The tract guest has some ten thousand.
const TABLE_ELEMENTS_MAX: usize = 1 << 17;

/// Most bytes that wasmtime's own record of an instance takes; it grows with the number of functions.
const INSTANCE_RECORD_BYTES_MAX: usize = 16 << 20;

/// Runs bundles that nobody has to trust. One per process is enough: it holds the compiled guest, and every model
/// loaded with it shares that. Cloning is cheap and gives the same sandbox.
///
/// ```no_run
/// use pannier_wasmtime::{Config, LoadOptions, Sandbox, Tensor, Trust, inputs};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sandbox = Sandbox::new(&Config::default())?;
/// let model = sandbox.load(&std::fs::read("model.pannier")?, &Trust::AllowUnsigned, &LoadOptions::default())?;
/// let outputs = model.run(inputs! { "x" => Tensor::from_slice([1, 2], &[1.0f32, 2.0])? })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    /// The guest's code, without its memory.
    shell: Module,
    /// The memory of a guest that has just been started.
    base: Module,
    pub(crate) base_bytes: u64,
    pub(crate) ticker: Ticker,
    pub(crate) flavour: Flavour,
    pub(crate) limits: Limits,
    pub(crate) files: Files,
    /// Stands for the guest, the compiler and its settings.
    pub(crate) code_key: Key,
    max_instances: u32,
}

impl Sandbox {
    /// Compiles the guest, or takes its code from the cache.
    ///
    /// # Errors
    /// [`Error::Setup`]: this machine cannot run it, for example because address space is limited;
    /// [`Error::NoGuest`]: this build carries none; [`Error::Guest`]: it is not a guest. Never panics.
    pub fn new(config: &Config) -> Result<Sandbox, Error> {
        let flavour = guest::choose(config.flavour, config.deterministic);
        let module = guest::module(config, flavour)?;
        let invalid = |error: pannier_wasm_module::Error| GuestFault::Module { reason: error.to_string() };
        let split = split(&module).map_err(invalid)?;
        let base = memory_module(&split.memory, None).map_err(invalid)?;

        let max_instances = config.max_instances.max(1);
        let engine = Engine::new(&engine_config(config, max_instances)).map_err(setup)?;
        let files = Files::open(config);
        let code_key = Key::of(&[b"code", &settings(&engine), &Sha256::digest(&module)]);
        let shell = compiled(&engine, &split.shell, flavour, &files, &code_key)?;
        let base = Module::new(&engine, &base).map_err(setup)?;
        let inner = Inner {
            ticker: Ticker::start(&engine)?,
            engine,
            shell,
            base,
            base_bytes: split.memory.size_bytes(),
            flavour,
            limits: config.limits.clone(),
            files,
            code_key,
            max_instances,
        };
        inner.check_abi()?;
        Ok(Sandbox { inner: Arc::new(inner) })
    }

    /// Verifies a bundle, loads and tests it in the sandbox, and keeps an image of its memory: from then on a fresh
    /// instance with the model in it takes microseconds.
    ///
    /// Whether the bundle is trusted is decided first, out here, also when its image is in the cache.
    ///
    /// # Errors
    /// [`Error::Bundle`]: it cannot be read or is not trusted; [`Error::TooLarge`]: it cannot fit its memory limit;
    /// [`Error::Model`]: what it holds is not valid, or no engine runs it; [`Error::Memory`], [`Error::Deadline`],
    /// [`Error::Cancelled`]: loading exceeded a limit; [`Error::Busy`], [`Error::Trap`], [`Error::Guest`]. Never panics.
    pub fn load(&self, bundle: &[u8], trust: &Trust, options: &LoadOptions) -> Result<SandboxedModel, Error> {
        load::load(self, bundle, trust, options)
    }

    /// The build of the guest that runs: never [`Flavour::Auto`].
    pub fn flavour(&self) -> Flavour {
        self.inner.flavour
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sandbox({})", guest::name(self.inner.flavour))
    }
}

impl Inner {
    /// An instance without a model.
    pub(crate) fn bare_instance(&self, limit_bytes: u64) -> Result<Instance, Error> {
        self.instance(&self.base, limit_bytes)
    }

    /// An instance on a copy of this memory.
    pub(crate) fn instance(&self, memory: &Module, limit_bytes: u64) -> Result<Instance, Error> {
        Instance::new(&self.engine, memory, &self.shell, limit_bytes, self.max_instances)
    }

    fn check_abi(&self) -> Result<(), Error> {
        let mut instance = self.bare_instance(ADDRESS_SPACE_BYTES)?;
        let _running = instance.begin(&self.ticker, Watch::start(Some(HANDSHAKE), None))?;
        match instance.abi()? {
            ABI_VERSION => Ok(()),
            found => Err(GuestFault::Abi { expected: ABI_VERSION, found }.into()),
        }
    }
}

/// What the sandbox wants of wasmtime.
fn engine_config(config: &Config, max_instances: u32) -> wasmtime::Config {
    let mut pool = PoolingAllocationConfig::new();
    // An instance is two to wasmtime: the code, and the memory that it imports.
    pool.total_core_instances(max_instances.saturating_mul(2))
        .total_memories(max_instances)
        .total_tables(max_instances)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_core_instance_size(INSTANCE_RECORD_BYTES_MAX);
    let mut engine = wasmtime::Config::new();
    engine
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        // A memory with a model in it is always worth an image, however large and sparse.
        .memory_guaranteed_dense_image_size(ADDRESS_SPACE_BYTES)
        .epoch_interruption(true)
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
fn settings(engine: &Engine) -> [u8; 32] {
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

/// The guest's code from the cache, or compiled.
fn compiled(engine: &Engine, shell: &[u8], flavour: Flavour, files: &Files, key: &Key) -> Result<Module, Error> {
    if let Some(code) = files.read(Kind::Code, key) {
        // SAFETY: `deserialize` wants bytes that `Module::serialize` made and nobody changed. These were in a
        // directory and a file that belong to this user and that nobody else can write to, and they match the digest
        // that was written with them; the digest was computed over this very memory. What that leaves open is in
        // the crate's documentation. Another version or setting of wasmtime is refused by wasmtime itself, and has
        // another key.
        #[expect(unsafe_code, reason = "there is no safe way to load compiled code")]
        let module = unsafe { Module::deserialize(engine, &code) };
        match module {
            Ok(module) => return Ok(module),
            Err(error) => files.reject(Kind::Code, key, Rejection::Content { reason: format!("{error:#}") }),
        }
    }
    files.report(Event::Compiling { flavour });
    let start = Instant::now();
    let module = Module::new(engine, shell).map_err(setup)?;
    files.report(Event::Compiled { took: start.elapsed() });
    if files.is_open() {
        match module.serialize() {
            Ok(code) => files.write(Kind::Code, key, &code),
            Err(error) => files.report_not_written(Kind::Code, key, format!("{error:#}")),
        }
    }
    Ok(module)
}

pub(crate) fn setup(error: wasmtime::Error) -> Error {
    Error::Setup { reason: format!("{error:#}") }
}

/// The cache, if there is one, and who is told about it.
pub(crate) struct Files {
    folder: Option<Folder>,
    on_event: Option<Arc<dyn Fn(Event) + Send + Sync>>,
}

impl Files {
    fn open(config: &Config) -> Files {
        let mut files = Files { folder: None, on_event: config.on_event.clone() };
        let path = match cache::directory(&config.cache) {
            Ok(Some(path)) => path,
            Ok(None) => return files,
            Err(why) => {
                files.report(Event::CacheUnavailable { path: None, why });
                return files;
            }
        };
        match Folder::open(&path) {
            Ok(folder) => files.folder = Some(folder),
            Err(why) => files.report(Event::CacheUnavailable { path: Some(path), why }),
        }
        files
    }

    pub(crate) fn is_open(&self) -> bool {
        self.folder.is_some()
    }

    /// The checked content of a file. One that is not as it should be is reported and removed.
    pub(crate) fn read(&self, kind: Kind, key: &Key) -> Option<Vec<u8>> {
        match self.folder.as_ref()?.read(kind, key) {
            Ok(content) => content,
            Err(why) => {
                self.reject(kind, key, why);
                None
            }
        }
    }

    pub(crate) fn write(&self, kind: Kind, key: &Key, content: &[u8]) {
        let Some(folder) = &self.folder else { return };
        match folder.write(kind, key, content) {
            Ok(removed) => removed.into_iter().for_each(|path| self.report(Event::CacheEvicted { path })),
            Err(reason) => self.report_not_written(kind, key, reason),
        }
    }

    /// Reports and removes a file.
    pub(crate) fn reject(&self, kind: Kind, key: &Key, why: Rejection) {
        let Some(folder) = &self.folder else { return };
        self.report(Event::CacheRejected { path: folder.file(kind, key), why });
        folder.remove(kind, key);
    }

    fn report_not_written(&self, kind: Kind, key: &Key, reason: String) {
        let Some(folder) = &self.folder else { return };
        self.report(Event::CacheNotWritten { path: folder.file(kind, key), reason });
    }

    fn report(&self, event: Event) {
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }
}
