//! `Compress`, which tract evaluates but cannot plan: with a known condition it is a gathering.

use super::{arity, position};
use tract_onnx::tract_core::ops::array::Gather;
use tract_onnx::tract_hir::internal::*;

#[derive(Debug, Clone)]
pub(crate) struct Compress {
    pub(crate) axis: Option<i64>,
}

impl Compress {
    fn axis(&self, rank: usize) -> TractResult<Option<usize>> {
        self.axis.map(|axis| position(axis, rank)).transpose()
    }
}

impl Expansion for Compress {
    fn name(&self) -> StaticName {
        "Compress".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        arity(inputs, 2, outputs)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[1].datum_type, bool::datum_type())?;
        s.equals(&inputs[1].rank, 1)?;
        s.given_2(&inputs[0].shape, &inputs[1].value, move |s, shape, condition| {
            let kept = kept(&condition)?.len().to_dim();
            let shape = match self.axis(shape.len())? {
                Some(axis) => {
                    let mut shape = shape;
                    shape[axis] = kept;
                    shape
                }
                None => tvec!(kept),
            };
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let condition = model.outlet_fact(inputs[1])?.konst.clone();
        let condition = condition.context("Compress is not supported with a condition that is computed")?;
        let kept = model.add_const(format!("{prefix}.kept"), tensor1(&kept(&condition)?))?;
        let (data, axis) = match self.axis(fact.rank())? {
            Some(axis) => (inputs[0], axis),
            None => {
                let flat = tvec!(fact.shape.volume());
                let reshape = AxisOp::Reshape(0, fact.shape.to_tvec(), flat);
                (model.wire_node(format!("{prefix}.flat"), reshape, &inputs[..1])?[0], 0)
            }
        };
        model.wire_node(prefix, Gather::new(axis), &[data, kept])
    }
}

/// Indices of what is kept.
fn kept(condition: &Tensor) -> TractResult<Vec<i64>> {
    let condition = condition.try_as_plain_ram()?;
    let kept = condition.as_slice::<bool>()?.iter().enumerate().filter(|(_, keep)| **keep);
    Ok(kept.map(|(index, _)| index as i64).collect())
}
