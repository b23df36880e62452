//! What an instance holds: the piece that comes in, and the bundle or the model that has come in.

use pannier::{Code, LoadTimes, Loader, Options};
use pannier_graph::AlignedBytes;
use pannier_wasm_interface::{Description, Failure, Model};
use serde::Serialize;

use crate::options::LoadOptions;

/// Everything that lives from call to call, but for the text.
#[derive(Default)]
pub(crate) struct Web {
    inbox: AlignedBytes,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    #[default]
    Empty,
    Loading(Box<Loader>),
    Loaded(Box<Model>),
}

impl Web {
    /// The place for the next piece or text, at least so many bytes.
    pub(crate) fn inbox(&mut self, size_bytes: usize) -> Result<&mut [u8], Failure> {
        if self.inbox.len() < size_bytes {
            // The old one goes first.
            self.inbox = AlignedBytes::default();
            self.inbox = AlignedBytes::try_zeroed(size_bytes).ok_or_else(|| {
                Failure::new(Code::MemoryBudget, format!("there is no memory for {size_bytes} bytes"))
            })?;
        }
        Ok(self.inbox.as_bytes_mut())
    }

    /// Begins with the options in the inbox.
    pub(crate) fn open(&mut self, size_bytes: usize) -> Result<(), Failure> {
        let options = LoadOptions::parse(arrived(&self.inbox, size_bytes)?)?;
        self.stage = Stage::Loading(Box::new(Loader::new(options.trust()?, options.session()?)?));
        Ok(())
    }

    /// Takes the next bytes of the bundle from the inbox.
    pub(crate) fn push(&mut self, size_bytes: usize) -> Result<(), Failure> {
        let piece = arrived(&self.inbox, size_bytes)?;
        match &mut self.stage {
            Stage::Loading(loader) => Ok(loader.push(piece)?),
            _ => Err(Failure::usage("no bundle is being loaded")),
        }
    }

    /// Prepares and tests the model.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        let Stage::Loading(loader) = std::mem::take(&mut self.stage) else {
            return Err(Failure::usage("no bundle is being loaded"));
        };
        self.inbox = AlignedBytes::default();
        self.stage = Stage::Loaded(Box::new(Model::new(loader.finish()?)));
        Ok(())
    }

    /// The bundle that is being loaded.
    pub(crate) fn loader(&self) -> Option<&Loader> {
        match &self.stage {
            Stage::Loading(loader) => Some(loader),
            _ => None,
        }
    }

    /// The model, once it is loaded.
    pub(crate) fn model(&mut self) -> Result<&mut Model, Failure> {
        match &mut self.stage {
            Stage::Loaded(model) => Ok(model),
            _ => Err(Failure::usage("no model is loaded")),
        }
    }

    /// The document that every build of the runtime has, and what loading took, as JSON.
    pub(crate) fn describe(&mut self) -> Result<String, Failure> {
        let model = self.model()?;
        let LoadTimes { verify_ms, read_ms, prepare_ms, self_test_ms } = model.session().report().load;
        let load = LoadView { verify_ms, read_ms, prepare_ms, self_test_ms };
        Ok(serde_json::to_string(&Document { description: model.describe(), engines: engines(), load })
            .unwrap_or_default())
    }
}

/// Names of this module's engines, in order of preference.
pub(crate) fn engines() -> Vec<&'static str> {
    Options::default().engines.iter().map(|engine| engine.name()).collect()
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    description: Description<'a>,
    engines: Vec<&'static str>,
    load: LoadView,
}

#[derive(Serialize)]
struct LoadView {
    verify_ms: f64,
    read_ms: f64,
    prepare_ms: f64,
    self_test_ms: f64,
}

/// The first bytes of the inbox.
fn arrived(inbox: &AlignedBytes, size_bytes: usize) -> Result<&[u8], Failure> {
    inbox.get(..size_bytes).ok_or_else(|| Failure::usage("the inbox is smaller than that"))
}
