//! Programs of one operator, run by this engine and by the executor.

use pannier_engine::{DType, Dim, Engine, EngineError, Program, ProgramBuilder, RunBudget, Tensor};
use pannier_executor::Executor;
use pannier_graph::{Attribute, Node};

/// An operand of the operator under test.
#[derive(Clone)]
pub enum Operand {
    /// An input of the program.
    Input(Tensor),
    /// A weight.
    Weight(Tensor),
    /// An optional operand that is not there.
    Absent,
}

/// One operator with operands and attributes.
pub struct Case {
    /// For messages, beside the operator.
    pub title: String,
    /// The operator.
    pub op: &'static str,
    /// Its operands.
    pub operands: Vec<Operand>,
    /// Its attributes.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// How many results are compared.
    pub outputs: usize,
}

/// Numbers that look random and are the same in every run.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one, of 24 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as u32
    }

    /// A size from `low` to `high`.
    pub fn size(&mut self, low: usize, high: usize) -> usize {
        low + self.bits() as usize % (high - low + 1)
    }

    /// Numbers from `low` to `high`.
    pub fn floats(&mut self, shape: &[usize], low: f32, high: f32) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| low + (high - low) * self.bits() as f32 / (1 << 24) as f32).collect();
        Tensor::from_slice(shape, &values).expect("the values fit the shape")
    }
}

/// A list of 64-bit integers.
pub fn list(values: &[i64]) -> Tensor {
    Tensor::from_slice([values.len()], values).expect("a list has its length")
}

/// A program of one node, with what its inputs are given.
pub fn program(case: &Case) -> (Program, Vec<Tensor>) {
    let mut builder = ProgramBuilder::new();
    let (mut inputs, mut values) = (Vec::new(), Vec::new());
    for (index, operand) in case.operands.iter().enumerate() {
        let name = format!("operand{index}");
        inputs.push(match operand {
            Operand::Input(tensor) => {
                let shape: Vec<Dim> = tensor.shape().iter().map(|size| Dim::Fixed(*size as u64)).collect();
                values.push(tensor.clone());
                Some(builder.input(&name, tensor.dtype(), &shape))
            }
            Operand::Weight(tensor) => Some(builder.weight(&name, tensor)),
            Operand::Absent => None,
        });
    }
    let outputs: Vec<_> = (0..case.outputs).map(|index| builder.value(&format!("result{index}"))).collect();
    let mut attributes: Vec<(String, Attribute)> =
        case.attributes.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect();
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    builder.node_with(Node {
        name: case.title.clone(),
        domain: String::new(),
        op: case.op.to_string(),
        inputs,
        outputs: outputs.iter().copied().map(Some).collect(),
        attributes,
    });
    for (index, output) in outputs.into_iter().enumerate() {
        builder.output(&format!("result{index}"), output);
    }
    (builder.build(), values)
}

/// A GPU, or a driver that is a program on the CPU. Where there is neither, a test says so and passes, unless `PANNIER_GPU` says that
/// there has to be one.
#[cfg(feature = "wgpu")]
pub fn gpu() -> Option<pannier_engine_burn::Burn> {
    match pannier_engine_burn::Burn::wgpu(&pannier_engine_burn::GpuOptions::default().with_software()) {
        Ok(gpu) => {
            println!("{:?}", gpu.adapter());
            Some(gpu)
        }
        Err(why) if std::env::var_os("PANNIER_GPU").is_none() => {
            println!("skipped: {why}");
            None
        }
        Err(why) => panic!("{why}"),
    }
}

/// Prepares and runs.
pub fn run(engine: &dyn Engine, program: &Program, inputs: &[Tensor]) -> Result<Vec<Tensor>, EngineError> {
    let prepared = engine.prepare(program, &RunBudget::default())?;
    let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
    prepared.run(&views, &RunBudget::default())
}

/// What differs between this engine and the executor, if anything does.
pub fn difference(engine: &dyn Engine, case: &Case) -> Option<String> {
    let (program, inputs) = program(case);
    let expected = match run(&Executor::new(), &program, &inputs) {
        Ok(expected) => expected,
        Err(error) => return Some(format!("{} {}: the executor: {error}", case.op, case.title)),
    };
    let found = match run(engine, &program, &inputs) {
        Ok(found) => found,
        Err(error) => return Some(format!("{} {}: {error}", case.op, case.title)),
    };
    let pairs = found.iter().zip(&expected).enumerate();
    let differences: Vec<String> =
        pairs.filter_map(|(index, (a, b))| unlike(a, b).map(|why| format!("result {index}: {why}"))).collect();
    if differences.is_empty() && found.len() == expected.len() {
        return None;
    }
    Some(format!("{} {}: {}", case.op, case.title, differences.join("; ")))
}

/// How two tensors differ, if they do: integers and booleans not at all, numbers by `1e-4 + 1e-3 |expected|`.
fn unlike(found: &Tensor, expected: &Tensor) -> Option<String> {
    if found.dtype() != expected.dtype() || found.shape() != expected.shape() {
        return Some(format!(
            "{:?}{:?}, expected {:?}{:?}",
            found.dtype(),
            found.shape(),
            expected.dtype(),
            expected.shape()
        ));
    }
    let (Some(a), Some(b)) = (found.as_slice::<f32>(), expected.as_slice::<f32>()) else {
        return (found.bytes() != expected.bytes()).then(|| format!("{found:?}, expected {expected:?}"));
    };
    let near = |x: f32, y: f32| (x.is_nan() && y.is_nan()) || x == y || (x - y).abs() <= 1e-4 + 1e-3 * y.abs();
    let wrong = a.iter().zip(b).position(|(x, y)| !near(*x, *y))?;
    Some(format!("element {wrong} of {:?} is {}, expected {}", found.shape(), a[wrong], b[wrong]))
}

/// The float type's code in ONNX.
pub const FLOAT: i64 = 1;

/// A tensor of 32-bit integers or others, checked.
pub fn tensor<T: pannier_engine::Element>(shape: &[usize], values: &[T]) -> Tensor {
    Tensor::from_slice(shape, values).expect("the values fit the shape")
}

/// The type of a tensor that the tests use most.
pub const F32: DType = DType::F32;
