//! Along rows: softmax, normalisation, reductions. And down columns: sums over pixels.

use super::math;
use crate::simd::{Simd, VIRTUAL_LANES};

/// What is computed of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reduce {
    /// Sum.
    Sum,
    /// Sum divided by the number of elements.
    Mean,
    /// Sum of squares.
    SumSquare,
    /// Largest element; NaN if there is one.
    Max,
    /// Smallest element; NaN if there is one.
    Min,
}

/// A matrix in, a matrix (or a vector) out.
pub struct Rows {
    pub src: *const f32,
    pub src_stride: usize,
    pub dst: *mut f32,
    pub dst_stride: usize,
    pub rows: usize,
    pub cols: usize,
}

/// Layer normalisation: scale and shift may be null.
pub struct Norm {
    pub rows: Rows,
    pub scale: *const f32,
    pub shift: *const f32,
    pub epsilon: f32,
}

/// One number per row, or per column.
pub struct Reduction {
    pub rows: Rows,
    pub reduce: Reduce,
}

/// Vectors of a virtual vector; slots beyond are unused.
const MAX_PARTS: usize = VIRTUAL_LANES / 4;

/// Folds `f(x)` over a row in the virtual lanes, then the lanes as a tree. `zero` is neutral for `op`.
#[inline(always)]
unsafe fn fold<S: Simd>(
    row: *const f32,
    cols: usize,
    neutral: f32,
    f: impl Fn(S::V) -> S::V,
    op: impl Fn(S::V, S::V) -> S::V,
    scalar: impl Fn(f32, f32) -> f32,
) -> f32 {
    let parts = VIRTUAL_LANES / S::LANES;
    // SAFETY: `cols` floats from `row` are the row's; a partial vector is read up to its end.
    unsafe {
        let mut acc = [S::splat(neutral); MAX_PARTS];
        let mut c = 0;
        while c + VIRTUAL_LANES <= cols {
            for (p, acc) in acc.iter_mut().enumerate() {
                if p < parts {
                    *acc = op(*acc, f(S::load(row.add(c + p * S::LANES))));
                }
            }
            c += VIRTUAL_LANES;
        }
        let mut lanes = [neutral; VIRTUAL_LANES];
        for (p, acc) in acc.iter().enumerate() {
            if p < parts {
                S::store(lanes.as_mut_ptr().add(p * S::LANES), *acc);
            }
        }
        if c < cols {
            let mut tail = [neutral; VIRTUAL_LANES];
            let rest = cols - c;
            for p in 0..parts {
                let start = p * S::LANES;
                if start < rest {
                    let x = f(S::load_first(row.add(c + start), (rest - start).min(S::LANES)));
                    S::store(tail.as_mut_ptr().add(start), x);
                }
            }
            for (lane, x) in lanes.iter_mut().zip(&tail).take(rest) {
                *lane = scalar(*lane, *x);
            }
        }
        let mut width = VIRTUAL_LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = scalar(lanes[i], lanes[i + width]);
            }
            width /= 2;
        }
        lanes[0]
    }
}

#[inline(always)]
unsafe fn sum<S: Simd>(row: *const f32, cols: usize, f: impl Fn(S::V) -> S::V) -> f32 {
    // SAFETY: the caller's row.
    unsafe { inlined!(fold::<S>, (row, cols, 0.0, f), |a, b| S::add(a, b), |a, b| a + b) }
}

/// The larger of two, NaN if either is.
#[inline(always)]
unsafe fn max_nan<S: Simd>(a: S::V, b: S::V) -> S::V {
    // SAFETY: arithmetic only. `max` gives b if either is NaN, so only a NaN in `a` is left to keep.
    unsafe { S::select(S::eq(a, a), S::max(a, b), a) }
}

#[inline(always)]
unsafe fn min_nan<S: Simd>(a: S::V, b: S::V) -> S::V {
    // SAFETY: arithmetic only.
    unsafe { S::select(S::eq(a, a), S::min(a, b), a) }
}

fn max_scalar(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

fn min_scalar(a: f32, b: f32) -> f32 {
    if a.is_nan() || a < b { a } else { b }
}

#[inline(always)]
unsafe fn max<S: Simd>(row: *const f32, cols: usize) -> f32 {
    // SAFETY: the caller's row.
    unsafe {
        inlined!(fold::<S>, (row, cols, f32::NEG_INFINITY), |x| x, |a, b| max_nan::<S>(a, b), |a, b| max_scalar(a, b))
    }
}

#[inline(always)]
unsafe fn min<S: Simd>(row: *const f32, cols: usize) -> f32 {
    // SAFETY: the caller's row.
    unsafe {
        inlined!(fold::<S>, (row, cols, f32::INFINITY), |x| x, |a, b| min_nan::<S>(a, b), |a, b| min_scalar(a, b))
    }
}

/// `dst[c] = f(src[c], c)` along a row.
#[inline(always)]
unsafe fn map_row<S: Simd>(src: *const f32, dst: *mut f32, cols: usize, f: impl Fn(S::V, usize, usize) -> S::V) {
    // SAFETY: both rows have `cols` floats.
    unsafe {
        let mut c = 0;
        while c + S::LANES <= cols {
            S::store(dst.add(c), f(S::load(src.add(c)), c, S::LANES));
            c += S::LANES;
        }
        if c < cols {
            let n = cols - c;
            S::store_first(dst.add(c), f(S::load_first(src.add(c), n), c, n), n);
        }
    }
}

/// e^(x - max) / sum. A row whose maximum is minus infinity becomes zero.
#[inline(always)]
pub unsafe fn softmax<S: Simd>(m: &Rows) {
    for r in 0..m.rows {
        // SAFETY: both matrices have `rows x cols` floats.
        unsafe {
            let (src, dst) = (m.src.add(r * m.src_stride), m.dst.add(r * m.dst_stride));
            let top = max::<S>(src, m.cols);
            if top == f32::NEG_INFINITY {
                inlined!(map_row::<S>, (src, dst, m.cols), |_, _, _| S::zero());
                continue;
            }
            let shift = S::splat(top);
            inlined!(map_row::<S>, (src, dst, m.cols), |x, _, _| math::exp::<S>(S::sub(x, shift)));
            let scale = S::splat(1.0 / inlined!(sum::<S>, (dst, m.cols), |x| x));
            inlined!(map_row::<S>, (dst, dst, m.cols), |x, _, _| S::mul(x, scale));
        }
    }
}

/// x - max - ln sum e^(x - max)
#[inline(always)]
pub unsafe fn log_softmax<S: Simd>(m: &Rows) {
    for r in 0..m.rows {
        // SAFETY: as for `softmax`.
        unsafe {
            let (src, dst) = (m.src.add(r * m.src_stride), m.dst.add(r * m.dst_stride));
            let shift = S::splat(max::<S>(src, m.cols));
            let total = inlined!(sum::<S>, (src, m.cols), |x| math::exp::<S>(S::sub(x, shift)));
            // Lanes beyond a partial vector were e^(0 - max), but only lanes within the row were added.
            let log = math::log::<S>(S::splat(total));
            inlined!(map_row::<S>, (src, dst, m.cols), |x, _, _| S::sub(S::sub(x, shift), log));
        }
    }
}

/// (x - mean) / sqrt(variance + epsilon) * scale + shift, in three passes over a row that is in the cache.
#[inline(always)]
pub unsafe fn layer_norm<S: Simd>(n: &Norm) {
    let m = &n.rows;
    let count = m.cols as f32;
    for r in 0..m.rows {
        // SAFETY: as for `softmax`; scale and shift are null or have `cols` floats.
        unsafe {
            let (src, dst) = (m.src.add(r * m.src_stride), m.dst.add(r * m.dst_stride));
            let mean = S::splat(inlined!(sum::<S>, (src, m.cols), |x| x) / count);
            let variance = inlined!(sum::<S>, (src, m.cols), |x| {
                let d = S::sub(x, mean);
                S::mul(d, d)
            }) / count;
            let factor = S::splat(1.0 / (variance + n.epsilon).sqrt());
            inlined!(map_row::<S>, (src, dst, m.cols), |x, c, lanes| {
                let mut y = S::mul(S::sub(x, mean), factor);
                if !n.scale.is_null() {
                    y = S::mul(y, S::load_part(n.scale.add(c), lanes));
                }
                if !n.shift.is_null() {
                    y = S::add(y, S::load_part(n.shift.add(c), lanes));
                }
                y
            });
        }
    }
}

/// One number per row, `dst_stride` apart.
#[inline(always)]
pub unsafe fn reduce_rows<S: Simd>(k: &Reduction) {
    let m = &k.rows;
    for r in 0..m.rows {
        // SAFETY: the matrix has `rows x cols` floats, the result `rows`.
        unsafe {
            let src = m.src.add(r * m.src_stride);
            let y = match k.reduce {
                Reduce::Sum => inlined!(sum::<S>, (src, m.cols), |x| x),
                Reduce::Mean => inlined!(sum::<S>, (src, m.cols), |x| x) / m.cols as f32,
                Reduce::SumSquare => inlined!(sum::<S>, (src, m.cols), |x| S::mul(x, x)),
                Reduce::Max => max::<S>(src, m.cols),
                Reduce::Min => min::<S>(src, m.cols),
            };
            *m.dst.add(r * m.dst_stride) = y;
        }
    }
}

/// Rows that are summed side by side in `reduce_cols`: row `r` goes into chain `r % CHAINS`, on every instruction set.
const CHAINS: usize = 4;

/// One number per column.
#[inline(always)]
pub unsafe fn reduce_cols<S: Simd>(k: &Reduction) {
    // SAFETY: arithmetic only in the closures.
    unsafe {
        match k.reduce {
            Reduce::Sum => inlined!(fold_cols::<S>, (&k.rows, 0.0, 1.0), |a, x| S::add(a, x), |a, b| S::add(a, b)),
            Reduce::Mean => {
                inlined!(fold_cols::<S>, (&k.rows, 0.0, k.rows.rows as f32), |a, x| S::add(a, x), |a, b| S::add(a, b));
            }
            Reduce::SumSquare => {
                inlined!(fold_cols::<S>, (&k.rows, 0.0, 1.0), |a, x| S::madd(x, x, a), |a, b| S::add(a, b))
            }
            Reduce::Max => {
                inlined!(
                    fold_cols::<S>,
                    (&k.rows, f32::NEG_INFINITY, 1.0),
                    |a, x| max_nan::<S>(a, x),
                    |a, b| max_nan::<S>(a, b)
                );
            }
            Reduce::Min => {
                inlined!(
                    fold_cols::<S>,
                    (&k.rows, f32::INFINITY, 1.0),
                    |a, x| min_nan::<S>(a, x),
                    |a, b| min_nan::<S>(a, b)
                );
            }
        }
    }
}

/// Vectors of columns that are folded in one pass.
const WIDE: usize = 2;

#[inline(always)]
unsafe fn fold_cols<S: Simd>(
    m: &Rows,
    neutral: f32,
    divisor: f32,
    op: impl Fn(S::V, S::V) -> S::V,
    join: impl Fn(S::V, S::V) -> S::V,
) {
    // SAFETY: the matrix has `rows x cols` floats, the result `cols`.
    unsafe {
        let mut c = 0;
        while c + WIDE * S::LANES <= m.cols {
            let y = column::<S, WIDE>(m, c, neutral, |p| S::load(p), &op, &join);
            for (w, y) in y.into_iter().enumerate() {
                S::store(m.dst.add(c + w * S::LANES), S::div(y, S::splat(divisor)));
            }
            c += WIDE * S::LANES;
        }
        while c < m.cols {
            let n = (m.cols - c).min(S::LANES);
            let [y] = column::<S, 1>(m, c, neutral, |p| S::load_part(p, n), &op, &join);
            S::store_first(m.dst.add(c), S::div(y, S::splat(divisor)), n);
            c += n;
        }
    }
}

#[inline(always)]
unsafe fn column<S: Simd, const W: usize>(
    m: &Rows,
    c: usize,
    neutral: f32,
    load: impl Fn(*const f32) -> S::V,
    op: &impl Fn(S::V, S::V) -> S::V,
    join: &impl Fn(S::V, S::V) -> S::V,
) -> [S::V; W] {
    // SAFETY: as in `fold_cols`.
    unsafe {
        let mut acc = [[S::splat(neutral); W]; CHAINS];
        let mut r = 0;
        while r < m.rows {
            for (i, acc) in acc.iter_mut().enumerate() {
                if r + i < m.rows {
                    for (w, acc) in acc.iter_mut().enumerate() {
                        *acc = op(*acc, load(m.src.add((r + i) * m.src_stride + c + w * S::LANES)));
                    }
                }
            }
            r += CHAINS;
        }
        let mut y = [S::zero(); W];
        for (w, y) in y.iter_mut().enumerate() {
            *y = join(join(acc[0][w], acc[1][w]), join(acc[2][w], acc[3][w]));
        }
        y
    }
}
