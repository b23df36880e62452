//! What quantized weights take in memory.

use pannier_engine::Program;
use pannier_graph::{Attribute, Body, Encoding, Node, ValueId, Weight};

/// Bytes of all weights once a program is loaded.
///
/// Layers that can read weights as they are stored do; any others take as many bytes as if they had never been quantized. It is the
/// same on every machine and for every shape: it holds neither what layers of few rows widen, nor what kernels add to fill their panels,
/// nor what they make of 3 x 3 convolutions by Winograd's algorithm.
pub fn loaded_bytes(program: &Program) -> u64 {
    let sections = program.sections.iter().map(|section| section.len() as u64);
    let mut bytes: u64 = sections.fold(0, u64::saturating_add);
    let mut add = |body: &Body| {
        let encoded = body.weights.iter().filter(|weight| weight.encoding != Encoding::Raw);
        for weight in encoded.filter(|weight| !stays(body, weight)) {
            let stored = weight.spans().map(|span| span.size_bytes).fold(0, u64::saturating_add);
            bytes = bytes.saturating_sub(stored).saturating_add(weight.decoded_bytes().unwrap_or(u64::MAX));
        }
        Ok::<(), std::convert::Infallible>(())
    };
    // Nothing can fail.
    let Ok(()) = program.graph.body.try_visit(&mut add);
    bytes
}

/// Whether all that reads a weight reads it as it is stored.
fn stays(body: &Body, weight: &Weight) -> bool {
    let all = |value: ValueId, each: &dyn Fn(&Node) -> bool| {
        let mut readers = body.nodes.iter().filter(|node| node.inputs.contains(&Some(value))).peekable();
        !body.outputs.contains(&value) && readers.peek().is_some() && readers.all(each)
    };
    all(weight.value, &|node| match (node.op.as_str(), node.outputs.as_slice()) {
        // Blocks of 4 bits are turned into the order of the layer, by the engine, which then has the layer read them so.
        ("Transpose" | "Reshape", &[Some(turned)]) => all(turned, &|node| reads(node, turned, weight)),
        _ => reads(node, weight.value, weight),
    })
}

/// Whether a layer reads this operand, which is made of a weight, as that is stored.
fn reads(node: &Node, value: ValueId, weight: &Weight) -> bool {
    let ints = |name: &str| match node.attribute(name) {
        Some(Attribute::Ints(values)) => values.as_slice(),
        _ => &[],
    };
    if node.inputs.first() == Some(&Some(value)) {
        return false;
    }
    match node.op.as_str() {
        "MatMul" | "Gemm" => true,
        "LSTM" => node.attribute("direction") != Some(&Attribute::String(b"bidirectional".to_vec())),
        "Conv" => {
            let taps: u64 = match ints("kernel_shape") {
                [] => weight.shape.get(2..).unwrap_or_default().iter().product(),
                shape => shape.iter().map(|size| size.unsigned_abs()).product(),
            };
            let inputs = weight.shape.get(1).copied().unwrap_or(0);
            let strided = ints("strides").iter().any(|stride| *stride > 1);
            match weight.encoding {
                // Rows of blocks do not say how many taps there are.
                Encoding::Int4 { .. } => !ints("kernel_shape").is_empty() && taps == 1,
                // Depthwise ones, those of pictures, and those that Winograd's algorithm may take are widened.
                _ => taps == 1 || inputs > 4 && (taps != 9 || strided),
            }
        }
        _ => false,
    }
}
