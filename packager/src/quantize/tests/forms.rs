//! Every scheme on every kind of layer.

use super::*;
use pannier_graph::Encoding;

const INT8: LayerScheme = LayerScheme::INT8;
const ASYMMETRIC: LayerScheme = LayerScheme::Int8 { activations: Activations::Float, levels: 127, symmetric: false };
const COARSE: LayerScheme = LayerScheme::Int8 { activations: Activations::Float, levels: 15, symmetric: true };
const INT4: LayerScheme = LayerScheme::Int4 { block: 32, symmetric: true };
const INT4_ZERO: LayerScheme = LayerScheme::Int4 { block: 16, symmetric: false };

#[test]
fn every_scheme_keeps_every_kind_of_layer() {
    // Least signal to noise in decibels: about 6 for each bit.
    let schemes = [
        ("fp16", LayerScheme::Fp16, 60.0),
        ("int8", INT8, 36.0),
        ("int8 with zero points", ASYMMETRIC, 36.0),
        ("int8 codes to 15", COARSE, 18.0),
        ("dynamic", LayerScheme::DYNAMIC, 32.0),
        ("static", LayerScheme::STATIC, 32.0),
        ("int4", INT4, 14.0),
        ("int4 with zero points", INT4_ZERO, 14.0),
    ];
    let mut failures = Vec::new();
    for (kind, _, _) in KINDS {
        let subject = Subject::noise(kind);
        for (name, scheme, least_db) in schemes {
            let applied = subject.uniform(scheme);
            let found = subject.sqnr_db(&applied);
            if found < least_db {
                failures.push(format!("{kind}, {name}: {found} dB, at least {least_db} expected"));
            }
            let weights: Vec<_> = applied.tensors.iter().filter(|tensor| tensor.role == Role::Weight).collect();
            assert_eq!(weights.len(), if *kind == "LSTM" { 2 } else { 1 }, "{kind}, {name}");
            for tensor in weights {
                assert!(tensor.sqnr_db.is_some_and(|db| db > least_db - 4.0), "{kind}, {name}: {tensor:?}");
                assert!(tensor.bytes_after < tensor.bytes_before, "{kind}, {name}: {tensor:?}");
            }
            let again = subject.uniform(scheme);
            assert_eq!(*again.program.graph, *applied.program.graph, "{kind}, {name}: always the same");
            assert!(again.program.sections.iter().zip(&applied.program.sections).all(|(a, b)| ***a == ***b));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_a_record_says_of_a_weight_is_what_engines_decode() {
    for (kind, _, _) in KINDS {
        let subject = Subject::noise(kind);
        for scheme in [LayerScheme::Fp16, INT8, ASYMMETRIC, INT4, INT4_ZERO] {
            let applied = subject.uniform(scheme);
            let graph = &applied.program.graph;
            let (original, stored) = (value(&subject.program, "w"), |name: &str| {
                let found = graph.body.weights.iter().find(|weight| graph.value_name(weight.value) == name)?;
                found.decode(|span| applied.program.bytes(span))
            });
            let exact = weights::Numbers::read(&subject.program, original).unwrap();
            // In blocks, a weight may lie as the rows that it is made of; sums over all elements do not mind.
            let bytes = stored("w").or_else(|| stored("w_blocks")).unwrap();
            let decoded: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            if stored("w").is_some() {
                let record = applied.tensors.iter().find(|tensor| tensor.tensor == "w").unwrap();
                let found = codes::sqnr_db(&exact.data, &decoded).unwrap();
                assert!((found - record.sqnr_db.unwrap()).abs() < 1e-3, "{kind} {scheme:?}");
            }
            assert_eq!(decoded.len(), exact.data.len(), "{kind} {scheme:?}");
        }
    }
}

#[test]
fn memory_that_is_stated_is_what_the_engine_holds() {
    // 64 rows, pixels or steps, and one: as many as layers read weights as they are stored for.
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[1, 64, 8, 8]));
    let weight = |builder: &mut ProgramBuilder, shape: &[usize]| {
        let len = shape.iter().product();
        builder.weight(&format!("w{len}"), &tensor(shape, &Noise(len as u64).normals(len)))
    };
    let w = weight(&mut builder, &[128, 64, 1, 1]);
    let y = builder.node_attributes("Conv", &[x, w], &[("kernel_shape", Attribute::Ints(vec![1, 1]))]);
    let shape = builder.weight("shape", &Tensor::from_slice([2], &[64_i64, 128]).unwrap());
    let y = builder.node("Reshape", &[y, shape]);
    let w = weight(&mut builder, &[128, 256]);
    let y = builder.node("MatMul", &[y, w]);
    let axes = builder.weight("axes", &Tensor::from_slice([1], &[0_i64]).unwrap());
    let y = builder.node("ReduceMean", &[y, axes]);
    let w = weight(&mut builder, &[320, 256]);
    let y = builder.node_attributes("Gemm", &[y, w], &[("transB", Attribute::Int(1))]);
    builder.output("y", y);
    let cases = vec![vec![tensor(&[1, 64, 8, 8], &Noise(7).normals(64 * 64))]];
    let subject = Subject { program: builder.build(), cases };
    let floats = crate::quantize::loaded_bytes(&subject.program);
    for (scheme, share) in [(LayerScheme::Fp16, 0.52), (INT8, 0.28), (ASYMMETRIC, 0.28), (INT4, 0.18)] {
        let program = subject.uniform(scheme).program;
        let (stated, prepared) = (
            crate::quantize::loaded_bytes(&program),
            Executor::new().compile(&program, &RunBudget::default()).unwrap(),
        );
        let held = pannier_engine::Prepared::memory(&prepared).weight_bytes;
        assert!(stated as f64 <= share * floats as f64, "{scheme:?}: {stated} bytes of {floats}");
        assert!(held.abs_diff(stated) * 20 < stated, "{scheme:?}: {held} bytes are held, {stated} are stated");
    }
}

#[test]
fn layers_that_can_compute_with_integers_do() {
    for (kind, _, _) in KINDS {
        let subject = Subject::noise(kind);
        for (name, scheme) in [("dynamic", LayerScheme::DYNAMIC), ("static", LayerScheme::STATIC)] {
            let applied = subject.uniform(scheme);
            let prepared = Executor::deterministic().compile(&applied.program, &RunBudget::default()).unwrap();
            let plan = prepared.explain().unwrap();
            let integers = plan.steps.iter().any(|step| {
                let bytes = matches!(step.inputs.first(), Some(Some((DType::U8 | DType::I8, _))));
                bytes && step.flops > 0
            });
            assert_eq!(integers, subject.layers()[0].integer, "{kind}, {name}: {:#?}", plan.steps);
            let encoded = |weight: &pannier_graph::Weight| matches!(weight.encoding, Encoding::Int8 { .. });
            assert_eq!(
                applied.program.graph.body.weights.iter().any(encoded),
                !subject.layers()[0].integer,
                "{kind}, {name}: other layers have their weights decoded"
            );
        }
    }
}

#[test]
fn layers_with_one_input_round_it_once() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[4, 16]));
    for index in 0..3 {
        let w = builder.weight(&format!("w{index}"), &tensor(&[16, 4], &Noise(index).normals(64)));
        let y = builder.node("MatMul", &[x, w]);
        builder.output(&format!("y{index}"), y);
    }
    let subject = Subject { program: builder.build(), cases: vec![vec![tensor(&[4, 16], &Noise(7).normals(64))]] };
    for (scheme, op) in [(LayerScheme::STATIC, "QuantizeLinear"), (LayerScheme::DYNAMIC, "DynamicQuantizeLinear")] {
        let applied = subject.uniform(scheme);
        assert_eq!(applied.program.graph.body.nodes.iter().filter(|node| node.op == op).count(), 1);
        assert!(subject.sqnr_db(&applied) > 32.0);
    }
}

#[test]
fn a_weight_of_several_layers_is_quantized_once_and_multiplied_as_numbers() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[4, 16]));
    let w = builder.weight("w", &tensor(&[16, 16], &Noise(1).normals(256)));
    let y = builder.node("MatMul", &[x, w]);
    let y = builder.node("MatMul", &[y, w]);
    builder.output("y", y);
    let subject = Subject { program: builder.build(), cases: vec![vec![tensor(&[4, 16], &Noise(7).normals(64))]] };
    assert_eq!(subject.layers().len(), 1);
    assert!(!subject.layers()[0].integer);
    for scheme in [LayerScheme::STATIC, INT4, LayerScheme::Fp16] {
        assert!(subject.sqnr_db(&subject.uniform(scheme)) > 12.0, "{scheme:?}");
    }
}

#[test]
fn adaptive_rounding_gains_where_inputs_are_correlated() {
    // Inputs that move together: neighbours share most of what they are.
    let correlated = |noise: &mut Noise, rows: usize, width: usize| {
        let mut numbers = Vec::new();
        for _ in 0..rows {
            let mut last = noise.normal();
            for _ in 0..width {
                last = 0.95 * last + 0.3 * noise.normal();
                numbers.push(last);
            }
        }
        numbers
    };
    let (width, rows) = (64, 200);
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[rows, width]));
    let w = builder.weight("w", &tensor(&[width, 32], &Noise(1).normals(width * 32)));
    let y = builder.node("MatMul", &[x, w]);
    builder.output("y", y);
    let mut noise = Noise(11);
    let cases = (0..4).map(|_| vec![tensor(&[rows, width], &correlated(&mut noise, rows, width))]).collect();
    let subject = Subject { program: builder.build(), cases };
    for scheme in [INT8, COARSE, INT4] {
        let nearest = subject.sqnr_db(&subject.uniform(scheme));
        let adaptive = Recipe { rounding: Rounding::Adaptive, ..Recipe::uniform(1, scheme) };
        let adapted = subject.applied(&adaptive);
        assert_eq!(adapted.tensors[0].rounding, Rounding::Adaptive);
        let gain = subject.sqnr_db(&adapted) - nearest;
        println!("{scheme:?}: {nearest} dB, adaptive {gain:+} dB");
        assert!(gain > 2.5, "{scheme:?}: {gain} dB");
    }
}

#[test]
fn bias_correction_takes_the_mean_error_off() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &dims(&[1, 8, 9, 9]));
    let w = builder.weight("w", &tensor(&[8, 1, 3, 3], &Noise(2).normals(72)));
    let y = builder.node_attributes("Conv", &[x, w], &[("group", Attribute::Int(8))]);
    builder.output("y", y);
    // All inputs are positive, as behind a ReLU: an error of a weight always pulls in one direction.
    let mut noise = Noise(4);
    let case = |_| vec![tensor(&[1, 8, 9, 9], &noise.normals(648).iter().map(|n| n.abs() + 1.0).collect::<Vec<_>>())];
    let subject = Subject { program: builder.build(), cases: (0..4).map(case).collect() };
    let plain = Recipe::uniform(1, COARSE);
    let corrected = subject.applied(&Recipe { bias_correction: true, ..plain.clone() });
    let gain = subject.sqnr_db(&corrected) - subject.sqnr_db(&subject.applied(&plain));
    println!("bias correction: {gain:+} dB");
    assert!(gain > 3.0, "{gain} dB");
}

#[test]
fn pruning_leaves_what_was_asked_for_and_the_rest_makes_up_for_it() {
    let subject = Subject::noise("MatMul");
    let of = |prune: Prune, rounding: Rounding| {
        subject.applied(&Recipe { prune: Some(prune), rounding, ..Recipe::uniform(1, LayerScheme::Fp16) })
    };
    for (prune, zeros) in [
        (Prune::Magnitude(0.5), 0.5),
        (Prune::Magnitude(0.0), 0.0),
        (Prune::Groups { kept: 2, group: 4 }, 16.0 / 33.0),
        // They are taken out before, and never set to zero.
        (Prune::Channels(0.3), 0.0),
        (Prune::Magnitude(1.0), 1.0),
    ] {
        for rounding in [Rounding::Nearest, Rounding::Adaptive] {
            let found = of(prune, rounding).tensors[0].zeros;
            assert!((found - zeros).abs() < 0.01, "{prune:?}, {rounding:?}: {found}");
        }
    }
    let gain = subject.sqnr_db(&of(Prune::Magnitude(0.5), Rounding::Adaptive))
        - subject.sqnr_db(&of(Prune::Magnitude(0.5), Rounding::Nearest));
    println!("compensated pruning: {gain:+} dB");
    assert!(gain > 0.5, "{gain} dB");
}

/// An engine takes rows of the table there, which integers would keep it from.
#[test]
fn products_with_one_hot_rows_do_not_compute_with_integers() {
    let mut builder = ProgramBuilder::new();
    let ids = builder.input("ids", DType::I32, &dims(&[4, 1]));
    let classes = builder.weight("classes", &Tensor::from_slice([3], &[0_i32, 1, 2]).unwrap());
    let equal = builder.node("Equal", &[ids, classes]);
    let hot = builder.node_attributes("Cast", &[equal], &[("to", Attribute::Int(1))]);
    let table = builder.weight("table", &tensor(&[3, 5], &Noise(5).normals(15)));
    let rows = builder.node("MatMul", &[hot, table]);
    let w = builder.weight("w", &tensor(&[5, 2], &Noise(6).normals(10)));
    let y = builder.node("MatMul", &[rows, w]);
    builder.output("y", y);
    let integer: Vec<bool> = layers(&builder.build().graph).iter().map(|layer| layer.integer).collect();
    assert_eq!(integer, [false, true]);
}
