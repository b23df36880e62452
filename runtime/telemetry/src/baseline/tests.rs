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

/// An input of numbers.
#[cfg(feature = "write")]
fn input() -> pannier_bundle::manifest::Port {
    pannier_bundle::manifest::Port {
        name: "x".into(),
        dtype: pannier_bundle::DType::F32,
        shape: Vec::new(),
        description: String::new(),
        content: pannier_bundle::manifest::Content::Tensor,
    }
}

#[cfg(feature = "write")]
mod streams {
    use super::*;
    use crate::drift;
    use pannier_engine::TensorView;

    /// Runs of 8 values each around a level. Of `memory` of 1 a level is that of the run before, of 0 it has nothing to do with it.
    fn stream(memory: f64, runs: usize, seed: u64) -> Vec<[f32; 8]> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let mut level = 0.0;
        let mut run = || {
            level = memory * level + (1.0 - memory * memory).sqrt() * uniform();
            std::array::from_fn(|_| (level + 0.2 * uniform()) as f32)
        };
        (0..runs + 200).map(|_| run()).skip(200).collect()
    }

    fn described(runs: &[[f32; 8]]) -> TensorBaseline {
        let mut builder = BaselineBuilder::new(&[input()], &[]);
        runs.iter().for_each(|run| builder.add(&[TensorView::from_slice(&[8], run).unwrap()], &[]));
        builder.finish().tensors.remove(0)
    }

    fn is_reported(baseline: &TensorBaseline, window: &[[f32; 8]], shift: f32) -> bool {
        let mut counts = vec![0; baseline.counts.len()];
        for value in window.iter().flatten() {
            counts[bin(&baseline.edges, f64::from(value + shift))] += 1;
        }
        drift::compare(baseline, &counts, window.len() as u64).unwrap().detected.unwrap()
    }

    /// What follows a stream comes from where the stream came from, whether or not runs resemble each other.
    #[test]
    fn windows_of_the_same_stream_are_quiet_and_those_of_another_are_not() {
        // Runs of the calibration: of each stream some 50 to 100 that are independent of each other.
        for (memory, runs) in [(0.0, 60), (0.8, 800), (0.95, 2000)] {
            let (mut alarms, mut found) = (0, 0);
            for seed in 0..100 {
                let runs = stream(memory, 2 * runs, seed);
                let (calibration, window) = runs.split_at(runs.len() / 2);
                let baseline = described(calibration);
                alarms += u32::from(is_reported(&baseline, window, 0.0));
                found += u32::from(is_reported(&baseline, window, 1.0));
            }
            // 1 in 100 is what is asked for; of 100 trials it may be two.
            assert!(alarms <= 2, "memory {memory}: {alarms} of 100 are false alarms");
            assert!(found >= 95, "memory {memory}: {found} of 100 are found");
        }
    }

    /// As long as one wave: there is no telling what else there may be.
    #[test]
    fn a_calibration_of_one_slow_change_reports_nothing() {
        let wave =
            |from: usize| -> Vec<[f32; 8]> { (from..from + 40).map(|run| [(run as f32 / 13.0).sin(); 8]).collect() };
        assert!(!is_reported(&described(&wave(0)), &wave(40), 0.0));
    }
}

/// Dark letters on white paper: almost every value is the largest one.
#[cfg(feature = "write")]
#[test]
fn a_value_that_is_nearly_all_of_them_has_a_bin_of_its_own() {
    use pannier_engine::TensorView;

    let described = |page: fn(usize, usize) -> f32| {
        let mut builder = BaselineBuilder::new(&[input()], &[]);
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
