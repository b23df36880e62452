//! The engine.

#[cfg(feature = "wgpu")]
use crate::adapter::AdapterInfo;
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
    pub(crate) adapter: Option<AdapterInfo>,
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
            adapter: None,
        }
    }

    /// The GPU that it runs on; `None` on the CPU.
    #[cfg(feature = "wgpu")]
    pub fn adapter(&self) -> Option<&AdapterInfo> {
        self.adapter.as_ref()
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
