//! A convolution of each channel by itself.

use super::{ByteConv, ByteOutput, ByteView, ByteWeights};
use crate::byte_table::ByteTable;
use crate::kernel::byte_depthwise::{ByteDepthwise, MAX_LANES};
use crate::kernel::bytes::{HEADER, Store};
use crate::kernel::pointwise::Target;
use crate::kernel::quick::Quick;
use crate::simd::dot::Form;
use crate::step::Step;
use core::ops::Range;

/// Integers of a vector of channels: the header, and for each group of kernel lines the taps, each with the group's weights.
fn vector_len(conv: &ByteConv) -> usize {
    let ByteTable { lanes, group, .. } = conv.kernels.bytes;
    let [height, width] = conv.shape.kernel;
    HEADER * lanes + height.div_ceil(*group) * width * (lanes * group / 4)
}

pub(super) fn packed_len(conv: &ByteConv) -> usize {
    conv.shape.out_channels.div_ceil(conv.kernels.bytes.lanes) * vector_len(conv)
}

/// Where a tap is among the bytes of a vector of channels.
fn place(conv: &ByteConv, y: usize, x: usize, lane: usize) -> usize {
    let ByteTable { lanes, group, .. } = *conv.kernels.bytes;
    ((y / group * conv.shape.kernel[1] + x) * lanes + lane) * group + y % group
}

/// Vector after vector of channels. Channels beyond the last, and lines that fill up a group, are zero.
pub(super) fn pack(conv: &ByteConv, weights: &ByteWeights<'_>, packed: &mut [i32]) {
    let lanes = conv.kernels.bytes.lanes;
    let [height, width] = conv.shape.kernel;
    packed.fill(0);
    for channel in 0..conv.shape.out_channels {
        let (vector, lane) = (&mut packed[channel / lanes * vector_len(conv)..], channel % lanes);
        let mut sum = 0_i32;
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let weight = weights.weight((channel * height + y) * width + x);
            sum = sum.wrapping_add(weight);
            let at = place(conv, y, x, lane);
            vector[HEADER * lanes + at / 4] |= (weight & 0xff) << (at % 4 * 8);
        }
        for (row, value) in weights.header(channel, sum, height * width).into_iter().enumerate() {
            vector[row * lanes + lane] = value;
        }
    }
}

/// The integers that were packed.
pub(super) fn unpack(conv: &ByteConv, packed: &[i32], signed: bool, data: &mut [u8]) {
    let lanes = conv.kernels.bytes.lanes;
    let [height, width] = conv.shape.kernel;
    for (i, byte) in data.iter_mut().enumerate() {
        let (channel, tap) = (i / (height * width), i % (height * width));
        let weights = &packed[channel / lanes * vector_len(conv) + HEADER * lanes..];
        let at = place(conv, tap / width, tap % width, channel % lanes);
        *byte = ByteWeights::byte(i32::from((weights[at / 4] >> (at % 4 * 8)) as i8), signed);
    }
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
                src: input.data.as_ptr().wrapping_add((image * y_axis.len + in_y) * line),
                outside: outside.as_ptr(),
                flip,
                zero,
                scale: input.scale,
                line: line * y_axis.dilation,
                pixel: input.stride,
                lines: end - first_line,
                first_line,
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
                    dst: dst.add(i * out_w * s.out_channels * size_bytes),
                    form,
                    target,
                    finish: table.finish,
                },
            });
        }
    }
}
