#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use crate::*;
use pannier_bundle::Code;
use proptest::prelude::*;

fn node(op: &str, inputs: &[u32], outputs: &[u32]) -> Node {
    let values = |ids: &[u32]| ids.iter().map(|id| Some(ValueId(*id))).collect();
    Node {
        name: format!("{op} node"),
        domain: String::new(),
        op: op.to_owned(),
        inputs: values(inputs),
        outputs: values(outputs),
        attributes: Vec::new(),
    }
}

fn weight(value: u32, shape: &[u64], encoding: Encoding, size_bytes: u64) -> Weight {
    let data = Span { section: 0, offset: 0, size_bytes };
    Weight { value: ValueId(value), dtype: DType::F32, shape: shape.to_vec(), encoding, data }
}

/// `y = If(Greater(x, w)) { Relu(x) } else { Neg(x) } + w`: every kind of thing that a graph has.
fn graph() -> Graph {
    let branch = |op: &str, value: u32| {
        Attribute::Body(Box::new(Body {
            outputs: vec![ValueId(value)],
            nodes: vec![node(op, &[0], &[value])],
            ..Body::default()
        }))
    };
    let mut choose = node("If", &[2], &[5]);
    choose.attributes =
        vec![("else_branch".to_owned(), branch("Neg", 3)), ("then_branch".to_owned(), branch("Relu", 4))];
    let mut cast = node("CastLike", &[5, 1], &[6]);
    let literal = Literal { dtype: DType::Bool, shape: vec![2], bytes: vec![0, 1] };
    cast.attributes = vec![
        ("a".to_owned(), Attribute::Float(f32::NAN)),
        ("b".to_owned(), Attribute::Ints(vec![i64::MIN, -1, 0, 1, i64::MAX])),
        ("c".to_owned(), Attribute::Tensor(literal)),
    ];
    let shape = Some(vec![Dim::Symbol("batch".to_owned()), Dim::Fixed(3)]);
    Graph {
        domains: vec![("ai.onnx.ml".to_owned(), 5)],
        values: ["x", "w", "positive", "negated", "kept", "chosen", "y"].map(str::to_owned).to_vec(),
        body: Body {
            inputs: vec![Input { value: ValueId(0), dtype: Some(DType::F32), shape }],
            outputs: vec![ValueId(6)],
            nodes: vec![node("Greater", &[0, 1], &[2]), choose, cast],
            weights: vec![weight(1, &[3], Encoding::Raw, 12)],
        },
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let bytes = graph().encode().unwrap();
    let decoded = Graph::decode(&bytes, &GraphLimits::default()).unwrap();
    assert_eq!(decoded.encode().unwrap(), bytes);
    assert_eq!(decoded.values, graph().values);
    oracle::decode_graph(&bytes);
}

#[test]
fn the_listing_names_every_value_once_where_it_is_defined() {
    let expected = "\
opset ai.onnx 25
opset ai.onnx.ml 5
input  x: float32[batch, 3]
weight w: float32[3]
positive = Greater(x, w)
chosen = If(positive)
  else_branch:
    negated = Neg(x)
    output negated
  then_branch:
    kept = Relu(x)
    output kept
y = CastLike(chosen, w) a=NaN b=[-9223372036854775808, -1, 0, 1, 9223372036854775807] c=bool[2][0, 1]
output y
";
    assert_eq!(graph().to_string(), expected);
}

/// Name of the case, what is done to a valid graph, and the rule that it breaks.
type Case = (&'static str, fn(&mut Graph), Rule);

#[test]
fn every_rule_is_kept() {
    let cases: &[Case] = &[
        ("an id beyond the names", |g| g.body.outputs[0] = ValueId(7), Rule::UnknownValue),
        ("the largest id", |g| g.body.nodes[0].inputs[0] = Some(ValueId(u32::MAX)), Rule::UnknownValue),
        ("an output defined again", |g| g.body.nodes[0].outputs[0] = Some(ValueId(0)), Rule::DefinedTwice),
        ("a weight that is an input", |g| g.body.weights[0].value = ValueId(0), Rule::DefinedTwice),
        ("a name without a value", |g| g.values.push("z".to_owned()), Rule::NeverDefined),
        ("nodes out of order", |g| g.body.nodes.swap(0, 1), Rule::UsedBeforeDefinition),
        ("a node that uses itself", |g| g.body.nodes[0].inputs[0] = Some(ValueId(2)), Rule::UsedBeforeDefinition),
        (
            "a branch's value outside of it",
            |g| g.body.nodes[2].inputs[0] = Some(ValueId(3)),
            Rule::UsedBeforeDefinition,
        ),
        ("a branch that hands out what is not its own", |g| branch(g).outputs[0] = ValueId(0), Rule::OutputFromOutside),
        ("an output twice", |g| g.body.outputs.push(ValueId(6)), Rule::OutputTwice),
        ("two values of one name", |g| g.values[1] = "x".to_owned(), Rule::Name),
        ("a value without a name", |g| g.values[1].clear(), Rule::Name),
        ("a node without an operator", |g| branch(g).nodes[0].op.clear(), Rule::Operator),
        ("a domain that is not listed", |g| g.body.nodes[0].domain = "com.example".to_owned(), Rule::Domain),
        ("a domain listed twice", |g| g.domains.push(("ai.onnx.ml".to_owned(), 5)), Rule::Domain),
        ("the standard domain by its long name", |g| g.domains[0].0 = "ai.onnx".to_owned(), Rule::Domain),
        ("a domain of version 0", |g| g.domains[0].1 = 0, Rule::Domain),
        ("attributes out of order", |g| g.body.nodes[2].attributes.swap(0, 1), Rule::AttributeOrder),
        ("an attribute twice", |g| g.body.nodes[2].attributes[1].0 = "a".to_owned(), Rule::AttributeOrder),
        ("an attribute without a name", |g| g.body.nodes[2].attributes[0].0.clear(), Rule::AttributeOrder),
        ("an input without a type", |g| g.body.inputs[0].dtype = None, Rule::Untyped),
        ("an input without a shape", |g| g.body.inputs[0].shape = None, Rule::Untyped),
        ("a symbol without a name", |g| input_shape(g)[0] = Dim::Symbol(String::new()), Rule::Symbol),
        ("an input that cannot be counted", |g| *input_shape(g) = vec![Dim::Fixed(1 << 32); 2], Rule::ShapeOverflow),
        ("a weight that cannot be counted", |g| g.body.weights[0].shape = vec![0, u64::MAX], Rule::ShapeOverflow),
        ("a literal that is too short", |g| literal(g).bytes.truncate(1), Rule::Size),
        ("a literal that is neither true nor false", |g| literal(g).bytes[0] = 2, Rule::Boolean),
        ("a weight of another size", |g| g.body.weights[0].data.size_bytes = 16, Rule::Size),
        ("a weight between two lines", |g| g.body.weights[0].data.offset = 32, Rule::Alignment),
        ("weights out of order", |g| g.body.weights.insert(0, weight(6, &[3], Encoding::Raw, 12)), Rule::WeightOrder),
        ("integers as halves", |g| half(g).dtype = DType::I32, Rule::Encoding),
        ("halves of the wrong size", |g| half(g).data.size_bytes = 12, Rule::Size),
        ("scales along an axis that is not there", |g| int8(g, Some(1), 12), Rule::Encoding),
        ("too few scales", |g| int8(g, Some(0), 8), Rule::Size),
        ("blocks of no elements", |g| int4(g, 0), Rule::Encoding),
        ("too few blocks", |g| int4(g, 2), Rule::Size),
    ];
    let mut wrong = Vec::new();
    for (name, spoil, expected) in cases {
        let mut spoilt = graph();
        spoil(&mut spoilt);
        let found = Graph::decode(&spoilt.encode().unwrap(), &GraphLimits::default());
        match found {
            Err(GraphError::Invalid { rule, .. }) if rule == *expected => {}
            other => wrong.push(format!("{name}: {:?}", other.map(|_| ()))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn branch(graph: &mut Graph) -> &mut Body {
    let Attribute::Body(body) = &mut graph.body.nodes[1].attributes[0].1 else { panic!("no branch") };
    body
}

fn literal(graph: &mut Graph) -> &mut Literal {
    let Attribute::Tensor(literal) = &mut graph.body.nodes[2].attributes[2].1 else { panic!("no literal") };
    literal
}

fn input_shape(graph: &mut Graph) -> &mut Vec<Dim> {
    graph.body.inputs[0].shape.as_mut().unwrap()
}

fn half(graph: &mut Graph) -> &mut Weight {
    graph.body.weights[0].encoding = Encoding::F16;
    graph.body.weights[0].data.size_bytes = 6;
    &mut graph.body.weights[0]
}

fn int8(graph: &mut Graph, axis: Option<u32>, scale_bytes: u64) {
    let scale = Span { section: 0, offset: 64, size_bytes: scale_bytes };
    graph.body.weights[0].encoding = Encoding::Int8 { axis, scale, zero_point: None };
    graph.body.weights[0].data.size_bytes = 3;
}

fn int4(graph: &mut Graph, block: u32) {
    let scale = Span { section: 0, offset: 64, size_bytes: 4 };
    graph.body.weights[0].encoding = Encoding::Int4 { block, scale, zero_point: None };
    graph.body.weights[0].data.size_bytes = 2;
}

#[test]
fn every_limit_is_kept() {
    let full = GraphLimits::default;
    let cases = [
        ("bytes", GraphLimits { size_bytes: 40, ..full() }),
        ("values", GraphLimits { values: 6, ..full() }),
        ("nodes", GraphLimits { nodes: 4, ..full() }),
        ("levels of nested bodies", GraphLimits { depth: 0, ..full() }),
        ("dimensions", GraphLimits { rank: 1, ..full() }),
        ("bytes of weights", GraphLimits { weight_bytes: 11, ..full() }),
    ];
    let bytes = graph().encode().unwrap();
    for (expected, limits) in cases {
        let error = Graph::decode(&bytes, &limits).unwrap_err();
        assert_eq!(error.code(), Code::Limit);
        assert!(matches!(error, GraphError::Limit { what, .. } if what == expected), "{expected}: {error}");
    }
}

#[test]
fn nesting_without_end_does_not_reach_the_end_of_the_stack() {
    // Bodies within bodies, written by hand: one level is `0 inputs, 0 outputs, 1 node` and the node up to the body.
    let level: &[u8] = &[0, 0, 1, 0, 0, 1, b'N', 0, 0, 1, 1, b'b', 4];
    let mut bytes = Graph::VERSION.to_le_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(level.repeat(1 << 20));
    let error = Graph::decode(&bytes, &GraphLimits::default()).unwrap_err();
    assert!(matches!(error, GraphError::Malformed { .. }), "{error}");
    // The guard lets go: decoding still works afterwards.
    what_is_encoded_is_decoded();
}

#[test]
fn a_length_that_is_not_there_is_not_allocated() {
    let mut bytes = Graph::VERSION.to_le_bytes().to_vec();
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(Graph::decode(&bytes, &GraphLimits::default()).is_err());
}

#[test]
fn other_versions_and_other_encodings_are_refused() {
    let bytes = graph().encode().unwrap();
    let mut newer = bytes.clone();
    newer[0] = 2;
    let mut longer = bytes.clone();
    longer.push(0);
    // `1` written with two bytes: the number of domains.
    let mut overlong = bytes.clone();
    overlong.splice(2..3, [0x81, 0]);
    let cases = [
        (newer, Code::UnsupportedVersion),
        (longer, Code::Corrupt),
        (overlong, Code::Corrupt),
        (Vec::new(), Code::Corrupt),
        (vec![1], Code::Corrupt),
    ];
    for (bytes, code) in cases {
        assert_eq!(Graph::decode(&bytes, &GraphLimits::default()).unwrap_err().code(), code, "{bytes:?}");
    }
}

#[test]
fn weights_must_lie_in_their_sections() {
    let graph = graph();
    assert_eq!(graph.check_sections(&[12]), Ok(()));
    for sections in [&[][..], &[11]] {
        assert!(matches!(graph.check_sections(sections), Err(GraphError::Invalid { rule: Rule::OutsideSection, .. })));
    }
}

#[test]
fn encodings_decode_to_the_numbers_that_they_stand_for() {
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let span = |offset, size_bytes| Span { section: 0, offset, size_bytes };
    let halves: Vec<u8> = [1.0, -0.5, 65504.0].iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let per_row = Encoding::Int8 { axis: Some(0), scale: span(64, 8), zero_point: Some(span(128, 2)) };
    let per_tensor = Encoding::Int8 { axis: None, scale: span(64, 4), zero_point: None };
    let blocks = Encoding::Int4 { block: 2, scale: span(64, 16), zero_point: Some(span(128, 4)) };
    // Encoding, shape, data, scales, zero points, expected.
    type Row<'a> = (Encoding, &'a [u64], Vec<u8>, &'a [f32], &'a [u8], &'a [f32]);
    let cases: [Row<'_>; 5] = [
        (Encoding::Raw, &[2], floats(&[1.5, -2.0]), &[], &[], &[1.5, -2.0]),
        (Encoding::F16, &[3], halves, &[], &[], &[1.0, -0.5, 65504.0]),
        (per_row, &[2, 2], vec![1, 255, 127, 128], &[0.5, 2.0], &[1, 0], &[0.0, -1.0, 254.0, -256.0]),
        (per_tensor, &[2, 1], vec![3, 253], &[0.25], &[], &[0.75, -0.75]),
        // Rows of three: two bytes each, low half first; the last high half is padding.
        (
            blocks,
            &[2, 3],
            vec![0x7f, 0x08, 0x10, 0xf2],
            &[1.0, 10.0, 0.5, 2.0],
            &[0, 1, 0, 255],
            &[-1.0, 7.0, -90.0, 0.0, 0.5, 6.0],
        ),
    ];
    for (encoding, shape, data, scales, zero_points, expected) in cases {
        let mut section = [0; 192];
        section[..data.len()].copy_from_slice(&data);
        section[64..64 + scales.len() * 4].copy_from_slice(&floats(scales));
        section[128..128 + zero_points.len()].copy_from_slice(zero_points);
        let weight = weight(0, shape, encoding, data.len() as u64);
        let bytes = |span: &Span| {
            let start = usize::try_from(span.offset).unwrap();
            section.get(start..start + usize::try_from(span.size_bytes).unwrap())
        };
        let decoded = weight.decode(bytes).map(|decoded| decoded.to_vec());
        assert_eq!(decoded, Some(floats(expected)), "{:?}", weight.encoding);
        assert!(weight.decode(|_| None).is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        oracle::decode_graph(&bytes);
    }

    #[test]
    fn a_changed_graph_is_decoded_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
    ) {
        let mut bytes = graph().encode().unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        oracle::decode_graph(&bytes);
    }
}
