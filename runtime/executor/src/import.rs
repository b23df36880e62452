//! From a graph to the [`Ir`]: types and shapes are inferred, what is constant is computed, branches are chosen.
//!
//! Inputs have a shape here, so every shape is a number. What depends on nothing but constants and shapes is computed on
//! the spot by the operators themselves: `Shape`, `Gather`, `Concat`, .. before a `Reshape` vanish.

mod nested;

pub(crate) use nested::NESTED;

use crate::encoded::Encoded;
use crate::ir::{Constant, Id, Ir, Node, Op, Value, constant_of, facts};
use crate::limits::{Going, Limits};
use crate::ops::{self, Io, Operator, Refusal};
use crate::view::{View, ViewMut};
use crate::weights::Weights;
use pannier_engine::{DType, EngineError, TensorView, Unsupported, size_bytes};
use pannier_graph::{AlignedBytes, Attribute, Body, Encoding, Graph, Node as GraphNode, ValueId, Weight};
use std::sync::Arc;

/// Most bytes that a constant may have which is computed of smaller ones: more would be held for the plan's whole life.
const MOST_FOLDED_BYTES: usize = 1 << 20;

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A node wants to know a value that depends on these inputs of the graph: a plan can be made for their values.
    NeedsInputs {
        inputs: Vec<usize>,
        node: String,
        reason: String,
    },
    Error(EngineError),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Stop {
        Stop::Error(error)
    }
}

/// What one plan is made for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) shapes: Vec<Vec<usize>>,
    /// Inputs whose elements are constants of the plan.
    pub(crate) values: Vec<Option<pannier_engine::Tensor>>,
}

/// Imports a program for inputs of these shapes and, where given, values.
pub(crate) fn import(graph: &Graph, weights: &Weights, key: &Key, limits: &Limits<'_>) -> Result<Ir, Stop> {
    let (ir, ids) = (Ir::default(), vec![None; graph.values.len()]);
    let mut import = Import { graph, weights, limits, ir, ids, folded_bytes: 0, depends: Vec::new() };
    let body = &graph.body;
    for (index, input) in body.inputs.iter().enumerate() {
        let (Some(dtype), Some(shape)) = (input.dtype, key.shapes.get(index)) else {
            return Err(import.invalid("", format!("the input {index} has no type or shape")));
        };
        let name = graph.value_name(input.value);
        import.check_size(name, dtype, shape)?;
        let constant = key.values.get(index).and_then(Option::as_ref).map(|tensor| constant_of(&tensor.view()));
        let known = constant.is_some();
        let id = import.ir.add(Value { name: name.to_string(), dtype, shape: shape.clone(), constant });
        import.define(input.value, id)?;
        import.depend(id, if known { Vec::new() } else { vec![index] });
        import.ir.inputs.push(id);
    }
    import.body(body)?;
    let outputs = body.outputs.iter().map(|value| import.resolve(*value)).collect::<Result<Vec<_>, _>>()?;
    import.ir.outputs = outputs;
    Ok(import.ir)
}

struct Import<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    limits: &'a Limits<'a>,
    ir: Ir,
    /// By the graph's value.
    ids: Vec<Option<Id>>,
    /// Bytes of constants that were computed.
    folded_bytes: usize,
    /// By value of the `Ir`: inputs of the graph whose elements it is computed of.
    depends: Vec<Vec<usize>>,
}

impl Import<'_> {
    fn invalid(&self, node: &str, reason: String) -> Stop {
        Stop::Error(EngineError::InvalidGraph { node: node.to_string(), reason })
    }

    fn define(&mut self, value: ValueId, id: Id) -> Result<(), Stop> {
        let slot = usize::try_from(value.0).ok().and_then(|index| self.ids.get_mut(index));
        match slot {
            Some(slot) => {
                *slot = Some(id);
                Ok(())
            }
            None => Err(self.invalid("", format!("there is no value {}", value.0))),
        }
    }

    fn resolve(&self, value: ValueId) -> Result<Id, Stop> {
        let found = usize::try_from(value.0).ok().and_then(|index| self.ids.get(index).copied().flatten());
        found
            .ok_or_else(|| self.invalid("", format!("`{}` is used before it is defined", self.graph.value_name(value))))
    }

    fn depend(&mut self, id: Id, mut inputs: Vec<usize>) {
        inputs.sort_unstable();
        inputs.dedup();
        self.depends.resize(id + 1, Vec::new());
        self.depends[id] = inputs;
    }

    fn check_size(&self, node: &str, dtype: DType, shape: &[usize]) -> Result<(), Stop> {
        match size_bytes(dtype, shape) {
            Some(bytes) => Ok(self.limits.check_tensor(node, bytes)?),
            None => Err(self.limits.too_large(node, u64::MAX).into()),
        }
    }

    fn body(&mut self, body: &Body) -> Result<(), Stop> {
        for weight in &body.weights {
            self.limits.check_time("")?;
            let id = self.weight(weight)?;
            self.define(weight.value, id)?;
        }
        for node in &body.nodes {
            self.limits.check_time(label(node))?;
            self.node(node)?;
        }
        Ok(())
    }

    fn weight(&mut self, weight: &Weight) -> Result<Id, Stop> {
        let name = self.graph.value_name(weight.value).to_string();
        let unfit = || self.invalid(&name, "the weight's bytes do not fit its section, type or shape".into());
        let shape = weight.shape.iter().map(|dim| usize::try_from(*dim)).collect::<Result<Vec<_>, _>>();
        let shape = shape.map_err(|_| unfit())?;
        let constant = match weight.encoding {
            Encoding::Raw => self.weights.constant(&weight.data),
            _ if shape.contains(&0) => Some(Constant::owned(AlignedBytes::default())),
            _ => Encoded::weight(weight, &shape, |span| self.weights.constant(span)).map(Constant::encoded),
        };
        let constant = constant.ok_or_else(unfit)?;
        // Packed weights were looked at when they were packed. This also looks at alignment and at the bytes of booleans.
        let fits = constant.is_turned() || TensorView::new(weight.dtype, &shape, constant.bytes()).is_ok();
        if !fits || size_bytes(weight.dtype, &shape) != Some(constant.size_bytes()) {
            return Err(unfit());
        }
        let id = self.ir.constant(&name, weight.dtype, shape, constant);
        self.depend(id, Vec::new());
        Ok(id)
    }

    fn node(&mut self, node: &GraphNode) -> Result<(), Stop> {
        let inputs = node.inputs.iter().map(|value| value.map(|value| self.resolve(value)).transpose());
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        if self.nested(node, &inputs)? {
            return Ok(());
        }
        let operator = ops::build(node).map_err(|refusal| self.refused(node, &inputs, refusal))?;
        let types: Vec<_> = inputs.iter().map(|id| id.map(|id| self.ir.values[id].dtype)).collect();
        let list = self.ir.facts(&inputs);
        let inferred = operator.types(&types).and_then(|types| Ok((types, operator.shapes(&facts(&list))?)));
        let (types, shapes) = inferred.map_err(|refusal| self.refused(node, &inputs, refusal))?;
        let depends: Vec<usize> = inputs.iter().flatten().flat_map(|id| self.depends[*id].iter().copied()).collect();
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for (index, output) in node.outputs.iter().enumerate() {
            let Some(value) = output else {
                outputs.push(None);
                continue;
            };
            let (Some(dtype), Some(shape)) = (types.get(index), shapes.get(index)) else {
                return Err(self.invalid(label(node), format!("there is no result {index}")));
            };
            self.check_size(label(node), *dtype, shape)?;
            let id = self.ir.fresh(self.graph.value_name(*value), *dtype, shape.clone());
            self.define(*value, id)?;
            self.depend(id, depends.clone());
            outputs.push(Some(id));
        }
        // Whether integers have to become numbers at all is for a pass to say.
        let kept = node.domain.is_empty() && node.op == "DequantizeLinear";
        if outputs.iter().flatten().next().is_none() || !kept && self.fold(node, &*operator, &inputs, &outputs)? {
            return Ok(());
        }
        let op = Op::Standard { node: Arc::new(shallow(node)), operator };
        self.ir.nodes.push(Node { name: label(node).to_string(), op, inputs, outputs });
        Ok(())
    }

    /// Computes a node whose operands are known, or of which only the shape matters. Whether it did.
    fn fold(
        &mut self,
        node: &GraphNode,
        operator: &dyn Operator,
        inputs: &[Option<Id>],
        outputs: &[Option<Id>],
    ) -> Result<bool, Stop> {
        let of_shapes = matches!(node.op.as_str(), "Shape" | "Size");
        let known = of_shapes || inputs.iter().flatten().all(|id| self.ir.is_constant(*id));
        let from: usize =
            inputs.iter().flatten().map(|id| self.ir.values[*id].size_bytes()).fold(0, usize::saturating_add);
        let to = outputs.iter().flatten().map(|id| self.ir.values[*id].size_bytes()).fold(0, usize::saturating_add);
        if !known {
            return Ok(false);
        }
        if let (Some(constant), &[Some(id)]) = (self.still_encoded(node, inputs), outputs) {
            self.ir.values[id].constant = Some(constant);
            self.depends[id].clear();
            return Ok(true);
        }
        if to > from.max(MOST_FOLDED_BYTES) {
            return Ok(false);
        }
        self.folded_bytes = self.folded_bytes.saturating_add(to);
        let list = self.ir.facts(inputs);
        let scratch_bytes = operator.scratch_bytes(&facts(&list));
        self.limits.check_tensor(label(node), self.folded_bytes.saturating_add(scratch_bytes))?;
        let zeroed = |size: usize| AlignedBytes::try_zeroed(size).ok_or_else(|| self.limits.too_large("", size as u64));
        let mut results = Vec::with_capacity(outputs.len());
        for output in outputs {
            results.push(output.map(|id| zeroed(self.ir.values[id].size_bytes())).transpose()?);
        }
        let mut scratch = zeroed(scratch_bytes)?;
        let views: Vec<Option<View<'_>>> = list
            .iter()
            .map(|fact| {
                fact.map(|fact| View {
                    dtype: fact.dtype,
                    shape: fact.shape,
                    bytes: fact.value.map(Constant::bytes).unwrap_or_default(),
                })
            })
            .collect();
        let mut slots: Vec<Option<ViewMut<'_>>> = results
            .iter_mut()
            .zip(outputs)
            .map(|(bytes, id)| {
                let value = &self.ir.values[(*id)?];
                Some(ViewMut { dtype: value.dtype, shape: &value.shape, bytes: bytes.as_mut()?.as_bytes_mut() })
            })
            .collect();
        let run = operator.run(&mut Io {
            inputs: &views,
            outputs: &mut slots,
            scratch: scratch.as_bytes_mut(),
            pool: None,
            limits: Going::default(),
        });
        run.map_err(|reason| self.invalid(label(node), reason))?;
        for (bytes, id) in results.into_iter().zip(outputs) {
            if let (Some(bytes), Some(id)) = (bytes, id) {
                self.ir.values[*id].constant = Some(Constant::owned(bytes));
                self.depends[*id].clear();
            }
        }
        Ok(true)
    }

    /// The result of a node that leaves numbers as they are stored.
    fn still_encoded(&self, node: &GraphNode, inputs: &[Option<Id>]) -> Option<Constant> {
        let value = &self.ir.values[inputs.first().copied().flatten()?];
        let constant = value.constant.as_ref()?;
        match (node.op.as_str(), constant.as_encoded(), value.shape.as_slice()) {
            ("Reshape" | "Identity", Some(_), _) => Some(constant.clone()),
            ("Transpose", Some(encoded), &[rows, columns]) => {
                let swaps = match node.attribute("perm") {
                    Some(Attribute::Ints(perm)) => perm == &[1, 0],
                    _ => true,
                };
                swaps.then(|| encoded.transposed([rows, columns]))?.map(Constant::encoded)
            }
            ("Cast", None, _) if value.dtype == DType::F16 && node.attribute("to") == Some(&Attribute::Int(1)) => {
                Encoded::half(constant.clone(), value.len()).map(Constant::encoded)
            }
            _ => None,
        }
    }

    fn refused(&self, node: &GraphNode, inputs: &[Option<Id>], refusal: Refusal) -> Stop {
        let unsupported = |reason: String| {
            let node = Unsupported { op: qualified(node), node: label(node).to_string(), reason };
            Stop::Error(EngineError::Unsupported { engine: crate::NAME, nodes: vec![node] })
        };
        match refusal {
            Refusal::Unsupported(reason) => unsupported(reason),
            Refusal::Invalid(reason) => self.invalid(label(node), reason),
            Refusal::NeedsValue(operand) => {
                let depends =
                    inputs.get(operand).copied().flatten().map(|id| self.depends[id].clone()).unwrap_or_default();
                let reason = format!("operand {operand} is not known before the program runs");
                if depends.is_empty() {
                    return unsupported(reason);
                }
                Stop::NeedsInputs { inputs: depends, node: label(node).to_string(), reason }
            }
        }
    }
}

/// The name of a node for messages.
pub(crate) fn label(node: &GraphNode) -> &str {
    if node.name.is_empty() { &node.op } else { &node.name }
}

/// The operator's name with its domain.
pub(crate) fn qualified(node: &GraphNode) -> String {
    if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) }
}

/// A node without its nested bodies and literals, which its operator has taken over.
fn shallow(node: &GraphNode) -> GraphNode {
    let small = |attribute: &Attribute| !matches!(attribute, Attribute::Body(_) | Attribute::Tensor(_));
    GraphNode {
        name: node.name.clone(),
        domain: node.domain.clone(),
        op: node.op.clone(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        attributes: node.attributes.iter().filter(|(_, attribute)| small(attribute)).cloned().collect(),
    }
}
