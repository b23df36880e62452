//! Recurrent networks: one step after the other, all directions of a step in turn.

use super::curves::{sigmoid, tanh};
use super::{Call, Operator};
use crate::array::Array;
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::scope::Scope;
use crate::shape;
use crate::value::Value;
use pannier_engine::DType;
use pannier_graph::Attribute;

pub(super) const OPERATORS: &[Operator] =
    &[Operator::new("GRU", recurrent).check(check), Operator::new("LSTM", recurrent).check(check)];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    let direction = attributes.text("direction", "forward")?;
    attributes.only("direction", direction, &["forward", "reverse", "bidirectional"])?;
    for name in ["clip", "activation_alpha", "activation_beta"] {
        if attributes.0.attribute(name).is_some() {
            return Err(Failure::Unsupported(format!("attribute {name}")));
        }
    }
    for name in ["layout", "input_forget"] {
        if attributes.flag(name, false)? {
            return Err(Failure::Unsupported(format!("attribute {name}=1")));
        }
    }
    let usual: [&[u8]; 3] = [b"Sigmoid", b"Tanh", b"Tanh"];
    if let Some(Attribute::Strings(activations)) = attributes.0.attribute("activations") {
        let gates = if attributes.0.op == "LSTM" { 3 } else { 2 };
        let differs = |(index, name): (usize, &Vec<u8>)| usual.get(index % gates).is_none_or(|usual| usual != name);
        if activations.iter().enumerate().any(differs) {
            return Err(Failure::Unsupported("attribute activations".into()));
        }
    }
    if attributes.has(4) {
        return Err(Failure::Unsupported("operand sequence_lens".into()));
    }
    if attributes.has(7) {
        return Err(Failure::Unsupported("operand P".into()));
    }
    Ok(())
}

/// Gates of a cell in the order of the weights: `i o f c` of an LSTM, `z r h` of a GRU.
fn gates(op: &str) -> usize {
    if op == "LSTM" { 4 } else { 3 }
}

/// What one direction computes with.
struct Cell {
    /// `x W^T + biases` of every step: `[steps, batch, gates * hidden]`.
    inputs: Array,
    /// `[hidden, gates * hidden]`
    recurrence: Array,
    /// The recurrent bias of a GRU's last gate, which is inside of a product.
    inner_bias: Option<Array>,
    hidden: usize,
}

/// State of a cell: `[batch, hidden]`; a GRU has no memory beside it.
struct State {
    hidden: Array,
    memory: Option<Array>,
}

fn recurrent(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, scope) = (call.float(0)?, &call.scope);
    let ([steps, batch, _], [directions, _, hidden]) = (&x.shape[..], call.value(2)?.shape()) else {
        return Err(Failure::Invalid(format!("{} over {:?}", call.op(), x.shape)));
    };
    let (steps, batch, directions, hidden) = (*steps, *batch, *directions, *hidden);
    let direction = call.attributes.text("direction", "forward")?;
    let (mut sequences, mut last, mut memories) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..directions {
        let cell = cell(call, &x, index, hidden)?;
        let start = |operand: usize| -> Outcome<Array> {
            match call.float_if_any(operand)? {
                Some(initial) => scope.reshape(&scope.slice_axis(&initial, 0, index, index + 1)?, vec![batch, hidden]),
                None => scope.full(DType::F32, vec![batch, hidden], 0.0),
            }
        };
        let memory = if call.op() == "LSTM" { Some(start(6)?) } else { None };
        let mut state = State { hidden: start(5)?, memory };
        let backward = direction == "reverse" || index == 1;
        let mut outputs = Vec::with_capacity(steps);
        for step in 0..steps {
            let at = if backward { steps - 1 - step } else { step };
            let input = scope.reshape(
                &scope.slice_axis(&cell.inputs, 0, at, at + 1)?,
                vec![batch, shape::at(&cell.inputs.shape, 2)],
            )?;
            state = if call.op() == "LSTM" {
                lstm(scope, &cell, &input, state)?
            } else {
                gru(scope, &cell, &input, state, call.attributes.flag("linear_before_reset", false)?)?
            };
            outputs.push(scope.reshape(&state.hidden, vec![1, 1, batch, hidden])?);
        }
        if backward {
            outputs.reverse();
        }
        sequences.push(scope.concat(&outputs, 0)?);
        last.push(scope.reshape(&state.hidden, vec![1, batch, hidden])?);
        if let Some(memory) = state.memory {
            memories.push(scope.reshape(&memory, vec![1, batch, hidden])?);
        }
    }
    let mut results = vec![Value::array(scope.concat(&sequences, 1)?), Value::array(scope.concat(&last, 0)?)];
    if !memories.is_empty() {
        results.push(Value::array(scope.concat(&memories, 0)?));
    }
    Ok(results)
}

fn cell(call: &Call<'_>, x: &Array, direction: usize, hidden: usize) -> Outcome<Cell> {
    let scope = &call.scope;
    let width = hidden.saturating_mul(gates(call.op()));
    let part = |operand: usize| -> Outcome<Array> {
        let whole = call.float(operand)?;
        let shape = whole.shape.get(1..).unwrap_or_default().to_vec();
        scope.reshape(&scope.slice_axis(&whole, 0, direction, direction + 1)?, shape)
    };
    let (w, r) = (part(1)?, part(2)?);
    if w.shape != [width, shape::at(&x.shape, 2)] || r.shape != [width, hidden] {
        return Err(Failure::Invalid(format!("weights {:?} and {:?} for {:?}", w.shape, r.shape, x.shape)));
    }
    // All steps' inputs are one product.
    let mut inputs = scope.matmul(x, &scope.swap(&w, 0, 1)?)?;
    let mut inner_bias = None;
    if call.get(3).is_some() {
        let bias = part(3)?;
        if bias.shape != [width.saturating_mul(2)] {
            return Err(Failure::Invalid(format!("a bias of {:?}", bias.shape)));
        }
        inputs = scope.add(&inputs, &scope.slice_axis(&bias, 0, 0, width)?)?;
        let mut recurrent = scope.slice_axis(&bias, 0, width, 2 * width)?;
        if call.op() == "GRU" {
            inner_bias = Some(scope.slice_axis(&recurrent, 0, 2 * hidden, width)?);
            let zeros = scope.full(DType::F32, vec![hidden], 0.0)?;
            recurrent = scope.concat(&[scope.slice_axis(&recurrent, 0, 0, 2 * hidden)?, zeros], 0)?;
        }
        inputs = scope.add(&inputs, &recurrent)?;
    }
    Ok(Cell { inputs, recurrence: scope.swap(&r, 0, 1)?, inner_bias, hidden })
}

/// `c = f c + i tanh(g)`, `h = o tanh(c)`.
fn lstm(scope: &Scope<'_>, cell: &Cell, input: &Array, state: State) -> Outcome<State> {
    let sums = scope.add(input, &scope.matmul(&state.hidden, &cell.recurrence)?)?;
    let gate = |index: usize| scope.slice_axis(&sums, 1, index * cell.hidden, (index + 1) * cell.hidden);
    let open = |index: usize| sigmoid(scope, &gate(index)?);
    let new = scope.mul(&open(0)?, &tanh(scope, &gate(3)?)?)?;
    let memory = match &state.memory {
        Some(memory) => scope.add(&scope.mul(&open(2)?, memory)?, &new)?,
        None => new,
    };
    let hidden = scope.mul(&open(1)?, &tanh(scope, &memory)?)?;
    Ok(State { hidden, memory: Some(memory) })
}

/// `h = (1 - z) n + z h`, with the reset gate before or after the recurrent product.
fn gru(scope: &Scope<'_>, cell: &Cell, input: &Array, state: State, linear: bool) -> Outcome<State> {
    let size = cell.hidden;
    let columns = |x: &Array, from: usize, to: usize| scope.slice_axis(x, 1, from * size, to * size);
    let product = scope.matmul(&state.hidden, &columns(&cell.recurrence, 0, 2)?)?;
    let sums = scope.add(&columns(input, 0, 2)?, &product)?;
    let update = sigmoid(scope, &columns(&sums, 0, 1)?)?;
    let reset = sigmoid(scope, &columns(&sums, 1, 2)?)?;
    let last = columns(&cell.recurrence, 2, 3)?;
    let biased = |x: Array| match &cell.inner_bias {
        Some(bias) => scope.add(&x, bias),
        None => Ok(x),
    };
    let inner = if linear {
        scope.mul(&reset, &biased(scope.matmul(&state.hidden, &last)?)?)?
    } else {
        biased(scope.matmul(&scope.mul(&reset, &state.hidden)?, &last)?)?
    };
    let new = tanh(scope, &scope.add(&columns(input, 2, 3)?, &inner)?)?;
    let kept = scope.mul(&update, &scope.sub(&state.hidden, &new)?)?;
    Ok(State { hidden: scope.add(&new, &kept)?, memory: None })
}
