//! Finds what is computed of 8-bit integers.
//!
//! A layer of integers is written as a layer of numbers between `DequantizeLinear` and `QuantizeLinear`, or as products of integers
//! whose scales follow. The second form is rewritten into the first. Conversions become operators of our own, which layout and
//! fusion move and join; a layer both of whose operands are integers becomes one operator ([`layer`]), when it gets its kernel.
//! All other constant integers become numbers here, once.

use super::Context;
use super::quantize_rows;
use super::rewrite::Rewrite;
use crate::encoded::Encoded;
use crate::fused::{
    DynamicQuantize, Epilogue, Fused, Quant, Quantized, QuantizedChain, QuantizedKernel, QuantizedWeights, Source,
};
use crate::import::Stop;
use crate::ir::{Constant, Id, Ir, Node, Op};
use crate::limits::Going;
use crate::ops::{self, Io};
use crate::view::{View, ViewMut};
use pannier_engine::{DType, EngineError};
use pannier_graph::{AlignedBytes, Attribute, Node as GraphNode};
use pannier_kernels::ByteKind;
use std::sync::Arc;

const BYTES: [DType; 2] = [DType::U8, DType::I8];

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    Rewrite::walk(ir, |rewrite, node| {
        let made = scaled_integers(rewrite, &node)
            .or_else(|| integer_product(rewrite, &node))
            .or_else(|| quantize_rows::lookup(rewrite, &node));
        rewrite.emit(made.unwrap_or(node));
        Ok::<(), Stop>(())
    })?;
    super::cleanup::dead_code(ir);
    let wanted = wanted_as_integers(ir);
    Rewrite::walk(ir, |rewrite, mut node| {
        if is_constant(rewrite.ir, &node) && node.output().is_some_and(|output| !wanted[output]) {
            return dequantize_now(rewrite, context, node);
        }
        if let Some(fused) = conversion(rewrite.ir, context, &node) {
            let scale_and_zero = 1..node.inputs.len();
            node.inputs.drain(scale_and_zero);
            node.op = Op::Fused(fused);
        }
        rewrite.emit(node);
        Ok(())
    })
}

/// A node of the standard, without operands.
pub(super) fn standard(op: &str, attributes: Vec<(String, Attribute)>) -> Option<Op> {
    let node = GraphNode {
        name: String::new(),
        domain: String::new(),
        op: op.to_string(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        attributes,
    };
    let operator = ops::build(&node).ok()?;
    Some(Op::Standard { node: Arc::new(node), operator })
}

/// `Cast(MatMulInteger(q, w, z, wz)) * (s * ws)` as a layer of numbers `(q - z) s` and `(w - wz) ws`; convolutions likewise.
fn scaled_integers(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Node> {
    if !node.is("Mul") || rewrite.ir.values[node.output()?].dtype != DType::F32 {
        return None;
    }
    let (left, right) = (node.input(0)?, node.input(1)?);
    let layer = |id: Id| {
        let cast = rewrite.maker(id).filter(|cast| cast.is("Cast"))?;
        rewrite.maker(cast.input(0)?).filter(|layer| layer.is("MatMulInteger") || layer.is("ConvInteger"))
    };
    let (layer, scales) = match (layer(left), layer(right)) {
        (Some(layer), None) => (layer.clone(), right),
        (None, Some(layer)) => (layer.clone(), left),
        _ => return None,
    };
    let product = rewrite.maker(scales).filter(|product| product.is("Mul"))?;
    let (first, second) = (product.input(0)?, product.input(1)?);
    let (scale, weight_scale) = if rewrite.ir.is_constant(second) { (first, second) } else { (second, first) };
    let (q, w, zero, weight_zero) = (layer.input(0)?, layer.input(1)?, layer.input(2), layer.input(3));
    let ir = &*rewrite.ir;
    let constant = |id: Id| ir.is_constant(id);
    if ir.values[scale].len() != 1 || !constant(weight_scale) || !constant(w) || !weight_zero.is_none_or(constant) {
        return None;
    }
    let convolution = layer.is("ConvInteger");
    let (channels, axis) = if convolution { (*ir.shape(w).first()?, 0) } else { (*ir.shape(w).get(1)?, 1) };
    let scales = match (ir.values[weight_scale].len(), ir.shape(w).len()) {
        (1, _) => Vec::new(),
        (len, rank) if len == channels && (convolution || rank == 2) => vec![channels],
        _ => return None,
    };
    // The dimensions that scales had in the product with a whole result are not those that they have beside weights.
    let last = ir.shape(weight_scale).last() == Some(&channels);
    if !scales.is_empty() && !convolution && !last {
        return None;
    }
    let conversion = standard("DequantizeLinear", Vec::new())?;
    let weights = standard("DequantizeLinear", vec![("axis".into(), Attribute::Int(axis))])?;
    let (op, attributes) = (if convolution { "Conv" } else { "MatMul" }, layer.standard()?.attributes.clone());
    let op = standard(op, attributes)?;
    let scalar = rewrite.reshaped(scale, &[]);
    let zero = zero.map(|zero| rewrite.reshaped(zero, &[]));
    let weight_scale = rewrite.reshaped(weight_scale, &scales);
    let weight_zero = match weight_zero {
        Some(zero) if rewrite.ir.values[zero].len() == 1 && scales.is_empty() => Some(rewrite.reshaped(zero, &[])),
        Some(zero) if rewrite.ir.values[zero].len() == channels && !scales.is_empty() => Some(zero),
        Some(zero) if rewrite.ir.values[zero].view().is_some_and(|view| view.bytes.iter().all(|byte| *byte == 0)) => {
            None
        }
        Some(_) => return None,
        None => None,
    };
    let shape = |rewrite: &Rewrite<'_>, id: Id| rewrite.ir.shape(id).to_vec();
    let (q_shape, w_shape) = (shape(rewrite, q), shape(rewrite, w));
    let a = numbers(rewrite, &node.name, conversion, vec![Some(q), Some(scalar), zero], q_shape);
    let b = numbers(rewrite, &node.name, weights, vec![Some(w), Some(weight_scale), weight_zero], w_shape);
    Some(Node { name: node.name.clone(), op, inputs: vec![Some(a), Some(b)], outputs: node.outputs.clone() })
}

/// `QLinearMatMul` of two operands that are computed, as a product of numbers between conversions.
fn integer_product(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Node> {
    if !node.is("QLinearMatMul") {
        return None;
    }
    let ir = &*rewrite.ir;
    let (a, b, output) = (node.input(0)?, node.input(3)?, node.output()?);
    let single = |index: usize| node.input(index).is_some_and(|id| ir.values[id].len() == 1);
    let ranks = ir.shape(a).len() >= 2 && ir.shape(b).len() >= 2;
    let floats = |index: usize| node.input(index).is_some_and(|id| ir.values[id].dtype == DType::F32);
    if !ranks || ![1, 2, 4, 5, 6, 7].into_iter().all(single) || ![1, 4, 6].into_iter().all(floats) {
        return None;
    }
    let (a_shape, b_shape, shape) = (ir.shape(a).to_vec(), ir.shape(b).to_vec(), ir.shape(output).to_vec());
    let mut numbers = |of: [usize; 3], shape: Vec<usize>| {
        let [q, scale, zero] = [node.input(of[0])?, node.input(of[1])?, node.input(of[2])?];
        let (scale, zero) = (rewrite.reshaped(scale, &[]), rewrite.reshaped(zero, &[]));
        let op = standard("DequantizeLinear", Vec::new())?;
        Some(numbers(rewrite, &node.name, op, vec![Some(q), Some(scale), Some(zero)], shape))
    };
    let (a, b) = (numbers([0, 1, 2], a_shape)?, numbers([3, 4, 5], b_shape)?);
    let product = standard("MatMul", Vec::new())?;
    let product = self::numbers(rewrite, &node.name, product, vec![Some(a), Some(b)], shape);
    let (scale, zero) = (rewrite.reshaped(node.input(6)?, &[]), rewrite.reshaped(node.input(7)?, &[]));
    let inputs = vec![Some(product), Some(scale), Some(zero)];
    let op = standard("QuantizeLinear", Vec::new())?;
    Some(Node { name: node.name.clone(), op, inputs, outputs: node.outputs.clone() })
}

/// Emits a node whose result are numbers of this shape.
pub(super) fn numbers(rewrite: &mut Rewrite<'_>, name: &str, op: Op, inputs: Vec<Option<Id>>, shape: Vec<usize>) -> Id {
    let output = rewrite.ir.fresh(name, DType::F32, shape);
    rewrite.emit(Node { name: name.to_string(), op, inputs, outputs: vec![Some(output)] });
    output
}

/// Whether numbers are made of constant integers.
pub(super) fn is_constant(ir: &Ir, node: &Node) -> bool {
    node.is("DequantizeLinear") && node.inputs.iter().flatten().all(|id| ir.is_constant(*id))
}

/// By value: whether it is made of constant integers, and only used by layers that may take those as they are.
fn wanted_as_integers(ir: &Ir) -> Vec<bool> {
    let (mut integers, mut constant) = (vec![false; ir.values.len()], vec![false; ir.values.len()]);
    for node in &ir.nodes {
        let (Some(x), Some(output)) = (node.input(0), node.output()) else { continue };
        if matches!(node.op, Op::Reshape | Op::Transpose(_)) {
            integers[output] = integers[x];
        } else if let Some(scale) = node.input(1).filter(|_| node.is("DequantizeLinear")) {
            constant[output] = is_constant(ir, node);
            let one_scale = BYTES.contains(&ir.values[x].dtype) && ir.values[scale].len() == 1;
            integers[output] = one_scale && !constant[output];
        }
    }
    let mut wanted = constant;
    for node in &ir.nodes {
        let of_integers = is_layer(ir, node) && node.input(0).is_some_and(|x| integers[x]);
        for (index, id) in node.inputs.iter().enumerate() {
            let Some(id) = *id else { continue };
            if !of_integers || !matches!(index, 1 | 2) {
                wanted[id] = false;
            }
        }
    }
    ir.outputs.iter().for_each(|id| wanted[*id] = false);
    wanted
}

/// Whether there are kernels for such a layer of integers.
fn is_layer(ir: &Ir, node: &Node) -> bool {
    let rank = |index: usize| node.input(index).map_or(0, |id| ir.shape(id).len());
    let Some(standard) = node.standard() else { return false };
    let plain = |name: &str, value: &Attribute| standard.attribute(name).is_none_or(|found| found == value);
    match standard.op.as_str() {
        "Conv" => matches!(rank(1), 3 | 4),
        "MatMul" => rank(0) >= 2 && rank(1) == 2,
        "Gemm" => {
            plain("transA", &Attribute::Int(0))
                && plain("alpha", &Attribute::Float(1.0))
                && plain("beta", &Attribute::Float(1.0))
        }
        _ => false,
    }
}

/// Constant numbers of constant integers, which stay as they are stored.
fn encoded(ir: &Ir, node: &Node) -> Option<Encoded> {
    let (q, scale) = (&ir.values[node.input(0)?], &ir.values[node.input(1)?]);
    let zeros = match node.input(2) {
        Some(id) => ir.values[id].view()?.bytes,
        None => &[],
    };
    let int = |name: &str, default: i64| match node.standard()?.attribute(name) {
        Some(Attribute::Int(value)) => Some(*value),
        Some(_) => None,
        None => Some(default),
    };
    let along = match scale.len() {
        1 => (0, 0),
        _ => (crate::shape::axis(int("axis", 1)?, q.shape.len()).ok()?, usize::try_from(int("block_size", 0)?).ok()?),
    };
    let plain = q.len() > 0 && ir.values[node.output()?].dtype == DType::F32 && BYTES.contains(&q.dtype);
    let bytes = q.constant.clone().filter(|_| plain)?;
    Encoded::dequantized(bytes, q.dtype, &q.shape, scale.floats()?, zeros, along)
}

/// Computes constant numbers of constant integers.
fn dequantize_now(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: Node) -> Result<(), Stop> {
    context.limits.check_time(&node.name)?;
    let failed = |reason: String| Stop::from(EngineError::Failed { node: node.name.clone(), reason });
    let (Op::Standard { operator, .. }, Some(output)) = (&node.op, node.output()) else {
        rewrite.emit(node);
        return Ok(());
    };
    let encoded = context.reads_operators_integers().then(|| encoded(rewrite.ir, &node)).flatten();
    if let Some(encoded) = encoded {
        rewrite.ir.values[output].constant = Some(Constant::encoded(encoded));
        return Ok(());
    }
    let value = &rewrite.ir.values[output];
    context.limits.check_tensor(&node.name, value.size_bytes())?;
    let none = || failed("there is no memory for the numbers".into());
    let mut bytes = AlignedBytes::try_zeroed(value.size_bytes()).ok_or_else(none)?;
    let views: Vec<Option<View<'_>>> =
        node.inputs.iter().map(|id| id.and_then(|id| rewrite.ir.values[id].view())).collect();
    let mut to = [Some(ViewMut { dtype: value.dtype, shape: &value.shape, bytes: bytes.as_bytes_mut() })];
    let mut io = Io { inputs: &views, outputs: &mut to, scratch: &mut [], limits: Going::default(), pool: None };
    operator.run(&mut io).map_err(failed)?;
    rewrite.ir.values[output].constant = Some(Constant::owned(bytes));
    Ok(())
}

/// What `size` integers stand for that have one known scale.
fn quant(ir: &Ir, node: &Node, dtype: DType) -> Option<Quant> {
    let scale = ir.values[node.input(1)?].scalar().filter(|scale| scale.is_finite() && *scale > 0.0)?;
    let zero = match node.input(2) {
        Some(id) => match ir.values[id].ints()?.as_slice() {
            [zero] => i32::try_from(*zero).ok()?,
            _ => return None,
        },
        None => 0,
    };
    BYTES.contains(&dtype).then_some(Quant { kind: ByteKind { signed: dtype == DType::I8, zero }, scale })
}

/// Our own form of a conversion.
fn conversion(ir: &Ir, context: &Context<'_>, node: &Node) -> Option<Fused> {
    let kernels = context.kernels;
    let (x, output) = (node.input(0)?, node.output());
    match node.standard()?.op.as_str() {
        "DynamicQuantizeLinear" => Some(Fused::DynamicQuantize(DynamicQuantize { kernels })),
        "QuantizeLinear" if ir.values[x].dtype == DType::F32 => {
            let to = quant(ir, node, ir.values[output?].dtype)?;
            Some(Fused::QuantizedChain(QuantizedChain::convert(kernels, None, Some(to))))
        }
        "DequantizeLinear" if ir.values[output?].dtype == DType::F32 && !ir.is_constant(x) => {
            let from = quant(ir, node, ir.values[x].dtype)?;
            Some(Fused::QuantizedChain(QuantizedChain::convert(kernels, Some(from), None)))
        }
        _ => None,
    }
}

/// The operands of a layer of integers.
pub(super) struct Layer {
    /// The integers.
    pub(super) a: Id,
    source: Source,
    /// Scale and zero point of the integers, where those are operands.
    scale_and_zero: Vec<Option<Id>>,
    w: Id,
    weights: QuantizedWeights,
}

impl Layer {
    /// Emits the layer; returns its result, numbers of this shape.
    pub(super) fn emit(
        self,
        rewrite: &mut Rewrite<'_>,
        name: &str,
        kernel: QuantizedKernel,
        a: Id,
        shape: Vec<usize>,
    ) -> Id {
        let Layer { source, scale_and_zero, w, weights, .. } = self;
        let output = rewrite.ir.fresh(name, DType::F32, shape.clone());
        let (weights, epilogue) = (Arc::new(weights), Epilogue::default());
        let op = Quantized { kernel, source, weights, packed: false, epilogue, to: None, shape };
        let inputs = [vec![Some(a), Some(w)], scale_and_zero].concat();
        rewrite.emit(Node {
            name: name.to_string(),
            op: Op::Fused(Fused::Quantized(op)),
            inputs,
            outputs: vec![Some(output)],
        });
        output
    }
}

/// The integers of which a value is made, through what only moves elements.
fn integers(rewrite: &mut Rewrite<'_>, id: Id) -> Option<(Id, Source, Vec<Option<Id>>)> {
    let maker = rewrite.maker(id)?;
    let from = maker.input(0)?;
    match &maker.op {
        Op::Fused(Fused::QuantizedChain(chain)) => Some((from, Source::Known(chain.dequantizes()?), Vec::new())),
        Op::Standard { node, .. } if node.op == "DequantizeLinear" => {
            let (scale, zero, value) = (maker.input(1)?, maker.input(2), &rewrite.ir.values[from]);
            let single = |id: Id| rewrite.ir.values[id].len() == 1;
            let fits = BYTES.contains(&value.dtype) && single(scale) && zero.is_none_or(single);
            let source = Source::Operands { signed: value.dtype == DType::I8 };
            (fits && !rewrite.ir.is_constant(from)).then(|| (from, source, vec![Some(scale), zero]))
        }
        Op::Transpose(perm) => {
            let perm = perm.clone();
            let (source, kind, rest) = integers(rewrite, from)?;
            Some((rewrite.transposed(source, &perm), kind, rest))
        }
        Op::Reshape => {
            let (source, kind, rest) = integers(rewrite, from)?;
            let shape = rewrite.ir.shape(id).to_vec();
            Some((rewrite.reshaped(source, &shape), kind, rest))
        }
        _ => None,
    }
}

/// The operands of a layer, if the first is made of integers and the others of constant ones. `axis` is that of the weights' output
/// channels.
pub(super) fn layer(rewrite: &mut Rewrite<'_>, node: &Node, axis: usize) -> Option<Layer> {
    let maker = rewrite.maker(node.input(1)?).filter(|maker| is_constant(rewrite.ir, maker))?.clone();
    let (w, scale) = (maker.input(0)?, maker.input(1)?);
    let ir = &*rewrite.ir;
    let value = &ir.values[w];
    let channels = *value.shape.get(axis)?;
    let scales = ir.values[scale].floats()?.to_vec();
    let zeros: Vec<i32> = match maker.input(2) {
        Some(id) => ir.values[id].ints()?.into_iter().map(|zero| zero as i32).collect(),
        None => Vec::new(),
    };
    let along = match maker.standard()?.attribute("axis") {
        Some(Attribute::Int(along)) => crate::shape::axis(*along, value.shape.len()).ok()?,
        _ => 1,
    };
    let blocked = maker.standard()?.attribute("block_size").is_some_and(|size| *size != Attribute::Int(0));
    let one_each = scales.len() == 1 || (scales.len() == channels && along == axis);
    if blocked || !BYTES.contains(&value.dtype) || !one_each || ![0, 1, scales.len()].contains(&zeros.len()) {
        return None;
    }
    let signed = value.dtype == DType::I8;
    let bias = node.input(2);
    let (a, source, scale_and_zero) = integers(rewrite, node.input(0)?)?;
    let mut weights = QuantizedWeights { signed, zeros, scales, bias: None, shift: None };
    if let Some(bias) = bias {
        set_bias(rewrite, &mut weights, source, bias, channels)?;
    }
    Some(Layer { a, source, scale_and_zero, w, weights })
}

/// A bias of integers in the scale of the sums is added to those; any other one to the results.
fn set_bias(
    rewrite: &Rewrite<'_>,
    weights: &mut QuantizedWeights,
    source: Source,
    bias: Id,
    channels: usize,
) -> Option<()> {
    if let Some(numbers) = rewrite.ir.values[bias].floats() {
        weights.shift = Some(each(numbers, channels)?);
        return Some(());
    }
    let maker = rewrite.maker(bias).filter(|maker| is_constant(rewrite.ir, maker))?;
    let (value, scale) = (&rewrite.ir.values[maker.input(0)?], rewrite.ir.values[maker.input(1)?].floats()?);
    let zeros = match maker.input(2) {
        Some(id) => rewrite.ir.values[id].ints()?,
        None => Vec::new(),
    };
    if zeros.iter().any(|zero| *zero != 0) || value.dtype != DType::I32 {
        return None;
    }
    let (integers, scale) = (each(value.view()?.as_slice::<i32>().ok()?, channels)?, each(scale, channels)?);
    let of_sums = |channel: usize| {
        let Source::Known(Quant { scale: from, .. }) = source else { return false };
        let own = weights.scales.get(if weights.scales.len() == 1 { 0 } else { channel }).copied().unwrap_or(0.0);
        (from * own - scale[channel]).abs() <= 1e-5 * scale[channel].abs()
    };
    if (0..channels).all(of_sums) {
        weights.bias = Some(integers);
    } else {
        weights.shift = Some(integers.iter().zip(&scale).map(|(q, scale)| *q as f32 * scale).collect());
    }
    Some(())
}

/// One number per channel.
fn each<T: Copy>(values: &[T], channels: usize) -> Option<Vec<T>> {
    match values {
        [value] => Some(vec![*value; channels]),
        values => (values.len() == channels).then(|| values.to_vec()),
    }
}
