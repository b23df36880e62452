//! The one guest of a module's instance: the buffers that the host writes into, and the model.

use pannier::Session;
use pannier_bundle::{Error, Source};
use pannier_graph::AlignedBytes;

use crate::options::LoadOptions;
use pannier_wasm_interface::{Failure, Model};

/// Verifies, prepares and tests a bundle.
pub(crate) fn open(bundle: impl Source, options: &LoadOptions) -> Result<Session, Failure> {
    Ok(Session::from_source(bundle, &options.trust, &options.session())?)
}

/// Everything that lives from call to call, but for the text.
#[derive(Default)]
pub(crate) struct Guest {
    model: Option<Model>,
    buffers: Vec<AlignedBytes>,
}

impl Guest {
    /// A buffer for the host to write into, or `None` if there is no memory for it. A size of 0 gives one, too.
    pub(crate) fn allocate(&mut self, size_bytes: usize) -> Option<*mut u8> {
        let mut buffer = AlignedBytes::try_zeroed(size_bytes.max(1))?;
        let start = buffer.as_bytes_mut().as_mut_ptr();
        self.buffers.try_reserve(1).ok()?;
        self.buffers.push(buffer);
        Some(start)
    }

    /// Frees a buffer. An address at which none starts is ignored.
    pub(crate) fn free(&mut self, start: *const u8) {
        drop(self.take(start));
    }

    /// Takes the buffer with a bundle; it is freed with what this returns.
    pub(crate) fn take_bundle(&mut self, start: *const u8, size_bytes: usize) -> Result<BundleBytes, Failure> {
        let buffer = self.take(start).filter(|buffer| buffer.len() >= size_bytes);
        let buffer = buffer.ok_or_else(|| Failure::usage("the bundle is not in a buffer of `pannier_alloc`"))?;
        Ok(BundleBytes { buffer, size_bytes })
    }

    /// Loads the one model of this guest.
    pub(crate) fn load(&mut self, bundle: BundleBytes, options: &LoadOptions) -> Result<(), Failure> {
        if self.model.is_some() {
            return Err(Failure::usage("a model is loaded already; take another instance"));
        }
        self.model = Some(Model::new(open(bundle, options)?));
        Ok(())
    }

    /// A copy of the text in a buffer.
    pub(crate) fn text(&self, start: *const u8, size_bytes: usize) -> Result<String, Failure> {
        if size_bytes == 0 {
            return Ok(String::new());
        }
        let bytes =
            self.buffers.iter().find(|buffer| buffer.as_ptr() == start).and_then(|buffer| buffer.get(..size_bytes));
        let bytes = bytes.ok_or_else(|| Failure::usage("the trust is not in a buffer of `pannier_alloc`"))?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Failure::usage("the trust is not UTF-8"))
    }

    /// The model, once it is loaded.
    pub(crate) fn model(&self) -> Result<&Model, Failure> {
        self.model.as_ref().ok_or_else(no_model)
    }

    /// The model, once it is loaded.
    pub(crate) fn model_mut(&mut self) -> Result<&mut Model, Failure> {
        self.model.as_mut().ok_or_else(no_model)
    }

    fn take(&mut self, start: *const u8) -> Option<AlignedBytes> {
        let index = self.buffers.iter().position(|buffer| buffer.as_ptr() == start)?;
        Some(self.buffers.swap_remove(index))
    }
}

/// A bundle at the start of a buffer.
pub(crate) struct BundleBytes {
    buffer: AlignedBytes,
    size_bytes: usize,
}

impl BundleBytes {
    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.size_bytes).unwrap_or_default()
    }
}

impl Source for BundleBytes {
    fn size_bytes(&self) -> u64 {
        self.bytes().size_bytes()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        self.bytes().read_at(offset, into)
    }
}

fn no_model() -> Failure {
    Failure::usage("no model is loaded").hint("call `pannier_load` first")
}
