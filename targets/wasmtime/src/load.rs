//! From the bytes of a bundle to a model that instances start with.

use crate::cache::{Key, Kind};
use crate::clock::Watch;
use crate::config::LoadOptions;
use crate::engine::setup;
use crate::error::{Error, GuestFault};
use crate::event::Rejection;
use crate::instance::{Instance, LoadArguments};
use crate::limits::{Effective, strictest};
use crate::model::{Inner as Model, SandboxedModel};
use crate::report::{LoadTimes, Report};
use crate::sandbox::{Inner, Sandbox};
use pannier::Trust;
use pannier_bundle::{Bundle, DecodeError, Verified, decode_versioned};
use pannier_wasm_module::{MemoryImage, memory_module};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Module;

/// Version of the `labels` section.
const LABELS_VERSION: u16 = 1;

/// Most characters of an engine's name that are passed on.
const ENGINE_CHARS_MAX: usize = 64;

/// What the host wants to know of a description.
#[derive(Deserialize)]
struct Description {
    engine: String,
}

pub(crate) fn load(
    sandbox: &Sandbox,
    bundle: &[u8],
    trust: &Trust,
    options: &LoadOptions,
) -> Result<SandboxedModel, Error> {
    let inner = &*sandbox.inner;
    let mut times = LoadTimes::default();

    let start = Instant::now();
    let verified = Bundle::open(bundle, &pannier::Limits::default())?.verify(trust, options.now_unix_s)?;
    let bundle_bytes = to_u64(bundle.len());
    let policies = [&inner.limits, &options.limits];
    let limits = Effective::of(policies, &verified.manifest().envelope, bundle_bytes, inner.base_bytes);
    check_size(&verified, bundle_bytes, inner.base_bytes, limits.memory_bytes)?;
    let labels = labels(&verified)?;
    times.verify_ms = ms(start);

    let policy_bytes = strictest(policies.map(|policy| policy.memory_bytes));
    let arguments =
        LoadArguments { self_test: options.self_test, deterministic: inner.deterministic, memory_bytes: policy_bytes };
    let watch = Watch::start(Some(limits.load_deadline), options.watch.clone());
    let (memory, from_cache) = memory(inner, bundle, &arguments, &limits, &watch, &mut times)?;

    let start = Instant::now();
    let mut instance = inner.instance(&memory.module, limits.memory_bytes)?;
    let engine = engine_name(inner, &mut instance, watch)?;
    let instance_bytes = to_u64(instance.memory().len());
    times.ready_ms += ms(start);

    let report = Report {
        engine,
        flavour: inner.flavour,
        from_cache,
        image_bytes: memory.image_bytes,
        instance_bytes,
        memory_limit_bytes: limits.memory_bytes,
        load: times,
    };
    #[cfg(feature = "telemetry")]
    let recorder = if options.observe { Some(crate::observe::recorder(&verified, &labels, &report)?) } else { None };
    Ok(SandboxedModel {
        inner: Arc::new(Model {
            sandbox: sandbox.clone(),
            memory: memory.module,
            manifest: verified.manifest().clone(),
            labels,
            verdict: verified.verdict().clone(),
            limits,
            report,
            #[cfg(feature = "telemetry")]
            recorder,
        }),
    })
}

/// A memory with a model in it.
struct Prepared {
    module: Module,
    image_bytes: u64,
}

/// The memory from the cache, or made; and whether it was from the cache.
fn memory(
    inner: &Inner,
    bundle: &[u8],
    arguments: &LoadArguments,
    limits: &Effective,
    watch: &Watch,
    times: &mut LoadTimes,
) -> Result<(Prepared, bool), Error> {
    let start = Instant::now();
    let key = key(inner, bundle, arguments);
    let cached = inner.files.read(Kind::Image, &key);
    times.cache_ms = ms(start);
    if let Some(module) = cached {
        let start = Instant::now();
        match Prepared::new(inner, &module) {
            Ok(prepared) => {
                times.ready_ms = ms(start);
                return Ok((prepared, true));
            }
            Err(error) => inner.files.reject(Kind::Image, &key, Rejection::Content { reason: error.to_string() }),
        }
    }

    let start = Instant::now();
    let mut instance = inner.bare_instance(limits.memory_bytes)?;
    let running = instance.begin(&inner.ticker, watch.clone())?;
    instance.load(bundle, arguments)?;
    drop(running);
    times.prepare_ms = ms(start);

    let start = Instant::now();
    let image = MemoryImage::of(instance.memory());
    drop(instance);
    let module = memory_module(&image, None).map_err(|error| GuestFault::Module { reason: error.to_string() })?;
    drop(image);
    inner.files.write(Kind::Image, &key, &module);
    times.snapshot_ms = ms(start);

    let start = Instant::now();
    let prepared = Prepared::new(inner, &module)?;
    times.ready_ms = ms(start);
    Ok((prepared, false))
}

impl Prepared {
    fn new(inner: &Inner, module: &[u8]) -> Result<Prepared, Error> {
        Ok(Prepared { module: Module::new(&inner.engine, module).map_err(setup)?, image_bytes: to_u64(module.len()) })
    }
}

/// Stands for everything that an image depends on.
fn key(inner: &Inner, bundle: &[u8], arguments: &LoadArguments) -> Key {
    let flags = [u8::from(arguments.self_test), u8::from(arguments.deterministic)];
    let memory_bytes = arguments.memory_bytes.unwrap_or(0).to_le_bytes();
    Key::of(&[b"image", inner.code_key.bytes(), &Sha256::digest(bundle), &flags, &memory_bytes])
}

/// Refuses a bundle that cannot fit, by the sizes in its header and before anything of it is decompressed: while it is
/// loaded, the file and what it decodes to are in the guest's memory at the same time.
fn check_size(verified: &Verified<&[u8]>, bundle_bytes: u64, base_bytes: u64, limit_bytes: u64) -> Result<(), Error> {
    let sections = verified.header().sections.iter();
    let needed = sections.filter(|section| section.name == "graph" || section.name.starts_with("weights/"));
    let content_bytes = needed.fold(0, |sum: u64, section| sum.saturating_add(section.content_bytes));
    let needed_bytes = base_bytes.saturating_add(bundle_bytes).saturating_add(content_bytes);
    if needed_bytes > limit_bytes {
        return Err(Error::TooLarge { needed_bytes, limit_bytes });
    }
    Ok(())
}

fn labels(verified: &Verified<&[u8]>) -> Result<Vec<Vec<String>>, Error> {
    if verified.section("labels").is_none() {
        return Ok(Vec::new());
    }
    let undecodable = |why: DecodeError| pannier_bundle::Error::Decode { what: "labels".into(), why };
    Ok(decode_versioned(&verified.read("labels")?, LABELS_VERSION).map_err(undecodable)?)
}

/// Asks the first instance which engine it runs.
fn engine_name(inner: &Inner, instance: &mut Instance, watch: Watch) -> Result<String, Error> {
    let _running = instance.begin(&inner.ticker, watch)?;
    let description = serde_json::from_slice::<Description>(&instance.describe()?);
    let description =
        description.map_err(|error| GuestFault::Text { what: "its description", reason: error.to_string() })?;
    Ok(description.engine.chars().filter(|character| !character.is_control()).take(ENGINE_CHARS_MAX).collect())
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn to_u64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
