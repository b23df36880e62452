//! Channels are taken out of graphs.

use super::*;
use crate::quantize::form::reduced;
use pannier_graph::Graph;

const SIDE: usize = 6;
const CHANNELS: usize = 12;

/// A convolution, ReLU, a depthwise one with a gate beside it, and a convolution that reads their product.
///
/// Of its twelve channels, 3 is zero, 7 is a copy of 2, and 9 twice as much as 4.
fn redundant() -> Subject {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[1, 4, SIDE, SIDE]));
    let copied = |numbers: &mut Vec<f32>, each: usize| {
        for (to, from, by) in [(3, 0, 0.0), (7, 2, 1.0), (9, 4, 2.0)] {
            let copy: Vec<f32> = numbers[from * each..(from + 1) * each].iter().map(|number| number * by).collect();
            numbers[to * each..(to + 1) * each].copy_from_slice(&copy);
        }
    };
    let mut weights = Noise(1).normals(CHANNELS * 36);
    copied(&mut weights, 36);
    let w = builder.weight("stem", &tensor(&[CHANNELS, 4, 3, 3], &weights));
    let mut bias = Noise(2).normals(CHANNELS);
    copied(&mut bias, 1);
    let b = builder.weight("stem_bias", &tensor(&[CHANNELS], &bias));
    let y = builder.node("Conv", &[x, w, b]);
    let y = builder.node("Relu", &[y]);
    let mut weights = Noise(3).normals(CHANNELS * 9);
    for (to, from) in [(7, 2), (9, 4)] {
        weights.copy_within(from * 9..(from + 1) * 9, to * 9);
    }
    let w = builder.weight("depthwise", &tensor(&[CHANNELS, 1, 3, 3], &weights));
    let y = builder.node_attributes("Conv", &[y, w], &[("group", Attribute::Int(CHANNELS as i64))]);
    // A gate that is the same number for all channels: copies stay copies.
    let pooled = builder.node("GlobalAveragePool", &[y]);
    let w = builder.weight("gate", &tensor(&[CHANNELS, CHANNELS, 1, 1], &[0.01; CHANNELS * CHANNELS]));
    let gate = builder.node("Conv", &[pooled, w]);
    let gate = builder.node("HardSigmoid", &[gate]);
    let y = builder.node("Mul", &[y, gate]);
    let w = builder.weight("head", &tensor(&[5, CHANNELS, 1, 1], &Noise(4).normals(5 * CHANNELS)));
    let y = builder.node("Conv", &[y, w]);
    builder.output("y", y);
    let mut noise = Noise(5);
    let cases = (0..12).map(|_| vec![tensor(&[1, 4, SIDE, SIDE], &noise.normals(4 * SIDE * SIDE))]).collect();
    Subject { program: builder.build(), cases }
}

fn shape(graph: &Graph, name: &str) -> Vec<u64> {
    let weight = graph.body.weights.iter().find(|weight| graph.value_name(weight.value) == name);
    weight.map(|weight| weight.shape.clone()).unwrap_or_default()
}

fn pruned(subject: &Subject, share: f32, cases: &[Vec<Tensor>]) -> (Subject, [usize; 2]) {
    let (program, removed) = reduced(&subject.program, Some(Prune::Channels(share)), cases, &mut |_, _| {}).unwrap();
    (Subject { program, cases: subject.cases.clone() }, removed.unwrap())
}

#[test]
fn what_is_zero_or_a_copy_goes_first_and_nothing_is_lost() {
    let subject = redundant();
    let (small, removed) = pruned(&subject, 0.25, &subject.cases);
    assert_eq!(removed, [3, CHANNELS]);
    let graph = &small.program.graph;
    let shapes = ["stem", "stem_bias", "depthwise", "gate", "head"].map(|name| shape(graph, name));
    let left = CHANNELS as u64 - 3;
    let expected = [vec![left, 4, 3, 3], vec![left], vec![left, 1, 3, 3], vec![left, left, 1, 1], vec![5, left, 1, 1]];
    assert_eq!(shapes, expected);
    let (exact, found) = (run(&subject.program, &subject.cases), run(&small.program, &small.cases));
    let db = codes::sqnr_db(&exact, &found).unwrap_or(200.0);
    println!("{db} dB without three channels that say nothing");
    assert!(db > 40.0, "{db} dB");
}

#[test]
fn more_than_what_says_nothing_costs_something_and_a_channel_stays() {
    let subject = redundant();
    let db = |share| {
        let (small, _) = pruned(&subject, share, &subject.cases);
        codes::sqnr_db(&run(&subject.program, &subject.cases), &run(&small.program, &small.cases)).unwrap_or(200.0)
    };
    assert!(db(0.25) > db(0.5) + 10.0, "{} {}", db(0.25), db(0.5));
    let (least, removed) = pruned(&subject, 1.0, &subject.cases);
    assert_eq!((removed, shape(&least.program.graph, "stem_bias")), ([CHANNELS - 1, CHANNELS], vec![1]));
    assert!(run(&least.program, &least.cases).iter().all(|number| number.is_finite()));
}

#[test]
fn without_cases_weights_alone_say_what_goes() {
    let subject = redundant();
    let (small, removed) = pruned(&subject, 0.1, &[]);
    assert_eq!(removed, [1, CHANNELS]);
    let db = codes::sqnr_db(&run(&subject.program, &subject.cases), &run(&small.program, &small.cases));
    assert!(db.is_none_or(|db| db > 100.0), "channel 3 is zero: {db:?} dB");
}

#[test]
fn channels_that_somebody_reads_in_another_way_stay() {
    // An output, a reshape and a grouped convolution each keep all channels of what they read.
    type Reader = fn(&mut ProgramBuilder, ValueId) -> ValueId;
    let readers: [(&str, Reader); 4] = [
        ("output", |_, y| y),
        ("reshape", |builder, y| {
            let shape = builder.weight("shape", &Tensor::from_slice([2], &[1_i64, -1]).unwrap());
            builder.node("Reshape", &[y, shape])
        }),
        ("groups", |builder, y| {
            let w = builder.weight("grouped", &tensor(&[4, 2, 1, 1], &Noise(6).normals(8)));
            builder.node_attributes("Conv", &[y, w], &[("group", Attribute::Int(2))])
        }),
        ("softmax", |builder, y| builder.node_attributes("Softmax", &[y], &[("axis", Attribute::Int(1))])),
    ];
    for (name, reader) in readers {
        let mut builder = ProgramBuilder::new();
        let x = builder.input("x", DType::F32, &dims(&[1, 2, 3, 3]));
        let w = builder.weight("stem", &tensor(&[4, 2, 1, 1], &Noise(1).normals(8)));
        let y = builder.node("Conv", &[x, w]);
        let w = builder.weight("head", &tensor(&[3, 4, 1, 1], &Noise(2).normals(12)));
        let z = builder.node("Conv", &[y, w]);
        builder.output("z", z);
        let other = reader(&mut builder, y);
        builder.output("other", other);
        let subject =
            Subject { program: builder.build(), cases: vec![vec![tensor(&[1, 2, 3, 3], &Noise(3).normals(18))]] };
        let (same, removed) = pruned(&subject, 0.5, &subject.cases);
        assert_eq!(removed, [0, 0], "{name}");
        assert_eq!(run(&same.program, &same.cases), run(&subject.program, &subject.cases), "{name}");
    }
}

#[test]
fn weights_that_two_layers_share_lose_the_channels_of_one() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[3, 8]));
    let shared = builder.weight("shared", &tensor(&[8, 8], &Noise(1).normals(64)));
    let y = builder.node("MatMul", &[x, shared]);
    let y = builder.node("Relu", &[y]);
    let y = builder.node("MatMul", &[y, shared]);
    builder.output("y", y);
    let subject = Subject { program: builder.build(), cases: vec![vec![tensor(&[3, 8], &Noise(3).normals(24))]] };
    let (small, removed) = pruned(&subject, 0.25, &subject.cases);
    assert_eq!(removed, [2, 8]);
    let mut shapes: Vec<Vec<u64>> =
        small.program.graph.body.weights.iter().map(|weight| weight.shape.clone()).collect();
    shapes.sort();
    assert_eq!(shapes, [vec![6, 8], vec![8, 6]]);
    assert_eq!(run(&small.program, &small.cases).len(), 24);
}
