//! Numbers to integers and back: the one definition of scales, zero points and codes.
//!
//! `q = clamp(round(x / s) + z, low, high)`, ties to even, and `x' = (q - z) s`, both in binary32 with a true division: that
//! is `QuantizeLinear` and `DequantizeLinear` of the ONNX standard.

/// Codes and what they stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Grid {
    /// Distance of two codes. Finite, positive, and no subnormal.
    pub(super) scale: f32,
    /// Code of zero.
    pub(super) zero: i32,
    /// Smallest code.
    pub(super) low: i32,
    /// Largest code.
    pub(super) high: i32,
}

impl Grid {
    /// Codes `-levels..=levels` over `[-largest, largest]`.
    pub(super) fn symmetric(largest: f32, levels: i32) -> Grid {
        Grid { scale: scale_of(f64::from(largest) / f64::from(levels), levels), zero: 0, low: -levels, high: levels }
    }

    /// Codes `low..=high` over a range, widened so that it holds zero and zero has a code of its own.
    pub(super) fn over(min: f32, max: f32, low: i32, high: i32) -> Grid {
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        let codes = f64::from(high) - f64::from(low);
        let zero = if max > min { (f64::from(low) - min * codes / (max - min)).round_ties_even() } else { 0.0 };
        let zero = zero.clamp(f64::from(low), f64::from(high));
        // The rounded zero point moves the range: the scale grows until both ends are inside again.
        let above = if zero < f64::from(high) { max / (f64::from(high) - zero) } else { 0.0 };
        let below = if zero > f64::from(low) { -min / (zero - f64::from(low)) } else { 0.0 };
        // Codes of this file are at most 8 bits wide.
        let zero = zero as i32;
        Grid { scale: scale_of(above.max(below), (high - zero).max(zero - low)), zero, low, high }
    }

    /// What the first and the last code stand for.
    pub(super) fn range(&self) -> [f32; 2] {
        [self.decode(self.low), self.decode(self.high)]
    }

    /// The code of a finite number.
    pub(super) fn encode(&self, x: f32) -> i32 {
        let (low, high) = ((self.low - self.zero) as f32, (self.high - self.zero) as f32);
        (x / self.scale).round_ties_even().clamp(low, high) as i32 + self.zero
    }

    /// What a code stands for.
    pub(super) fn decode(&self, code: i32) -> f32 {
        (code - self.zero) as f32 * self.scale
    }
}

/// A scale that is neither zero nor subnormal, and with which so many codes stay finite. 1 where everything is zero.
fn scale_of(exact: f64, codes: i32) -> f32 {
    if exact <= 0.0 {
        return 1.0;
    }
    let scale = (exact as f32).clamp(f32::MIN_POSITIVE, f32::MAX);
    if (codes as f32 * scale).is_finite() { scale } else { scale.next_down() }
}

/// Two 4-bit codes to a byte, low half first, each row in whole bytes.
pub(super) fn pack_nibbles(codes: &[i8], row: usize) -> Vec<u8> {
    let pair = |pair: &[i8]| {
        let low = pair.first().map_or(0, |code| code.cast_unsigned() & 15);
        let high = pair.get(1).map_or(0, |code| code.cast_unsigned() << 4);
        low | high
    };
    codes.chunks(row.max(1)).flat_map(|row| row.chunks(2).map(pair)).collect()
}

/// Signal to noise in decibels, `10 log10(sum x^2 / sum (x - y)^2)`; `None` where nothing differs.
pub(super) fn sqnr_db(exact: &[f32], found: &[f32]) -> Option<f32> {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (x, y) in exact.iter().zip(found) {
        let (x, y) = (f64::from(*x), f64::from(*y));
        signal += x * x;
        noise += (x - y) * (x - y);
    }
    // A signal of nothing but zeros has no noise either: its codes are zero.
    (noise > 0.0).then(|| (10.0 * (signal / noise).log10()) as f32)
}
