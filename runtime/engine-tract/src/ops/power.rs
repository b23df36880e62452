//! `Pow` with an answer of its base's type.
//!
//! tract takes a negative integer exponent for a huge one, and gives the wider of two floating-point types where the
//! standard wants the base's.

use super::arity;
use tract_onnx::tract_core::broadcast::multi_broadcast;
use tract_onnx::tract_core::ops::cast::{cast, wire_cast};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::{as_op, op_as_typed_op, op_out_of_plan};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::binary::wire_rank_broadcast;
use tract_onnx::tract_hir::tract_ndarray::Zip;

#[derive(Debug, Clone)]
pub(crate) struct Pow;

impl Expansion for Pow {
    fn name(&self) -> StaticName {
        "Pow".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        arity(inputs, 2, outputs)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, move |s, base, exponent| {
            s.equals(&outputs[0].shape, multi_broadcast(&[base, exponent])?)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let datum = |outlet: OutletId| TractResult::Ok(model.outlet_fact(outlet)?.datum_type);
        let (base, exponent) = (datum(inputs[0])?, datum(inputs[1])?);
        let wires = wire_rank_broadcast(prefix, model, inputs)?;
        if base == exponent && base.is_float() {
            return model.wire_node(prefix, math::pow(), &wires);
        }
        let integers = |datum: DatumType| datum.is_integer() || datum == DatumType::TDim;
        let power = if integers(base) && integers(exponent) {
            let wires = wire_cast(prefix, model, &wires, DatumType::I64)?;
            model.wire_node(format!("{prefix}.power"), IntegerPow, &wires)?
        } else {
            let wires = wire_cast(prefix, model, &wires, DatumType::F64)?;
            model.wire_node(format!("{prefix}.power"), math::pow(), &wires)?
        };
        model.wire_node(prefix, cast(base), &power)
    }
}

/// Powers of 64-bit integers, modulo two to the power of 64.
#[derive(Debug, Clone, PartialEq, Eq)]
struct IntegerPow;

impl Op for IntegerPow {
    fn name(&self) -> StaticName {
        "IntegerPow".into()
    }

    op_as_typed_op!();
}

impl EvalOp for IntegerPow {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (base, exponent) = args_2!(inputs);
        let shape = multi_broadcast(&[base.shape(), exponent.shape()])?;
        let (base, exponent) = (base.to_plain_array_view::<i64>()?, exponent.to_plain_array_view::<i64>()?);
        let base = base.broadcast(&*shape).context("a base that does not broadcast")?;
        let exponent = exponent.broadcast(&*shape).context("an exponent that does not broadcast")?;
        let powers = Zip::from(base).and(exponent).map_collect(|base, exponent| power(*base, *exponent));
        Ok(tvec!(powers.into_tensor().into_tvalue()))
    }
}

impl TypedOp for IntegerPow {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = multi_broadcast(&[&*inputs[0].shape, &*inputs[1].shape])?;
        Ok(tvec!(DatumType::I64.fact(shape)))
    }

    as_op!();
}

/// A negative exponent gives the reciprocal rounded towards zero. That of zero is left open by the standard; here it is
/// zero.
fn power(base: i64, exponent: i64) -> i64 {
    if exponent < 0 {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut power, mut base, mut exponent) = (1i64, base, exponent);
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent /= 2;
    }
    power
}
