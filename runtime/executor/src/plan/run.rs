//! Running a plan: one step after the other, each on slices of one arena.

use super::{Place, Plan, Step, Taken, Tensor};
use crate::limits::Going;
use crate::ops::Io;
use crate::view::{View, ViewMut};
use pannier_engine::{EngineError, Interrupt, RunBudget, TensorView};
use pannier_graph::AlignedBytes;
use pannier_kernels::ThreadPool;
use std::cell::Cell;

/// Operands and results of one step that lie in arrays; more lie on the heap.
const MOST_INPUTS: usize = 24;
const MOST_OUTPUTS: usize = 4;

/// Told after each step, with its index.
pub(crate) type Observer<'a> = &'a mut dyn FnMut(usize);

impl Plan {
    /// Runs once.
    ///
    /// # Errors
    /// Too little memory or time, or a failure of an operator.
    pub(crate) fn run(
        &self,
        inputs: &[TensorView<'_>],
        budget: &RunBudget<'_>,
        mut observer: Option<Observer<'_>>,
    ) -> Result<Vec<pannier_engine::Tensor>, EngineError> {
        let needed_bytes = self.peak_bytes();
        if let Some(budget_bytes) = budget.memory_bytes.filter(|budget| needed_bytes > *budget) {
            return Err(EngineError::MemoryBudget { node: String::new(), needed_bytes, budget_bytes });
        }
        let mut arena = self.shared.arenas.take(self.arena_bytes).ok_or(EngineError::MemoryBudget {
            node: String::new(),
            needed_bytes,
            budget_bytes: budget.memory_bytes.unwrap_or(needed_bytes),
        })?;
        let result = self.run_steps(arena.as_bytes_mut(), inputs, budget, &mut observer);
        let result =
            result.and_then(|()| self.outputs.iter().map(|output| self.result(output, &arena, inputs)).collect());
        self.shared.arenas.give_back(arena);
        result
    }

    pub(super) fn run_steps(
        &self,
        arena: &mut [u8],
        inputs: &[TensorView<'_>],
        budget: &RunBudget<'_>,
        observer: &mut Option<Observer<'_>>,
    ) -> Result<(), EngineError> {
        let interrupted = |node: &str, why: Interrupt| EngineError::Interrupted { node: node.to_string(), why };
        let why = Cell::new(None);
        for (index, step) in self.steps.iter().enumerate() {
            if let Some(watch) = budget.watch {
                watch.check().map_err(|why| interrupted(&step.name, why))?;
            }
            let going = Going::new(budget.watch, &why);
            self.run_step(step, arena, inputs, going).map_err(|reason| match why.get() {
                Some(why) => interrupted(&step.name, why),
                None => EngineError::Failed { node: step.name.clone(), reason },
            })?;
            if let Some(observer) = observer {
                observer(index);
            }
        }
        Ok(())
    }

    fn run_step(
        &self,
        step: &Step,
        arena: &mut [u8],
        inputs: &[TensorView<'_>],
        limits: Going<'_>,
    ) -> Result<(), String> {
        let (mut few_inputs, mut many_inputs) = ([None; MOST_INPUTS], Vec::new());
        let (mut few_outputs, mut many_outputs) = ([const { None }; MOST_OUTPUTS], Vec::new());
        let views: &mut [Option<View<'_>>] = match few_inputs.get_mut(..step.inputs.len()) {
            Some(views) => views,
            None => {
                many_inputs.resize_with(step.inputs.len(), || None);
                &mut many_inputs
            }
        };
        let slots: &mut [Option<ViewMut<'_>>] = match few_outputs.get_mut(..step.outputs.len()) {
            Some(slots) => slots,
            None => {
                many_outputs.resize_with(step.outputs.len(), || None);
                &mut many_outputs
            }
        };
        for (view, tensor) in views.iter_mut().zip(&step.inputs) {
            *view = match tensor {
                Some(tensor) => Some(self.outside(tensor, inputs).ok_or("an operand is not there")?),
                None => None,
            };
        }
        for (slot, tensor) in slots.iter_mut().zip(&step.outputs) {
            *slot = tensor.as_ref().map(|tensor| ViewMut { dtype: tensor.dtype, shape: &tensor.shape, bytes: &mut [] });
        }
        let (mut rest, mut at) = (arena, 0);
        let mut scratch: &mut [u8] = &mut [];
        let short = || "the arena is too small".to_string();
        for take in &step.takes {
            let (_, from) = rest.split_at_mut_checked(take.range.start - at).ok_or_else(short)?;
            let (piece, behind) = from.split_at_mut_checked(take.range.len()).ok_or_else(short)?;
            (rest, at) = (behind, take.range.end);
            match &take.what {
                Taken::Scratch => scratch = piece,
                Taken::Write(index) => {
                    if let Some(Some(slot)) = slots.get_mut(*index) {
                        slot.bytes = piece;
                    }
                }
                Taken::Read(readers) => {
                    let piece: &[u8] = piece;
                    for (index, range) in readers {
                        if let Some(Some(view)) = views.get_mut(*index) {
                            view.bytes = piece.get(range.clone()).ok_or_else(short)?;
                        }
                    }
                }
            }
        }
        let pool = self.shared.pool.as_deref().map(|pool| pool as &dyn ThreadPool);
        step.operator.run(&mut Io { inputs: views, outputs: slots, scratch, pool, limits })
    }

    /// An operand that is not in the arena; for one that is, its type and shape.
    fn outside<'a>(&'a self, tensor: &'a Tensor, inputs: &[TensorView<'a>]) -> Option<View<'a>> {
        let bytes = match &tensor.place {
            Place::Constant(index, range) => self.constants.get(*index)?.bytes().get(range.clone())?,
            Place::Input(index, range) => inputs.get(*index)?.bytes().get(range.clone())?,
            Place::Arena(_) => &[],
        };
        Some(View { dtype: tensor.dtype, shape: &tensor.shape, bytes })
    }

    /// The bytes of a result, once all steps are done.
    pub(super) fn bytes<'a>(
        &'a self,
        output: &'a Tensor,
        arena: &'a [u8],
        inputs: &[TensorView<'a>],
    ) -> Option<&'a [u8]> {
        match &output.place {
            Place::Arena(range) => arena.get(range.clone()),
            _ => self.outside(output, inputs).map(|view| view.bytes),
        }
    }

    fn result(
        &self,
        output: &Tensor,
        arena: &AlignedBytes,
        inputs: &[TensorView<'_>],
    ) -> Result<pannier_engine::Tensor, EngineError> {
        let bytes = self.bytes(output, arena, inputs).unwrap_or_default();
        let tensor = pannier_engine::Tensor::new(output.dtype, output.shape.as_slice(), bytes);
        tensor.map_err(|error| EngineError::Failed { node: String::new(), reason: error.to_string() })
    }
}
