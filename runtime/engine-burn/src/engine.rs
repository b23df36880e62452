//! The engine.

#[cfg(feature = "wgpu")]
use crate::adapter::{AdapterInfo, Gpu};
use crate::device::Device;
use crate::prepared::BurnPrepared;
use crate::supports;
use pannier_engine::{Engine, EngineError, Prepared, Program, RunBudget, Unsupported};
use pannier_graph::Graph;
use std::fmt;

/// The engine on one device. Cheap to clone; clones share the device.
#[derive(Clone)]
pub struct Burn {
    pub(crate) device: Device,
    #[cfg(feature = "wgpu")]
    pub(crate) gpu: Option<Gpu>,
}

impl Burn {
    /// The CPU, by burn's own kernels. Its name is `burn-flex`.
    #[cfg(feature = "flex")]
    pub fn flex() -> Burn {
        use burn_backend::BoolStore;
        use burn_dispatch::{DispatchDevice, devices::FlexDevice};
        let device = Device {
            engine: "burn-flex",
            dispatch: DispatchDevice::Flex(FlexDevice),
            // What Rust allows one allocation to have.
            max_buffer_bytes: isize::MAX as u64,
            bool_type: BoolStore::Native,
            health: crate::device::Health::default(),
        };
        Burn {
            device,
            #[cfg(feature = "wgpu")]
            gpu: None,
        }
    }

    /// The GPU that it runs on; `None` on the CPU.
    #[cfg(feature = "wgpu")]
    pub fn adapter(&self) -> Option<&AdapterInfo> {
        self.gpu.as_ref().map(|gpu| &gpu.adapter)
    }

    /// Gives the GPU's memory back now, and not when the last that holds any of it is dropped. It is for good: there is no other
    /// GPU in this process or page, and what was prepared on it fails from now on. Does nothing on the CPU.
    #[cfg(feature = "wgpu")]
    pub fn destroy(&self) {
        if let Some(gpu) = &self.gpu {
            gpu.device.destroy();
        }
    }
}

impl fmt::Debug for Burn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Burn").field("engine", &self.device.engine).field("device", &self.device.dispatch).finish()
    }
}

impl Engine for Burn {
    fn name(&self) -> &'static str {
        self.device.engine
    }

    fn supports(&self, graph: &Graph) -> Result<(), Vec<Unsupported>> {
        supports::check(graph)
    }

    fn prepare(&self, program: &Program, budget: &RunBudget<'_>) -> Result<Box<dyn Prepared>, EngineError> {
        Ok(Box::new(BurnPrepared::new(program, &self.device, budget)?))
    }
}
