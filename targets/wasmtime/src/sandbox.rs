//! The sandbox: wasmtime's engine and the compiled guest.

use crate::cache::Key;
use crate::clock::{Ticker, Watch};
use crate::compiled::Compiled;
use crate::config::{Config, Flavour, Limits, LoadOptions};
use crate::engine::{self, setup};
use crate::error::{Error, GuestFault};
use crate::files::Files;
use crate::instance::{ABI_VERSION, Instance};
use crate::limits::ADDRESS_SPACE_BYTES;
use crate::model::SandboxedModel;
use crate::stop::Free;
use crate::{guest, load};
use pannier::Trust;
use pannier_wasm_module::{PAGE_BYTES, SPLIT_REVISION};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Engine, MemoryType, Module};

/// Time in which a guest says which interface it has.
const HANDSHAKE: Duration = Duration::from_secs(5);

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
    stop_flags: Arc<Free>,
    pub(crate) flavour: Flavour,
    pub(crate) deterministic: bool,
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
        let source = guest::source(config, flavour)?;
        let max_instances = config.max_instances.max(1);
        let engine = Engine::new(&engine::configuration(config, max_instances)).map_err(setup)?;
        let files = Files::open(config);
        let revision = SPLIT_REVISION.to_le_bytes();
        let code_key = Key::of(&[b"code", &revision, &engine::settings(&engine), &source.digest()]);
        let Compiled { shell, base } = Compiled::new(&engine, &source, flavour, &files, &code_key)?;
        let inner = Inner {
            ticker: Ticker::start()?,
            stop_flags: Arc::default(),
            base_bytes: memory_bytes(&base),
            engine,
            shell,
            base,
            flavour,
            deterministic: config.deterministic,
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
        let flag = self.stop_flags.take(&self.engine)?;
        Instance::new(&self.engine, memory, &self.shell, flag, limit_bytes, self.max_instances)
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

/// Size in bytes of the memory that a module without anything else starts with.
fn memory_bytes(module: &Module) -> u64 {
    let memory = module.exports().find_map(|export| export.ty().memory().map(MemoryType::minimum));
    memory.unwrap_or(0).saturating_mul(PAGE_BYTES)
}
