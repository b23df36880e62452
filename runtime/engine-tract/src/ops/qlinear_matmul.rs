//! `QLinearMatMul` with scales of any float type: tract's own takes binary32 only.
//!
//! `y = saturate(round((a - a0) (b - b0) * (sa * sb / sy)) + y0)`, the product in 32-bit integers, the rest in binary32,
//! half rounded to even: the definition in the ONNX standard.

use super::arity;
use tract_onnx::tract_core::ops::cast::{cast, wire_cast};
use tract_onnx::tract_core::ops::change_axes::wire_with_rank_broadcast as wire;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::matmul::{MatMulInference, compute_shapes};

#[derive(Debug, Clone)]
pub(crate) struct QLinearMatMul;

impl Expansion for QLinearMatMul {
    fn name(&self) -> StaticName {
        "QLinearMatMul".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        arity(inputs, 8, outputs)?;
        s.equals(&inputs[0].datum_type, &inputs[2].datum_type)?;
        s.equals(&inputs[3].datum_type, &inputs[5].datum_type)?;
        s.equals(&outputs[0].datum_type, &inputs[7].datum_type)?;
        s.given_2(&inputs[0].shape, &inputs[3].shape, move |s, a, b| {
            let (_, _, _, shape) = compute_shapes(a, b, false, false, false)?;
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let [a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero] = *inputs else { bail!("eight inputs") };
        let name = |part: &str| format!("{prefix}.{part}");
        let datum = model.outlet_fact(y_zero)?.datum_type;
        let (lowest, highest) = match datum {
            DatumType::I8 => (f32::from(i8::MIN), f32::from(i8::MAX)),
            DatumType::U8 => (f32::from(u8::MIN), f32::from(u8::MAX)),
            _ => bail!("QLinearMatMul to {datum:?} is not supported"),
        };
        // Of `a` each row may have its own scale and zero point, of `b` each column.
        let [a_scale, a_zero] = [per_row(model, &name("a_scale"), a_scale)?, per_row(model, &name("a_zero"), a_zero)?];
        let ints = wire_cast(name("ints"), model, &[a, a_zero, b, b_zero], DatumType::I32)?;
        let a = wire(name("a"), model, math::sub(), &[ints[0], ints[1]])?[0];
        let b = wire(name("b"), model, math::sub(), &[ints[2], ints[3]])?[0];
        let product = MatMulInference::default().wire(&name("product"), model, &[a, b])?[0];

        let floats = wire_cast(name("floats"), model, &[product, a_scale, b_scale, y_scale, y_zero], DatumType::F32)?;
        let scale = wire(name("scale_ab"), model, math::mul(), &[floats[1], floats[2]])?[0];
        let scale = wire(name("scale"), model, math::div(), &[scale, floats[3]])?[0];
        let scaled = wire(name("scaled"), model, math::mul(), &[floats[0], scale])?;
        let rounded = model.wire_node(name("rounded"), math::round_half_to_even(), &scaled)?[0];
        let shifted = wire(name("shifted"), model, math::add(), &[rounded, floats[4]])?[0];
        let highest = model.add_const(name("highest"), tensor0(highest))?;
        let lowest = model.add_const(name("lowest"), tensor0(lowest))?;
        let below = wire(name("below"), model, math::min(), &[shifted, highest])?[0];
        let within = wire(name("within"), model, math::max(), &[below, lowest])?;
        model.wire_node(prefix, cast(datum), &within)
    }
}

/// A vector of one number per row as a column; anything else as it is.
fn per_row(model: &mut TypedModel, name: &str, outlet: OutletId) -> TractResult<OutletId> {
    if model.outlet_fact(outlet)?.rank() != 1 {
        return Ok(outlet);
    }
    Ok(model.wire_node(format!("{name}.column"), AxisOp::Add(1), &[outlet])?[0])
}
