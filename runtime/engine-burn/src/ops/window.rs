//! Where the windows of convolutions and pools lie.

use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::shape;

/// Largest kernel, stride, dilation or padding. What goes beyond it is no window over a tensor that fits into memory.
const MAX_STEP: usize = 1 << 20;

/// One spatial axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) begin: usize,
    /// Negative where the last windows do not reach the end.
    pub(super) end: isize,
    /// What the graph says, before it is made to fit.
    pub(super) declared_end: usize,
    pub(super) output: usize,
}

/// The axes of a convolution or a pool over `sizes` with these kernels.
pub(super) fn axes(attributes: &Attributes<'_>, sizes: &[usize], kernels: &[usize]) -> Outcome<Vec<Axis>> {
    let count = sizes.len();
    let strides = list(attributes, "strides", count, 1)?;
    let dilations = list(attributes, "dilations", count, 1)?;
    let pads = list(attributes, "pads", count * 2, 0)?;
    let auto = attributes.text("auto_pad", "NOTSET")?;
    let ceil = attributes.flag("ceil_mode", false)?;
    let mut axes = Vec::with_capacity(count);
    for (index, (input, kernel)) in sizes.iter().zip(kernels).enumerate() {
        let (stride, dilation) = (shape::at(&strides, index), shape::at(&dilations, index));
        let (begin, end) = (shape::at(&pads, index), shape::at(&pads, count + index));
        axes.push(axis(*input, *kernel, stride, dilation, Padding { begin, end, auto }, ceil)?);
    }
    Ok(axes)
}

struct Padding<'a> {
    begin: usize,
    end: usize,
    auto: &'a str,
}

fn axis(input: usize, kernel: usize, stride: usize, dilation: usize, pads: Padding<'_>, ceil: bool) -> Outcome<Axis> {
    let small = |value: usize| (1..=MAX_STEP).contains(&value);
    if !small(kernel) || !small(stride) || !small(dilation) || !(1..=MAX_STEP * 64).contains(&input) {
        return Err(Failure::Invalid(format!("a window of {kernel}, {stride} apart, over {input} elements")));
    }
    let extent = (kernel - 1) * dilation + 1;
    let (begin, end) = match pads.auto {
        "SAME_UPPER" | "SAME_LOWER" => {
            let output = input.div_ceil(stride);
            let total = ((output - 1) * stride + extent).saturating_sub(input);
            let small_half = total / 2;
            if pads.auto == "SAME_UPPER" { (small_half, total - small_half) } else { (total - small_half, small_half) }
        }
        "VALID" => (0, 0),
        _ => (pads.begin, pads.end),
    };
    let padded = input + begin + end;
    if padded < extent {
        return Err(Failure::Invalid(format!("a window of {extent} elements over {padded}")));
    }
    let span = padded - extent;
    let mut output = if ceil { span.div_ceil(stride) + 1 } else { span / stride + 1 };
    // The last window must begin within the input or the padding before it.
    if ceil && (output - 1) * stride >= input + begin {
        output -= 1;
    }
    let reached = (output - 1) * stride + extent;
    let fitted_end = reached as isize - (input + begin) as isize;
    Ok(Axis { input, kernel, stride, dilation, begin, end: fitted_end, declared_end: end, output })
}

/// A list of sizes in an attribute, or as many of the default.
pub(super) fn list(attributes: &Attributes<'_>, name: &str, count: usize, default: usize) -> Outcome<Vec<usize>> {
    let Some(values) = attributes.ints(name)? else { return Ok(vec![default; count]) };
    let sizes = values.iter().map(|value| usize::try_from(*value).ok().filter(|size| *size <= MAX_STEP));
    let sizes: Option<Vec<usize>> = sizes.collect();
    sizes
        .filter(|sizes| sizes.len() == count)
        .ok_or_else(|| Failure::Invalid(format!("attribute {name}={values:?} for {count} numbers")))
}
