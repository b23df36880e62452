//! Weights that are stored in fewer bits are used so: the same bits of answers as of widened weights, in less memory.

use pannier_engine::{DType, Dim, Prepared, Program, ProgramBuilder, RunBudget, Tensor};
use pannier_executor::{Executor, ExecutorPrepared, ParkedThreads};
use pannier_graph::{Attribute, Encoding, Node, Span, ValueId, Weight};
use proptest::prelude::*;
use std::sync::Arc;

/// Numbers between -0.1 and 0.1.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 500.0 - 0.1).collect();
    Tensor::from_slice(shape, &values).unwrap()
}

fn bytes(len: usize, seed: usize) -> Tensor {
    let values: Vec<u8> = (0..len).map(|at| ((at * 89 + at / 7 * 13 + seed * 31) % 256) as u8).collect();
    Tensor::from_slice([len], &values).unwrap()
}

/// How a weight is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    F16,
    Int8 { axis: Option<u32>, zeros: bool },
    Int4 { block: usize, zeros: bool },
}

/// A program whose weights are stored so, and the same program with numbers.
struct Model {
    builder: ProgramBuilder,
    /// Weights with the values of their codes, scales and zero points.
    encoded: Vec<(Weight, [Option<ValueId>; 3])>,
}

impl Model {
    fn new() -> Model {
        Model { builder: ProgramBuilder::new(), encoded: Vec::new() }
    }

    fn weight(&mut self, shape: &[usize], form: Form) -> ValueId {
        let (len, seed) = (shape.iter().product::<usize>(), self.encoded.len());
        let last = *shape.last().unwrap();
        let (codes, scales, zeros) = match form {
            // Small numbers, of either sign.
            Form::F16 => (2 * len, 0, false),
            Form::Int8 { axis, zeros } => (len, axis.map_or(1, |axis| shape[axis as usize]), zeros),
            Form::Int4 { block, zeros } => (len / last * last.div_ceil(2), len / last * last.div_ceil(block), zeros),
        };
        let mut codes = bytes(codes, seed);
        if form == Form::F16 {
            let halves: Vec<u8> =
                (0..len).flat_map(|at| (((at * 7919 % 0x3400) | (at % 2) << 15) as u16).to_le_bytes()).collect();
            codes = Tensor::from_slice([2 * len], &halves).unwrap();
        }
        let mut part = |name: &str, tensor: &Tensor| Some(self.builder.weight(&format!("{name}{seed}"), tensor));
        let parts = [
            part("codes", &codes),
            (scales > 0).then(|| part("scales", &numbers(&[scales], 5))).flatten(),
            zeros.then(|| part("zeros", &bytes(scales, 9))).flatten(),
        ];
        let none = Span { section: 0, offset: 0, size_bytes: 0 };
        let zero_point = zeros.then_some(none);
        let encoding = match form {
            Form::F16 => Encoding::F16,
            Form::Int8 { axis, .. } => Encoding::Int8 { axis, scale: none, zero_point },
            Form::Int4 { block, .. } => Encoding::Int4 { block: block as u32, scale: none, zero_point },
        };
        let value = self.builder.value(&format!("w{seed}"));
        let dims = shape.iter().map(|size| *size as u64).collect();
        self.encoded.push((Weight { value, dtype: DType::F32, shape: dims, encoding, data: none }, parts));
        value
    }

    /// The program as it is stored, and with numbers.
    fn build(self, output: ValueId) -> [Program; 2] {
        let Model { mut builder, encoded } = self;
        builder.output("y", output);
        let stored = builder.build();
        let mut graph = (*stored.graph).clone();
        let span = |value: ValueId| graph.body.weights.iter().find(|weight| weight.value == value).unwrap().data;
        let weights: Vec<Weight> = encoded
            .iter()
            .map(|(weight, [codes, scales, zeros])| {
                let mut weight = weight.clone();
                weight.data = span(codes.unwrap());
                if let Encoding::Int8 { scale, zero_point, .. } | Encoding::Int4 { scale, zero_point, .. } =
                    &mut weight.encoding
                {
                    (*scale, *zero_point) = (span(scales.unwrap()), zeros.map(span));
                }
                weight
            })
            .collect();
        let parts: Vec<ValueId> = encoded.iter().flat_map(|(_, parts)| parts.iter().flatten()).copied().collect();
        graph.body.weights.retain(|weight| !parts.contains(&weight.value));
        let mut widened = (graph.clone(), stored.sections[0].as_bytes().to_vec());
        for weight in &weights {
            let decoded = weight.decode(|span| stored.bytes(span)).unwrap();
            let (offset, size_bytes) = (widened.1.len() as u64, decoded.len() as u64);
            widened.1.extend_from_slice(&decoded);
            widened.1.resize(widened.1.len().next_multiple_of(64), 0);
            let data = Span { section: 0, offset, size_bytes };
            widened.0.body.weights.push(Weight { encoding: Encoding::Raw, data, ..weight.clone() });
        }
        graph.body.weights.extend(weights);
        let section = pannier_graph::AlignedBytes::copy_from(&widened.1);
        let program = |graph, section| Program { graph: Arc::new(graph), sections: vec![section] };
        [program(graph, stored.sections[0].clone()), program(widened.0, Arc::new(section))]
    }
}

fn fixed(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|size| Dim::Fixed(*size as u64)).collect()
}

fn run(prepared: &ExecutorPrepared, x: &Tensor) -> Vec<u32> {
    let answers = prepared.run(&[x.view()], &RunBudget::default()).unwrap();
    answers[0].as_slice::<f32>().unwrap().iter().map(|y| y.to_bits()).collect()
}

fn executors() -> [Executor; 3] {
    [Executor::new(), Executor::deterministic(), Executor::new().with_pool(Arc::new(ParkedThreads::new(2)))]
}

/// Both programs have the same answers, and the first holds at most so much of what the second one does.
fn compare(programs: [Program; 2], x: &Tensor, most: f64, what: &str) {
    compare_on(&executors(), programs, x, most, what);
}

/// Those that may do what WebAssembly does not.
fn fast_executors() -> [Executor; 2] {
    let [fast, _, shared] = executors();
    [fast, shared]
}

fn compare_on(executors: &[Executor], programs: [Program; 2], x: &Tensor, most: f64, what: &str) {
    for executor in executors {
        let [stored, widened] =
            programs.each_ref().map(|program| executor.compile(program, &RunBudget::default()).unwrap());
        assert_eq!(run(&stored, x), run(&widened, x), "{what}: other bits with {executor:?}");
        let [held, floats] = [&stored, &widened].map(|prepared| prepared.memory().weight_bytes as f64);
        assert!(held <= most * floats, "{what}: {held} bytes are held, {floats} with numbers");
        // What is said to be held is what the plan's steps read.
        let plan = stored.explain().unwrap();
        assert_eq!(plan.weight_bytes as f64, held, "{what}");
    }
}

/// The most that may be held of what numbers would take: codes, scales and what fills panels.
fn share(form: Form) -> f64 {
    match form {
        Form::F16 => 0.56,
        Form::Int8 { .. } => 0.32,
        Form::Int4 { block, .. } if block >= 32 => 0.26,
        Form::Int4 { .. } => 1.0,
    }
}

const FORMS: [Form; 6] = [
    Form::F16,
    Form::Int8 { axis: Some(0), zeros: false },
    Form::Int8 { axis: Some(0), zeros: true },
    Form::Int8 { axis: None, zeros: false },
    Form::Int4 { block: 32, zeros: false },
    Form::Int4 { block: 7, zeros: true },
];

/// A product with the transpose of an encoded `[n, k]`, by one of the operators.
fn product(op: &str, [m, k, n]: [usize; 3], form: Form) -> [Program; 2] {
    let mut model = Model::new();
    let x = model.builder.input("x", DType::F32, &fixed(&[m, k]));
    let bias = model.builder.weight("bias", &numbers(&[n], 3));
    let y = match op {
        "Gemm" => {
            let w = model.weight(&[n, k], form);
            model.builder.node_attributes("Gemm", &[x, w, bias], &[("transB", Attribute::Int(1))])
        }
        "Transpose" => {
            let w = model.weight(&[n, k], form);
            let w = model.builder.node("Transpose", &[w]);
            let y = model.builder.node("MatMul", &[x, w]);
            model.builder.node("Add", &[y, bias])
        }
        _ => {
            let form = match form {
                Form::Int8 { axis: Some(_), zeros } => Form::Int8 { axis: Some(1), zeros },
                form => form,
            };
            let w = model.weight(&[k, n], form);
            let y = model.builder.node("MatMul", &[x, w]);
            model.builder.node("Add", &[y, bias])
        }
    };
    let y = model.builder.node("Relu", &[y]);
    model.build(y)
}

#[test]
fn products_use_weights_as_they_are_stored() {
    for op in ["Gemm", "Transpose", "MatMul"] {
        for form in FORMS {
            // Blocks run along what is not multiplied there.
            let along = op == "MatMul" && matches!(form, Form::Int4 { .. });
            for m in [1, 100] {
                let what = format!("{op} of {m} rows, {form:?}");
                let most = if along { 1.01 } else { share(form) };
                compare(product(op, [m, 256, 192], form), &numbers(&[m, 256], 1), most, &what);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn products_of_any_size_have_the_answers_of_widened_weights(
        m in 1_usize..80, k in 1_usize..100, n in 1_usize..150, form in 0..FORMS.len(), op in 0_usize..3,
    ) {
        let op = ["Gemm", "Transpose", "MatMul"][op];
        // Small ones may take more: whole vectors, and scales of few rows.
        compare(product(op, [m, k, n], FORMS[form]), &numbers(&[m, k], m), f64::INFINITY, op);
    }
}

#[test]
fn convolutions_use_weights_as_they_are_stored() {
    type Case = ([usize; 4], [usize; 4], Vec<(&'static str, Attribute)>);
    let ints = |values: &[i64]| Attribute::Ints(values.to_vec());
    let cases: [Case; 4] = [
        ([1, 64, 9, 13], [96, 64, 1, 1], vec![]),
        ([1, 64, 1, 1], [96, 64, 1, 1], vec![]),
        ([1, 32, 13, 14], [64, 32, 3, 3], vec![("strides", ints(&[2, 2])), ("pads", ints(&[1, 1, 1, 1]))]),
        ([2, 64, 6, 5], [64, 32, 1, 1], vec![("group", Attribute::Int(2))]),
    ];
    for (input, shape, attributes) in cases {
        for form in FORMS {
            let mut model = Model::new();
            let x = model.builder.input("x", DType::F32, &fixed(&input));
            let (w, bias) = (model.weight(&shape, form), model.builder.weight("bias", &numbers(&[shape[0]], 3)));
            let y = model.builder.node_attributes("Conv", &[x, w, bias], &attributes);
            let y = model.builder.node("Relu", &[y]);
            let blocks_of_taps = shape[2] > 1 && matches!(form, Form::Int4 { .. });
            let blocks_of_pixels = matches!(form, Form::Int4 { .. });
            let most = if blocks_of_taps || blocks_of_pixels { 1.01 } else { share(form) };
            compare(model.build(y), &numbers(&input, 1), most, &format!("{shape:?} of {form:?}"));
        }
    }
}

#[test]
fn blocks_of_four_bits_are_used_so_by_convolutions_of_one_tap() {
    let mut model = Model::new();
    let x = model.builder.input("x", DType::F32, &fixed(&[1, 64, 10, 10]));
    let w = model.weight(&[96, 64], Form::Int4 { block: 32, zeros: false });
    let shape = model.builder.weight("shape", &Tensor::from_slice([4], &[96_i64, 64, 1, 1]).unwrap());
    let w = model.builder.node("Reshape", &[w, shape]);
    let y = model.builder.node("Conv", &[x, w]);
    compare(model.build(y), &numbers(&[1, 64, 10, 10], 1), 0.26, "a reshaped weight");
}

#[test]
fn recurrent_layers_use_weights_as_they_are_stored() {
    for form in [Form::F16, Form::Int8 { axis: Some(1), zeros: false }, Form::Int4 { block: 32, zeros: true }] {
        for batch in [1, 3] {
            let mut model = Model::new();
            let x = model.builder.input("x", DType::F32, &fixed(&[64, batch, 64]));
            let (w, r) = (model.weight(&[1, 256, 64], form), model.weight(&[1, 256, 64], form));
            let b = model.builder.weight("b", &numbers(&[1, 512], 4));
            let y = model.builder.node_attributes("LSTM", &[x, w, r, b], &[("hidden_size", Attribute::Int(64))]);
            compare(
                model.build(y),
                &numbers(&[64, batch, 64], 1),
                if batch == 1 { 0.6 } else { 0.8 },
                &format!("batch {batch} of {form:?}"),
            );
        }
    }
}

#[test]
fn a_factor_of_the_result_is_no_reason_to_widen_weights() {
    let mut model = Model::new();
    let x = model.builder.input("x", DType::F32, &fixed(&[40, 256]));
    let w = model.weight(&[256, 192], Form::Int8 { axis: Some(1), zeros: false });
    let (factors, half) =
        (model.builder.weight("f", &numbers(&[192], 3)), model.builder.weight("h", &Tensor::scalar(0.5f32)));
    let y = model.builder.node("MatMul", &[x, w]);
    let y = model.builder.node("Mul", &[y, factors]);
    let y = model.builder.node("Mul", &[y, half]);
    let [stored, widened] = model.build(y);
    let x = numbers(&[40, 256], 1);
    let [stored, widened] =
        [stored, widened].map(|program| Executor::new().compile(&program, &RunBudget::default()).unwrap());
    let [a, b] = [&stored, &widened].map(|prepared| run(prepared, &x));
    for (a, b) in a.into_iter().zip(b) {
        let (a, b) = (f32::from_bits(a), f32::from_bits(b));
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} instead of {b}");
    }
    assert!(stored.memory().weight_bytes * 3 < widened.memory().weight_bytes);
}

/// `DequantizeLinear` of constants and `Cast` of binary16 are other ways to write the same.
#[test]
fn constants_that_operators_widen_stay_as_they_are_stored() {
    let (k, n) = (128, 96);
    let x = numbers(&[50, k], 1);
    let integers: Vec<i8> = (0..k * n).map(|at| (at * 37 % 251) as u8 as i8).collect();
    let halves: Vec<u16> = (0..k * n).map(|at| (at * 7919 % 0x3400) as u16).collect();
    for case in 0..3 {
        let program = |widened: bool| {
            let mut builder = ProgramBuilder::new();
            let input = builder.input("x", DType::F32, &fixed(&[50, k]));
            let w = match (case, widened) {
                (0 | 1, false) => {
                    let q = match case {
                        0 => Tensor::from_slice([k, n], &integers).unwrap(),
                        _ => {
                            Tensor::from_slice([k, n], &integers.iter().map(|q| *q as u8).collect::<Vec<_>>()).unwrap()
                        }
                    };
                    let (q, scale) = (builder.weight("q", &q), builder.weight("s", &numbers(&[n], 2)));
                    builder.node("DequantizeLinear", &[q, scale])
                }
                (_, false) => {
                    let section: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
                    let w = builder.weight("h", &Tensor::new(DType::F16, [k, n], &section).unwrap());
                    builder.node_attributes("Cast", &[w], &[("to", Attribute::Int(1))])
                }
                (_, true) => {
                    let scales = numbers(&[n], 2);
                    let scales = scales.as_slice::<f32>().unwrap();
                    let number = |at: usize| match case {
                        0 => f32::from(integers[at]) * scales[at % n],
                        1 => f32::from(integers[at] as u8) * scales[at % n],
                        _ => half::f16::from_bits(halves[at]).to_f32(),
                    };
                    let values: Vec<f32> = (0..k * n).map(number).collect();
                    builder.weight("w", &Tensor::from_slice([k, n], &values).unwrap())
                }
            };
            let y = builder.node("MatMul", &[input, w]);
            builder.output("y", y);
            builder.build()
        };
        let (programs, what) = ([program(false), program(true)], format!("case {case}"));
        if case < 2 {
            compare_on(&[Executor::deterministic()], programs.clone(), &x, 1.0, &what);
            compare_on(&fast_executors(), programs, &x, 0.32, &what);
        } else {
            compare(programs, &x, 0.56, &what);
        }
    }
}

#[test]
fn blocks_of_matmul_nbits_stay_as_they_are_stored() {
    for (bits, zeros) in [(4, false), (4, true), (8, true)] {
        for m in [1, 6, 50] {
            let (k, n, block) = (160, 96, 32);
            let (blocks, x) = (k / block, numbers(&[m, k], 1));
            let mut builder = ProgramBuilder::new();
            let input = builder.input("x", DType::F32, &fixed(&[m, k]));
            let (q, scale) = (bytes(n * k * bits / 8, 2), numbers(&[n * blocks], 3));
            let zero = bytes(n * (blocks * bits).div_ceil(8), 4);
            let inputs = [Some(input), Some(builder.weight("q", &q)), Some(builder.weight("s", &scale))];
            let inputs = inputs.into_iter().chain(zeros.then(|| Some(builder.weight("z", &zero)))).collect();
            let y = builder.value("y");
            let size = |name: &str, size: usize| (name.to_string(), Attribute::Int(size as i64));
            builder.node_with(Node {
                name: "node".into(),
                domain: "com.microsoft".into(),
                op: "MatMulNBits".into(),
                inputs,
                outputs: vec![Some(y)],
                attributes: vec![size("K", k), size("N", n), size("bits", bits), size("block_size", block)],
            });
            builder.output("y", y);
            let code = |bytes: &[u8], row: usize, row_bytes: usize, at: usize| match bits {
                4 => bytes[row * row_bytes + at / 2] >> (at % 2 * 4) & 15,
                _ => bytes[row * row_bytes + at],
            };
            let (q, scale, zero) = (q.bytes(), scale.as_slice::<f32>().unwrap().to_vec(), zero.bytes());
            let number = |at: usize| {
                let (row, column) = (at / k, at % k);
                let middle = if bits == 4 { 8.0 } else { 128.0 };
                let zero = if zeros {
                    f32::from(code(zero, row, (blocks * bits).div_ceil(8), column / block))
                } else {
                    middle
                };
                (f32::from(code(q, row, k * bits / 8, column)) - zero) * scale[row * blocks + column / block]
            };
            let values: Vec<f32> = (0..n * k).map(number).collect();
            let stored = builder.build();
            let mut builder = ProgramBuilder::new();
            let input = builder.input("x", DType::F32, &fixed(&[m, k]));
            let w = builder.weight("w", &Tensor::from_slice([n, k], &values).unwrap());
            let y = builder.node_attributes("Gemm", &[input, w], &[("transB", Attribute::Int(1))]);
            builder.output("y", y);
            let (programs, most) = ([stored, builder.build()], if bits == 4 { 0.26 } else { 0.4 });
            compare_on(&fast_executors(), programs, &x, most, &format!("{bits} bits"));
        }
    }
}

#[test]
fn plans_for_many_shapes_hold_codes_once() {
    let mut model = Model::new();
    let x = model.builder.input("x", DType::F32, &[Dim::Symbol("rows".into()), Dim::Fixed(256)]);
    let w = model.weight(&[256, 192], Form::Int8 { axis: Some(1), zeros: false });
    let y = model.builder.node("MatMul", &[x, w]);
    let [stored, widened] = model.build(y);
    for executor in executors() {
        let [a, b] = [&stored, &widened].map(|program| executor.compile(program, &RunBudget::default()).unwrap());
        // Few rows are multiplied with numbers. The last four plans are kept.
        for rows in [3, 1, 90, 3, 40, 7, 22, 1, 33, 60, 90] {
            let x = numbers(&[rows, 256], rows);
            assert_eq!(run(&a, &x), run(&b, &x), "{rows} rows");
        }
        let held = a.memory().weight_bytes;
        assert!(held < 256 * 192 * 6 / 5, "{held} bytes are held");
    }
}

#[test]
fn weights_that_others_read_as_numbers_have_them() {
    let mut model = Model::new();
    let indices = model.builder.weight("i", &Tensor::from_slice([2], &[3_i64, 1]).unwrap());
    let x = model.builder.input("x", DType::F32, &fixed(&[50, 64]));
    let w = model.weight(&[64, 64], Form::Int8 { axis: Some(1), zeros: true });
    let y = model.builder.node("MatMul", &[x, w]);
    let rows = model.builder.node("Gather", &[w, indices]);
    let axis = [("axis", Attribute::Int(0))];
    let y = model.builder.node_attributes("Concat", &[y, rows], &axis);
    compare(model.build(y), &numbers(&[50, 64], 1), 0.7, "a table that is also multiplied");
}
