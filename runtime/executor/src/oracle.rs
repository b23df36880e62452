//! What must hold for any program. The fuzz target `plan` and a property test call it.

use crate::Executor;
use pannier_engine::{
    DType, Dim, Engine, EngineError, Interrupt, Program, ProgramBuilder, RunBudget, Tensor, TensorView, Watch,
};
use pannier_graph::{Attribute, Node, ValueId};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that a program may take here. A single node that wants more is left out.
const BUDGET_BYTES: u64 = 4 << 20;

/// Nodes of a program.
const MOST_NODES: usize = 14;

/// Makes a program of the bytes, node by node: each is tried alone first, with the operands that the nodes before gave it,
/// and left out if it is refused. The whole must then run within its budget and answer as its nodes did one by one, which
/// is without plans, passes and kernels that want constant weights.
///
/// # Panics
/// If it does not, or if anything inside panics: that is its purpose.
pub fn run_program(bytes: &[u8]) {
    let mut choices = Choices { bytes };
    let mut made = Made { builder: ProgramBuilder::new(), values: Vec::new(), inputs: Vec::new() };
    for _ in 0..1 + choices.below(3) {
        let tensor = choices.tensor(None);
        made.input(&tensor);
    }
    while made.values.len() < MOST_NODES && !choices.bytes.is_empty() {
        node(&mut choices, &mut made);
    }
    let Made { mut builder, values, inputs } = made;
    let last = values.len() - 1;
    for index in [last, choices.below(values.len()), choices.below(values.len())] {
        builder.output(&format!("y{index}"), values[index].0);
    }
    let program = builder.build();
    let views: Vec<TensorView<'_>> = inputs.iter().map(Tensor::view).collect();
    let executor = if choices.below(4) == 0 { Executor::deterministic() } else { Executor::new() };
    let budget = RunBudget { memory_bytes: Some(BUDGET_BYTES), watch: None };
    let (found, peak_bytes) = match run(&executor, &program, &views, &budget) {
        Ok(found) => found,
        // Together they may need more than one by one.
        Err(EngineError::MemoryBudget { .. }) => return,
        Err(error) => panic!("{error}\n{}", program.graph),
    };
    assert!(peak_bytes <= BUDGET_BYTES, "{peak_bytes} bytes were used");
    let outputs = &program.graph.body.outputs;
    for (value, found) in outputs.iter().zip(&found) {
        let expected = values.iter().find(|(id, _)| id == value).map(|(_, tensor)| tensor);
        if let Some(why) = expected.and_then(|expected| difference(found, expected)) {
            panic!("`{}`: {why}\n{}", program.graph.value_name(*value), program.graph);
        }
    }
    // Stopped anywhere, it says so and nothing else.
    let stop = StopAt { left: AtomicUsize::new(choices.below(64)) };
    let budget = RunBudget { watch: Some(&stop), ..budget };
    match run(&executor, &program, &views, &budget) {
        Ok(_) | Err(EngineError::Interrupted { why: Interrupt::Cancelled, .. }) => {}
        Err(error) => panic!("stopped: {error}\n{}", program.graph),
    }
}

/// A watch that has enough after some questions.
struct StopAt {
    left: AtomicUsize,
}

impl Watch for StopAt {
    fn check(&self) -> Result<(), Interrupt> {
        let more = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        more.map(|_| ()).map_err(|_| Interrupt::Cancelled)
    }
}

fn run(
    executor: &Executor,
    program: &Program,
    inputs: &[TensorView<'_>],
    budget: &RunBudget<'_>,
) -> Result<(Vec<Tensor>, u64), EngineError> {
    let prepared = executor.prepare(program, budget)?;
    let outputs = prepared.run(inputs, budget)?;
    Ok((outputs, prepared.memory().peak_bytes))
}

/// Why two tensors are not the same, up to what rounding does to numbers of this size.
fn difference(found: &Tensor, expected: &Tensor) -> Option<String> {
    if found.dtype() != expected.dtype() || found.shape() != expected.shape() {
        return Some(format!("{found:?} instead of {expected:?}"));
    }
    let (Some(found), Some(expected)) = (found.as_slice::<f32>(), expected.as_slice::<f32>()) else {
        return (found != expected).then(|| format!("{found:?} instead of {expected:?}"));
    };
    let most = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    let far = |(a, b): (&f32, &f32)| (a - b).abs() > 2e-3 * most || a.is_nan() != b.is_nan();
    let at = found.iter().zip(expected).position(far)?;
    Some(format!("element {at} is {} instead of {}", found[at], expected[at]))
}

/// Decisions, taken from bytes; zeros when there are no more.
struct Choices<'a> {
    bytes: &'a [u8],
}

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn size(&mut self) -> usize {
        self.of(&[1, 2, 3, 4, 5, 7, 8, 16, 17, 24])
    }

    /// Numbers between -1 and 1, of this shape or any.
    fn tensor(&mut self, shape: Option<Vec<usize>>) -> Tensor {
        let rank = self.of(&[4, 4, 4, 3, 2, 2, 1, 0]);
        let shape = shape.unwrap_or_else(|| (0..rank).map(|_| self.size()).collect());
        let (len, seed) = (shape.iter().product::<usize>(), usize::from(self.byte()));
        let values: Vec<f32> = (0..len).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect();
        Tensor::from_slice(shape, &values).unwrap_or_else(|error| panic!("{error}"))
    }

    fn ints(&mut self, len: usize, least: i64, most: usize) -> Tensor {
        let values: Vec<i64> = (0..len).map(|_| least + i64::try_from(self.below(most)).unwrap_or(0)).collect();
        Tensor::from_slice([len], &values).unwrap_or_else(|error| panic!("{error}"))
    }

    fn list(&mut self, len: usize, least: i64, most: usize) -> Attribute {
        Attribute::Ints((0..len).map(|_| least + i64::try_from(self.below(most)).unwrap_or(0)).collect())
    }
}

/// The program so far, with the value of everything in it.
struct Made {
    builder: ProgramBuilder,
    values: Vec<(ValueId, Tensor)>,
    inputs: Vec<Tensor>,
}

impl Made {
    fn input(&mut self, tensor: &Tensor) {
        let id = self.builder.input(&format!("x{}", self.inputs.len()), tensor.dtype(), &dims(tensor));
        self.inputs.push(tensor.clone());
        self.values.push((id, tensor.clone()));
    }
}

fn dims(tensor: &Tensor) -> Vec<Dim> {
    tensor.shape().iter().map(|size| Dim::Fixed(*size as u64)).collect()
}

/// An operand: a value of the program, or a constant of its own.
enum Operand {
    Value(usize),
    Weight(Tensor),
}

/// Chooses a node, tries it, and adds it.
fn node(choices: &mut Choices<'_>, made: &mut Made) {
    let x = choices.below(made.values.len());
    let shape = made.values[x].1.shape().to_vec();
    let (rank, channels) = (shape.len(), shape.get(1).copied().unwrap_or(1));
    let axis = |choices: &mut Choices<'_>| ("axis", Attribute::Int(choices.below(rank + 1) as i64 - 1));
    let weight = |tensor: Tensor| Operand::Weight(tensor);
    let mut operands = vec![Operand::Value(x)];
    let mut attributes: Vec<(&str, Attribute)> = Vec::new();
    let op = choices.of(OPERATORS);
    match op {
        "Add" | "Sub" | "Mul" | "Max" => {
            let other = match choices.below(4) {
                0 => Operand::Value(choices.below(made.values.len())),
                1 => weight(choices.tensor(Some(vec![]))),
                2 => weight(choices.tensor(Some([vec![1, channels], vec![1; rank.saturating_sub(2)]].concat()))),
                _ => weight(choices.tensor(Some(shape.clone()))),
            };
            operands.push(other);
            if choices.below(2) == 0 {
                operands.reverse();
            }
        }
        "Conv" => {
            let spatial = rank.saturating_sub(2);
            let group = choices.of(&[1, 1, 1, channels.max(1), 2]);
            let filters = if group == 1 { choices.size() } else { group * choices.of(&[1, 1, 2]) };
            let kernel: Vec<usize> = (0..spatial).map(|_| choices.of(&[1, 3, 3, 2, 5])).collect();
            let w = choices.tensor(Some([vec![filters, channels / group], kernel].concat()));
            // Sums stay small.
            operands.push(weight(scaled(&w, 1.0 / (w.view().len() / filters.max(1)).max(1) as f32)));
            if choices.below(2) == 0 {
                operands.push(weight(choices.tensor(Some(vec![filters]))));
            }
            attributes.push(("group", Attribute::Int(group as i64)));
            attributes.push(("pads", choices.list(2 * spatial, 0, 3)));
            attributes.push(("strides", choices.list(spatial, 1, 2)));
        }
        "MaxPool" | "AveragePool" => {
            let spatial = rank.saturating_sub(2);
            attributes.push(("kernel_shape", choices.list(spatial, 1, 3)));
            attributes.push(("strides", choices.list(spatial, 1, 2)));
        }
        "MatMul" | "Gemm" => {
            let k = shape.last().copied().unwrap_or(1);
            let n = choices.size();
            let w = if choices.below(4) == 0 {
                Operand::Value(choices.below(made.values.len()))
            } else {
                weight(scaled(&choices.tensor(Some(vec![k, n])), 1.0 / k.max(1) as f32))
            };
            operands.push(w);
        }
        "BatchNormalization" => {
            for positive in [false, false, false, true] {
                let tensor = choices.tensor(Some(vec![channels]));
                operands.push(weight(if positive { shifted(&tensor) } else { tensor }));
            }
        }
        "Reshape" => {
            let mut to = shape.clone();
            if choices.below(2) == 0 {
                to = vec![shape.iter().product()];
            } else if rank > 1 {
                let last = to.pop().unwrap_or(1);
                *to.last_mut().unwrap_or(&mut 0) *= last;
            }
            let to: Vec<i64> = to.iter().map(|size| *size as i64).collect();
            operands.push(weight(Tensor::from_slice([to.len()], &to).unwrap_or_else(|error| panic!("{error}"))));
        }
        "Slice" => {
            operands.push(weight(choices.ints(1, -3, 6)));
            operands.push(weight(choices.ints(1, -3, 9)));
            operands.push(weight(choices.ints(1, -1, rank + 2)));
            operands.push(weight(choices.ints(1, -2, 5)));
        }
        "Pad" => operands.push(weight(choices.ints(2 * rank, -1, 4))),
        "Gather" => {
            operands.push(weight(choices.ints(2, -2, 5)));
            attributes.push(axis(choices));
        }
        "Expand" => operands.push(weight(choices.ints(rank, 1, 3))),
        "Tile" => operands.push(weight(choices.ints(rank, 0, 3))),
        "Transpose" => {
            let mut perm: Vec<i64> = (0..rank as i64).collect();
            perm.rotate_left(choices.below(rank));
            if rank > 1 && choices.below(2) == 0 {
                perm.swap(0, rank - 1);
            }
            attributes.push(("perm", Attribute::Ints(perm)));
        }
        "ReduceMean" | "ReduceMax" | "ReduceSum" => {
            operands.push(weight(choices.ints(1, -1, rank + 1)));
            attributes.push(("keepdims", Attribute::Int(choices.below(2) as i64)));
        }
        "Concat" => {
            operands.push(Operand::Value(choices.below(made.values.len())));
            attributes.push(axis(choices));
        }
        "Softmax" | "Flatten" => attributes.push(axis(choices)),
        "LayerNormalization" => {
            operands.push(weight(choices.tensor(Some(shape.last().copied().into_iter().collect()))));
            attributes.push(("epsilon", Attribute::Float(0.1)));
        }
        "Clip" => {
            operands.push(weight(Tensor::scalar(-0.5f32)));
            operands.push(weight(Tensor::scalar(0.5f32)));
        }
        _ => {}
    }
    add(made, op, operands, attributes);
}

/// Operators whose answers change little when their operands do: others would make a large difference of a small one.
const OPERATORS: &[&str] = &[
    "Add",
    "Sub",
    "Mul",
    "Max",
    "Conv",
    "Conv",
    "Conv",
    "Conv",
    "MatMul",
    "MatMul",
    "Gemm",
    "Relu",
    "HardSwish",
    "HardSigmoid",
    "Sigmoid",
    "Tanh",
    "LeakyRelu",
    "Neg",
    "Abs",
    "Clip",
    "Softmax",
    "Flatten",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "BatchNormalization",
    "LayerNormalization",
    "Reshape",
    "Transpose",
    "Slice",
    "Pad",
    "Gather",
    "Expand",
    "Tile",
    "ReduceMean",
    "ReduceMax",
    "ReduceSum",
    "Concat",
    "Identity",
];

fn scaled(tensor: &Tensor, by: f32) -> Tensor {
    map(tensor, |value| value * by)
}

/// Numbers between 1/2 and 5/2.
fn shifted(tensor: &Tensor) -> Tensor {
    map(tensor, |value| value + 1.5)
}

fn map(tensor: &Tensor, each: impl Fn(f32) -> f32) -> Tensor {
    let values: Vec<f32> = tensor.as_slice::<f32>().unwrap_or_default().iter().map(|value| each(*value)).collect();
    Tensor::from_slice(tensor.shape(), &values).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs the node alone, its floating-point operands as inputs; if it answers with numbers that are not too large, it becomes
/// part of the program.
fn add(made: &mut Made, op: &str, operands: Vec<Operand>, attributes: Vec<(&str, Attribute)>) {
    let mut alone = ProgramBuilder::new();
    let mut given: Vec<Tensor> = Vec::new();
    let mut inputs = Vec::with_capacity(operands.len());
    for (index, operand) in operands.iter().enumerate() {
        let tensor = match operand {
            Operand::Value(value) => &made.values[*value].1,
            Operand::Weight(tensor) => tensor,
        };
        inputs.push(if tensor.dtype() == DType::F32 {
            given.push(tensor.clone());
            alone.input(&format!("x{index}"), DType::F32, &dims(tensor))
        } else {
            alone.weight(&format!("x{index}"), tensor)
        });
    }
    let output = alone.node_attributes(op, &inputs, &attributes);
    alone.output("y", output);
    let views: Vec<TensorView<'_>> = given.iter().map(Tensor::view).collect();
    let budget = RunBudget { memory_bytes: Some(BUDGET_BYTES / 8), watch: None };
    let Ok((answers, _)) = run(&Executor::new(), &alone.build(), &views, &budget) else { return };
    let Some(answer) = answers.into_iter().next() else { return };
    let tame = answer.as_slice::<f32>().is_some_and(|values| values.iter().all(|value| value.abs() < 100.0));
    if !tame || answer.shape().len() > 6 {
        return;
    }
    let name = format!("{}_{}", op.to_ascii_lowercase(), made.values.len());
    let ids = operands.iter().enumerate().map(|(index, operand)| match operand {
        Operand::Value(value) => made.values[*value].0,
        Operand::Weight(tensor) => made.builder.weight(&format!("{name}_{index}"), tensor),
    });
    let inputs = ids.map(Some).collect();
    let output = made.builder.value(&name);
    let mut attributes: Vec<_> = attributes.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    let (domain, op) = (String::new(), op.to_string());
    made.builder.node_with(Node { name, domain, op, inputs, outputs: vec![Some(output)], attributes });
    made.values.push((output, answer));
}
