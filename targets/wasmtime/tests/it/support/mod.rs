//! What the tests share: a guest, a bundle, a sandbox.

mod guest;

pub use guest::{PANIC, guest, guest_with, module};

use pannier::manifest::{Content, Envelope, Port, Reproducibility, Source};
use pannier::{DType, Dim};
use pannier_bundle::encode_versioned;
use pannier_bundle::write::{SealOptions, SectionContent, content_id, seal};
use pannier_wasmtime::{
    Cache, Config, Event, Inputs, LoadOptions, Manifest, Outputs, Sandbox, SandboxedModel, Tensor, Trust,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// An envelope that says nothing.
pub const FREE: Envelope = Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 };

/// An unsigned bundle with the interface of [`guest`]'s model.
pub fn bundle(envelope: Envelope) -> Vec<u8> {
    bundle_with(envelope, &[7; 100])
}

/// An unsigned bundle with these bytes for weights.
pub fn bundle_with(envelope: Envelope, weights: &[u8]) -> Vec<u8> {
    let port = |name: &str, size: u64, content| Port {
        name: name.into(),
        dtype: DType::F32,
        shape: vec![Dim::Fixed(size)],
        description: String::new(),
        content,
    };
    let mut manifest = Manifest {
        name: "sum".into(),
        version: "1.0.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: "test".into(),
        bundle_id: [0; 32],
        opset: 25,
        inputs: vec![port("x", 2, Content::Tensor), port("s", 1, Content::State { output: "next".into() })],
        outputs: vec![port("y", 2, Content::Tensor), port("next", 1, Content::NextState)],
        envelope,
        reproducibility: Reproducibility::Tolerance,
        target_hints: vec![],
        quantization: vec![],
        source: Source { format: "test".into(), sha256: [0; 32], opset: 25, options: vec![] },
    };
    let section = |name: &str, bytes: Vec<u8>| SectionContent {
        name: name.into(),
        bytes: bytes.into(),
        element_bytes: 1,
        cuts: vec![],
        critical: true,
    };
    let labels = vec![vec!["cat".to_string(), "dog".to_string()]];
    let mut sections = vec![
        section("graph", vec![1]),
        section("labels", encode_versioned(1, &labels)),
        section("weights/0", weights.to_vec()),
    ];
    manifest.bundle_id = content_id(&sections).unwrap();
    sections.push(section("manifest", encode_versioned(Manifest::VERSION, &manifest)));
    let sealed = seal(sections, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(())).unwrap();
    sealed.assemble(&[]).unwrap()
}

/// A configuration with this guest and without a cache.
pub fn config(guest: Vec<u8>) -> Config {
    Config { guest: Some(guest), cache: Cache::Off, max_instances: 8, ..Config::default() }
}

/// A model on this guest, without limits.
pub fn model(guest: Vec<u8>) -> SandboxedModel {
    load(&Sandbox::new(&config(guest)).unwrap())
}

/// The usual bundle in this sandbox.
pub fn load(sandbox: &Sandbox) -> SandboxedModel {
    sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &LoadOptions::default()).unwrap()
}

/// The inputs `x` and `s`.
pub fn given(x: [f32; 2], s: f32) -> Inputs<'static> {
    pannier_wasmtime::inputs! { "x" => vector(&x), "s" => vector(&[s]) }
}

pub fn vector(values: &[f32]) -> Tensor {
    Tensor::from_slice([values.len()], values).unwrap()
}

/// The output `y`.
pub fn y(outputs: &Outputs) -> Vec<f32> {
    outputs.get("y").and_then(|tensor| tensor.as_slice()).unwrap().to_vec()
}

/// Collects what a sandbox reports.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    /// What was reported since the last time.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A configuration that reports here and has its cache there.
    pub fn config(&self, guest: Vec<u8>, cache: &Path) -> Config {
        let seen = self.clone();
        Config {
            cache: Cache::Dir(cache.to_path_buf()),
            on_event: Some(Arc::new(move |event| seen.0.lock().unwrap().push(event))),
            ..config(guest)
        }
    }
}
