//! What breaks naive quantization: wide ranges, dead channels, outliers, zeros, subnormal numbers.

use super::*;
use pannier_bundle::Code;

/// Names and weights of a matrix of 33 rows and 10 columns: each column is an output channel.
fn odd_weights() -> Vec<(&'static str, Vec<f32>)> {
    let normal = || Noise(5).normals(330);
    let changed = |change: &dyn Fn(usize, f32) -> f32| {
        normal().into_iter().enumerate().map(|(index, number)| change(index, number)).collect::<Vec<f32>>()
    };
    vec![
        ("all zeros", vec![0.0; 330]),
        ("a channel of zeros", changed(&|index, number| if index % 10 == 3 { 0.0 } else { number })),
        ("a constant channel", changed(&|index, number| if index % 10 == 3 { 0.7 } else { number })),
        ("subnormal", changed(&|_, number| number * 1e-40)),
        ("a channel that is subnormal", changed(&|index, number| if index % 10 == 3 { 1e-41 } else { number })),
        ("an outlier of 1e30", changed(&|index, number| if index == 44 { 1e30 } else { number })),
        ("the largest numbers there are", changed(&|index, number| if index == 44 { f32::MAX } else { number * 1e30 })),
        ("channels of 1 to 1e4", changed(&|index, number| number * 10.0_f32.powi((index % 10) as i32 % 5))),
        ("tiny", changed(&|_, number| number * 1e-10)),
        ("negative zeros", changed(&|index, number| if index % 2 == 0 { -0.0 } else { number })),
    ]
}

const SCHEMES: &[LayerScheme] = &[
    LayerScheme::Fp16,
    LayerScheme::INT8,
    LayerScheme::Int8 { activations: Activations::Float, levels: 127, symmetric: false },
    LayerScheme::Int8 { activations: Activations::Float, levels: 1, symmetric: true },
    LayerScheme::DYNAMIC,
    LayerScheme::STATIC,
    LayerScheme::Int4 { block: 32, symmetric: true },
    LayerScheme::Int4 { block: 128, symmetric: false },
];

#[test]
fn odd_weights_give_finite_scales_and_finite_numbers() {
    for (name, weights) in odd_weights() {
        let mut subject = Subject::new("MatMul", &weights);
        // Small inputs: not even the model itself is to leave the range of binary32.
        for case in &mut subject.cases {
            let small: Vec<f32> = case[0].as_slice::<f32>().unwrap().iter().map(|number| number * 1e-3).collect();
            case[0] = tensor(&[9, 33], &small);
        }
        for scheme in SCHEMES {
            for rounding in [Rounding::Nearest, Rounding::Adaptive] {
                let recipe = Recipe { rounding, bias_correction: true, ..Recipe::uniform(1, *scheme) };
                let applied = subject.applied(&recipe);
                for tensor in &applied.tensors {
                    let numbers = tensor.scales.map(|scales| [scales.smallest, scales.largest]);
                    let numbers = numbers.into_iter().flatten().chain(tensor.sqnr_db).chain([tensor.zeros]);
                    assert!(numbers.into_iter().all(f32::is_finite), "{name}, {scheme:?}: {tensor:?}");
                    assert!(tensor.scales.is_none_or(|scales| scales.smallest > 0.0), "{name}, {scheme:?}: {tensor:?}");
                }
                subject.sqnr_db(&applied);
            }
        }
    }
}

#[test]
fn channels_of_very_different_ranges_keep_their_signal() {
    for kind in ["Conv depthwise", "MatMul"] {
        let (_, _, shape) = KINDS.iter().find(|(name, _, _)| *name == kind).unwrap();
        let count: usize = shape.iter().product();
        let channel = |index: usize| if kind == "MatMul" { index % 10 } else { index / 9 };
        let numbers = Noise(5).normals(count).into_iter().enumerate();
        let weights: Vec<f32> =
            numbers.map(|(index, number)| number * 10.0_f32.powi(channel(index) as i32 % 5)).collect();
        let subject = Subject::new(kind, &weights);
        let applied = subject.uniform(LayerScheme::INT8);
        let (exact, found) = (run(&subject.program, &subject.cases), run(&applied.program, &subject.cases));
        // The weakest channel by itself, whose codes one scale for all would have made zeros.
        let weakest = |numbers: &[f32]| match kind {
            "MatMul" => numbers.iter().step_by(10).copied().collect::<Vec<f32>>(),
            _ => numbers.chunks(8 * 49).flat_map(|image| image[..49].to_vec()).collect(),
        };
        let found = codes::sqnr_db(&weakest(&exact), &weakest(&found)).unwrap();
        assert!(found > 36.0, "{kind}: {found} dB");
    }
}

#[test]
fn a_bias_far_larger_than_the_weights_stays() {
    // An integer bias in the scale of the sums would overflow: 5 / (1e-10 / 127 * 0.03) is 2e14.
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[1, 2, 4, 4]));
    let w = builder.weight("w", &tensor(&[2, 2, 1, 1], &[1e-10, -1e-10, 1.0, 0.5]));
    let b = builder.weight("b", &tensor(&[2], &[5.0, -1.0]));
    let y = builder.node("Conv", &[x, w, b]);
    builder.output("y", y);
    let subject = Subject { program: builder.build(), cases: vec![vec![tensor(&[1, 2, 4, 4], &Noise(1).normals(32))]] };
    for scheme in [LayerScheme::STATIC, LayerScheme::DYNAMIC] {
        let found = run(&subject.uniform(scheme).program, &subject.cases);
        assert!(found[..16].iter().all(|number| (number - 5.0).abs() < 1e-6), "{found:?}");
        assert!(subject.sqnr_db(&subject.uniform(scheme)) > 32.0);
    }
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for (number, message) in [(f32::NAN, "weight `w` holds a NaN"), (f32::INFINITY, "weight `w` holds an infinity")] {
        let mut weights = Noise(1).normals(330);
        weights[17] = number;
        let subject = Subject::new("MatMul", &weights);
        let recipe = Recipe::uniform(1, LayerScheme::INT8);
        let found = apply(&subject.program, &subject.layers(), &recipe, None, &mut |_, _| {});
        let error = found.map(|_| ()).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (Code::InvalidModel, message));
        // A layer that stays as it is may hold anything.
        let recipe = Recipe::uniform(1, LayerScheme::Float);
        assert!(apply(&subject.program, &subject.layers(), &recipe, None, &mut |_, _| {}).is_ok());
    }
}

#[test]
fn a_quantized_model_is_not_quantized_again() {
    let subject = Subject::noise("MatMul");
    for scheme in SCHEMES {
        let applied = subject.uniform(*scheme);
        let layers = layers(&applied.program.graph);
        let recipe = Recipe::uniform(layers.len(), LayerScheme::INT8);
        let error = apply(&applied.program, &layers, &recipe, None, &mut |_, _| {}).map(|_| ()).unwrap_err();
        assert!(matches!(error, QuantizeError::AlreadyQuantized { .. }), "{scheme:?}: {error}");
        assert_eq!(error.code(), Code::Usage);
    }
}

#[test]
fn recipes_that_make_no_sense_are_refused() {
    let subject = Subject::noise("MatMul");
    let int8 = |levels| LayerScheme::Int8 { activations: Activations::Float, levels, symmetric: true };
    let uniform = |scheme| Recipe::uniform(1, scheme);
    let good = || uniform(LayerScheme::INT8);
    let recipes = [
        Recipe::uniform(2, LayerScheme::INT8),
        uniform(int8(0)),
        uniform(int8(128)),
        uniform(LayerScheme::Int4 { block: 0, symmetric: true }),
        uniform(LayerScheme::Int4 { block: 48, symmetric: true }),
        Recipe { prune: Some(Prune::Magnitude(f32::NAN)), ..good() },
        Recipe { prune: Some(Prune::Channels(1.5)), ..good() },
        Recipe { prune: Some(Prune::Groups { kept: 5, group: 4 }), ..good() },
        Recipe { prune: Some(Prune::Groups { kept: 0, group: 0 }), ..good() },
        Recipe { range: RangeEstimator::Percentile(101.0), ..good() },
        Recipe { range: RangeEstimator::MovingAverage(-0.1), ..good() },
        Recipe { smooth: Some(f32::INFINITY), ..good() },
    ];
    for recipe in recipes {
        let found = apply(&subject.program, &subject.layers(), &recipe, Some(&subject.observed()), &mut |_, _| {});
        let error = found.map(|_| ()).unwrap_err();
        assert!(matches!(error, QuantizeError::Recipe { .. }), "{recipe:?}: {error}");
    }
}

#[test]
fn an_activation_with_one_outlier_is_cut_off_where_that_is_asked_for() {
    // 10,000 numbers of about 1, one of 100: with all of them, most codes are never used.
    let mut numbers = Noise(3).normals(33 * 300);
    numbers[5000] = 100.0;
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[300, 33]));
    let w = builder.weight("w", &tensor(&[33, 10], &Noise(5).normals(330)));
    let y = builder.node("MatMul", &[x, w]);
    builder.output("y", y);
    let subject = Subject { program: builder.build(), cases: vec![vec![tensor(&[300, 33], &numbers)]] };
    let record = |range: RangeEstimator| {
        let applied = subject.applied(&Recipe { range, ..Recipe::uniform(1, LayerScheme::STATIC) });
        applied.tensors.into_iter().find(|tensor| tensor.role == Role::Activation).unwrap()
    };
    let high = |range: RangeEstimator| record(range).range.unwrap()[1];
    assert!(high(RangeEstimator::MinMax) > 99.0);
    assert!(high(RangeEstimator::Percentile(99.9)) < 5.0);
    // Cutting one number of 100 off costs 10,000 in squares, which is more than all the rounding: it stays.
    assert!(high(RangeEstimator::Mse) > 90.0);
    assert!(high(RangeEstimator::Entropy) < 50.0, "{}", high(RangeEstimator::Entropy));
}
