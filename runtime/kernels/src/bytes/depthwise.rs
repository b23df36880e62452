//! A convolution of each channel by itself.

use super::{ByteConv, ByteOutput, ByteView, ByteWeights};
use crate::kernel::byte_depthwise::{ByteDepthwise, HEADER};
use crate::kernel::bytes::Store;
use crate::kernel::pointwise::Target;
use crate::kernel::quick::Quick;
use crate::step::Step;
use core::ops::Range;

/// Vectors of a vector of channels.
fn rows(conv: &ByteConv) -> usize {
    HEADER + conv.shape.kernel[0] * conv.shape.kernel[1]
}

pub(super) fn packed_len(conv: &ByteConv) -> usize {
    let lanes = conv.kernels.bytes.lanes;
    conv.shape.out_channels.div_ceil(lanes) * lanes * rows(conv)
}

/// `[channels / LANES][scale, bias, shift, taps..][LANES]`: floats, as their bits, but for the bias. Channels beyond the last are zero.
pub(super) fn pack(conv: &ByteConv, weights: &ByteWeights<'_>, packed: &mut [i32]) {
    let (lanes, rows) = (conv.kernels.bytes.lanes, rows(conv));
    for (i, slot) in packed.iter_mut().enumerate() {
        let (vector, lane) = (i / lanes, i % lanes);
        let (channel, row) = (vector / rows * lanes + lane, vector % rows);
        let bits = |value: f32| value.to_bits().cast_signed();
        *slot = if channel >= conv.shape.out_channels {
            0
        } else {
            match row {
                0 => bits(weights.scale(channel)),
                1 => weights.bias(channel),
                2 => bits(weights.shift(channel)),
                row => {
                    let weight = weights.weight(channel * (rows - HEADER) + row - HEADER);
                    bits((weight - weights.zero(channel)) as f32)
                }
            }
        };
    }
}

/// # Safety
///
/// The call was checked.
pub(super) unsafe fn run(
    conv: &ByteConv,
    rows: Range<usize>,
    input: ByteView<'_>,
    packed: &[i32],
    output: &mut ByteOutput<'_>,
    steps: &[Step<'_>],
) {
    let s = &conv.shape;
    let table = conv.kernels.bytes;
    let [out_h, out_w] = s.output();
    let (y_axis, x_axis) = (s.axis(0), s.axis(1));
    let line = x_axis.len * input.stride;
    let (flip, zero) = input.kind.unsigned();
    let (form, size_bytes, dst) = (output.form(), output.size_bytes(), output.ptr());
    let quick = Quick::of(steps);
    for (i, row) in rows.enumerate() {
        let (image, y) = (row / out_h, row % out_h);
        let (first_line, end) = y_axis.inside(y);
        let in_y = y_axis.position(y, first_line).unwrap_or(0);
        let target = Target {
            dst: core::ptr::null_mut(),
            stride: s.out_channels,
            rows: out_w,
            cols: s.out_channels,
            row: row * out_w,
            col: 0,
            steps,
            quick,
        };
        // SAFETY: the first line is inside of the image, or there is none and it is not read.
        unsafe {
            (table.depthwise)(&ByteDepthwise {
                src: input.data.as_ptr().add((image * y_axis.len + in_y) * line),
                flip,
                zero,
                scale: input.scale,
                line: line * y_axis.dilation,
                pixel: input.stride,
                lines: end - first_line,
                first_line,
                weights: packed.as_ptr().cast(),
                kernel_h: y_axis.taps,
                taps: x_axis.taps,
                dilation: x_axis.dilation,
                stride: x_axis.stride,
                pad: x_axis.before,
                in_w: x_axis.len,
                store: Store {
                    dst: dst.add(i * out_w * s.out_channels * size_bytes),
                    form,
                    target,
                    finish: table.finish,
                },
            });
        }
    }
}
