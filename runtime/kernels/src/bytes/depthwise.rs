//! A convolution of each channel by itself.

use super::{ByteConv, ByteOutput, ByteView, ByteWeights};
use crate::byte_table::ByteTable;
use crate::conv::ConvShape;
use crate::error::{KernelError, product};
use crate::kernel::byte_depthwise::{ByteDepthwise, Lines, MAX_LANES};
use crate::kernel::bytes::{HEADER, Store};
use crate::kernel::pointwise::Target;
use crate::kernel::quick::Quick;
use crate::simd::dot::Form;
use crate::step::Step;
use core::ops::Range;

/// Groups of kernel lines that a window may have, by the line that they begin with, which may be before the window's first.
fn variants(conv: &ByteConv) -> usize {
    conv.shape.kernel[0] + conv.kernels.bytes.group - 1
}

/// Bytes of the weights of such a group: for each channel the sum of them, then the taps.
fn variant_len(conv: &ByteConv) -> usize {
    let ByteTable { lanes, group, .. } = *conv.kernels.bytes;
    lanes * (4 + conv.shape.kernel[1] * group)
}

/// Integers of a vector of channels: the header, and the weights of each group.
fn vector_len(conv: &ByteConv) -> usize {
    HEADER * conv.kernels.bytes.lanes + variants(conv) * (variant_len(conv) / 4)
}

/// Checks that [`packed_len`] fits.
pub(super) fn check(shape: &ConvShape) -> Result<(), KernelError> {
    let [height, width] = shape.kernel;
    // Of the largest vectors and groups that there are.
    let (lines, line) = (HEADER + height + 3, 4 + 4 * width);
    product("packed weights", &[lines, line, shape.out_channels.saturating_add(MAX_LANES)]).map(|_| ())
}

pub(super) fn packed_len(conv: &ByteConv) -> usize {
    conv.shape.out_channels.div_ceil(conv.kernels.bytes.lanes) * vector_len(conv)
}

/// Where a tap is among the bytes of a vector of channels, in the group of lines in which it is line `i`.
fn place(conv: &ByteConv, [y, x]: [usize; 2], i: usize, lane: usize) -> usize {
    let ByteTable { lanes, group, .. } = *conv.kernels.bytes;
    (y + group - 1 - i) * variant_len(conv) + lanes * 4 + (x * lanes + lane) * group + i
}

/// Vector after vector of channels. Channels beyond the last, and lines before the first or behind the last, are zero.
pub(super) fn pack(conv: &ByteConv, weights: &ByteWeights<'_>, packed: &mut [i32]) {
    let ByteTable { lanes, group, .. } = *conv.kernels.bytes;
    let [height, width] = conv.shape.kernel;
    packed.fill(0);
    for channel in 0..conv.shape.out_channels {
        let (vector, lane) = (&mut packed[channel / lanes * vector_len(conv)..], channel % lanes);
        let (header, variants) = vector.split_at_mut(HEADER * lanes);
        let mut sum = 0_i32;
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let weight = weights.weight((channel * height + y) * width + x);
            sum = sum.wrapping_add(weight);
            for i in 0..group {
                let at = place(conv, [y, x], i, lane);
                variants[at / 4] |= (weight & 0xff) << (at % 4 * 8);
                let total = &mut variants[(y + group - 1 - i) * (variant_len(conv) / 4) + lane];
                *total = total.wrapping_add(weight);
            }
        }
        for (row, value) in weights.header(channel, sum, height * width).into_iter().enumerate() {
            header[row * lanes + lane] = value;
        }
    }
}

/// The integers that were packed.
pub(super) fn unpack(conv: &ByteConv, packed: &[i32], signed: bool, data: &mut [u8]) {
    let lanes = conv.kernels.bytes.lanes;
    let [height, width] = conv.shape.kernel;
    for (i, byte) in data.iter_mut().enumerate() {
        let (channel, tap) = (i / (height * width), i % (height * width));
        let variants = &packed[channel / lanes * vector_len(conv) + HEADER * lanes..];
        let at = place(conv, [tap / width, tap % width], 0, channel % lanes);
        *byte = ByteWeights::byte(i32::from((variants[at / 4] >> (at % 4 * 8)) as i8), signed);
    }
}

/// Rows of output that share groups of lines: as many as fit under those of one row.
fn block_rows(conv: &ByteConv, weight_zeros: bool) -> usize {
    let (axis, group) = (conv.shape.axis(0), conv.kernels.bytes.group);
    if weight_zeros || axis.dilation > 1 {
        return 1;
    }
    (axis.taps.next_multiple_of(group) - axis.taps) / axis.stride + 1
}

/// The lines under `rows` rows of windows from `y` on, and the line of the image that is the first of them inside of it.
fn lines(conv: &ByteConv, y: usize, rows: usize, weight_zeros: bool) -> (Lines, usize) {
    let axis = conv.shape.axis(0);
    let step = axis.stride;
    let all = (rows - 1) * step + axis.taps;
    // Lines above the image.
    let above = axis.before.saturating_sub(y * axis.stride).div_ceil(axis.dilation).min(all);
    let top = (y * axis.stride + above * axis.dilation).saturating_sub(axis.before);
    let below = axis.len.saturating_sub(top).div_ceil(axis.dilation).min(all - above);
    let lines = if weight_zeros {
        Lines { count: all, inside: [above, above + below], before: 0, step }
    } else {
        Lines { count: all - above, inside: [0, below], before: above, step }
    };
    (lines, top)
}

/// # Safety
///
/// The call was checked.
pub(super) unsafe fn run(
    conv: &ByteConv,
    rows: Range<usize>,
    input: ByteView<'_>,
    (packed, weight_zeros): (&[i32], bool),
    output: &mut ByteOutput<'_>,
    steps: &[Step<'_>],
) {
    let s = &conv.shape;
    let table = conv.kernels.bytes;
    let [out_h, out_w] = s.output();
    let (y_axis, x_axis) = (s.axis(0), s.axis(1));
    let line = x_axis.len * input.stride;
    // Words are those of numbers from 0 to 255.
    let (mut flip, mut zero) = input.kind.unsigned();
    if table.form == Form::Signed {
        (flip, zero) = (flip ^ 0x80, zero - 128);
    }
    let outside = [input.kind.zero as u8; MAX_LANES];
    let (form, size_bytes, dst) = (output.form(), output.size_bytes(), output.ptr());
    let quick = Quick::of(steps);
    let (most, mut row) = (block_rows(conv, weight_zeros), rows.start);
    while row < rows.end {
        let (image, y) = (row / out_h, row % out_h);
        let count = most.min(out_h - y).min(rows.end - row);
        let (lines, top) = lines(conv, y, count, weight_zeros);
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
                src: input.data.as_ptr().wrapping_add((image * y_axis.len + top) * line),
                outside: outside.as_ptr(),
                flip,
                zero,
                scale: input.scale,
                line: line * y_axis.dilation,
                pixel: input.stride,
                lines,
                weights: packed.as_ptr(),
                weights_stride: vector_len(conv),
                weight_zeros,
                kernel_h: y_axis.taps,
                taps: x_axis.taps,
                dilation: x_axis.dilation,
                stride: x_axis.stride,
                pad: x_axis.before,
                in_w: x_axis.len,
                store: Store {
                    dst: dst.add((row - rows.start) * out_w * s.out_channels * size_bytes),
                    form,
                    target,
                    finish: table.finish,
                },
                rows: count,
            });
        }
        row += count;
    }
}
