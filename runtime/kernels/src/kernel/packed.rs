//! The register tile for compilers that read a number from memory into all lanes only where it is used once, and that keep few
//! pointers in registers: wasmtime's. Rows of A are packed side by side, and meet one vector of columns.

use super::pointwise::{Finish, Target};
use super::product::{biases, store};
use crate::simd::Simd;

/// Some rows of A.
pub struct Pack {
    /// `runs` pieces of `run_len` floats of each row: those of the first run, then those of the next.
    pub rows: *const *const f32,
    pub runs: usize,
    pub run_len: usize,
    /// `[runs * run_len][rows]`
    pub out: *mut f32,
}

/// Tiles of as many rows each, one below the other: packed rows by one vector of columns.
pub struct PackedProduct<'a> {
    pub tiles: usize,
    /// What [`Pack`] made of the first, floats from there to the next, and rows of numbers.
    pub a: *const f32,
    pub step: usize,
    pub k: usize,
    /// The panel: a vector of biases, then `k` vectors.
    pub panel: *const f32,
    /// Where the panel ends.
    pub panel_end: *const f32,
    /// That of the first tile.
    pub target: Target<'a>,
    pub finish: unsafe fn(&Finish<'_>),
}

/// Rows and columns that are moved at a time.
const BLOCK: usize = 4;

/// Packs `MR` rows.
#[inline(always)]
pub unsafe fn pack<S: Simd, const MR: usize>(p: &Pack) {
    // SAFETY: the driver gives whole rows, and as much room.
    unsafe {
        let mut out = p.out;
        for run in 0..p.runs {
            let mut rows = [core::ptr::null(); MR];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = *p.rows.add(run * MR + r);
            }
            let whole = p.run_len - p.run_len % BLOCK;
            for k in (0..whole).step_by(BLOCK) {
                for first in (0..MR / BLOCK).map(|block| block * BLOCK) {
                    S::transpose([0, 1, 2, 3].map(|r| rows[first + r].add(k)), out.add(k * MR + first), MR);
                }
                for (r, row) in rows.iter().enumerate().skip(MR / BLOCK * BLOCK) {
                    for i in k..k + BLOCK {
                        *out.add(i * MR + r) = *row.add(i);
                    }
                }
            }
            for k in whole..p.run_len {
                for (r, row) in rows.iter().enumerate() {
                    *out.add(k * MR + r) = *row.add(k);
                }
            }
            out = out.add(p.run_len * MR);
        }
    }
}

/// As [`product::tile`](super::product::tile), for each tile: the same sums in the same order.
#[inline(always)]
pub unsafe fn tiles<S: Simd, const MR: usize>(p: &PackedProduct<'_>) {
    let mut target = p.target;
    let mut a = p.a;
    for _ in 0..p.tiles {
        // SAFETY: the driver gives packed rows and a whole panel; the target has `MR` rows for each tile and at most one vector of columns.
        unsafe {
            let mut acc = sums::<S, MR>(p, a);
            store::<S, MR, 1>(&target, p.finish, &mut acc);
        }
        a = a.wrapping_add(p.step);
        target.dst = target.dst.wrapping_add(MR * target.stride);
        target.row += MR;
    }
}

/// The sums of a tile.
///
/// The loop has a way out at its end that is never taken, for the panel ends where A does. Without it, LLVM would move the test at
/// the loop's head to its end, and sums would leave the loop from there as well as go round: two uses of each, for which wasmtime's
/// compiler takes what they are made of to be used twice, too. See docs/adr/018-packed-rows.md.
#[inline(always)]
unsafe fn sums<S: Simd, const MR: usize>(p: &PackedProduct<'_>, mut a: *const f32) -> [[S::V; 1]; MR] {
    // SAFETY: as in `tiles`.
    unsafe {
        let mut acc = biases::<S, MR, 1>(p.panel);
        let mut b = p.panel.add(S::LANES);
        let end = a.add(MR * p.k);
        let end_of_pairs = a.add(MR * (p.k - p.k % 2));
        loop {
            if a == end_of_pairs {
                break;
            }
            step::<S, MR>(&mut acc, a, b);
            step::<S, MR>(&mut acc, a.add(MR), b.add(S::LANES));
            a = a.add(2 * MR);
            b = b.add(2 * S::LANES);
            if b > p.panel_end {
                std::process::abort();
            }
        }
        if a != end {
            step::<S, MR>(&mut acc, a, b);
        }
        acc
    }
}

#[inline(always)]
unsafe fn step<S: Simd, const MR: usize>(acc: &mut [[S::V; 1]; MR], a: *const f32, b: *const f32) {
    // SAFETY: as in `tiles`.
    unsafe {
        let b = S::load(b);
        for (r, [sum]) in acc.iter_mut().enumerate() {
            *sum = S::madd(S::splat(*a.add(r)), b, *sum);
        }
    }
}
