//! From a program to a plan of tract.

use crate::guard;
use crate::proto::{self, NodeNames, Proto};
use crate::{tensors, weights};
use pannier_engine::{EngineError, Program};
use pannier_graph::{DType, Dim};
use std::collections::HashSet;
use std::sync::Arc;
use tract_onnx::model::ParseResult;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{GenericFactoid, InferenceOp};
use tract_onnx::tract_hir::internal::TDim;
use tract_onnx::tract_hir::ops::konst::Const;

/// A program as tract has parsed it, its weights included, before any analysis.
pub(crate) struct Parsed {
    pub(crate) model: InferenceModel,
    pub(crate) outlets: Vec<(u32, OutletId)>,
    pub(crate) nodes: NodeNames,
    pub(crate) symbols: Vec<String>,
    pub(crate) weight_bytes: u64,
}

/// Lets tract's operator builders read the program.
///
/// The main body's weights do not pass through the protobuf message, which would take two more copies of each: the
/// message leaves them out, tract makes an unresolved source of each, and that becomes a constant here.
pub(crate) fn parse(program: &Program) -> Result<Parsed, EngineError> {
    let Proto { model: message, nodes, symbols } = proto::proto(program)?;
    let onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
    let parsed = guard::catch(|| onnx.parse(&message, None));
    let ParseResult { mut model, outlets_by_name, .. } = parsed.map_err(|reason| invalid(&nodes, &reason))?;

    let mut weight_bytes = 0;
    let mut constants = HashSet::new();
    for weight in &program.graph.body.weights {
        let Some(outlet) = outlets_by_name.get(&proto::value_name(weight.value)) else { continue };
        let name = || program.graph.value_name(weight.value).to_string();
        let bytes = weights::bytes(program, weight)?;
        let shape = weight.shape.iter().map(|dim| usize::try_from(*dim)).collect::<Result<Vec<_>, _>>();
        let tensor = shape.ok().and_then(|shape| tensors::to_tract(weight.dtype, &shape, &bytes));
        let tensor = tensor.ok_or_else(|| EngineError::InvalidGraph {
            node: name(),
            reason: "the weight's bytes do not fit its type and shape".into(),
        })?;
        weight_bytes += bytes.len() as u64;
        let tensor = tensor.into_arc_tensor();
        let mut fact = InferenceFact::dt_shape_from_tensor(&tensor);
        fact.value = GenericFactoid::Only(tensor.clone());
        let constant = Const::new(tensor).map_err(|error| invalid(&nodes, &format!("{error:#}")))?;
        let op: Box<dyn InferenceOp> = Box::new(constant);
        model.node_mut(outlet.node).op = op;
        model.set_outlet_fact(*outlet, fact).map_err(|error| invalid(&nodes, &format!("{error:#}")))?;
        constants.insert(outlet.node);
    }
    let inputs: Vec<OutletId> =
        model.inputs.iter().copied().filter(|outlet| !constants.contains(&outlet.node)).collect();
    if inputs.len() != program.graph.body.inputs.len() {
        return Err(EngineError::InvalidGraph {
            node: String::new(),
            reason: "a value is used that nothing defines".into(),
        });
    }
    model.inputs = inputs;

    let outlets =
        outlets_by_name.iter().filter_map(|(name, outlet)| Some((name.strip_prefix('v')?.parse().ok()?, *outlet)));
    let outlets = outlets.collect();
    Ok(Parsed { model, outlets, nodes, symbols, weight_bytes })
}

/// Analyses, optimises and plans.
pub(crate) fn plan(model: InferenceModel, nodes: &NodeNames) -> Result<Arc<TypedSimplePlan>, EngineError> {
    let plan = guard::catch(|| {
        let mut typed = model.into_typed()?;
        untangle_outputs(&mut typed)?;
        TypedSimplePlan::new(typed.into_optimized()?)
    });
    plan.map_err(|reason| invalid(nodes, &reason))
}

/// Casts outputs of tract's own dimension type to `int64`, which is what they are in ONNX.
fn untangle_outputs(typed: &mut TypedModel) -> TractResult<()> {
    let mut outputs = typed.outputs.clone();
    for (index, output) in outputs.iter_mut().enumerate() {
        if typed.outlet_fact(*output)?.datum_type == TDim::datum_type() {
            let cast = tract_onnx::tract_core::ops::cast::cast(i64::datum_type());
            *output = typed.wire_node(format!("output{index}.int64"), cast, &[*output])?[0];
        }
    }
    typed.select_output_outlets(&outputs)
}

/// The declared type and shape of an input with symbols bound to sizes.
pub(crate) fn concrete_fact(dtype: DType, shape: &[usize]) -> Option<InferenceFact> {
    Some(InferenceFact::dt_shape(crate::dtype::to_tract(dtype)?, shape))
}

pub(crate) fn is_fixed(shape: &[Dim]) -> bool {
    shape.iter().all(|dim| matches!(dim, Dim::Fixed(_)))
}

pub(crate) fn invalid(nodes: &NodeNames, reason: &str) -> EngineError {
    EngineError::InvalidGraph { node: nodes.mentioned(reason), reason: reason.to_string() }
}
