//! Operators with programs inside: each program has a plan of its own, which runs in the operator's scratch memory.

use super::{Making, Plan, Running};
use crate::ir::{Control, Feed, Ir, Nested, NestedBody, Node, Repeat, Steps};
use crate::ops::{Facts, Io, Operator, Refusal};
use crate::view::{Failure, View, ViewMut};
use pannier_engine::{DType, EngineError, RunBudget, TensorView};
use pannier_graph::ALIGNMENT_BYTES;
use std::ops::Range;
use std::sync::Arc;

/// Most steps of a loop that says itself when it ends: it might not.
const MOST_STEPS: usize = 1 << 24;

/// What runs a node with programs inside.
///
/// # Errors
/// Those of [`Plan::new`].
pub(super) fn running(nested: &Nested, ir: &Ir, node: &Node, making: &Making<'_>) -> Result<Running, EngineError> {
    let plans = NestedPlans::new(nested, ir, node, making)?;
    let constants = plans.bodies.iter().flat_map(|body| body.plan.constants.iter().cloned()).collect();
    Ok(Running { kind: nested.op.clone(), operator: Arc::new(plans), constants })
}

/// `If`, `Loop` or `Scan`.
struct NestedPlans {
    control: Control,
    bodies: Vec<Body>,
    types: Vec<DType>,
    shapes: Vec<Vec<usize>>,
    /// Bytes for the plan that takes most.
    arena_bytes: usize,
    /// Where each carried value lies behind the arena, and how many bytes they take together.
    carried: Vec<Range<usize>>,
    carried_bytes: usize,
}

struct Body {
    plan: Plan,
    inputs: Vec<(DType, Vec<usize>)>,
    feeds: Vec<Feed>,
}

impl NestedPlans {
    fn new(nested: &Nested, ir: &Ir, node: &Node, making: &Making<'_>) -> Result<NestedPlans, EngineError> {
        let bodies = nested.bodies.iter().map(|body| Body::new(body, making)).collect::<Result<Vec<_>, _>>()?;
        let (mut carried, mut carried_bytes) = (Vec::new(), 0);
        if let Control::Repeat(repeat) = &nested.control {
            for id in repeat.carried.iter().filter_map(|operand| node.input(*operand)) {
                let size_bytes = ir.values[id].size_bytes();
                carried.push(carried_bytes..carried_bytes + size_bytes);
                carried_bytes += aligned(size_bytes);
            }
        }
        // Of a result that nobody wants, nobody asks what it is.
        let results = || node.outputs.iter().map(|id| id.map(|id| &ir.values[id]));
        Ok(NestedPlans {
            control: nested.control.clone(),
            types: results().map(|value| value.map_or(DType::F32, |value| value.dtype)).collect(),
            shapes: results().map(|value| value.map_or_else(Vec::new, |value| value.shape.clone())).collect(),
            arena_bytes: aligned(bodies.iter().map(|body| body.plan.arena_bytes).max().unwrap_or(0)),
            bodies,
            carried,
            carried_bytes,
        })
    }

    fn repeat(&self, repeat: &Repeat, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let body = self.bodies.first().ok_or("there is no program")?;
        let most = match repeat.steps {
            Steps::Known(steps) => steps,
            Steps::Operand(operand) => usize::try_from(integer(io.input(operand)?)?).unwrap_or(0),
            Steps::Any => usize::MAX,
        };
        let mut going = match repeat.condition {
            Some(operand) => io.input(operand)?.bytes != [0],
            None => true,
        };
        let short = "too little scratch memory";
        let (arena, carried) = io.scratch.split_at_mut_checked(self.arena_bytes).ok_or(short)?;
        let (even, odd) = carried.split_at_mut_checked(self.carried_bytes).ok_or(short)?;
        let mut step = 0;
        while going && step < most {
            io.limits.check()?;
            if step == MOST_STEPS {
                return Err(format!("a loop of more than {MOST_STEPS} steps"));
            }
            let (before, after) = if step % 2 == 0 { (&*odd, &mut *even) } else { (&*even, &mut *odd) };
            let number = [i64::try_from(step).unwrap_or(i64::MAX)];
            let feed = |feed: Feed| -> Result<&[u8], Failure> {
                let operand = |index: usize| io.inputs.get(index).copied().flatten().ok_or("an operand is missing");
                Ok(match feed {
                    Feed::Operand(index) => operand(index)?.bytes,
                    Feed::Element { operand: index, backward } => {
                        let bytes = operand(index)?.bytes;
                        bytes.get(element(bytes.len(), most, step, backward)).ok_or("an operand is too short")?
                    }
                    Feed::Carried(index) if step == 0 => operand(*repeat.carried.get(index).ok_or(short)?)?.bytes,
                    Feed::Carried(index) => {
                        self.carried.get(index).and_then(|at| before.get(at.clone())).ok_or(short)?
                    }
                    Feed::Step => bytemuck::cast_slice(&number),
                    Feed::Known => &[],
                })
            };
            body.run(arena, &io.limits, feed, |index, bytes| {
                let Some(index) = index.checked_sub(usize::from(repeat.tells)) else {
                    going = bytes != [0];
                    return Ok(());
                };
                if let Some(at) = self.carried.get(index) {
                    return copy(after.get_mut(at.clone()), bytes);
                }
                let Some(result) = io.outputs.get_mut(index).and_then(Option::as_mut) else { return Ok(()) };
                let backward = repeat.backward.get(index - self.carried.len()).copied().unwrap_or_default();
                let at = element(result.bytes.len(), most, step, backward);
                copy(result.bytes.get_mut(at), bytes)
            })?;
            step += 1;
        }
        let last = if step % 2 == 0 { odd } else { even };
        for (index, at) in self.carried.iter().enumerate() {
            let Some(result) = io.outputs.get_mut(index).and_then(Option::as_mut) else { continue };
            let initial = repeat.carried.get(index).and_then(|operand| io.inputs.get(*operand).copied().flatten());
            let bytes = if step == 0 { initial.map(|view| view.bytes) } else { last.get(at.clone()) };
            copy(Some(&mut *result.bytes), bytes.ok_or("a carried value is missing")?)?;
        }
        Ok(())
    }

    fn branch(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let body = self.bodies.get(usize::from(io.input(0)?.bytes == [0])).ok_or("there is no such branch")?;
        let arena = io.scratch.get_mut(..self.arena_bytes).ok_or("too little scratch memory")?;
        let feed = |feed: Feed| match feed {
            Feed::Operand(index) => Ok(io.inputs.get(index).copied().flatten().ok_or("an operand is missing")?.bytes),
            _ => Ok(&[][..]),
        };
        body.run(arena, &io.limits, feed, |index, bytes| match io.outputs.get_mut(index).and_then(Option::as_mut) {
            Some(ViewMut { bytes: result, .. }) => copy(Some(&mut **result), bytes),
            None => Ok(()),
        })
    }
}

impl Body {
    fn new(body: &NestedBody, making: &Making<'_>) -> Result<Body, EngineError> {
        let ir = &body.ir;
        let value = |id: &usize| (ir.values[*id].dtype, ir.values[*id].shape.clone());
        let inputs = ir.inputs.iter().map(value).collect();
        let mut plan = Plan::new(ir.clone(), making.kernels, making.shared.clone(), making.limits)?;
        plan.detach();
        Ok(Body { plan, inputs, feeds: body.feeds.clone() })
    }

    /// Runs once; `give` is told the bytes of each result.
    fn run<'a>(
        &'a self,
        arena: &mut [u8],
        limits: &crate::limits::Going<'_>,
        feed: impl Fn(Feed) -> Result<&'a [u8], Failure>,
        mut give: impl FnMut(usize, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let inputs = self.feeds.iter().zip(&self.inputs).map(|(from, (dtype, shape))| {
            let shape: &[usize] = if *from == Feed::Known { &[0] } else { shape };
            TensorView::new(*dtype, shape, feed(*from)?).map_err(|error| error.to_string())
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let budget = RunBudget { watch: limits.watch(), ..RunBudget::default() };
        self.plan.run_steps(arena, &inputs, &budget, &mut None).map_err(|error| match error {
            EngineError::Interrupted { why, .. } => limits.stopped(why),
            EngineError::Failed { node, reason } => format!("{node}: {reason}"),
            error => error.to_string(),
        })?;
        self.plan.outputs.iter().enumerate().try_for_each(|(index, output)| {
            give(index, self.plan.bytes(output, arena, &inputs).ok_or("a result is missing")?)
        })
    }
}

/// Bytes up to where others may begin.
fn aligned(size_bytes: usize) -> usize {
    size_bytes.checked_next_multiple_of(ALIGNMENT_BYTES).unwrap_or(usize::MAX)
}

/// The bytes of one of `count` equal parts.
fn element(size_bytes: usize, count: usize, step: usize, backward: bool) -> Range<usize> {
    let size = size_bytes.checked_div(count).unwrap_or(0);
    let at = if backward { count - 1 - step } else { step };
    at * size..(at + 1) * size
}

fn copy(to: Option<&mut [u8]>, from: &[u8]) -> Result<(), Failure> {
    match to {
        Some(to) if to.len() == from.len() => {
            to.copy_from_slice(from);
            Ok(())
        }
        _ => Err("a result of a nested program has another size than it was planned with".into()),
    }
}

fn integer(view: View<'_>) -> Result<i64, Failure> {
    view.to_ints()?.first().copied().ok_or_else(|| "expected a number".into())
}

impl Operator for NestedPlans {
    fn types(&self, _: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(self.types.clone())
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(self.shapes.clone())
    }

    fn scratch_bytes(&self, _: &Facts<'_>) -> usize {
        self.arena_bytes.saturating_add(self.carried_bytes.saturating_mul(2))
    }

    fn detail(&self) -> String {
        let counts: Vec<String> = self.bodies.iter().map(|body| body.plan.steps.len().to_string()).collect();
        let steps = match &self.control {
            Control::Repeat(Repeat { steps: Steps::Known(steps), .. }) => format!("{steps} steps"),
            Control::Repeat(_) => "steps".into(),
            Control::Branch => "one".into(),
        };
        format!("{steps} of {} operators", counts.join(" or "))
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        match &self.control {
            Control::Branch => self.branch(io),
            Control::Repeat(repeat) => self.repeat(repeat, io),
        }
    }
}
