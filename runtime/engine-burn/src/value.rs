//! A value of the graph during a run: known on the CPU, on the device, or on both.

use crate::array::Array;
use crate::failure::{Failure, Outcome};
use crate::host::Host;
use crate::scope::Scope;
use pannier_engine::{DType, TensorView};
use std::sync::{Arc, OnceLock};

/// A value. Cheap to clone; what the CPU knows is brought to the device once, when an operator there wants it.
#[derive(Debug, Clone)]
pub(crate) struct Value(Arc<Sides>);

#[derive(Debug)]
struct Sides {
    host: Option<Host>,
    array: OnceLock<Array>,
}

impl Value {
    pub(crate) fn host(host: Host) -> Value {
        Value(Arc::new(Sides { host: Some(host), array: OnceLock::new() }))
    }

    pub(crate) fn array(array: Array) -> Value {
        Value(Arc::new(Sides { host: None, array: OnceLock::from(array) }))
    }

    /// A tensor that comes from outside: small ones stay on the CPU until they are wanted elsewhere.
    pub(crate) fn read(view: TensorView<'_>, scope: &Scope<'_>) -> Outcome<Value> {
        match Host::read(view) {
            Some(host) => Ok(Value::host(host)),
            None => scope.upload(view).map(Value::array),
        }
    }

    /// What the CPU knows of it.
    pub(crate) fn known(&self) -> Option<&Host> {
        self.0.host.as_ref()
    }

    /// It on the device.
    pub(crate) fn on_device(&self, scope: &Scope<'_>) -> Outcome<Array> {
        if let Some(array) = self.0.array.get() {
            return Ok(array.clone());
        }
        let Some(host) = &self.0.host else { return Err(Failure::Invalid("a value that is nowhere".into())) };
        let array = scope.upload_host(host)?;
        Ok(self.0.array.get_or_init(|| array).clone())
    }

    pub(crate) fn shape(&self) -> &[usize] {
        match (&self.0.host, self.0.array.get()) {
            (Some(host), _) => &host.shape,
            (None, Some(array)) => &array.shape,
            (None, None) => &[],
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        match (&self.0.host, self.0.array.get()) {
            (Some(host), _) => host.dtype,
            (None, array) => array.map_or(DType::F32, |array| array.dtype),
        }
    }
}
