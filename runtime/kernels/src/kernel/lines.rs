//! The register tile of a convolution that reads planes: neighbouring output pixels read neighbouring floats of a line, so one
//! pointer per line is enough.

use super::pointwise::{Finish, Target};
use super::product;
use crate::simd::Simd;

/// One tile: some neighbouring output pixels by one panel of weights.
pub struct Lines<'a> {
    /// The first tap of the first pixel in the first line, and floats from line to line.
    pub src: *const f32,
    pub line: usize,
    pub lines: usize,
    /// Taps of a line, side by side.
    pub taps: usize,
    /// The panel: a row of biases, then `lines * taps` rows.
    pub panel: *const f32,
    pub target: Target<'a>,
    pub finish: unsafe fn(&Finish<'_>),
}

/// `MR` pixels, `STRIDE` floats apart, by `NV` vectors of channels.
#[inline(always)]
pub unsafe fn tile<S: Simd, const MR: usize, const NV: usize, const STRIDE: usize>(t: &Lines<'_>) {
    // SAFETY: the driver gives lines that are long enough and a whole panel.
    unsafe {
        let mut panel = t.panel;
        let mut acc = product::biases::<S, MR, NV>(panel);
        panel = panel.add(NV * S::LANES);
        let mut line = t.src;
        for _ in 0..t.lines {
            for tap in 0..t.taps {
                let mut b = [S::zero(); NV];
                for (v, b) in b.iter_mut().enumerate() {
                    *b = S::load(panel.add(v * S::LANES));
                }
                let at = line.add(tap);
                for (r, row) in acc.iter_mut().enumerate() {
                    let a = S::splat(*at.add(r * STRIDE));
                    for (v, sum) in row.iter_mut().enumerate() {
                        *sum = S::madd(a, b[v], *sum);
                    }
                }
                panel = panel.add(NV * S::LANES);
            }
            line = line.wrapping_add(t.line);
        }
        product::store::<S, MR, NV>(&t.target, t.finish, &mut acc);
    }
}
