//! Which cases become the self-test of the bundle, and how much of them is kept.

use super::cases::Candidate;
use pannier_bundle::manifest::DType;
use pannier_engine::golden::{Case, Golden, Reference, Stored, Tolerance};
use pannier_engine::{Tensor, TensorView};

/// Cases that are looked at. They lie spread over the whole file.
pub const CANDIDATES: usize = 16;
/// Most cases that are kept: all of them run each time the bundle is loaded.
const MOST_CASES: u64 = 4;
/// Elements of an answer that are kept.
const KEPT_ELEMENTS: usize = 2048;
/// Golden cases may take this share of the weights...
const SHARE_OF_WEIGHTS: u64 = 50;
/// ...and at least this many bytes.
const LEAST_BYTES: u64 = 16 << 10;
/// Intermediate results of all cases together, in bytes: they stand for the time that the self-test takes at each load.
/// Measured with tract: a case of magika needs 4 MiB and 11 ms.
const WORK_BYTES: u64 = 8 << 20;

/// Indices of candidates among `count` cases, the most different ones first: the first, the middle, the quarters...
pub fn candidates(count: usize) -> Vec<usize> {
    let mut indices: Vec<usize> = Vec::new();
    for step in 0..CANDIDATES {
        // Bit reversal: 0, 8, 4, 12, 2, 10, ... of 16.
        let place = step.reverse_bits() >> (usize::BITS - CANDIDATES.ilog2());
        let index = place * count / CANDIDATES;
        if index < count && !indices.contains(&index) {
            indices.push(index);
        }
    }
    indices
}

/// Keeps the first candidates that fit: small in the file, quick at load. At least one, the smallest.
pub fn select(candidates: &[Candidate], tolerance: Tolerance, weight_bytes: u64, peak_bytes: u64) -> Golden {
    let budget = (weight_bytes / SHARE_OF_WEIGHTS).max(LEAST_BYTES);
    let most = (WORK_BYTES / peak_bytes.max(1)).clamp(1, MOST_CASES) as usize;
    let cases: Vec<(Case, u64)> =
        candidates.iter().map(case).map(|case| (stored_bytes(&case), case)).map(|(b, c)| (c, b)).collect();
    let mut kept = Vec::new();
    let mut used = 0;
    for (case, bytes) in &cases {
        if kept.len() < most && used + bytes <= budget {
            used += bytes;
            kept.push(case.clone());
        }
    }
    if kept.is_empty() {
        kept.extend(cases.into_iter().min_by_key(|(_, bytes)| *bytes).map(|(case, _)| case));
    }
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    Golden { tolerance, cases: kept }
}

fn case(candidate: &Candidate) -> Case {
    Case {
        name: candidate.name.clone(),
        inputs: candidate.inputs.iter().map(|tensor| Stored::new(tensor.view())).collect(),
        outputs: candidate.outputs.iter().map(sample).collect(),
    }
}

/// About what a case takes in the bundle.
fn stored_bytes(case: &Case) -> u64 {
    let golden = Golden { tolerance: Tolerance::default(), cases: vec![case.clone()] }.encode();
    zstd::bulk::compress(&golden, 3).map_or(golden.len(), |compressed| compressed.len()) as u64
}

/// Keeps evenly spaced elements. Of the strides that keep few enough, the one that keeps the largest numbers: in the
/// output of a softmax nearly all elements are nearly zero, and would be right however wrong the model was.
fn sample(answer: &Tensor) -> Reference {
    let plain = Reference::sample(answer.view(), KEPT_ELEMENTS);
    if plain.stride <= 1 {
        return plain;
    }
    let magnitudes = magnitudes(answer.view());
    let kept = |stride: u32| magnitudes.iter().step_by(stride as usize).sum::<f64>() * f64::from(stride);
    // Ties go to the smallest stride, which keeps the most.
    let mut best = (plain.stride, f64::MIN);
    for stride in plain.stride..plain.stride.saturating_mul(2) {
        let energy = kept(stride);
        if energy > best.1 {
            best = (stride, energy);
        }
    }
    let (stride, _) = best;
    let elements = answer.bytes().chunks_exact(answer.dtype().size_bytes());
    Reference { stride, bytes: elements.step_by(stride as usize).flatten().copied().collect(), ..plain }
}

/// Squares of the elements; 0 for what is not finite.
fn magnitudes(answer: TensorView<'_>) -> Vec<f64> {
    let values = crate::content::numbers::wide(&answer.to_tensor());
    values.into_iter().map(|v| if v.is_finite() { v * v } else { 0.0 }).collect()
}

/// Whether every number is finite. Golden cases of NaN would test nothing.
pub fn is_finite(tensor: &Tensor) -> bool {
    let is_float = matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64);
    !is_float || crate::content::numbers::wide(tensor).iter().all(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::TOLERANCE;

    #[test]
    fn candidates_lie_spread_over_the_file() {
        assert_eq!(candidates(0), [0; 0]);
        assert_eq!(candidates(1), [0]);
        assert_eq!(candidates(3), [0, 1, 2]);
        let many = candidates(160);
        assert_eq!(many[..6], [0, 80, 40, 120, 20, 100]);
        assert_eq!(many.len(), CANDIDATES);
    }

    fn candidate(name: &str, size: usize) -> Candidate {
        // Not compressible, so that the size is what it seems.
        let mut state = 1u64;
        let mut byte = || {
            // Multiplier and increment of MMIX (Knuth).
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..size).map(|_| byte()).collect();
        Candidate {
            name: name.to_owned(),
            inputs: vec![Tensor::from_slice([size], &noise).unwrap()],
            outputs: vec![Tensor::scalar(1.0f32)],
        }
    }

    fn names(golden: &Golden) -> Vec<&str> {
        golden.cases.iter().map(|case| case.name.as_str()).collect()
    }

    #[test]
    fn as_many_cases_as_fit_and_at_least_one() {
        let five: Vec<Candidate> = ["e", "b", "c", "d", "a"].iter().map(|name| candidate(name, 100)).collect();
        assert_eq!(names(&select(&five, TOLERANCE, 0, 0)), ["b", "c", "d", "e"], "four, in the order of names");
        assert_eq!(names(&select(&five, TOLERANCE, 0, 3 << 20)), ["b", "e"], "two, where each takes long");
        assert_eq!(names(&select(&five, TOLERANCE, 0, u64::MAX)), ["e"], "one, however long it takes");
        let large = [candidate("x", 40_000), candidate("y", 30_000), candidate("z", 50_000)];
        assert_eq!(names(&select(&large, TOLERANCE, 0, 0)), ["y"], "none fits: the smallest");
        assert_eq!(names(&select(&large, TOLERANCE, 50 * 75_000, 0)), ["x", "y"], "a large model may have large cases");
        assert!(select(&[], TOLERANCE, 0, 0).cases.is_empty());
    }

    #[test]
    fn samples_keep_the_peaks() {
        // 100 steps of 101 classes: all mass on class 0.
        let mut values = vec![0.0f32; 100 * 101];
        values.iter_mut().step_by(101).for_each(|v| *v = 1.0);
        let answer = Tensor::from_slice([1, 100, 101], &values).unwrap();
        let reference = sample(&answer);
        let kept: Vec<f32> =
            reference.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert!(reference.stride >= 5 && kept.len() <= KEPT_ELEMENTS);
        assert!(
            kept.iter().sum::<f32>() >= 10.0,
            "stride {} keeps {} peaks",
            reference.stride,
            kept.iter().sum::<f32>()
        );
        let small = sample(&Tensor::from_slice([3], &[1.0f32, 2.0, 3.0]).unwrap());
        assert_eq!((small.stride, small.bytes.len()), (1, 12));
    }
}
