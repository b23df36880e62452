//! Convolution of each channel of 8-bit integers by itself.
//!
//! What lies under one column of a window is put side by side, lane by lane, as products want groups of A: one instruction then adds
//! the products of two or four kernel lines. Columns are made ready once for all windows of a part of a row. Outside of the image is
//! the zero point, so every window has all of its taps.

use super::bytes::{HEADER, Store, store};
use super::pointwise::Target;
use crate::simd::Simd;
use crate::simd::dot::{Dot, Ints};
use core::mem::MaybeUninit;

/// Most channels that are computed at a time.
pub const MAX_LANES: usize = 16;

/// One output row.
pub struct ByteDepthwise<'a> {
    /// The input row under the first kernel line that is inside the image, column 0.
    pub src: *const u8,
    /// As many zero points as a vector has lanes: what is outside of the image.
    pub outside: *const u8,
    /// What bytes are flipped with before they are multiplied, and the zero point of those.
    pub flip: u8,
    pub zero: i32,
    pub scale: f32,
    /// Bytes between lines of the kernel (dilated) and between pixels.
    pub line: usize,
    pub pixel: usize,
    /// Kernel lines inside the image, and the first of them.
    pub lines: usize,
    pub first_line: usize,
    /// Vector of channels after vector of channels: a header as that of a product's panel, then the taps of each group of lines.
    pub weights: *const i32,
    /// Integers from vector to vector.
    pub weights_stride: usize,
    /// Whether weights have zero points.
    pub weight_zeros: bool,
    pub kernel_h: usize,
    /// Horizontally: taps, their distance, windows' distance, padding on the left, width of the image.
    pub taps: usize,
    pub dilation: usize,
    pub stride: usize,
    pub pad: usize,
    pub in_w: usize,
    /// The row of output: `rows` of the target are its pixels, `cols` the channels.
    pub store: Store<'a>,
}

/// Output pixels for which columns are made ready at a time, and room for those columns: with two taps more on each side, of
/// windows two pixels apart.
const SEGMENT: usize = 32;
const COLUMNS: usize = 2 * SEGMENT + 4;

/// Groups of lines that there is room for.
const GROUPS: usize = 3;

/// Columns that are ready, of one vector of channels.
#[repr(C, align(64))]
struct Ready<I>(MaybeUninit<[[I; COLUMNS]; GROUPS]>);

/// One output row. `PX` pixels are computed side by side, `HALF` where there are not more.
#[inline(always)]
pub unsafe fn depthwise<D: Dot, const PX: usize, const HALF: usize>(d: &ByteDepthwise<'_>) {
    let usual = !D::SMALL && !d.weight_zeros && d.dilation == 1 && d.kernel_h <= GROUPS * D::GROUP;
    // SAFETY: the driver's row.
    unsafe {
        match (d.taps, d.stride) {
            (3, 1) if usual => row::<D, PX, HALF, 3, 1>(d),
            (3, 2) if usual => row::<D, PX, HALF, 3, 2>(d),
            (5, 1) if usual => row::<D, PX, HALF, 5, 1>(d),
            (5, 2) if usual => row::<D, PX, HALF, 5, 2>(d),
            _ => row::<D, HALF, HALF, 0, 0>(d),
        }
    }
}

/// The row with that many taps and that stride; 0: any.
#[inline(always)]
unsafe fn row<D: Dot, const PX: usize, const HALF: usize, const TAPS: usize, const STRIDE: usize>(
    d: &ByteDepthwise<'_>,
) {
    let (lanes, target) = (D::S::LANES, &d.store.target);
    // Of unusual windows, not all have columns that there is room for.
    let (taps, stride) = if TAPS > 0 { (TAPS, STRIDE) } else { (d.taps, d.stride) };
    let room = d.dilation == 1 && d.kernel_h <= GROUPS * D::GROUP && (SEGMENT - 1) * stride + taps <= COLUMNS;
    let mut ready = Ready::<Ints<D>>(MaybeUninit::uninit());
    let ready = ready.0.as_mut_ptr().cast::<[Ints<D>; COLUMNS]>();
    for start in (0..target.rows).step_by(SEGMENT) {
        let end = (start + SEGMENT).min(target.rows);
        for (index, first) in (0..target.cols).step_by(lanes).enumerate() {
            // SAFETY: the channels are inside a pixel; there are weights for each vector of them.
            unsafe {
                let weights = d.weights.add(index * d.weights_stride);
                let channels = Channels { d, weights, first, count: (target.cols - first).min(lanes) };
                if room {
                    let windows = (end - start).next_multiple_of(PX);
                    channels.prepare::<D>(ready, start * stride, (windows - 1) * stride + taps);
                }
                let mut x = start;
                while x < end {
                    let left = end - x;
                    let columns = ready.cast::<Ints<D>>().cast_const().wrapping_add((x - start) * stride);
                    let columns = Some(columns).filter(|_| room);
                    if HALF < PX && left <= HALF {
                        channels.pixels::<D, HALF, TAPS, STRIDE>(columns, x, left);
                        x += HALF;
                    } else {
                        channels.pixels::<D, PX, TAPS, STRIDE>(columns, x, left.min(PX));
                        x += PX;
                    }
                }
            }
        }
    }
}

/// A vector of channels.
struct Channels<'a> {
    d: &'a ByteDepthwise<'a>,
    weights: *const i32,
    first: usize,
    count: usize,
}

/// What lies under a group of kernel lines.
struct Lines {
    /// The channels at column 0 under each line, and the bytes from column to column: none outside of the image.
    first: [*const u8; 4],
    step: [usize; 4],
    /// Lines that the kernel has.
    count: usize,
}

impl Channels<'_> {
    #[inline(always)]
    unsafe fn header<D: Dot>(&self, row: usize) -> *const f32 {
        // SAFETY: the weights begin with `HEADER` vectors.
        unsafe { self.weights.add(row * D::S::LANES).cast() }
    }

    /// Group `group` of lines.
    #[inline(always)]
    unsafe fn lines<D: Dot>(&self, group: usize) -> Lines {
        let d = self.d;
        let mut lines = Lines { first: [d.outside; 4], step: [0; 4], count: 0 };
        lines.count = (d.kernel_h - group * D::GROUP).min(D::GROUP);
        for i in 0..lines.count {
            let inside = (group * D::GROUP + i).wrapping_sub(d.first_line);
            if inside < d.lines {
                // SAFETY: the line is inside of the image.
                lines.first[i] = unsafe { d.src.add(inside * d.line + self.first) };
                lines.step[i] = d.pixel;
            }
        }
        lines
    }

    /// The group of elements under column `x`.
    #[inline(always)]
    unsafe fn column<D: Dot>(&self, lines: &Lines, x: usize) -> Ints<D> {
        // SAFETY: the column is inside of the image.
        unsafe {
            let at = [
                lines.first[0].add(x * lines.step[0]),
                lines.first[1].add(x * lines.step[1]),
                lines.first[2].add(x * lines.step[2]),
                lines.first[3].add(x * lines.step[3]),
            ];
            D::interleave(&at, lines.count, self.count, self.d.flip)
        }
    }

    /// Makes `count` columns ready, from that under the first tap of the window at `start` on.
    #[inline(always)]
    unsafe fn prepare<D: Dot>(&self, ready: *mut [Ints<D>; COLUMNS], start: usize, count: usize) {
        let d = self.d;
        // Columns before the image, and where it ends.
        let before = d.pad.saturating_sub(start).min(count);
        let end = (d.pad + d.in_w).saturating_sub(start).clamp(before, count);
        // SAFETY: the columns in between are inside of the image; there is room for all.
        unsafe {
            for group in 0..d.kernel_h.div_ceil(D::GROUP) {
                let lines = self.lines::<D>(group);
                let outside = self.outside::<D>(&lines);
                let to = ready.add(group).cast::<Ints<D>>();
                for j in (0..before).chain(end..count) {
                    to.add(j).write(outside);
                }
                if lines.count == 1 {
                    // One line needs no interleaving.
                    for j in before..end {
                        let at = lines.first[0].add((start + j - d.pad) * lines.step[0]);
                        to.add(j).write(D::load_bytes(at, self.count, d.flip));
                    }
                } else if self.count == D::S::LANES {
                    for j in before..end {
                        to.add(j).write(self.full_column::<D>(&lines, start + j - d.pad));
                    }
                } else {
                    for j in before..end {
                        to.add(j).write(self.column::<D>(&lines, start + j - d.pad));
                    }
                }
            }
        }
    }

    /// [`Channels::column`] of a whole vector of channels, and of more lines than one.
    #[inline(always)]
    unsafe fn full_column<D: Dot>(&self, lines: &Lines, x: usize) -> Ints<D> {
        // SAFETY: as there.
        unsafe {
            let at = [
                lines.first[0].add(x * lines.step[0]),
                lines.first[1].add(x * lines.step[1]),
                lines.first[2].add(x * lines.step[2]),
                lines.first[3].add(x * lines.step[3]),
            ];
            D::interleave(&at, 4, D::S::LANES, self.d.flip)
        }
    }

    /// The group of elements of columns outside of the image.
    #[inline(always)]
    unsafe fn outside<D: Dot>(&self, lines: &Lines) -> Ints<D> {
        // SAFETY: there are as many zero points as lanes.
        unsafe { D::interleave(&[self.d.outside; 4], lines.count, self.count, self.d.flip) }
    }

    /// The weights of tap `tap` of a group of lines.
    #[inline(always)]
    unsafe fn tap<D: Dot>(&self, group: usize, tap: usize) -> Ints<D> {
        let lanes = D::S::LANES;
        // SAFETY: the weights have all taps.
        unsafe {
            let taps = self.weights.add(HEADER * lanes).cast::<i8>();
            D::weights(taps.add((group * self.d.taps + tap) * lanes * D::GROUP))
        }
    }

    /// What sums begin with: the bias, less what the zero point contributes.
    #[inline(always)]
    unsafe fn start<D: Dot>(&self) -> Ints<D> {
        // SAFETY: arithmetic on the header.
        unsafe {
            let sum = D::S::bits(D::S::load(self.header::<D>(0)));
            let bias = D::S::bits(D::S::load(self.header::<D>(2)));
            D::S::isub(bias, D::mul(sum, D::S::isplat(self.d.zero)))
        }
    }

    /// `PX` windows from `x`, of which the first `count` are stored; `columns` are those under them, if they are ready.
    #[inline(always)]
    unsafe fn pixels<D: Dot, const PX: usize, const TAPS: usize, const STRIDE: usize>(
        &self,
        columns: Option<*const Ints<D>>,
        x: usize,
        count: usize,
    ) {
        // SAFETY: the driver's row; columns are ready for all windows of a segment.
        unsafe {
            let sums = match columns {
                Some(columns) if TAPS > 0 => self.windows::<D, PX, TAPS, STRIDE>(columns),
                columns => self.any::<D, PX>(x, columns),
            };
            if count == PX {
                self.store::<D, PX>(&sums, x);
            } else {
                for (i, sum) in sums.into_iter().enumerate().take(count) {
                    self.store::<D, 1>(&[sum], x + i);
                }
            }
        }
    }

    /// Sums of `PX` windows.
    #[inline(always)]
    unsafe fn windows<D: Dot, const PX: usize, const TAPS: usize, const STRIDE: usize>(
        &self,
        columns: *const Ints<D>,
    ) -> [[Ints<D>; 1]; PX] {
        // SAFETY: the columns under the windows are ready.
        unsafe {
            let mut acc = [[self.start::<D>()]; PX];
            for group in 0..self.d.kernel_h.div_ceil(D::GROUP) {
                let columns = columns.add(group * COLUMNS);
                let mut w = [acc[0][0]; TAPS];
                for (tap, w) in w.iter_mut().enumerate() {
                    *w = self.tap::<D>(group, tap);
                }
                for j in 0..(PX - 1) * STRIDE + TAPS {
                    let v = columns.add(j).read();
                    for (i, acc) in acc.iter_mut().enumerate() {
                        // Tap j - i * STRIDE of window i, if it has one.
                        if j >= i * STRIDE && j - i * STRIDE < TAPS {
                            acc[0] = D::dot(acc[0], v, w[j - i * STRIDE]);
                        }
                    }
                }
            }
            acc
        }
    }

    /// The same for any taps, and for weights with zero points.
    #[inline(always)]
    unsafe fn any<D: Dot, const PX: usize>(&self, x: usize, columns: Option<*const Ints<D>>) -> [[Ints<D>; 1]; PX] {
        let d = self.d;
        // SAFETY: as above.
        unsafe {
            let mut acc = [[self.start::<D>()]; PX];
            let mut totals = [D::S::isplat(0); PX];
            for group in 0..d.kernel_h.div_ceil(D::GROUP) {
                let lines = self.lines::<D>(group);
                let outside = self.outside::<D>(&lines);
                let ones = D::ones(lines.count);
                for tap in 0..d.taps {
                    let w = self.tap::<D>(group, tap);
                    for (i, (acc, total)) in acc.iter_mut().zip(&mut totals).enumerate() {
                        let at = ((x + i) * d.stride + tap * d.dilation).wrapping_sub(d.pad);
                        let v = match columns {
                            Some(columns) => columns.add(group * COLUMNS + i * d.stride + tap).read(),
                            None if at < d.in_w => self.column::<D>(&lines, at),
                            None => outside,
                        };
                        acc[0] = D::dot(acc[0], v, w);
                        *total = D::dot(*total, v, ones);
                    }
                }
            }
            // Zeros where weights have none.
            let zero = D::S::bits(D::S::load(self.header::<D>(1)));
            for (acc, total) in acc.iter_mut().zip(totals) {
                acc[0] = D::S::isub(acc[0], D::mul(zero, total));
            }
            acc
        }
    }

    /// Stores `PX` pixels from `x`.
    #[inline(always)]
    unsafe fn store<D: Dot, const PX: usize>(&self, sums: &[[Ints<D>; 1]; PX], x: usize) {
        let Store { dst, form, target: whole, finish } = self.d.store;
        let size = if form.is_bytes() { 1 } else { 4 };
        // SAFETY: a part of the driver's target.
        unsafe {
            let scale = D::S::mul(D::S::load(self.header::<D>(3)), D::S::splat(self.d.scale));
            let shift = D::S::load(self.header::<D>(4));
            let target =
                Target { rows: PX, cols: self.count, row: whole.row + x, col: whole.col + self.first, ..whole };
            let dst = dst.add((x * whole.stride + self.first) * size);
            store::<D, 1, PX>(&Store { dst, form, target, finish }, sums, &[scale], &[shift]);
        }
    }
}
