//! `RNN`, `GRU` and `LSTM`, by their definition.

use super::elementwise::{UnaryOp, numbers};
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Rnn,
    Gru,
    Lstm,
}

/// A recurrent layer of one or two directions.
#[derive(Debug)]
struct Recurrent {
    cell: Cell,
    hidden: usize,
    /// For each direction whether it runs from the end.
    reverse: Vec<bool>,
    /// Of all directions, one after the other.
    activations: Vec<UnaryOp>,
    clip: Option<f64>,
    /// `layout=1`: the batch comes first.
    batch_first: bool,
    linear_before_reset: bool,
    couple_input_forget: bool,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    fn defaults(self) -> &'static [UnaryOp] {
        match self {
            Cell::Rnn => &[UnaryOp::Tanh],
            Cell::Gru => &[UnaryOp::Sigmoid, UnaryOp::Tanh],
            Cell::Lstm => &[UnaryOp::Sigmoid, UnaryOp::Tanh, UnaryOp::Tanh],
        }
    }
}

/// `RNN`, `GRU` and `LSTM`
pub(crate) fn recurrent(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let cell = match attributes.op() {
        "RNN" => Cell::Rnn,
        "GRU" => Cell::Gru,
        _ => Cell::Lstm,
    };
    let reverse = match attributes.text("direction", "forward")? {
        "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => return Err(Refusal::Invalid(format!("direction={other}"))),
    };
    let hidden = usize::try_from(attributes.int("hidden_size", 0)?).ok().filter(|size| (1..=1 << 24).contains(size));
    let activations = activations(attributes, cell, reverse.len())?;
    let clip = attributes.float("clip", 0.0)?;
    Ok(Arc::new(Recurrent {
        cell,
        hidden: hidden.ok_or_else(|| Refusal::Invalid("hidden_size is not a positive number".into()))?,
        activations,
        reverse,
        clip: (clip > 0.0).then_some(f64::from(clip)),
        batch_first: attributes.flag("layout", false)?,
        linear_before_reset: attributes.flag("linear_before_reset", false)?,
        couple_input_forget: attributes.flag("input_forget", false)?,
    }))
}

fn activations(attributes: &Attributes<'_>, cell: Cell, directions: usize) -> Result<Vec<UnaryOp>, Refusal> {
    let Some(names) = attributes.strings("activations")? else { return Ok(cell.defaults().repeat(directions)) };
    if names.len() != cell.defaults().len() * directions {
        return Err(Refusal::Invalid(format!("{} activations", names.len())));
    }
    let (mut alphas, mut betas) = (
        attributes.floats("activation_alpha")?.unwrap_or_default().iter().copied(),
        attributes.floats("activation_beta")?.unwrap_or_default().iter().copied(),
    );
    let parse = |name: &Vec<u8>| {
        let mut alpha = |default: f32| alphas.next().unwrap_or(default);
        Ok(match String::from_utf8_lossy(name).to_ascii_lowercase().as_str() {
            "relu" => UnaryOp::Relu,
            "tanh" => UnaryOp::Tanh,
            "sigmoid" => UnaryOp::Sigmoid,
            "softsign" => UnaryOp::Softsign,
            "softplus" => UnaryOp::Softplus,
            "leakyrelu" => UnaryOp::LeakyRelu { alpha: alpha(0.01) },
            "thresholdedrelu" => UnaryOp::ThresholdedRelu { alpha: alpha(1.0) },
            "elu" => UnaryOp::Elu { alpha: alpha(1.0) },
            "hardsigmoid" => UnaryOp::HardSigmoid { alpha: alpha(0.2), beta: betas.next().unwrap_or(0.5) },
            other => return Err(Refusal::Unsupported(format!("activation {other}"))),
        })
    };
    names.iter().map(parse).collect()
}

/// Sizes of one run.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    batch: usize,
    input: usize,
}

impl Recurrent {
    fn sizes(&self, x: &[usize]) -> Result<Sizes, String> {
        let &[a, b, input] = x else { return Err("the sequence is not of rank 3".into()) };
        let (steps, batch) = if self.batch_first { (b, a) } else { (a, b) };
        Ok(Sizes { steps, batch, input })
    }

    /// Place of the state of a direction and a batch.
    fn state(&self, sizes: Sizes, direction: usize, batch: usize) -> usize {
        let index =
            if self.batch_first { batch * self.reverse.len() + direction } else { direction * sizes.batch + batch };
        index * self.hidden
    }

    /// Place of a result of a step.
    fn result(&self, sizes: Sizes, step: usize, direction: usize, batch: usize) -> usize {
        let directions = self.reverse.len();
        let index = if self.batch_first {
            (batch * sizes.steps + step) * directions + direction
        } else {
            (step * directions + direction) * sizes.batch + batch
        };
        index * self.hidden
    }
}

impl Operator for Recurrent {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, FLOATS)?;
        [1, 2, 3, 5, 6, 7].into_iter().try_for_each(|index| expect_same(inputs, index, dtype))?;
        expect_same(inputs, 4, DType::I32)?;
        Ok(vec![dtype; if self.cell == Cell::Lstm { 3 } else { 2 }])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let sizes = self.sizes(inputs.shape(0)?)?;
        let (directions, gates) = (self.reverse.len(), self.cell.gates() * self.hidden);
        let (batch, hidden) = (sizes.batch, self.hidden);
        let state = if self.batch_first { vec![batch, directions, hidden] } else { vec![directions, batch, hidden] };
        let expected = [
            (1, vec![directions, gates, sizes.input]),
            (2, vec![directions, gates, hidden]),
            (3, vec![directions, 2 * gates]),
            (4, vec![batch]),
            (5, state.clone()),
            (6, state.clone()),
            (7, vec![directions, 3 * hidden]),
        ];
        for (index, shape) in expected {
            match inputs.get(index) {
                Some(fact) if fact.shape != shape => {
                    return Err(Refusal::Invalid(format!("operand {index} is {:?}, expected {shape:?}", fact.shape)));
                }
                None if index < 3 => return Err(Refusal::Invalid(format!("operand {index} is missing"))),
                _ => {}
            }
        }
        let all = if self.batch_first {
            vec![batch, sizes.steps, directions, hidden]
        } else {
            vec![sizes.steps, directions, batch, hidden]
        };
        Ok(if self.cell == Cell::Lstm { vec![all, state.clone(), state] } else { vec![all, state] })
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let sizes = self.sizes(input.shape)?;
        let optional = |index: usize| io.get(index).map(numbers).transpose();
        let (x, w, r) = (numbers(input)?, numbers(io.input(1)?)?, numbers(io.input(2)?)?);
        let (bias, hidden, cell, peephole) = (optional(3)?, optional(5)?, optional(6)?, optional(7)?);
        let lengths = io.get(4).map(|view| view.to_ints()).transpose()?;
        let states = self.reverse.len() * sizes.batch * self.hidden;
        let mut all = vec![0.0; sizes.steps * states];
        let mut hidden = hidden.unwrap_or_else(|| vec![0.0; states]);
        let mut cell = cell.unwrap_or_else(|| vec![0.0; states]);
        let gates = self.cell.gates() * self.hidden;
        for (direction, reverse) in self.reverse.iter().enumerate() {
            let bias = bias.as_ref().map(|bias| &bias[direction * 2 * gates..][..2 * gates]);
            let weights = Weights {
                w: &w[direction * gates * sizes.input..][..gates * sizes.input],
                r: &r[direction * gates * self.hidden..][..gates * self.hidden],
                bias,
                peephole: peephole.as_ref().map(|p| &p[direction * 3 * self.hidden..][..3 * self.hidden]),
                activations: &self.activations[direction * self.cell.defaults().len()..],
            };
            for batch in 0..sizes.batch {
                let state = self.state(sizes, direction, batch)..self.state(sizes, direction, batch) + self.hidden;
                let length = lengths.as_ref().and_then(|lengths| lengths.get(batch));
                let length =
                    length.map_or(sizes.steps, |length| usize::try_from(*length).unwrap_or(0).min(sizes.steps));
                for step in 0..length {
                    io.limits.check()?;
                    let at = if *reverse { length - 1 - step } else { step };
                    let place = if self.batch_first { batch * sizes.steps + at } else { at * sizes.batch + batch };
                    let x = &x[place * sizes.input..][..sizes.input];
                    self.step(&weights, x, &mut hidden[state.clone()], &mut cell[state.clone()]);
                    all[self.result(sizes, at, direction, batch)..][..self.hidden]
                        .copy_from_slice(&hidden[state.clone()]);
                }
            }
        }
        for (index, values) in [all, hidden, cell].iter().enumerate() {
            let Some(output) = io.output_if_any(index) else { continue };
            output.numbers()?.write(values);
        }
        Ok(())
    }
}

/// Weights of one direction.
struct Weights<'a> {
    /// `[gates * hidden, input]`
    w: &'a [f64],
    /// `[gates * hidden, hidden]`
    r: &'a [f64],
    /// Those of W, then those of R.
    bias: Option<&'a [f64]>,
    /// Of the input, output and forget gate.
    peephole: Option<&'a [f64]>,
    activations: &'a [UnaryOp],
}

impl Weights<'_> {
    fn input(&self, row: usize, x: &[f64]) -> f64 {
        dot(&self.w[row * x.len()..], x) + self.bias.map_or(0.0, |bias| bias[row])
    }

    fn hidden(&self, row: usize, h: &[f64]) -> f64 {
        dot(&self.r[row * h.len()..], h) + self.bias.map_or(0.0, |bias| bias[bias.len() / 2 + row])
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Recurrent {
    fn apply(&self, op: UnaryOp, x: f64) -> f64 {
        op.apply(self.clip.map_or(x, |clip| x.clamp(-clip, clip)))
    }

    /// One step for one member of the batch.
    fn step(&self, weights: &Weights<'_>, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let n = self.hidden;
        let before = h.to_vec();
        let sum = |gate: usize, i: usize| weights.input(gate * n + i, x) + weights.hidden(gate * n + i, &before);
        match (self.cell, weights.activations) {
            (Cell::Rnn, [f, ..]) => (0..n).for_each(|i| h[i] = self.apply(*f, sum(0, i))),
            (Cell::Gru, [f, g, ..]) => {
                let reset: Vec<f64> = (0..n).map(|i| self.apply(*f, sum(1, i))).collect();
                let gated: Vec<f64> = reset.iter().zip(&before).map(|(r, h)| r * h).collect();
                for i in 0..n {
                    let update = self.apply(*f, sum(0, i));
                    let recurrent = if self.linear_before_reset {
                        reset[i] * weights.hidden(2 * n + i, &before)
                    } else {
                        weights.hidden(2 * n + i, &gated)
                    };
                    let new = self.apply(*g, weights.input(2 * n + i, x) + recurrent);
                    h[i] = (1.0 - update) * new + update * before[i];
                }
            }
            (Cell::Lstm, [f, g, out, ..]) => {
                // Gates lie in the order input, output, forget, cell.
                let peep = |gate: usize, i: usize, c: f64| weights.peephole.map_or(0.0, |p| p[gate * n + i] * c);
                for i in 0..n {
                    let input = self.apply(*f, sum(0, i) + peep(0, i, c[i]));
                    let forget = if self.couple_input_forget {
                        1.0 - input
                    } else {
                        self.apply(*f, sum(2, i) + peep(2, i, c[i]))
                    };
                    let next = forget * c[i] + input * self.apply(*g, sum(3, i));
                    let output = self.apply(*f, sum(1, i) + peep(1, i, next));
                    c[i] = next;
                    h[i] = output * out.apply(next);
                }
            }
            _ => {}
        }
    }
}
