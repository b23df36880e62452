//! Runs bundles in a sandbox: the runtime as a WebAssembly guest, under [wasmtime](https://docs.rs/wasmtime).
//!
//! A server or an application loads models that it has no reason to trust, thousands of them, and gives them nothing but
//! arithmetic: a guest imports no function, so there is no file, no socket, no clock and no other model that it could
//! reach. What it may use is limited from outside, and whatever goes wrong inside is a typed error out here.
//!
//! The embedding guide with complete programs is the crate's `README.md`.
//!
//! ```no_run
//! use pannier_wasmtime::{Config, LoadOptions, Sandbox, Tensor, Trust, inputs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::new(&Config::default())?;
//! let bundle = std::fs::read("model.pannier")?;
//! let model = sandbox.load(&bundle, &Trust::AllowUnsigned, &LoadOptions::default())?;
//! let outputs = model.run(inputs! { "x" => Tensor::from_slice([1, 2], &[1.0f32, 2.0])? })?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! The guest module is split. Its code, the *shell*, imports its memory and is compiled once, for all models. Its memory
//! is a module of its own that holds nothing but data. To load a bundle, an instance of the shell on the guest's initial
//! memory reads, prepares and tests the model; then the nonzero pages of its memory become another such module. An
//! instance of that and of the shell is a guest with the model loaded: wasmtime maps the image copy-on-write, so it takes
//! microseconds, all instances share the weights, and each owns only the pages that it writes.
//!
//! # What always holds
//!
//! - Trust is decided on the host, with the host's clock, before a guest gets the bundle, also when its image comes
//!   from the cache. The guest then checks every chunk against the header that the host verified.
//! - Nothing that a guest says is believed. Every place, size, rank, type, count and text is checked against its memory
//!   and against limits before it is used; a guest that lies is an [`Error::Guest`].
//! - An instance that trapped, panicked, was stopped or lied is gone. The host, the model and other instances go on.
//! - Of the sandbox's limits, the model's, the run's and the signed envelope, the strictest counts.
//! - The memory image of a model is data, never machine code.
//!
//! # What it does not do
//!
//! It opens no socket, and no file but those of the cache. It has no component model and no WASI: there is nothing to
//! give to a guest. It does not queue: with all instances in use, a call is [`Error::Busy`]. It does not hide how long a
//! run took or how much memory it used from who shares the machine: WebAssembly keeps memory apart, it is no defence
//! against side channels of the processor.
//!
//! # Time
//!
//! Code of the guest checks at each loop and in each function that calls others whether it is to stop, and traps then. The
//! checks are put in when the guest is split; what they look at is out of a model's reach. A thread that sleeps while nothing
//! runs asks every deadline and every caller's [`Watch`] each 5 ms, so a watch should answer soon. A single copy or fill of
//! memory is not interrupted, and the memory limit is what bounds it: memory that was never touched takes 0.7 ms per MiB
//! (measured in a virtual machine with pages of 4 KiB), other memory a tenth of that. So a deadline is kept to within
//! 100 ms whatever the guest does where its limit is 128 MiB or less; with more, a guest that fills all of it at once can
//! be later.
//!
//! # Memory
//!
//! [`Limits::memory_bytes`] counts linear memory: runtime, weights, tensors, and what the allocator cannot give back. The
//! envelope in a manifest counts weights and tensors as they were natively, so what it implies for a linear memory is
//! more, see [`Report::memory_limit_bytes`]. A bundle whose file, graph and weights together are over the limit is
//! refused from its header ([`Error::TooLarge`]), before anything is decompressed.
//!
//! The image of each loaded model is held twice, once as the module and once as the file in memory that instances map.
//!
//! # The cache
//!
//! Compiling the guest takes tens of seconds, preparing a model up to a second. [`Config::cache`] keeps both: the guest's
//! machine code, under a digest of the guest, the version and settings of wasmtime and the processor's features; and memory
//! images, under a digest of that, of the whole bundle, and of the options that shaped the image.
//!
//! Machine code from a file is run, so a cache is a place to attack. What is done about it:
//!
//! - the directory is made for its owner alone (mode 0700). It and every file must belong to the user of this process, be
//!   no symbolic link, and let nobody else write; files are reached from the directory as it was when it was checked;
//! - files are written beside their place and renamed, so there is no half file under a name that is read;
//! - each has a SHA-256 over its key and its content, computed over the memory that is then used, not over the file;
//! - what does not fit is reported ([`Event::CacheRejected`]), removed and made anew.
//!
//! This finds damage, mixed-up files, left-overs of other versions, and files planted by another user. It does **not**
//! protect against the same user or the superuser: who can write as the user of this process can write a file with a digest
//! that matches, and could as well replace the program. Whoever does not want to rely on the file system's permissions
//! sets [`Cache::Off`], and pays with the time that compiling takes.
//!
//! The cache holds at most 4 GiB; beyond that the files that were not used for the longest time are removed.

#![deny(unsafe_code)]

mod cache;
mod clock;
mod compiled;
mod config;
mod engine;
mod error;
mod event;
mod files;
mod functions;
mod guest;
mod instance;
mod limits;
mod load;
mod model;
#[cfg(feature = "telemetry")]
mod observe;
mod outputs;
mod report;
mod sandbox;
mod session;
mod stop;

pub use config::{Cache, Config, Flavour, Limits, LoadOptions, RunOptions};
pub use error::{Error, GuestFault};
pub use event::{Event, Rejection};
pub use guest::guest;
pub use model::SandboxedModel;
pub use pannier::{Cancel, Code, Inputs, Interrupt, Manifest, Outputs, State, Tensor, Trust, Verdict, Watch, inputs};
pub use pannier_wasm_module::MemoryImage;
pub use report::{LoadTimes, Report};
pub use sandbox::Sandbox;
pub use session::SandboxedSession;

/// Compiles the examples of the embedding guide.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct EmbeddingGuide;
