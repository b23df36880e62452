//! `LogSoftmax` and `Softplus`, written so that nothing overflows on the way to a result that is finite.
//!
//! tract takes the logarithm of a softmax, which is `-inf` where the softmax is too small for a binary32, and of
//! `1 + exp(x)`, which is `inf` above 88.

use super::{arity, position};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_hir::internal::*;

/// `(x - m) - ln(sum(exp(x - m)))` along `axis`, with the largest element as `m`.
#[derive(Debug, Clone)]
pub(crate) struct LogSoftmax {
    pub(crate) axis: i64,
}

impl Expansion for LogSoftmax {
    fn name(&self) -> StaticName {
        "LogSoftmax".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        same(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let name = |part: &str| format!("{prefix}.{part}");
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axis = position(self.axis, rank)?;
        let reduce = |reducer| Reduce::new(tvec!(axis), reducer);
        let largest = model.wire_node(name("largest"), reduce(Reducer::Max), inputs)?[0];
        let less = model.wire_node(name("less"), math::sub(), &[inputs[0], largest])?[0];
        let wire = model.wire_node(name("exp"), math::exp(), &[less])?;
        let wire = model.wire_node(name("sum"), reduce(Reducer::Sum), &wire)?;
        let wire = model.wire_node(name("ln"), math::ln(), &wire)?;
        model.wire_node(prefix, math::sub(), &[less, wire[0]])
    }
}

/// `max(x, 0) + ln(1 + exp(-|x|))`.
#[derive(Debug, Clone)]
pub(crate) struct Softplus;

impl Expansion for Softplus {
    fn name(&self) -> StaticName {
        "Softplus".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        same(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let name = |part: &str| format!("{prefix}.{part}");
        let (datum, rank) = (model.outlet_fact(inputs[0])?.datum_type, model.outlet_fact(inputs[0])?.rank());
        let mut number = |part: &str, value: f32| {
            let number = tensor0(value).cast_to_dt(datum)?.into_owned().broadcast_into_rank(rank)?;
            model.add_const(name(part), number)
        };
        let (zero, one) = (number("zero", 0.0)?, number("one", 1.0)?);
        let wire = model.wire_node(name("abs"), math::abs(), inputs)?;
        let wire = model.wire_node(name("neg"), math::neg(), &wire)?;
        let wire = model.wire_node(name("exp"), math::exp(), &wire)?;
        let wire = model.wire_node(name("plus_one"), math::add(), &[wire[0], one])?;
        let rest = model.wire_node(name("ln"), math::ln(), &wire)?[0];
        let positive = model.wire_node(name("positive"), math::max(), &[inputs[0], zero])?[0];
        model.wire_node(prefix, math::add(), &[positive, rest])
    }
}

fn same<'r, 'p: 'r>(s: &mut Solver<'r>, inputs: &'p [TensorProxy], outputs: &'p [TensorProxy]) -> InferenceResult {
    arity(inputs, 1, outputs)?;
    s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
    s.equals(&inputs[0].shape, &outputs[0].shape)
}
