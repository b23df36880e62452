//! What is under the windows of a convolution, as rows of a matrix.

use super::ByteView;
use super::pack::BytePanels;
use super::product::{Ready, Rows, Staging, size};
use crate::byte_table::ByteTable;
use crate::conv::ConvShape;

/// Elements behind the last line that a window may read with it, because pieces are whole groups.
const BEYOND: usize = 4;

/// Where output pixel `row` is: image, line, column.
fn place(shape: &ConvShape, first_row: usize, row: usize) -> [usize; 3] {
    let [out_h, out_w] = shape.output();
    let line = first_row + row / out_w;
    [line / out_h, line % out_h, row % out_w]
}

/// Windows of one group of channels, gathered tap by tap.
pub(super) struct Windows<'a> {
    pub shape: &'a ConvShape,
    pub input: ByteView<'a>,
    pub panels: &'a BytePanels,
    pub staging: Staging,
    /// Rows to gather at a time.
    pub block: usize,
    /// Zero points, as many as [`Windows::border_len`] says.
    pub border: &'a [u8],
    /// Rows of output pixels before the first.
    pub first_row: usize,
    /// The group's first channel.
    pub channel: usize,
}

impl Windows<'_> {
    /// Bytes of a kernel line that lies outside of the image.
    pub fn border_len(shape: &ConvShape) -> usize {
        shape.group()[0] * shape.kernel[1]
    }

    /// Hands over the pieces of a row in order: where each is, and how many elements it has.
    fn pieces(&self, row: usize, mut each: impl FnMut(*const u8, usize)) {
        let (y_axis, x_axis) = (self.shape.axis(0), self.shape.axis(1));
        let [image, y, x] = place(self.shape, self.first_row, row);
        let inputs = self.shape.group()[0];
        // Taps of a line lie side by side where pixels do and none is left out.
        let whole = x_axis.whole(x).filter(|_| x_axis.dilation == 1 && inputs == self.input.stride);
        for tap_y in 0..y_axis.taps {
            let Some(in_y) = y_axis.position(y, tap_y) else {
                each(self.border.as_ptr(), inputs * x_axis.taps);
                continue;
            };
            let pixel = |in_x: usize| {
                let at = ((image * y_axis.len + in_y) * x_axis.len + in_x) * self.input.stride + self.channel;
                self.input.data.get(at..).unwrap_or_default().as_ptr()
            };
            if let Some(in_x) = whole {
                each(pixel(in_x), inputs * x_axis.taps);
                continue;
            }
            for tap_x in 0..x_axis.taps {
                each(x_axis.position(x, tap_x).map_or(self.border.as_ptr(), pixel), inputs);
            }
        }
    }
}

impl Rows for Windows<'_> {
    fn ready(&self, row: usize, most: usize, scratch: &mut [u8]) -> Ready {
        let rows = most.min(self.block);
        let (line, padded) = (self.panels.piece(), self.panels.padded() * self.staging.size);
        let stride = self.panels.depth() * self.staging.size;
        for (row, to) in (row..row + rows).zip(scratch.chunks_exact_mut(stride.max(1))) {
            let (mut pieces, mut filled) = (to.chunks_exact_mut(padded.max(1)), 0);
            let mut rest = pieces.next().unwrap_or_default();
            self.pieces(row, |src, len| {
                // SAFETY: the piece is inside of the image, or of the border.
                rest = unsafe { self.staging.stage(src, len, core::mem::take(&mut rest)) };
                filled += len;
                if filled == line {
                    rest.fill(0);
                    (rest, filled) = (pieces.next().unwrap_or_default(), 0);
                }
            });
        }
        Ready { first: scratch.as_ptr(), stride, jump: padded, rows }
    }
}

/// Windows of a whole line at a time: the lines under them are made ready with zero points around them, and windows overlap there as
/// they do in the image.
pub(super) struct Lines<'a> {
    pub shape: &'a ConvShape,
    pub input: ByteView<'a>,
    pub panels: &'a BytePanels,
    pub staging: Staging,
    /// Rows of output pixels before the first.
    pub first_row: usize,
}

impl Lines<'_> {
    /// Elements of a line with what is around it.
    fn line(shape: &ConvShape) -> usize {
        let axis = shape.axis(1);
        (axis.before + axis.len + axis.after) * shape.in_channels
    }

    /// Bytes of scratch memory for the lines under one line of windows.
    pub fn scratch_len(shape: &ConvShape, table: &ByteTable) -> usize {
        (shape.kernel[0].saturating_mul(Self::line(shape)) + BEYOND).saturating_mul(size(table))
    }

    /// The lines under the windows `x..` of line `y`, where they lie, if that is all that has to be done.
    fn direct(&self, image: usize, y: usize, x: usize) -> Option<Ready> {
        let (y_axis, x_axis) = (self.shape.axis(0), self.shape.axis(1));
        if !self.staging.is_none() || x_axis.is_padded() || self.panels.padded() != self.panels.piece() {
            return None;
        }
        let line = x_axis.len * self.input.stride;
        let from = (image * y_axis.len + y_axis.whole(y)?) * line + x * x_axis.stride * self.input.stride;
        let first = self.input.data.get(from..)?.as_ptr();
        let jump = line * y_axis.dilation;
        Some(Ready { first, stride: x_axis.stride * self.input.stride, jump, rows: 0 })
    }

    /// Fills with zero points.
    fn fill(&self, to: &mut [u8], zero: u8) {
        if self.staging.size == 1 {
            to.fill(zero ^ self.staging.flip);
        } else {
            for word in to.chunks_exact_mut(2) {
                word.copy_from_slice(&(self.staging.zero as i16).to_ne_bytes());
            }
        }
    }
}

impl Rows for Lines<'_> {
    fn ready(&self, row: usize, most: usize, scratch: &mut [u8]) -> Ready {
        let (y_axis, x_axis) = (self.shape.axis(0), self.shape.axis(1));
        let [image, y, x] = place(self.shape, self.first_row, row);
        let rows = most.min(self.shape.output()[1] - x);
        if let Some(ready) = self.direct(image, y, x) {
            return Ready { rows, ..ready };
        }
        let channels = self.shape.in_channels;
        let (line, inside) = (Self::line(self.shape), x_axis.len * channels);
        let zero = self.input.kind.zero as u8;
        for (tap, to) in scratch.chunks_exact_mut((line * self.staging.size).max(1)).take(y_axis.taps).enumerate() {
            let Some(in_y) = y_axis.position(y, tap) else {
                self.fill(to, zero);
                continue;
            };
            let (before, rest) = to.split_at_mut(x_axis.before * channels * self.staging.size);
            self.fill(before, zero);
            let from = self.input.data.get((image * y_axis.len + in_y) * inside..).unwrap_or_default();
            // SAFETY: a line of the image, in which there are no gaps.
            let after = unsafe { self.staging.stage(from.as_ptr(), inside.min(from.len()), rest) };
            self.fill(after, zero);
        }
        let size = self.staging.size;
        let stride = x_axis.stride * channels * size;
        Ready { first: scratch[x * stride..].as_ptr(), stride, jump: line * size, rows }
    }
}
