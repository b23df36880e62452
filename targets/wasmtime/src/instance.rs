//! One instance of the guest, and the plain ABI as typed calls. Nothing that comes back is believed.

use crate::clock::{Run, Running, Ticker, Watch};
use crate::error::{Error, GuestFault};
use crate::functions::{Function, Functions};
use crate::limits::MemoryLimit;
use crate::stop::StopFlag;
use pannier_bundle::Code;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Engine, Memory, Module, PoolConcurrencyLimitError, Store, Trap, WasmParams};

/// Version of the plain ABI that this crate speaks.
pub(crate) const ABI_VERSION: u32 = 1;

/// Most bytes of a text that is read: the description of a model with tens of thousands of labels is below it.
const TEXT_BYTES_MAX: u32 = 4 << 20;

/// Most characters of a message or hint that are passed on.
const MESSAGE_CHARS_MAX: usize = 4096;

/// Time to ask a guest that trapped for its last words.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// `pannier_load`: the host has decided about trust.
const FLAG_ALLOW_UNSIGNED: u32 = 1;
/// `pannier_load`: do not run the golden cases.
const FLAG_SKIP_SELF_TEST: u32 = 2;
/// `pannier_load`: the engine in its deterministic mode.
const FLAG_DETERMINISTIC: u32 = 4;

/// An instance of the guest with a memory of its own.
pub(crate) struct Instance {
    store: Store<MemoryLimit>,
    instance: wasmtime::Instance,
    functions: Functions,
    memory: Memory,
    /// The last text that was read as an error, to tell a new one from it.
    last_text: Option<Vec<u8>>,
    flag: Arc<StopFlag>,
    /// The last piece of work.
    run: Option<Arc<Run>>,
}

/// How an instance loads a bundle.
pub(crate) struct LoadArguments {
    pub(crate) self_test: bool,
    pub(crate) deterministic: bool,
    /// What the host's policy leaves the model for weights and tensors, if it says anything.
    pub(crate) memory_bytes: Option<u64>,
}

/// An error as the guest writes it.
#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
    hint: Option<String>,
}

impl Instance {
    /// Makes an instance of the shell on a fresh copy of a memory.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Memory`], [`Error::Setup`].
    pub(crate) fn new(
        engine: &Engine,
        memory: &Module,
        shell: &Module,
        flag: StopFlag,
        limit_bytes: u64,
        max_instances: u32,
    ) -> Result<Instance, Error> {
        let mut store = Store::new(engine, MemoryLimit::new(limit_bytes));
        store.limiter(|limit| limit);
        let page = flag.page();
        let made = wasmtime::Instance::new(&mut store, memory, &[]).and_then(|holder| {
            let memory = holder.get_memory(&mut store, "memory");
            let memory = memory.ok_or_else(|| wasmtime::Error::msg("a memory module without memory"))?;
            Ok((memory, wasmtime::Instance::new(&mut store, shell, &[memory.into(), page.into()])?))
        });
        match made {
            Ok((memory, instance)) => {
                let (functions, flag) = (Functions::new(), Arc::new(flag));
                Ok(Instance { store, instance, functions, memory, last_text: None, flag, run: None })
            }
            Err(error) => Err(not_made(&error, store.data(), max_instances)),
        }
    }

    /// Begins a piece of work, which lasts until what it returns is dropped.
    ///
    /// # Errors
    /// [`Error::Deadline`], [`Error::Cancelled`]: there is no time for it at all.
    pub(crate) fn begin(&mut self, ticker: &Ticker, watch: Watch) -> Result<Running, Error> {
        watch.check()?;
        self.store.data_mut().forget();
        let running = ticker.running(&self.flag, watch);
        self.run = Some(running.run());
        Ok(running)
    }

    /// The version of the ABI that the guest speaks.
    pub(crate) fn abi(&mut self) -> Result<u32, Error> {
        self.call(|guest| &mut guest.abi, ())
    }

    /// Loads a bundle that the host trusts.
    pub(crate) fn load(&mut self, bundle: &[u8], arguments: &LoadArguments) -> Result<(), Error> {
        let size = self.size(bundle.len())?;
        let place = self.call(|guest| &mut guest.alloc, size)?;
        if place == 0 {
            return Err(self.no_memory(u64::from(size)));
        }
        self.write("room for the bundle", place, bundle)?;
        let skip = if arguments.self_test { 0 } else { FLAG_SKIP_SELF_TEST };
        let deterministic = if arguments.deterministic { FLAG_DETERMINISTIC } else { 0 };
        let memory_bytes = arguments.memory_bytes.unwrap_or(0);
        // No keys, and the time is not known: trust is decided out here, where there is a clock.
        let (no_trust, time) = ((0_u32, 0_u32), 0_i64);
        let flags = FLAG_ALLOW_UNSIGNED | skip | deterministic;
        let parameters = (place, size, no_trust.0, no_trust.1, flags, time, memory_bytes);
        let status = self.call(|guest| &mut guest.load, parameters)?;
        self.succeeded(status)
    }

    /// The description of the loaded model, as JSON.
    pub(crate) fn describe(&mut self) -> Result<Vec<u8>, Error> {
        let status = self.call(|guest| &mut guest.describe, ())?;
        self.succeeded(status)?;
        self.text("its description")
    }

    /// Gives an input; the next run takes it.
    pub(crate) fn input(
        &mut self,
        index: u32,
        name: &str,
        shape: &[u8],
        dtype: i32,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let rank = self.size(shape.len() / 4)?;
        let place = self.call(|guest| &mut guest.input_shape, (index, rank))?;
        if place == 0 {
            return Err(self.refused(name));
        }
        self.write("room for a shape", place, shape)?;
        let size = self.size(bytes.len())?;
        let place = self.call(|guest| &mut guest.input_data, (index, dtype, size))?;
        if place == 0 {
            return Err(self.refused(name));
        }
        self.write("room for an input", place, bytes)
    }

    /// Runs on the inputs that were given.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        let status = self.call(|guest| &mut guest.run, ())?;
        self.succeeded(status)
    }

    /// Runs on the inputs that were given and the state that the guest keeps.
    pub(crate) fn step(&mut self) -> Result<(), Error> {
        let status = self.call(|guest| &mut guest.step, ())?;
        self.succeeded(status)
    }

    /// Bytes of the guest's memory.
    pub(crate) fn read(&self, what: &'static str, offset: u32, size_bytes: u64) -> Result<&[u8], Error> {
        let memory = self.memory();
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(usize::try_from(size_bytes).ok()?));
        let found = start.zip(end).and_then(|(start, end)| memory.get(start..end));
        found.ok_or_else(|| out_of_bounds(what, offset, size_bytes, memory.len()))
    }

    /// All of the guest's memory.
    pub(crate) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    fn write(&mut self, what: &'static str, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        let memory_bytes = self.memory.data_size(&self.store);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let written = self.memory.write(&mut self.store, start, bytes);
        written.map_err(|_| out_of_bounds(what, offset, size_bytes, memory_bytes))
    }

    /// Calls a function of the guest.
    pub(crate) fn call<P: WasmParams>(
        &mut self,
        function: impl FnOnce(&mut Functions) -> &mut Function<P>,
        parameters: P,
    ) -> Result<u32, Error> {
        let function = function(&mut self.functions).of(&self.instance, &mut self.store)?;
        function.call(&mut self.store, parameters).map_err(|error| self.failed(&error))
    }

    /// What stopped a call. The instance is not to be used after this.
    fn failed(&mut self, error: &wasmtime::Error) -> Error {
        let stopped = self.run.as_ref().and_then(|run| run.stopped());
        if let Some(why) = stopped.or_else(|| self.store.data().refused()) {
            return why;
        }
        let Some(trap) = error.downcast_ref::<Trap>() else { return Error::Setup { reason: format!("{error:#}") } };
        let trap = trap.to_string();
        let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap).to_string();
        Error::Trap { trap, message: self.last_words() }
    }

    /// The message that a panic left before it trapped.
    fn last_words(&mut self) -> Option<String> {
        let _running = self.run.as_ref()?.resume(Watch::start(Some(LAST_WORDS), None));
        let before = self.last_text.take();
        // No way through `call`: if this traps, too, there are no last words.
        let Instance { functions, instance, store, .. } = self;
        let size = functions.text_size.of(instance, &mut *store).ok()?.call(&mut *store, ()).ok()?;
        let place = functions.text.of(instance, &mut *store).ok()?.call(&mut *store, ()).ok()?;
        if size > TEXT_BYTES_MAX {
            return None;
        }
        let text = self.read("its last words", place, u64::from(size)).ok()?;
        if before.is_some_and(|before| before == text) {
            return None;
        }
        let failure: Failure = serde_json::from_slice(text).ok()?;
        Some(printable(&failure.message))
    }

    /// Turns a status into a result, with the error that the guest left.
    fn succeeded(&mut self, status: u32) -> Result<(), Error> {
        if status == 0 {
            return Ok(());
        }
        Err(match self.failure()? {
            Ok(error) => error,
            Err(reason) => GuestFault::Text { what: "its error", reason }.into(),
        })
    }

    /// Why an input was not taken.
    fn refused(&mut self, name: &str) -> Error {
        match self.failure() {
            Ok(Ok(error)) => error,
            Ok(Err(_)) => GuestFault::Input { name: name.to_string() }.into(),
            Err(error) => error,
        }
    }

    /// The error that the guest left; within it, that what it left is none.
    fn failure(&mut self) -> Result<Result<Error, String>, Error> {
        let text = self.text("its error")?;
        let failure = serde_json::from_slice::<Failure>(&text);
        self.last_text = Some(text);
        Ok(failure.map_err(|error| error.to_string()).map(|Failure { code, message, hint }| Error::Model {
            // A code that this host does not know yet is a failure like any other.
            code: Code::from_name(&code).unwrap_or(Code::Failed),
            message: printable(&message),
            hint: hint.as_deref().map(printable),
        }))
    }

    fn text(&mut self, what: &'static str) -> Result<Vec<u8>, Error> {
        let size = self.call(|guest| &mut guest.text_size, ())?;
        let place = self.call(|guest| &mut guest.text, ())?;
        if size > TEXT_BYTES_MAX {
            let reason = format!("it has {size} bytes, at most {TEXT_BYTES_MAX} are read");
            return Err(GuestFault::Text { what, reason }.into());
        }
        Ok(self.read(what, place, u64::from(size))?.to_vec())
    }

    /// A size as the guest counts.
    fn size(&self, size: usize) -> Result<u32, Error> {
        u32::try_from(size).map_err(|_| self.no_memory(u64::try_from(size).unwrap_or(u64::MAX)))
    }

    fn no_memory(&self, more_bytes: u64) -> Error {
        let limit = self.store.data();
        limit.refused().unwrap_or_else(|| {
            let now = u64::try_from(self.memory.data_size(&self.store)).unwrap_or(u64::MAX);
            limit.error(now.saturating_add(more_bytes))
        })
    }
}

fn not_made(error: &wasmtime::Error, limit: &MemoryLimit, max_instances: u32) -> Error {
    if error.is::<PoolConcurrencyLimitError>() {
        return Error::Busy { max_instances };
    }
    limit.refused().unwrap_or_else(|| Error::Setup { reason: format!("{error:#}") })
}

fn out_of_bounds(what: &'static str, offset: u32, size_bytes: u64, memory_bytes: usize) -> Error {
    let memory_bytes = u64::try_from(memory_bytes).unwrap_or(u64::MAX);
    GuestFault::OutOfBounds { what, offset, size_bytes, memory_bytes }.into()
}

/// A text of the guest, fit for a terminal or a log: not too long, and nothing in it that steers one.
fn printable(text: &str) -> String {
    let steers = |character: char| character.is_control() && character != '\n';
    text.chars()
        .take(MESSAGE_CHARS_MAX)
        .map(|character| if steers(character) { '\u{fffd}' } else { character })
        .collect()
}
