//! Operators that work element by element, with broadcasting.

use super::{Outcome, Size, View, fixed, known, typed};
use crate::import::error::Why;
use crate::import::model::Element;
use pannier_graph::DType;

pub(super) fn rule(view: &View<'_>) -> Option<Outcome> {
    Some(match view.node.op.as_str() {
        "Abs"
        | "Acos"
        | "Acosh"
        | "Asin"
        | "Asinh"
        | "Atan"
        | "Atanh"
        | "BatchNormalization"
        | "BitwiseNot"
        | "Ceil"
        | "Celu"
        | "Clip"
        | "Cos"
        | "Cosh"
        | "CumSum"
        | "Elu"
        | "Erf"
        | "Exp"
        | "Floor"
        | "Gelu"
        | "GroupNormalization"
        | "HardSigmoid"
        | "HardSwish"
        | "Hardmax"
        | "InstanceNormalization"
        | "LRN"
        | "LayerNormalization"
        | "LeakyRelu"
        | "Log"
        | "LogSoftmax"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "Mish"
        | "Neg"
        | "PRelu"
        | "RMSNormalization"
        | "Reciprocal"
        | "Relu"
        | "Round"
        | "Selu"
        | "Shrink"
        | "Sigmoid"
        | "Sign"
        | "Sin"
        | "Sinh"
        | "Softmax"
        | "Softplus"
        | "Softsign"
        | "Sqrt"
        | "Swish"
        | "Tan"
        | "Tanh"
        | "ThresholdedRelu"
        | "Trilu"
        | "ScatterElements"
        | "ScatterND"
        | "TensorScatter"
        | "RotaryEmbedding"
        | "ReverseSequence" => same(view),
        "Bernoulli" => {
            let dtype = view.dtype_attribute("dtype").or(view.dtype(0));
            Ok(vec![typed(dtype, view.shape(0).map(<[Size]>::to_vec))])
        }
        "Identity" => Ok(vec![view.r#type(0)]),
        "Dropout" => {
            let shape = view.shape(0).map(<[Size]>::to_vec);
            Ok(vec![typed(view.dtype(0), shape.clone()), typed(Some(DType::Bool), shape)])
        }
        "IsInf" | "IsNaN" | "Not" => Ok(vec![typed(Some(DType::Bool), view.shape(0).map(<[Size]>::to_vec))]),
        "Cast" => {
            let elements = view.elements(0).map(<[Element]>::to_vec);
            let dtype = view.dtype_attribute("to");
            // Sizes fit in 32 bits where they were computed; other types are not followed.
            let elements = elements.filter(|_| matches!(dtype, Some(DType::I64 | DType::I32)));
            let mut r#type = typed(dtype, view.shape(0).map(<[Size]>::to_vec));
            r#type.elements = elements;
            Ok(vec![r#type])
        }
        "CastLike" => Ok(vec![typed(view.dtype(1), view.shape(0).map(<[Size]>::to_vec))]),
        "QuantizeLinear" => {
            let stated = view.dtype_attribute("output_dtype");
            let dtype = stated.or(view.dtype(2)).or_else(|| view.input(2).is_none().then_some(DType::U8));
            Ok(vec![typed(dtype, view.shape(0).map(<[Size]>::to_vec))])
        }
        "DequantizeLinear" => {
            let dtype = view.dtype_attribute("output_dtype").or(view.dtype(1));
            Ok(vec![typed(dtype, view.shape(0).map(<[Size]>::to_vec))])
        }
        "DynamicQuantizeLinear" => Ok(vec![
            typed(Some(DType::U8), view.shape(0).map(<[Size]>::to_vec)),
            typed(Some(DType::F32), Some(Vec::new())),
            typed(Some(DType::U8), Some(Vec::new())),
        ]),
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" => {
            broadcast(view, 0, view.dtype(0).or(view.dtype(1))).map(|mut types| {
                if let Some(r#type) = types.first_mut() {
                    r#type.elements = arithmetic(view);
                }
                types
            })
        }
        "Mean" | "Mod" | "Pow" | "Sum" | "BitShift" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" => {
            broadcast(view, 0, view.dtype(0))
        }
        "And" | "Or" | "Xor" | "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => {
            broadcast(view, 0, Some(DType::Bool))
        }
        "Where" => broadcast(view, 0, view.dtype(1).or(view.dtype(2))),
        _ => return None,
    })
}

/// Type and shape of the first input.
fn same(view: &View<'_>) -> Outcome {
    Ok(vec![typed(view.dtype(0), view.shape(0).map(<[Size]>::to_vec))])
}

/// All inputs from `first` on, broadcast against each other.
fn broadcast(view: &View<'_>, first: usize, dtype: Option<DType>) -> Outcome {
    let inputs: Vec<usize> = (first..view.node.inputs.len()).collect();
    let shapes: Option<Vec<&[Size]>> = inputs.iter().map(|index| view.shape(*index)).collect();
    let Some(shapes) = shapes else { return Ok(vec![typed(dtype, None)]) };
    let shape = broadcast_shapes(&shapes).ok_or_else(|| view.mismatch(&inputs))?;
    Ok(vec![typed(dtype, Some(shape))])
}

/// The shape of shapes that are broadcast against each other; `None` if they do not fit.
pub(super) fn broadcast_shapes(shapes: &[&[Size]]) -> Option<Vec<Size>> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut sizes = vec![known(1); rank];
    for shape in shapes {
        let from = rank - shape.len();
        for (size, other) in sizes.iter_mut().skip(from).zip(*shape) {
            *size = broadcast_sizes(size, other)?;
        }
    }
    Some(sizes)
}

fn broadcast_sizes(a: &Size, b: &Size) -> Option<Size> {
    Some(match (fixed(a), fixed(b)) {
        (Some(1), _) => b.clone(),
        (_, Some(1)) => a.clone(),
        (Some(a), Some(b)) => return (a == b).then_some(known(a)),
        // The other is 1 or this, whatever its symbol says.
        (Some(a), None) => known(a),
        (None, Some(b)) => known(b),
        (None, None) => {
            if a == b {
                a.clone()
            } else {
                None
            }
        }
    })
}

/// Arithmetic with short lists of integers.
fn arithmetic(view: &View<'_>) -> Option<Vec<Element>> {
    let [a, b] = [view.elements(0)?, view.elements(1)?];
    let integer = matches!(view.dtype(0), Some(DType::I64 | DType::I32));
    if view.node.inputs.len() != 2 || !integer {
        return None;
    }
    let len = if a.len() == 1 { b.len() } else { a.len() };
    if ![1, len].contains(&b.len()) {
        return None;
    }
    let element = |index: usize| {
        let (a, b) = (a.get(index % a.len().max(1))?, b.get(index % b.len().max(1))?);
        Some(calculate(&view.node.op, a, b))
    };
    (0..len).map(element).collect()
}

fn calculate(op: &str, a: &Element, b: &Element) -> Element {
    use Element::{Known, Unknown};
    let result = match (op, a, b) {
        ("Add", Known(a), Known(b)) => a.checked_add(*b),
        ("Sub", Known(a), Known(b)) => a.checked_sub(*b),
        ("Mul", Known(a), Known(b)) => a.checked_mul(*b),
        // ONNX rounds integer division towards zero.
        ("Div", Known(a), Known(b)) => a.checked_div(*b),
        ("Max", Known(a), Known(b)) => Some(*a.max(b)),
        ("Min", Known(a), Known(b)) => Some(*a.min(b)),
        ("Add" | "Sub", _, Known(0)) | ("Mul" | "Div", _, Known(1)) => return a.clone(),
        ("Add", Known(0), _) | ("Mul", Known(1), _) => return b.clone(),
        _ => None,
    };
    result.map_or(Unknown, Known)
}

/// What a rule with two inputs that must have one shape says of them.
pub(super) fn same_rank(view: &View<'_>, a: usize, b: usize) -> Result<(), Why> {
    match (view.shape(a), view.shape(b)) {
        (Some(left), Some(right)) if left.len() != right.len() => Err(view.mismatch(&[a, b])),
        _ => Ok(()),
    }
}
