//! `MatMulNBits` against answers of ONNX Runtime (1.31.0, without optimisations).

use pannier_engine::{Dim, Engine, ProgramBuilder, RunBudget, Tensor};
use pannier_executor::Executor;
use pannier_graph::{Attribute, Node};

struct Case {
    attributes: Vec<(&'static str, Attribute)>,
    /// The first is an input, the others are weights.
    inputs: Vec<Option<Tensor>>,
    output: Tensor,
}

/// Numbers between -2 and 2.
fn floats(shape: &[usize], seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 25.0 - 2.0).collect();
    f32(shape, &values)
}

fn unsigned(shape: &[usize], seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<u8> = (0..len).map(|at| ((at * 89 + seed * 31) % 256) as u8).collect();
    Tensor::from_slice(shape, &values).unwrap()
}

fn f32(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(shape, values).unwrap()
}

fn run(case: &Case) -> Tensor {
    let mut builder = ProgramBuilder::new();
    let mut operands = Vec::new();
    for (index, input) in case.inputs.iter().enumerate() {
        operands.push(input.as_ref().map(|tensor| {
            let dims: Vec<Dim> = tensor.shape().iter().map(|size| Dim::Fixed(*size as u64)).collect();
            match index {
                0 => builder.input("a", tensor.dtype(), &dims),
                _ => builder.weight(&format!("w{index}"), tensor),
            }
        }));
    }
    let y = builder.value("y");
    builder.node_with(Node {
        name: "node".into(),
        domain: "com.microsoft".into(),
        op: "MatMulNBits".into(),
        inputs: operands,
        outputs: vec![Some(y)],
        attributes: case.attributes.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect(),
    });
    builder.output("y", y);
    let prepared = Executor::new().prepare(&builder.build(), &RunBudget::default()).unwrap();
    let a = case.inputs[0].as_ref().unwrap().view();
    prepared.run(&[a], &RunBudget::default()).unwrap().remove(0)
}

#[test]
fn weights_of_a_few_bits_answer_as_in_onnx_runtime() {
    for (index, case) in cases().iter().enumerate() {
        let found = run(case);
        assert_eq!(found.shape(), case.output.shape(), "case {index}");
        let (a, b) = (found.as_slice::<f32>().unwrap(), case.output.as_slice::<f32>().unwrap());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 5e-5), "case {index}: {a:?} instead of {b:?}");
    }
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    vec![
        Case { attributes: vec![("K", Attribute::Int(40)), ("N", Attribute::Int(3)), ("bits", Attribute::Int(4)), ("block_size", Attribute::Int(32))], inputs: vec![Some(floats(&[2, 40], 1)), Some(unsigned(&[3, 2, 16], 2)), Some(f32(&[6], &[0.01, 0.02, 0.03, 0.04, 0.05, 0.06]))], output: f32(&[2, 3], &[-0.05880002, -0.27880013, 2.6340003, -0.2232, -1.1112001, -1.9480006]) },
        Case { attributes: vec![("K", Attribute::Int(40)), ("N", Attribute::Int(3)), ("bits", Attribute::Int(4)), ("block_size", Attribute::Int(16))], inputs: vec![Some(floats(&[1, 2, 40], 1)), Some(unsigned(&[3, 3, 8], 2)), Some(floats(&[9], 7)), Some(unsigned(&[3, 2], 5))], output: f32(&[1, 2, 3], &[-32.766396, 31.028805, -21.220789, 82.34881, -78.29599, 31.3696]) },
        Case { attributes: vec![("K", Attribute::Int(40)), ("N", Attribute::Int(3)), ("bits", Attribute::Int(8)), ("block_size", Attribute::Int(32))], inputs: vec![Some(floats(&[2, 40], 1)), Some(unsigned(&[3, 2, 32], 2)), Some(f32(&[6], &[0.01, 0.02, 0.03, 0.04, 0.05, 0.06])), Some(unsigned(&[3, 2], 5)), None, Some(floats(&[3], 9))], output: f32(&[2, 3], &[5.8256006, 0.12559783, 5.7840075, 4.7008, -11.134397, -10.577607]) },
    ]
}
