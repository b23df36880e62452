//! Bundles of two tiny models.

use std::ops::ControlFlow;

use pannier::manifest::{Content, Envelope, Port, Reproducibility, Source};
use pannier::{DType, Dim, Manifest, Program, Tensor};
use pannier_bundle::encode_versioned;
use pannier_bundle::write::{SealOptions, SectionContent, content_id, seal};
use pannier_engine::ProgramBuilder;
use pannier_engine::golden::{Case, Golden, Reference, Stored, Tolerance};

/// A model, and what its bundle says of it.
#[derive(Clone, Copy)]
pub struct Model {
    pub name: &'static str,
    pub deadline_ms: u32,
    /// The answer of the golden case with `[1, 1]`, twice. 0: no golden case.
    pub golden_answer: f32,
    pub program: fn() -> (Program, Vec<Port>, Vec<Port>),
}

/// `y[n, 2] = x[n, 2] * 2`.
pub const TWICE: Model = Model { name: "twice", deadline_ms: 0, golden_answer: 2.0, program: twice };

/// `next = x + state`, where `next` is the state of the next step.
pub const ACCUMULATOR: Model = Model { name: "accumulator", deadline_ms: 0, golden_answer: 0.0, program: accumulator };

fn twice() -> (Program, Vec<Port>, Vec<Port>) {
    let shape = || vec![Dim::Symbol("n".into()), Dim::Fixed(2)];
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &shape());
    let two = builder.weight("two", &Tensor::scalar(2f32));
    let y = builder.node("Mul", &[x, two]);
    builder.output("y", y);
    let port = |name| vec![port(name, shape(), Content::Tensor)];
    (builder.build(), port("x"), port("y"))
}

fn accumulator() -> (Program, Vec<Port>, Vec<Port>) {
    let shape = || vec![Dim::Fixed(1)];
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &shape());
    let state = builder.input("state", DType::F32, &shape());
    let next = builder.node("Add", &[x, state]);
    builder.output("next", next);
    let inputs =
        vec![port("x", shape(), Content::Tensor), port("state", shape(), Content::State { output: "next".into() })];
    (builder.build(), inputs, vec![port("next", shape(), Content::NextState)])
}

fn port(name: &str, shape: Vec<Dim>, content: Content) -> Port {
    Port { name: name.into(), dtype: DType::F32, shape, description: String::new(), content }
}

/// The unsigned bundle of a model.
pub fn bundle(model: &Model) -> Vec<u8> {
    let (program, inputs, outputs) = (model.program)();
    let mut sections = vec![section("graph", program.graph.encode().unwrap())];
    if model.golden_answer != 0.0 {
        sections.push(section("golden", golden(model.golden_answer).encode()));
    }
    sections.push(section("labels", encode_versioned(1, &vec![vec!["cat".to_string(), "dog".to_string()]])));
    for (index, weights) in program.sections.iter().enumerate() {
        sections.push(section(&format!("weights/{index}"), weights.as_bytes().to_vec()));
    }
    let manifest = Manifest {
        name: model.name.into(),
        version: "1.0.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: "test".into(),
        bundle_id: content_id(&sections).unwrap(),
        opset: pannier_graph::OPSET,
        inputs,
        outputs,
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: model.deadline_ms },
        reproducibility: Reproducibility::Tolerance,
        target_hints: vec![],
        quantization: vec![],
        source: Source { format: "test".into(), sha256: [0; 32], opset: 25, options: vec![] },
    };
    sections.push(section("manifest", encode_versioned(Manifest::VERSION, &manifest)));
    let sealed = seal(sections, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(())).unwrap();
    sealed.assemble(&[]).unwrap()
}

/// The bundle with one bit of its last byte changed.
pub fn damaged(bundle: &[u8]) -> Vec<u8> {
    let mut bytes = bundle.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes
}

fn golden(answer: f32) -> Golden {
    let tensor = |value: f32| Tensor::from_slice([1, 2], &[value, value]).unwrap();
    let case = Case {
        name: "000".into(),
        inputs: vec![Stored::new(tensor(1.0).view())],
        outputs: vec![Reference::sample(tensor(answer).view(), 100)],
    };
    Golden { tolerance: Tolerance { absolute: 1e-3, relative: 0.0, norm: 0.0 }, cases: vec![case] }
}

fn section(name: &str, bytes: Vec<u8>) -> SectionContent<'static> {
    SectionContent { name: name.into(), bytes: bytes.into(), element_bytes: 1, cuts: vec![], critical: true }
}
