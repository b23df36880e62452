//! The guest, ready to be instantiated: compiled code and initial memory, from the cache or made.

use crate::cache::{Key, Kind};
use crate::config::Flavour;
use crate::engine::setup;
use crate::error::{Error, GuestFault};
use crate::event::{Event, Rejection};
use crate::files::Files;
use crate::guest::Source;
use pannier_wasm_module::{memory_module, split};
use std::time::Instant;
use wasmtime::{Engine, Module};

/// The two halves of a guest.
pub(crate) struct Compiled {
    /// Its code, which imports its memory.
    pub(crate) shell: Module,
    /// Its memory as it starts, and nothing else.
    pub(crate) base: Module,
}

impl Compiled {
    /// Takes both halves from the cache, or makes what is missing there: the guest is read, split and compiled.
    pub(crate) fn new(
        engine: &Engine,
        source: &Source<'_>,
        flavour: Flavour,
        files: &Files,
        key: &Key,
    ) -> Result<Compiled, Error> {
        let (shell, base) = (cached_code(engine, files, key), cached_memory(engine, files, key));
        if let (Some(shell), Some(base)) = (&shell, &base) {
            return Ok(Compiled { shell: shell.clone(), base: base.clone() });
        }
        let invalid = |error: pannier_wasm_module::Error| GuestFault::Module { reason: error.to_string() };
        let split = split(&source.module()?).map_err(invalid)?;
        let base = match base {
            Some(base) => base,
            None => {
                let memory = memory_module(&split.memory, None).map_err(invalid)?;
                files.write(Kind::Base, key, &memory);
                Module::new(engine, memory).map_err(setup)?
            }
        };
        let shell = shell.map_or_else(|| compile(engine, &split.shell, flavour, files, key), Ok)?;
        Ok(Compiled { shell, base })
    }
}

fn cached_code(engine: &Engine, files: &Files, key: &Key) -> Option<Module> {
    let code = files.read(Kind::Code, key)?;
    // SAFETY: `deserialize` wants bytes that `Module::serialize` made and nobody changed. These were in a directory and a
    // file that belong to this user and that nobody else can write to, and they match the digest that was written with
    // them; the digest was computed over this very memory. What that leaves open is in the crate's documentation.
    // Another version or setting of wasmtime has another key, and wasmtime itself refuses it.
    #[expect(unsafe_code, reason = "there is no safe way to load compiled code")]
    let module = unsafe { Module::deserialize(engine, &code) };
    usable(module, files, Kind::Code, key)
}

fn cached_memory(engine: &Engine, files: &Files, key: &Key) -> Option<Module> {
    usable(Module::new(engine, files.read(Kind::Base, key)?), files, Kind::Base, key)
}

/// A module, unless the file that it was made from cannot be used, which is reported.
fn usable(module: wasmtime::Result<Module>, files: &Files, kind: Kind, key: &Key) -> Option<Module> {
    let rejected = |error| files.reject(kind, key, Rejection::Content { reason: format!("{error:#}") });
    module.map_err(rejected).ok()
}

fn compile(engine: &Engine, shell: &[u8], flavour: Flavour, files: &Files, key: &Key) -> Result<Module, Error> {
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
