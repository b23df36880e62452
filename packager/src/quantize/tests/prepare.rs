//! Rewrites before quantization change no answer.

use super::*;
use pannier_graph::Node;

/// Conv, ReLU, depthwise Conv, Conv, with channels of very different ranges.
fn convolutions() -> Subject {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[1, 3, 8, 8]));
    let uneven = |seed: u64, channels: usize, each: usize| {
        let numbers = Noise(seed).normals(channels * each).into_iter().enumerate();
        numbers.map(|(index, number)| number * 4.0_f32.powi((index / each) as i32 % 5)).collect::<Vec<f32>>()
    };
    let w = builder.weight("w1", &tensor(&[8, 3, 3, 3], &uneven(1, 8, 27)));
    let b = builder.weight("b1", &tensor(&[8], &Noise(2).normals(8)));
    let y = builder.node("Conv", &[x, w, b]);
    let y = builder.node("Relu", &[y]);
    let w = builder.weight("w2", &tensor(&[8, 1, 3, 3], &uneven(3, 8, 9)));
    let y = builder.node_attributes("Conv", &[y, w], &[("group", Attribute::Int(8))]);
    let w = builder.weight("w3", &tensor(&[4, 8, 1, 1], &Noise(4).normals(32)));
    let y = builder.node("Conv", &[y, w]);
    builder.output("y", y);
    let mut noise = Noise(5);
    let cases = (0..4).map(|_| vec![tensor(&[1, 3, 8, 8], &noise.normals(192))]).collect();
    Subject { program: builder.build(), cases }
}

/// Layer normalisation with one feature a hundred times as strong as the others, and two matrix products of it.
fn normalised() -> Subject {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[20, 16]));
    let mut scale = vec![1.0; 16];
    scale[6] = 100.0;
    let scale = builder.weight("scale", &tensor(&[16], &scale));
    let shift = builder.weight("shift", &tensor(&[16], &Noise(2).normals(16)));
    let normal = builder.value("normal");
    builder.node_with(Node {
        name: "norm".to_owned(),
        domain: String::new(),
        op: "LayerNormalization".to_owned(),
        inputs: vec![Some(x), Some(scale), Some(shift)],
        outputs: vec![Some(normal)],
        attributes: Vec::new(),
    });
    for index in 0..2 {
        let mut weights = Noise(7 + index).normals(16 * 8);
        weights[48..56].iter_mut().for_each(|weight| *weight *= 0.01);
        let w = builder.weight(&format!("w{index}"), &tensor(&[16, 8], &weights));
        let y = builder.node("MatMul", &[normal, w]);
        builder.output(&format!("y{index}"), y);
    }
    let mut noise = Noise(5);
    let cases = (0..4).map(|_| vec![tensor(&[20, 16], &noise.normals(320))]).collect();
    Subject { program: builder.build(), cases }
}

fn prepared(subject: &Subject, recipe: &Recipe) -> Subject {
    let program = prepare(&subject.program, &subject.layers(), recipe, Some(&subject.observed())).unwrap();
    assert_eq!(layers(&program.graph), subject.layers());
    Subject { program, cases: subject.cases.clone() }
}

#[test]
fn equalization_changes_no_answer_and_helps_one_scale_for_all_channels() {
    let subject = convolutions();
    let recipe = Recipe { equalize: true, ..Recipe::uniform(3, LayerScheme::STATIC) };
    let equal = prepared(&subject, &recipe);
    assert_ne!(*equal.program.sections[0].as_bytes(), *subject.program.sections[0].as_bytes());
    assert_eq!(run(&equal.program, &equal.cases), run(&subject.program, &subject.cases), "not even the last digit");
    let gain = equal.sqnr_db(&equal.applied(&recipe)) - subject.sqnr_db(&subject.applied(&recipe));
    println!("equalization: {gain:+} dB");
    assert!(gain > 0.5, "{gain} dB");
}

#[test]
fn smoothing_changes_no_answer_and_helps_outliers() {
    let subject = normalised();
    let recipe = Recipe { smooth: Some(0.5), ..Recipe::uniform(2, LayerScheme::STATIC) };
    let smooth = prepared(&subject, &recipe);
    assert_eq!(run(&smooth.program, &smooth.cases), run(&subject.program, &subject.cases), "not even the last digit");
    let gain = smooth.sqnr_db(&smooth.applied(&recipe)) - subject.sqnr_db(&subject.applied(&recipe));
    println!("smoothing: {gain:+} dB");
    assert!(gain > 3.0, "{gain} dB");
}

#[test]
fn what_others_read_is_not_scaled() {
    // The result of the first convolution is an output, too: it has to stay what it is.
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[1, 1, 4, 4]));
    let w = builder.weight("w1", &tensor(&[2, 1, 1, 1], &[1.0, 100.0]));
    let y = builder.node("Conv", &[x, w]);
    let w = builder.weight("w2", &tensor(&[1, 2, 1, 1], &[1.0, 1.0]));
    let z = builder.node("Conv", &[y, w]);
    builder.output("y", y);
    builder.output("z", z);
    let subject = Subject { program: builder.build(), cases: vec![vec![tensor(&[1, 1, 4, 4], &Noise(1).normals(16))]] };
    let recipe = Recipe { equalize: true, ..Recipe::uniform(2, LayerScheme::STATIC) };
    let equal = prepared(&subject, &recipe);
    assert_eq!(run(&equal.program, &equal.cases), run(&subject.program, &subject.cases));
    assert_eq!(*equal.program.graph, *subject.program.graph);
}

#[test]
fn smoothing_without_ranges_is_refused() {
    let subject = normalised();
    let recipe = Recipe { smooth: Some(0.5), ..Recipe::uniform(2, LayerScheme::STATIC) };
    let error = prepare(&subject.program, &subject.layers(), &recipe, None).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "calibration: the recipe needs ranges of activations, which was not observed");
}
