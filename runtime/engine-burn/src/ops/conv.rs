//! Convolutions.

use super::window::{self, Axis, list};
use super::{Call, Operator, one};
use crate::array::{Array, B};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::shape;
use crate::value::Value;
use burn_backend::ops::{ConvOptions, ConvTransposeOptions, ModuleOps};

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Conv", conv).check(check)];
pub(super) const TRANSPOSED: &[Operator] = &[Operator::new("ConvTranspose", conv_transpose).check(check)];

fn check(attributes: &Attributes<'_>) -> Outcome<()> {
    let rank = attributes.ints("kernel_shape")?.map_or(1, <[i64]>::len);
    if (1..=3).contains(&rank) { Ok(()) } else { Err(spatial(rank)) }
}

fn spatial(rank: usize) -> Failure {
    Failure::Unsupported(format!("{rank} spatial axes"))
}

/// Input, weights, groups and what the weights say of each spatial axis.
struct Operands {
    x: Array,
    w: Array,
    bias: Option<Array>,
    groups: usize,
}

fn operands(call: &Call<'_>) -> Outcome<Operands> {
    let (x, w, bias) = (call.float(0)?, call.float(1)?, call.float_if_any(2)?);
    let groups = usize::try_from(call.attributes.int("group", 1)?).ok().filter(|groups| *groups > 0);
    let groups = groups.ok_or_else(|| Failure::Invalid("no groups".into()))?;
    if x.rank() != w.rank() || x.rank() < 3 {
        return Err(Failure::Invalid(format!("weights {:?} for {:?}", w.shape, x.shape)));
    }
    Ok(Operands { x, w, bias, groups })
}

fn conv(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let Operands { x, w, bias, groups } = operands(call)?;
    let ([batch, channels, sizes @ ..], [out, inner, kernels @ ..]) = (x.shape.as_slice(), w.shape.as_slice()) else {
        return Err(Failure::Invalid("no convolution".into()));
    };
    let fits = inner.checked_mul(groups) == Some(*channels) && out.is_multiple_of(groups);
    if !fits || bias.as_ref().is_some_and(|bias| bias.shape != [*out]) {
        return Err(Failure::Invalid(format!("weights {:?} in {groups} groups for {:?}", w.shape, x.shape)));
    }
    let axes = window::axes(&call.attributes, sizes, kernels)?;
    let mut shape = vec![*batch, *out];
    shape.extend(axes.iter().map(|axis| axis.output));
    let bias = bias.map(|bias| bias.data);
    let (x_data, w_data, dtype) = (x.data.clone(), w.data.clone(), x.dtype);
    let array = match axes.len() {
        1 => call.scope.make(dtype, shape, || B::conv1d(x_data, w_data, bias, options::<1>(&axes, groups)))?,
        2 => call.scope.make(dtype, shape, || B::conv2d(x_data, w_data, bias, options::<2>(&axes, groups)))?,
        3 => call.scope.make(dtype, shape, || B::conv3d(x_data, w_data, bias, options::<3>(&axes, groups)))?,
        rank => return Err(spatial(rank)),
    };
    one(array)
}

fn options<const N: usize>(axes: &[Axis], groups: usize) -> ConvOptions<N> {
    // Floor division may leave elements at the end that no window reaches: the declared padding says where it ends.
    ConvOptions::new_with_padding(
        std::array::from_fn(|axis| axes[axis].stride),
        std::array::from_fn(|axis| (axes[axis].begin, axes[axis].declared_end)),
        std::array::from_fn(|axis| axes[axis].dilation),
        groups,
    )
}

fn conv_transpose(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let Operands { x, w, bias, groups } = operands(call)?;
    let ([batch, channels, sizes @ ..], [inner, out, kernels @ ..]) = (x.shape.as_slice(), w.shape.as_slice()) else {
        return Err(Failure::Invalid("no convolution".into()));
    };
    let channels_out = out.checked_mul(groups);
    let fits = inner == channels && inner.is_multiple_of(groups);
    let Some(channels_out) = channels_out.filter(|_| fits) else {
        return Err(Failure::Invalid(format!("weights {:?} in {groups} groups for {:?}", w.shape, x.shape)));
    };
    if bias.as_ref().is_some_and(|bias| bias.shape != [channels_out]) {
        return Err(Failure::Invalid("a bias of another size".into()));
    }
    let axes = transposed_axes(&call.attributes, sizes, kernels)?;
    // burn takes no padding of its own here: what padding cuts off is cut off afterwards, on either side as it is declared.
    let mut whole = vec![*batch, channels_out];
    whole.extend(axes.iter().map(|axis| axis.full + axis.extra));
    let bias = bias.map(|bias| bias.data);
    let (x_data, w_data, dtype) = (x.data.clone(), w.data.clone(), x.dtype);
    let array = match axes.len() {
        1 => call.scope.make(dtype, whole, || B::conv_transpose1d(x_data, w_data, bias, transposed(&axes, groups)))?,
        2 => call.scope.make(dtype, whole, || B::conv_transpose2d(x_data, w_data, bias, transposed(&axes, groups)))?,
        3 => call.scope.make(dtype, whole, || B::conv_transpose3d(x_data, w_data, bias, transposed(&axes, groups)))?,
        rank => return Err(spatial(rank)),
    };
    let mut ranges = vec![(0, *batch, 1), (0, channels_out, 1)];
    ranges.extend(axes.iter().map(|axis| (axis.begin, axis.begin + axis.output, 1)));
    one(call.scope.slice(&array, &ranges)?)
}

/// One spatial axis of a transposed convolution.
struct Transposed {
    stride: usize,
    dilation: usize,
    begin: usize,
    /// Without padding.
    full: usize,
    /// Elements after those, which no window reaches.
    extra: usize,
    output: usize,
}

fn transposed<const N: usize>(axes: &[Transposed], groups: usize) -> ConvTransposeOptions<N> {
    ConvTransposeOptions::new(
        std::array::from_fn(|axis| axes[axis].stride),
        [0; N],
        std::array::from_fn(|axis| axes[axis].extra),
        std::array::from_fn(|axis| axes[axis].dilation),
        groups,
    )
}

fn transposed_axes(attributes: &Attributes<'_>, sizes: &[usize], kernels: &[usize]) -> Outcome<Vec<Transposed>> {
    let count = sizes.len();
    let (strides, dilations) = (list(attributes, "strides", count, 1)?, list(attributes, "dilations", count, 1)?);
    let (pads, after) = (list(attributes, "pads", count * 2, 0)?, list(attributes, "output_padding", count, 0)?);
    let wanted = attributes.ints("output_shape")?;
    let auto = attributes.text("auto_pad", "NOTSET")?;
    let mut axes = Vec::with_capacity(count);
    for (index, (size, kernel)) in sizes.iter().zip(kernels).enumerate() {
        let (stride, dilation) = (shape::at(&strides, index), shape::at(&dilations, index));
        let after = shape::at(&after, index);
        let invalid = || Failure::Invalid("a transposed convolution that does not fit".into());
        if *size == 0 || *kernel == 0 || stride == 0 || dilation == 0 {
            return Err(invalid());
        }
        let reach = (kernel - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1));
        let full = (size - 1).checked_mul(stride).zip(reach).and_then(|(start, reach)| start.checked_add(reach));
        let full = full.ok_or_else(invalid)?;
        let wanted = match (wanted, auto) {
            (Some(wanted), _) => Some(shape::size(wanted.get(index).copied().ok_or_else(invalid)?)?),
            (None, "SAME_UPPER" | "SAME_LOWER") => Some(size.checked_mul(stride).ok_or_else(invalid)?),
            (None, _) => None,
        };
        let (begin, output) = match wanted {
            None => {
                let cut = shape::at(&pads, index) + shape::at(&pads, count + index);
                (shape::at(&pads, index), (full + after).checked_sub(cut).ok_or_else(invalid)?)
            }
            Some(output) => {
                let total = (full + after).saturating_sub(output);
                (if auto == "SAME_UPPER" { total / 2 } else { total - total / 2 }, output)
            }
        };
        let extra = (begin + output).saturating_sub(full);
        if output == 0 || extra >= stride.max(dilation).max(1) && extra > 0 {
            return Err(Failure::Unsupported("output_padding of a stride or more".into()));
        }
        axes.push(Transposed { stride, dilation, begin, full, extra, output });
    }
    Ok(axes)
}
