//! Operators against answers of the reference evaluator of the `onnx` package (1.20.1), where the standard's own tests do not
//! reach: parameters that they leave out, and how those go together.

use pannier_engine::{DType, Dim, Engine, ProgramBuilder, RunBudget, Tensor};
use pannier_executor::Executor;
use pannier_graph::{Attribute, Node};

struct Case {
    name: &'static str,
    op: &'static str,
    attributes: Vec<(&'static str, Attribute)>,
    /// Integers are weights: some have to be known when a plan is made.
    inputs: Vec<Option<Tensor>>,
    outputs: Vec<Tensor>,
}

fn f32(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(shape, values).unwrap()
}

fn i64(shape: &[usize], values: &[i64]) -> Tensor {
    Tensor::from_slice(shape, values).unwrap()
}

fn bool(shape: &[usize], values: &[bool]) -> Tensor {
    Tensor::from_bools(shape, values).unwrap()
}

/// The largest difference of any result from the expected one, or why there is none.
fn difference(case: &Case) -> Result<f32, String> {
    let mut builder = ProgramBuilder::new();
    let (mut operands, mut given) = (Vec::new(), Vec::new());
    for (index, input) in case.inputs.iter().enumerate() {
        operands.push(input.as_ref().map(|tensor| match tensor.dtype() {
            DType::I64 => builder.weight(&format!("x{index}"), tensor),
            dtype => {
                let dims: Vec<Dim> = tensor.shape().iter().map(|size| Dim::Fixed(*size as u64)).collect();
                given.push(tensor.view());
                builder.input(&format!("x{index}"), dtype, &dims)
            }
        }));
    }
    let results: Vec<_> = (0..case.outputs.len()).map(|index| builder.value(&format!("y{index}"))).collect();
    let mut attributes: Vec<_> =
        case.attributes.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    builder.node_with(Node {
        name: case.op.to_lowercase(),
        domain: String::new(),
        op: case.op.to_string(),
        inputs: operands,
        outputs: results.iter().copied().map(Some).collect(),
        attributes,
    });
    results.iter().enumerate().for_each(|(index, value)| builder.output(&format!("y{index}"), *value));
    let prepared = Executor::new().prepare(&builder.build(), &RunBudget::default()).map_err(|e| e.to_string())?;
    let found = prepared.run(&given, &RunBudget::default()).map_err(|error| error.to_string())?;
    let mut worst = 0.0f32;
    for (found, expected) in found.iter().zip(&case.outputs) {
        if found.shape() != expected.shape() {
            return Err(format!("{found:?} instead of {expected:?}"));
        }
        let (found, expected) = (found.as_slice::<f32>().unwrap(), expected.as_slice::<f32>().unwrap());
        worst = found.iter().zip(expected).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
    }
    Ok(worst)
}

#[test]
fn operators_answer_like_the_reference_evaluator() {
    let failures: Vec<String> = cases()
        .iter()
        .filter_map(|case| match difference(case) {
            Ok(difference) if difference <= 2e-5 => None,
            other => Some(format!("{}, {}: {other:?}", case.op, case.name)),
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "a soft cap, told after it",
            op: "Attention",
            attributes: vec![("softcap", Attribute::Float(0.5)), ("qk_matmul_output_mode", Attribute::Int(2))],
            inputs: vec![Some(f32(&[1, 1, 2, 2], &[-0.875, -0.5, 0.625, 0.125])), Some(f32(&[1, 1, 3, 2], &[-0.75, -0.125, -0.0, -0.625, 0.5, -0.75])), Some(f32(&[1, 1, 3, 2], &[-0.25, 0.0, -0.125, 0.125, 0.5, 0.875]))],
            outputs: vec![f32(&[1, 1, 2, 2], &[-0.0116297, 0.271086, 0.0971164, 0.398053]), f32(&[1, 1, 3, 2], &[-0.75, -0.125, -0.0, -0.625, 0.5, -0.75]), f32(&[1, 1, 3, 2], &[-0.25, 0.0, -0.125, 0.125, 0.5, 0.875]), f32(&[1, 1, 2, 3], &[0.384212, 0.207626, -0.0440794, -0.297383, -0.055019, 0.149927])],
        },
        Case {
            name: "a mask of booleans, told with it",
            op: "Attention",
            attributes: vec![],
            inputs: vec![Some(f32(&[1, 2, 1, 2], &[-0.375, 0.25, 0.375, -0.375])), Some(f32(&[1, 2, 2, 2], &[-1.0, 1.0, -0.375, -0.375, 0.75, 0.125, -0.0, 0.5])), Some(f32(&[1, 2, 2, 2], &[-1.0, 0.375, -0.25, -0.875, 0.375, 0.875, -0.625, 0.25])), Some(bool(&[1, 2], &[true, false]))],
            outputs: vec![f32(&[1, 2, 1, 2], &[-1.0, 0.375, 0.375, 0.875])],
        },
        Case {
            name: "past positions, causal, told as weights",
            op: "Attention",
            attributes: vec![("is_causal", Attribute::Int(1)), ("qk_matmul_output_mode", Attribute::Int(3))],
            inputs: vec![Some(f32(&[1, 1, 2, 2], &[-0.375, 0.5, 0.5, -0.625])), Some(f32(&[1, 1, 2, 2], &[0.625, 0.375, 0.375, 0.625])), Some(f32(&[1, 1, 2, 1], &[-0.125, 0.5])), None, Some(f32(&[1, 1, 1, 2], &[0.75, -0.75])), Some(f32(&[1, 1, 1, 1], &[0.75]))],
            outputs: vec![f32(&[1, 1, 2, 1], &[0.219674, 0.44477]), f32(&[1, 1, 3, 2], &[0.75, -0.75, 0.625, 0.375, 0.375, 0.625]), f32(&[1, 1, 3, 1], &[0.75, -0.125, 0.5]), f32(&[1, 1, 2, 3], &[0.393913, 0.606087, 0.0, 0.485687, 0.282643, 0.23167])],
        },
        Case {
            name: "flat heads in groups, a short mask",
            op: "Attention",
            attributes: vec![("q_num_heads", Attribute::Int(2)), ("kv_num_heads", Attribute::Int(1))],
            inputs: vec![Some(f32(&[1, 2, 4], &[-0.25, -0.0, -0.75, 0.375, -0.375, 0.75, -0.5, 0.125])), Some(f32(&[1, 2, 2], &[-0.25, 0.25, -0.625, -0.625])), Some(f32(&[1, 2, 2], &[0.5, 0.5, 0.125, 0.875])), Some(f32(&[2, 1], &[-0.625, 0.75]))],
            outputs: vec![f32(&[1, 2, 4], &[0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])],
        },
        Case {
            name: "lengths without padding",
            op: "Attention",
            attributes: vec![],
            inputs: vec![Some(f32(&[2, 1, 1, 2], &[-0.625, 0.875, 0.25, 0.25])), Some(f32(&[2, 1, 2, 2], &[1.0, 0.625, 0.625, -0.875, -0.25, -0.875, -0.625, -0.625])), Some(f32(&[2, 1, 2, 2], &[0.75, -0.75, -0.375, -0.0, 0.75, 0.875, 0.375, -0.625])), Some(f32(&[2, 1, 1, 2], &[0.125, 0.375, -0.875, 0.375])), None, None, Some(i64(&[2], &[1, 2]))],
            outputs: vec![f32(&[2, 1, 1, 2], &[0.75, -0.75, 0.459956, -0.285177])],
        },
        Case {
            name: "part of a head by given positions",
            op: "RotaryEmbedding",
            attributes: vec![("num_heads", Attribute::Int(1)), ("rotary_embedding_dim", Attribute::Int(2))],
            inputs: vec![Some(f32(&[1, 2, 4], &[-0.25, 0.125, 0.375, 0.375, 0.0, 0.125, -0.625, -0.0])), Some(f32(&[3, 1], &[-0.75, -0.0, 0.125])), Some(f32(&[3, 1], &[0.5, -0.25, -1.0])), Some(i64(&[1, 2], &[2, 0]))],
            outputs: vec![f32(&[1, 2, 4], &[0.09375, 0.265625, 0.375, 0.375, -0.0625, -0.09375, -0.625, -0.0])],
        },
        Case {
            name: "dots and an implied result",
            op: "Einsum",
            attributes: vec![("equation", Attribute::String(b"...ij,jk".to_vec()))],
            inputs: vec![Some(f32(&[2, 1, 2], &[0.0, -0.625, 0.5, -0.25])), Some(f32(&[2, 2], &[-0.25, 0.875, -0.25, -0.25]))],
            outputs: vec![f32(&[2, 1, 2], &[0.15625, 0.15625, -0.0625, 0.5])],
        },
        Case {
            name: "a diagonal",
            op: "Einsum",
            attributes: vec![("equation", Attribute::String(b"ii->i".to_vec()))],
            inputs: vec![Some(f32(&[3, 3], &[-0.25, -0.0, -0.875, 0.125, 0.875, 0.125, 0.5, 0.875, 0.625]))],
            outputs: vec![f32(&[3], &[-0.25, 0.875, 0.625])],
        },
        Case {
            name: "cubic with reflection",
            op: "GridSample",
            attributes: vec![("mode", Attribute::String(b"cubic".to_vec())), ("padding_mode", Attribute::String(b"reflection".to_vec()))],
            inputs: vec![Some(f32(&[1, 1, 3, 3], &[0.5, 0.625, 0.625, -0.5, -0.0, -0.375, -0.5, 0.125, -0.375])), Some(f32(&[1, 1, 3, 2], &[0.5, 0.25, -1.5, -0.25, -0.5, 0.75]))],
            outputs: vec![f32(&[1, 1, 1, 3], &[-0.359753, -0.0521443, -0.338137])],
        },
        Case {
            name: "linear at aligned corners with a border",
            op: "GridSample",
            attributes: vec![("padding_mode", Attribute::String(b"border".to_vec())), ("align_corners", Attribute::Int(1))],
            inputs: vec![Some(f32(&[1, 1, 2, 3], &[-0.875, -0.625, 0.0, -0.25, 0.375, -0.375])), Some(f32(&[1, 2, 1, 2], &[-1.25, 1.75, -1.0, -1.5]))],
            outputs: vec![f32(&[1, 1, 2, 1], &[-0.25, -0.875])],
        },
        Case {
            name: "a transform that pads",
            op: "DFT",
            attributes: vec![("onesided", Attribute::Int(1))],
            inputs: vec![Some(f32(&[1, 3, 1], &[-0.5, -0.375, -0.5])), Some(i64(&[], &[5]))],
            outputs: vec![f32(&[1, 3, 2], &[-1.375, 0.0, -0.211373, 0.650539, -0.351127, -0.255109])],
        },
        Case {
            name: "an inverse transform that cuts",
            op: "DFT",
            attributes: vec![("inverse", Attribute::Int(1))],
            inputs: vec![Some(f32(&[1, 4, 2], &[0.125, 0.875, -0.75, -0.125, 0.375, 0.75, 1.0, -0.75])), Some(i64(&[], &[3]))],
            outputs: vec![f32(&[1, 3, 2], &[-0.0833333, 0.5, 0.356757, -0.13726, -0.148424, 0.51226])],
        },
        Case {
            name: "frames of six with a window",
            op: "STFT",
            attributes: vec![],
            inputs: vec![Some(f32(&[1, 10, 1], &[0.125, 0.75, -0.875, 0.125, -0.625, 0.5, 0.875, 0.125, -1.0, -0.875])), Some(i64(&[], &[2])), Some(f32(&[6], &[-0.125, 0.75, -0.5, 0.375, -0.25, -0.5]))],
            outputs: vec![f32(&[1, 3, 4, 2], &[0.9375, 0.0, -0.203125, -0.947215, -0.421875, -0.460076, 0.21875, 0.0, 0.421875, 0.0, -0.109375, -0.595392, 0.234375, 0.32476, -0.015625, 0.0, 0.75, 0.0, 0.53125, 0.649519, -0.1875, -0.541266, -0.96875, 0.0])],
        },
    ]
}
