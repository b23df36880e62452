//! GPUs: finding one, and what is known of it.

use crate::device::{Device, Health};
use crate::engine::Burn;
use burn_backend::get_device_settings;
use burn_dispatch::devices::wgpu::{
    AutoGraphicsApi, RuntimeOptions, WgpuDevice, WgpuInitError, WgpuSetup, try_init_setup_async, wgpu,
};
use burn_dispatch::{Dispatch, DispatchDevice};
use pannier_engine::Code;
use std::sync::{Arc, Mutex, PoisonError};

/// The engine's name: browsers know it as the API that their pages ask for.
const ENGINE: &str = if cfg!(target_family = "wasm") { "webgpu" } else { "burn-wgpu" };

/// The GPU of this process, or of this page: burn sets one up once and refuses to do so again.
static GPU: Mutex<Option<Burn>> = Mutex::new(None);

/// A GPU that is set up.
#[derive(Clone)]
pub(crate) struct Gpu {
    pub(crate) adapter: AdapterInfo,
    pub(crate) device: wgpu::Device,
}

/// What a caller wants of a GPU.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GpuOptions {
    /// Take an adapter that is a program on the CPU (lavapipe, SwiftShader, WARP). It is slower than an engine that is made for
    /// CPUs, and is good for tests. Off by default.
    pub allow_software: bool,
    /// Most operations that are handed to the GPU at once. `None`: burn's own choice.
    pub batch: Option<usize>,
}

impl GpuOptions {
    /// The same, but with adapters that are programs on the CPU.
    #[must_use]
    pub fn with_software(self) -> GpuOptions {
        GpuOptions { allow_software: true, ..self }
    }
}

/// What is known of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// Its name, as the driver says it. Browsers may say nothing.
    pub name: String,
    /// The API it is reached by, for example `Vulkan` or `BrowserWebGpu`.
    pub backend: String,
    /// The driver's name and version, where they are told.
    pub driver: String,
    /// Whether it is a program on the CPU, as far as it tells: browsers name SwiftShader only in what describes the adapter.
    pub software: bool,
    /// Bytes that one tensor may take.
    pub max_buffer_bytes: u64,
}

/// Why there is no GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter was found, or it gives no device.
    None {
        /// What the search says.
        reason: String,
    },
    /// The adapter is a program on the CPU, and the options want none.
    Software {
        /// The adapter.
        adapter: AdapterInfo,
    },
    /// The options or the environment are wrong.
    Options {
        /// What is wrong with them.
        reason: String,
    },
}

impl std::fmt::Display for GpuError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GpuError::None { reason } => write!(f, "no GPU: {reason}"),
            GpuError::Software { adapter } => {
                write!(f, "the adapter `{}` is a program on the CPU, which was not asked for", adapter.name)
            }
            GpuError::Options { reason } => write!(f, "no GPU with these options: {reason}"),
        }
    }
}

impl std::error::Error for GpuError {}

impl GpuError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            GpuError::Options { .. } => Code::Usage,
            GpuError::None { .. } | GpuError::Software { .. } => Code::Failed,
        }
    }
}

impl Burn {
    /// A GPU of this machine. Blocks until there is one. Its name is `burn-wgpu`.
    ///
    /// There is one per process: another call gives the same one, whatever `batch` says.
    ///
    /// # Errors
    /// Every variant of [`GpuError`], for what its name says.
    #[cfg(not(target_family = "wasm"))]
    pub fn wgpu(options: &GpuOptions) -> Result<Burn, GpuError> {
        let waiting = || GpuError::None { reason: "this machine cannot wait for one".into() };
        burn_backend::try_read_sync(Burn::wgpu_async(options)).ok_or_else(waiting)?
    }

    /// A GPU, for callers that must not block. In browsers its name is `webgpu`.
    ///
    /// There is one per process or page: another call gives the same one, whatever `batch` says.
    ///
    /// # Errors
    /// Every variant of [`GpuError`], for what its name says.
    pub async fn wgpu_async(options: &GpuOptions) -> Result<Burn, GpuError> {
        if let Some(burn) = held() {
            return accepted(burn, options);
        }
        let device = WgpuDevice::default();
        let runtime = RuntimeOptions::with_tasks_max(options.batch).map_err(GpuError::from)?;
        match try_init_setup_async::<AutoGraphicsApi>(&device, runtime).await {
            Ok(setup) => {
                let burn = of_setup(&setup, device);
                *GPU.lock().unwrap_or_else(PoisonError::into_inner) = Some(burn.clone());
                accepted(burn, options)
            }
            // Somebody else was faster.
            Err(error) => held().map_or(Err(error.into()), |burn| accepted(burn, options)),
        }
    }
}

fn held() -> Option<Burn> {
    GPU.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn accepted(burn: Burn, options: &GpuOptions) -> Result<Burn, GpuError> {
    match burn.adapter() {
        Some(adapter) if adapter.software && !options.allow_software => {
            Err(GpuError::Software { adapter: adapter.clone() })
        }
        _ => Ok(burn),
    }
}

fn of_setup(setup: &WgpuSetup, device: WgpuDevice) -> Burn {
    let (info, limits) = (setup.adapter.get_info(), setup.device.limits());
    let described = format!("{} {} {}", info.name, info.driver, info.driver_info).to_lowercase();
    let known = ["swiftshader", "llvmpipe", "lavapipe", "basic render driver"];
    let adapter = AdapterInfo {
        software: info.device_type == wgpu::DeviceType::Cpu || known.iter().any(|name| described.contains(name)),
        name: info.name,
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        max_buffer_bytes: limits.max_buffer_size.min(limits.max_storage_buffer_binding_size),
    };
    let health = Health::default();
    let watched = health.clone();
    // In place of a handler that panics. What it tells of is not the run's fault, and nothing after it can be believed.
    setup.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| watched.fail(error.to_string())));
    let dispatch = DispatchDevice::from(device);
    let bool_type = get_device_settings::<Dispatch>(&dispatch).bool_dtype;
    let max_buffer_bytes = adapter.max_buffer_bytes;
    let gpu = Gpu { adapter, device: setup.device.clone() };
    Burn { device: Device { engine: ENGINE, dispatch, max_buffer_bytes, bool_type, health }, gpu: Some(gpu) }
}

impl From<WgpuInitError> for GpuError {
    fn from(error: WgpuInitError) -> GpuError {
        let reason = error.to_string();
        match error {
            WgpuInitError::InvalidConfiguration { .. } => GpuError::Options { reason },
            _ => GpuError::None { reason },
        }
    }
}
