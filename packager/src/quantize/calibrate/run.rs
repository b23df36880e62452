//! Running a program for what is inside of it.

use crate::interrupt::OnCtrlC;
use crate::quantize::error::QuantizeError;
use pannier::Options;
use pannier_engine::{Engine, EngineError, Prepared, Program, RunBudget, Tensor};
use pannier_graph::{Graph, ValueId};
use std::sync::Arc;

/// Most bytes of tensors that one run may keep. Values that do not fit together are looked at in several runs.
const MEMORY_BYTES: u64 = 1 << 30;

/// A program whose outputs are values from inside, a part of them at a time.
pub(super) struct Observer<'a> {
    program: &'a Program,
    /// Those that promise the same bits on every machine come first.
    engines: Vec<Arc<dyn Engine>>,
    parts: Vec<Part>,
}

/// Values that are looked at in one run.
struct Part {
    values: Vec<ValueId>,
    prepared: Option<Box<dyn Prepared>>,
    /// Engines before this one lack something.
    engine: usize,
}

impl Part {
    fn of(values: Vec<ValueId>) -> Part {
        Part { values, prepared: None, engine: 0 }
    }
}

impl<'a> Observer<'a> {
    /// `values` are no inputs and no constants of the program.
    pub(super) fn new(program: &'a Program, values: Vec<ValueId>) -> Observer<'a> {
        let parts = if values.is_empty() { Vec::new() } else { vec![Part::of(values)] };
        Observer { program, engines: Options::deterministic().engines, parts }
    }

    /// Runs one case and shows each value once.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`]; those of `visit`.
    pub(super) fn run(
        &mut self,
        inputs: &[Tensor],
        visit: &mut dyn FnMut(ValueId, &Tensor) -> Result<(), QuantizeError>,
    ) -> Result<(), QuantizeError> {
        let mut index = 0;
        while let Some(part) = self.parts.get_mut(index) {
            match run(self.program, &self.engines, part, inputs) {
                Ok(tensors) => {
                    for (value, tensor) in part.values.iter().zip(&tensors) {
                        visit(*value, tensor)?;
                    }
                    index += 1;
                }
                Err(EngineError::MemoryBudget { .. }) if part.values.len() > 1 => {
                    let rest = part.values.split_off(part.values.len() / 2);
                    *part = Part::of(std::mem::take(&mut part.values));
                    self.parts.insert(index + 1, Part::of(rest));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn run(
    program: &Program,
    engines: &[Arc<dyn Engine>],
    part: &mut Part,
    inputs: &[Tensor],
) -> Result<Vec<Tensor>, EngineError> {
    let budget = RunBudget { memory_bytes: Some(MEMORY_BYTES), watch: Some(&OnCtrlC) };
    let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
    loop {
        let engine = engines.get(part.engine);
        let outcome = match (&part.prepared, engine) {
            (Some(prepared), _) => prepared.run(&views, &budget),
            (None, Some(engine)) => match engine.prepare(&exposing(program, &part.values), &budget) {
                Ok(prepared) => {
                    part.prepared = Some(prepared);
                    continue;
                }
                Err(error) => Err(error),
            },
            (None, None) => Err(EngineError::Unsupported { engine: "no engine", nodes: Vec::new() }),
        };
        match outcome {
            Err(EngineError::Unsupported { .. }) if part.engine + 1 < engines.len() => {
                (part.engine, part.prepared) = (part.engine + 1, None);
            }
            outcome => return outcome,
        }
    }
}

/// The program with these values as its outputs.
fn exposing(program: &Program, values: &[ValueId]) -> Program {
    let mut graph = Graph::clone(&program.graph);
    graph.body.outputs = values.to_vec();
    Program { graph: Arc::new(graph), sections: program.sections.clone() }
}
