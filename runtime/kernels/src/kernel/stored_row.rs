//! Numbers that are stored in few bits, multiplied with one row as they are widened.

use super::pointwise::{Finish, Target, Tile};
use super::stored::Codes;
use crate::simd::Simd;
use crate::stored::Layout;

/// One row of A by panels of B that lie side by side.
pub struct StoredRow<'a> {
    /// `k` floats.
    pub row: *const f32,
    pub panel: *const u8,
    pub layout: Layout,
    pub target: Target<'a>,
    /// Applies the steps and stores.
    pub finish: unsafe fn(&Finish<'_>),
}

/// `C = steps(bias + A B)` for one row of A and `P` neighbouring panels of `NV` vectors each. Each output is one chain of sums in the
/// order of k.
#[inline(always)]
pub unsafe fn row<S: Simd, C: Codes, const P: usize, const NV: usize>(r: &StoredRow<'_>) {
    // SAFETY: the driver gives a row and P panels that suit; the target has one row and at most P * NV vectors.
    unsafe {
        let mut sums = if C::SCALED && r.layout.has_zeros() {
            sums::<S, C, P, NV, true>(r)
        } else {
            sums::<S, C, P, NV, false>(r)
        };
        let mut tile = Tile::new();
        let tile = tile.as_mut_ptr();
        for (i, sum) in sums.as_flattened_mut().iter().enumerate() {
            S::store(tile.add(i * S::LANES), *sum);
        }
        (r.finish)(&Finish::tile(tile, P * NV * S::LANES, r.target));
    }
}

#[inline(always)]
unsafe fn sums<S: Simd, C: Codes, const P: usize, const NV: usize, const ZEROS: bool>(
    r: &StoredRow<'_>,
) -> [[S::V; NV]; P] {
    let (layout, width) = (r.layout, NV * S::LANES);
    let panel_bytes = width * layout.column_bytes();
    // SAFETY: as in `row`.
    unsafe {
        let mut acc = inlined!(each::<S, P, NV>, (r.panel, panel_bytes, 4), |p| S::load(p.cast()));
        let (mut scales, mut zeros) = (r.panel.add(Layout::SCALES * width), r.panel.add(layout.zeros() * width));
        let mut codes = r.panel.add(layout.codes() * width);
        let mut k = 0;
        while k < layout.k {
            let end = (k + layout.block()).min(layout.k);
            let (mut scale, mut zero) = ([[S::zero(); NV]; P], [[S::zero(); NV]; P]);
            if C::SCALED {
                scale = inlined!(each::<S, P, NV>, (scales, panel_bytes, 4), |p| S::load(p.cast()));
                scales = scales.add(4 * width);
            }
            if ZEROS {
                zero = inlined!(each::<S, P, NV>, (zeros, panel_bytes, 1), |p| S::to_float(S::load_bytes(p)));
                zeros = zeros.add(width);
            }
            let meaning = Meaning { scale, zero };
            while k + C::ROWS <= end {
                step::<S, C, P, NV, ZEROS>(&mut acc, &meaning, r.row.add(k), codes, panel_bytes, C::ROWS);
                codes = codes.add(width * C::BYTES);
                k += C::ROWS;
            }
            // Half a row of codes, the last.
            if k < end {
                step::<S, C, P, NV, ZEROS>(&mut acc, &meaning, r.row.add(k), codes, panel_bytes, 1);
                k = end;
            }
        }
        acc
    }
}

/// Scales and zero points of the block at hand.
struct Meaning<V, const P: usize, const NV: usize> {
    scale: [[V; NV]; P],
    zero: [[V; NV]; P],
}

/// The first `rows` rows of a row of codes.
#[inline(always)]
unsafe fn step<S: Simd, C: Codes, const P: usize, const NV: usize, const ZEROS: bool>(
    acc: &mut [[S::V; NV]; P],
    meaning: &Meaning<S::V, P, NV>,
    a: *const f32,
    codes: *const u8,
    panel_bytes: usize,
    rows: usize,
) {
    for (i, acc) in acc.iter_mut().enumerate() {
        for (v, acc) in acc.iter_mut().enumerate() {
            // SAFETY: as in `row`.
            unsafe {
                let numbers = C::load::<S>(codes.add(i * panel_bytes + v * S::LANES * C::BYTES));
                for (u, mut x) in numbers.into_iter().enumerate().take(rows) {
                    if ZEROS {
                        x = S::sub(x, meaning.zero[i][v]);
                    }
                    if C::SCALED {
                        x = S::mul(x, meaning.scale[i][v]);
                    }
                    *acc = S::madd(S::splat(*a.add(u)), x, *acc);
                }
            }
        }
    }
}

/// A vector for each vector of columns of some panels.
#[inline(always)]
unsafe fn each<S: Simd, const P: usize, const NV: usize>(
    first: *const u8,
    panel_bytes: usize,
    bytes: usize,
    load: impl Fn(*const u8) -> S::V,
) -> [[S::V; NV]; P] {
    // SAFETY: as in `row`.
    unsafe {
        let mut all = [[S::zero(); NV]; P];
        for (i, panel) in all.iter_mut().enumerate() {
            for (v, slot) in panel.iter_mut().enumerate() {
                *slot = load(first.add(i * panel_bytes + v * S::LANES * bytes));
            }
        }
        all
    }
}
