//! The difference between an answer and its reference.

use crate::content::numbers;
use pannier_engine::golden::Tolerance;
use pannier_engine::{DType, Tensor};
use pannier_graph::{Graph, Node};

/// What counts as the same answer as the reference runtime's. Engines sum in different orders and approximate
/// exponentials differently; measured on real inputs of five published models, they stay within a tenth of this.
pub const TOLERANCE: Tolerance = Tolerance { absolute: 1e-4, relative: 1e-3, norm: 0.0 };

/// The same for a program that rounds to a few bits on its way, where the last digit of an input may move the answer by much: see
/// docs/adr/012-tolerance-of-self-tests.md.
const QUANTIZED: Tolerance = Tolerance { absolute: 1e-2, relative: 1e-2, norm: 0.25 };

/// What counts as the same answer of a program.
pub fn tolerance(graph: &Graph) -> Tolerance {
    let rounds = |node: &Node| ROUNDING.contains(&node.op.as_str());
    let found = graph.body.try_visit(&mut |body| if body.nodes.iter().any(rounds) { Err(()) } else { Ok(()) });
    if found.is_err() { QUANTIZED } else { TOLERANCE }
}

/// Operators whose results, or steps on the way to them, are numbers rounded to a few bits.
const ROUNDING: &[&str] = &["DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "QuantizeLinear"];

/// The difference between an answer and its reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Largest absolute difference; infinite where only one of the two is a finite number.
    pub difference: f64,
    /// Largest difference as a share of what is allowed there, or of the whole answer as a share of what is allowed of it, whichever is
    /// less: at most 1 is the same answer.
    pub of_tolerance: f64,
    /// Flat index of the element where that share is largest.
    pub element: usize,
    /// The answer there.
    pub found: f64,
    /// The reference there.
    pub expected: f64,
}

impl Comparison {
    /// Whether the two are the same answer.
    pub fn is_close(&self) -> bool {
        self.of_tolerance <= 1.0
    }
}

/// Compares element by element. Integers and booleans must be equal; NaN equals NaN.
///
/// # Errors
/// A sentence, if types or shapes differ.
pub fn compare(answer: &Tensor, reference: &Tensor, tolerance: Tolerance) -> Result<Comparison, String> {
    if (answer.dtype(), answer.shape()) != (reference.dtype(), reference.shape()) {
        let describe = |t: &Tensor| format!("{} of shape {:?}", t.dtype().name(), t.shape());
        return Err(format!("the answer is {}, the reference {}", describe(answer), describe(reference)));
    }
    let is_float = matches!(answer.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64);
    let (absolute, relative) = (f64::from(tolerance.absolute), f64::from(tolerance.relative));
    let mut worst = Comparison { difference: 0.0, of_tolerance: 0.0, element: 0, found: 0.0, expected: 0.0 };
    if answer.bytes() == reference.bytes() {
        return Ok(worst);
    }
    let size = answer.dtype().size_bytes();
    let same_bytes = |element: usize| {
        let range = element * size..(element + 1) * size;
        answer.bytes().get(range.clone()) == reference.bytes().get(range)
    };
    let (mut difference_squared, mut reference_squared) = (0.0, 0.0);
    let pairs = numbers::wide(answer).into_iter().zip(numbers::wide(reference));
    for (element, (found, expected)) in pairs.enumerate() {
        reference_squared += if expected.is_finite() { expected * expected } else { 0.0 };
        // 64-bit integers may differ although their nearest binary64 are the same.
        let same_number = is_float && (found == expected || (found.is_nan() && expected.is_nan()));
        if same_number || same_bytes(element) {
            continue;
        }
        let difference =
            if found.is_finite() && expected.is_finite() { (found - expected).abs() } else { f64::INFINITY };
        // Infinite for integers, and where one of the two is no finite number.
        let share = if is_float { difference / (absolute + relative * expected.abs()) } else { f64::INFINITY };
        let of_tolerance = if share.is_nan() { f64::INFINITY } else { share };
        worst.difference = worst.difference.max(difference);
        difference_squared += difference * difference;
        if of_tolerance > worst.of_tolerance {
            worst = Comparison { of_tolerance, element, found, expected, ..worst };
        }
    }
    if is_float && tolerance.norm > 0.0 {
        let whole = difference_squared.sqrt() / (f64::from(tolerance.norm) * reference_squared.sqrt());
        // Not `min`, which passes over NaN: an infinite difference from an infinite reference.
        worst.of_tolerance = if whole < worst.of_tolerance { whole } else { worst.of_tolerance };
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_be_near_as_a_whole() {
        let tolerance = Tolerance { absolute: 0.0, relative: 0.0, norm: 0.1 };
        let reference = Tensor::from_slice([4], &[3.0f32, 4.0, 0.0, 0.0]).unwrap();
        let near = |values: &[f32]| {
            compare(&Tensor::from_slice([4], values).unwrap(), &reference, tolerance).unwrap().is_close()
        };
        assert!(near(&[3.0, 4.0, 0.0, 0.49]), "a tenth of the norm, which is 5");
        assert!(!near(&[3.0, 4.0, 0.0, 0.51]));
        assert!(!near(&[3.0, 4.0, 0.0, f32::NAN]));
        assert!(!near(&[f32::INFINITY, 4.0, 0.0, 0.0]));
    }

    #[test]
    fn the_tolerance_is_absolute_plus_relative() {
        let cases: &[(f32, f32, bool)] = &[
            (0.0, 1e-4, true),
            (0.0, 1.1e-4, false),
            (100.0, 100.1, true),
            (100.0, 100.2, false),
            (f32::NAN, f32::NAN, true),
            (f32::NAN, 0.0, false),
            (0.0, f32::NAN, false),
            (f32::INFINITY, f32::INFINITY, true),
            (f32::INFINITY, f32::NEG_INFINITY, false),
            (f32::INFINITY, 1.0, false),
            (1.0, f32::INFINITY, false),
        ];
        for (reference, answer, same) in cases {
            let (reference, answer) = (Tensor::scalar(*reference), Tensor::scalar(*answer));
            let comparison = compare(&answer, &reference, TOLERANCE).unwrap();
            assert_eq!(comparison.is_close(), *same, "{comparison:?}");
        }
    }

    #[test]
    fn integers_are_equal_or_not() {
        let three = Tensor::scalar(3i64);
        assert!(compare(&three, &three, TOLERANCE).unwrap().is_close());
        assert!(!compare(&Tensor::scalar(4i64), &three, TOLERANCE).unwrap().is_close());
        assert!(compare(&Tensor::scalar(3i32), &three, TOLERANCE).is_err());
        let (large, next) = (Tensor::scalar(1i64 << 60), Tensor::scalar((1i64 << 60) + 1));
        assert!(!compare(&large, &next, TOLERANCE).unwrap().is_close());
    }

    #[test]
    fn the_worst_element_is_named() {
        let reference = Tensor::from_slice([3], &[1.0f32, 1000.0, 0.0]).unwrap();
        let answer = Tensor::from_slice([3], &[1.0f32, 1000.5, 0.001]).unwrap();
        let worst = compare(&answer, &reference, TOLERANCE).unwrap();
        assert_eq!((worst.element, worst.difference), (2, 0.5), "the largest difference need not be the worst");
    }
}
