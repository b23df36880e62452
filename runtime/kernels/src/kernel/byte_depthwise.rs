//! Convolution of each channel of 8-bit integers by itself.
//!
//! What lies under one column of a window is put side by side, lane by lane, as products want groups of A: one instruction then adds
//! the products of two or four kernel lines. Groups of lines are made ready once for all windows of a part of a row, and for all rows of
//! output that they lie under: a block. Where a window begins inside of a group, it has the weights for that: they are there once for
//! each line that a group may begin with. Outside of the image is the zero point; groups that are outside altogether are left out.

use super::bytes::{HEADER, Store, store};
use super::pointwise::Target;
use crate::simd::Simd;
use crate::simd::dot::{Dot, Floats, Ints};
use core::mem::MaybeUninit;
use core::ops::Range;

/// Most channels that are computed at a time.
pub const MAX_LANES: usize = 16;

/// A block: some rows of output.
pub struct ByteDepthwise<'a> {
    /// The first line of the block that is inside the image, column 0.
    pub src: *const u8,
    /// As many zero points as a vector has lanes: what is outside of the image.
    pub outside: *const u8,
    /// What bytes are flipped with before they are multiplied, and the zero point of those.
    pub flip: u8,
    pub zero: i32,
    pub scale: f32,
    /// Bytes between lines (dilated) and between pixels.
    pub line: usize,
    pub pixel: usize,
    pub lines: Lines,
    /// Vector of channels after vector of channels: a header as that of a product's panel, then the weights
    /// of each group of lines that a window may have, by the line that it begins with (see [`Channels::variant`]): the first is that whose
    /// last line is the window's first.
    pub weights: *const i32,
    /// Integers from vector to vector.
    pub weights_stride: usize,
    /// Whether weights have zero points. Then the block is one row, and begins with its window's first line.
    pub weight_zeros: bool,
    pub kernel_h: usize,
    /// Horizontally: taps, their distance, windows' distance, padding on the left, width of the image.
    pub taps: usize,
    pub dilation: usize,
    pub stride: usize,
    pub pad: usize,
    pub in_w: usize,
    /// The first row of output: `rows` of the target are its pixels, `cols` the channels. The others follow it.
    pub store: Store<'a>,
    pub rows: usize,
}

/// The lines under the windows of a block.
#[derive(Clone, Copy)]
pub struct Lines {
    /// How many, and which of them are inside of the image.
    pub count: usize,
    pub inside: [usize; 2],
    /// Lines of the first row's window before the first: they are outside of the image, and left out.
    pub before: usize,
    /// Lines from row to row.
    pub step: usize,
}

impl Lines {
    /// Groups of lines that are not all behind the image, or all those that there are.
    #[inline(always)]
    fn groups(&self, group: usize, all: bool) -> usize {
        if all { self.count.div_ceil(group) } else { self.inside[1].div_ceil(group) }
    }
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

/// A block. `PX` pixels are computed side by side, `HALF` where there are not more.
#[inline(always)]
pub unsafe fn depthwise<D: Dot, const PX: usize, const HALF: usize>(d: &ByteDepthwise<'_>) {
    let usual = !D::SMALL && !d.weight_zeros && d.dilation == 1 && d.kernel_h <= GROUPS * D::GROUP;
    // SAFETY: the driver's block.
    unsafe {
        match (d.taps, d.stride) {
            (3, 1) if usual => block::<D, PX, HALF, 3, 1>(d),
            (3, 2) if usual => block::<D, PX, HALF, 3, 2>(d),
            (5, 1) if usual => block::<D, PX, HALF, 5, 1>(d),
            (5, 2) if usual => block::<D, PX, HALF, 5, 2>(d),
            _ => block::<D, HALF, HALF, 0, 0>(d),
        }
    }
}

/// The block with that many taps and that stride; 0: any.
#[inline(always)]
unsafe fn block<D: Dot, const PX: usize, const HALF: usize, const TAPS: usize, const STRIDE: usize>(
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
                for row in 0..d.rows {
                    let row = channels.row::<D>(row);
                    let mut x = start;
                    while x < end {
                        let left = end - x;
                        let columns = ready.cast::<Ints<D>>().cast_const().wrapping_add((x - start) * stride);
                        let columns = Some(columns).filter(|_| room);
                        if HALF < PX && left <= HALF {
                            channels.pixels::<D, HALF, TAPS, STRIDE>(&row, columns, x, left);
                            x += HALF;
                        } else {
                            channels.pixels::<D, PX, TAPS, STRIDE>(&row, columns, x, left.min(PX));
                            x += PX;
                        }
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

/// What a row of output has to do with its block.
struct Row<D: Dot> {
    index: usize,
    /// The groups of lines under its windows, and the weights of the first of them.
    groups: Range<usize>,
    weights: *const i8,
    /// What sums begin with: the bias, less what the zero point contributes.
    start: Ints<D>,
    scale: Floats<D>,
    shift: Floats<D>,
}

/// What lies under a group of kernel lines.
struct Group {
    /// The channels at column 0 under each line, and the bytes from column to column: none outside of the image.
    first: [*const u8; 4],
    step: [usize; 4],
    /// Lines that the block has.
    count: usize,
}

impl Group {
    #[inline(always)]
    fn at(&self, x: usize) -> [*const u8; 4] {
        core::array::from_fn(|line| self.first[line].wrapping_add(x * self.step[line]))
    }
}

impl Channels<'_> {
    #[inline(always)]
    unsafe fn header<D: Dot>(&self, row: usize) -> *const f32 {
        // SAFETY: the weights begin with `HEADER` vectors.
        unsafe { self.weights.add(row * D::S::LANES).cast() }
    }

    /// Row `index` of the block.
    #[inline(always)]
    unsafe fn row<D: Dot>(&self, index: usize) -> Row<D> {
        let (d, lanes) = (self.d, D::S::LANES);
        // The window's first line is `above` lines before the block, or `below` lines behind its first.
        let (above, below) = (d.lines.before, index * d.lines.step);
        let (above, below) = (above.saturating_sub(below), below.saturating_sub(above));
        let end = (below + d.kernel_h).saturating_sub(above).div_ceil(D::GROUP);
        let groups = below / D::GROUP..end.min(d.lines.groups(D::GROUP, d.weight_zeros));
        // SAFETY: there are weights for every line that a group may begin with; arithmetic on the header.
        unsafe {
            let variants = self.weights.add(HEADER * lanes).cast::<i8>();
            let variant = (groups.start * D::GROUP + above + D::GROUP - 1).wrapping_sub(below);
            let weights = variants.wrapping_add(variant * self.variant::<D>());
            // Weights with zero points have all of their lines.
            let mut sum = D::S::bits(D::S::load(self.header::<D>(0)));
            if !d.weight_zeros {
                sum = D::S::isplat(0);
                for group in 0..groups.len() {
                    let own = weights.add(group * D::GROUP * self.variant::<D>());
                    sum = D::S::iadd(sum, D::S::bits(D::S::load(own.cast())));
                }
            }
            let bias = D::S::bits(D::S::load(self.header::<D>(2)));
            let start = D::S::isub(bias, D::mul(sum, D::S::isplat(d.zero)));
            let scale = D::S::mul(D::S::load(self.header::<D>(3)), D::S::splat(d.scale));
            Row { index, groups, weights, start, scale, shift: D::S::load(self.header::<D>(4)) }
        }
    }

    /// Bytes of the weights of a group of lines: for each channel their sum, as an integer; then the taps.
    #[inline(always)]
    fn variant<D: Dot>(&self) -> usize {
        D::S::LANES * (4 + self.d.taps * D::GROUP)
    }

    /// Group `group` of lines.
    #[inline(always)]
    unsafe fn group<D: Dot>(&self, group: usize) -> Group {
        let d = self.d;
        let [start, end] = d.lines.inside;
        let mut lines = Group { first: [d.outside; 4], step: [0; 4], count: 0 };
        lines.count = (d.lines.count - group * D::GROUP).min(D::GROUP);
        for i in 0..lines.count {
            let line = group * D::GROUP + i;
            if (start..end).contains(&line) {
                // SAFETY: the line is inside of the image.
                lines.first[i] = unsafe { d.src.add((line - start) * d.line + self.first) };
                lines.step[i] = d.pixel;
            }
        }
        lines
    }

    /// The group of elements under column `x`.
    #[inline(always)]
    unsafe fn column<D: Dot>(&self, lines: &Group, x: usize) -> Ints<D> {
        // SAFETY: the column is inside of the image.
        unsafe { D::interleave(&lines.at(x), lines.count, self.count, self.d.flip) }
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
            for group in 0..d.lines.groups(D::GROUP, d.weight_zeros) {
                let lines = self.group::<D>(group);
                let outside = self.outside::<D>(&lines);
                let to = ready.add(group).cast::<Ints<D>>();
                for j in (0..before).chain(end..count) {
                    to.add(j).write(outside);
                }
                let mut at = lines.at((start + before).saturating_sub(d.pad));
                for j in before..end {
                    let column = if lines.count == 1 {
                        // One line needs no interleaving.
                        D::load_bytes(at[0], self.count, d.flip)
                    } else if self.count == D::S::LANES {
                        // A whole vector of channels; lines that there are not are outside, as their weights are zero.
                        D::interleave(&at, 4, D::S::LANES, d.flip)
                    } else {
                        D::interleave(&at, lines.count, self.count, d.flip)
                    };
                    to.add(j).write(column);
                    for (at, step) in at.iter_mut().zip(lines.step) {
                        *at = at.wrapping_add(step);
                    }
                }
            }
        }
    }

    /// The group of elements of columns outside of the image.
    #[inline(always)]
    unsafe fn outside<D: Dot>(&self, lines: &Group) -> Ints<D> {
        // SAFETY: there are as many zero points as lanes.
        unsafe { D::interleave(&[self.d.outside; 4], lines.count, self.count, self.d.flip) }
    }

    /// The weights of tap `tap` of a row's group of lines.
    #[inline(always)]
    unsafe fn tap<D: Dot>(&self, row: &Row<D>, group: usize, tap: usize) -> Ints<D> {
        let lanes = D::S::LANES;
        // SAFETY: the weights have all taps.
        unsafe {
            let own = row.weights.add((group - row.groups.start) * D::GROUP * self.variant::<D>());
            D::weights(own.add(lanes * (4 + tap * D::GROUP)))
        }
    }

    /// `PX` windows from `x`, of which the first `count` are stored; `columns` are those under them, if they are ready.
    #[inline(always)]
    unsafe fn pixels<D: Dot, const PX: usize, const TAPS: usize, const STRIDE: usize>(
        &self,
        row: &Row<D>,
        columns: Option<*const Ints<D>>,
        x: usize,
        count: usize,
    ) {
        // SAFETY: the driver's block; columns are ready for all windows of a segment.
        unsafe {
            let sums = match columns {
                Some(columns) if TAPS > 0 => self.windows::<D, PX, TAPS, STRIDE>(row, columns),
                columns => self.any::<D, PX>(row, x, columns),
            };
            if count == PX {
                self.store::<D, PX>(row, &sums, x);
            } else {
                for (i, sum) in sums.into_iter().enumerate().take(count) {
                    self.store::<D, 1>(row, &[sum], x + i);
                }
            }
        }
    }

    /// Sums of `PX` windows.
    #[inline(always)]
    unsafe fn windows<D: Dot, const PX: usize, const TAPS: usize, const STRIDE: usize>(
        &self,
        row: &Row<D>,
        columns: *const Ints<D>,
    ) -> [[Ints<D>; 1]; PX] {
        // SAFETY: the columns under the windows are ready.
        unsafe {
            let mut acc = [[row.start]; PX];
            for group in row.groups.clone() {
                let columns = columns.add(group * COLUMNS);
                let mut w = [acc[0][0]; TAPS];
                for (tap, w) in w.iter_mut().enumerate() {
                    *w = self.tap::<D>(row, group, tap);
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
    unsafe fn any<D: Dot, const PX: usize>(
        &self,
        row: &Row<D>,
        x: usize,
        columns: Option<*const Ints<D>>,
    ) -> [[Ints<D>; 1]; PX] {
        let d = self.d;
        // SAFETY: as above.
        unsafe {
            let mut acc = [[row.start]; PX];
            let mut totals = [D::S::isplat(0); PX];
            for group in row.groups.clone() {
                let lines = self.group::<D>(group);
                let outside = self.outside::<D>(&lines);
                let ones = D::ones(lines.count);
                for tap in 0..d.taps {
                    let w = self.tap::<D>(row, group, tap);
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

    /// Stores `PX` pixels of a row from `x`.
    #[inline(always)]
    unsafe fn store<D: Dot, const PX: usize>(&self, row: &Row<D>, sums: &[[Ints<D>; 1]; PX], x: usize) {
        let Store { dst, form, target: whole, finish } = self.d.store;
        let size = if form.is_bytes() { 1 } else { 4 };
        let x = row.index * whole.rows + x;
        // SAFETY: a part of the driver's target.
        unsafe {
            let target =
                Target { rows: PX, cols: self.count, row: whole.row + x, col: whole.col + self.first, ..whole };
            let dst = dst.add((x * whole.stride + self.first) * size);
            store::<D, 1, PX>(&Store { dst, form, target, finish }, sums, &[row.scale], &[row.shift]);
        }
    }
}
