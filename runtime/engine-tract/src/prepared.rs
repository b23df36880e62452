//! A program made ready by tract.

use crate::compile::{self, Parsed};
use crate::{guard, tensors};
use pannier_engine::{EngineError, MemoryUse, Prepared, Program, RunBudget, Tensor, TensorView};
use pannier_graph::{DType, Dim};
use std::sync::{Arc, Mutex};
use tract_onnx::prelude::*;

pub(crate) struct TractPrepared {
    inputs: Vec<Port>,
    parsed: Parsed,
    plans: Mutex<Vec<(Shapes, Arc<TypedSimplePlan>)>>,
}

type Shapes = Vec<Vec<usize>>;

struct Port {
    name: String,
    dtype: DType,
    shape: Vec<Dim>,
}

impl TractPrepared {
    pub(crate) fn new(program: &Program) -> Result<TractPrepared, EngineError> {
        let parsed = compile::parse(program)?;
        let mut inputs = Vec::new();
        for input in &program.graph.body.inputs {
            let name = program.graph.value_name(input.value).to_string();
            let (Some(dtype), Some(shape)) = (input.dtype, input.shape.clone()) else {
                return Err(EngineError::InvalidGraph {
                    node: String::new(),
                    reason: format!("input `{name}` has no type"),
                });
            };
            inputs.push(Port { name, dtype, shape });
        }
        Ok(TractPrepared { inputs, parsed, plans: Mutex::new(Vec::new()) })
    }

    fn plan(&self, shapes: Shapes) -> Result<Arc<TypedSimplePlan>, EngineError> {
        if let Ok(plans) = self.plans.lock() {
            if let Some((_, plan)) = plans.iter().find(|(key, _)| *key == shapes) {
                return Ok(plan.clone());
            }
        }
        let mut model = self.parsed.model.clone();
        for (index, (port, shape)) in self.inputs.iter().zip(&shapes).enumerate() {
            if let Some(fact) = compile::concrete_fact(port.dtype, shape) {
                model
                    .set_input_fact(index, fact)
                    .map_err(|error| compile::invalid(&self.parsed.nodes, &format!("{error:#}")))?;
            }
        }
        let plan = compile::plan(model, &self.parsed.nodes)?;
        if let Ok(mut plans) = self.plans.lock() {
            plans.insert(0, (shapes, plan.clone()));
            plans.truncate(4);
        }
        Ok(plan)
    }
}

impl Prepared for TractPrepared {
    fn run(&self, inputs: &[TensorView<'_>], _budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        let plan = self.plan(inputs.iter().map(|view| view.shape().to_vec()).collect())?;
        let values: Option<TVec<TValue>> = inputs
            .iter()
            .map(|view| Some(tensors::to_tract(view.dtype(), view.shape(), view.bytes())?.into_tvalue()))
            .collect();
        let values = values.ok_or_else(|| EngineError::Failed { node: String::new(), reason: "inputs".into() })?;
        let outputs = guard::catch(|| plan.run(values))
            .map_err(|reason| EngineError::Failed { node: self.parsed.nodes.mentioned(&reason), reason })?;
        outputs.iter().map(|value| tensors::from_tract(value)).collect()
    }

    fn memory(&self) -> MemoryUse {
        MemoryUse { weight_bytes: self.parsed.weight_bytes, peak_bytes: 0, planned: false }
    }
}
