//! The register tile of matrix products and convolutions.

use super::pointwise::{Finish, Target, Tile};
use crate::simd::Simd;

/// Tiles of `MR` rows of A each, one below the other, by one panel of B. A row of A is made of `runs` pieces of `run_len` floats each.
pub struct Product<'a> {
    pub tiles: usize,
    /// `runs x MR` pointers to the pieces of the first tile, and pointers from there to those of the next.
    pub rows: *const *const f32,
    pub step: usize,
    pub runs: usize,
    pub run_len: usize,
    /// The panel: a row of biases, then `runs * run_len` rows of as many columns as the tile has.
    pub panel: *const f32,
    /// That of the first tile.
    pub target: Target<'a>,
    /// Applies the steps and stores.
    pub finish: unsafe fn(&Finish<'_>),
}

/// `C = steps(bias + A B)` for each tile of `MR` rows and `NV` vectors of columns. Each output is one chain of sums in the order of k.
#[inline(always)]
pub unsafe fn tiles<S: Simd, const MR: usize, const NV: usize>(p: &Product<'_>) {
    let (mut target, mut pointers) = (p.target, p.rows);
    for _ in 0..p.tiles {
        // SAFETY: the driver gives `MR` valid rows per run and tile and a whole panel; the target has MR rows for each tile and at most NV
        // vectors.
        unsafe {
            let mut panel = p.panel;
            let mut acc = biases::<S, MR, NV>(panel);
            panel = panel.add(NV * S::LANES);
            for run in 0..p.runs {
                let mut rows = [core::ptr::null(); MR];
                for (r, row) in rows.iter_mut().enumerate() {
                    *row = *pointers.add(run * MR + r);
                }
                let mut k = 0;
                let unrolled = p.run_len - p.run_len % S::UNROLL;
                while k < unrolled {
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
            store::<S, MR, NV>(&target, p.finish, &mut acc);
        }
        pointers = pointers.wrapping_add(p.step);
        target.dst = target.dst.wrapping_add(MR * target.stride);
        target.row += MR;
    }
}

/// `MR` rows by `P` neighbouring panels of `NV` vectors each: with few rows, a single panel would leave the units that multiply
/// waiting for their own sums.
#[inline(always)]
pub unsafe fn beside<S: Simd, const MR: usize, const P: usize, const NV: usize>(p: &Product<'_>) {
    // SAFETY: the driver gives the rows and P panels; the target has as many rows and at most P * NV vectors.
    unsafe {
        let panel_len = (p.runs * p.run_len + 1) * NV * S::LANES;
        let mut acc = [[[S::zero(); NV]; P]; MR];
        for (i, v) in (0..P).flat_map(|i| (0..NV).map(move |v| (i, v))) {
            let bias = S::load(p.panel.add(i * panel_len + v * S::LANES));
            for row in &mut acc {
                row[i][v] = bias;
            }
        }
        let mut panel = p.panel.add(NV * S::LANES);
        for run in 0..p.runs {
            let mut rows = [core::ptr::null(); MR];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = *p.rows.add(run * MR + r);
            }
            for k in 0..p.run_len {
                let mut a = [S::zero(); MR];
                for (row, a) in rows.iter().zip(&mut a) {
                    *a = S::splat(*row.add(k));
                }
                for i in 0..P {
                    for v in 0..NV {
                        let b = S::load(panel.add(i * panel_len + v * S::LANES));
                        for (row, a) in acc.iter_mut().zip(a) {
                            row[i][v] = S::madd(a, b, row[i][v]);
                        }
                    }
                }
                panel = panel.add(NV * S::LANES);
            }
        }
        let mut tile = Tile::new();
        let tile = tile.as_mut_ptr();
        for (at, sum) in acc.iter().flatten().flatten().enumerate() {
            S::store(tile.add(at * S::LANES), *sum);
        }
        (p.finish)(&Finish::tile(tile, P * NV * S::LANES, p.target));
    }
}

#[inline(always)]
unsafe fn step<S: Simd, const MR: usize, const NV: usize>(
    acc: &mut [[S::V; NV]; MR],
    rows: &[*const f32; MR],
    k: usize,
    panel: *const f32,
) {
    // SAFETY: as in `tiles`.
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

/// The first row of a panel, for each row of the tile.
#[inline(always)]
pub unsafe fn biases<S: Simd, const MR: usize, const NV: usize>(panel: *const f32) -> [[S::V; NV]; MR] {
    // SAFETY: a panel starts with NV vectors.
    unsafe {
        let mut acc = [[S::zero(); NV]; MR];
        for v in 0..NV {
            let bias = S::load(panel.add(v * S::LANES));
            for row in &mut acc {
                row[v] = bias;
            }
        }
        acc
    }
}

/// Applies the steps to a tile of sums and stores it.
#[inline(always)]
pub unsafe fn store<S: Simd, const MR: usize, const NV: usize>(
    target: &Target<'_>,
    finish: unsafe fn(&Finish<'_>),
    acc: &mut [[S::V; NV]; MR],
) {
    // SAFETY: as in `tiles`; MR * NV vectors fit in a `Tile`.
    unsafe {
        if let Some(quick) = target.quick.as_ref().filter(|quick| quick.suits::<S, NV>(target.cols)) {
            quick.add::<S, NV, MR>(acc, (target.row, target.col));
            quick.apply::<S, NV, MR>(acc);
            let rest = target.cols - (NV - 1) * S::LANES;
            for (r, row) in acc.iter().enumerate() {
                let dst = target.dst.add(r * target.stride);
                for (v, x) in row.iter().enumerate().take(NV - 1) {
                    S::store(dst.add(v * S::LANES), *x);
                }
                let dst = dst.add((NV - 1) * S::LANES);
                S::store_part(dst, row[NV - 1], rest);
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
        finish(&Finish::tile(tile, NV * S::LANES, *target));
    }
}
