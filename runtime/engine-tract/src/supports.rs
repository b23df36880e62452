//! What tract can run: its own registry of operators, less what it is known to compute wrongly.

use crate::dtype;
use pannier_engine::Unsupported;
use pannier_graph::{Attribute, Body, DType, Graph, Node};
use std::collections::HashSet;
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

/// Every node that tract cannot run, nested ones too, and every input and weight whose type it does not have.
pub(crate) fn check(graph: &Graph) -> Result<(), Vec<Unsupported>> {
    let mut missing = Vec::new();
    check_body(graph, &graph.body, &mut missing);
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

fn check_body(graph: &Graph, body: &Body, missing: &mut Vec<Unsupported>) {
    let inputs = body.inputs.iter().filter_map(|input| Some(("input", input.value, input.dtype?)));
    let weights = body.weights.iter().map(|weight| ("weight", weight.value, weight.dtype));
    for (what, value, dtype) in inputs.chain(weights) {
        if dtype::to_tract(dtype).is_none() {
            let node = graph.value_name(value).to_string();
            missing.push(Unsupported { op: what.to_string(), node, reason: unknown_type(dtype) });
        }
    }
    for node in &body.nodes {
        if let Some(reason) = refusal(node) {
            missing.push(Unsupported { op: qualified(node), node: node.name.clone(), reason });
        }
        for (_, attribute) in &node.attributes {
            if let Attribute::Body(body) = attribute {
                check_body(graph, body, missing);
            }
        }
    }
}

fn refusal(node: &Node) -> Option<String> {
    if !is_registered(&node.domain, &node.op) {
        return Some("operator".to_string());
    }
    let literal = node.attributes.iter().find_map(|(_, attribute)| match attribute {
        Attribute::Tensor(literal) => dtype::to_tract(literal.dtype).is_none().then_some(literal.dtype),
        _ => None,
    });
    literal.map(unknown_type)
}

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
