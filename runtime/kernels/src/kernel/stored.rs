//! Numbers that are stored in few bits, widened into a panel of floats.

use crate::simd::Simd;
use crate::stored::{Layout, Storage};

/// A panel to be written in floats: a row of biases, then `k` rows.
pub struct Widen {
    pub panel: *const u8,
    pub vectors: usize,
    pub layout: Layout,
    pub out: *mut f32,
}

/// How codes become numbers.
pub trait Codes {
    /// Rows of B in a row of codes, and bytes of one column of that.
    const ROWS: usize;
    const BYTES: usize;
    /// Whether numbers have scales.
    const SCALED: bool;
    /// A vector of columns of each row.
    ///
    /// # Safety
    ///
    /// The instruction set is there, and `BYTES` bytes for each lane.
    unsafe fn load<S: Simd>(p: *const u8) -> [S::V; 2];
}

pub struct Halves;
pub struct Int8;
pub struct Int4;

impl Codes for Halves {
    const ROWS: usize = 1;
    const BYTES: usize = 2;
    const SCALED: bool = false;
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const u8) -> [S::V; 2] {
        // SAFETY: the caller's.
        unsafe { [S::load_halves(p.cast()), S::zero()] }
    }
}

impl Codes for Int8 {
    const ROWS: usize = 1;
    const BYTES: usize = 1;
    const SCALED: bool = true;
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const u8) -> [S::V; 2] {
        // SAFETY: the caller's.
        unsafe { [S::to_float(S::load_bytes(p)), S::zero()] }
    }
}

impl Codes for Int4 {
    const ROWS: usize = 2;
    const BYTES: usize = 1;
    const SCALED: bool = true;
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const u8) -> [S::V; 2] {
        // SAFETY: the caller's.
        unsafe {
            let pair = S::load_bytes(p);
            [S::to_float(S::sra::<28>(S::shl::<28>(pair))), S::to_float(S::sra::<4>(pair))]
        }
    }
}

#[inline(always)]
pub unsafe fn widen<S: Simd>(w: &Widen) {
    // SAFETY: the panel has all its parts, the result as many rows.
    unsafe {
        match w.layout.storage {
            Storage::Half => rows::<S, Halves>(w),
            Storage::Int8(_) => rows::<S, Int8>(w),
            Storage::Int4(_) => rows::<S, Int4>(w),
        }
    }
}

/// One vector of columns after the other: so there is one loop for panels of any width, with a scale in a register.
#[inline(always)]
unsafe fn rows<S: Simd, C: Codes>(w: &Widen) {
    let (layout, width) = (w.layout, w.vectors * S::LANES);
    // SAFETY: as in `widen`.
    unsafe {
        for first in (0..width).step_by(S::LANES) {
            let mut scales = w.panel.add(Layout::SCALES * width + 4 * first);
            let mut zeros = w.panel.add(layout.zeros() * width + first);
            let mut codes = w.panel.add(layout.codes() * width + first * C::BYTES);
            let mut out = w.out.add(first);
            S::store(out, S::load(w.panel.cast::<f32>().add(first)));
            let mut k = 0;
            while k < layout.k {
                let end = (k + layout.block()).min(layout.k);
                // Without zero points nothing is what they are.
                let (mut scale, mut zero) = (S::zero(), S::zero());
                if C::SCALED {
                    scale = S::load(scales.cast());
                    scales = scales.add(4 * width);
                }
                if C::SCALED && layout.has_zeros() {
                    zero = S::to_float(S::load_bytes(zeros));
                    zeros = zeros.add(width);
                }
                while k < end {
                    let pair = C::load::<S>(codes);
                    let second = C::ROWS == 2 && k % 2 == 1;
                    let mut x = if second { pair[1] } else { pair[0] };
                    if C::SCALED {
                        x = S::mul(S::sub(x, zero), scale);
                    }
                    out = out.add(width);
                    S::store(out, x);
                    if C::ROWS == 1 || second {
                        codes = codes.add(width * C::BYTES);
                    }
                    k += 1;
                }
            }
        }
    }
}
