//! Elementwise work on 8-bit integers, or with such a result: they become numbers, steps are applied, numbers become integers, all in one
//! pass.

use super::bytes::{Divisor, Store, quantized};
use super::math;
use super::pointwise::{Finish, TILE, Target, Tile};
use crate::simd::Simd;
use crate::simd::dot::{Dot, Floats};
use crate::step::{Activation, Operand, Step};

/// What the steps begin with.
#[derive(Clone, Copy)]
pub enum Source {
    Floats(*const f32),
    /// `(byte - zero) * scale`, of bytes whose bits are flipped first.
    Bytes {
        data: *const u8,
        flip: u8,
        zero: i32,
        scale: f32,
    },
}

/// Steps over a matrix without gaps, on both sides.
pub struct BytePointwise<'a> {
    pub src: Source,
    /// What numbers are divided by before they are rounded.
    pub by: Divisor,
    pub store: Store<'a>,
}

/// Vectors that are worked on side by side.
const WIDE: usize = 4;

#[inline(always)]
pub unsafe fn byte_pointwise<D: Dot>(p: &BytePointwise<'_>) {
    let Target { rows, cols, steps, .. } = p.store.target;
    // SAFETY: the driver's matrices; every block and tile is inside of them.
    unsafe {
        if D::SMALL || !steps.iter().all(in_registers) {
            return tiles::<D>(p);
        }
        let lanes = D::S::LANES;
        let mut row = 0;
        while row < rows {
            let height = if row + WIDE <= rows { WIDE } else { 1 };
            let mut col = 0;
            while col + WIDE * lanes <= cols {
                for row in row..row + height {
                    block::<D, WIDE>(p, [row, col], [0, lanes], lanes);
                }
                col += WIDE * lanes;
            }
            // What is left of a row is too short, so that of some rows is taken together.
            while col < cols {
                let n = (cols - col).min(lanes);
                if height == WIDE {
                    block::<D, WIDE>(p, [row, col], [1, 0], n);
                } else {
                    block::<D, 1>(p, [row, col], [1, 0], n);
                }
                col += lanes;
            }
            row += height;
        }
    }
}

/// Whether [`block`] knows a step.
fn in_registers(step: &Step<'_>) -> bool {
    use Activation::{Clip, HardSigmoid, HardSwish, Relu};
    match step {
        Step::Activate(activation) => {
            matches!(activation, Relu | Clip { .. } | HardSigmoid { .. } | HardSwish { .. })
        }
        Step::Affine { .. } | Step::Add(_) | Step::Sub(_) | Step::SubFrom(_) | Step::Mul(_) => true,
        _ => false,
    }
}

/// `N` vectors from a row and a column on, with so many rows and columns from one to the next; `n` lanes of each.
#[inline(always)]
unsafe fn block<D: Dot, const N: usize>(p: &BytePointwise<'_>, [row, col]: [usize; 2], step: [usize; 2], n: usize) {
    let target = &p.store.target;
    // SAFETY: the elements are inside of the matrices; operands were checked.
    unsafe {
        let at = |v: usize| (row + v * step[0]) * target.cols + col + v * step[1];
        let mut x = [D::S::zero(); N];
        for (v, x) in x.iter_mut().enumerate() {
            *x = load::<D>(p.src, at(v), n);
        }
        for each in target.steps {
            apply::<D::S, N>(each, &mut x, [target.row + row, target.col + col], step, n);
        }
        for (v, x) in x.into_iter().enumerate() {
            save::<D>(p, at(v), x, n);
        }
    }
}

/// `n` numbers.
#[inline(always)]
unsafe fn load<D: Dot>(src: Source, at: usize, n: usize) -> Floats<D> {
    // SAFETY: the caller's elements.
    unsafe {
        match src {
            Source::Floats(data) => D::S::load_part(data.add(at), n),
            Source::Bytes { data, flip, zero, scale } => {
                let bytes = D::S::isub(D::load_bytes(data.add(at), n, flip), D::S::isplat(zero));
                D::S::mul(D::S::to_float(bytes), D::S::splat(scale))
            }
        }
    }
}

/// Stores `n` results.
#[inline(always)]
unsafe fn save<D: Dot>(p: &BytePointwise<'_>, at: usize, x: Floats<D>, n: usize) {
    // SAFETY: the caller's elements.
    unsafe {
        if p.store.form.is_bytes() {
            D::store_bytes(p.store.dst.add(at), quantized::<D>(x, p.by, p.store.form), n);
        } else {
            D::S::store_part(p.store.dst.cast::<f32>().add(at), x, n);
        }
    }
}

#[inline(always)]
unsafe fn apply<S: Simd, const N: usize>(
    step: &Step<'_>,
    x: &mut [S::V; N],
    [row, col]: [usize; 2],
    [down, right]: [usize; 2],
    n: usize,
) {
    // SAFETY: arithmetic, and operands that cover the whole matrix.
    unsafe {
        let mut y = [S::zero(); N];
        if let Some(operand) = step.operand() {
            for (v, y) in y.iter_mut().enumerate() {
                let (row, col) = (row + v * down, col + v * right);
                *y = match operand {
                    Operand::Cols(values) => S::load_part(values.as_ptr().add(col), n),
                    Operand::Full(view) => S::load_part(view.ptr().add(row * view.stride() + col), n),
                    Operand::Rows(values) => S::splat(*values.as_ptr().add(row)),
                    Operand::Scalar(value) => S::splat(*value),
                    // The driver refuses it.
                    Operand::Destination => S::zero(),
                };
            }
        }
        macro_rules! each {
            (|$x:ident, $y:ident| $value:expr) => {
                for (slot, $y) in x.iter_mut().zip(y) {
                    let $x = *slot;
                    *slot = $value;
                }
            };
            (|$x:ident| $value:expr) => {
                for slot in x.iter_mut() {
                    let $x = *slot;
                    *slot = $value;
                }
            };
        }
        match *step {
            Step::Add(_) => each!(|x, y| S::add(x, y)),
            Step::Sub(_) => each!(|x, y| S::sub(x, y)),
            Step::SubFrom(_) => each!(|x, y| S::sub(y, x)),
            Step::Mul(_) => each!(|x, y| S::mul(x, y)),
            Step::Affine { scale, shift } => each!(|x| S::madd(x, S::splat(scale), S::splat(shift))),
            Step::Activate(Activation::Clip { min, max }) => {
                each!(|x| math::clip::<S>(x, S::splat(min), S::splat(max)));
            }
            Step::Activate(Activation::HardSigmoid { alpha, beta }) => {
                each!(|x| math::hard_sigmoid::<S>(x, S::splat(alpha), S::splat(beta)));
            }
            Step::Activate(Activation::HardSwish { alpha, beta }) => {
                each!(|x| S::mul(x, math::hard_sigmoid::<S>(x, S::splat(alpha), S::splat(beta))));
            }
            // All others are not for registers.
            _ => each!(|x| S::max(S::zero(), x)),
        }
    }
}

/// The same for all steps, tile by tile.
#[inline(always)]
unsafe fn tiles<D: Dot>(p: &BytePointwise<'_>) {
    let whole = p.store.target;
    let lanes = D::S::LANES;
    let width = whole.cols.min(TILE);
    let height = (TILE / (width.div_ceil(lanes) * lanes).max(1)).max(1);
    let mut tile = Tile::new();
    let tile = tile.as_mut_ptr();
    for row in (0..whole.rows).step_by(height) {
        let rows = height.min(whole.rows - row);
        for col in (0..whole.cols).step_by(width) {
            let cols = width.min(whole.cols - col);
            let tile_stride = cols.div_ceil(lanes) * lanes;
            let place = |r: usize, c: usize| ((row + r) * whole.cols + col + c, (cols - c).min(lanes));
            // SAFETY: `rows * tile_stride <= TILE`; both matrices cover the rows and columns of the target.
            unsafe {
                for (r, c) in (0..rows).flat_map(|r| (0..cols).step_by(lanes).map(move |c| (r, c))) {
                    let (at, n) = place(r, c);
                    D::S::store(tile.add(r * tile_stride + c), load::<D>(p.src, at, n));
                }
                let target = Target { dst: tile, stride: tile_stride, rows, cols, row: whole.row + row, ..whole };
                let target = Target { col: whole.col + col, ..target };
                (p.store.finish)(&Finish::tile(tile, tile_stride, target));
                for (r, c) in (0..rows).flat_map(|r| (0..cols).step_by(lanes).map(move |c| (r, c))) {
                    let (at, n) = place(r, c);
                    save::<D>(p, at, D::S::load(tile.add(r * tile_stride + c)), n);
                }
            }
        }
    }
}
