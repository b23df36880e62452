//! From ONNX messages to the model: names become values, older operators become newer ones, functions disappear.

use super::decode::{Decoded, Opsets};
use super::emit::Emit;
use super::error::{ImportError, Place, Problems, Why};
use super::functions::{Arguments, Functions};
use super::infer;
use super::model::{Model, Type};
use super::options::{Declared, ImportOptions};
use super::symbols::Symbols;
use super::{attributes, constant, contrib, schema, sort, tensor, upgrade};
use pannier_graph::{Attribute, Body, DType, Input, Node, ValueId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;

/// Graphs nested in each other.
const MOST_DEPTH: u32 = 8;

/// Nodes after functions were inlined.
const MOST_NODES: usize = 1 << 18;

/// A model, with what its interface promises.
pub(super) struct Translated {
    pub model: Model,
    /// Symbols of the inputs, to name new ones differently.
    pub symbols: Symbols,
    /// What the file declares of each output, in order.
    pub outputs: Vec<DeclaredOutput>,
}

/// What a file declares of an output. Used where inference does not know better.
pub(super) struct DeclaredOutput {
    pub dtype: Option<DType>,
    pub rank: Option<usize>,
}

/// Translates a decoded file.
///
/// # Errors
/// [`ImportError::Invalid`] or [`ImportError::Unsupported`] with every problem found, [`ImportError::Option`], or
/// [`ImportError::Limit`] for nesting or functions without end.
pub(super) fn translate(
    decoded: Decoded,
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Result<Translated, ImportError> {
    let Decoded { mut model, functions, opsets } = decoded;
    let functions = Functions::new(std::mem::take(&mut model.functions), functions)?;
    let graph = model.graph.unwrap_or_default();
    let mut translator = Translator {
        model: Model::default(),
        problems: Problems::default(),
        symbols: Symbols::default(),
        scopes: Vec::new(),
        functions: &functions,
        folder,
        options,
        nodes: 0,
        copied_bytes: 0,
    };
    let outputs = translator.declared_outputs(&graph);
    let frame = Frame { opsets: &opsets, arguments: &Arguments::default(), depth: 0, calls: 0 };
    translator.model.body = translator.graph(graph, &frame, Role::Main)?;
    translator.problems.finish()?;
    Ok(Translated { model: translator.model, symbols: translator.symbols, outputs })
}

pub(super) struct Translator<'a> {
    pub(super) model: Model,
    pub(super) problems: Problems,
    symbols: Symbols,
    /// Values by name, innermost graph last. `None`: an optional input of a function that was left out.
    pub(super) scopes: Vec<BTreeMap<String, Option<ValueId>>>,
    pub(super) functions: &'a Functions,
    folder: Option<&'a Path>,
    options: &'a ImportOptions,
    nodes: usize,
    /// Bytes of functions' bodies so far, counted at every call.
    pub(super) copied_bytes: u64,
}

/// What a graph is for.
enum Role<'a> {
    Main,
    /// Inside a node, with what is known of its inputs.
    Nested(&'a [Type]),
}

/// Where the translator is.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub opsets: &'a Opsets,
    /// Attributes of the call, while a function's body is translated.
    pub arguments: &'a Arguments,
    /// Graphs around this one.
    pub depth: u32,
    /// Functions around this one.
    pub calls: u32,
}

impl Translator<'_> {
    fn graph(&mut self, mut graph: pb::GraphProto, frame: &Frame<'_>, role: Role<'_>) -> Result<Body, ImportError> {
        if frame.depth > MOST_DEPTH {
            let (found, limit) = (frame.depth.into(), MOST_DEPTH.into());
            return Err(ImportError::Limit { what: "levels of nested graphs", found, limit });
        }
        if !graph.sparse_initializer.is_empty() {
            self.problems.push(Place::Model, Why::Feature("sparse initialisers"));
        }
        self.scopes.push(BTreeMap::new());
        let initialised: BTreeSet<String> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
        // Up to IR version 3 every initialiser is also listed as an input.
        graph.input.retain(|input| !initialised.contains(&input.name));
        let (main, inputs) = match role {
            Role::Main => (true, self.main_inputs(&graph.input)?),
            Role::Nested(types) => (false, self.nested_inputs(&graph.input, types)),
        };
        for tensor in &mut graph.initializer {
            self.initialiser(tensor);
        }
        let mut own: BTreeSet<ValueId> =
            self.scopes.last().into_iter().flat_map(|scope| scope.values()).flatten().copied().collect();
        for name in graph.node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty()) {
            own.extend(self.define(name, None));
        }
        let mut nodes = Vec::with_capacity(graph.node.len());
        let order = sort::sort(&graph.node);
        if !order.cycle.is_empty() {
            let names = order.cycle.iter().filter_map(|index| graph.node.get(*index)).map(node_name);
            self.problems.push(Place::Model, Why::Cycle(names.take(20).collect()));
        }
        let mut protos: Vec<Option<pb::NodeProto>> = graph.node.into_iter().map(Some).collect();
        for proto in order.sorted.iter().filter_map(|index| protos.get_mut(*index)?.take()) {
            self.node(proto, frame, &mut nodes)?;
        }
        let outputs = self.outputs(&graph.output, &own, main, &mut nodes);
        self.scopes.pop();
        Ok(Body { inputs, outputs, nodes, weights: Vec::new() })
    }

    /// Defines a name in the innermost graph; without a value, a new one.
    pub(super) fn define(&mut self, name: &str, value: Option<ValueId>) -> Option<ValueId> {
        if self.scopes.last().is_some_and(|scope| scope.contains_key(name)) {
            self.problems.push(Place::Model, Why::DefinedTwice(name.to_owned()));
            return None;
        }
        let value = value.unwrap_or_else(|| self.model.value(name));
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), Some(value));
        }
        Some(value)
    }

    /// The value of a name: `None` if there is none, `Some(None)` if it was left out.
    pub(super) fn lookup(&self, name: &str) -> Option<Option<ValueId>> {
        if name.is_empty() {
            return Some(None);
        }
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).copied()
    }

    fn main_inputs(&mut self, protos: &[pb::ValueInfoProto]) -> Result<Vec<Input>, ImportError> {
        for proto in protos {
            if let Some(shape) = tensor_type(proto).ok().and_then(|tensor| tensor.shape.as_ref()) {
                self.symbols.reserve(&shape.dim);
            }
        }
        let mut declared: Vec<Declared> = protos.iter().filter_map(|proto| self.declared(proto)).collect();
        self.options.pin(&mut declared)?;
        let mut inputs = Vec::new();
        for input in declared {
            let Some(value) = self.define(&input.name, None) else { continue };
            if let Some(constant) = self.options.constant(&input)? {
                self.model.set_constant(value, constant);
                continue;
            }
            let Some(shape) = input.shape else {
                self.problems.push(Place::Input(input.name), Why::NoShape);
                continue;
            };
            let r#type = self.model.type_mut(value);
            r#type.dtype = Some(input.dtype);
            r#type.shape = Some(shape.iter().cloned().map(Some).collect());
            inputs.push(Input { value, dtype: Some(input.dtype), shape: Some(shape) });
        }
        Ok(inputs)
    }

    fn declared(&mut self, proto: &pb::ValueInfoProto) -> Option<Declared> {
        let name = proto.name.clone();
        let typed = tensor_type(proto).and_then(|tensor| Ok((tensor::dtype(tensor.elem_type)?, tensor)));
        match typed {
            Ok((dtype, tensor)) => {
                let dims = tensor.shape.as_ref().map(|shape| shape.dim.iter().enumerate());
                let shape = dims.map(|dims| dims.map(|(axis, dim)| self.symbols.dim(dim, &name, axis)).collect());
                Some(Declared { name, dtype, shape })
            }
            Err(why) => {
                self.problems.push(Place::Input(name.clone()), why);
                // Defined all the same, so that its users are not reported as well.
                self.define(&name, None);
                None
            }
        }
    }

    /// Inputs of a nested graph, whose types follow from the node around it. What the file says is used where nothing
    /// does, and only for the element type: shapes may change from one iteration to the next.
    fn nested_inputs(&mut self, protos: &[pb::ValueInfoProto], types: &[Type]) -> Vec<Input> {
        let mut inputs = Vec::new();
        for (position, proto) in protos.iter().enumerate() {
            let Some(value) = self.define(&proto.name, None) else { continue };
            let declared = tensor_type(proto).and_then(|tensor| tensor::dtype(tensor.elem_type));
            let mut r#type = types.get(position).cloned().unwrap_or_default();
            match declared {
                Ok(dtype) => r#type.dtype = r#type.dtype.or(Some(dtype)),
                Err(Why::NoType) => {}
                Err(why) => self.problems.push(Place::Input(proto.name.clone()), why),
            }
            *self.model.type_mut(value) = r#type;
            inputs.push(Input { value, dtype: None, shape: None });
        }
        inputs
    }

    fn initialiser(&mut self, proto: &mut pb::TensorProto) {
        let name = std::mem::take(&mut proto.name);
        let Some(value) = self.define(&name, None) else { return };
        match tensor::constant(proto, self.folder) {
            Ok(constant) => self.model.set_constant(value, constant),
            Err(why) => self.problems.push(Place::Tensor(name), why),
        }
    }

    fn declared_outputs(&mut self, graph: &pb::GraphProto) -> Vec<DeclaredOutput> {
        let mut outputs = Vec::new();
        for proto in &graph.output {
            let tensor = tensor_type(proto);
            let dtype = tensor.clone().and_then(|tensor| tensor::dtype(tensor.elem_type));
            let rank = tensor.ok().and_then(|tensor| Some(tensor.shape.as_ref()?.dim.len()));
            if let Err(why) = dtype.as_ref()
                && *why != Why::NoType
            {
                self.problems.push(Place::Output(proto.name.clone()), why.clone());
            }
            outputs.push(DeclaredOutput { dtype: dtype.ok(), rank });
        }
        outputs
    }

    fn outputs(
        &mut self,
        protos: &[pb::ValueInfoProto],
        own: &BTreeSet<ValueId>,
        main: bool,
        nodes: &mut Vec<Node>,
    ) -> Vec<ValueId> {
        let mut outputs: Vec<ValueId> = Vec::new();
        for proto in protos {
            let name = &proto.name;
            match self.lookup(name).flatten() {
                None => self.problems.push(Place::Output(name.clone()), Why::Missing(name.clone())),
                Some(value) if main && outputs.contains(&value) => {
                    self.problems.push(Place::Output(name.clone()), Why::DefinedTwice(name.clone()));
                }
                // What a nested graph hands out must be its own: a branch may name a value from around it.
                Some(value) if !own.contains(&value) => {
                    outputs.push(Emit::new(&mut self.model, nodes, name).op("Identity", &[value]));
                }
                Some(value) => outputs.push(value),
            }
        }
        outputs
    }

    pub(super) fn node(
        &mut self,
        mut proto: pb::NodeProto,
        frame: &Frame<'_>,
        out: &mut Vec<Node>,
    ) -> Result<(), ImportError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            let (found, limit) = (self.nodes as u64, MOST_NODES as u64);
            return Err(ImportError::Limit { what: "nodes", found, limit });
        }
        if proto.domain == "ai.onnx" {
            proto.domain.clear();
        }
        let place = node_place(&proto);
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            match self.lookup(name) {
                Some(value) => inputs.push(value),
                None => {
                    self.problems.push(place.clone(), Why::Missing(name.clone()));
                    inputs.push(None);
                }
            }
        }
        let outputs: Vec<_> = proto.output.iter().map(|name| self.lookup(name).flatten()).collect();
        let operator = schema::find(&proto.domain, &proto.op_type);
        if operator.is_none()
            && let Some(function) = self.functions.find(&proto.domain, &proto.op_type)
        {
            return self.call(function, &proto, &inputs, &outputs, frame, out);
        }
        let version = match operator {
            None => Err(Why::UnknownOperator),
            Some(operator) => match frame.opsets.get(&proto.domain) {
                None => Err(Why::NoOpset(proto.domain.clone())),
                Some(declared) => operator
                    .version_in(*declared)
                    .ok_or(Why::TooNew { introduced: operator.introduced(), declared: *declared }),
            },
        };
        let version = match version {
            Ok(version) => version,
            Err(why) => {
                self.problems.push(place, why);
                return Ok(());
            }
        };
        if operator.is_some_and(|operator| operator.deprecated_in(version)) && !upgrade::is_replaced(&proto.op_type) {
            self.problems.push(place, Why::Deprecated);
            return Ok(());
        }
        let name = node_name(&proto);
        let types = self.body_types(&proto, &inputs, version);
        let attributes = self.attributes(std::mem::take(&mut proto.attribute), &place, frame, &types)?;
        let Some(attributes) = attributes else { return Ok(()) };
        if proto.domain.is_empty() && proto.op_type == "Constant" {
            match (constant::value(attributes), outputs.first()) {
                (Ok(constant), Some(Some(output))) => self.model.set_constant(*output, constant),
                (Ok(_), _) => self.problems.push(place, Why::Outputs(0)),
                (Err(why), _) => self.problems.push(place, why),
            }
            return Ok(());
        }
        let node = Node { name, domain: proto.domain, op: proto.op_type, inputs, outputs, attributes };
        let first = out.len();
        let rewritten = if contrib::is_for(&node) {
            check(&node).and_then(|()| contrib::expand(node, &mut self.model, out))
        } else {
            upgrade::upgrade(node, version, &mut self.model, out)
        };
        if let Err(why) = rewritten {
            self.problems.push(place, why);
            return Ok(());
        }
        for node in out.get(first..).unwrap_or_default() {
            if !node.domain.is_empty() {
                let declared = frame.opsets.get(&node.domain).copied().unwrap_or_default();
                let highest = self.model.domains.entry(node.domain.clone()).or_default();
                *highest = declared.max(*highest);
            }
            let checked = check(node).and_then(|()| infer::node(&mut self.model, node));
            if let Err(why) = checked {
                self.problems.push(place.clone(), why);
            }
        }
        Ok(())
    }

    /// What is known of the inputs of the graph inside a node.
    fn body_types(&self, proto: &pb::NodeProto, inputs: &[Option<ValueId>], version: u32) -> Vec<Type> {
        let dtype = |value: &Option<ValueId>| value.and_then(|value| self.model.r#type(value).dtype);
        let carried = |skip: usize| inputs.iter().skip(skip).map(dtype).map(|dtype| Type { dtype, ..Type::default() });
        let scalar = |dtype| Type { dtype: Some(dtype), shape: Some(Vec::new()), elements: None };
        match proto.op_type.as_str() {
            "Loop" => [scalar(DType::I64), scalar(DType::Bool)].into_iter().chain(carried(2)).collect(),
            // Opset 8 had an input before those of the body.
            "Scan" => carried(usize::from(version < 9)).collect(),
            _ => Vec::new(),
        }
    }

    /// The attributes of a node, sorted; `None` if there is something wrong with one of them.
    fn attributes(
        &mut self,
        protos: Vec<pb::AttributeProto>,
        place: &Place,
        frame: &Frame<'_>,
        types: &[Type],
    ) -> Result<Option<Vec<(String, Attribute)>>, ImportError> {
        let mut wrong = Vec::new();
        let mut attributes: BTreeMap<String, Attribute> = BTreeMap::new();
        for mut proto in protos {
            if !proto.ref_attr_name.is_empty() {
                // An attribute of the function that the call does not state is left out here, too.
                let Some(argument) = frame.arguments.get(&proto.ref_attr_name) else { continue };
                proto = pb::AttributeProto { name: proto.name, ..argument.clone() };
            }
            let name = std::mem::take(&mut proto.name);
            let value = match (attributes::kind(&proto), proto.g.take()) {
                (AttributeType::Graph, Some(graph)) => {
                    let frame = Frame { depth: frame.depth + 1, ..*frame };
                    Ok(Attribute::Body(Box::new(self.graph(graph, &frame, Role::Nested(types))?)))
                }
                _ => attributes::value(&mut proto, self.folder),
            };
            match value {
                Err(Why::Attribute { reason, .. }) => wrong.push(Why::Attribute { name, reason }),
                Err(why) => wrong.push(why),
                Ok(_) if attributes.contains_key(&name) => wrong.push(Why::AttributeTwice(name)),
                Ok(value) => drop(attributes.insert(name, value)),
            }
        }
        if wrong.is_empty() {
            return Ok(Some(attributes.into_iter().collect()));
        }
        wrong.into_iter().for_each(|why| self.problems.push(place.clone(), why));
        Ok(None)
    }
}

/// Checks a node against the newest definition of its operator.
fn check(node: &Node) -> Result<(), Why> {
    let operator = schema::find(&node.domain, &node.op).ok_or(Why::UnknownOperator)?;
    let inputs = operator.inputs();
    if !inputs.contains(&node.inputs.len()) {
        return Err(Why::Inputs(node.inputs.len()));
    }
    if let Some(absent) = node.inputs.iter().take(*inputs.start()).position(Option::is_none) {
        return Err(Why::InputAbsent(absent));
    }
    if !operator.outputs().contains(&node.outputs.len()) {
        return Err(Why::Outputs(node.outputs.len()));
    }
    for (name, attribute) in &node.attributes {
        let Some((_, kind, _)) = operator.attributes().find(|(known, _, _)| known == name) else {
            return Err(Why::UnknownAttribute(name.clone()));
        };
        if kind != schema::kind(attribute) {
            return Err(Why::Attribute { name: name.clone(), reason: "wrong type" });
        }
    }
    match operator.attributes().find(|(name, _, required)| *required && node.attribute(name).is_none()) {
        Some((name, _, _)) => Err(Why::AttributeMissing(name.to_owned())),
        None => Ok(()),
    }
}

fn tensor_type(proto: &pb::ValueInfoProto) -> Result<&pb::type_proto::Tensor, Why> {
    match &proto.r#type {
        Some(pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), .. }) => {
            if tensor.elem_type == 0 {
                Err(Why::NoType)
            } else {
                Ok(tensor)
            }
        }
        Some(_) => Err(Why::Feature("sequences, maps, optional values and sparse tensors")),
        None => Err(Why::NoType),
    }
}

/// The name of a node, for messages: that of its first output if it has none.
fn node_name(proto: &pb::NodeProto) -> String {
    if proto.name.is_empty() { proto.output.first().cloned().unwrap_or_default() } else { proto.name.clone() }
}

pub(super) fn node_place(proto: &pb::NodeProto) -> Place {
    let dot = if proto.domain.is_empty() { "" } else { "." };
    Place::Node { name: node_name(proto), op: format!("{}{dot}{}", proto.domain, proto.op_type) }
}
