//! Every pass: what it makes of a small program, and that the program still computes the same.

use super::{Context, PASSES, cleanup, compile};
use crate::import::{Key, import};
use crate::ir::{Ir, Op};
use crate::limits::Limits;
use crate::plan::Plan;
use crate::weights::Weights;
use pannier_engine::{DType, Dim, Program, ProgramBuilder, RunBudget, Tensor};
use pannier_graph::{Attribute, ValueId};
use pannier_kernels::Kernels;

mod quantize;

/// Numbers between -2 and 2 that are all different.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 25.0 - 2.0).collect();
    Tensor::from_slice(shape, &values).unwrap()
}

struct Model {
    builder: ProgramBuilder,
    inputs: Vec<Vec<usize>>,
}

impl Model {
    fn new() -> Model {
        Model { builder: ProgramBuilder::new(), inputs: Vec::new() }
    }

    fn input(&mut self, shape: &[usize]) -> ValueId {
        let dims: Vec<Dim> = shape.iter().map(|size| Dim::Fixed(*size as u64)).collect();
        self.inputs.push(shape.to_vec());
        self.builder.input(&format!("x{}", self.inputs.len()), DType::F32, &dims)
    }

    fn weight(&mut self, shape: &[usize]) -> ValueId {
        let seed = self.inputs.len() + shape.len();
        self.builder.weight(&format!("w{seed}_{shape:?}"), &numbers(shape, seed))
    }

    fn scalar(&mut self, value: f32) -> ValueId {
        self.builder.weight(&format!("c{value}"), &Tensor::scalar(value))
    }

    fn ints(&mut self, values: &[i64]) -> ValueId {
        self.builder.weight(&format!("i{values:?}"), &Tensor::from_slice([values.len()], values).unwrap())
    }

    fn node(&mut self, op: &str, inputs: &[ValueId]) -> ValueId {
        self.builder.node(op, inputs)
    }

    fn with(&mut self, op: &str, inputs: &[ValueId], attributes: &[(&str, Attribute)]) -> ValueId {
        self.builder.node_attributes(op, inputs, attributes)
    }

    /// Compiles, and compares answers with those of the operators of the standard. Returns the operators that are left.
    fn steps(mut self, output: ValueId) -> Vec<&'static str> {
        self.builder.output("y", output);
        let program = self.builder.build();
        let inputs: Vec<Tensor> = self.inputs.iter().enumerate().map(|(seed, shape)| numbers(shape, seed)).collect();
        let plain = imported(&program, &self.inputs);
        let mut fast = plain.clone();
        let weights = Weights::of(&program, true);
        compile(&mut fast, &Context { kernels: Kernels::best(), limits: Limits::default(), weights: &weights })
            .unwrap();
        let steps = kinds(&fast);
        let mut plain = plain;
        // Reshapes and the like are no operators of their own.
        cleanup::dead_code(&mut plain);
        let (expected, found) = (run(plain, &inputs), run(fast, &inputs));
        assert_eq!(expected.shape(), found.shape());
        for (a, b) in expected.as_slice::<f32>().unwrap().iter().zip(found.as_slice::<f32>().unwrap()) {
            assert!((a - b).abs() <= 1e-4 + 1e-4 * a.abs(), "{a} became {b} in {steps:?}");
        }
        steps
    }
}

fn imported(program: &Program, shapes: &[Vec<usize>]) -> Ir {
    let key = Key { shapes: shapes.to_vec(), values: vec![None; shapes.len()] };
    import(&program.graph, &Weights::of(program, true), &key, &Limits::default()).unwrap()
}

fn run(ir: Ir, inputs: &[Tensor]) -> Tensor {
    let plan = Plan::new(ir, Kernels::best(), Default::default(), &Limits::default()).unwrap();
    let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
    plan.run(&views, &RunBudget::default(), None).unwrap().remove(0)
}

fn kinds(ir: &Ir) -> Vec<&'static str> {
    let kind = |op: &Op| match op {
        Op::Standard { .. } => "standard",
        Op::Reshape | Op::Part { .. } => "view",
        Op::Transpose(_) => "Transpose",
        Op::Fused(fused) => fused.name(),
        Op::Nested(_) => "nested",
    };
    ir.nodes.iter().map(|node| kind(&node.op)).collect()
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

#[test]
fn passes_have_names_of_their_own() {
    let mut names: Vec<_> = PASSES.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), PASSES.len());
}

#[test]
fn cleanup_turns_what_keeps_the_bytes_into_views() {
    let mut model = Model::new();
    let x = model.input(&[1, 6, 4]);
    let shape = model.ints(&[2, 12]);
    let y = model.node("Reshape", &[x, shape]);
    let y = model.node("Identity", &[y]);
    let (starts, ends, axes) = (model.ints(&[1]), model.ints(&[2]), model.ints(&[0]));
    let y = model.node("Slice", &[y, starts, ends, axes]);
    let axis = model.ints(&[0]);
    let y = model.node("Squeeze", &[y, axis]);
    assert_eq!(model.steps(y), ["view", "view", "view"]);
}

#[test]
fn activations_in_pieces_become_one_step() {
    type Write = fn(&mut Model, ValueId) -> ValueId;
    let cases: [(&str, Write); 5] = [
        ("hard swish", |m, x| {
            let (three, zero, six) = (m.scalar(3.0), m.scalar(0.0), m.scalar(6.0));
            let sum = m.node("Add", &[x, three]);
            let clip = m.node("Clip", &[sum, zero, six]);
            let product = m.node("Mul", &[x, clip]);
            m.node("Div", &[product, six])
        }),
        ("swish", |m, x| {
            let gate = m.node("Sigmoid", &[x]);
            m.node("Mul", &[gate, x])
        }),
        ("hard sigmoid times x", |m, x| {
            let gate = m.node("HardSigmoid", &[x]);
            m.node("Mul", &[x, gate])
        }),
        ("gelu", |m, x| {
            let (root, one, half) = (m.scalar(std::f32::consts::SQRT_2), m.scalar(1.0), m.scalar(0.5));
            let inner = m.node("Div", &[x, root]);
            let erf = m.node("Erf", &[inner]);
            let sum = m.node("Add", &[erf, one]);
            let product = m.node("Mul", &[x, sum]);
            m.node("Mul", &[product, half])
        }),
        ("gelu with tanh", |m, x| {
            let (a, b, one, half) = (m.scalar(0.044715), m.scalar(0.797_884_6), m.scalar(1.0), m.scalar(0.5));
            let cube = m.node("Mul", &[x, x]);
            let cube = m.node("Mul", &[cube, x]);
            let cube = m.node("Mul", &[cube, a]);
            let sum = m.node("Add", &[x, cube]);
            let inner = m.node("Mul", &[b, sum]);
            let tanh = m.node("Tanh", &[inner]);
            let sum = m.node("Add", &[one, tanh]);
            let gate = m.node("Mul", &[sum, half]);
            m.node("Mul", &[x, gate])
        }),
    ];
    for (name, write) in cases {
        let mut model = Model::new();
        let x = model.input(&[3, 20]);
        let y = write(&mut model, x);
        assert_eq!(model.steps(y), ["Chain"], "{name}");
    }
}

#[test]
fn a_gate_that_is_none_stays_as_it_is() {
    let mut model = Model::new();
    let x = model.input(&[3, 20]);
    let two = model.scalar(2.0);
    // sigmoid(2 x) is not sigmoid(x).
    let inner = model.node("Mul", &[x, two]);
    let gate = model.node("Sigmoid", &[inner]);
    let y = model.node("Mul", &[x, gate]);
    assert_eq!(model.steps(y), ["Chain"]);
}

#[test]
fn layer_normalisation_in_pieces_becomes_one_operator() {
    let mut model = Model::new();
    let x = model.input(&[2, 5, 24]);
    let (axes, two, epsilon) = (model.ints(&[-1]), model.scalar(2.0), model.scalar(1e-5));
    let (scale, shift) = (model.weight(&[24]), model.weight(&[1, 24]));
    let mean = model.node("ReduceMean", &[x, axes]);
    let centred = model.node("Sub", &[x, mean]);
    let squares = model.node("Pow", &[centred, two]);
    let variance = model.node("ReduceMean", &[squares, axes]);
    let sum = model.node("Add", &[variance, epsilon]);
    let deviation = model.node("Sqrt", &[sum]);
    let y = model.node("Div", &[centred, deviation]);
    let y = model.node("Mul", &[y, scale]);
    let y = model.node("Add", &[y, shift]);
    assert_eq!(model.steps(y), ["LayerNorm"]);
}

#[test]
fn summands_and_activations_of_images_of_one_pixel_join_their_layer() {
    let mut model = Model::new();
    let x = model.input(&[1, 8, 5, 6]);
    let (down, up) = (model.weight(&[2, 8, 1, 1]), model.weight(&[8, 2, 1, 1]));
    let (few, many) = (model.weight(&[1, 2, 1, 1]), model.weight(&[1, 8, 1, 1]));
    let mean = model.node("GlobalAveragePool", &[x]);
    let y = model.node("Conv", &[mean, down]);
    let y = model.node("Add", &[y, few]);
    let y = model.node("Relu", &[y]);
    let y = model.node("Conv", &[y, up]);
    let y = model.node("Add", &[many, y]);
    let y = model.node("HardSigmoid", &[y]);
    let y = model.node("Mul", &[x, y]);
    let steps: Vec<_> = model.steps(y).into_iter().filter(|step| !["view", "Transpose"].contains(step)).collect();
    assert_eq!(steps, ["Reduce", "Conv", "Conv", "Chain"]);
}

#[test]
fn chains_go_before_reshapes_with_their_operands() {
    // An operand for each of the axes that are not 1, and one for both.
    for shape in [&[4, 1, 1, 1][..], &[6], &[4, 1, 6], &[1]] {
        let mut model = Model::new();
        let (x, weights, operand) = (model.input(&[4, 3]), model.weight(&[3, 6]), model.weight(shape));
        let to = model.ints(&[4, 1, 6]);
        let y = model.node("MatMul", &[x, weights]);
        let y = model.node("Reshape", &[y, to]);
        let y = if shape.len() == 4 { y } else { model.node("Sub", &[operand, y]) };
        let y = model.node("Relu", &[y]);
        assert_eq!(model.steps(y), ["MatMul", "view"], "{shape:?}");
    }
}

#[test]
fn elementwise_work_is_one_pass() {
    let mut model = Model::new();
    let (x, other) = (model.input(&[4, 6]), model.input(&[4, 6]));
    let (row, two) = (model.weight(&[6]), model.scalar(2.0));
    let y = model.node("Mul", &[x, two]);
    let y = model.node("Add", &[y, row]);
    let y = model.node("Relu", &[y]);
    let y = model.node("Sub", &[other, y]);
    assert_eq!(model.steps(y), ["Chain"]);
}

#[test]
fn operands_that_fit_no_matrix_are_expanded() {
    let mut model = Model::new();
    let x = model.input(&[2, 3, 4]);
    let middle = model.weight(&[2, 1, 4]);
    let y = model.node("Add", &[x, middle]);
    assert_eq!(model.steps(y), ["Expand", "Chain"]);
    let mut model = Model::new();
    let (row, column) = (model.input(&[1, 4]), model.input(&[3, 1]));
    let y = model.node("Mul", &[row, column]);
    assert_eq!(model.steps(y), ["Expand", "Chain"]);
}

#[test]
fn convolutions_take_scale_activation_and_residual_and_transposes_cancel() {
    let mut model = Model::new();
    let x = model.input(&[1, 8, 6, 6]);
    let (w1, w2, scale) = (model.weight(&[8, 8, 3, 3]), model.weight(&[8, 8, 1, 1]), model.weight(&[1, 8, 1, 1]));
    let pads = [("pads", ints(&[1, 1, 1, 1]))];
    let y = model.with("Conv", &[x, w1], &pads);
    let y = model.node("Mul", &[y, scale]);
    let first = model.node("Relu", &[y]);
    let y = model.with("Conv", &[first, w2], &[]);
    let y = model.node("Add", &[y, first]);
    let y = model.node("GlobalAveragePool", &[y]);
    // One transpose before the first convolution; the result of the pooling has nothing to be moved.
    let steps = model.steps(y);
    let work: Vec<_> = steps.into_iter().filter(|kind| *kind != "view").collect();
    assert_eq!(work, ["Transpose", "Conv", "Conv", "Reduce"]);
}

#[test]
fn grouped_strided_and_one_dimensional_convolutions_keep_their_answers() {
    type Case<'a> = (&'a [usize], &'a [usize], &'a [(&'a str, Attribute)]);
    let same = Attribute::String(b"SAME_UPPER".to_vec());
    let cases: [Case<'_>; 6] = [
        (&[1, 16, 9, 9], &[16, 1, 3, 3], &[("group", Attribute::Int(16)), ("pads", ints(&[1, 1, 1, 1]))]),
        (&[2, 6, 8, 7], &[4, 3, 3, 2], &[("group", Attribute::Int(2)), ("strides", ints(&[2, 1]))]),
        (&[1, 5, 12], &[7, 5, 3], &[("dilations", ints(&[2])), ("pads", ints(&[2, 1]))]),
        (&[1, 3, 10, 10], &[4, 3, 3, 3], &[("pads", ints(&[1, 1, 1, 1])), ("strides", ints(&[2, 2]))]),
        (&[2, 4, 5, 5], &[4, 4, 2, 2], &[("auto_pad", same)]),
        (&[1, 4, 3, 4, 5], &[2, 4, 2, 2, 2], &[]),
    ];
    for (x_shape, w_shape, attributes) in cases {
        let mut model = Model::new();
        let (x, w, b) = (model.input(x_shape), model.weight(w_shape), model.weight(&[w_shape[0]]));
        let y = model.with("Conv", &[x, w, b], attributes);
        let y = model.node("Sigmoid", &[y]);
        model.steps(y);
    }
}

#[test]
fn poolings_resizes_and_transposed_convolutions_keep_their_answers() {
    let mut model = Model::new();
    let x = model.input(&[1, 4, 8, 8]);
    let y = model.with(
        "MaxPool",
        &[x],
        &[("kernel_shape", ints(&[3, 3])), ("strides", ints(&[2, 2])), ("pads", ints(&[1, 1, 1, 1]))],
    );
    let y = model.with("AveragePool", &[y], &[("kernel_shape", ints(&[2, 2])), ("pads", ints(&[0, 0, 1, 1]))]);
    let scales = model.builder.weight("scales", &Tensor::from_slice([4], &[1.0f32, 1.0, 2.0, 2.0]).unwrap());
    let none = model.builder.weight("roi", &Tensor::from_slice([0], &[0.0f32; 0]).unwrap());
    let y = model.with(
        "Resize",
        &[y, none, scales],
        &[
            ("coordinate_transformation_mode", Attribute::String(b"asymmetric".to_vec())),
            ("nearest_mode", Attribute::String(b"floor".to_vec())),
        ],
    );
    let w = model.weight(&[4, 3, 2, 2]);
    let y = model.with("ConvTranspose", &[y, w], &[("strides", ints(&[2, 2]))]);
    let other = model.input(&[1, 2, 16, 16]);
    let y = model.with("Concat", &[y, other], &[("axis", Attribute::Int(1))]);
    let steps = model.steps(y);
    assert!(["Pool", "Nearest", "ConvTranspose"].iter().all(|kind| steps.contains(kind)), "{steps:?}");
}

#[test]
fn products_take_bias_and_activation_and_transposed_operands() {
    let mut model = Model::new();
    let x = model.input(&[2, 5, 8]);
    let (w, bias) = (model.weight(&[8, 6]), model.weight(&[6]));
    let y = model.node("MatMul", &[x, w]);
    let y = model.node("Add", &[y, bias]);
    let y = model.node("Relu", &[y]);
    assert_eq!(model.steps(y), ["MatMul"]);

    let mut model = Model::new();
    let (q, k) = (model.input(&[3, 4, 8]), model.input(&[3, 5, 8]));
    let k = model.with("Transpose", &[k], &[("perm", ints(&[0, 2, 1]))]);
    let half = model.scalar(0.5);
    let y = model.node("MatMul", &[q, k]);
    let y = model.node("Mul", &[y, half]);
    let y = model.node("Softmax", &[y]);
    assert_eq!(model.steps(y), ["MatMul", "Softmax"]);
}

#[test]
fn batch_normalisation_goes_into_the_weights() {
    let mut model = Model::new();
    let x = model.input(&[1, 4, 6, 5]);
    let (w, scale, bias, mean) =
        (model.weight(&[8, 4, 3, 3]), model.weight(&[8]), model.weight(&[1, 8]), model.weight(&[1, 1, 8]));
    let shape = model.ints(&[8]);
    let (bias, mean) = (model.node("Reshape", &[bias, shape]), model.node("Reshape", &[mean, shape]));
    let variance = model.node("Abs", &[mean]);
    let y = model.with("Conv", &[x, w], &[]);
    let y = model.node("BatchNormalization", &[y, scale, bias, mean, variance]);
    let y = model.node("Relu", &[y]);
    let steps = model.steps(y);
    assert_eq!(steps.iter().filter(|kind| !["view", "Transpose"].contains(kind)).collect::<Vec<_>>(), [&"Conv"]);
}

#[test]
fn one_hot_products_become_lookups() {
    let mut builder = ProgramBuilder::new();
    let ids = builder.input("ids", DType::I64, &[Dim::Fixed(1), Dim::Fixed(5), Dim::Fixed(1)]);
    let classes = builder.weight("classes", &Tensor::from_slice([1, 4], &[0i64, 1, 2, 3]).unwrap());
    let table = builder.weight("table", &numbers(&[4, 3], 1));
    let hot = builder.node("Equal", &[ids, classes]);
    let hot = builder.node_attributes("Cast", &[hot], &[("to", Attribute::Int(1))]);
    let y = builder.node("MatMul", &[hot, table]);
    let row = builder.weight("row", &numbers(&[1, 1, 3], 2));
    let y = builder.node("Add", &[y, row]);
    let y = builder.node("Relu", &[y]);
    builder.output("y", y);
    let program = builder.build();
    let shapes = vec![vec![1, 5, 1]];
    // An index that is no class is a row of zeros.
    let inputs = [Tensor::from_slice([1, 5, 1], &[2i64, 0, 7, -1, 3]).unwrap()];
    let plain = imported(&program, &shapes);
    let mut fast = plain.clone();
    let weights = Weights::of(&program, true);
    compile(&mut fast, &Context { kernels: Kernels::best(), limits: Limits::default(), weights: &weights }).unwrap();
    assert_eq!(kinds(&fast), ["Lookup"]);
    // As numbers: 0 and -0 are the same.
    assert_eq!(run(plain, &inputs).as_slice::<f32>(), run(fast, &inputs).as_slice::<f32>());
}

#[test]
fn lstms_with_constant_weights_have_their_kernel() {
    for direction in ["forward", "reverse"] {
        let mut model = Model::new();
        let x = model.input(&[6, 2, 5]);
        let (w, r, b) = (model.weight(&[1, 16, 5]), model.weight(&[1, 16, 4]), model.weight(&[1, 32]));
        let direction = Attribute::String(direction.as_bytes().to_vec());
        let y = model.with("LSTM", &[x, w, r, b], &[("direction", direction), ("hidden_size", Attribute::Int(4))]);
        assert_eq!(model.steps(y), ["LSTM"]);
    }
}
