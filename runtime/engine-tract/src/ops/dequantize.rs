//! `DequantizeLinear` by its definition, `(x - zero point) * scale`: tract's own looks for a `QuantizeLinear` behind it and makes one
//! table of everything between. It takes whatever keeps shapes for a function of single numbers, `Softmax` among them.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::change_axes::wire_with_rank_broadcast as wire;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_hir::internal::*;

#[derive(Debug, Clone)]
pub(crate) struct DequantizeLinear {
    axis: i64,
    has_zero_point: bool,
}

impl DequantizeLinear {
    pub(crate) fn of(node: &NodeProto) -> TractResult<DequantizeLinear> {
        let block_size: i64 = node.get_attr_opt("block_size")?.unwrap_or(0);
        ensure!(block_size == 0, "blocks of scales are not supported");
        Ok(DequantizeLinear { axis: node.get_attr_opt("axis")?.unwrap_or(1), has_zero_point: node.input.len() == 3 })
    }

    /// Scales or zero points in a type, along their axis of a tensor of this rank. What each run finds is a single number.
    fn operand(
        &self,
        model: &mut TypedModel,
        name: String,
        outlet: OutletId,
        datum: DatumType,
        rank: usize,
    ) -> TractResult<OutletId> {
        let fact = model.outlet_fact(outlet)?;
        let Some(numbers) = fact.konst.clone() else {
            ensure!(fact.rank() == 0, "scales of an axis that are not constant are not supported");
            return Ok(model.wire_node(name, cast(datum), &[outlet])?[0]);
        };
        let mut shape: TVec<usize> = tvec![1; rank];
        if numbers.len() != 1 {
            shape[super::position(self.axis, rank)?] = numbers.len();
        }
        model.add_const(name, numbers.cast_to_dt(datum)?.into_owned().into_shape(&shape)?)
    }
}

impl Expansion for DequantizeLinear {
    fn name(&self) -> StaticName {
        "DequantizeLinear".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        super::arity(inputs, 2 + usize::from(self.has_zero_point), outputs)?;
        s.equals(&inputs[1].datum_type, f32::datum_type())?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        if self.has_zero_point {
            s.equals(&inputs[0].datum_type, &inputs[2].datum_type)?;
        }
        s.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let name = |part: &str| format!("{prefix}.{part}");
        let scale = self.operand(model, name("scale"), inputs[1], f32::datum_type(), rank)?;
        // Differences of 32-bit integers that are not exact in binary32 are.
        let mut x = model.wire_node(name("integers"), cast(i32::datum_type()), &[inputs[0]])?;
        if self.has_zero_point {
            let zero = self.operand(model, name("zero_point"), inputs[2], i32::datum_type(), rank)?;
            x = wire(name("shifted"), model, math::sub(), &[x[0], zero])?;
        }
        let x = model.wire_node(name("numbers"), cast(f32::datum_type()), &x)?;
        wire(prefix, model, math::mul(), &[x[0], scale])
    }
}
