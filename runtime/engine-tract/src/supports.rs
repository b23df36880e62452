//! What tract can run: its own registry of operators, less what it is known to compute wrongly.

use crate::dtype;
use pannier_engine::Unsupported;
use pannier_graph::{Attribute, Body, DType, Graph, Node, ValueId};
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

/// Operators that tract registers beside those of `ai.onnx`, with the domain that defines them. It looks at names
/// only, so that without this table an operator of another domain would be taken for one of `ai.onnx`.
const OTHER_DOMAINS: &[(&str, &[&str])] = &[
    (
        "ai.onnx.ml",
        &[
            "ArrayFeatureExtractor",
            "CategoryMapper",
            "LinearClassifier",
            "LinearRegressor",
            "Normalizer",
            "TreeEnsembleClassifier",
        ],
    ),
    (
        "com.microsoft",
        &[
            "BiasGelu",
            "FastGelu",
            "GatherBlockQuantized",
            "GroupQueryAttention",
            "MatMulNBits",
            "MultiHeadAttention",
            "QuickGelu",
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
        ],
    ),
    // Registered, but long gone from the standard or never in it.
    ("", &["ConstantLike", "ParametricSoftplus", "Rsqrt", "ScaledTanh", "Scatter", "SimplifiedLayerNormalization"]),
];

/// tract analyses a nested body in one go that cannot be stopped, in a time that grows with the square of its nodes: this
/// many take about a second.
const MOST_BODY_NODES: usize = 10_000;

/// Every node that tract cannot run, nested ones too, and every input and weight whose type it does not have.
pub(crate) fn check(graph: &Graph) -> Result<(), Vec<Unsupported>> {
    let mut checker = Checker { graph, types: HashMap::new(), missing: Vec::new() };
    checker.body(&graph.body);
    if checker.missing.is_empty() { Ok(()) } else { Err(checker.missing) }
}

struct Checker<'a> {
    graph: &'a Graph,
    /// Types of inputs and weights: of other values the graph does not say them.
    types: HashMap<ValueId, DType>,
    missing: Vec<Unsupported>,
}

impl Checker<'_> {
    fn body(&mut self, body: &Body) {
        let inputs = body.inputs.iter().filter_map(|input| Some(("input", input.value, input.dtype?)));
        let weights = body.weights.iter().map(|weight| ("weight", weight.value, weight.dtype));
        for (what, value, dtype) in inputs.chain(weights) {
            self.types.insert(value, dtype);
            if dtype::to_tract(dtype).is_none() {
                let node = self.graph.value_name(value).to_string();
                self.missing.push(Unsupported { op: what.to_string(), node, reason: unknown_type(dtype) });
            }
        }
        for node in &body.nodes {
            if let Some(reason) = self.refusal(node) {
                self.missing.push(Unsupported { op: qualified(node), node: node.name.clone(), reason });
            }
            for (_, attribute) in &node.attributes {
                if let Attribute::Body(body) = attribute {
                    if body.nodes.len() > MOST_BODY_NODES {
                        let reason = format!("a nested body of more than {MOST_BODY_NODES} nodes");
                        self.missing.push(Unsupported { op: qualified(node), node: node.name.clone(), reason });
                    }
                    self.body(body);
                }
            }
        }
    }

    fn refusal(&self, node: &Node) -> Option<String> {
        if !is_registered(&node.domain, &node.op) {
            return Some("operator".to_string());
        }
        let literals = node.attributes.iter().filter_map(|(_, attribute)| match attribute {
            Attribute::Tensor(literal) => Some(literal.dtype),
            _ => None,
        });
        let unknown = literals.into_iter().find(|dtype| dtype::to_tract(*dtype).is_none());
        unknown.map(unknown_type).or_else(|| self.variant(node).map(str::to_string))
    }

    /// Variants of operators that tract has not, or has wrongly, as far as the graph tells them apart.
    fn variant(&self, node: &Node) -> Option<&'static str> {
        let int = |name: &str| match node.attribute(name) {
            Some(Attribute::Int(value)) => *value,
            _ => 0,
        };
        let float = |name: &str| matches!(node.attribute(name), Some(Attribute::Float(value)) if *value != 0.0);
        let string = |name: &str, text: &str| matches!(node.attribute(name), Some(Attribute::String(value)) if value == text.as_bytes());
        let input = |index: usize| node.inputs.get(index).copied().flatten();
        let output = |index: usize| node.outputs.get(index).copied().flatten();
        let is = |index: usize, dtypes: &[DType]| {
            input(index).and_then(|value| self.types.get(&value)).is_some_and(|dtype| dtypes.contains(dtype))
        };
        let bodies_typed = || {
            let mut bodies = node.attributes.iter().filter_map(|(_, attribute)| match attribute {
                Attribute::Body(body) => Some(body),
                _ => None,
            });
            bodies.all(|body| body.inputs.iter().all(|input| input.dtype.is_some()))
        };
        let refused: &[(bool, &'static str)] = match node.op.as_str() {
            "Attention" => &[
                (float("softcap"), "attribute softcap"),
                (int("qk_matmul_output_mode") != 0, "attribute qk_matmul_output_mode"),
                (output(3).is_some(), "output qk_matmul_output"),
                (input(6).is_some(), "input nonpad_kv_seqlen"),
                (is(3, &[DType::Bool]), "a boolean attn_mask"),
            ],
            "BatchNormalization" => &[(int("training_mode") != 0 || output(1).is_some(), "training mode")],
            "Cast" => &[(!CAST_TARGETS.contains(&int("to")), "element type to cast to")],
            "Dropout" => &[(input(2).is_some(), "training mode")],
            "Pad" => &[(string("mode", "wrap"), "attribute mode=wrap")],
            "QuantizeLinear" | "DequantizeLinear" => &[
                (int("block_size") != 0, "attribute block_size"),
                (is(0, SIXTEEN_BITS) || is(2, SIXTEEN_BITS), "16-bit integers"),
                ([4, 5].contains(&int("output_dtype")), "16-bit integers"),
            ],
            // It wants an attribute that the standard does not have.
            "RandomNormalLike" | "RandomUniformLike" => &[(true, "operator")],
            "Scan" => &[(!bodies_typed(), "a body whose inputs have no types")],
            _ => &[],
        };
        refused.iter().find(|(applies, _)| *applies).map(|(_, reason)| *reason)
    }
}

/// Numbers of the element types that tract casts to, as `TensorProto.DataType` has them.
const CAST_TARGETS: &[i64] = &[1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13];

const SIXTEEN_BITS: &[DType] = &[DType::I16, DType::U16];

fn unknown_type(dtype: DType) -> String {
    format!("element type {}", dtype.name())
}

fn qualified(node: &Node) -> String {
    if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) }
}

/// Whether tract registers an operator under this name, and means the one of this domain.
fn is_registered(domain: &str, op: &str) -> bool {
    static REGISTERED: OnceLock<HashSet<String>> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| tract_onnx::onnx().op_register.0.into_keys().collect());
    if !registered.contains(op) {
        return false;
    }
    match OTHER_DOMAINS.iter().find(|(_, ops)| ops.contains(&op)) {
        Some((of, _)) => !of.is_empty() && *of == domain,
        None => domain.is_empty(),
    }
}
