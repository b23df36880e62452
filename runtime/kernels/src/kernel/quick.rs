//! The epilogues that most layers have, applied in registers. Every other list of steps goes through `pointwise`.

use super::math;
use crate::simd::Simd;
use crate::step::{Activation, Step};

/// What is done with a register before it is stored.
#[derive(Clone, Copy)]
enum Kind {
    Store,
    Relu,
    Clip { min: f32, max: f32 },
    HardSwish { alpha: f32, beta: f32 },
}

/// An activation that is cheap, or none, with perhaps scale and shift before and after it.
#[derive(Clone, Copy)]
pub struct Quick {
    before: Option<(f32, f32)>,
    kind: Kind,
    affine: Option<(f32, f32)>,
}

impl Quick {
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
        Some(Self { before, kind, affine })
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
