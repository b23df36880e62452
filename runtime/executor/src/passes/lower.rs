//! Operators of the standard become our own where there is a kernel for them.

use super::Context;
use super::nbits;
use super::quantize;
use super::rewrite::Rewrite;
use crate::fused::{
    Chain, Combine, Epilogue, EpilogueStep, Fused, LayerNorm, Lstm, MatMul, QuantizedKernel, Reduce, Softmax, Weights,
    split,
};
use crate::import::Stop;
use crate::ir::{Id, Ir, Node, Op};
use crate::shape;
use pannier_engine::DType;
use pannier_graph::{Attribute, Node as GraphNode};
use pannier_kernels as kernels;
use pannier_kernels::Activation;

/// Every elementwise operator on binary32 becomes a chain of one step.
pub(super) fn elementwise(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    Rewrite::walk(ir, |rewrite, node| {
        let chain = chain(rewrite.ir, &node);
        match chain {
            Some((steps, operands)) => emit_chain(rewrite, context, node, steps, operands),
            None if node.is("BatchNormalization") => batch_norm(rewrite, context, node),
            None if is_folded(rewrite.ir, &node) => unfold(rewrite, context, node),
            None => rewrite.emit(node),
        }
        Ok(())
    })
}

/// Whether all of the node's tensors are binary32.
fn is_f32(ir: &Ir, node: &Node) -> bool {
    node.inputs.iter().chain(&node.outputs).flatten().all(|id| ir.values[*id].dtype == DType::F32)
}

fn float(node: &GraphNode, name: &str, default: f32) -> f32 {
    match node.attribute(name) {
        Some(Attribute::Float(value)) => *value,
        _ => default,
    }
}

fn int(node: &GraphNode, name: &str, default: i64) -> i64 {
    match node.attribute(name) {
        Some(Attribute::Int(value)) => *value,
        _ => default,
    }
}

/// The step that a node amounts to, with its main operand first.
fn chain(ir: &Ir, node: &Node) -> Option<(EpilogueStep, Vec<Id>)> {
    let standard = node.standard().filter(|_| is_f32(ir, node))?;
    let x = node.input(0)?;
    if let Some(activation) = activation(ir, standard, node) {
        return Some((EpilogueStep::Activate(activation), vec![x]));
    }
    let combine = match standard.op.as_str() {
        "Add" | "Sum" => Combine::Add,
        "Sub" => Combine::Sub,
        "Mul" => Combine::Mul,
        "Div" => Combine::Div,
        "Min" => Combine::Min,
        "Max" => Combine::Max,
        "PRelu" => Combine::PRelu,
        _ => return None,
    };
    let y = node.input(1).filter(|_| node.inputs.len() == 2)?;
    // A known number needs no operand.
    let affine = |scale: f32, shift: f32| Some(EpilogueStep::Affine { scale, shift });
    let result = ir.shape(node.output()?);
    if let Some(number) = ir.values[y].scalar().filter(|_| ir.shape(x) == result) {
        let step = match combine {
            Combine::Add => affine(1.0, number),
            Combine::Sub => affine(1.0, -number),
            Combine::Mul => affine(number, 0.0),
            Combine::Div if number != 0.0 => affine(1.0 / number, 0.0),
            _ => None,
        };
        if let Some(step) = step {
            return Some((step, vec![x]));
        }
    }
    if let Some(number) = ir.values[x].scalar().filter(|_| ir.shape(y) == result) {
        let step = match combine {
            Combine::Add => affine(1.0, number),
            Combine::Sub => affine(-1.0, number),
            Combine::Mul => affine(number, 0.0),
            _ => None,
        };
        if let Some(step) = step {
            return Some((step, vec![y]));
        }
    }
    // The main operand has the shape of the result.
    if ir.shape(x) == result {
        return Some((EpilogueStep::Combine(combine), vec![x, y]));
    }
    let swapped = combine.swapped().filter(|_| ir.shape(y) == result)?;
    Some((EpilogueStep::Combine(swapped), vec![y, x]))
}

fn activation(ir: &Ir, standard: &GraphNode, node: &Node) -> Option<Activation> {
    Some(match standard.op.as_str() {
        "Relu" => Activation::Relu,
        "Clip" => {
            let bound = |index: usize, default: f32| match node.input(index) {
                Some(id) => ir.values[id].scalar(),
                None => Some(default),
            };
            Activation::Clip { min: bound(1, f32::NEG_INFINITY)?, max: bound(2, f32::INFINITY)? }
        }
        "LeakyRelu" => Activation::LeakyRelu { alpha: float(standard, "alpha", 0.01) },
        "HardSigmoid" => {
            Activation::HardSigmoid { alpha: float(standard, "alpha", 0.2), beta: float(standard, "beta", 0.5) }
        }
        "HardSwish" => Activation::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 },
        "Sigmoid" => Activation::Sigmoid,
        "Swish" if float(standard, "alpha", 1.0) == 1.0 => Activation::Silu,
        "Tanh" => Activation::Tanh,
        "Gelu" => match standard.attribute("approximate") {
            Some(Attribute::String(kind)) if kind == b"tanh" => Activation::GeluTanh,
            _ => Activation::Gelu,
        },
        "Erf" => Activation::Erf,
        "Elu" => Activation::Elu { alpha: float(standard, "alpha", 1.0) },
        "Softplus" => Activation::Softplus,
        "Exp" => Activation::Exp,
        "Log" => Activation::Log,
        "Sqrt" => Activation::Sqrt,
        "Reciprocal" => Activation::Reciprocal,
        "Abs" => Activation::Abs,
        "Neg" => Activation::Neg,
        "Pow" => match ir.values[node.input(1)?].scalar()? {
            2.0 => Activation::Square,
            0.5 => Activation::Sqrt,
            _ => return None,
        },
        _ => return None,
    })
}

/// Emits a chain; an operand that fits no matrix is expanded first.
fn emit_chain(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: Node, step: EpilogueStep, operands: Vec<Id>) {
    let Some(output) = node.output() else { return };
    let result = rewrite.ir.shape(output).to_vec();
    let mut inputs = Vec::with_capacity(operands.len());
    for (index, operand) in operands.into_iter().enumerate() {
        let fits = index == 0 || split(&result, &[rewrite.ir.shape(operand)]).is_some();
        inputs.push(Some(if fits { operand } else { expanded(rewrite, operand, &result) }));
    }
    let chain = Chain { kernels: context.kernels, epilogue: Epilogue::new(step) };
    rewrite.emit(Node { op: Op::Fused(Fused::Chain(chain)), inputs, ..node });
}

/// The value repeated to this shape.
pub(super) fn expanded(rewrite: &mut Rewrite<'_>, id: Id, shape: &[usize]) -> Id {
    if rewrite.ir.shape(id) == shape {
        return id;
    }
    let name = rewrite.ir.values[id].name.clone();
    let expand = crate::fused::Expand { shape: shape.to_vec() };
    rewrite.make(&name, Op::Fused(Fused::Expand(expand)), vec![Some(id)], shape.to_vec())
}

/// Whether a node is an elementwise operator whose operands all have to be expanded, or that has more than two.
fn is_folded(ir: &Ir, node: &Node) -> bool {
    let known = node.is("Add")
        || node.is("Sub")
        || node.is("Mul")
        || node.is("Div")
        || node.is("Sum")
        || node.is("Max")
        || node.is("Min");
    known && is_f32(ir, node) && node.inputs.len() >= 2 && node.inputs.iter().all(Option::is_some)
}

/// Folds the operator over its operands, the first expanded to the result's shape.
fn unfold(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: Node) {
    let (Some(output), Some(standard)) = (node.output(), node.standard()) else { return rewrite.emit(node) };
    let combine = match standard.op.as_str() {
        "Sub" => Combine::Sub,
        "Mul" => Combine::Mul,
        "Div" => Combine::Div,
        "Max" => Combine::Max,
        "Min" => Combine::Min,
        _ => Combine::Add,
    };
    let shape = rewrite.ir.shape(output).to_vec();
    let operands: Vec<Id> = node.inputs.iter().flatten().copied().collect();
    let mut main = expanded(rewrite, operands[0], &shape);
    for (index, operand) in operands.iter().enumerate().skip(1) {
        let result =
            if index + 1 == operands.len() { output } else { rewrite.ir.fresh(&node.name, DType::F32, shape.clone()) };
        let step = Node { name: node.name.clone(), op: Op::Reshape, inputs: Vec::new(), outputs: vec![Some(result)] };
        emit_chain(rewrite, context, step, EpilogueStep::Combine(combine), vec![main, *operand]);
        main = result;
    }
}

/// With constant statistics it is a factor and a summand per channel.
fn batch_norm(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: Node) {
    let ir = &mut *rewrite.ir;
    let floats = |index: usize| Some(ir.values[node.input(index)?].floats()?.to_vec());
    let (Some(scale), Some(bias), Some(mean), Some(variance)) = (floats(1), floats(2), floats(3), floats(4)) else {
        return rewrite.emit(node);
    };
    let (Some(x), Some(output), Some(standard)) = (node.input(0), node.output(), node.standard()) else {
        return rewrite.emit(node);
    };
    let epsilon = float(standard, "epsilon", 1e-5);
    let factors: Vec<f32> =
        scale.iter().zip(&variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt()).collect();
    let summands: Vec<f32> =
        bias.iter().zip(&mean).zip(&factors).map(|((bias, mean), factor)| bias - mean * factor).collect();
    let mut shape = vec![1; ir.shape(x).len()];
    if let Some(channels) = shape.get_mut(1) {
        *channels = factors.len();
    }
    let (factors, summands) =
        (ir.float_constant(&node.name, shape.clone(), &factors), ir.float_constant(&node.name, shape, &summands));
    let whole = ir.shape(output).to_vec();
    let scaled = ir.fresh(&node.name, DType::F32, whole);
    let step =
        |output: Id| Node { name: node.name.clone(), op: Op::Reshape, inputs: Vec::new(), outputs: vec![Some(output)] };
    emit_chain(rewrite, context, step(scaled), EpilogueStep::Combine(Combine::Mul), vec![x, factors]);
    emit_chain(rewrite, context, step(output), EpilogueStep::Combine(Combine::Add), vec![scaled, summands]);
}

/// Products, reductions, normalisations and recurrent layers.
pub(super) fn kernels(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    Rewrite::walk(ir, |rewrite, node| {
        if let (Some(made), Some(output)) = (quantized_product(rewrite, context, &node), node.output()) {
            rewrite.rename(output, made);
            return Ok(());
        }
        let lowered = if is_f32(rewrite.ir, &node)
            || node.is("ReduceSum")
            || node.standard().is_some_and(|n| n.op.starts_with("Reduce"))
        {
            lower(rewrite, context, &node)
        } else {
            nbits::lower(rewrite, context, &node)
        };
        match lowered {
            Some((fused, inputs)) => rewrite.emit(Node { op: Op::Fused(fused), inputs, ..node }),
            None => rewrite.emit(node),
        }
        Ok(())
    })
}

fn lower(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<(Fused, Vec<Option<Id>>)> {
    let standard = node.standard()?;
    let x = node.input(0)?;
    match standard.op.as_str() {
        "MatMul" => matmul(rewrite, context, node),
        "Gemm" => gemm(rewrite, context, node),
        "Softmax" | "LogSoftmax" => {
            let from = rewrite.ir.shape(x);
            let axis = shape::axis(int(standard, "axis", -1), from.len()).ok()?;
            let log = standard.op == "LogSoftmax";
            (shape::len(&from[axis + 1..]) == 1)
                .then(|| (Fused::Softmax(Softmax { kernels: context.kernels, log }), vec![Some(x)]))
        }
        "LayerNormalization" if node.outputs.iter().skip(1).all(Option::is_none) => {
            let from = rewrite.ir.shape(x);
            let axis = shape::axis(int(standard, "axis", -1), from.len()).ok()?;
            let cols = shape::len(&from[axis..]);
            let whole = |index: usize| node.input(index).is_none_or(|id| rewrite.ir.values[id].len() == cols);
            let norm = LayerNorm { kernels: context.kernels, cols, epsilon: float(standard, "epsilon", 1e-5) };
            (whole(1) && whole(2)).then(|| (Fused::LayerNorm(norm), vec![Some(x), node.input(1), node.input(2)]))
        }
        "LSTM" => lstm(rewrite, context, node),
        _ => reduce(rewrite.ir, context, node),
    }
}

fn reduce(ir: &Ir, context: &Context<'_>, node: &Node) -> Option<(Fused, Vec<Option<Id>>)> {
    let standard = node.standard()?;
    let (x, output) = (node.input(0)?, node.output()?);
    if ir.values[x].dtype != DType::F32 {
        return None;
    }
    let reduce = match standard.op.as_str() {
        "ReduceSum" => kernels::Reduce::Sum,
        "ReduceMean" => kernels::Reduce::Mean,
        "ReduceSumSquare" => kernels::Reduce::SumSquare,
        "ReduceMax" => kernels::Reduce::Max,
        "ReduceMin" => kernels::Reduce::Min,
        _ => return None,
    };
    let from = ir.shape(x);
    let list = match node.input(1) {
        Some(id) => ir.values[id].ints()?,
        None => Vec::new(),
    };
    if list.is_empty() && int(standard, "noop_with_empty_axes", 0) != 0 {
        return None;
    }
    let mut axes = if list.is_empty() { (0..from.len()).collect() } else { shape::axes(&list, from.len()).ok()? };
    axes.sort_unstable();
    let (first, last) = (*axes.first()?, *axes.last()?);
    // Axes of size 1 between others change nothing.
    let together = (first..=last).all(|axis| axes.contains(&axis) || from[axis] == 1);
    let (outer, along, inner) =
        (shape::len(&from[..first]), shape::len(&from[first..=last]), shape::len(&from[last + 1..]));
    if !together || along == 0 {
        return None;
    }
    let shape = ir.shape(output).to_vec();
    let fused = Reduce { kernels: context.kernels, reduce, outer, along, inner, shape };
    Some((Fused::Reduce(fused), vec![Some(x)]))
}

fn matmul(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<(Fused, Vec<Option<Id>>)> {
    let (a, b, output) = (node.input(0)?, node.input(1)?, node.output()?);
    let ir = &*rewrite.ir;
    let (a_shape, b_shape, shape) = (ir.shape(a), ir.shape(b), ir.shape(output).to_vec());
    if a_shape.len() < 2 || b_shape.len() < 2 {
        return None;
    }
    let (&[m, k], &[_, n]) = (&a_shape[a_shape.len() - 2..], &b_shape[b_shape.len() - 2..]) else { return None };
    let (a_batch, b_batch) = (&a_shape[..a_shape.len() - 2], &b_shape[..b_shape.len() - 2]);
    let product = context.kernels.matmul(k, n).ok()?;
    let (weights, batch, rows, b) = if shape::len(b_batch) == 1 {
        let rows = shape::len(a_batch).checked_mul(m)?;
        let weights = if ir.is_constant(b) {
            Weights::Constant { transposed: false }
        } else {
            Weights::Operand { transposed: false }
        };
        (weights, 1, rows, b)
    } else if a_batch == b_batch {
        // Transposes of the second matrix are for the packing.
        match transposed_matrix(rewrite, b) {
            Some(source) => (Weights::Operand { transposed: true }, shape::len(a_batch), m, source),
            None => (Weights::Operand { transposed: false }, shape::len(a_batch), m, b),
        }
    } else {
        return None;
    };
    let fused = MatMul { product, weights, batch, rows, epilogue: Epilogue::default(), shape };
    let mut inputs = vec![Some(a), Some(b)];
    if matches!(weights, Weights::Constant { .. }) {
        inputs.push(None);
    }
    Some((Fused::MatMul(fused), inputs))
}

/// A product of integers with constant weights, if that is what it comes to.
fn quantized_product(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<Id> {
    let standard = node.standard().filter(|standard| matches!(standard.op.as_str(), "MatMul" | "Gemm"))?;
    let plain = float(standard, "alpha", 1.0) == 1.0 && float(standard, "beta", 1.0) == 1.0;
    let transposed = int(standard, "transB", 0) != 0;
    if int(standard, "transA", 0) != 0 || !plain {
        return None;
    }
    let (a, b, output) = (node.input(0)?, node.input(1)?, node.output()?);
    let &[first, second] = rewrite.ir.shape(b) else { return None };
    let (k, n) = if transposed { (second, first) } else { (first, second) };
    let (a_shape, shape) = (rewrite.ir.shape(a), rewrite.ir.shape(output).to_vec());
    if a_shape.len() < 2 {
        return None;
    }
    let rows = shape::len(a_shape).checked_div(k)?;
    let layer = quantize::layer(rewrite, node, usize::from(!transposed))?;
    let product = context.kernels.byte_matmul(k, n).ok()?;
    let a = layer.a;
    Some(layer.emit(rewrite, &node.name, QuantizedKernel::MatMul { product, rows, transposed }, a, shape))
}

/// What a value is the transpose of, in its last two axes.
fn transposed_matrix(rewrite: &Rewrite<'_>, id: Id) -> Option<Id> {
    let maker = rewrite.maker(id)?;
    let Op::Transpose(perm) = &maker.op else { return None };
    let rank = perm.len();
    let last = perm.iter().enumerate().all(|(index, axis)| match rank - index {
        1 => *axis + 2 == rank,
        2 => *axis + 1 == rank,
        _ => *axis == index,
    });
    maker.input(0).filter(|_| last)
}

fn gemm(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<(Fused, Vec<Option<Id>>)> {
    let standard = node.standard()?;
    let (a, b, output) = (node.input(0)?, node.input(1)?, node.output()?);
    let ir = &*rewrite.ir;
    let transposed = int(standard, "transB", 0) != 0;
    let plain = float(standard, "alpha", 1.0) == 1.0 && float(standard, "beta", 1.0) == 1.0;
    if int(standard, "transA", 0) != 0 || !plain || !ir.is_constant(b) {
        return None;
    }
    let &[m, k] = ir.shape(a) else { return None };
    let n = *ir.shape(output).last()?;
    // A bias per column goes into the packed weights.
    let bias = match node.input(2) {
        Some(c) if ir.is_constant(c) && ir.values[c].len() == n && ir.shape(c).last() == Some(&n) => Some(c),
        Some(_) => return None,
        None => None,
    };
    let product = context.kernels.matmul(k, n).ok()?;
    let weights = Weights::Constant { transposed };
    let fused = MatMul { product, weights, batch: 1, rows: m, epilogue: Epilogue::default(), shape: vec![m, n] };
    Some((Fused::MatMul(fused), vec![Some(a), Some(b), bias]))
}

/// One direction with the standard's own activations and constant weights.
fn lstm(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<(Fused, Vec<Option<Id>>)> {
    let standard = node.standard()?;
    let reverse = match standard.attribute("direction") {
        None => false,
        Some(Attribute::String(direction)) if direction == b"forward" => false,
        Some(Attribute::String(direction)) if direction == b"reverse" => true,
        Some(_) => return None,
    };
    let unusual = ["activations", "clip", "layout", "input_forget"].iter().any(|name| match standard.attribute(name) {
        None => false,
        Some(Attribute::Int(value)) => *value != 0,
        Some(Attribute::Float(value)) => *value != 0.0,
        Some(_) => true,
    });
    if unusual || node.input(4).is_some() || node.input(7).is_some() {
        return None;
    }
    let ir = &mut *rewrite.ir;
    let (x, w, r) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let &[steps, batch, width] = ir.shape(x) else { return None };
    let &[1, gates, hidden] = ir.shape(r) else { return None };
    let bias = match node.input(3) {
        Some(id) => Some(ir.values[id].floats()?.to_vec()),
        None => None,
    };
    let input = context.kernels.matmul(width, gates).ok()?;
    let hidden_product = context.kernels.matmul(hidden, gates).ok()?;
    if !ir.is_constant(w) || !ir.is_constant(r) {
        return None;
    }
    let halves = bias.as_deref().and_then(|bias| bias.split_at_checked(gates));
    let (of_w, of_r) = halves.unzip();
    let mut bias = |values: Option<&[f32]>| values.map(|values| ir.float_constant(&node.name, vec![gates], values));
    let (of_w, of_r) = (bias(of_w), bias(of_r));
    let storage = [None; 2];
    let fused =
        Lstm { kernels: context.kernels, input, hidden: hidden_product, steps, batch, reverse, packed: false, storage };
    Some((Fused::Lstm(fused), vec![Some(x), Some(w), of_w, Some(r), of_r, node.input(5), node.input(6)]))
}
