use pannier_bundle::manifest::{Content, Envelope, Port, Reproducibility, Source};
use pannier_bundle::{DType, Dim, Manifest};

fn port(name: &str, dims: &[u64], content: Content) -> Port {
    let shape = dims.iter().map(|dim| Dim::Fixed(*dim)).collect();
    Port { name: name.into(), dtype: DType::F32, shape, description: String::new(), content }
}

pub fn manifest() -> Manifest {
    Manifest {
        name: "pictures".into(),
        version: "1.0.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: [0; 32],
        opset: 25,
        inputs: vec![port("x", &[1, 3, 224, 224], Content::Tensor)],
        outputs: vec![port("scores", &[1, 1000], Content::Classes { labels: 0 })],
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 25, options: Vec::new() },
    }
}
