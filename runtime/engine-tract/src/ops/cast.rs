//! `Cast` to 64-bit integers: tract's own goes by way of its dimensions, and to those by way of 32 bits.

use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::internal::*;

#[derive(Debug, Clone)]
pub(crate) struct CastToI64;

/// Dimensions stay what they are, so that the analysis goes on knowing them.
fn target(from: DatumType) -> DatumType {
    if from == DatumType::TDim { DatumType::TDim } else { DatumType::I64 }
}

impl Expansion for CastToI64 {
    fn name(&self) -> StaticName {
        "Cast".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.given(&inputs[0].datum_type, move |s, from| s.equals(&outputs[0].datum_type, target(from)))?;
        s.equals(&outputs[0].rank, &inputs[0].rank)?;
        s.equals(&outputs[0].shape, &inputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let from = model.outlet_fact(inputs[0])?.datum_type;
        model.wire_node(prefix, cast(target(from)), inputs)
    }
}
