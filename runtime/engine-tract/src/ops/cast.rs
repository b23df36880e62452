//! `Cast` to 64-bit integers, and `CastLike`: tract's own goes by way of its dimensions, and to those by way of 32 bits.

use super::arity;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_hir::internal::*;

/// To a type, or to that of a second input.
#[derive(Debug, Clone)]
pub(crate) enum Cast {
    To(DatumType),
    Like,
}

/// Dimensions stay what they are, so that the analysis goes on knowing them.
fn target(from: DatumType, to: DatumType) -> DatumType {
    match to {
        DatumType::I64 | DatumType::TDim if from == DatumType::TDim => DatumType::TDim,
        DatumType::TDim => DatumType::I64,
        to => to,
    }
}

impl Expansion for Cast {
    fn name(&self) -> StaticName {
        "Cast".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let (from, cast) = (&inputs[0].datum_type, &outputs[0].datum_type);
        match self {
            Cast::To(to) => {
                arity(inputs, 1, outputs)?;
                s.given(from, move |s, from| s.equals(cast, target(from, *to)))?;
            }
            Cast::Like => {
                arity(inputs, 2, outputs)?;
                s.given_2(from, &inputs[1].datum_type, move |s, from, to| s.equals(cast, target(from, to)))?;
            }
        }
        s.equals(&outputs[0].rank, &inputs[0].rank)?;
        s.equals(&outputs[0].shape, &inputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let from = model.outlet_fact(inputs[0])?.datum_type;
        let to = match self {
            Cast::To(to) => *to,
            Cast::Like => model.outlet_fact(inputs[1])?.datum_type,
        };
        model.wire_node(prefix, cast(target(from, to)), &inputs[..1])
    }
}
