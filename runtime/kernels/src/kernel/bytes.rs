//! The register tile of products of 8-bit integers, and how its sums become what is stored.

use super::pointwise::{Finish, Target, Tile};
use crate::simd::Simd;
use crate::simd::dot::{Dot, Floats, Ints};

/// Rows of a panel before its weights, one number per column in each: the sum of the weights less k times their zero point, the zero
/// point, the bias (integers); scale and shift (floats).
pub const HEADER: usize = 5;

/// Whole numbers below 2^22 in magnitude that are added to this come out rounded to the nearest, ties to even, in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// What results become.
#[derive(Clone, Copy)]
pub enum Form {
    Floats,
    /// The sums themselves: neither scale nor steps.
    Sums,
    /// `clamp(round(x * factor) + zero)`, where `low` and `high` are the bounds less the zero point.
    Bytes {
        factor: f32,
        low: f32,
        high: f32,
        zero: i32,
    },
}

impl Form {
    pub fn is_bytes(&self) -> bool {
        matches!(self, Form::Bytes { .. })
    }
}

/// Where results go: `target` has the rows, the columns and the steps; its own pointer is not used.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    pub dst: *mut u8,
    pub form: Form,
    pub target: Target<'a>,
    /// Applies steps that are not quick.
    pub finish: unsafe fn(&Finish<'_>),
}

/// Tiles of `MR` rows of A each, a stride apart, one below the other, by one panel of B.
pub struct ByteProduct<'a> {
    pub tiles: usize,
    pub a: *const u8,
    /// Bytes from row to row.
    pub a_stride: usize,
    /// Pieces of a row, and steps of `GROUP` elements of each; bytes from the end of a piece to the next.
    pub pieces: usize,
    pub steps: usize,
    pub gap: usize,
    pub panel: *const i32,
    /// Zero point of A.
    pub zero: i32,
    /// Scale of A; that of the results is its product with the column's.
    pub scale: f32,
    /// Whether weights have zero points.
    pub weight_zeros: bool,
    pub store: Store<'a>,
}

/// `steps(sum of (a - zero) (b - zero of b), + bias, * scale, + shift)` for each tile of `MR` rows and `NV` vectors of columns.
#[inline(always)]
pub unsafe fn tiles<D: Dot, const MR: usize, const NV: usize>(p: &ByteProduct<'_>) {
    let Target { stride, .. } = p.store.target;
    let size_bytes = if p.store.form.is_bytes() { 1 } else { size_of::<f32>() };
    let (mut a, mut store) = (p.a, p.store);
    for _ in 0..p.tiles {
        // SAFETY: as in `tile`; rows follow each other, also in the results.
        unsafe { tile::<D, MR, NV>(p, a, &store) };
        a = a.wrapping_add(MR * p.a_stride);
        store.dst = store.dst.wrapping_add(MR * stride * size_bytes);
        store.target.row += MR;
    }
}

/// The tile of the rows at `rows`.
#[inline(always)]
unsafe fn tile<D: Dot, const MR: usize, const NV: usize>(p: &ByteProduct<'_>, rows: *const u8, to: &Store<'_>) {
    // SAFETY: the driver gives MR rows of `pieces` times `steps` groups and a whole panel.
    unsafe {
        let lanes = D::S::LANES;
        let row = |index: usize, v: usize| p.panel.add((index * NV + v) * lanes).cast::<f32>();
        let mut acc = [[D::S::isplat(0); NV]; MR];
        for v in 0..NV {
            let sum = D::S::bits(D::S::load(row(0, v)));
            let bias = D::S::bits(D::S::load(row(2, v)));
            let start = D::S::isub(bias, D::mul(sum, D::S::isplat(p.zero)));
            for acc in &mut acc {
                acc[v] = start;
            }
        }
        let mut weights = p.panel.add(HEADER * NV * lanes).cast::<i8>();
        let mut a = rows;
        for _ in 0..p.pieces {
            for _ in 0..p.steps {
                let mut b = [D::S::isplat(0); NV];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = D::weights(weights.add(v * lanes * D::GROUP));
                }
                for (r, acc) in acc.iter_mut().enumerate() {
                    let group = D::S::isplat(a.add(r * p.a_stride).cast::<i32>().read_unaligned());
                    for (acc, b) in acc.iter_mut().zip(b) {
                        *acc = D::dot(*acc, group, b);
                    }
                }
                weights = weights.add(NV * lanes * D::GROUP);
                a = a.add(4);
            }
            a = a.wrapping_add(p.gap);
        }
        if p.weight_zeros {
            for (r, acc) in acc.iter_mut().enumerate() {
                let sum = row_sum::<D>(p, rows.add(r * p.a_stride));
                for (v, acc) in acc.iter_mut().enumerate() {
                    let zero = D::S::bits(D::S::load(row(1, v)));
                    *acc = D::S::isub(*acc, D::mul(zero, sum));
                }
            }
        }
        let (mut scales, mut shifts) = ([D::S::zero(); NV], [D::S::zero(); NV]);
        for v in 0..NV {
            scales[v] = D::S::mul(D::S::load(row(3, v)), D::S::splat(p.scale));
            shifts[v] = D::S::load(row(4, v));
        }
        store::<D, NV, MR>(to, &acc, &scales, &shifts);
    }
}

/// The sum of the row of A at `a`, in all lanes.
#[inline(always)]
unsafe fn row_sum<D: Dot>(p: &ByteProduct<'_>, mut a: *const u8) -> Ints<D> {
    // SAFETY: as in `tile`.
    unsafe {
        let ones = D::ones(D::GROUP);
        let mut sum = D::S::isplat(0);
        for _ in 0..p.pieces {
            for _ in 0..p.steps {
                sum = D::dot(sum, D::S::isplat(a.cast::<i32>().read_unaligned()), ones);
                a = a.add(4);
            }
            a = a.wrapping_add(p.gap);
        }
        sum
    }
}

/// Scales, shifts, applies the steps and stores.
#[inline(always)]
pub unsafe fn store<D: Dot, const NV: usize, const MR: usize>(
    s: &Store<'_>,
    acc: &[[Ints<D>; NV]; MR],
    scales: &[Floats<D>; NV],
    shifts: &[Floats<D>; NV],
) {
    let lanes = D::S::LANES;
    let Target { stride, cols, .. } = s.target;
    // SAFETY: the target has MR rows and at most NV vectors of columns; a tile holds as many.
    unsafe {
        let mut x = [[D::S::zero(); NV]; MR];
        if let Form::Sums = s.form {
            for (x, acc) in x.iter_mut().zip(acc) {
                for (x, acc) in x.iter_mut().zip(acc) {
                    *x = D::S::float(*acc);
                }
            }
            return store_floats::<D, NV, MR>(s, &x);
        }
        for (x, acc) in x.iter_mut().zip(acc) {
            for v in 0..NV {
                x[v] = D::S::add(D::S::mul(D::S::to_float(acc[v]), scales[v]), shifts[v]);
            }
        }
        if let Some(quick) = s.target.quick.as_ref().filter(|quick| quick.suits::<D::S, NV>(cols)) {
            quick.add::<D::S, NV, MR>(&mut x, (s.target.row, s.target.col));
            quick.apply::<D::S, NV, MR>(&mut x);
            return match s.form {
                Form::Bytes { .. } => store_bytes::<D, NV, MR>(s, &x),
                Form::Floats | Form::Sums => store_floats::<D, NV, MR>(s, &x),
            };
        }
        let mut tile = Tile::new();
        let tile = tile.as_mut_ptr();
        for (r, x) in x.iter().enumerate() {
            for (v, x) in x.iter().enumerate() {
                D::S::store(tile.add((r * NV + v) * lanes), *x);
            }
        }
        let tile_stride = NV * lanes;
        if let Form::Bytes { .. } = s.form {
            // In place; then as bytes.
            let target = Target { dst: tile, stride: tile_stride, ..s.target };
            (s.finish)(&Finish::tile(tile, tile_stride, target));
            for r in 0..MR {
                let mut c = 0;
                while c < cols {
                    let n = (cols - c).min(lanes);
                    let x = D::S::load(tile.add(r * tile_stride + c));
                    D::store_bytes(s.dst.add(r * stride + c), rounded::<D>(x, s.form), n);
                    c += lanes;
                }
            }
        } else {
            let target = Target { dst: s.dst.cast(), ..s.target };
            (s.finish)(&Finish::tile(tile, tile_stride, target));
        }
    }
}

#[inline(always)]
unsafe fn store_floats<D: Dot, const NV: usize, const MR: usize>(s: &Store<'_>, x: &[[Floats<D>; NV]; MR]) {
    let Target { stride, cols, .. } = s.target;
    // SAFETY: as in `store`.
    unsafe {
        for (r, x) in x.iter().enumerate() {
            let dst = s.dst.cast::<f32>().add(r * stride);
            for (v, x) in x.iter().enumerate() {
                let c = v * D::S::LANES;
                D::S::store_part(dst.add(c), *x, (cols - c).min(D::S::LANES));
            }
        }
    }
}

#[inline(always)]
unsafe fn store_bytes<D: Dot, const NV: usize, const MR: usize>(s: &Store<'_>, x: &[[Floats<D>; NV]; MR]) {
    let Target { stride, cols, .. } = s.target;
    // SAFETY: as in `store`.
    unsafe {
        for (r, x) in x.iter().enumerate() {
            let dst = s.dst.add(r * stride);
            for (v, x) in x.iter().enumerate() {
                let c = v * D::S::LANES;
                D::store_bytes(dst.add(c), rounded::<D>(*x, s.form), (cols - c).min(D::S::LANES));
            }
        }
    }
}

/// The byte that a number becomes, in the low bits. NaN becomes the smallest one.
#[inline(always)]
pub unsafe fn rounded<D: Dot>(x: Floats<D>, form: Form) -> Ints<D> {
    let Form::Bytes { factor, low, high, zero } = form else {
        // SAFETY: arithmetic only.
        return unsafe { D::S::bits(x) };
    };
    // SAFETY: as above.
    unsafe {
        let x = D::S::mul(x, D::S::splat(factor));
        whole::<D>(D::S::min(D::S::max(x, D::S::splat(low)), D::S::splat(high)), zero)
    }
}

/// Numbers within the bounds of bytes less `zero`, rounded, ties to even, plus `zero`.
#[inline(always)]
unsafe fn whole<D: Dot>(x: Floats<D>, zero: i32) -> Ints<D> {
    // SAFETY: arithmetic only.
    unsafe {
        let shifted = D::S::bits(D::S::add(x, D::S::splat(MAGIC)));
        D::S::iadd(shifted, D::S::isplat(zero - MAGIC.to_bits().cast_signed()))
    }
}

/// What numbers are divided by before they are rounded.
#[derive(Clone, Copy)]
pub struct Divisor {
    value: f32,
    /// One over it, where neither products with both nor what they leave out are too large or too small to be exact.
    inverse: Option<f32>,
}

impl Divisor {
    pub fn new(value: f32) -> Self {
        // 2^60, and one over it.
        const MOST: f32 = 1.152_921_5e18;
        Self { value, inverse: (1.0 / MOST..=MOST).contains(&value).then_some(1.0 / value) }
    }
}

/// The byte that a number becomes when it is divided first, in the low bits. NaN becomes the smallest one.
///
/// Division takes longer than all else, so where products can be fused the quotient is a product with the inverse that is corrected
/// twice. After the first time it is one of the two numbers next to the true one, and then what it leaves out is exact: so the second
/// time rounds correctly, and bytes are the same everywhere (Markstein, IBM Journal of Research and Development 34, 1990).
#[inline(always)]
pub unsafe fn quantized<D: Dot>(x: Floats<D>, by: Divisor, form: Form) -> Ints<D> {
    // SAFETY: arithmetic only.
    unsafe {
        match (by.inverse, form) {
            (Some(inverse), Form::Bytes { low, high, zero, .. }) if D::S::FUSED => {
                // What is beyond the bounds may be infinite, and so has to go first.
                let [low, high] = [D::S::splat(low * by.value), D::S::splat(high * by.value)];
                let x = D::S::min(D::S::max(x, low), high);
                let (inverse, minus) = (D::S::splat(inverse), D::S::splat(-by.value));
                let mut quotient = D::S::mul(x, inverse);
                for _ in 0..2 {
                    quotient = D::S::fused(D::S::fused(quotient, minus, x), inverse, quotient);
                }
                whole::<D>(quotient, zero)
            }
            _ => rounded::<D>(D::S::div(x, D::S::splat(by.value)), form),
        }
    }
}

/// A matrix of bytes as floats, or the other way: `rows x cols`, each matrix with its stride.
pub struct Convert {
    pub bytes: *mut u8,
    pub floats: *mut f32,
    pub len: usize,
    /// What the bits of bytes are flipped with before they are numbers from 0 to 255, and the zero point of those.
    pub flip: u8,
    pub zero: i32,
    /// What differences from the zero point are multiplied with, or numbers are divided by.
    pub scale: f32,
    /// Bounds of bytes less the zero point.
    pub low: f32,
    pub high: f32,
}

/// `(byte - zero) * scale`
#[inline(always)]
pub unsafe fn dequantize<D: Dot>(c: &Convert) {
    // SAFETY: the caller's slices have `len` elements.
    unsafe {
        let (zero, scale) = (D::S::isplat(c.zero), D::S::splat(c.scale));
        let mut i = 0;
        while i < c.len {
            let n = (c.len - i).min(D::S::LANES);
            let x = D::S::to_float(D::S::isub(D::load_bytes(c.bytes.add(i), n, c.flip), zero));
            D::S::store_part(c.floats.add(i), D::S::mul(x, scale), n);
            i += D::S::LANES;
        }
    }
}

/// `clamp(round(x / scale) + zero)`
#[inline(always)]
pub unsafe fn quantize<D: Dot>(c: &Convert) {
    // SAFETY: as above.
    unsafe {
        let by = Divisor::new(c.scale);
        let form = Form::Bytes { factor: 1.0, low: c.low, high: c.high, zero: c.zero };
        let mut i = 0;
        while i < c.len {
            let n = (c.len - i).min(D::S::LANES);
            let x = D::S::load_part(c.floats.add(i), n);
            D::store_bytes(c.bytes.add(i), quantized::<D>(x, by, form), n);
            i += D::S::LANES;
        }
    }
}

/// Elements of a row as the products want them: bytes with some bits flipped, or 16-bit integers.
pub struct Stage {
    pub src: *const u8,
    pub dst: *mut u8,
    pub len: usize,
    pub flip: u8,
    pub signed: bool,
}

/// Bytes to bytes.
#[inline(always)]
pub unsafe fn stage_bytes(s: &Stage) {
    // SAFETY: `len` bytes at both ends.
    unsafe {
        match s.len {
            16.. => {
                let mut at = 0;
                while at + 16 <= s.len {
                    flipped::<u128>(s, at);
                    at += 16;
                }
                // The rest overlaps what was done; here and below.
                flipped::<u128>(s, s.len - 16);
            }
            8..16 => {
                flipped::<u64>(s, 0);
                flipped::<u64>(s, s.len - 8);
            }
            4..8 => {
                flipped::<u32>(s, 0);
                flipped::<u32>(s, s.len - 4);
            }
            _ => {
                for at in 0..s.len {
                    flipped::<u8>(s, at);
                }
            }
        }
    }
}

/// As many of the bytes as a number has, from `at` on.
#[inline(always)]
unsafe fn flipped<T: core::ops::BitXor<Output = T> + Copy>(s: &Stage, at: usize) {
    let flips = [s.flip; 16];
    // SAFETY: the caller has as many; a number has at most 16.
    unsafe {
        let flips = flips.as_ptr().cast::<T>().read_unaligned();
        let bytes = s.src.add(at).cast::<T>().read_unaligned();
        s.dst.add(at).cast::<T>().write_unaligned(bytes ^ flips);
    }
}

/// Bytes to 16-bit integers.
#[inline(always)]
pub unsafe fn stage_words(s: &Stage) {
    // SAFETY: `len` bytes, and twice as many at the destination.
    unsafe {
        let dst = s.dst.cast::<i16>();
        if s.signed {
            for i in 0..s.len {
                dst.add(i).write_unaligned(i16::from(*s.src.add(i).cast::<i8>()));
            }
        } else {
            for i in 0..s.len {
                dst.add(i).write_unaligned(i16::from(*s.src.add(i)));
            }
        }
    }
}

/// Bytes by a table of 256.
pub struct Lookup {
    pub table: *const u8,
    pub src: *const u8,
    pub dst: *mut u8,
    pub len: usize,
}

/// `table[byte]`
#[inline(always)]
pub unsafe fn lookup<D: Dot>(l: &Lookup) {
    // SAFETY: `len` bytes at both ends, 256 in the table.
    unsafe {
        let done = D::lookup_blocks(l);
        for i in done..l.len {
            *l.dst.add(i) = *l.table.add(usize::from(*l.src.add(i)));
        }
    }
}
