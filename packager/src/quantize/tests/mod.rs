//! Programs made by hand that break naive quantization, and what is true of every quantized program.

mod breakers;
mod calibration;
mod channels;
mod closed_forms;
mod forms;
mod prepare;

use super::*;
use pannier::Executor;
use pannier_engine::{DType, Dim, Engine, Program, ProgramBuilder, RunBudget, Tensor};
use pannier_graph::{Attribute, ValueId};

/// Numbers that look like noise, always the same ones.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller 1958.
    pub(super) fn normal(&mut self) -> f32 {
        let (radius, angle) = (1.0 - self.uniform(), self.uniform());
        ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
    }

    pub(super) fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

fn dims(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|size| Dim::Fixed(*size as u64)).collect()
}

fn tensor(shape: &[usize], numbers: &[f32]) -> Tensor {
    Tensor::from_slice(shape, numbers).unwrap()
}

/// A layer of a kind with these weights, and a few inputs for it.
struct Subject {
    program: Program,
    cases: Vec<Vec<Tensor>>,
}

/// Operators with weights, and the shapes of input and weight.
const KINDS: &[(&str, &[usize], &[usize])] = &[
    ("Conv", &[1, 6, 7, 7], &[8, 6, 3, 3]),
    ("Conv depthwise", &[1, 8, 9, 9], &[8, 1, 3, 3]),
    ("Conv 1d", &[1, 5, 20], &[4, 5, 3]),
    ("ConvTranspose", &[1, 6, 5, 5], &[6, 3, 2, 2]),
    ("MatMul", &[9, 33], &[33, 10]),
    ("Gemm", &[9, 33], &[33, 10]),
    ("Gemm transposed", &[9, 33], &[10, 33]),
    ("LSTM", &[6, 1, 12], &[1, 20, 12]),
];

impl Subject {
    fn new(kind: &str, weights: &[f32]) -> Subject {
        let (_, input, shape) = KINDS.iter().find(|(name, _, _)| *name == kind).unwrap();
        let mut builder = ProgramBuilder::new();
        let x = builder.input("x", DType::F32, &dims(input));
        let w = builder.weight("w", &tensor(shape, weights));
        let y = match kind {
            "Conv depthwise" => builder.node_attributes("Conv", &[x, w], &[("group", Attribute::Int(8))]),
            "Conv 1d" => builder.node("Conv", &[x, w]),
            "Gemm transposed" => builder.node_attributes("Gemm", &[x, w], &[("transB", Attribute::Int(1))]),
            "LSTM" => {
                let r = builder.weight("r", &tensor(&[1, 20, 5], &Noise(9).normals(100)));
                builder.node_attributes("LSTM", &[x, w, r], &[("hidden_size", Attribute::Int(5))])
            }
            op => builder.node(op, &[x, w]),
        };
        builder.output("y", y);
        let mut noise = Noise(3);
        let cases = (0..6).map(|_| vec![tensor(input, &noise.normals(input.iter().product()))]).collect();
        Subject { program: builder.build(), cases }
    }

    fn noise(kind: &str) -> Subject {
        let (_, _, shape) = KINDS.iter().find(|(name, _, _)| *name == kind).unwrap();
        Subject::new(kind, &Noise(5).normals(shape.iter().product()))
    }

    fn layers(&self) -> Vec<Layer> {
        layers(&self.program.graph)
    }

    fn observed(&self) -> Calibration {
        calibrate::collect(&self.program, &self.layers(), &self.cases, Observe::ALL, &mut |_, _| {}).unwrap()
    }

    fn applied(&self, recipe: &Recipe) -> Applied {
        apply(&self.program, &self.layers(), recipe, Some(&self.observed()), &mut |_, _| {}).unwrap()
    }

    fn uniform(&self, scheme: LayerScheme) -> Applied {
        self.applied(&Recipe::uniform(self.layers().len(), scheme))
    }

    /// Signal to noise of the answers in decibels; 200 where they are the same.
    fn sqnr_db(&self, applied: &Applied) -> f32 {
        let (exact, found) = (run(&self.program, &self.cases), run(&applied.program, &self.cases));
        assert!(found.iter().all(|number| number.is_finite()), "something is not finite");
        codes::sqnr_db(&exact, &found).unwrap_or(200.0)
    }
}

/// All outputs of all cases, one after the other.
fn run(program: &Program, cases: &[Vec<Tensor>]) -> Vec<f32> {
    let prepared = Executor::deterministic().prepare(program, &RunBudget::default()).unwrap();
    let outputs = cases.iter().flat_map(|case| {
        let views: Vec<_> = case.iter().map(Tensor::view).collect();
        prepared.run(&views, &RunBudget::default()).unwrap()
    });
    outputs.flat_map(|tensor| tensor.as_slice::<f32>().unwrap().to_vec()).collect()
}

fn value(program: &Program, name: &str) -> ValueId {
    let index = program.graph.values.iter().position(|value| value == name).unwrap();
    ValueId(u32::try_from(index).unwrap())
}
