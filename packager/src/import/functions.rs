//! Functions that a model defines for itself: every call is replaced by the function's body.

use super::decode::{FunctionExtras, Opsets, opsets};
use super::emit::node;
use super::error::{ImportError, Why};
use super::translate::{Frame, Translator, node_place};
use super::{infer, sort};
use pannier_graph::{Node, ValueId};
use prost::Message;
use std::collections::BTreeMap;
use tract_onnx::pb;

/// Functions called by each other.
const MOST_CALLS: u32 = 32;

/// Bytes of functions' bodies, counted at every call.
const MOST_COPIED_BYTES: u64 = 2 << 30;

/// Attributes of a call, with the function's defaults for those that it does not state.
pub(super) type Arguments = BTreeMap<String, pb::AttributeProto>;

/// The functions of a model.
#[derive(Default)]
pub(super) struct Functions {
    by_name: BTreeMap<(String, String), Function>,
}

pub(super) struct Function {
    proto: pb::FunctionProto,
    defaults: Vec<pb::AttributeProto>,
    opsets: Opsets,
}

impl Functions {
    /// # Errors
    /// [`ImportError::Opset`] for a function in an operator set that is not read.
    pub(super) fn new(protos: Vec<pb::FunctionProto>, extras: Vec<FunctionExtras>) -> Result<Functions, ImportError> {
        let mut by_name = BTreeMap::new();
        for (proto, extras) in protos.into_iter().zip(extras) {
            let name = (proto.domain.clone().unwrap_or_default(), proto.name.clone().unwrap_or_default());
            let opsets = opsets(&proto.opset_import)?;
            by_name.insert(name, Function { proto, defaults: extras.defaults, opsets });
        }
        Ok(Functions { by_name })
    }

    pub(super) fn find(&self, domain: &str, name: &str) -> Option<&Function> {
        self.by_name.get(&(domain.to_owned(), name.to_owned()))
    }
}

impl Translator<'_> {
    /// Puts the body of a function in place of a call.
    ///
    /// # Errors
    /// [`ImportError::Limit`] for functions that call each other without end. Problems go to the list.
    pub(super) fn call(
        &mut self,
        function: &Function,
        call: &pb::NodeProto,
        inputs: &[Option<ValueId>],
        outputs: &[Option<ValueId>],
        frame: &Frame<'_>,
        out: &mut Vec<Node>,
    ) -> Result<(), ImportError> {
        if frame.calls >= MOST_CALLS {
            let (found, limit) = (u64::from(frame.calls) + 1, MOST_CALLS.into());
            return Err(ImportError::Limit { what: "functions calling each other", found, limit });
        }
        let place = node_place(call);
        let Function { proto, defaults, opsets } = function;
        if inputs.len() > proto.input.len() {
            self.problems.push(place.clone(), Why::Inputs(inputs.len()));
        }
        if outputs.len() > proto.output.len() {
            self.problems.push(place.clone(), Why::Outputs(outputs.len()));
        }
        let order = sort::sort(&proto.node);
        if !order.cycle.is_empty() {
            let names = order.cycle.iter().filter_map(|index| proto.node.get(*index));
            self.problems.push(place.clone(), Why::Cycle(names.map(|node| node.op_type.clone()).take(20).collect()));
        }
        let arguments = self.arguments(defaults, call, frame);
        let frame = Frame { opsets, arguments: &arguments, depth: frame.depth, calls: frame.calls + 1 };

        // A function sees its inputs and nothing else.
        let around = std::mem::take(&mut self.scopes);
        let given = inputs.iter().copied().chain(std::iter::repeat(None));
        self.scopes.push(proto.input.iter().cloned().zip(given).collect());
        for name in proto.node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty()) {
            self.define(name, None);
        }
        let mut result = Ok(());
        for inner in order.sorted.iter().filter_map(|index| proto.node.get(*index)) {
            // Every call copies the body: a large tensor in one must not be copied without end.
            self.copied_bytes = self.copied_bytes.saturating_add(inner.encoded_len() as u64);
            if self.copied_bytes > MOST_COPIED_BYTES {
                let found = self.copied_bytes;
                result =
                    Err(ImportError::Limit { what: "bytes in calls of functions", found, limit: MOST_COPIED_BYTES });
                break;
            }
            let mut inner = inner.clone();
            if inner.name.is_empty() {
                inner.name.clone_from(&call.name);
            }
            result = self.node(inner, &frame, out);
            if result.is_err() {
                break;
            }
        }
        for (name, output) in proto.output.iter().zip(outputs) {
            let Some(output) = output else { continue };
            match self.lookup(name).flatten() {
                None => self.problems.push(place.clone(), Why::Missing(name.clone())),
                Some(inner) => {
                    let mut identity = node("Identity", vec![Some(inner)], vec![Some(*output)], []);
                    identity.name.clone_from(&call.name);
                    if let Err(why) = infer::node(&mut self.model, &identity) {
                        self.problems.push(place.clone(), why);
                    }
                    out.push(identity);
                }
            }
        }
        self.scopes = around;
        result
    }

    /// The attributes that a function's body may refer to. A call inside another function may itself refer.
    fn arguments(&mut self, defaults: &[pb::AttributeProto], call: &pb::NodeProto, frame: &Frame<'_>) -> Arguments {
        let mut arguments: Arguments =
            defaults.iter().map(|attribute| (attribute.name.clone(), attribute.clone())).collect();
        for attribute in &call.attribute {
            let value = if attribute.ref_attr_name.is_empty() {
                Some(attribute)
            } else {
                frame.arguments.get(&attribute.ref_attr_name)
            };
            if let Some(value) = value {
                arguments.insert(attribute.name.clone(), value.clone());
            }
        }
        arguments
    }
}
