//! How the executor runs a model: the operators of its plan, and where the time goes.

use crate::error::Error;
use crate::interrupt::OnCtrlC;
use crate::table::{Table, heading};
use crate::{program, units};
use pannier::{Executor, Tensor};
use pannier_bundle::{DType, Source, Verified};
use pannier_engine::golden::{Golden, Stored};
use pannier_engine::{Prepared, RunBudget};
use serde::Serialize;
use std::time::Instant;

/// Runs that are timed; of each operator the least time counts.
const RUNS: usize = 20;

/// What `packager inspect --plan --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Name of the document's schema.
    pub schema: &'static str,
    /// Path of the bundle.
    pub bundle: String,
    /// The golden case whose inputs were run; the shapes of the plan are theirs.
    pub case: String,
    /// Runs that were timed.
    pub runs: usize,
    /// Sum of the times of the operators, in milliseconds.
    pub total_ms: f64,
    /// Memory that all intermediate tensors share.
    pub arena_bytes: u64,
    /// Constants as the kernels read them.
    pub weight_bytes: u64,
    /// The operators, in the order in which they run.
    pub steps: Vec<Step>,
}

/// One planned operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Node of the graph, or the last of those whose work it does.
    pub node: String,
    /// Operator.
    pub op: String,
    /// Kernel, parameters, and what was fused into it.
    pub detail: String,
    /// What it reads; an absent operand is `-`.
    pub inputs: Vec<String>,
    /// What it writes.
    pub outputs: Vec<String>,
    /// Bytes that it reads and writes.
    pub moved_bytes: u64,
    /// Floating-point operations; 0 where they are not what takes the time.
    pub flops: u64,
    /// Least time of all runs, in milliseconds.
    pub ms: f64,
    /// Part of the sum of all times.
    pub share: f64,
}

/// Plans a bundle's model for the inputs of its first golden case, and runs it.
///
/// # Errors
/// [`Error::Usage`]: it has no golden case; [`Error::Engine`]: the executor does not run this model; those of reading.
pub fn plan<S: Source>(bundle: &Verified<S>, path: &std::path::Path) -> Result<PlanReport, Error> {
    let program = program::load(bundle, |_| ())?;
    let golden = match bundle.section("golden") {
        Some(_) => Golden::decode(&bundle.read("golden")?)?.cases,
        None => Vec::new(),
    };
    let case = golden.into_iter().next().ok_or_else(|| {
        Error::usage_with_hint(
            "the bundle has no golden case, and a plan is made for real inputs",
            "build it with --evaluate or --calibrate",
        )
    })?;
    let inputs = case.inputs.iter().map(Stored::tensor).collect::<Result<Vec<_>, _>>();
    let inputs = inputs.map_err(|why| Error::usage(format!("golden case `{}`: {why}", case.name)))?;
    let inputs: Vec<_> = inputs.iter().map(Tensor::view).collect();

    let budget = RunBudget { memory_bytes: None, watch: Some(&OnCtrlC) };
    let prepared = Executor::new().compile(&program, &budget)?;
    prepared.run(&inputs, &budget)?;
    let Some(plan) = prepared.explain() else { return Err(Error::usage("the model was not planned")) };
    let mut least = vec![f64::INFINITY; plan.steps.len()];
    for _ in 0..RUNS {
        let mut last = Instant::now();
        let mut observe = |step: usize| {
            let now = Instant::now();
            if let Some(least) = least.get_mut(step) {
                *least = least.min((now - last).as_secs_f64() * 1e3);
            }
            last = now;
        };
        prepared.run_observed(&inputs, &budget, &mut observe)?;
    }

    let total_ms: f64 = least.iter().sum();
    let steps = plan.steps.into_iter().zip(least).map(|(step, ms)| Step {
        node: step.name,
        op: step.operator,
        detail: step.detail,
        inputs: step.inputs.iter().map(tensor).collect(),
        outputs: step.outputs.iter().map(tensor).collect(),
        moved_bytes: step.moved_bytes,
        flops: step.flops,
        ms,
        share: ms / total_ms,
    });
    Ok(PlanReport {
        schema: "pannier.dev/plan/v1",
        bundle: path.display().to_string(),
        case: case.name,
        runs: RUNS,
        total_ms,
        arena_bytes: plan.arena_bytes,
        weight_bytes: plan.weight_bytes,
        steps: steps.collect(),
    })
}

fn tensor(tensor: &Option<(DType, Vec<usize>)>) -> String {
    let Some((dtype, shape)) = tensor else { return "-".into() };
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("{}[{}]", dtype.name(), dims.join("x"))
}

/// The report as a table.
pub fn screen(report: &PlanReport) -> String {
    let mut text = heading(&format!(
        "{} operators on the executor, {:.3} ms for golden case `{}` (the least of {} runs each)",
        report.steps.len(),
        report.total_ms,
        report.case,
        report.runs
    ));
    let mut table = Table::new(&[">share", ">ms", ">GFLOP/s", ">moved", "operator", "tensors", "computed as", "node"]);
    for step in &report.steps {
        let rate = if step.flops == 0 { String::new() } else { format!("{:.1}", step.flops as f64 / step.ms / 1e6) };
        table.row([
            format!("{:.1} %", step.share * 100.0),
            format!("{:.4}", step.ms),
            rate,
            units::bytes(step.moved_bytes),
            step.op.clone(),
            format!("{} -> {}", step.inputs.join(" "), step.outputs.join(" ")),
            step.detail.clone(),
            step.node.clone(),
        ]);
    }
    text.push_str(&table.render());
    let memory = [units::bytes(report.arena_bytes), units::bytes(report.weight_bytes)];
    text.push_str(&format!("  {} of intermediate results at a time, {} of weights\n", memory[0], memory[1]));
    text
}
