//! What a calibration says, and which inputs it refuses.

use super::*;
use pannier_bundle::Code;

fn collect(subject: &Subject, cases: &[Vec<Tensor>]) -> Result<Calibration, QuantizeError> {
    calibrate::collect(&subject.program, &subject.layers(), cases, Observe::ALL, &mut |_, _| {})
}

#[test]
fn the_order_of_cases_changes_no_byte() {
    for (kind, _, _) in KINDS {
        let subject = Subject::noise(kind);
        let mut turned = subject.cases.clone();
        turned.reverse();
        turned.swap(1, 3);
        let estimators = [
            RangeEstimator::MinMax,
            RangeEstimator::MeanMinMax,
            RangeEstimator::Percentile(99.0),
            RangeEstimator::Entropy,
            RangeEstimator::Mse,
        ];
        for range in estimators {
            let recipe = Recipe {
                range,
                rounding: Rounding::Adaptive,
                bias_correction: true,
                ..Recipe::uniform(1, LayerScheme::STATIC)
            };
            let of = |cases: &[Vec<Tensor>]| {
                let calibration = collect(&subject, cases).unwrap();
                apply(&subject.program, &subject.layers(), &recipe, Some(&calibration), &mut |_, _| {}).unwrap()
            };
            let (one, other) = (of(&subject.cases), of(&turned));
            assert_eq!(one.tensors, other.tensors, "{kind}, {range:?}");
            assert!(one.program.sections.iter().zip(&other.program.sections).all(|(a, b)| ***a == ***b), "{kind}");
        }
    }
}

#[test]
fn inputs_of_no_use_are_refused() {
    let subject = Subject::noise("MatMul");
    let with = |number: f32| {
        let mut numbers = Noise(1).normals(9 * 33);
        numbers[7] = number;
        vec![vec![tensor(&[9, 33], &numbers)]]
    };
    let cases = [
        ("none", Vec::new()),
        ("NaN", with(f32::NAN)),
        ("infinity", with(f32::NEG_INFINITY)),
        ("another shape", vec![vec![tensor(&[9, 32], &Noise(1).normals(9 * 32))]]),
        ("another type", vec![vec![Tensor::from_slice([9, 33], &[1_i64; 9 * 33]).unwrap()]]),
        ("no input", vec![Vec::new()]),
        ("one input too many", vec![vec![subject.cases[0][0].clone(), subject.cases[1][0].clone()]]),
    ];
    for (name, cases) in cases {
        let error = collect(&subject, &cases).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidInput, "{name}: {error}");
    }
    // What is not finite is found inside, too.
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[2, 2]));
    let logarithm = builder.node("Log", &[x]);
    let w = builder.weight("w", &tensor(&[2, 2], &[1.0; 4]));
    let y = builder.node("MatMul", &[logarithm, w]);
    builder.output("y", y);
    let subject = Subject { program: builder.build(), cases: Vec::new() };
    let error = collect(&subject, &[vec![tensor(&[2, 2], &[1.0, 0.0, 2.0, 3.0])]]).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "calibration: case 0: `log_0` holds -inf");
}

#[test]
fn one_case_is_enough_to_be_right_about_it() {
    let mut subject = Subject::noise("Conv");
    subject.cases.truncate(1);
    for range in [RangeEstimator::MinMax, RangeEstimator::MovingAverage(0.1), RangeEstimator::Mse] {
        let recipe = Recipe { range, rounding: Rounding::Adaptive, ..Recipe::uniform(1, LayerScheme::STATIC) };
        assert!(subject.sqnr_db(&subject.applied(&recipe)) > 30.0, "{range:?}");
    }
}

#[test]
fn a_recipe_that_needs_more_than_was_observed_is_refused() {
    let subject = Subject::noise("MatMul");
    let ranges = Observe { ranges: true, ..Observe::NOTHING };
    let only = |what| calibrate::collect(&subject.program, &subject.layers(), &subject.cases, what, &mut |_, _| {});
    let uniform = Recipe::uniform(1, LayerScheme::STATIC);
    for (recipe, calibration, message) in [
        (uniform.clone(), None, "ranges of activations"),
        (Recipe { bias_correction: true, ..uniform.clone() }, Some(only(ranges)), "means of activations"),
        (Recipe { rounding: Rounding::Adaptive, ..uniform }, Some(only(ranges)), "means of activations"),
    ] {
        let calibration = calibration.map(Result::unwrap);
        let found = apply(&subject.program, &subject.layers(), &recipe, calibration.as_ref(), &mut |_, _| {});
        let error = found.map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidInput);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn ranges_are_those_of_all_cases() {
    let subject = Subject::noise("MatMul");
    let calibration = collect(&subject, &subject.cases).unwrap();
    let all: Vec<f32> = subject.cases.iter().flat_map(|case| case[0].as_slice::<f32>().unwrap().to_vec()).collect();
    let least = all.iter().copied().fold(f32::INFINITY, f32::min);
    let most = all.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    assert_eq!(calibration.range(value(&subject.program, "x")), Some([least, most]));
    assert_eq!((calibration.cases(), calibration.observed()), (6, Observe::ALL));
}
