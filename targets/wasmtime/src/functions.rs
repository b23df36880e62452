//! The functions of the plain ABI, each looked up in an instance when it is first called: a lookup by name and type takes longer than
//! the call.

use crate::error::GuestFault;
use wasmtime::{AsContextMut, Instance, TypedFunc, WasmParams};

/// A function that gives one number.
pub(crate) struct Function<P> {
    name: &'static str,
    found: Option<TypedFunc<P, u32>>,
}

impl<P: WasmParams> Function<P> {
    const fn named(name: &'static str) -> Function<P> {
        Function { name, found: None }
    }

    /// The function in its instance.
    ///
    /// # Errors
    /// [`GuestFault::Export`]: there is none, or it has other parameters.
    pub(crate) fn of(
        &mut self,
        instance: &Instance,
        store: impl AsContextMut,
    ) -> Result<&TypedFunc<P, u32>, GuestFault> {
        if self.found.is_none() {
            self.found = instance.get_typed_func(store, self.name).ok();
        }
        self.found.as_ref().ok_or(GuestFault::Export { name: self.name })
    }
}

/// Those of one instance.
pub(crate) struct Functions {
    pub(crate) abi: Function<()>,
    pub(crate) alloc: Function<u32>,
    pub(crate) load: Function<(u32, u32, u32, u32, u32, i64, u64)>,
    pub(crate) describe: Function<()>,
    pub(crate) input_shape: Function<(u32, u32)>,
    pub(crate) input_data: Function<(u32, i32, u32)>,
    pub(crate) run: Function<()>,
    pub(crate) step: Function<()>,
    pub(crate) outputs: Function<()>,
    pub(crate) output_dtype: Function<u32>,
    pub(crate) output_rank: Function<u32>,
    pub(crate) output_shape: Function<u32>,
    pub(crate) output_data: Function<u32>,
    pub(crate) output_size: Function<u32>,
    pub(crate) text: Function<()>,
    pub(crate) text_size: Function<()>,
}

impl Functions {
    /// None of them looked up yet.
    pub(crate) const fn new() -> Functions {
        Functions {
            abi: Function::named("pannier_abi"),
            alloc: Function::named("pannier_alloc"),
            load: Function::named("pannier_load"),
            describe: Function::named("pannier_describe"),
            input_shape: Function::named("pannier_input_shape"),
            input_data: Function::named("pannier_input_data"),
            run: Function::named("pannier_run"),
            step: Function::named("pannier_step"),
            outputs: Function::named("pannier_outputs"),
            output_dtype: Function::named("pannier_output_dtype"),
            output_rank: Function::named("pannier_output_rank"),
            output_shape: Function::named("pannier_output_shape"),
            output_data: Function::named("pannier_output_data"),
            output_size: Function::named("pannier_output_size"),
            text: Function::named("pannier_text"),
            text_size: Function::named("pannier_text_size"),
        }
    }
}
