//! Activation functions that exporters write in pieces become one operator again.
//!
//! A product is seen as a number times factors, a sum as a number plus terms, so that it does not matter in which order
//! and with how many nodes somebody wrote `x * clip(x + 3, 0, 6) / 6`.

use super::Context;
use crate::fused::{Chain, Epilogue, EpilogueStep, Fused};
use crate::import::Stop;
use crate::ir::{Id, Ir, Node, Op};
use pannier_engine::DType;
use pannier_kernels::Activation;

/// Most factors or terms that are looked at.
const MOST_PARTS: usize = 8;

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    let mut makers = vec![None; ir.values.len()];
    for (index, node) in ir.nodes.iter().enumerate() {
        node.outputs.iter().flatten().for_each(|id| makers[*id] = Some(index));
    }
    let uses = ir.uses();
    // From the end: the whole before its parts.
    for index in (0..ir.nodes.len()).rev() {
        let pattern = Pattern { ir, makers: &makers, uses: &uses };
        let Some((x, steps)) = ir.nodes[index].output().and_then(|output| pattern.activation(output)) else { continue };
        let chain = Chain { kernels: context.kernels, epilogue: Epilogue { steps } };
        let node = &mut ir.nodes[index];
        (node.op, node.inputs) = (Op::Fused(Fused::Chain(chain)), vec![Some(x)]);
    }
    Ok(())
}

struct Pattern<'a> {
    ir: &'a Ir,
    /// By value: the node that computes it.
    makers: &'a [Option<usize>],
    /// What is used more than once is not taken apart: it may be the argument that is looked for.
    uses: &'a [usize],
}

/// A number and what it is multiplied with, or added to.
struct Parts {
    number: f32,
    parts: Vec<Id>,
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs()
}

impl Pattern<'_> {
    fn maker(&self, id: Id) -> Option<&Node> {
        self.ir.nodes.get((*self.makers.get(id)?)?)
    }

    /// The operand of a node with this operator.
    fn operand(&self, id: Id, op: &str) -> Option<Id> {
        self.maker(id).filter(|node| node.is(op)).and_then(|node| node.input(0))
    }

    /// A value as a product.
    fn product(&self, root: Id) -> Parts {
        let mut product = Parts { number: 1.0, parts: Vec::new() };
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            let inner = id == root || self.uses[id] == 1;
            let node = self.maker(id).filter(|_| inner && open.len() + product.parts.len() < MOST_PARTS);
            let pair = node.and_then(|node| Some((node, node.input(0)?, node.input(1)?)));
            if let Some(number) = self.ir.values[id].scalar() {
                product.number *= number;
            } else if let Some((_, a, b)) = pair.filter(|(node, ..)| node.is("Mul")) {
                open.extend([b, a]);
            } else if let Some((_, a, b)) = pair.filter(|(node, ..)| node.is("Div"))
                && let Some(divisor) = self.ir.values[b].scalar()
            {
                product.number /= divisor;
                open.push(a);
            } else {
                product.parts.push(id);
            }
        }
        product
    }

    /// A value as a sum.
    fn sum(&self, root: Id) -> Parts {
        let mut sum = Parts { number: 0.0, parts: Vec::new() };
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            let inner = id == root || self.uses[id] == 1;
            let node = self.maker(id).filter(|_| inner && open.len() + sum.parts.len() < MOST_PARTS);
            if let Some(number) = self.ir.values[id].scalar() {
                sum.number += number;
            } else if let Some((a, b)) =
                node.filter(|node| node.is("Add")).and_then(|node| node.input(0).zip(node.input(1)))
            {
                open.extend([b, a]);
            } else {
                sum.parts.push(id);
            }
        }
        sum
    }

    /// What a value is a function of, with the function.
    fn activation(&self, id: Id) -> Option<(Id, Vec<EpilogueStep>)> {
        let node = self.maker(id)?;
        if self.ir.values[id].dtype != DType::F32 || !(node.is("Mul") || node.is("Div")) {
            return None;
        }
        let product = self.product(id);
        let (x, activation, rest) = match product.parts.as_slice() {
            [a, b] => self.gated(*a, *b, product.number).or_else(|| self.gated(*b, *a, product.number))?,
            _ => return None,
        };
        if self.ir.shape(x) != self.ir.shape(id) {
            return None;
        }
        let mut steps = vec![EpilogueStep::Activate(activation)];
        if !near(rest, 1.0) {
            steps.push(EpilogueStep::Affine { scale: rest, shift: 0.0 });
        }
        Some((x, steps))
    }

    /// `number * x * gate(x)`: the function, and the factor that is left over.
    fn gated(&self, x: Id, gate: Id, number: f32) -> Option<(Id, Activation, f32)> {
        if self.sigmoid_of(gate, x) {
            return Some((x, Activation::Silu, number));
        }
        if let Some((alpha, beta)) = self.hard_sigmoid_of(gate, x) {
            return Some((x, Activation::HardSwish { alpha, beta }, number));
        }
        if let Some((low, high, shift)) = self.clip_of(gate, x) {
            // x * clip(x + shift, 0, high) is high times x * clip((x + shift) / high, 0, 1).
            let fits = low == 0.0 && high > 0.0 && high.is_finite();
            return fits.then(|| (x, Activation::HardSwish { alpha: 1.0 / high, beta: shift / high }, number * high));
        }
        // x * (1 + erf(x / sqrt 2)) / 2, or with the hyperbolic tangent.
        let sum = self.sum(gate);
        let &[term] = sum.parts.as_slice() else { return None };
        if !near(sum.number, 1.0) {
            return None;
        }
        if let Some(argument) = self.operand(term, "Erf") {
            let product = self.product(argument);
            let fits = product.parts == [x] && near(product.number, std::f32::consts::FRAC_1_SQRT_2);
            return fits.then_some((x, Activation::Gelu, number * 2.0));
        }
        let argument = self.operand(term, "Tanh")?;
        self.gelu_argument(argument, x).then_some((x, Activation::GeluTanh, number * 2.0))
    }

    fn sigmoid_of(&self, id: Id, x: Id) -> bool {
        self.operand(id, "Sigmoid").is_some_and(|argument| {
            let product = self.product(argument);
            product.parts == [x] && product.number == 1.0
        })
    }

    fn hard_sigmoid_of(&self, id: Id, x: Id) -> Option<(f32, f32)> {
        let node = self.maker(id).filter(|node| node.is("HardSigmoid") && node.input(0) == Some(x))?;
        let float = |name: &str, default: f32| match node.standard().and_then(|node| node.attribute(name)) {
            Some(pannier_graph::Attribute::Float(value)) => *value,
            _ => default,
        };
        Some((float("alpha", 0.2), float("beta", 0.5)))
    }

    /// `clip(x + shift, low, high)`
    fn clip_of(&self, id: Id, x: Id) -> Option<(f32, f32, f32)> {
        let node = self.maker(id).filter(|node| node.is("Clip"))?;
        let bound = |index: usize| self.ir.values[node.input(index)?].scalar();
        let sum = self.sum(node.input(0)?);
        (sum.parts == [x]).then_some((bound(1)?, bound(2)?, sum.number))
    }

    /// `sqrt(2 / pi) * (x + 0.044715 * x^3)`
    fn gelu_argument(&self, id: Id, x: Id) -> bool {
        let product = self.product(id);
        let &[inner] = product.parts.as_slice() else { return false };
        let sum = self.sum(inner);
        let &[a, b] = sum.parts.as_slice() else { return false };
        let cubic = |id: Id| {
            let product = self.product(id);
            let cube = product.parts == [x, x, x] || matches!(product.parts.as_slice(), [one] if self.is_cube(*one, x));
            // Exporters write this constant with few digits.
            cube && (product.number - 0.044715).abs() < 1e-6
        };
        // Exporters write this one with few digits, too.
        (product.number - 0.797_884_6).abs() < 1e-5
            && sum.number == 0.0
            && ((a == x && cubic(b)) || (b == x && cubic(a)))
    }

    fn is_cube(&self, id: Id, x: Id) -> bool {
        self.maker(id).is_some_and(|node| {
            let three = node.input(1).and_then(|id| self.ir.values[id].scalar()) == Some(3.0);
            node.is("Pow") && node.input(0) == Some(x) && three
        })
    }
}
