//! Two programs written by hand: a small one that SPEC.md shows byte for byte, and one with everything that a graph can have.

use pannier_bundle::encode_versioned;
use pannier_bundle::manifest::{
    ByteWindow, Content, DType, Dim, Envelope, Manifest, Port, Quantization, Reproducibility, Source,
};
use pannier_bundle::write::{SealOptions, SectionContent, content_id, seal};
use pannier_engine::golden::{Case, Golden, Reference, Stored, Tolerance};
use pannier_graph::{Attribute, Body, Encoding, Graph, Input, Literal, Node, Span, ValueId, Weight};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// What a bundle is made of.
pub struct Parts {
    pub manifest: Manifest,
    pub graph: Graph,
    pub golden: Golden,
    pub labels: Vec<Vec<String>>,
    /// `weights/0`, `weights/1`, ...
    pub weights: Vec<Vec<u8>>,
}

impl Parts {
    /// The content of each section, by its name.
    pub fn sections(&self) -> BTreeMap<String, Vec<u8>> {
        let graph = self.graph.encode().expect("a graph can be encoded");
        let weights = self.weights.iter().enumerate();
        [
            ("manifest".to_owned(), encode_versioned(Manifest::VERSION, &self.manifest)),
            ("graph".to_owned(), graph),
            ("golden".to_owned(), self.golden.encode()),
            ("labels".to_owned(), encode_versioned(1, &self.labels)),
        ]
        .into_iter()
        .chain(weights.map(|(index, bytes)| (format!("weights/{index}"), bytes.clone())))
        .collect()
    }

    /// The bundle, without signatures.
    pub fn bundle(&mut self) -> Vec<u8> {
        let section = |(name, bytes): (String, Vec<u8>)| SectionContent {
            critical: !matches!(name.as_str(), "golden" | "labels"),
            name,
            bytes: bytes.into(),
            element_bytes: 1,
            cuts: Vec::new(),
        };
        let mut contents: Vec<_> = self.sections().into_iter().map(section).collect();
        contents.retain(|content| content.name != "manifest");
        self.manifest.bundle_id = content_id(&contents).expect("the sections make a bundle");
        let manifest = encode_versioned(Manifest::VERSION, &self.manifest);
        contents.push(section(("manifest".to_owned(), manifest)));
        let sealed = seal(contents, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(()));
        sealed.and_then(|sealed| sealed.assemble(&[])).expect("the sections make a bundle")
    }

    /// Writes the sections as `packager unpack` does.
    pub fn unpack(&self, folder: &Path) {
        std::fs::create_dir(folder.join("weights")).expect("a folder can be made");
        for (name, bytes) in self.sections() {
            std::fs::write(folder.join(name), bytes).expect("a file can be written");
        }
    }
}

/// `y = min(x @ w, limit)`, with `w` in half precision.
pub fn small() -> Parts {
    let shape = |sizes: [u64; 2]| vec![Dim::Fixed(sizes[0]), Dim::Fixed(sizes[1])];
    let mut clip = node("clip", "Clip", &[3, 2], &[4]);
    clip.inputs.insert(1, None);
    let graph = Graph {
        domains: Vec::new(),
        values: ["x", "w", "limit", "product", "y"].map(str::to_owned).to_vec(),
        body: Body {
            inputs: vec![Input { value: ValueId(0), dtype: Some(DType::F32), shape: Some(shape([1, 2])) }],
            outputs: vec![ValueId(4)],
            nodes: vec![node("matmul", "MatMul", &[0, 1], &[3]), clip],
            weights: vec![
                weight(1, &[2, 2], Encoding::F16, span(0, 0, 8)),
                weight(2, &[], Encoding::Raw, span(0, 64, 4)),
            ],
        },
    };
    let mut section: Vec<u8> =
        [1.0, 3.0, 2.0, -1.0].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    section.resize(64, 0);
    section.extend(4.0_f32.to_le_bytes());
    Parts {
        manifest: manifest(
            "small",
            vec![port("x", shape([1, 2]), Content::Tensor)],
            vec![port("y", shape([1, 2]), Content::Classes { labels: 0 })],
        ),
        graph,
        golden: Golden {
            tolerance: Tolerance { absolute: 0.0, relative: 0.0, norm: 0.0 },
            cases: vec![Case {
                name: "0".to_owned(),
                inputs: vec![Stored { dtype: DType::F32, shape: vec![1, 2], bytes: floats(&[1.0, 2.0]).into() }],
                // 1 * 1 + 2 * 2 is cut to 4; 1 * 3 + 2 * -1 stays.
                outputs: vec![Reference {
                    dtype: DType::F32,
                    shape: vec![1, 2],
                    stride: 1,
                    bytes: floats(&[4.0, 1.0]),
                }],
            }],
        },
        labels: vec![vec!["no".to_owned(), "yes".to_owned()]],
        weights: vec![section],
    }
}

/// Every kind of attribute, input, weight and reference. It decodes; nothing can run it.
pub fn everything() -> Parts {
    let branch = |op: &str, value: u32, weight: Option<Weight>| {
        let loose = Input { value: ValueId(value + 1), dtype: None, shape: None };
        let typed =
            Input { value: ValueId(value + 2), dtype: Some(DType::BF16), shape: Some(vec![Dim::Symbol("k".into())]) };
        Attribute::Body(Box::new(Body {
            inputs: vec![loose, typed],
            outputs: vec![ValueId(value)],
            nodes: vec![node("", op, &[0], &[value])],
            weights: weight.into_iter().collect(),
        }))
    };
    let literal = Literal { dtype: DType::Bool, shape: vec![2, 1], bytes: vec![0, 1] };
    let mut all = node("all", "Everything", &[0], &[14]);
    all.domain = "com.example".to_owned();
    all.inputs.push(None);
    all.outputs.push(None);
    all.attributes = vec![
        ("a".to_owned(), Attribute::Int(-1)),
        ("b".to_owned(), Attribute::Float(0.1)),
        ("c".to_owned(), Attribute::String(vec![0xff, 0])),
        ("d".to_owned(), Attribute::Tensor(literal)),
        ("e".to_owned(), branch("Relu", 5, None)),
        ("f".to_owned(), branch("Neg", 8, Some(weight(11, &[300], Encoding::Raw, span(1, 64, 1200))))),
        ("g".to_owned(), Attribute::Ints(vec![i64::MIN, -300, 0, 63, 64, i64::MAX])),
        ("h".to_owned(), Attribute::Floats(vec![f32::MIN_POSITIVE, -0.0, f32::MAX])),
        ("i".to_owned(), Attribute::Strings(vec![Vec::new(), "ä".into()])),
    ];
    let mut last = node("ünicode", "LabelEncoder", &[14, 1, 2, 3, 4, 12, 13], &[15]);
    last.domain = "ai.onnx.ml".to_owned();
    let names = "x w8 w8axis w4 w4zero kept loose0 typed0 negated loose1 typed1 inner none ids all y";
    let zero_point = Some(span(0, 960, 3));
    let ids = Weight { dtype: DType::U64, ..weight(13, &[3], Encoding::Raw, span(0, 0, 24)) };
    let graph = Graph {
        domains: vec![("ai.onnx.ml".to_owned(), 5), ("com.example".to_owned(), 300)],
        values: names.split(' ').map(str::to_owned).collect(),
        body: Body {
            inputs: vec![Input {
                value: ValueId(0),
                dtype: Some(DType::I64),
                shape: Some(vec![Dim::Symbol("batch".to_owned()), Dim::Fixed(1 << 40)]),
            }],
            outputs: vec![ValueId(15), ValueId(14)],
            nodes: vec![all, last],
            weights: vec![
                weight(
                    1,
                    &[2, 3],
                    Encoding::Int8 { axis: None, scale: span(0, 896, 4), zero_point: None },
                    span(0, 0, 6),
                ),
                weight(
                    2,
                    &[2, 3],
                    Encoding::Int8 { axis: Some(1), scale: span(0, 896, 12), zero_point },
                    span(0, 0, 6),
                ),
                weight(
                    3,
                    &[2, 5],
                    Encoding::Int4 { block: 2, scale: span(0, 896, 24), zero_point: None },
                    span(0, 0, 6),
                ),
                weight(4, &[1, 5], Encoding::Int4 { block: 2, scale: span(0, 896, 12), zero_point }, span(0, 64, 3)),
                weight(12, &[0, 7], Encoding::F16, span(0, 64, 0)),
                ids,
            ],
        },
    };
    // Every nibble and sign; scales that are powers of two, so that all products are exact.
    let mut first: Vec<u8> = (0..896).map(|index: u32| (index * 37 % 256) as u8).collect();
    first.extend(floats(&[0.5, -2.0, 0.25, 4.0, 1.0, 0.125]));
    first.resize(960, 0);
    first.extend([1, 0x80, 0x7f]);
    let ports = [
        port(
            "x",
            vec![Dim::Symbol("batch".to_owned()), Dim::Fixed(1 << 40)],
            Content::Bytes(ByteWindow { head: 1, tail: 2, block: 3, padding: -4 }),
        ),
        port("y", vec![], Content::Probability { of: "speech".to_owned() }),
        port("all", vec![], Content::Ctc { labels: 1, blank: 0 }),
    ];
    let [mut x, y, all] = ports;
    x.dtype = DType::I64;
    let bytes = |dtype: DType, len: usize| vec![1; dtype.size_bytes() * len];
    let input = |dtype: &DType| Stored { dtype: *dtype, shape: vec![1, 2], bytes: bytes(*dtype, 2).into() };
    let output = |dtype: &DType| Reference { dtype: *dtype, shape: vec![7], stride: 3, bytes: bytes(*dtype, 3) };
    Parts {
        manifest: manifest("everything", vec![x], vec![y, all]),
        graph,
        golden: Golden {
            tolerance: Tolerance { absolute: 1e-4, relative: 1e-3, norm: 0.0 },
            cases: vec![Case {
                name: "every type".to_owned(),
                inputs: DType::ALL.iter().map(input).collect(),
                outputs: DType::ALL.iter().map(output).collect(),
            }],
        },
        labels: vec![Vec::new(), vec![String::new(), "ж".to_owned(), "ж".to_owned()]],
        weights: vec![first, vec![7; 64 + 1200]],
    }
}

fn manifest(name: &str, inputs: Vec<Port>, outputs: Vec<Port>) -> Manifest {
    Manifest {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        description: String::new(),
        licence: String::new(),
        created_by: "hand".to_owned(),
        bundle_id: [0; 32],
        opset: pannier_graph::OPSET,
        inputs,
        outputs,
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 20, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: vec!["wasm32".to_owned()],
        quantization: vec![Quantization { weight: "w".to_owned(), scheme: "f16".to_owned(), sqnr_db: 99.5 }],
        source: Source { format: "hand".to_owned(), sha256: [1; 32], opset: 25, options: Vec::new() },
    }
}

fn port(name: &str, shape: Vec<Dim>, content: Content) -> Port {
    Port { name: name.to_owned(), dtype: DType::F32, shape, description: String::new(), content }
}

fn node(name: &str, op: &str, inputs: &[u32], outputs: &[u32]) -> Node {
    let values = |ids: &[u32]| ids.iter().map(|id| Some(ValueId(*id))).collect();
    let (inputs, outputs) = (values(inputs), values(outputs));
    Node { name: name.to_owned(), domain: String::new(), op: op.to_owned(), inputs, outputs, attributes: Vec::new() }
}

fn weight(value: u32, shape: &[u64], encoding: Encoding, data: Span) -> Weight {
    Weight { value: ValueId(value), dtype: DType::F32, shape: shape.to_vec(), encoding, data }
}

fn span(section: u32, offset: u64, size_bytes: u64) -> Span {
    Span { section, offset, size_bytes }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
