//! Fused operators on numbers: activations, normalisations, attention.

use super::Call;
use crate::import::emit::node;
use crate::import::model::output;
use pannier_graph::{Attribute, DType, Literal, ValueId};

const TANH: &[u8] = b"tanh";

impl Call<'_> {
    /// The sum of a value and an operand that may be absent.
    fn plus(&mut self, x: ValueId, operand: usize) -> ValueId {
        match self.input(operand) {
            Some(y) => self.op("Add", &[x, y], &[]),
            None => x,
        }
    }

    /// What the attribute `activation` says, with the parameters that it has.
    fn activated(&mut self, x: ValueId, parameters: &[f32]) -> Option<ValueId> {
        let name = match self.node.attribute("activation") {
            None => return Some(x),
            Some(Attribute::String(name)) => std::str::from_utf8(name).ok()?,
            Some(_) => return None,
        };
        let parameter = |index: usize| parameters.get(index).copied().map(Attribute::Float);
        Some(match name {
            "" => x,
            "Relu" | "Sigmoid" | "Tanh" | "HardSwish" => self.op(name, &[x], &[]),
            "LeakyRelu" => self.op(name, &[x], &[("alpha", parameter(0)?)]),
            "HardSigmoid" => self.op(name, &[x], &[("alpha", parameter(0)?), ("beta", parameter(1)?)]),
            "Clip" => {
                let (low, high) = (self.number(*parameters.first()?), self.number(*parameters.get(1)?));
                self.op(name, &[x, low, high], &[])
            }
            _ => return None,
        })
    }
}

/// `Gelu`
pub(super) fn gelu(call: &mut Call<'_>) -> Option<ValueId> {
    let x = call.input(0)?;
    Some(call.op("Gelu", &[x], &[]))
}

/// `BiasGelu`
pub(super) fn bias_gelu(call: &mut Call<'_>) -> Option<ValueId> {
    let x = call.input(0)?;
    let x = call.plus(x, 1);
    Some(call.op("Gelu", &[x], &[]))
}

/// `FastGelu`
pub(super) fn fast_gelu(call: &mut Call<'_>) -> Option<ValueId> {
    let x = call.input(0)?;
    let x = call.plus(x, 1);
    Some(call.op("Gelu", &[x], &[("approximate", Attribute::String(TANH.to_vec()))]))
}

/// `x * sigmoid(alpha x)`
pub(super) fn quick_gelu(call: &mut Call<'_>) -> Option<ValueId> {
    let (x, alpha) = (call.input(0)?, call.float("alpha", 1.702));
    let alpha = call.number(alpha);
    let gate = call.op("Mul", &[x, alpha], &[]);
    let gate = call.op("Sigmoid", &[gate], &[]);
    Some(call.op("Mul", &[x, gate], &[]))
}

/// `Conv`, then a sum, then an activation.
pub(super) fn fused_conv(call: &mut Call<'_>) -> Option<ValueId> {
    let parameters = match call.node.attribute("activation_params") {
        Some(Attribute::Floats(values)) => values.clone(),
        _ => Vec::new(),
    };
    let operands = [call.input(0), call.input(1), call.input(2)];
    let y = call.emit("Conv", &operands, call.attributes_without(&["activation", "activation_params"]));
    let y = call.plus(y, 3);
    call.activated(y, &parameters)
}

/// `Gemm`, then an activation.
pub(super) fn fused_gemm(call: &mut Call<'_>) -> Option<ValueId> {
    let own = ["activation", "activation_alpha", "activation_beta", "activation_gamma"];
    // A leaky slope is the one parameter whose default is not that of the operator.
    let parameters = [call.float("activation_alpha", 0.01), call.float("activation_beta", 0.0)];
    let operands = [call.input(0), call.input(1), call.input(2)];
    let y = call.emit("Gemm", &operands, call.attributes_without(&own));
    call.activated(y, &parameters)
}

/// `alpha op(A) op(B)`, where the last two axes may be exchanged; only for matrices whose rank is known.
pub(super) fn fused_matmul(call: &mut Call<'_>) -> Option<ValueId> {
    let alpha = call.float("alpha", 1.0);
    if call.int("transBatchA", 0) != 0 || call.int("transBatchB", 0) != 0 {
        return None;
    }
    let mut operands = [call.input(0)?, call.input(1)?];
    for (index, name) in ["transA", "transB"].into_iter().enumerate() {
        if call.int(name, 0) == 0 {
            continue;
        }
        let rank = call.rank(index).filter(|rank| *rank >= 2)? as i64;
        let order: Vec<i64> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        operands[index] = call.op("Transpose", &[operands[index]], &[("perm", Attribute::Ints(order))]);
    }
    let y = call.op("MatMul", &operands, &[]);
    if alpha == 1.0 {
        return Some(y);
    }
    let alpha = call.number(alpha);
    Some(call.op("Mul", &[y, alpha], &[]))
}

/// `LayerNormalization(input + skip + bias)`
pub(super) fn skip_layer_norm(call: &mut Call<'_>) -> Option<ValueId> {
    let (x, gamma, epsilon) = (call.input(0)?, call.input(2)?, call.float("epsilon", 1e-12));
    let x = call.plus(x, 1);
    let x = call.plus(x, 4);
    Some(layer_norm(call, x, gamma, 3, epsilon))
}

fn layer_norm(call: &mut Call<'_>, x: ValueId, gamma: ValueId, beta: usize, epsilon: f32) -> ValueId {
    let operands = [Some(x), Some(gamma), call.input(beta)];
    call.emit("LayerNormalization", &operands, vec![("epsilon".into(), Attribute::Float(epsilon))])
}

/// Embeddings of words, positions and segments, summed and normalised. Positions are 0, 1, .. if they are not given.
pub(super) fn embed_layer_norm(call: &mut Call<'_>) -> Option<ValueId> {
    let (ids, words, positions, gamma) = (call.input(0)?, call.input(2)?, call.input(3)?, call.input(5)?);
    let epsilon = call.float("epsilon", 1e-12);
    if let Some(lengths) = output(call.node, 1) {
        lengths_of(call, ids, lengths);
    }
    let mut sum = call.op("Gather", &[words, ids], &[]);
    let position = match call.input(8) {
        Some(places) => call.op("Gather", &[positions, places], &[]),
        None => {
            let shape = call.op("Shape", &[ids], &[("start", Attribute::Int(1)), ("end", Attribute::Int(2))]);
            let (start, axis) = (call.ints(&[0]), call.ints(&[0]));
            call.op("Slice", &[positions, start, shape, axis], &[])
        }
    };
    sum = call.op("Add", &[sum, position], &[]);
    if let (Some(segments), Some(table)) = (call.input(1), call.input(4)) {
        let segment = call.op("Gather", &[table, segments], &[]);
        sum = call.op("Add", &[sum, segment], &[]);
    }
    Some(layer_norm(call, sum, gamma, 6, epsilon))
}

/// How many positions of each sequence count, `[batch]`: zero without a mask.
fn lengths_of(call: &mut Call<'_>, ids: ValueId, result: ValueId) {
    let written = match call.input(7) {
        Some(mask) => {
            let axis = call.ints(&[1]);
            node("ReduceSum", vec![Some(mask), Some(axis)], vec![Some(result)], [("keepdims", Attribute::Int(0))])
        }
        None => {
            let batch = call.op("Shape", &[ids], &[("end", Attribute::Int(1))]);
            let zero = Literal { dtype: DType::I32, shape: vec![1], bytes: vec![0; 4] };
            node("ConstantOfShape", vec![Some(batch)], vec![Some(result)], [("value", Attribute::Tensor(zero))])
        }
    };
    call.emit.push(written);
}

/// Attention over queries, keys and values of one projection. Masks are those of a whole batch: 1 where a position counts.
pub(super) fn attention(call: &mut Call<'_>) -> Option<ValueId> {
    let unusual =
        ["unidirectional", "do_rotary", "past_present_share_buffer"].iter().any(|name| call.int(name, 0) != 0);
    if unusual
        || call.input(4).is_some()
        || call.input(6).is_some()
        || call.node.attribute("qkv_hidden_sizes").is_some()
    {
        return None;
    }
    let mask = match call.input(3) {
        Some(mask) if call.rank(3) == Some(2) => Some(mask),
        Some(_) => return None,
        None => None,
    };
    let (x, w) = (call.input(0)?, call.input(1)?);
    let width = i64::try_from(*call.constant_shape(1)?.get(1)?).ok()? / 3;
    let y = call.op("MatMul", &[x, w], &[]);
    let y = call.plus(y, 2);
    let mut part = |index: i64| {
        let (start, end, axis) = (call.ints(&[index * width]), call.ints(&[(index + 1) * width]), call.ints(&[2]));
        call.op("Slice", &[y, start, end, axis], &[])
    };
    let qkv = [part(0), part(1), part(2)];
    let filter = call.float("mask_filter_value", -10000.0);
    let mask = mask.map(|mask| mask_bias(call, mask, filter));
    heads(call, qkv, mask, 5)
}

/// Attention over queries, keys and values that are there already: each `[batch, positions, heads * size]`.
pub(super) fn multi_head_attention(call: &mut Call<'_>) -> Option<ValueId> {
    let absent = [3, 6, 7, 8, 9].into_iter().all(|index| call.input(index).is_none());
    let flat = |index: usize| call.rank(index).is_none_or(|rank| rank == 3);
    if !absent || !(0..3).all(flat) || call.int("unidirectional", 0) != 0 {
        return None;
    }
    let mask = match call.input(4) {
        Some(mask) if call.rank(4) == Some(2) => Some(mask),
        Some(_) => return None,
        None => None,
    };
    let qkv = [call.input(0)?, call.input(1)?, call.input(2)?];
    let filter = call.float("mask_filter_value", -10000.0);
    let mask = mask.map(|mask| mask_bias(call, mask, filter));
    heads(call, qkv, mask, 5)
}

/// What is added to the products of positions that do not count: `(1 - mask) * filter`, as `[batch, 1, 1, positions]`.
fn mask_bias(call: &mut Call<'_>, mask: ValueId, filter: f32) -> ValueId {
    let mask = call.op("Cast", &[mask], &[("to", Attribute::Int(1))]);
    let (one, filter, axes) = (call.number(1.0), call.number(filter), call.ints(&[1, 2]));
    let rest = call.op("Sub", &[one, mask], &[]);
    let bias = call.op("Mul", &[rest, filter], &[]);
    call.op("Unsqueeze", &[bias, axes], &[])
}

/// `softmax(Q K' scale + bias) V` of each head, side by side again.
fn heads(call: &mut Call<'_>, qkv: [ValueId; 3], mask: Option<ValueId>, bias: usize) -> Option<ValueId> {
    let count = call.int("num_heads", 0);
    if count <= 0 {
        return None;
    }
    let scale = match call.float("scale", 0.0) {
        // One over the root of the size of a head.
        0.0 => {
            let width = call.op("Shape", &[qkv[0]], &[("start", Attribute::Int(2)), ("end", Attribute::Int(3))]);
            let width = call.op("Cast", &[width], &[("to", Attribute::Int(1))]);
            let count = call.number(count as f32);
            let size = call.op("Div", &[width, count], &[]);
            let root = call.op("Sqrt", &[size], &[]);
            call.op("Reciprocal", &[root], &[])
        }
        scale => call.number(scale),
    };
    let mut split = |x: ValueId, order: [i64; 4]| {
        let shape = call.ints(&[0, 0, count, -1]);
        let x = call.op("Reshape", &[x, shape], &[]);
        call.op("Transpose", &[x], &[("perm", Attribute::Ints(order.to_vec()))])
    };
    let (q, k, v) = (split(qkv[0], [0, 2, 1, 3]), split(qkv[1], [0, 2, 3, 1]), split(qkv[2], [0, 2, 1, 3]));
    let scores = call.op("MatMul", &[q, k], &[]);
    let mut scores = call.op("Mul", &[scores, scale], &[]);
    if let Some(mask) = mask {
        scores = call.op("Add", &[scores, mask], &[]);
    }
    let scores = call.plus(scores, bias);
    let weights = call.op("Softmax", &[scores], &[("axis", Attribute::Int(-1))]);
    let y = call.op("MatMul", &[weights, v], &[]);
    let y = call.op("Transpose", &[y], &[("perm", Attribute::Ints(vec![0, 2, 1, 3]))]);
    let shape = call.ints(&[0, 0, -1]);
    Some(call.op("Reshape", &[y, shape], &[]))
}
