//! Real models in every scheme: how many bytes they take, and how often they still answer right.
//!
//! Each prints its figures; `cargo test -p pannier-tests quantize -- --nocapture` shows them.

use crate::support::{model, project_root, python, temp_dir};
use pannier::{Engine, Executor, Tensor};
use pannier_bundle::write::{SealOptions, SectionContent, seal};
use pannier_engine::{Program, RunBudget};
use pannier_engine_tract::TractEngine;
use pannier_graph::Span;
use pannier_packager::content::{Case, CaseFile, Interface, Label};
use pannier_packager::export;
use pannier_packager::import::{self, ImportOptions, Imported};
use pannier_packager::quantize::{
    self, Activations, Calibration, LayerScheme, Observe, RangeEstimator, Recipe, Rounding,
};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::Instant;

/// What a scheme must keep of a model: its share of the bytes, and how many answers may go wrong.
struct Bound {
    name: &'static str,
    recipe: fn(usize) -> Recipe,
    most_bytes: f64,
    most_lost: usize,
}

const fn bound(name: &'static str, recipe: fn(usize) -> Recipe, most_bytes: f64, most_lost: usize) -> Bound {
    Bound { name, recipe, most_bytes, most_lost }
}

/// What static activations need.
const RANGES: Observe = Observe { ranges: true, ..Observe::NOTHING };

/// Everything that helps at no cost in bytes.
fn careful(layers: usize, scheme: LayerScheme) -> Recipe {
    Recipe { rounding: Rounding::Adaptive, bias_correction: true, ..Recipe::uniform(layers, scheme) }
}

/// Rounded to the nearest. Shares are of weights that are compressed, as they are in a bundle.
const NEAREST: &[Bound] = &[
    bound("fp16", |n| Recipe::uniform(n, LayerScheme::Fp16), 0.55, 0),
    bound("q8", |n| Recipe::uniform(n, LayerScheme::INT8), 0.35, 1),
    bound(
        "q8 with zero points",
        |n| Recipe::uniform(n, LayerScheme::Int8 { activations: Activations::Float, levels: 127, symmetric: false }),
        0.35,
        1,
    ),
    bound("dynamic", |n| Recipe::uniform(n, LayerScheme::DYNAMIC), 0.35, 2),
    bound("static min-max", |n| Recipe::uniform(n, LayerScheme::STATIC), 0.35, 2),
    bound("q4 blocks of 32", |n| Recipe::uniform(n, LayerScheme::Int4 { block: 32, symmetric: true }), 0.24, 8),
];

/// Rounded so that answers change least: a third of the bytes less for the same answers.
const ADAPTIVE: &[Bound] = &[
    bound("q8 adaptive", |n| careful(n, LayerScheme::INT8), 0.35, 0),
    bound(
        "q8 codes to 15 adaptive",
        |n| careful(n, LayerScheme::Int8 { activations: Activations::Float, levels: 15, symmetric: true }),
        0.25,
        0,
    ),
    bound("static mse adaptive", |n| Recipe { range: RangeEstimator::Mse, ..careful(n, LayerScheme::STATIC) }, 0.35, 2),
    bound("q4 blocks of 32 adaptive", |n| careful(n, LayerScheme::Int4 { block: 32, symmetric: true }), 0.24, 1),
    bound(
        "q4 blocks of 32 with zero points",
        |n| careful(n, LayerScheme::Int4 { block: 32, symmetric: false }),
        0.24,
        1,
    ),
];

#[test]
fn magika() {
    // Its rows of 1280 weights take their time to round adaptively.
    check("magika", 24, NEAREST);
}

#[test]
fn ocr_cls() {
    check("ocr-cls", 24, NEAREST);
    check("ocr-cls", 24, ADAPTIVE);
}

#[test]
fn onnx_runtime_answers_alike() {
    let subject = Subject::load("ocr-cls");
    let program = &subject.imported.program;
    let (calibration, folder) = (subject.calibrate(8, Observe::ALL), temp_dir());
    let inputs: Vec<u8> = subject.cases.iter().flat_map(|case| case.inputs[0].1.bytes().iter().copied()).collect();
    std::fs::write(folder.path().join("inputs"), inputs).expect("the inputs are written");
    let (exact, mut ours) = (subject.answers(program), Vec::new());
    for (index, Bound { name, recipe, .. }) in NEAREST.iter().chain(ADAPTIVE).enumerate() {
        let layers = quantize::layers(&program.graph);
        let recipe = recipe(layers.len());
        let applied = quantize::apply(program, &layers, &recipe, Some(&calibration), &mut |_, _| {}).expect(name);
        let (inputs, outputs) = (&subject.imported.inputs, &subject.imported.outputs);
        let onnx = export::to_onnx(&applied.program, inputs, outputs).expect("it is exported");
        let file = format!("{index}.onnx");
        std::fs::write(folder.path().join(&file), onnx).expect("the export is written");
        // Where activations are integers, a last digit decides between two of them, and what follows differs by a step: see
        // docs/adr/012-tolerance-of-self-tests.md. So both have to be closer to each other than to the original.
        let rounds = pannier_packager::measure::tolerance(&applied.program.graph).norm > 0.0;
        let answers = subject.answers(&applied.program);
        let least = if rounds { decibels(&exact, &answers) + 3.0 } else { 60.0 };
        ours.push((*name, file, answers, least));
    }
    let script = project_root().join("tests/it/quantize/answer.py");
    let files = ours.iter().map(|(_, file, ..)| file);
    let mut command = Command::new(python());
    let status = command.arg(script).arg(folder.path()).arg("1,3,48,192").args(files).status().expect("Python starts");
    assert!(status.success(), "ONNX Runtime runs every export");
    let mut failures = Vec::new();
    for (name, file, answers, least_db) in ours {
        let theirs = std::fs::read(folder.path().join(format!("{file}.answers"))).expect("they are written");
        let theirs: Vec<f32> = theirs.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let db = sqnr_db(&theirs, &first_outputs(&answers));
        println!("{name:34} {db:.1} dB between the executor and ONNX Runtime");
        if db.is_nan() || db < least_db {
            failures.push(format!("{name}: {db:.1} dB"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Signal to noise between two sets of answers, in decibels.
fn decibels(exact: &[Vec<Tensor>], found: &[Vec<Tensor>]) -> f64 {
    sqnr_db(&first_outputs(exact), &first_outputs(found))
}

fn first_outputs(answers: &[Vec<Tensor>]) -> Vec<f32> {
    answers.iter().flat_map(|answer| answer[0].as_slice::<f32>().unwrap_or_default().to_vec()).collect()
}

fn sqnr_db(exact: &[f32], found: &[f32]) -> f64 {
    assert_eq!(exact.len(), found.len());
    let (mut signal, mut noise) = (0.0, 0.0);
    for (exact, found) in exact.iter().zip(found) {
        let (exact, found) = (f64::from(*exact), f64::from(*found));
        (signal, noise) = (signal + exact * exact, noise + (exact - found) * (exact - found));
    }
    10.0 * (signal / noise).log10()
}

fn check(name: &str, calibration_cases: usize, schemes: &[Bound]) {
    let subject = Subject::load(name);
    let adaptive = schemes.iter().any(|bound| (bound.recipe)(0).rounding == Rounding::Adaptive);
    let calibration = subject.calibrate(calibration_cases, if adaptive { Observe::ALL } else { RANGES });
    let exact = subject.answers(&subject.imported.program);
    let (bytes, right) = (stored_bytes(&subject.imported.program), subject.right(&exact));
    println!("{name}: {} cases, {bytes} bytes, {right} right", subject.cases.len());
    let mut failures = Vec::new();
    for Bound { name: scheme, recipe, most_bytes, most_lost } in schemes {
        let started = Instant::now();
        let recipe = recipe(quantize::layers(&subject.imported.program.graph).len());
        let layers = quantize::layers(&subject.imported.program.graph);
        let applied = quantize::apply(&subject.imported.program, &layers, &recipe, Some(&calibration), &mut |_, _| {});
        let applied = applied.unwrap_or_else(|error| panic!("{name} {scheme}: {error}"));
        let seconds = started.elapsed().as_secs_f64();
        let answers = subject.answers(&applied.program);
        let (stored, found) = (stored_bytes(&applied.program) as f64 / bytes as f64, subject.right(&answers));
        let (least, mean) = cosine(&exact, &answers);
        println!(
            "{name:10} {scheme:34} {:>9} bytes ({stored:.3})  right {found:3}  same {:3}  cosine mean {mean:.6} least {least:.5}  {seconds:.1} s",
            stored_bytes(&applied.program),
            subject.same(&exact, &answers)
        );
        if stored > *most_bytes {
            failures.push(format!("{scheme}: {stored:.3} of the bytes, {most_bytes} are allowed"));
        }
        if found + most_lost < right {
            failures.push(format!("{scheme}: {found} right instead of {right}"));
        }
        let numbers = answers.iter().flatten().filter_map(|tensor| tensor.as_slice::<f32>()).flatten();
        assert!(numbers.into_iter().all(|number| number.is_finite()), "{name} {scheme}: something is not finite");
    }
    assert!(failures.is_empty(), "{name}:\n{}", failures.join("\n"));
}

struct Subject {
    imported: Imported,
    folder: std::path::PathBuf,
    cases: Vec<Case>,
    classes: Vec<String>,
}

impl Subject {
    fn load(name: &str) -> Subject {
        let folder = model(name);
        let engine = TractEngine::new();
        let imported = import::import(&folder.join("model.onnx"), &ImportOptions::default(), &engine).expect("imports");
        let mut subject = Subject { imported, cases: Vec::new(), classes: Vec::new(), folder };
        subject.cases = subject.read("evaluation.npz");
        subject.classes = match std::fs::read(subject.folder.join("labels.json")) {
            Ok(labels) => serde_json::from_slice(&labels).expect("a list of labels"),
            Err(_) => vec!["0".to_owned(), "180".to_owned()],
        };
        subject
    }

    fn read(&self, file: &str) -> Vec<Case> {
        let Imported { inputs, outputs, source, .. } = &self.imported;
        let mut file = CaseFile::open(&self.folder.join(file), Interface { inputs, outputs, source }).expect("cases");
        (0..file.len()).map(|index| file.read(index).expect("a case")).collect()
    }

    fn inputs(&self, case: &Case) -> Vec<Tensor> {
        let input = |name: &String| case.inputs.iter().find(|(input, _)| input == name).map(|(_, t)| t.clone());
        self.imported.inputs.iter().map(|port| input(&port.name).expect("the case has it")).collect()
    }

    fn calibrate(&self, most: usize, what: Observe) -> Calibration {
        let program = &self.imported.program;
        let layers = quantize::layers(&program.graph);
        let cases: Vec<_> = self.read("calibration.npz").iter().take(most).map(|case| self.inputs(case)).collect();
        let started = Instant::now();
        let found = quantize::calibrate::collect(program, &layers, &cases, what, &mut |_, _| {});
        println!("{} layers, {} cases observed in {:.1} s", layers.len(), cases.len(), started.elapsed().as_secs_f64());
        found.expect("it is observed")
    }

    fn answers(&self, program: &Program) -> Vec<Vec<Tensor>> {
        let prepared = Executor::deterministic().prepare(program, &RunBudget::default()).expect("it is prepared");
        let run = |case: &Case| {
            let inputs = self.inputs(case);
            let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
            prepared.run(&views, &RunBudget::default()).expect("it runs")
        };
        self.cases.iter().map(run).collect()
    }

    fn right(&self, answers: &[Vec<Tensor>]) -> usize {
        let right = |(case, answer): (&Case, &Vec<Tensor>)| match (&case.label, decision(answer).first()) {
            (Some(Label::Text(label)), Some(class)) => self.classes.get(*class) == Some(label),
            _ => false,
        };
        self.cases.iter().zip(answers).filter(|pair| right(*pair)).count()
    }

    fn same(&self, exact: &[Vec<Tensor>], answers: &[Vec<Tensor>]) -> usize {
        exact.iter().zip(answers).filter(|(exact, answer)| decision(exact) == decision(answer)).count()
    }
}

/// The best class of each row of the first output.
fn decision(answer: &[Tensor]) -> Vec<usize> {
    let width = answer[0].shape().last().copied().unwrap_or(1);
    let best = |row: &[f32]| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        best.map_or(0, |(index, _)| index)
    };
    answer[0].as_slice::<f32>().expect("binary32").chunks(width).map(best).collect()
}

/// Least and mean over the cases, of the first output.
fn cosine(exact: &[Vec<Tensor>], found: &[Vec<Tensor>]) -> (f64, f64) {
    let cosine = |(exact, found): (&Vec<Tensor>, &Vec<Tensor>)| {
        let (x, y) = (exact[0].as_slice::<f32>().unwrap_or_default(), found[0].as_slice::<f32>().unwrap_or_default());
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        dot(x, y) / (dot(x, x) * dot(y, y)).sqrt()
    };
    let all: Vec<f64> = exact.iter().zip(found).map(cosine).collect();
    (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().sum::<f64>() / all.len() as f64)
}

/// Bytes of the weights in a bundle.
fn stored_bytes(program: &Program) -> u64 {
    let mut cuts: Vec<Vec<u64>> = vec![Vec::new(); program.sections.len()];
    let mut widths = vec![4; program.sections.len()];
    for weight in &program.graph.body.weights {
        let spans: Vec<&Span> = weight.spans().collect();
        for (index, span) in spans.iter().enumerate() {
            cuts[span.section as usize].push(span.offset);
            if index == 0 {
                widths[span.section as usize] = match weight.encoding {
                    pannier_graph::Encoding::Raw => weight.dtype.size_bytes() as u8,
                    pannier_graph::Encoding::F16 => 2,
                    _ => 1,
                };
            }
        }
    }
    let plain = |name: &str| SectionContent {
        name: name.to_owned(),
        bytes: Cow::Borrowed(&[][..]),
        element_bytes: 1,
        cuts: Vec::new(),
        critical: true,
    };
    let mut sections = vec![plain("graph"), plain("manifest")];
    for ((index, bytes), (mut cuts, element_bytes)) in
        program.sections.iter().enumerate().zip(cuts.into_iter().zip(widths))
    {
        cuts.sort_unstable();
        cuts.dedup();
        let bytes = Cow::Borrowed(bytes.as_bytes());
        sections.push(SectionContent { bytes, element_bytes, cuts, ..plain(&format!("weights/{index}")) });
    }
    let sealed = seal(sections, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(())).expect("it is sealed");
    sealed.header().sections.iter().map(|section| section.stored_bytes).sum()
}
