//! The register tile of matrix products and convolutions.

use super::pointwise::{Finish, Target, Tile};
use crate::simd::Simd;

/// One tile: `MR` rows of A by one panel of B. A row of A is made of `runs` pieces of `run_len` floats each.
pub struct Product<'a> {
    /// `runs x MR` pointers to the pieces.
    pub rows: *const *const f32,
    pub runs: usize,
    pub run_len: usize,
    /// The panel: a row of biases, then `runs * run_len` rows of as many columns as the tile has.
    pub panel: *const f32,
    pub target: Target<'a>,
    /// Applies the steps and stores.
    pub finish: unsafe fn(&Finish<'_>),
}

/// `C = steps(bias + A B)` for `MR` rows and `NV` vectors of columns. Each output is one chain of sums in the order of k.
#[inline(always)]
pub unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(p: &Product<'_>) {
    // SAFETY: the driver gives `MR` valid rows per run and a whole panel; the target has at most MR rows and NV vectors.
    unsafe {
        let mut panel = p.panel;
        let mut acc = [[S::zero(); NV]; MR];
        for v in 0..NV {
            let bias = S::load(panel.add(v * S::LANES));
            for row in &mut acc {
                row[v] = bias;
            }
        }
        panel = panel.add(NV * S::LANES);
        for run in 0..p.runs {
            let mut rows = [core::ptr::null(); MR];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = *p.rows.add(run * MR + r);
            }
            let mut k = 0;
            while k + S::UNROLL <= p.run_len {
                for u in 0..S::UNROLL {
                    step::<S, MR, NV>(&mut acc, &rows, k + u, panel.add(u * NV * S::LANES));
                }
                panel = panel.add(S::UNROLL * NV * S::LANES);
                k += S::UNROLL;
            }
            while k < p.run_len {
                step::<S, MR, NV>(&mut acc, &rows, k, panel);
                panel = panel.add(NV * S::LANES);
                k += 1;
            }
        }
        store::<S, MR, NV>(p, &mut acc);
    }
}

#[inline(always)]
unsafe fn step<S: Simd, const MR: usize, const NV: usize>(
    acc: &mut [[S::V; NV]; MR],
    rows: &[*const f32; MR],
    k: usize,
    panel: *const f32,
) {
    // SAFETY: as in `tile`.
    unsafe {
        let mut b = [S::zero(); NV];
        for (v, b) in b.iter_mut().enumerate() {
            *b = S::load(panel.add(v * S::LANES));
        }
        for r in 0..MR {
            let a = S::splat(*rows[r].add(k));
            for v in 0..NV {
                acc[r][v] = S::madd(a, b[v], acc[r][v]);
            }
        }
    }
}

#[inline(always)]
unsafe fn store<S: Simd, const MR: usize, const NV: usize>(p: &Product<'_>, acc: &mut [[S::V; NV]; MR]) {
    // SAFETY: as in `tile`; MR * NV vectors fit in a `Tile`.
    unsafe {
        if let Some(quick) = &p.target.quick {
            quick.apply::<S, NV, MR>(acc);
            let rest = p.target.cols - (NV - 1) * S::LANES;
            for (r, row) in acc.iter().enumerate() {
                let dst = p.target.dst.add(r * p.target.stride);
                for (v, x) in row.iter().enumerate().take(NV - 1) {
                    S::store(dst.add(v * S::LANES), *x);
                }
                let dst = dst.add((NV - 1) * S::LANES);
                if rest == S::LANES {
                    S::store(dst, row[NV - 1]);
                } else {
                    S::store_first(dst, row[NV - 1], rest);
                }
            }
            return;
        }
        let mut tile = Tile::new();
        let tile = tile.as_mut_ptr();
        for (r, row) in acc.iter().enumerate() {
            for (v, x) in row.iter().enumerate() {
                S::store(tile.add((r * NV + v) * S::LANES), *x);
            }
        }
        (p.finish)(&Finish { tile, tile_stride: NV * S::LANES, target: p.target });
    }
}
