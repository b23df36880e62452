//! Loading into a sandbox: the slow steps are shown, and what happens to the cache is said.

use super::{Memory, Place, Report};
use crate::args::RunArgs;
use crate::error::Error;
use crate::input;
use crate::interrupt::{self, OnCtrlC};
use crate::printer::{Printer, Total};
use pannier::Trust;
use pannier_wasmtime::{Config, Event, Flavour, Limits, LoadOptions, Sandbox, SandboxedModel};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often Ctrl-C is asked for and progress is shown.
const TICK: Duration = Duration::from_millis(50);

/// What the loading thread says.
enum Message {
    Event(Event),
    Loaded(Result<SandboxedModel, pannier_wasmtime::Error>),
}

/// Verifies the bundle and loads it into a sandbox that may have as many instances as there are threads.
///
/// # Errors
/// [`Error::Read`], [`Error::Sandbox`], [`Error::Interrupted`].
pub fn load(args: &RunArgs, trust: Trust, observe: bool, printer: &Printer) -> Result<SandboxedModel, Error> {
    let bundle = input::bundle_bytes(&args.bundle)?;
    let (sender, messages) = mpsc::channel();
    let events = sender.clone();
    let config = Config {
        deterministic: args.place.deterministic,
        max_instances: u32::from(args.threads),
        // Nobody listens any more: then nobody wants to know.
        on_event: Some(Arc::new(move |event| drop(events.send(Message::Event(event))))),
        ..Config::default()
    };
    let limits = Limits { memory_bytes: args.place.max_memory, deadline: args.place.timeout, ..Limits::default() };
    let options = LoadOptions { limits, watch: Some(Arc::new(OnCtrlC)), observe, ..LoadOptions::default() };
    // On a thread of its own, because a compilation cannot be stopped: on Ctrl-C the process ends and the thread with it.
    let loading = thread::spawn(move || {
        let loaded = Sandbox::new(&config).and_then(|sandbox| sandbox.load(&bundle, &trust, &options));
        drop(sender.send(Message::Loaded(loaded)));
    });
    let mut progress = printer.progress("loading", Total::Unknown);
    loop {
        interrupt::check()?;
        match messages.recv_timeout(TICK) {
            Ok(Message::Loaded(loaded)) => return loaded.map_err(|error| Error::from(error).in_file(&args.bundle)),
            Ok(Message::Event(event)) => {
                if let Event::Compiling { .. } = event {
                    progress = printer.progress("compiling", Total::Unknown);
                }
                tell(&event, printer);
            }
            Err(RecvTimeoutError::Timeout) => progress.set(0),
            Err(RecvTimeoutError::Disconnected) => match loading.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => return Err(Error::Interrupted),
            },
        }
    }
}

fn tell(event: &Event, printer: &Printer) {
    match event {
        Event::Compiling { .. } => {
            printer.note("compiling the sandbox's guest for this machine; with a cache this happens once");
        }
        Event::CacheRejected { path, why } => {
            printer.warn(format!("`{}` is not used and is made anew: {why}", path.display()));
        }
        Event::CacheUnavailable { path: Some(path), why } => {
            printer.warn(format!("the sandbox's cache `{}` cannot be used: {why}", path.display()));
        }
        Event::CacheUnavailable { path: None, why } => {
            printer.warn(format!("the sandbox has no cache: {why}"));
        }
        Event::CacheNotWritten { path, reason } => {
            printer.warn(format!("`{}` could not be written: {reason}", path.display()));
        }
        Event::CacheEvicted { path } => printer.detail(format!("`{}` was removed from the cache", path.display())),
        // `Compiled`, and what a later version may add.
        _ => {}
    }
}

/// What runs the model, and what it took to get there.
pub fn report(model: &SandboxedModel, deterministic: bool) -> Report {
    let report = model.report();
    let load = report.load;
    Report {
        place: Place {
            engine: report.engine.clone(),
            target: "wasmtime",
            flavour: Some(match report.flavour {
                Flavour::RelaxedSimd => "relaxed-simd",
                _ => "simd128",
            }),
            deterministic,
        },
        load: vec![
            ("verify", load.verify_ms),
            ("cache", load.cache_ms),
            ("prepare", load.prepare_ms),
            ("snapshot", load.snapshot_ms),
            ("ready", load.ready_ms),
        ],
        memory: Memory::Sandboxed {
            image_bytes: report.image_bytes,
            instance_bytes: report.instance_bytes,
            memory_limit_bytes: report.memory_limit_bytes,
            from_cache: report.from_cache,
        },
    }
}
