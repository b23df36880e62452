//! Images become channels-last.
//!
//! Each convolution and pooling is surrounded by two transposes. Those behind it are then pushed down through elementwise
//! work and concatenations until they meet the one before the next convolution, and both are gone. What is left stands at
//! the borders of the convolutional part of a program.

use super::Context;
use super::lower::expanded;
use super::quantize;
use super::rewrite::Rewrite;
use crate::fused::{Conv, ConvTranspose, Epilogue, Fused, Nearest, Pool, QuantizedKernel, Reduce, split};
use crate::import::Stop;
use crate::ir::{Id, Ir, Node, Op};
use crate::ops::{self, Axis, ResizeMode, Window};
use crate::order::sorted;
use crate::shape;
use pannier_engine::DType;
use pannier_graph::{Attribute, Node as GraphNode};
use pannier_kernels as kernels;

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    Rewrite::walk(ir, |rewrite, node| {
        let f32s =
            node.inputs.iter().chain(&node.outputs).flatten().all(|id| rewrite.ir.values[*id].dtype == DType::F32);
        let done = match node.standard().map(|standard| standard.op.as_str()) {
            Some("Conv") if f32s => {
                quantized_convolution(rewrite, context, &node).or_else(|| convolution(rewrite, context, &node))
            }
            Some("ConvTranspose") if f32s => transposed_convolution(rewrite, context, &node),
            Some("MaxPool" | "AveragePool") if f32s && node.outputs.len() == 1 => pooling(rewrite, context, &node),
            Some("GlobalAveragePool" | "GlobalMaxPool") if f32s => global_pooling(rewrite, context, &node),
            Some("Resize") => nearest(rewrite, &node),
            Some("Concat") => concat(rewrite, &node),
            None if matches!(node.op, Op::Reshape) => squeezed(rewrite, &node),
            _ if matches!(node.op, Op::Fused(Fused::Chain(_) | Fused::QuantizedChain(_))) => {
                elementwise(rewrite, &node)
            }
            _ if matches!(node.op, Op::Fused(Fused::DynamicQuantize(_))) => dynamic_quantize(rewrite, &node),
            _ => None,
        };
        match (done, node.output()) {
            (Some(made), Some(output)) => rewrite.rename(output, made),
            _ => rewrite.emit(node),
        }
        Ok(())
    })
}

/// `[batch, channels, spatial..]` to `[batch, spatial.., channels]`.
fn to_last(rank: usize) -> Vec<usize> {
    [0].into_iter().chain(2..rank).chain([1]).collect()
}

/// The way back.
fn to_first(rank: usize) -> Vec<usize> {
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

/// The shape with the channels last.
fn last_shape(shape: &[usize]) -> Vec<usize> {
    to_last(shape.len()).into_iter().map(|axis| shape[axis]).collect()
}

/// A window of one or two axes, as the kernels want it.
fn window_shape(axes: &[Axis], batch: usize, channels: [usize; 2], groups: usize) -> Option<kernels::ConvShape> {
    let flat = Axis { size: 1, kernel: 1, stride: 1, dilation: 1, before: 0, after: 0, out: 1 };
    let [y, x] = match axes {
        [x] => [flat, *x],
        [y, x] => [*y, *x],
        _ => return None,
    };
    Some(kernels::ConvShape {
        batch,
        input: [y.size, x.size],
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: [y.kernel, x.kernel],
        stride: [y.stride, x.stride],
        dilation: [y.dilation, x.dilation],
        padding: [y.before, x.before, y.after, x.after],
        groups,
    })
}

fn int(node: &GraphNode, name: &str, default: i64) -> i64 {
    match node.attribute(name) {
        Some(Attribute::Int(value)) => *value,
        _ => default,
    }
}

/// Emits an operator on channels-last images, and the transposes around it. Returns what takes the result's place.
fn surround(rewrite: &mut Rewrite<'_>, node: &Node, op: Fused, rest: &[Option<Id>]) -> Option<Id> {
    let (x, output) = (node.input(0)?, node.output()?);
    let rank = rewrite.ir.shape(x).len();
    let shape = last_shape(rewrite.ir.shape(output));
    let x = rewrite.transposed(x, &to_last(rank));
    let inputs = [&[Some(x)], rest].concat();
    let made = rewrite.make(&node.name, Op::Fused(op), inputs, shape);
    Some(rewrite.transposed(made, &to_first(rank)))
}

fn convolution(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<Id> {
    let standard = node.standard()?;
    let (x, w, bias) = (node.input(0)?, node.input(1)?, node.input(2));
    let ir = &*rewrite.ir;
    if !ir.is_constant(w) || bias.is_some_and(|bias| !ir.is_constant(bias)) {
        return None;
    }
    let window = Window::new(&ops::Attributes::new(standard)).ok()?;
    let geometry = ops::Geometry::new(&window, int(standard, "group", 1), ir.shape(x), ir.shape(w)).ok()?;
    let group = geometry.group;
    let channels = [geometry.channels * group, geometry.filters * group];
    let shape = window_shape(&geometry.axes, geometry.batch, channels, group)?;
    // The first layer reads the planes of a picture as they are.
    let planar =
        geometry.axes.len() == 2 && channels[0] <= 4 && shape.input[0] > 1 && group == 1 && shape.kernel != [1, 1];
    let planar = planar && rewrite.maker(x).is_none_or(|maker| !matches!(maker.op, Op::Transpose(_)));
    let conv = if planar { context.kernels.conv_planar(shape) } else { context.kernels.conv(shape) }.ok()?;
    let result = last_shape(rewrite.ir.shape(node.output()?));
    let op = Conv { conv, planar, packed: false, storage: None, epilogue: Epilogue::default(), shape: result.clone() };
    if planar {
        let inputs = vec![Some(x), Some(w), bias];
        let made = rewrite.make(&node.name, Op::Fused(Fused::Conv(op)), inputs, result);
        return Some(rewrite.transposed(made, &to_first(4)));
    }
    surround(rewrite, node, Fused::Conv(op), &[Some(w), bias])
}

/// A convolution of integers, if that is what it comes to.
fn quantized_convolution(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<Id> {
    let standard = node.standard()?;
    let (x, w, output) = (node.input(0)?, node.input(1)?, node.output()?);
    let layer = quantize::layer(rewrite, node, 0)?;
    let window = Window::new(&ops::Attributes::new(standard)).ok()?;
    let geometry =
        ops::Geometry::new(&window, int(standard, "group", 1), rewrite.ir.shape(x), rewrite.ir.shape(w)).ok()?;
    let channels = [geometry.channels * geometry.group, geometry.filters * geometry.group];
    let shape = window_shape(&geometry.axes, geometry.batch, channels, geometry.group)?;
    let kernel = QuantizedKernel::Conv(context.kernels.byte_conv(shape).ok()?);
    let rank = rewrite.ir.shape(x).len();
    let result = last_shape(rewrite.ir.shape(output));
    let image = rewrite.transposed(layer.a, &to_last(rank));
    let made = layer.emit(rewrite, &node.name, kernel, image, result);
    Some(rewrite.transposed(made, &to_first(rank)))
}

/// Which numbers are the smallest and the largest does not depend on their order.
fn dynamic_quantize(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Id> {
    let (perm, source) = before_transpose(rewrite, node.input(0)?)?;
    let shape = rewrite.ir.shape(source).to_vec();
    let made = rewrite.ir.fresh(&node.name, DType::U8, shape);
    let mut outputs = node.outputs.clone();
    outputs[0] = Some(made);
    rewrite.emit(Node { inputs: vec![Some(source)], outputs, ..node.clone() });
    Some(rewrite.transposed(made, &perm))
}

fn transposed_convolution(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<Id> {
    let standard = node.standard()?;
    let (x, w, bias) = (node.input(0)?, node.input(1)?, node.input(2));
    let ir = &*rewrite.ir;
    if !ir.is_constant(w) || bias.is_some_and(|bias| !ir.is_constant(bias)) || int(standard, "group", 1) != 1 {
        return None;
    }
    let window = Window::new(&ops::Attributes::new(standard)).ok()?;
    let (&[batch, channels, ref spatial @ ..], &[_, filters, ref kernel @ ..]) = (ir.shape(x), ir.shape(w)) else {
        return None;
    };
    let list = |name: &str| match standard.attribute(name) {
        Some(Attribute::Ints(values)) => Some(values.as_slice()),
        _ => None,
    };
    let axes = window.transposed(spatial, kernel, list("output_padding"), list("output_shape")).ok()?;
    let forward = window_shape(&axes, batch, [filters, channels], 1)?;
    // The kernel counts windows by itself: with an output padding it may find another number.
    let counted: Vec<usize> = forward.output().into_iter().skip(2 - spatial.len()).collect();
    if counted != spatial {
        return None;
    }
    let conv = context.kernels.conv_transpose(forward).ok()?;
    let shape = last_shape(rewrite.ir.shape(node.output()?));
    let op = ConvTranspose { conv, forward, packed: false, epilogue: Epilogue::default(), shape };
    surround(rewrite, node, Fused::ConvTranspose(op), &[Some(w), bias])
}

fn pooling(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<Id> {
    let standard = node.standard()?;
    let window = Window::new(&ops::Attributes::new(standard)).ok()?;
    let &[batch, channels, ref spatial @ ..] = rewrite.ir.shape(node.input(0)?) else { return None };
    let axes = window.axes(spatial, window.kernel.as_deref()?).ok()?;
    let window = window_shape(&axes, batch, [channels, channels], 1)?;
    // Windows that were rounded up stick out further than the kernel knows.
    if window.output().into_iter().skip(2 - spatial.len()).ne(axes.iter().map(|axis| axis.out)) {
        return None;
    }
    let kind = match (standard.op.as_str(), int(standard, "count_include_pad", 0)) {
        ("MaxPool", _) => kernels::PoolKind::Max,
        (_, 0) => kernels::PoolKind::Average,
        _ => kernels::PoolKind::AveragePadded,
    };
    let shape = last_shape(rewrite.ir.shape(node.output()?));
    surround(rewrite, node, Fused::Pool(Pool { kernels: context.kernels, kind, window, shape }), &[])
}

fn global_pooling(rewrite: &mut Rewrite<'_>, context: &Context<'_>, node: &Node) -> Option<Id> {
    let &[batch, channels, ref spatial @ ..] = rewrite.ir.shape(node.input(0)?) else { return None };
    let reduce = if node.is("GlobalMaxPool") { kernels::Reduce::Max } else { kernels::Reduce::Mean };
    let shape = last_shape(rewrite.ir.shape(node.output()?));
    let along = shape::len(spatial);
    if along == 0 || spatial.is_empty() {
        return None;
    }
    let op = Reduce { kernels: context.kernels, reduce, outer: batch, along, inner: channels, shape };
    surround(rewrite, node, Fused::Reduce(op), &[])
}

/// A resize to nearest neighbours along the spatial axes of images.
fn nearest(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Id> {
    let resize = ops::parse_resize(&ops::Attributes::new(node.standard()?)).ok()?;
    let x = node.input(0)?;
    if !matches!(resize.mode, ResizeMode::Nearest(_)) {
        return None;
    }
    let list = rewrite.ir.facts(&node.inputs);
    let given = ops::resize_sizes(&crate::ir::facts(&list)).ok()?;
    let along = resize.along(rewrite.ir.shape(x), &given).ok()?;
    let [n, c, h, w] = along.as_slice() else { return None };
    if n.from != n.to || c.from != c.to {
        return None;
    }
    let places =
        |axis| resize.taps(axis).into_iter().map(|taps| Some(taps?.first()?.0)).collect::<Option<Vec<usize>>>();
    let (rows, columns, width) = (places(h)?, places(w)?, w.from);
    let shape = last_shape(rewrite.ir.shape(node.output()?));
    surround(rewrite, node, Fused::Nearest(Nearest { rows, columns, width, shape }), &[])
}

/// What a value is before a transpose, if it is the result of one.
fn before_transpose(rewrite: &Rewrite<'_>, id: Id) -> Option<(Vec<usize>, Id)> {
    let maker = rewrite.maker(id)?;
    match &maker.op {
        Op::Transpose(perm) => Some((perm.clone(), maker.input(0)?)),
        _ => None,
    }
}

fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (index, axis) in perm.iter().enumerate() {
        inverse[*axis] = index;
    }
    inverse
}

/// The transpose that most of the operands' bytes come through, if they are at least as many as those that do not.
fn common_transpose(rewrite: &Rewrite<'_>, operands: &[Id], rank: usize) -> Option<Vec<usize>> {
    let perm = operands.iter().find_map(|id| before_transpose(rewrite, *id).filter(|(perm, _)| perm.len() == rank))?.0;
    let (mut through, mut beside) = (0usize, 0usize);
    for id in operands {
        let value = &rewrite.ir.values[*id];
        let small = value.constant.is_some() || value.shape.iter().filter(|size| **size != 1).count() <= 1;
        match before_transpose(rewrite, *id) {
            Some((other, _)) if other == perm => through += value.len(),
            _ if small => {}
            _ => beside += value.len(),
        }
    }
    (through >= beside).then_some(perm)
}

/// The value as it was before a transpose by `perm`, of rank `perm.len()`.
fn untransposed(rewrite: &mut Rewrite<'_>, id: Id, perm: &[usize]) -> Id {
    let shape = rewrite.ir.shape(id).to_vec();
    let missing = perm.len() - shape.len();
    let full: Vec<usize> = std::iter::repeat_n(1, missing).chain(shape).collect();
    let id = rewrite.reshaped(id, &full);
    rewrite.transposed(id, &inverse(perm))
}

/// Elementwise work goes before the transposes of its operands.
fn elementwise(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Id> {
    let output = node.output()?;
    let shape = rewrite.ir.shape(output).to_vec();
    let operands: Vec<Id> = node.inputs.iter().flatten().copied().collect();
    let perm = common_transpose(rewrite, &operands, shape.len())?;
    let mut inputs: Vec<Option<Id>> = operands.iter().map(|id| Some(untransposed(rewrite, *id, &perm))).collect();
    let before: Vec<usize> = inverse(&perm).iter().map(|axis| shape[*axis]).collect();
    // Elements lie elsewhere now; every operand must still be a scalar, a row, a column or whole.
    for operand in inputs.iter_mut().skip(1).flatten() {
        if split(&before, &[rewrite.ir.shape(*operand)]).is_none() {
            *operand = expanded(rewrite, *operand, &before);
        }
    }
    let made = rewrite.make(&node.name, node.op.clone(), inputs, before);
    rewrite.ir.values[made].dtype = rewrite.ir.values[output].dtype;
    Some(rewrite.transposed(made, &perm))
}

/// A reshape that only adds or drops axes of size 1 goes before the transpose of its operand.
fn squeezed(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Id> {
    let (input, output) = (node.input(0)?, node.output()?);
    let (perm, source) = before_transpose(rewrite, input)?;
    let (from, to) = (rewrite.ir.shape(input).to_vec(), rewrite.ir.shape(output).to_vec());
    let wide = |shape: &[usize]| -> Vec<usize> { (0..shape.len()).filter(|axis| shape[*axis] != 1).collect() };
    let (old, new) = (wide(&from), wide(&to));
    if old.len() != new.len() || old.iter().zip(&new).any(|(a, b)| from[*a] != to[*b]) {
        return None;
    }
    // Axes of size 1 stay where they are; the others come in the order that they have before the transpose.
    let order = sorted(new.len(), &|a, b| perm[old[a]].cmp(&perm[old[b]]));
    let mut perm: Vec<usize> = (0..to.len()).collect();
    let mut before = to.clone();
    for (place, index) in new.iter().zip(&order) {
        before[*place] = to[new[*index]];
        perm[new[*index]] = *place;
    }
    let made = rewrite.reshaped(source, &before);
    Some(rewrite.transposed(made, &perm))
}

fn concat(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Id> {
    let output = node.output()?;
    let shape = rewrite.ir.shape(output).to_vec();
    let operands: Vec<Id> = node.inputs.iter().flatten().copied().collect();
    let perm = common_transpose(rewrite, &operands, shape.len())?;
    let axis = shape::axis(int(node.standard()?, "axis", 0), shape.len()).ok()?;
    let inputs: Vec<Option<Id>> = operands.iter().map(|id| Some(untransposed(rewrite, *id, &perm))).collect();
    let before: Vec<usize> = inverse(&perm).iter().map(|axis| shape[*axis]).collect();
    let op = ops::concat_along(perm[axis])?;
    let made = rewrite.make(&node.name, op, inputs, before);
    Some(rewrite.transposed(made, &perm))
}
