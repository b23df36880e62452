//! From a program to a plan of tract.

use crate::analyse::analyse;
use crate::optimise::optimise;
use crate::plan::Plan;
use crate::proto::{self, NodeNames, Proto};
use crate::stop::{self, Failure, Limits};
use crate::translate::translate;
use crate::{dtype, tensors, weights};
use pannier_engine::{EngineError, Program, Tensor, TensorView};
use pannier_graph::Graph;
use std::collections::HashSet;
use tract_onnx::model::ParseResult;
use tract_onnx::prelude::{
    Datum, InferenceFact, InferenceModel, IntoArcTensor, OutletId, SpecialOps, Tensor as TractTensor, TractResult,
    TypedModel,
};
use tract_onnx::tract_hir::infer::{GenericFactoid, InferenceOp};
use tract_onnx::tract_hir::internal::{TDim, TractErrorContext as _};
use tract_onnx::tract_hir::ops::konst::Const;

/// A program as tract has parsed it, weights included, before any analysis.
pub(crate) struct Parsed {
    /// `None` once no more plans will be made of it.
    pub(crate) model: Option<InferenceModel>,
    /// Where each value of the main body is.
    pub(crate) outlets: Vec<(u32, OutletId)>,
    pub(crate) nodes: NodeNames,
    pub(crate) symbols: Vec<String>,
    pub(crate) weight_bytes: u64,
}

/// Lets tract's operator builders read the program.
///
/// The main body's weights do not pass through the protobuf message, which would take two more copies of each: the
/// message leaves them out, tract makes an unresolved source of each, and that becomes a constant here.
pub(crate) fn parse(program: &Program, limits: &Limits<'_>) -> Result<Parsed, EngineError> {
    let Proto { model: message, nodes, symbols } = proto::proto(program)?;
    let in_time = || limits.check_time("").map_err(|stop| Failure::Stop(stop).invalid(&nodes));
    in_time()?;
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
    crate::ops::register(&mut onnx);
    let parsed = stop::catch(|| onnx.parse(&message, None)).map_err(|failure| failure.invalid(&nodes))?;
    let ParseResult { mut model, outlets_by_name, .. } = parsed;

    let mut weight_bytes = 0;
    let mut constants = HashSet::new();
    for weight in &program.graph.body.weights {
        in_time()?;
        let Some(outlet) = outlets_by_name.get(&proto::value_name(weight.value)) else { continue };
        let bytes = weights::bytes(program, weight)?;
        let shape = weight.shape.iter().map(|dim| usize::try_from(*dim)).collect::<Result<Vec<_>, _>>();
        let tensor =
            shape.ok().and_then(|shape| tensors::to_tract(TensorView::new(weight.dtype, &shape, &bytes).ok()?));
        let tensor = tensor.ok_or_else(|| weights::unfit(program, weight))?;
        weight_bytes += bytes.len() as u64;
        stop::catch(|| make_constant(&mut model, *outlet, tensor)).map_err(|failure| failure.invalid(&nodes))?;
        constants.insert(*outlet);
    }
    model.inputs.retain(|input| !constants.contains(input));
    if model.inputs.len() != program.graph.body.inputs.len() {
        let reason = "a value is used that nothing defines".into();
        return Err(EngineError::InvalidGraph { node: String::new(), reason });
    }
    let outlets = outlets_by_name.iter().filter_map(|(name, outlet)| Some((name.strip_prefix('v')?, *outlet)));
    let outlets = outlets.filter_map(|(digits, outlet)| Some((digits.parse().ok()?, outlet))).collect();
    Ok(Parsed { model: Some(model), outlets, nodes, symbols, weight_bytes })
}

/// What a plan is made for: the shape of every input, and the value of those that steer shapes.
#[derive(Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) shapes: Vec<Vec<usize>>,
    /// Inputs that become constants of the plan.
    pub(crate) values: Vec<Option<Tensor>>,
}

/// Analyses, optimises and plans.
pub(crate) fn compile(parsed: &Parsed, graph: &Graph, key: &Key, limits: &Limits<'_>) -> Result<Plan, EngineError> {
    let plan = stop::catch(|| {
        let mut model = parsed.model.clone().context("the only plan there can be is gone")?;
        let outlets = model.inputs.clone();
        for (index, (outlet, input)) in outlets.iter().zip(&graph.body.inputs).enumerate() {
            let value = key.values.get(index).and_then(Option::as_ref);
            match value.and_then(|value| tensors::to_tract(value.view())) {
                Some(tensor) => {
                    make_constant(&mut model, *outlet, tensor)?;
                    model.inputs.retain(|input| input != outlet);
                }
                None => {
                    if let (Some(datum), Some(shape)) = (input.dtype.and_then(dtype::to_tract), key.shapes.get(index)) {
                        model.set_outlet_fact(*outlet, InferenceFact::dt_shape(datum, &**shape))?;
                    }
                }
            }
        }
        analyse(&mut model, limits, false)?;
        let mut model = translate(&model, limits)?;
        untangle_outputs(&mut model)?;
        optimise(&mut model, limits)?;
        Plan::new(model)
    });
    plan.map_err(|failure| failure.invalid(&parsed.nodes))
}

/// Turns a source into a constant. It stays in the list of inputs.
fn make_constant(model: &mut InferenceModel, outlet: OutletId, tensor: TractTensor) -> TractResult<()> {
    let tensor = tensor.into_arc_tensor();
    let mut fact = InferenceFact::dt_shape_from_tensor(&tensor);
    fact.value = GenericFactoid::Only(tensor.clone());
    let constant: Box<dyn InferenceOp> = Box::new(Const::new(tensor)?);
    model.node_mut(outlet.node).op = constant;
    model.set_outlet_fact(outlet, fact)
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
