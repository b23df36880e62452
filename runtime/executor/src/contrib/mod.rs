//! Operators of the domain `com.microsoft`, which ONNX Runtime's tools write, as what they mean in operators of the standard.
//!
//! Each is a function from one node to several, before types and shapes are known. What follows, from `supports()` to the
//! fusion of layers of integers, so needs to know nothing of them. A node in a form that is not written out stays as it is.

mod floats;
mod quantized;

use pannier_engine::DType;
use pannier_graph::{Attribute, Body, Graph, Literal, Node, ValueId, Weight};
use std::collections::HashMap;

/// The domain.
const DOMAIN: &str = "com.microsoft";

/// The graph in operators of the standard, as far as they say the same; `None` if it is that already.
pub(crate) fn expand(graph: &Graph) -> Option<Graph> {
    if !any(&graph.body) {
        return None;
    }
    let mut graph = graph.clone();
    body(&mut graph.values, &mut Known::default(), &mut graph.body);
    Some(graph)
}

/// What function writes a node out.
fn function(node: &Node) -> Option<fn(&mut Call<'_>) -> Option<ValueId>> {
    if node.domain.is_empty() {
        return match node.op.as_str() {
            "QLinearConv" => Some(quantized::conv),
            "QLinearMatMul" => Some(quantized::matmul),
            _ => None,
        };
    }
    if node.domain != DOMAIN {
        return None;
    }
    Some(match node.op.as_str() {
        "Attention" => floats::attention,
        "BiasGelu" => floats::bias_gelu,
        "DynamicQuantizeMatMul" => quantized::dynamic_matmul,
        "EmbedLayerNormalization" => floats::embed_layer_norm,
        "FastGelu" => floats::fast_gelu,
        "FusedConv" => floats::fused_conv,
        "FusedGemm" => floats::fused_gemm,
        "FusedMatMul" => floats::fused_matmul,
        "Gelu" => floats::gelu,
        "MatMulIntegerToFloat" => quantized::matmul_to_float,
        "MultiHeadAttention" => floats::multi_head_attention,
        "QGemm" => quantized::gemm,
        "QLinearAdd" | "QLinearMul" => quantized::binary,
        "QLinearAveragePool"
        | "QLinearGlobalAveragePool"
        | "QLinearLeakyRelu"
        | "QLinearSigmoid"
        | "QLinearSoftmax" => quantized::unary,
        "QLinearConcat" => quantized::concat,
        "QuickGelu" => floats::quick_gelu,
        "SkipLayerNormalization" => floats::skip_layer_norm,
        _ => return None,
    })
}

fn any(body: &Body) -> bool {
    let nested =
        |node: &Node| node.attributes.iter().any(|(_, value)| matches!(value, Attribute::Body(body) if any(body)));
    body.nodes.iter().any(|node| function(node).is_some() || nested(node))
}

/// What is known of values without looking at nodes.
#[derive(Default)]
struct Known {
    /// Shapes of weights.
    weights: HashMap<ValueId, Vec<u64>>,
    /// Ranks of inputs.
    ranks: HashMap<ValueId, usize>,
}

fn body(values: &mut Vec<String>, known: &mut Known, body: &mut Body) {
    known.weights.extend(body.weights.iter().map(|Weight { value, shape, .. }| (*value, shape.clone())));
    let rank = |input: &pannier_graph::Input| Some((input.value, input.shape.as_ref()?.len()));
    known.ranks.extend(body.inputs.iter().filter_map(rank));
    let mut nodes = Vec::with_capacity(body.nodes.len());
    for mut node in std::mem::take(&mut body.nodes) {
        for (_, attribute) in &mut node.attributes {
            if let Attribute::Body(nested) = attribute {
                self::body(values, known, nested);
            }
        }
        let (before, written) = (values.len(), nodes.len());
        let Some(function) = function(&node) else {
            nodes.push(node);
            continue;
        };
        let mut call = Call { values, known, nodes: &mut nodes, node: &node };
        let wanted = node.outputs.first().copied().flatten();
        let only = node.outputs.iter().skip(1).all(Option::is_none);
        let result = if only { function(&mut call) } else { None };
        // The result is that of the last node that was written.
        let last = nodes.get_mut(written..).and_then(<[Node]>::last_mut);
        match (result, last) {
            (Some(result), Some(last)) if last.outputs == [Some(result)] => last.outputs = vec![wanted],
            _ => {
                nodes.truncate(written);
                values.truncate(before);
                nodes.push(node);
            }
        }
    }
    body.nodes = nodes;
}

/// A node that is being written out.
struct Call<'a> {
    values: &'a mut Vec<String>,
    known: &'a Known,
    nodes: &'a mut Vec<Node>,
    node: &'a Node,
}

/// Attributes by name.
type Named = (&'static str, Attribute);

impl Call<'_> {
    fn input(&self, index: usize) -> Option<ValueId> {
        self.node.inputs.get(index).copied().flatten()
    }

    fn is_constant(&self, index: usize) -> bool {
        self.input(index).is_some_and(|value| self.known.weights.contains_key(&value))
    }

    /// Shape of an operand that is a weight.
    fn weight_shape(&self, index: usize) -> Option<&[u64]> {
        self.known.weights.get(&self.input(index)?).map(Vec::as_slice)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        match self.node.attribute(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        match self.node.attribute(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    /// The node's attributes but for these.
    fn attributes_without(&self, names: &[&str]) -> Vec<(String, Attribute)> {
        self.node.attributes.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect()
    }

    /// A value that nothing defines yet.
    fn value(&mut self) -> ValueId {
        let value = ValueId(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
        self.values.push(self.node.name.clone());
        value
    }

    /// Writes a node of the standard; returns its result.
    fn emit(&mut self, op: &str, inputs: &[Option<ValueId>], mut attributes: Vec<(String, Attribute)>) -> ValueId {
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        let output = self.value();
        let name = if self.node.name.is_empty() { &self.node.op } else { &self.node.name };
        self.nodes.push(Node {
            name: name.clone(),
            domain: String::new(),
            op: op.to_string(),
            inputs: inputs.to_vec(),
            outputs: vec![Some(output)],
            attributes,
        });
        output
    }

    /// The same for a node whose operands are all there.
    fn op(&mut self, op: &str, inputs: &[ValueId], attributes: &[Named]) -> ValueId {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.emit(op, &inputs, attributes.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect())
    }

    fn number(&mut self, value: f32) -> ValueId {
        let literal = Literal { dtype: DType::F32, shape: Vec::new(), bytes: value.to_le_bytes().to_vec() };
        self.op("Constant", &[], &[("value", Attribute::Tensor(literal))])
    }

    fn ints(&mut self, values: &[i64]) -> ValueId {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let literal = Literal { dtype: DType::I64, shape: vec![values.len() as u64], bytes };
        self.op("Constant", &[], &[("value", Attribute::Tensor(literal))])
    }
}
