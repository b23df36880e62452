use super::*;

fn tensor() -> TensorBaseline {
    TensorBaseline {
        role: Role::Output,
        port: 1,
        runs: 40,
        edges: vec![-0.5, 0.0, 2.5],
        counts: vec![10, 20, 30, 40],
        min: -1.0,
        max: 9.0,
        mean: 0.75,
        scale: 0.25,
        degrees: 2.5,
    }
}

fn baseline(change: impl FnOnce(&mut TensorBaseline)) -> Baseline {
    let mut changed = tensor();
    change(&mut changed);
    Baseline { tensors: vec![TensorBaseline { role: Role::Input, port: 0, ..tensor() }, changed] }
}

/// The bytes that the specification describes, written by hand.
#[test]
fn the_encoding_is_the_documented_one() {
    let baseline = Baseline { tensors: vec![TensorBaseline { edges: vec![1.0], counts: vec![300, 1], ..tensor() }] };
    let mut expected = vec![1, 0, 1, 1, 1, 40, 1];
    expected.extend(1.0f64.to_le_bytes());
    expected.extend([2, 0xac, 2, 1]);
    [-1.0f64, 9.0, 0.75, 0.25, 2.5].iter().for_each(|number| expected.extend(number.to_le_bytes()));
    assert_eq!(baseline.encode(), expected);
    assert_eq!(Baseline::decode(&expected), Ok(baseline));
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_code() {
    let many = |count: usize| Baseline {
        tensors: (0..count).map(|port| TensorBaseline { port: port as u32, ..tensor() }).collect(),
    };
    let bins = |count: usize| {
        baseline(|t| {
            t.edges = (1..count).map(|edge| edge as f64).collect();
            t.counts = vec![1; count];
        })
    };
    for (name, baseline, expected) in [
        ("as it is", baseline(|_| ()), None),
        ("most tensors", many(Baseline::MAX_TENSORS), None),
        ("a tensor too many", many(Baseline::MAX_TENSORS + 1), Some(Code::Limit)),
        ("most bins", bins(Baseline::MAX_BINS), None),
        ("a bin too many", bins(Baseline::MAX_BINS + 1), Some(Code::Limit)),
        ("edges descend", baseline(|t| t.edges[0] = 1.0), Some(Code::Corrupt)),
        ("edges repeat", baseline(|t| t.edges[0] = 0.0), Some(Code::Corrupt)),
        ("an edge is NaN", baseline(|t| t.edges[1] = f64::NAN), Some(Code::Corrupt)),
        ("a count is missing", baseline(|t| t.counts.truncate(3)), Some(Code::Corrupt)),
        ("a count overflows", baseline(|t| t.counts[0] = u64::MAX), Some(Code::Corrupt)),
        ("no counts", baseline(|t| t.counts = vec![0; 4]), Some(Code::Corrupt)),
        ("no runs", baseline(|t| t.runs = 0), Some(Code::Corrupt)),
        ("the mean is outside", baseline(|t| t.mean = 10.0), Some(Code::Corrupt)),
        ("the minimum is infinite", baseline(|t| t.min = f64::NEG_INFINITY), Some(Code::Corrupt)),
        ("a negative scale", baseline(|t| t.scale = -1.0), Some(Code::Corrupt)),
        ("degrees are NaN", baseline(|t| t.degrees = f64::NAN), Some(Code::Corrupt)),
        ("a tensor stands twice", baseline(|t| (t.role, t.port) = (Role::Input, 0)), Some(Code::Corrupt)),
    ] {
        let decoded = Baseline::decode(&baseline.encode());
        assert_eq!(decoded.as_ref().err().map(BaselineError::code), expected, "{name}: {decoded:?}");
    }
}

#[test]
fn damaged_bytes_are_refused_and_never_panic() {
    let bytes = baseline(|_| ()).encode();
    for end in 0..bytes.len() {
        assert!(Baseline::decode(&bytes[..end]).is_err(), "{end}");
    }
    for index in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[index] ^= flip;
            if let Ok(decoded) = Baseline::decode(&bytes) {
                assert_eq!(decoded.encode(), bytes, "what is taken has one encoding");
            }
        }
    }
    let mut other = bytes;
    other[0] = 2;
    assert_eq!(Baseline::decode(&other).map_err(|error| error.code()), Err(Code::UnsupportedVersion));
}

#[test]
fn a_value_on_an_edge_is_in_the_bin_below() {
    assert_eq!([-1.0, 0.0, 0.5, 1.0, 2.0].map(|value| bin(&[0.0, 1.0], value)), [0, 0, 1, 1, 2]);
}

/// Dark letters on white paper: almost every value is the largest one.
#[cfg(feature = "write")]
#[test]
fn a_value_that_is_nearly_all_of_them_has_a_bin_of_its_own() {
    use pannier_bundle::manifest::{Content, Port};
    use pannier_engine::{DType, TensorView};

    let port = Port {
        name: "x".into(),
        dtype: DType::F32,
        shape: Vec::new(),
        description: String::new(),
        content: Content::Tensor,
    };
    let described = |page: fn(usize, usize) -> f32| {
        let mut builder = BaselineBuilder::new(std::slice::from_ref(&port), &[]);
        for run in 0..40 {
            let values: Vec<f32> = (0..200).map(|element| page(run, element)).collect();
            builder.add(&[TensorView::from_slice(&[200], &values).unwrap()], &[]);
        }
        let baseline = builder.finish();
        assert_eq!(Baseline::decode(&baseline.encode()), Ok(baseline.clone()));
        baseline.tensors[0].clone()
    };
    let paper = described(|run, element| if element % 10 < run % 2 { -0.5 } else { 1.0 });
    let ink = bin(&paper.edges, -0.5);
    assert!(ink < bin(&paper.edges, 1.0) && bin(&paper.edges, -1.0) == ink, "{paper:?}");
    assert_eq!((paper.counts[bin(&paper.edges, 1.0)], paper.min, paper.max), (40 * 200 - 20 * 20, -0.5, 1.0));
    let blank = described(|_, _| 1.0);
    let bins = [0.0, 1.0, 2.0].map(|value| bin(&blank.edges, value));
    assert_eq!((bins, blank.counts.clone()), ([0, 1, 2], vec![0, 8000, 0]), "{blank:?}");
}
