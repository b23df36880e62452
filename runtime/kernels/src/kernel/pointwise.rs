//! Steps over a matrix: the only place where they are interpreted, whether after a product or on their own.

use super::math;
use super::quick::Quick;
use crate::simd::Simd;
use crate::step::{Activation, Operand, Step};
use core::mem::MaybeUninit;

/// Floats that are worked on at a time: they stay in the first-level cache from step to step.
pub const TILE: usize = 1024;

/// Aligned memory for one tile.
#[repr(C, align(64))]
pub struct Tile(pub MaybeUninit<[f32; TILE]>);

impl Tile {
    #[inline(always)]
    pub fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    #[inline(always)]
    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

/// What is written, and which part of the whole computation it is: operands are indexed by absolute row and column.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub dst: *mut f32,
    pub stride: usize,
    pub rows: usize,
    pub cols: usize,
    pub row: usize,
    pub col: usize,
    pub steps: &'a [Step<'a>],
    /// The same steps, if they can be applied in registers.
    pub quick: Option<Quick>,
}

/// Steps over a matrix of any size.
pub struct Pointwise<'a> {
    pub src: *const f32,
    pub src_stride: usize,
    pub target: Target<'a>,
    /// Applies the steps to a tile.
    pub finish: unsafe fn(&Finish<'_>),
}

/// Steps over one tile (row stride `tile_stride`, a multiple of the vector).
pub struct Finish<'a> {
    /// What the first step reads: the tile itself, or as many floats elsewhere, in the same places.
    pub from: *const f32,
    /// Overwritten. May be the target's own memory.
    pub tile: *mut f32,
    pub tile_stride: usize,
    pub target: Target<'a>,
}

impl<'a> Finish<'a> {
    /// Steps over what is in the tile.
    pub fn tile(tile: *mut f32, tile_stride: usize, target: Target<'a>) -> Self {
        Self { from: tile, tile, tile_stride, target }
    }
}

#[inline(always)]
fn padded<S: Simd>(cols: usize) -> usize {
    cols.div_ceil(S::LANES) * S::LANES
}

/// Where a step reads, and where it writes the same number of floats.
type Way = (*const f32, *mut f32);

/// `f` on every vector of a tile; its padding is included, which is ours to change.
#[inline(always)]
unsafe fn map<S: Simd>((from, to): Way, len: usize, f: impl Fn(S::V) -> S::V) {
    let mut i = 0;
    // SAFETY: there are `len` floats in both places.
    unsafe {
        let fours = len - len % (4 * S::LANES);
        while i < fours {
            let (p, to) = (from.add(i), to.add(i));
            let v = [S::load(p), S::load(p.add(S::LANES)), S::load(p.add(2 * S::LANES)), S::load(p.add(3 * S::LANES))];
            for (j, x) in v.into_iter().enumerate() {
                S::store(to.add(j * S::LANES), f(x));
            }
            i += 4 * S::LANES;
        }
        while i < len {
            S::store(to.add(i), f(S::load(from.add(i))));
            i += S::LANES;
        }
    }
}

/// `f(x, y)` on every vector of a tile and the operand's vector for it.
#[inline(always)]
unsafe fn zip<S: Simd>(f: &Finish<'_>, way: Way, y: &Operand<'_>, op: impl Fn(S::V, S::V) -> S::V) {
    let Target { rows, row, col, .. } = f.target;
    // SAFETY: `step::check` compared the operand with the whole computation, of which the target is a part.
    unsafe {
        // `op` is there twice, not once for each kind of operand: it is compiled for every step that has one.
        let (values, lines, len) = match y {
            Operand::Scalar(y) => (core::ptr::from_ref(y), 1, rows * f.tile_stride),
            Operand::Rows(values) => (values.as_ptr().add(row), rows, f.tile_stride),
            Operand::Cols(values) => (values.as_ptr().add(col), 0, 0),
            Operand::Full(view) => (view.ptr().add(row * view.stride() + col), 0, view.stride()),
            Operand::Destination => (f.target.dst.cast_const(), 0, f.target.stride),
        };
        if lines == 0 {
            return rows_with::<S>(f, way, values, len, op);
        }
        for line in 0..lines {
            let y = S::splat(*values.add(line));
            inlined!(map::<S>, ((way.0.add(line * len), way.1.add(line * len)), len), |x| op(x, y));
        }
    }
}

/// `op` with a matrix that starts at `y`. Never reads beyond its columns.
#[inline(always)]
unsafe fn rows_with<S: Simd>(
    f: &Finish<'_>,
    (from, to): Way,
    y: *const f32,
    y_stride: usize,
    op: impl Fn(S::V, S::V) -> S::V,
) {
    let Target { rows, cols, .. } = f.target;
    // SAFETY: as in `zip`; the last vector of a row is read up to its columns.
    unsafe {
        let whole = cols - cols % S::LANES;
        for r in 0..rows {
            let (x, y, to) = (from.add(r * f.tile_stride), y.add(r * y_stride), to.add(r * f.tile_stride));
            let mut c = 0;
            while c < whole {
                S::store(to.add(c), op(S::load(x.add(c)), S::load(y.add(c))));
                c += S::LANES;
            }
            if c < cols {
                S::store(to.add(c), op(S::load(x.add(c)), S::load_first(y.add(c), cols - c)));
            }
        }
    }
}

#[inline(always)]
unsafe fn activate<S: Simd>(way: Way, len: usize, activation: Activation) {
    // SAFETY: arithmetic on the caller's floats.
    unsafe {
        let (zero, one) = (S::zero(), S::splat(1.0));
        match activation {
            Activation::Relu => inlined!(map::<S>, (way, len), |x| S::max(zero, x)),
            Activation::Clip { min, max } => {
                let (min, max) = (S::splat(min), S::splat(max));
                inlined!(map::<S>, (way, len), |x| math::clip::<S>(x, min, max));
            }
            Activation::LeakyRelu { alpha } => {
                let alpha = S::splat(alpha);
                inlined!(map::<S>, (way, len), |x| S::select(S::gt(zero, x), S::mul(x, alpha), x));
            }
            Activation::HardSigmoid { alpha, beta } => {
                let (alpha, beta) = (S::splat(alpha), S::splat(beta));
                inlined!(map::<S>, (way, len), |x| math::hard_sigmoid::<S>(x, alpha, beta));
            }
            Activation::HardSwish { alpha, beta } => {
                let (alpha, beta) = (S::splat(alpha), S::splat(beta));
                inlined!(map::<S>, (way, len), |x| S::mul(x, math::hard_sigmoid::<S>(x, alpha, beta)));
            }
            Activation::Sigmoid => inlined!(map::<S>, (way, len), |x| math::sigmoid::<S>(x)),
            Activation::Silu => inlined!(map::<S>, (way, len), |x| math::silu::<S>(x)),
            Activation::Tanh => inlined!(map::<S>, (way, len), |x| math::tanh::<S>(x)),
            Activation::Gelu => inlined!(map::<S>, (way, len), |x| math::gelu::<S>(x)),
            Activation::GeluTanh => inlined!(map::<S>, (way, len), |x| math::gelu_tanh::<S>(x)),
            Activation::Erf => inlined!(map::<S>, (way, len), |x| math::erf::<S>(x)),
            Activation::Elu { alpha } => {
                let alpha = S::splat(alpha);
                inlined!(map::<S>, (way, len), |x| math::elu::<S>(x, alpha));
            }
            Activation::Softplus => inlined!(map::<S>, (way, len), |x| math::softplus::<S>(x)),
            Activation::Exp => inlined!(map::<S>, (way, len), |x| math::exp::<S>(x)),
            Activation::Log => inlined!(map::<S>, (way, len), |x| math::log::<S>(x)),
            Activation::Sqrt => inlined!(map::<S>, (way, len), |x| S::sqrt(x)),
            Activation::Reciprocal => inlined!(map::<S>, (way, len), |x| S::div(one, x)),
            Activation::Abs => inlined!(map::<S>, (way, len), |x| S::abs(x)),
            Activation::Neg => inlined!(map::<S>, (way, len), |x| math::neg::<S>(x)),
            Activation::Square => inlined!(map::<S>, (way, len), |x| S::mul(x, x)),
            Activation::CanonicalNan => {
                let nan = S::splat(f32::from_bits(0x7fc0_0000));
                inlined!(map::<S>, (way, len), |x| S::select(S::eq(x, x), x, nan));
            }
        }
    }
}

/// `a` if it is NaN, else `b`: makes `min` and `max` keep a NaN of either operand.
#[inline(always)]
unsafe fn nan_or<S: Simd>(a: S::V, b: S::V) -> S::V {
    // SAFETY: arithmetic only.
    unsafe { S::select(S::eq(a, a), b, a) }
}

#[inline(always)]
unsafe fn apply<S: Simd>(f: &Finish<'_>) {
    let len = f.target.rows * f.tile_stride;
    let mut way = (f.from, f.tile);
    // SAFETY: the tile holds `len` floats, and so does what is read first; operands were checked.
    unsafe {
        for step in f.target.steps {
            match step {
                Step::Activate(activation) => activate::<S>(way, len, *activation),
                Step::Affine { scale, shift } => {
                    let (scale, shift) = (S::splat(*scale), S::splat(*shift));
                    inlined!(map::<S>, (way, len), |x| S::madd(x, scale, shift));
                }
                Step::Add(y) => inlined!(zip::<S>, (f, way, y), |x, y| S::add(x, y)),
                Step::Sub(y) => inlined!(zip::<S>, (f, way, y), |x, y| S::sub(x, y)),
                Step::SubFrom(y) => inlined!(zip::<S>, (f, way, y), |x, y| S::sub(y, x)),
                Step::Mul(y) => inlined!(zip::<S>, (f, way, y), |x, y| S::mul(x, y)),
                Step::Div(y) => inlined!(zip::<S>, (f, way, y), |x, y| S::div(x, y)),
                Step::DivInto(y) => inlined!(zip::<S>, (f, way, y), |x, y| S::div(y, x)),
                Step::Min(y) => inlined!(zip::<S>, (f, way, y), |x, y| nan_or::<S>(x, S::min(x, y))),
                Step::Max(y) => inlined!(zip::<S>, (f, way, y), |x, y| nan_or::<S>(x, S::max(x, y))),
                Step::PRelu(y) => {
                    inlined!(zip::<S>, (f, way, y), |x, y| S::select(S::gt(S::zero(), x), S::mul(x, y), x));
                }
            }
            way.0 = f.tile;
        }
    }
}

#[inline(always)]
unsafe fn copy_rows<S: Simd>(
    src: *const f32,
    src_stride: usize,
    dst: *mut f32,
    dst_stride: usize,
    rows: usize,
    cols: usize,
) {
    // SAFETY: both matrices have `rows x cols` floats; the last vector of a row is cut.
    unsafe {
        let whole = cols - cols % S::LANES;
        for r in 0..rows {
            let (x, y) = (src.add(r * src_stride), dst.add(r * dst_stride));
            let mut c = 0;
            while c < whole {
                S::store(y.add(c), S::load(x.add(c)));
                c += S::LANES;
            }
            if c < cols {
                S::store_first(y.add(c), S::load_first(x.add(c), cols - c), cols - c);
            }
        }
    }
}

/// Applies the steps to a tile and writes it.
#[inline(always)]
pub unsafe fn finish<S: Simd>(f: &Finish<'_>) {
    let Target { dst, stride, rows, cols, .. } = f.target;
    // SAFETY: the caller's tile and target.
    unsafe {
        apply::<S>(f);
        if f.tile != dst {
            copy_rows::<S>(f.tile, f.tile_stride, dst, stride, rows, cols);
        }
    }
}

/// Applies the steps to a matrix, tile by tile. Source and destination may be the same matrix.
///
/// Where rows are whole vectors one behind the other, steps work in the destination; the first one reads the source, if it is the same there.
#[inline(always)]
pub unsafe fn pointwise<S: Simd>(p: &Pointwise<'_>) {
    let whole = p.target;
    let cols = whole.cols.min(TILE);
    let rows = (TILE / padded::<S>(cols).max(1)).max(1);
    let dense = |stride: usize| whole.cols.is_multiple_of(S::LANES) && (rows == 1 || stride == whole.cols);
    // A step may want what the destination held before, and without steps nothing would be written.
    let reads = |step: &Step<'_>| matches!(step.operand(), Some(Operand::Destination));
    let there = dense(whole.stride) && !whole.steps.is_empty() && !whole.steps.iter().any(reads);
    let mut tile = Tile::new();
    let tile = tile.as_mut_ptr();
    let mut r = 0;
    while r < whole.rows {
        let n = rows.min(whole.rows - r);
        let mut c = 0;
        while c < whole.cols {
            let w = cols.min(whole.cols - c);
            let tile_stride = padded::<S>(w);
            // SAFETY: `n * padded(w) <= TILE`; both matrices cover the rows and columns of the target.
            unsafe {
                let (src, dst) = (p.src.add(r * p.src_stride + c), whole.dst.add(r * whole.stride + c));
                let target = Target { dst, rows: n, cols: w, row: whole.row + r, col: whole.col + c, ..whole };
                let tile = if there { dst } else { tile };
                let mut finish = Finish::tile(tile, tile_stride, target);
                if there && dense(p.src_stride) {
                    finish.from = src;
                } else {
                    copy_in::<S>(src, p.src_stride, tile, tile_stride, n, w);
                }
                (p.finish)(&finish);
            }
            c += w;
        }
        r += n;
    }
}

/// Rows into a tile, whose padding becomes zero.
#[inline(always)]
unsafe fn copy_in<S: Simd>(
    src: *const f32,
    src_stride: usize,
    tile: *mut f32,
    tile_stride: usize,
    rows: usize,
    cols: usize,
) {
    // SAFETY: the source has `rows x cols` floats, the tile `rows x tile_stride`.
    unsafe {
        let whole = cols - cols % S::LANES;
        for r in 0..rows {
            let (x, y) = (src.add(r * src_stride), tile.add(r * tile_stride));
            let mut c = 0;
            while c < whole {
                S::store(y.add(c), S::load(x.add(c)));
                c += S::LANES;
            }
            if c < cols {
                S::store(y.add(c), S::load_first(x.add(c), cols - c));
            }
        }
    }
}
