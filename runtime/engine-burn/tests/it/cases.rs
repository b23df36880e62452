//! Operators with operands and attributes, by family. Shapes and numbers look random and are the same in every run.

use crate::support::Operand::{Absent, Input, Weight};
use crate::support::{Case, FLOAT, Numbers, Operand, list, tensor};
use pannier_engine::Tensor;
use pannier_graph::Attribute::{self, Float, Int, Ints};

fn text(value: &str) -> Attribute {
    Attribute::String(value.as_bytes().to_vec())
}

/// Cases as they are written: title, operands, attributes; one result.
struct Cases(Vec<Case>);

impl Cases {
    fn add(
        &mut self,
        op: &'static str,
        title: impl Into<String>,
        operands: Vec<Operand>,
        attributes: &[(&'static str, Attribute)],
    ) {
        self.results(op, title, operands, attributes, 1);
    }

    fn results(
        &mut self,
        op: &'static str,
        title: impl Into<String>,
        operands: Vec<Operand>,
        attributes: &[(&'static str, Attribute)],
        outputs: usize,
    ) {
        self.0.push(Case { title: title.into(), op, operands, attributes: attributes.to_vec(), outputs });
    }
}

/// Functions of one number, and of two.
pub fn elementwise() -> Vec<Case> {
    let (mut cases, mut numbers) = (Cases(Vec::new()), Numbers(1));
    for op in [
        "Abs",
        "Atan",
        "Asinh",
        "Ceil",
        "Celu",
        "Cos",
        "Cosh",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Mish",
        "Neg",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Softplus",
        "Softsign",
        "Tan",
        "Tanh",
        "ThresholdedRelu",
        "Identity",
    ] {
        let shape = [numbers.size(1, 3), numbers.size(1, 5), numbers.size(1, 7)];
        cases.add(op, "of numbers on both sides of 0", vec![Input(numbers.floats(&shape, -1.4, 1.5))], &[]);
    }
    for op in ["Acos", "Asin", "Atanh"] {
        cases.add(op, "within its range", vec![Input(numbers.floats(&[7], -0.9, 0.9))], &[]);
    }
    for op in ["Acosh", "Log", "Sqrt"] {
        cases.add(op, "within its range", vec![Input(numbers.floats(&[3, 5], 1.1, 9.0))], &[]);
    }
    let shapes: [(&[usize], &[usize]); 6] =
        [(&[2, 3], &[2, 3]), (&[2, 3, 4], &[3, 1]), (&[4], &[2, 1, 4]), (&[], &[3]), (&[5], &[]), (&[1, 6], &[5, 1])];
    for op in
        ["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]
    {
        for (a, b) in shapes {
            let operands = vec![Input(numbers.floats(a, 0.5, 3.0)), Input(numbers.floats(b, 0.5, 3.0))];
            cases.add(op, format!("{a:?} and {b:?}"), operands, &[]);
        }
        let weight = Weight(Tensor::scalar(1.5f32));
        cases.add(op, "with a constant", vec![Input(numbers.floats(&[40, 150], 0.5, 3.0)), weight], &[]);
    }
    for exponent in [0.5f32, 2.0, 3.0, -1.0, 1.7] {
        let low = if exponent == 2.0 || exponent == 3.0 { -2.0 } else { 0.1 };
        let operands = vec![Input(numbers.floats(&[40, 150], low, 2.0)), Weight(Tensor::scalar(exponent))];
        cases.add("Pow", format!("{exponent}"), operands, &[]);
    }
    let big = |numbers: &mut Numbers| Input(numbers.floats(&[5, 1000], -2.0, 2.0));
    cases.add("Sum", "of three", vec![big(&mut numbers), big(&mut numbers), big(&mut numbers)], &[]);
    cases.add("Mean", "of three", vec![big(&mut numbers), big(&mut numbers), big(&mut numbers)], &[]);
    cases.add("Max", "of three", vec![big(&mut numbers), big(&mut numbers), big(&mut numbers)], &[]);
    cases.add("Gelu", "by tanh", vec![big(&mut numbers)], &[("approximate", text("tanh"))]);
    cases.add("PRelu", "by channel", vec![big(&mut numbers), Weight(numbers.floats(&[1000], 0.0, 1.0))], &[]);
    let bounds = || [Weight(Tensor::scalar(-0.5f32)), Weight(Tensor::scalar(1.0f32))];
    let [low, high] = bounds();
    cases.add("Clip", "on both sides", vec![big(&mut numbers), low, high.clone()], &[]);
    cases.add("Clip", "from above", vec![big(&mut numbers), Absent, high], &[]);
    cases.add("IsNaN", "of a few", vec![Input(tensor(&[3], &[1.0f32, f32::NAN, f32::INFINITY]))], &[]);
    let fmod = vec![big(&mut numbers), Input(numbers.floats(&[1000], 0.5, 1.5))];
    cases.add("Mod", "with the dividend's sign", fmod, &[("fmod", Int(1))]);
    let ints = vec![Input(tensor(&[4], &[7i64, -7, 7, -7])), Input(tensor(&[4], &[3i64, 3, -3, -3]))];
    cases.add("Mod", "of integers", ints.clone(), &[]);
    for op in ["Add", "Sub", "Mul", "Min", "Max", "Equal", "Less"] {
        cases.add(op, "of integers", ints.clone(), &[]);
    }
    let bools = |values: &[bool]| Input(Tensor::from_bools([values.len()], values).expect("it fits"));
    let (a, b) = (bools(&[true, true, false, false]), bools(&[true, false, true, false]));
    for op in ["And", "Or", "Xor"] {
        cases.add(op, "of all pairs", vec![a.clone(), b.clone()], &[]);
    }
    cases.add("Not", "of booleans", vec![a.clone()], &[]);
    let branches = [Input(numbers.floats(&[1500, 4], -1.0, 1.0)), Input(numbers.floats(&[1500, 1], -1.0, 1.0))];
    cases.add("Where", "broadcast", [vec![a], branches.to_vec()].concat(), &[]);
    cases.add("Cast", "to integers", vec![Input(numbers.floats(&[5000], -9.0, 9.0))], &[("to", Int(6))]);
    let integers: Vec<i32> = (0..5000).collect();
    cases.add("Cast", "to numbers", vec![Input(tensor(&[5000], &integers))], &[("to", Int(FLOAT))]);
    cases.add("Cast", "to booleans", vec![Input(numbers.floats(&[5000], -9.0, 9.0))], &[("to", Int(9))]);
    cases.0
}

/// Functions of numbers far from 0, where formulas overflow that are right near it.
pub fn far_from_zero() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    let sizes = [0.0, 1e-4, 0.5, 3.0, 9.0, 13.0, 43.0, 44.5, 87.0, 88.0, 89.5, 104.0, 128.0, 710.0, 1e3, 1e4];
    let numbers: Vec<f32> = sizes.iter().flat_map(|size| [*size, -*size]).collect();
    let x = || Input(tensor(&[2, numbers.len() / 2], &numbers));
    for op in [
        "Asinh",
        "Atan",
        "Celu",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LogSoftmax",
        "Mish",
        "ReduceLogSumExp",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Softsign",
        "Tanh",
    ] {
        cases.add(op, "of numbers far from 0", vec![x()], &[]);
    }
    cases.add("Gelu", "by tanh, of numbers far from 0", vec![x()], &[("approximate", text("tanh"))]);
    cases.0
}

/// Convolutions and pools.
pub fn windows() -> Vec<Case> {
    let (mut cases, mut numbers) = (Cases(Vec::new()), Numbers(2));
    let mut conv =
        |op, title: &str, x: &[usize], w: &[usize], bias: usize, attributes: &[(&'static str, Attribute)]| {
            let mut operands = vec![Input(numbers.floats(x, -1.0, 1.0)), Weight(numbers.floats(w, -1.0, 1.0))];
            if bias > 0 {
                operands.push(Weight(numbers.floats(&[bias], -1.0, 1.0)));
            }
            cases.add(op, title, operands, attributes);
        };
    let pads = |pads: &[i64]| ("pads", Ints(pads.to_vec()));
    let strides = |strides: &[i64]| ("strides", Ints(strides.to_vec()));
    conv("Conv", "3x3", &[2, 3, 9, 8], &[4, 3, 3, 3], 4, &[pads(&[1, 1, 1, 1])]);
    conv("Conv", "1x1", &[1, 8, 5, 7], &[6, 8, 1, 1], 0, &[]);
    conv(
        "Conv",
        "strided, padded on one side",
        &[1, 3, 10, 11],
        &[5, 3, 3, 3],
        5,
        &[strides(&[2, 2]), pads(&[0, 0, 1, 1])],
    );
    conv("Conv", "depthwise", &[1, 6, 9, 9], &[6, 1, 5, 5], 6, &[("group", Int(6)), pads(&[2, 2, 2, 2])]);
    conv(
        "Conv",
        "grouped and dilated",
        &[1, 4, 12, 12],
        &[6, 2, 3, 3],
        0,
        &[("group", Int(2)), ("dilations", Ints(vec![2, 3]))],
    );
    conv(
        "Conv",
        "padded as it needs",
        &[1, 2, 7, 7],
        &[3, 2, 4, 4],
        0,
        &[("auto_pad", text("SAME_UPPER")), strides(&[2, 2])],
    );
    conv("Conv", "of sequences", &[2, 5, 20], &[7, 5, 5], 7, &[strides(&[3]), pads(&[2, 1])]);
    conv("Conv", "of volumes", &[1, 2, 5, 6, 7], &[3, 2, 3, 3, 3], 3, &[pads(&[1, 0, 1, 1, 0, 1])]);
    conv("ConvTranspose", "2x2", &[1, 4, 5, 6], &[4, 3, 2, 2], 3, &[strides(&[2, 2])]);
    conv(
        "ConvTranspose",
        "padded on one side",
        &[1, 4, 5, 5],
        &[4, 2, 3, 3],
        2,
        &[strides(&[2, 2]), pads(&[1, 0, 0, 1])],
    );
    conv(
        "ConvTranspose",
        "with more at the end",
        &[1, 2, 5, 5],
        &[2, 2, 3, 3],
        0,
        &[strides(&[3, 2]), pads(&[1, 1, 1, 1]), ("output_padding", Ints(vec![1, 1]))],
    );
    conv("ConvTranspose", "grouped", &[1, 4, 6, 5], &[4, 2, 3, 3], 4, &[("group", Int(2)), pads(&[1, 1, 1, 1])]);
    conv("ConvTranspose", "of sequences", &[2, 3, 9], &[3, 4, 4], 4, &[strides(&[2]), pads(&[1, 1])]);
    let kernel = |sizes: &[i64]| ("kernel_shape", Ints(sizes.to_vec()));
    for (title, shape, attributes) in [
        ("2x2", vec![1, 3, 8, 8], vec![kernel(&[2, 2]), strides(&[2, 2])]),
        ("3x3, padded", vec![1, 3, 9, 7], vec![kernel(&[3, 3]), strides(&[2, 2]), pads(&[1, 1, 1, 1])]),
        ("padded on one side", vec![1, 2, 9, 7], vec![kernel(&[3, 2]), pads(&[0, 1, 2, 0])]),
        ("rounded up", vec![1, 2, 8, 7], vec![kernel(&[3, 3]), strides(&[2, 2]), ("ceil_mode", Int(1))]),
        (
            "padded as it needs",
            vec![1, 2, 7, 7],
            vec![kernel(&[2, 2]), strides(&[2, 2]), ("auto_pad", text("SAME_UPPER"))],
        ),
        ("of sequences", vec![2, 3, 11], vec![kernel(&[3]), strides(&[2]), pads(&[1, 1])]),
    ] {
        for op in ["MaxPool", "AveragePool"] {
            cases.add(op, title, vec![Input(numbers.floats(&shape, -3.0, -1.0))], &attributes);
        }
        let counted = [attributes, vec![("count_include_pad", Int(1))]].concat();
        cases.add(
            "AveragePool",
            format!("{title}, padding counted"),
            vec![Input(numbers.floats(&shape, 1.0, 3.0))],
            &counted,
        );
    }
    let dilated = [kernel(&[2, 3]), ("dilations", Ints(vec![2, 2]))];
    cases.add("MaxPool", "dilated", vec![Input(numbers.floats(&[1, 2, 9, 9], -1.0, 1.0))], &dilated);
    for op in ["GlobalAveragePool", "GlobalMaxPool"] {
        cases.add(op, "of images", vec![Input(numbers.floats(&[2, 5, 6, 7], -2.0, 1.0))], &[]);
    }
    cases.0
}

/// Products, normalisation, softmax, attention.
pub fn products() -> Vec<Case> {
    let (mut cases, mut numbers) = (Cases(Vec::new()), Numbers(3));
    for (a, b) in [
        (vec![3, 4], vec![4, 5]),
        (vec![2, 3, 4], vec![4, 5]),
        (vec![2, 3, 4], vec![2, 4, 5]),
        (vec![2, 1, 3, 4], vec![5, 4, 2]),
        (vec![4], vec![4, 5]),
        (vec![3, 4], vec![4]),
        (vec![4], vec![4]),
        (vec![3, 4], vec![2, 4, 5]),
    ] {
        let title = format!("{a:?} and {b:?}");
        cases.add(
            "MatMul",
            title,
            vec![Input(numbers.floats(&a, -1.0, 1.0)), Input(numbers.floats(&b, -1.0, 1.0))],
            &[],
        );
    }
    let mut gemm = |title: &str, a: &[usize], b: &[usize], c: &[usize], attributes: &[(&'static str, Attribute)]| {
        let operands = [a, b, c].map(|shape| Input(numbers.floats(shape, -1.0, 1.0)));
        cases.add("Gemm", title, operands.to_vec(), attributes);
    };
    gemm("plain", &[3, 4], &[4, 5], &[5], &[]);
    gemm("transposed", &[4, 3], &[5, 4], &[3, 1], &[("transA", Int(1)), ("transB", Int(1))]);
    gemm("scaled", &[3, 4], &[4, 5], &[3, 5], &[("alpha", Float(0.5)), ("beta", Float(2.0))]);
    for op in ["Softmax", "LogSoftmax"] {
        for axis in [-1, 0, 1] {
            let x = Input(numbers.floats(&[3, 4, 5], -3.0, 3.0));
            cases.add(op, format!("axis {axis}"), vec![x], &[("axis", Int(axis))]);
        }
    }
    let vector = |numbers: &mut Numbers, size: usize| Weight(numbers.floats(&[size], 0.5, 1.5));
    let x = |numbers: &mut Numbers| Input(numbers.floats(&[2, 4, 5, 3], -2.0, 2.0));
    let batch = vec![
        x(&mut numbers),
        vector(&mut numbers, 4),
        vector(&mut numbers, 4),
        vector(&mut numbers, 4),
        vector(&mut numbers, 4),
    ];
    cases.add("BatchNormalization", "of images", batch, &[]);
    let channels = vec![x(&mut numbers), vector(&mut numbers, 4), vector(&mut numbers, 4)];
    cases.add("InstanceNormalization", "of images", channels.clone(), &[]);
    cases.add("GroupNormalization", "of images", channels, &[("num_groups", Int(2))]);
    let last = vec![x(&mut numbers), vector(&mut numbers, 3), vector(&mut numbers, 3)];
    cases.add("LayerNormalization", "last axis", last.clone(), &[]);
    cases.add("RMSNormalization", "last axis", last[..2].to_vec(), &[]);
    let two = vec![x(&mut numbers), Weight(numbers.floats(&[5, 3], 0.5, 1.5))];
    cases.add("LayerNormalization", "two axes, no bias", two, &[("axis", Int(2))]);
    let mut heads = |shape: [usize; 4]| Input(numbers.floats(&shape, -1.0, 1.0));
    let qkv = vec![heads([1, 4, 5, 8]), heads([1, 2, 7, 8]), heads([1, 2, 7, 8])];
    cases.add("Attention", "shared keys", qkv.clone(), &[]);
    cases.add(
        "Attention",
        "causal",
        vec![heads([2, 2, 6, 4]), heads([2, 2, 6, 4]), heads([2, 2, 6, 4])],
        &[("is_causal", Int(1))],
    );
    let mask = Input(numbers.floats(&[5, 7], -1.0, 1.0));
    cases.add(
        "Attention",
        "masked and capped",
        [qkv, vec![mask]].concat(),
        &[("softcap", Float(2.0)), ("scale", Float(0.3))],
    );
    let rows = |numbers: &mut Numbers| Input(numbers.floats(&[2, 5, 12], -1.0, 1.0));
    let flat = vec![rows(&mut numbers), rows(&mut numbers), rows(&mut numbers)];
    cases.add("Attention", "of rows", flat, &[("q_num_heads", Int(3)), ("kv_num_heads", Int(3))]);
    cases.0
}

/// Reductions and searches.
pub fn reductions() -> Vec<Case> {
    let (mut cases, mut numbers) = (Cases(Vec::new()), Numbers(4));
    for op in [
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
    ] {
        let x = Input(numbers.floats(&[3, 4, 5], 0.2, 1.5));
        cases.add(op, "everything", vec![x.clone()], &[("keepdims", Int(0))]);
        cases.add(op, "two axes", vec![x.clone(), Weight(list(&[0, -1]))], &[]);
        cases.add(op, "one axis, dropped", vec![x, Weight(list(&[1]))], &[("keepdims", Int(0))]);
    }
    for op in ["ArgMax", "ArgMin"] {
        let x = Input(numbers.floats(&[3, 6, 5], -1.0, 1.0));
        cases.add(op, "kept", vec![x.clone()], &[("axis", Int(1))]);
        cases.add(op, "dropped", vec![x], &[("axis", Int(-1)), ("keepdims", Int(0))]);
    }
    let row = Input(numbers.floats(&[3, 8], -1.0, 1.0));
    cases.results("TopK", "the three largest", vec![row.clone(), Weight(list(&[3]))], &[], 2);
    cases.add("CumSum", "forwards", vec![row.clone(), Weight(Tensor::scalar(1i64))], &[]);
    cases.add("CumSum", "backwards", vec![row, Weight(Tensor::scalar(0i64))], &[("reverse", Int(1))]);
    cases.0
}

/// Parts, joints and other shapes.
pub fn shapes() -> Vec<Case> {
    let (mut cases, mut numbers) = (Cases(Vec::new()), Numbers(5));
    let mut x = || Input(numbers.floats(&[2, 3, 4, 5], -1.0, 1.0));
    let lists = |values: &[&[i64]]| values.iter().map(|values| Weight(list(values))).collect::<Vec<_>>();
    cases.add("Reshape", "one size open", [vec![x()], lists(&[&[0, -1, 5]])].concat(), &[]);
    cases.add("Flatten", "axis 2", vec![x()], &[("axis", Int(2))]);
    cases.add("Transpose", "some order", vec![x()], &[("perm", Ints(vec![2, 0, 3, 1]))]);
    cases.add("Transpose", "backwards", vec![x()], &[]);
    cases.add("Unsqueeze", "two axes", [vec![x()], lists(&[&[0, -1]])].concat(), &[]);
    cases.add("Concat", "channels", vec![x(), x(), x()], &[("axis", Int(1))]);
    cases.add("Slice", "steps", [vec![x()], lists(&[&[0, 1], &[i64::MAX, 4], &[2, 3], &[2, 3]])].concat(), &[]);
    cases.add("Slice", "backwards", [vec![x()], lists(&[&[-1, 2], &[i64::MIN, 0], &[3, 2], &[-2, -1]])].concat(), &[]);
    cases.results("Split", "two parts", [vec![x()], lists(&[&[1, 3]])].concat(), &[("axis", Int(2))], 2);
    cases.results("Split", "equal parts", vec![x()], &[("axis", Int(2)), ("num_outputs", Int(2))], 2);
    cases.add("Tile", "two axes", [vec![x()], lists(&[&[1, 2, 1, 3]])].concat(), &[]);
    cases.add("Expand", "a new axis", [vec![x()], lists(&[&[3, 1, 1, 1, 1]])].concat(), &[]);
    let pads = lists(&[&[0, 1, 0, 2, 1, 0, 0, 1]]).remove(0);
    cases.add("Pad", "zeros", vec![x(), pads.clone()], &[]);
    cases.add("Pad", "a number", vec![x(), pads, Weight(Tensor::scalar(0.5f32))], &[]);
    for mode in ["reflect", "edge"] {
        let pads = lists(&[&[0, 0, 1, 2, 0, 0, 2, 1]]);
        cases.add("Pad", mode, [vec![x()], pads].concat(), &[("mode", text(mode))]);
    }
    cases.add("Pad", "cut off", [vec![x()], lists(&[&[0, 0, -1, 1, 0, 0, 0, -2]])].concat(), &[]);
    cases.add("Trilu", "upper", vec![x()], &[]);
    cases.add("Trilu", "lower, shifted", vec![x(), Weight(Tensor::scalar(-1i64))], &[("upper", Int(0))]);
    let rows = tensor(&[2, 2], &[1i64, -1, 0, 2]);
    cases.add("Gather", "of a matrix of indices", vec![x(), Weight(rows.clone())], &[("axis", Int(2))]);
    cases.add("Gather", "one", vec![x(), Weight(Tensor::scalar(-1i64))], &[("axis", Int(1))]);
    cases.add(
        "GatherElements",
        "last axis",
        vec![
            x(),
            Input(tensor(
                &[2, 3, 2, 2],
                &[0i64, -1, 1, 3, 2, 2, 4, 0, 1, 1, 0, 3, 2, 4, -5, 0, 1, 2, 3, 4, 0, 0, 1, 1],
            )),
        ],
        &[("axis", Int(3))],
    );
    cases.add("GatherND", "of two axes", vec![x(), Weight(tensor(&[2, 2], &[0i64, 1, 1, -1]))], &[]);
    let one_hot = vec![
        Input(tensor(&[2, 3], &[0i64, 2, -1, 9, 1, 3])),
        Weight(Tensor::scalar(4i64)),
        Weight(tensor(&[2], &[0.5f32, 2.0])),
    ];
    cases.add("OneHot", "last axis", one_hot.clone(), &[]);
    cases.add("OneHot", "first axis", one_hot, &[("axis", Int(0))]);
    let block = ("blocksize", Int(2));
    let mut deep = |shape: [usize; 4]| Input(numbers.floats(&shape, -1.0, 1.0));
    cases.add("DepthToSpace", "depth first", vec![deep([1, 8, 2, 3])], std::slice::from_ref(&block));
    cases.add("DepthToSpace", "columns first", vec![deep([1, 8, 2, 3])], &[block.clone(), ("mode", text("CRD"))]);
    cases.add("SpaceToDepth", "blocks", vec![deep([1, 2, 4, 6])], &[block]);
    cases.add("Squeeze", "one axis", vec![deep([2, 1, 3, 1]), Weight(list(&[1]))], &[]);
    cases.add("Shape", "of an image", vec![deep([2, 1, 3, 1])], &[]);
    let (points, updates) = (Weight(tensor(&[2, 1], &[3i64, 0])), Input(numbers.floats(&[2, 3], -1.0, 1.0)));
    cases.add(
        "ScatterND",
        "rows",
        vec![Input(numbers.floats(&[4, 3], -1.0, 1.0)), points.clone(), updates.clone()],
        &[],
    );
    cases.add(
        "ScatterND",
        "rows, added",
        vec![Input(numbers.floats(&[4, 3], -1.0, 1.0)), points, updates],
        &[("reduction", text("add"))],
    );
    let scattered = vec![
        Input(numbers.floats(&[4, 3], -1.0, 1.0)),
        Weight(tensor(&[2, 3], &[0i64, 1, 2, 3, 0, -1])),
        Input(numbers.floats(&[2, 3], -1.0, 1.0)),
    ];
    cases.add("ScatterElements", "columns", scattered, &[]);
    cases.0
}

/// Resizing, by every rule.
pub fn resizes() -> Vec<Case> {
    let (mut cases, mut numbers) = (Cases(Vec::new()), Numbers(6));
    let image = |numbers: &mut Numbers| Input(numbers.floats(&[1, 2, 5, 6], -1.0, 1.0));
    for transform in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"] {
        for mode in ["nearest", "linear", "cubic"] {
            for sizes in [[1i64, 2, 10, 12], [1, 2, 3, 4], [1, 2, 7, 6]] {
                let operands = vec![image(&mut numbers), Absent, Absent, Weight(list(&sizes))];
                let attributes = [("mode", text(mode)), ("coordinate_transformation_mode", text(transform))];
                cases.add("Resize", format!("{mode}, {transform}, to {sizes:?}"), operands, &attributes);
            }
        }
    }
    for rounding in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
        let scales = Weight(tensor(&[4], &[1.0f32, 1.0, 1.6, 0.7]));
        let operands = vec![image(&mut numbers), Absent, scales];
        cases.add("Resize", format!("nearest by {rounding}"), operands, &[("nearest_mode", text(rounding))]);
    }
    cases.0
}

/// Quantization and recurrent networks.
pub fn others() -> Vec<Case> {
    let (mut cases, mut numbers) = (Cases(Vec::new()), Numbers(7));
    let x = Input(numbers.floats(&[2, 3, 5], -2.0, 2.0));
    let scale = Weight(Tensor::scalar(0.017f32));
    cases.add("QuantizeLinear", "one scale", vec![x.clone(), scale.clone(), Weight(Tensor::scalar(120u8))], &[]);
    let scales = Weight(tensor(&[3], &[0.01f32, 0.02, 0.03]));
    cases.add("QuantizeLinear", "by channel", vec![x, scales.clone(), Weight(tensor(&[3], &[1i8, -3, 0]))], &[]);
    let steps: Vec<u8> = (0..30).map(|step| step * 8).collect();
    let q = Input(tensor(&[2, 3, 5], &steps));
    cases.add("DequantizeLinear", "one scale", vec![q.clone(), scale, Weight(Tensor::scalar(100u8))], &[]);
    cases.add("DequantizeLinear", "by channel", vec![q, scales, Weight(tensor(&[3], &[1u8, 3, 0]))], &[]);
    for (direction, count) in [("forward", 1), ("reverse", 1), ("bidirectional", 2)] {
        for (op, gates, outputs) in [("LSTM", 4, 3), ("GRU", 3, 2)] {
            let mut weight = |shape: &[usize]| Weight(numbers.floats(shape, -0.7, 0.7));
            let mut operands = vec![
                weight(&[count, gates * 3, 4]),
                weight(&[count, gates * 3, 3]),
                weight(&[count, gates * 6]),
                Absent,
                weight(&[count, 2, 3]),
            ];
            if op == "LSTM" {
                operands.push(weight(&[count, 2, 3]));
            }
            operands.insert(0, Input(numbers.floats(&[5, 2, 4], -1.0, 1.0)));
            let attributes = vec![("direction", text(direction)), ("hidden_size", Int(3))];
            cases.results(op, direction, operands.clone(), &attributes, outputs);
            if op == "GRU" {
                let linear = [attributes, vec![("linear_before_reset", Int(1))]].concat();
                cases.results(op, format!("{direction}, linear before reset"), operands, &linear, outputs);
            }
        }
    }
    cases.0
}
