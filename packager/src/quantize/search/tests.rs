//! The whole way on made-up models, whose answers are known.

use crate::Error;
use crate::build::RunLimits;
use crate::content::Case;
use crate::quantize::prove::{BudgetError, GateMode, Metric, Set, Sets};
use crate::quantize::settings::{Objective, Scheme};
use crate::quantize::*;
use pannier_bundle::manifest::{Content, Port};
use pannier_engine::{DType, Dim, Program, ProgramBuilder, Tensor};

const WIDTH: usize = 64;

/// Numbers in [-1, 1) that look random and are always the same.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Three products of matrices. In the second, one weight of each column is so large that integers have no digits left for the
/// others; it is multiplied with a channel that is always zero, so in binary32 it does no harm.
fn fragile() -> Program {
    let mut builder = ProgramBuilder::new();
    let mut value = builder.input("x", DType::F32, &[Dim::Fixed(1), Dim::Fixed(WIDTH as u64)]);
    for layer in 0..3 {
        let mut weights = numbers(layer, WIDTH * WIDTH);
        for row in 0..WIDTH {
            if layer == 0 {
                weights[row * WIDTH] = 0.0;
            }
        }
        if layer == 1 {
            weights[..WIDTH].fill(1e30);
        }
        let weights = Tensor::from_slice([WIDTH, WIDTH], &weights).unwrap();
        let weights = builder.weight(&format!("w{layer}"), &weights);
        value = builder.node("MatMul", &[value, weights]);
    }
    builder.output("y", value);
    builder.build()
}

fn port(name: &str, content: Content) -> Port {
    Port {
        name: name.into(),
        dtype: DType::F32,
        shape: vec![Dim::Fixed(1), Dim::Fixed(WIDTH as u64)],
        description: String::new(),
        content,
    }
}

fn set(seed: u64, count: u64) -> Set {
    let case = |index: u64| Case {
        name: index.to_string(),
        inputs: vec![("x".into(), Tensor::from_slice([1, WIDTH], &numbers(seed + index, WIDTH)).unwrap())],
        ..Case::default()
    };
    Set { cases: (0..count).map(case).collect(), digests: (0..count).map(|index| [index as u8; 32]).collect() }
}

fn sets() -> Sets {
    // Twice as many as a row has weights: weights rounded for fewer inputs are wrong for others.
    Sets { tuning: set(1000, 128), held_out: set(2000, 40), ..Sets::default() }
}

fn settings(scheme: Scheme, max_loss: f64) -> Settings {
    Settings {
        scheme,
        max_loss: Some(max_loss),
        gate: GateMode::Bound,
        metric: Some(Metric::Snr),
        objective: Objective::Size,
        exclude: Vec::new(),
        include: Vec::new(),
        processor: None,
        prune: None,
    }
}

/// Runs a quantization with the ports of [`fragile`].
fn run(settings: &Settings, sets: &Sets) -> Result<Quantized, Error> {
    run_on(&fragile(), settings, sets)
}

fn run_on(program: &Program, settings: &Settings, sets: &Sets) -> Result<Quantized, Error> {
    let (inputs, outputs) = ([port("x", Content::Tensor)], [port("y", Content::Tensor)]);
    let model = Model { inputs: &inputs, outputs: &outputs, labels: &[], limits: RunLimits::GIVEN };
    quantize(program, model, settings, sets, &mut |_, _, _| ())
}

/// A product of features of which one is a hundred times as strong as the others, as the end of a layer normalisation makes them,
/// with weights of it that are a hundredth.
fn with_an_outlier() -> Program {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[Dim::Fixed(1), Dim::Fixed(WIDTH as u64)]);
    let mut scale = vec![1.0_f32; WIDTH];
    scale[6] = 100.0;
    let scale = builder.weight("scale", &Tensor::from_slice([WIDTH], &scale).unwrap());
    let shift = builder.weight("shift", &Tensor::from_slice([WIDTH], &numbers(3, WIDTH)).unwrap());
    let y = builder.node("Mul", &[x, scale]);
    let y = builder.node("Add", &[y, shift]);
    let mut weights = numbers(4, WIDTH * WIDTH);
    weights[6 * WIDTH..7 * WIDTH].iter_mut().for_each(|weight| *weight *= 0.01);
    let weights = builder.weight("w", &Tensor::from_slice([WIDTH, WIDTH], &weights).unwrap());
    let y = builder.node("MatMul", &[y, weights]);
    builder.output("y", y);
    builder.build()
}

fn is_integer(scheme: &LayerScheme) -> bool {
    matches!(scheme, LayerScheme::Int8 { .. } | LayerScheme::Int4 { .. })
}

#[test]
fn a_layer_that_breaks_is_kept_in_floats_by_itself() {
    for scheme in [Scheme::Auto, Scheme::Q8] {
        let made = run(&settings(scheme, 0.01), &sets()).unwrap();
        let integers: Vec<bool> = made.record.recipe.layers.iter().map(is_integer).collect();
        assert_eq!(integers, [true, false, true], "{scheme}: {:?}", made.record.recipe.layers);
        let proof = made.record.proof.as_ref().unwrap();
        assert!(proof.verdict.passed && proof.verdict.bound <= 0.01, "{scheme}: {proof:?}");
        assert!(made.record.steps.iter().any(|step| step.within), "{scheme}");
    }
}

#[test]
fn coarser_steps_take_fewer_bytes_and_keep_a_larger_budget() {
    let bytes = |max_loss| {
        let made = run(&settings(Scheme::Auto, max_loss), &sets()).unwrap();
        assert!(made.record.proof.as_ref().unwrap().verdict.bound <= max_loss, "{max_loss}");
        let levels = made.record.recipe.layers.iter().filter_map(|scheme| match scheme {
            LayerScheme::Int8 { levels, .. } => Some(u32::from(*levels)),
            _ => None,
        });
        levels.sum::<u32>()
    };
    assert!(bytes(0.05) < bytes(0.002));
}

/// A product whose columns each begin with a weight that is large and multiplied with zero: it takes the digits of the whole column, and of
/// blocks that it is not in, none. Behind a product that makes that zero, and others.
fn with_a_block_that_breaks() -> Program {
    const INNER: usize = 128;
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[Dim::Fixed(1), Dim::Fixed(WIDTH as u64)]);
    let mut before = numbers(5, WIDTH * INNER);
    before.iter_mut().step_by(INNER).for_each(|weight| *weight = 0.0);
    let before = builder.weight("before", &Tensor::from_slice([WIDTH, INNER], &before).unwrap());
    let mut after = numbers(6, INNER * WIDTH);
    after[..32 * WIDTH].fill(0.0);
    after[..WIDTH].fill(1e4);
    let after = builder.weight("after", &Tensor::from_slice([INNER, WIDTH], &after).unwrap());
    let y = builder.node("MatMul", &[x, before]);
    let y = builder.node("MatMul", &[y, after]);
    builder.output("y", y);
    builder.build()
}

#[test]
fn a_plain_scheme_that_is_smaller_and_good_enough_is_taken() {
    let program = with_a_block_that_breaks();
    let weights = |scheme, max_loss| {
        let made = run_on(&program, &settings(scheme, max_loss), &sets()).unwrap();
        let bytes: u64 = made.record.tensors.iter().map(|tensor| tensor.bytes_after).sum();
        (made.record.recipe.layers, bytes)
    };
    let (plain, plain_bytes) = weights(Scheme::Q4, 0.2);
    let (layers, bytes) = weights(Scheme::Auto, 0.2);
    assert_eq!((layers, bytes), (plain, plain_bytes));
    // Where 4 bits are too few, it is what the search finds.
    let (layers, _) = weights(Scheme::Auto, 0.001);
    assert!(!layers.iter().any(|scheme| matches!(scheme, LayerScheme::Int4 { .. })), "{layers:?}");
}

#[test]
fn a_budget_that_cannot_be_kept_names_the_layer() {
    let mut impossible = settings(Scheme::Q8, 0.0);
    impossible.exclude = vec!["matmul_0".into(), "matmul_2".into()];
    let Err(Error::Budget(error)) = run(&impossible, &sets()) else { panic!("it cannot be kept") };
    assert!(matches!(error, BudgetError::Unreachable { .. }), "{error}");
    assert_eq!(error.code().exit_status(), 21);
    assert!(error.hint().unwrap().contains("`matmul_1` (100 %)"), "{error:?}");
}

#[test]
fn what_was_recorded_can_be_done_again() {
    let (made, sets) = (run(&settings(Scheme::Auto, 0.01), &sets()).unwrap(), sets());
    let (inputs, outputs) = ([port("x", Content::Tensor)], [port("y", Content::Tensor)]);
    let model = Model { inputs: &inputs, outputs: &outputs, labels: &[], limits: RunLimits::GIVEN };
    let read = Record::decode(&made.record.encode()).unwrap();
    let again = repeat(&fragile(), model, &read, &sets).unwrap();
    assert_eq!(again.differences, Vec::<String>::new());
    assert_eq!((again.record, &*again.program.graph), (made.record, &*made.program.graph));
    let bytes = |program: &Program| -> Vec<Vec<u8>> {
        program.sections.iter().map(|section| section.as_bytes().to_vec()).collect()
    };
    assert_eq!(bytes(&again.program), bytes(&made.program));
    // Other cases are told apart before anything is computed.
    let others = Sets { tuning: set(1000, 31), ..sets };
    if Observe::of(&read.recipe) != Observe::NOTHING {
        assert!(matches!(repeat(&fragile(), model, &read, &others), Err(Error::Mismatch { .. })));
    }
}

#[test]
fn what_was_rewritten_before_can_be_done_again() {
    let (inputs, outputs) = ([port("x", Content::Tensor)], [port("y", Content::Tensor)]);
    let model = Model { inputs: &inputs, outputs: &outputs, labels: &[], limits: RunLimits::GIVEN };
    let fewer = Settings { prune: Some(Prune::Channels(0.1)), ..settings(Scheme::Q8Static, 0.9) };
    let made = run(&fewer, &sets()).unwrap();
    let gone = made.warnings.iter().any(|warning| warning == "12 of the 128 channels that can be taken out are gone");
    assert!(gone, "{:?}", made.warnings);
    let again = repeat(&fragile(), model, &made.record, &sets()).unwrap();
    assert_eq!((again.record, &*again.program.graph), (made.record.clone(), &*made.program.graph));
    let elements: Vec<u64> = made.record.layers.iter().map(|layer| layer.elements).collect();
    assert_eq!(elements, [64 * 58, 58 * 58, 58 * 64]);
}

#[test]
fn outliers_move_into_weights_where_that_helps() {
    let (inputs, outputs) = ([port("x", Content::Tensor)], [port("y", Content::Tensor)]);
    let model = Model { inputs: &inputs, outputs: &outputs, labels: &[], limits: RunLimits::GIVEN };
    let program = with_an_outlier();
    let made = run_on(&program, &settings(Scheme::Q8Static, 0.9), &sets()).unwrap();
    assert!(made.record.recipe.smooth.is_some(), "{:?}", made.record.recipe);
    let again = repeat(&program, model, &made.record, &sets()).unwrap();
    assert_eq!((again.record, &*again.program.graph), (made.record, &*made.program.graph));
    // There is nothing of the kind in the other model.
    let made = run(&settings(Scheme::Q8, 0.9), &sets()).unwrap();
    assert_eq!(made.record.recipe.smooth, None);
}

#[test]
fn what_is_chosen_for_its_time_was_faster_as_a_whole() {
    let fast = Settings { objective: Objective::Latency, ..settings(Scheme::Auto, 0.5) };
    match run(&fast, &sets()) {
        Ok(made) => {
            let last = made.record.times.last().unwrap();
            assert_eq!(last.op, "*");
            assert!(last.integer_ns < last.float_ns && last.layers > 0, "{last:?}");
        }
        // On a machine where nothing is.
        Err(Error::Budget(BudgetError::NoLayers { reason })) => assert!(reason.contains("faster"), "{reason}"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn without_cases_a_scheme_is_applied_and_nothing_is_claimed() {
    let plain = Settings { max_loss: None, ..settings(Scheme::Fp16, 0.0) };
    // binary16 cannot hold the large weights.
    let exclude = Settings { exclude: vec!["matmul_1".into()], ..plain };
    let made = run(&exclude, &Sets::default()).unwrap();
    assert_eq!((made.record.proof, made.record.tuning), (None, None));
    assert!(made.warnings.iter().any(|warning| warning.contains("nothing was measured")), "{:?}", made.warnings);
    for scheme in [Scheme::Auto, Scheme::Q8Static, Scheme::Q8] {
        let result = run(&settings(scheme, 0.01), &Sets::default());
        assert!(matches!(result, Err(Error::Budget(BudgetError::Data { .. }))), "{scheme}");
    }
}

#[test]
fn a_model_that_is_quantized_is_refused() {
    let made = run(&settings(Scheme::Auto, 0.01), &sets()).unwrap();
    let (inputs, outputs) = ([port("x", Content::Tensor)], [port("y", Content::Tensor)]);
    let model = Model { inputs: &inputs, outputs: &outputs, labels: &[], limits: RunLimits::GIVEN };
    let again = quantize(&made.program, model, &settings(Scheme::Q8, 0.5), &sets(), &mut |_, _, _| ());
    assert!(matches!(again, Err(Error::Quantize(QuantizeError::AlreadyQuantized { .. }))));
}
