//! Where tensors lie, and what one of them may be.

use crate::failure::Failure;
#[cfg(feature = "fusion")]
use burn_backend::Backend as _;
use burn_backend::BoolDType;
#[cfg(feature = "fusion")]
use burn_dispatch::Dispatch;
use burn_dispatch::DispatchDevice;
use std::sync::{Arc, OnceLock};

/// A device with its limits.
#[derive(Clone)]
pub(crate) struct Device {
    /// The engine's name in reports and errors.
    pub(crate) engine: &'static str,
    pub(crate) dispatch: DispatchDevice,
    /// Bytes that one tensor may take.
    pub(crate) max_buffer_bytes: u64,
    /// How it stores booleans.
    pub(crate) bool_type: BoolDType,
    pub(crate) health: Health,
}

impl Device {
    /// Whether it compiles what it meets for the first time, which may take longer than computing it ever will.
    pub(crate) fn compiles(&self) -> bool {
        #[cfg(feature = "wgpu")]
        return matches!(self.dispatch, DispatchDevice::Cube(_));
        #[cfg(not(feature = "wgpu"))]
        false
    }

    /// Waits until all is computed that was handed over.
    ///
    /// # Errors
    /// [`Failure::Device`]: it was lost.
    pub(crate) async fn settle(&self) -> Result<(), Failure> {
        #[cfg(feature = "wgpu")]
        #[allow(irrefutable_let_patterns, reason = "without other backends there is no other device")]
        if let DispatchDevice::Cube(device) = &self.dispatch {
            // What fusion still holds back is handed over by this alone, which waits here and not in the future.
            #[cfg(feature = "fusion")]
            Dispatch::sync(&self.dispatch).map_err(|why| Failure::Device(why.to_string()))?;
            return device.client().sync().await.map_err(|why| Failure::Device(why.to_string()));
        }
        Ok(())
    }
}

/// Whether a device can still be used. Shared by everything that was prepared on it: what is lost is lost for all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<OnceLock<String>>);

impl Health {
    /// Says that the device failed; the first reason is kept.
    pub(crate) fn fail(&self, reason: String) {
        self.0.get_or_init(|| reason);
    }

    /// # Errors
    /// [`Failure::Device`] with the reason, for good.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(Failure::Device(format!("the device failed: {reason}"))),
        }
    }
}
