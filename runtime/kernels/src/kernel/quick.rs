//! The epilogues that most layers have, applied in registers. Every other list of steps goes through `pointwise`.

use super::math;
use crate::simd::Simd;
use crate::step::{Activation, Operand, Step};

/// What is done with a register before it is stored.
#[derive(Clone, Copy)]
enum Kind {
    Store,
    Relu,
    Clip { min: f32, max: f32 },
    HardSwish { alpha: f32, beta: f32 },
}

/// A matrix that is added, of the shape of the whole result: what a residual connection leads past a layer.
#[derive(Clone, Copy)]
struct Added {
    /// Row and column 0.
    values: *const f32,
    stride: usize,
}

/// An activation that is cheap, or none, with perhaps scale and shift before and after it; in products, a matrix is added before.
#[derive(Clone, Copy)]
pub struct Quick {
    added: Option<Added>,
    before: Option<(f32, f32)>,
    kind: Kind,
    affine: Option<(f32, f32)>,
}

impl Quick {
    /// The quick form of some steps after a product, if they have one. Who has it asks whether it [suits](Quick::suits), then calls
    /// [`Quick::add`] and [`Quick::apply`].
    pub fn of_product(steps: &[Step<'_>]) -> Option<Self> {
        match steps {
            [Step::Add(Operand::Full(view)), rest @ ..] => {
                let added = Some(Added { values: view.ptr(), stride: view.stride() });
                Some(Self { added, ..Self::of(rest)? })
            }
            steps => Self::of(steps),
        }
    }

    /// The quick form of some steps, if they have one. It computes the same bits.
    pub fn of(steps: &[Step<'_>]) -> Option<Self> {
        let (before, steps) = match steps {
            [Step::Affine { scale, shift }, rest @ ..] if !rest.is_empty() => (Some((*scale, *shift)), rest),
            steps => (None, steps),
        };
        let (kind, rest) = match steps {
            [Step::Activate(Activation::Relu), rest @ ..] => (Kind::Relu, rest),
            [Step::Activate(Activation::Clip { min, max }), rest @ ..] => (Kind::Clip { min: *min, max: *max }, rest),
            [Step::Activate(Activation::HardSwish { alpha, beta }), rest @ ..] => {
                (Kind::HardSwish { alpha: *alpha, beta: *beta }, rest)
            }
            steps => (Kind::Store, steps),
        };
        let affine = match rest {
            [] => None,
            [Step::Affine { scale, shift }] => Some((*scale, *shift)),
            _ => return None,
        };
        Some(Self { added: None, before, kind, affine })
    }

    /// Whether it can be applied to so many columns: a matrix is added by whole vectors.
    #[inline(always)]
    pub fn suits<S: Simd, const N: usize>(&self, cols: usize) -> bool {
        self.added.is_none() || cols == N * S::LANES
    }

    /// Adds the matrix, if there is one, to the rows from `row` and the columns from `col`.
    ///
    /// # Safety
    ///
    /// The steps that this was made of were checked against a computation that has these rows and columns, and are still there.
    #[inline(always)]
    pub unsafe fn add<S: Simd, const N: usize, const M: usize>(
        &self,
        acc: &mut [[S::V; N]; M],
        (row, col): (usize, usize),
    ) {
        let Some(Added { values, stride }) = self.added else { return };
        for (r, acc) in acc.iter_mut().enumerate() {
            // SAFETY: the matrix covers the computation.
            unsafe {
                let y = values.add((row + r) * stride + col);
                for (v, x) in acc.iter_mut().enumerate() {
                    *x = S::add(*x, S::load(y.add(v * S::LANES)));
                }
            }
        }
    }

    /// Applies it to some registers.
    #[inline(always)]
    pub unsafe fn apply<S: Simd, const N: usize, const M: usize>(&self, acc: &mut [[S::V; N]; M]) {
        // SAFETY: arithmetic only.
        unsafe {
            if let Some((scale, shift)) = self.before {
                let (scale, shift) = (S::splat(scale), S::splat(shift));
                inlined!(each::<S, N, M>, (acc), |x| S::madd(x, scale, shift));
            }
            match self.kind {
                Kind::Store => {}
                Kind::Relu => inlined!(each::<S, N, M>, (acc), |x| S::max(S::zero(), x)),
                Kind::Clip { min, max } => {
                    let (min, max) = (S::splat(min), S::splat(max));
                    inlined!(each::<S, N, M>, (acc), |x| math::clip::<S>(x, min, max));
                }
                Kind::HardSwish { alpha, beta } => {
                    let (alpha, beta) = (S::splat(alpha), S::splat(beta));
                    inlined!(each::<S, N, M>, (acc), |x| S::mul(x, math::hard_sigmoid::<S>(x, alpha, beta)));
                }
            }
            if let Some((scale, shift)) = self.affine {
                let (scale, shift) = (S::splat(scale), S::splat(shift));
                inlined!(each::<S, N, M>, (acc), |x| S::madd(x, scale, shift));
            }
        }
    }
}

#[inline(always)]
unsafe fn each<S: Simd, const N: usize, const M: usize>(acc: &mut [[S::V; N]; M], f: impl Fn(S::V) -> S::V) {
    for row in acc {
        for x in row {
            *x = f(*x);
        }
    }
}
