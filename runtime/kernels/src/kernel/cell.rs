//! The elementwise half of recurrent cells.

use super::math;
use crate::simd::Simd;

/// One step of an LSTM for one row of the batch.
pub struct Lstm {
    /// Four blocks of `hidden` sums in ONNX's order: input, output, forget, cell.
    pub gates: *const f32,
    /// Peephole weights in ONNX's order (input, output, forget), or null.
    pub peephole: *const f32,
    pub cell: *mut f32,
    pub output: *mut f32,
    pub hidden: usize,
}

/// One step of a GRU with `linear_before_reset` for one row of the batch.
pub struct Gru {
    /// Three blocks of `hidden` sums in ONNX's order (update, reset, hidden): of the input, and of the state.
    pub input: *const f32,
    pub state: *const f32,
    pub output: *mut f32,
    pub hidden: usize,
}

#[inline(always)]
pub unsafe fn lstm<S: Simd>(l: &Lstm) {
    let mut u = 0;
    while u < l.hidden {
        let n = (l.hidden - u).min(S::LANES);
        // SAFETY: each block has `hidden` floats.
        unsafe {
            let block = |base: *const f32, b: usize| S::load_part(base.add(b * l.hidden + u), n);
            let peep = |gate: S::V, b: usize, cell: S::V| {
                if l.peephole.is_null() { gate } else { S::madd(block(l.peephole, b), cell, gate) }
            };
            let before = S::load_part(l.cell.add(u), n);
            let input = math::sigmoid::<S>(peep(block(l.gates, 0), 0, before));
            let forget = math::sigmoid::<S>(peep(block(l.gates, 2), 2, before));
            let candidate = math::tanh::<S>(block(l.gates, 3));
            let cell = S::madd(forget, before, S::mul(input, candidate));
            let output = math::sigmoid::<S>(peep(block(l.gates, 1), 1, cell));
            S::store_part(l.cell.add(u), cell, n);
            S::store_part(l.output.add(u), S::mul(output, math::tanh::<S>(cell)), n);
        }
        u += n;
    }
}

#[inline(always)]
pub unsafe fn gru<S: Simd>(g: &Gru) {
    let mut u = 0;
    while u < g.hidden {
        let n = (g.hidden - u).min(S::LANES);
        // SAFETY: each block has `hidden` floats.
        unsafe {
            let block = |base: *const f32, b: usize| S::load_part(base.add(b * g.hidden + u), n);
            let update = math::sigmoid::<S>(S::add(block(g.input, 0), block(g.state, 0)));
            let reset = math::sigmoid::<S>(S::add(block(g.input, 1), block(g.state, 1)));
            let candidate = math::tanh::<S>(S::madd(reset, block(g.state, 2), block(g.input, 2)));
            let before = S::load_part(g.output.add(u), n);
            // (1 - z) candidate + z before
            S::store_part(g.output.add(u), S::madd(update, S::sub(before, candidate), candidate), n);
        }
        u += n;
    }
}
