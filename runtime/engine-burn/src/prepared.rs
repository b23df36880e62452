//! A program made ready: its weights on the device, and its nodes in order, each with the values that nobody needs after it.

use crate::array::{Array, B, Kind};
use crate::attributes::Attributes;
use crate::device::Device;
use crate::failure::Failure;
use crate::guard::guarded;
use crate::host::{self, MAX_ELEMENTS, is_float};
use crate::meter::Meter;
use crate::ops::{self, Call, Operator};
use crate::scope::Scope;
use crate::value::Value;
use burn_backend::ops::{TransactionOps, TransactionPrimitive};
use burn_backend::{TensorData, try_read_sync};
use pannier_engine::{Answer, EngineError, MemoryUse, Prepared, Program, RunBudget, Tensor, TensorView, check_inputs};
use pannier_graph::{AlignedBytes, Encoding, Graph, Node, ValueId, Weight};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How often somebody is told how far the first run has come, about.
const STAGES: usize = 32;

/// A program made ready by [`Burn`](crate::Burn).
pub(crate) struct BurnPrepared {
    graph: Arc<Graph>,
    device: Device,
    weights: HashMap<ValueId, Value>,
    steps: Vec<Step>,
    weight_bytes: u64,
    peak_bytes: AtomicU64,
    /// Whether it has run, and so is compiled.
    has_run: AtomicBool,
}

/// A node to run.
struct Step {
    node: usize,
    operator: &'static Operator,
    /// Values that nobody needs after it.
    done: Vec<ValueId>,
}

impl BurnPrepared {
    /// Brings the weights to the device, once and for all runs.
    ///
    /// # Errors
    /// Operators that are missing, weights that the device has no room for, a budget that cannot be kept.
    pub(crate) fn new(program: &Program, device: &Device, budget: &RunBudget<'_>) -> Result<BurnPrepared, EngineError> {
        let graph = &program.graph;
        device.health.check().map_err(|failure| failure.of_value(""))?;
        let steps = steps(graph, device.engine)?;
        let meter = Arc::new(Meter::new(None));
        let scope = Scope { device, meter: &meter };
        let mut weights = HashMap::new();
        for weight in &graph.body.weights {
            let name = graph.value_name(weight.value);
            going(budget, name)?;
            let value = tensor(weight, program).and_then(|tensor| {
                let value = Value::read(tensor.view(), &scope)?;
                // Those with numbers are operands; small lists of integers are mostly shapes and axes.
                if is_float(weight.dtype) && weight.dtype != pannier_engine::DType::F64 && !tensor.is_empty() {
                    value.on_device(&scope)?;
                }
                Ok(value)
            });
            weights.insert(weight.value, value.map_err(|failure| failure.of_value(name))?);
        }
        device.health.check().map_err(|failure| failure.of_value(""))?;
        Ok(BurnPrepared {
            graph: graph.clone(),
            device: device.clone(),
            weights,
            steps,
            weight_bytes: meter.peak_bytes(),
            peak_bytes: AtomicU64::new(0),
            has_run: AtomicBool::new(false),
        })
    }

    /// Hands every operator to the device, and then waits for the outputs.
    async fn compute(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        check_inputs(&self.graph, inputs)?;
        self.device.health.check().map_err(|failure| failure.of_value(""))?;
        let meter = Arc::new(Meter::new(budget.memory_bytes));
        let outputs = self.submit(inputs, budget, &Scope { device: &self.device, meter: &meter }).await?;
        let outputs = self.download(&outputs).await;
        self.peak_bytes.fetch_max(meter.peak_bytes(), Ordering::Relaxed);
        // An answer that was computed by a device that failed meanwhile is no answer.
        self.device.health.check().map_err(|failure| failure.of_value(""))?;
        outputs
    }

    /// Runs the nodes in order. Nothing is read back: what the CPU has to know, it computes itself. The first time it waits for
    /// the device now and then: operators are compiled there when they are first met, and whoever waits for that is told.
    async fn submit(
        &self,
        inputs: &[TensorView<'_>],
        budget: &RunBudget<'_>,
        scope: &Scope<'_>,
    ) -> Result<Vec<Value>, EngineError> {
        let mut values: HashMap<ValueId, Value> = HashMap::new();
        for (input, view) in self.graph.body.inputs.iter().zip(inputs) {
            let value = Value::read(*view, scope);
            values.insert(input.value, value.map_err(|failure| failure.of_value(self.graph.value_name(input.value)))?);
        }
        let compiles = self.device.compiles() && !self.has_run.swap(true, Ordering::Relaxed);
        let (total, stage) = (self.steps.len(), self.steps.len().div_ceil(STAGES));
        for (index, step) in self.steps.iter().enumerate() {
            let Some(node) = self.graph.body.nodes.get(step.node) else { continue };
            going(budget, crate::failure::label(node))?;
            let operands: Vec<Option<Value>> = node.inputs.iter().map(|id| self.value((*id)?, &values)).collect();
            let results = run(step.operator, node, operands, scope);
            let results = results.map_err(|failure| failure.at(self.device.engine, node))?;
            for (id, value) in node.outputs.iter().zip(results) {
                if let Some(id) = id {
                    values.insert(*id, value);
                }
            }
            step.done.iter().for_each(|id| drop(values.remove(id)));
            let done = index + 1;
            if compiles && (done.is_multiple_of(stage) || done == total) {
                self.device.settle().await.map_err(|failure| failure.at(self.device.engine, node))?;
                budget.watch.inspect(|watch| watch.compiled(done, total));
            }
        }
        let missing =
            |id: &ValueId| Failure::Invalid("nothing computes it".into()).of_value(self.graph.value_name(*id));
        self.graph.body.outputs.iter().map(|id| self.value(*id, &values).ok_or_else(|| missing(id))).collect()
    }

    fn value(&self, id: ValueId, values: &HashMap<ValueId, Value>) -> Option<Value> {
        values.get(&id).or_else(|| self.weights.get(&id)).cloned()
    }

    /// Reads the outputs back, all in one transaction.
    async fn download(&self, outputs: &[Value]) -> Result<Vec<Tensor>, EngineError> {
        let fail = |failure: Failure| failure.of_value("");
        // What the CPU knows need not be read back. Nothing else lies beyond this point on the device.
        let meter = Arc::new(Meter::new(None));
        let scope = Scope { device: &self.device, meter: &meter };
        let mut transaction = TransactionPrimitive::<B>::new(Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for output in outputs.iter().filter(|output| output.known().is_none()) {
            let Array { data, dtype, .. } = output.on_device(&scope).map_err(fail)?;
            match Kind::of(dtype) {
                Kind::Float => transaction.read_floats.push(data),
                Kind::Int => transaction.read_ints.push(data),
                Kind::Bool => transaction.read_bools.push(data),
            }
        }
        let read = match B::tr_execute(transaction).await {
            Ok(read) => read,
            Err(why) => {
                // It says that memory could not be read, of whatever happened. If the device is lost, it says so itself.
                let lost = self.device.settle().await.err();
                return Err(fail(lost.unwrap_or_else(|| Failure::Device(why.to_string()))));
            }
        };
        let (mut floats, mut ints, mut bools) =
            (read.read_floats.into_iter(), read.read_ints.into_iter(), read.read_bools.into_iter());
        let mut tensors = Vec::with_capacity(outputs.len());
        for output in outputs {
            let tensor = match output.known() {
                Some(host) => host.to_tensor(),
                None => {
                    let data = match Kind::of(output.dtype()) {
                        Kind::Float => floats.next(),
                        Kind::Int => ints.next(),
                        Kind::Bool => bools.next(),
                    };
                    data.ok_or_else(|| Failure::Device("an output was not read back".into()))
                        .and_then(|data| read_back(&data, output))
                }
            };
            tensors.push(tensor.map_err(fail)?);
        }
        Ok(tensors)
    }
}

impl Prepared for BurnPrepared {
    fn run(&self, inputs: &[TensorView<'_>], budget: &RunBudget<'_>) -> Result<Vec<Tensor>, EngineError> {
        let answer = try_read_sync(guarded(&self.device.health, self.compute(inputs, budget)));
        answer
            .unwrap_or_else(|| Err(Failure::Device("this machine cannot wait: run asynchronously".into()).of_value("")))
    }

    fn run_async<'a>(&'a self, inputs: &'a [TensorView<'a>], budget: RunBudget<'a>) -> Answer<'a, Vec<Tensor>> {
        Box::pin(async move { guarded(&self.device.health, self.compute(inputs, &budget)).await })
    }

    fn memory(&self) -> MemoryUse {
        let peak_bytes = self.peak_bytes.load(Ordering::Relaxed);
        MemoryUse { weight_bytes: self.weight_bytes, peak_bytes, planned: false }
    }
}

/// Runs an operator where its operands are: on the CPU if it knows all of them, and they are few.
fn run(
    operator: &Operator,
    node: &Node,
    operands: Vec<Option<Value>>,
    scope: &Scope<'_>,
) -> Result<Vec<Value>, Failure> {
    let call = Call { attributes: Attributes(node), operands: &operands, scope: *scope };
    let known = |operand: &Value| operand.known().is_some();
    if let Some(host) = operator.host.filter(|_| operator.of_shapes || operands.iter().flatten().all(known)) {
        let results = match host(&call) {
            // Too much for the CPU is not too much for the device.
            Err(Failure::Unsupported(_)) => None,
            results => results?,
        };
        if let Some(results) = results.filter(|all| all.iter().all(|result| result.len() <= MAX_ELEMENTS)) {
            return Ok(results.into_iter().map(Value::host).collect());
        }
    }
    (operator.run)(&call)
}

fn going(budget: &RunBudget<'_>, node: &str) -> Result<(), EngineError> {
    let asked = budget.watch.map_or(Ok(()), |watch| watch.check());
    asked.map_err(|why| EngineError::Interrupted { node: node.to_string(), why })
}

/// The nodes with their operators, and when each value is needed last.
fn steps(graph: &Graph, engine: &'static str) -> Result<Vec<Step>, EngineError> {
    crate::supports::check(graph).map_err(|nodes| EngineError::Unsupported { engine, nodes })?;
    let mut last: HashMap<ValueId, usize> = HashMap::new();
    for (index, node) in graph.body.nodes.iter().enumerate() {
        for id in node.inputs.iter().chain(&node.outputs).flatten() {
            last.insert(*id, index);
        }
    }
    // Outputs are needed by the caller.
    last.retain(|id, _| !graph.body.outputs.contains(id));
    let mut steps = Vec::with_capacity(graph.body.nodes.len());
    for (index, node) in graph.body.nodes.iter().enumerate() {
        let Some(operator) = ops::find(node) else { continue };
        steps.push(Step { node: index, operator, done: Vec::new() });
    }
    for (id, index) in last {
        if let Some(step) = steps.get_mut(index) {
            step.done.push(id);
        }
    }
    Ok(steps)
}

/// A weight's elements, decoded.
fn tensor(weight: &Weight, program: &Program) -> Result<Tensor, Failure> {
    let shape: Option<Vec<usize>> = weight.shape.iter().map(|size| usize::try_from(*size).ok()).collect();
    let invalid = || Failure::Invalid("its bytes do not fit its type and shape".into());
    let bytes = match &weight.encoding {
        Encoding::Raw => program.bytes(&weight.data).map(AlignedBytes::copy_from),
        _ => weight.decode(|span| program.bytes(span)),
    };
    let (shape, bytes) = (shape.ok_or_else(invalid)?, bytes.ok_or_else(invalid)?);
    Tensor::from_aligned(weight.dtype, shape, bytes).map_err(|_| invalid())
}

/// A tensor of the graph's type, from what the device holds for it.
fn read_back(data: &TensorData, output: &Value) -> Result<Tensor, Failure> {
    let dtype = output.dtype();
    let bytes: Vec<u8> = match Kind::of(dtype) {
        Kind::Float if dtype == pannier_engine::DType::F32 => {
            data.iter::<f32>().flat_map(|value| value.to_le_bytes()).collect()
        }
        Kind::Float => data.iter::<f32>().flat_map(|value| host::float_bytes(dtype, f64::from(value))).collect(),
        Kind::Int => data.iter::<i32>().flat_map(|value| host::int_bytes(dtype, i64::from(value))).collect(),
        Kind::Bool => data.iter::<bool>().map(u8::from).collect(),
    };
    Tensor::new(dtype, output.shape(), bytes).map_err(|why| Failure::Device(why.to_string()))
}
