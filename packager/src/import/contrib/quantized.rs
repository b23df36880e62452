//! Operators on 8-bit integers: numbers are made of them, computed with, and become integers again. Which of that can be done
//! with the integers themselves is for an engine to find.

use super::Call;
use crate::import::emit::node;
use crate::import::model::{Attributes, output};
use pannier_graph::{Attribute, ValueId};

impl Call<'_> {
    /// `DequantizeLinear` of three operands from `index` on: integers, scale, zero point.
    fn numbers(&mut self, index: usize) -> Option<ValueId> {
        let operands = [Some(self.input(index)?), Some(self.input(index + 1)?), self.input(index + 2)];
        Some(self.emit("DequantizeLinear", &operands, Vec::new()))
    }

    /// The same for weights, with a scale for each place along an axis.
    fn weights(&mut self, [w, scale, zero]: [usize; 3], axis: i64) -> Option<ValueId> {
        let operands = [Some(self.input(w)?), Some(self.input(scale)?), self.input(zero)];
        Some(self.emit("DequantizeLinear", &operands, vec![("axis".into(), Attribute::Int(axis))]))
    }

    /// The weights of an `LSTM` from integers in the order of `DynamicQuantizeLSTM`: a scale for each direction, or in one direction
    /// for each row of each gate.
    fn gates(&mut self, [codes, scale, zero]: [usize; 3]) -> Option<ValueId> {
        let (directions, scales) = (*self.constant_shape(codes)?.first()?, self.constant_shape(scale)?);
        let axis = match (directions, scales) {
            (1, _) => 1,
            (_, [count]) if *count == directions => 0,
            _ => return None,
        };
        let turn = ("perm", Attribute::Ints(vec![0, 2, 1]));
        let codes = self.input(codes)?;
        let codes = self.op("Transpose", &[codes], &[turn]);
        let mut operands = vec![codes, self.input(scale)?];
        operands.extend(self.input(zero));
        if directions == 1 {
            for operand in operands.iter_mut().skip(1) {
                *operand = self.op("Squeeze", &[*operand], &[]);
            }
        }
        Some(self.op("DequantizeLinear", &operands, &[("axis", Attribute::Int(axis))]))
    }

    /// A bias of integers in the scale of the sums.
    fn bias(&mut self, bias: usize, scales: [usize; 2]) -> Option<ValueId> {
        let (bias, scales) = (self.input(bias)?, [self.input(scales[0])?, self.input(scales[1])?]);
        let scale = self.op("Mul", &scales, &[]);
        Some(self.op("DequantizeLinear", &[bias, scale], &[("axis", Attribute::Int(0))]))
    }

    /// `QuantizeLinear` by the scale and the zero point at `index`.
    fn integers(&mut self, x: ValueId, index: usize) -> Option<ValueId> {
        let operands = [Some(x), Some(self.input(index)?), self.input(index + 1)];
        Some(self.emit("QuantizeLinear", &operands, Vec::new()))
    }
}

/// `QLinearConv`, of constant weights.
pub(super) fn conv(call: &mut Call<'_>) -> Option<ValueId> {
    if !(1..9).filter(|index| *index != 8 || call.input(8).is_some()).all(|index| call.is_constant(index)) {
        return None;
    }
    let (x, w) = (call.numbers(0)?, call.weights([3, 4, 5], 0)?);
    let bias = if call.input(8).is_some() { Some(call.bias(8, [1, 4])?) } else { None };
    let y = call.emit("Conv", &[Some(x), Some(w), bias], call.attributes_without(&[]));
    call.integers(y, 6)
}

/// `QLinearMatMul`, of constant weights.
pub(super) fn matmul(call: &mut Call<'_>) -> Option<ValueId> {
    let matrix = call.constant_shape(3)?.len() == 2;
    if !matrix || !(1..8).all(|index| call.is_constant(index)) || call.constant_shape(1)?.iter().any(|size| *size != 1)
    {
        return None;
    }
    let (a, b) = (call.numbers(0)?, call.weights([3, 4, 5], 1)?);
    let y = call.op("MatMul", &[a, b], &[]);
    call.integers(y, 6)
}

/// `QGemm`: `alpha A B + C`; the result is numbers where there is no scale for it.
pub(super) fn gemm(call: &mut Call<'_>) -> Option<ValueId> {
    let (alpha, transposed) = (call.float("alpha", 1.0), call.int("transB", 0) != 0);
    if alpha != 1.0 && call.input(6).is_some() {
        return None;
    }
    let (a, b) = (call.numbers(0)?, call.weights([3, 4, 5], i64::from(!transposed))?);
    let bias = if call.input(6).is_some() { Some(call.bias(6, [1, 4])?) } else { None };
    let y = call.emit("Gemm", &[Some(a), Some(b), bias], call.attributes_without(&[]));
    if call.input(7).is_some() { call.integers(y, 7) } else { Some(y) }
}

/// `QLinearAdd`, `QLinearMul`
pub(super) fn binary(call: &mut Call<'_>) -> Option<ValueId> {
    let (a, b) = (call.numbers(0)?, call.numbers(3)?);
    let op = if call.node.op == "QLinearAdd" { "Add" } else { "Mul" };
    let y = call.op(op, &[a, b], &[]);
    call.integers(y, 6)
}

/// Operators of one tensor: `QLinearSigmoid` and others.
pub(super) fn unary(call: &mut Call<'_>) -> Option<ValueId> {
    // Before opset 13, softmax was over all axes from `axis` on.
    let axis = call.int("axis", -1);
    let last = axis == -1 || call.rank(0).is_some_and(|rank| axis == rank as i64 - 1);
    if call.int("channels_last", 0) != 0 || (call.int("opset", 13) < 13 && !last) {
        return None;
    }
    let op = call.node.op.strip_prefix("QLinear")?;
    let x = call.numbers(0)?;
    let y = call.emit(op, &[Some(x)], call.attributes_without(&["channels_last", "opset"]));
    call.integers(y, 3)
}

/// `QLinearConcat`: scale and zero point of the result, then three operands for each tensor.
pub(super) fn concat(call: &mut Call<'_>) -> Option<ValueId> {
    let count = call.node.inputs.len().checked_sub(2)? / 3;
    let parts = (0..count).map(|part| Some(Some(call.numbers(2 + part * 3)?))).collect::<Option<Vec<_>>>()?;
    let y = call.emit("Concat", &parts, call.attributes_without(&[]));
    call.integers(y, 0)
}

/// `DynamicQuantizeMatMul`: `A, B, scale of B, zero point of B, bias`.
pub(super) fn dynamic_matmul(call: &mut Call<'_>) -> Option<ValueId> {
    let a = call.input(0)?;
    let quantized = call.emit_with_outputs("DynamicQuantizeLinear", &[Some(a)], 3, Vec::new());
    let a = call.op("DequantizeLinear", &quantized, &[]);
    let b = call.weights([1, 2, 3], 1)?;
    scaled(call, a, b, 4)
}

/// `DynamicQuantizeLSTM`: the operands of an `LSTM`, its weights `[directions, inputs, gates * hidden]`, and behind them scale and zero
/// point of both. ONNX Runtime rounds the input and the hidden state of each step to 8 bits in their own range, which operators of the
/// standard cannot say of a state inside: here they stay numbers, so answers are those of the float model with rounded weights.
pub(super) fn dynamic_lstm(call: &mut Call<'_>) -> Option<ValueId> {
    let (w, r) = (call.gates([1, 8, 9])?, call.gates([2, 10, 11])?);
    let y = call.emit.model.value(&format!("{}/LSTM", call.node.name));
    let mut operands = vec![Some(call.input(0)?), Some(w), Some(r)];
    operands.extend((3..8).map(|index| call.input(index)));
    let outputs = vec![Some(y), output(call.node, 1), output(call.node, 2)];
    let mut lstm = node("LSTM", operands, outputs, []);
    call.node.attributes.iter().for_each(|(name, value)| lstm.set(name, value.clone()));
    call.emit.push(lstm);
    Some(call.op("Identity", &[y], &[]))
}

/// `MatMulIntegerToFloat`: `A, B, scale of A, scale of B, zero point of A, zero point of B, bias`.
pub(super) fn matmul_to_float(call: &mut Call<'_>) -> Option<ValueId> {
    let (a, b) = (call.weights([0, 2, 4], 1)?, call.weights([1, 3, 5], 1)?);
    scaled(call, a, b, 6)
}

fn scaled(call: &mut Call<'_>, a: ValueId, b: ValueId, bias: usize) -> Option<ValueId> {
    let y = call.op("MatMul", &[a, b], &[]);
    Some(match call.input(bias) {
        Some(bias) => call.op("Add", &[y, bias], &[]),
        None => y,
    })
}
