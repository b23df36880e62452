//! What runs bundles: one row for each pair of an engine and a target.

use super::asked::Asked;
use super::subjects::Subject;
use crate::support::sandbox;
use pannier::{Engine, Options, PublicKey, Session, Tensor, TractEngine, Trust};
use pannier_engine::golden::Tolerance;
use pannier_wasmtime::{LoadOptions, Sandbox, SandboxedModel};
use std::sync::Arc;

/// Tensors with their names.
pub type Named = Vec<(String, Tensor)>;

/// Runs bundles somewhere: in this process, in a sandbox, in another program.
pub trait Runner {
    /// Verifies a bundle with the publisher's key, and makes it ready.
    ///
    /// # Errors
    /// The message of whatever went wrong.
    fn open(&self, bundle: &[u8], key: &PublicKey) -> Result<Box<dyn Opened>, String>;
}

/// A bundle that is ready to run.
pub trait Opened {
    /// Name of the engine that was taken.
    fn engine(&self) -> String;

    /// Runs once.
    ///
    /// # Errors
    /// The message of whatever went wrong.
    fn run(&self, inputs: &Named) -> Result<Named, String>;
}

/// An engine on a target.
pub struct Row {
    /// The engine, for example `tract`.
    pub engine: &'static str,
    /// Where it runs, for example `native`.
    pub target: &'static str,
    /// How to run it there.
    pub runner: Box<dyn Runner>,
    /// Where it may be less exact than the subject asks for.
    pub exceptions: &'static [Exception],
}

/// A recorded difference of one row on one subject.
pub struct Exception {
    /// Name of the subject.
    pub subject: &'static str,
    /// What is allowed there.
    pub tolerance: Tolerance,
    /// Why. Nothing runs on it: it is for people.
    pub reason: &'static str,
}

impl Row {
    /// The name that the engine has in reports which comes first.
    pub fn first_engine(&self) -> &'static str {
        let first = self.engine.split(", else ").next().unwrap_or_default();
        first.trim_start_matches("deterministic ")
    }

    /// Whether a GPU comes first.
    pub fn is_on_webgpu(&self) -> bool {
        self.first_engine() == "webgpu"
    }

    /// What counts as the same answer.
    pub fn tolerance(&self, subject: &Subject) -> Tolerance {
        let exception = self.exceptions.iter().find(|exception| exception.subject == subject.name);
        exception.map_or(subject.tolerance, |exception| {
            assert!(!exception.reason.is_empty(), "a difference has a reason");
            exception.tolerance
        })
    }
}

/// The rows whose answers are the same bits, whenever the executor runs the model.
pub fn deterministic() -> Vec<Row> {
    rows().into_iter().filter(|row| row.engine.starts_with("deterministic")).collect()
}

/// Rows in browsers that a machine seldom has.
pub fn other_browsers() -> Vec<Row> {
    let row = |program| Row {
        engine: "executor, else tract",
        target: program,
        runner: Box::new(Asked { program, webgpu: false }),
        exceptions: &[],
    };
    vec![row("firefox"), row("webkit")]
}

/// Every row that a machine has which runs the tests.
pub fn rows() -> Vec<Row> {
    vec![
        Row {
            engine: "tract",
            target: "native",
            runner: Box::new(Native(vec![Arc::new(TractEngine::new())])),
            exceptions: &[],
        },
        Row {
            engine: "executor, else tract",
            target: "native",
            runner: Box::new(Native(Options::default().engines)),
            exceptions: &[],
        },
        Row {
            engine: "deterministic executor, else tract",
            target: "native",
            runner: Box::new(Native(Options::deterministic().engines)),
            exceptions: &[],
        },
        Row {
            engine: "executor, else tract",
            target: "wasmtime",
            runner: Box::new(Sandboxed(sandbox::fast())),
            exceptions: &[],
        },
        Row {
            engine: "deterministic executor, else tract",
            target: "wasmtime",
            runner: Box::new(Sandboxed(sandbox::deterministic())),
            exceptions: &[],
        },
        Row {
            engine: "executor, else tract",
            target: "browser",
            runner: Box::new(Asked { program: "chromium", webgpu: false }),
            exceptions: &[],
        },
        Row {
            engine: "burn-flex, else executor",
            target: "native",
            runner: Box::new(Asked { program: "burn-flex", webgpu: false }),
            exceptions: &[],
        },
        webgpu(),
    ]
}

/// The row on a GPU natively, which is a program on the CPU where there is none.
pub fn native_gpu() -> Row {
    Row {
        engine: "burn-wgpu, else executor",
        target: "native",
        runner: Box::new(Asked { program: "burn-wgpu", webgpu: false }),
        exceptions: &[],
    }
}

/// The row on a GPU, which is a program on the CPU here.
pub fn webgpu() -> Row {
    Row {
        engine: "webgpu, else executor",
        target: "browser",
        runner: Box::new(Asked { program: "chromium", webgpu: true }),
        exceptions: &[],
    }
}

/// Runs in this process, through the facade, on the first of these engines that can.
struct Native(Vec<Arc<dyn Engine>>);

impl Runner for Native {
    fn open(&self, bundle: &[u8], key: &PublicKey) -> Result<Box<dyn Opened>, String> {
        let trust = Trust::Keys(vec![key.clone()]);
        // The self-test is on: the golden cases in the bundle are part of what is checked.
        let options = Options { engines: self.0.clone(), ..Options::default() };
        let session = Session::from_bytes(bundle, &trust, &options).map_err(|error| error.to_string())?;
        Ok(Box::new(session))
    }
}

impl Opened for Session {
    fn engine(&self) -> String {
        self.report().engine.to_owned()
    }

    fn run(&self, inputs: &Named) -> Result<Named, String> {
        let inputs: pannier::Inputs<'_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let outputs = Session::run(self, inputs).map_err(|error| error.to_string())?;
        Ok(outputs.into_iter().collect())
    }
}

/// Runs in a sandbox, each case in a fresh instance.
struct Sandboxed(&'static Sandbox);

impl Runner for Sandboxed {
    fn open(&self, bundle: &[u8], key: &PublicKey) -> Result<Box<dyn Opened>, String> {
        // The self-test is on here, too.
        let loaded = self.0.load(bundle, &Trust::Keys(vec![key.clone()]), &LoadOptions::default());
        Ok(Box::new(loaded.map_err(|error| error.to_string())?))
    }
}

impl Opened for SandboxedModel {
    fn engine(&self) -> String {
        self.report().engine.clone()
    }

    fn run(&self, inputs: &Named) -> Result<Named, String> {
        let inputs: pannier::Inputs<'_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let outputs = SandboxedModel::run(self, inputs).map_err(|error| error.to_string())?;
        Ok(outputs.into_iter().collect())
    }
}
