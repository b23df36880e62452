//! The difference between an answer and its reference.

use crate::content::numbers;
use pannier_engine::golden::Tolerance;
use pannier_engine::{DType, Tensor};

/// What counts as the same answer as the reference runtime's. Engines sum in different orders and approximate
/// exponentials differently; measured on real inputs of five published models, they stay within a tenth of this.
pub const TOLERANCE: Tolerance = Tolerance { absolute: 1e-4, relative: 1e-3 };

/// The difference between an answer and its reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Largest absolute difference; infinite where only one of the two is a finite number.
    pub difference: f64,
    /// Largest difference as a share of what is allowed there: at most 1 is the same answer.
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
    let pairs = numbers::wide(answer).into_iter().zip(numbers::wide(reference));
    for (element, (found, expected)) in pairs.enumerate() {
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
        if of_tolerance > worst.of_tolerance {
            worst = Comparison { of_tolerance, element, found, expected, ..worst };
        }
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

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
