//! The five real models: from ONNX to a signed bundle that gives ONNX Runtime's answers.
//!
//! Each prints its figures; `cargo test -p pannier-tests models -- --nocapture` shows them.

use crate::support::bundle::publisher;
use crate::support::{model, project_root, temp_dir};
use clap::Parser;
use pannier::{Inputs, Options, Session, State, Tensor, Trust};
use pannier_packager::args::{BuildArgs, Cli, Command};
use pannier_packager::build::{self, Built};
use pannier_packager::config::{self, Target};
use pannier_packager::content::{Answer, Case, CaseFile, Label, Reading, answer};
use std::path::Path;
use std::time::Instant;

/// `|answer - reference| <= ABSOLUTE + RELATIVE * |reference|`
const ABSOLUTE: f32 = 1e-4;
const RELATIVE: f32 = 1e-3;

#[test]
fn magika() {
    let bundle = bundle("magika");
    let right = bundle.answers_like_the_reference();
    bundle.reports_right_answers(right.expect("magika's cases have labels"));
}

#[test]
fn ocr_cls() {
    let bundle = bundle("ocr-cls");
    let right = bundle.answers_like_the_reference();
    bundle.reports_right_answers(right.expect("ocr-cls's cases have labels"));
}

#[test]
fn ocr_det() {
    bundle("ocr-det").answers_like_the_reference();
}

#[test]
fn ocr_rec() {
    let bundle = bundle("ocr-rec");
    bundle.answers_like_the_reference();
    bundle.reads_the_same_texts();
}

#[test]
fn silero_vad() {
    let bundle = bundle("silero-vad");
    bundle.answers_like_the_reference();
    bundle.answers_the_same_from_its_own_state();
}

/// A real model's bundle, built twice, verified and opened.
struct Bundle {
    name: &'static str,
    folder: std::path::PathBuf,
    session: Session,
    built: Built,
}

/// Builds with the example configuration and checks what is true of every bundle: the same bytes each time, smaller
/// than the model compressed, opened with the publisher's key and with no other.
fn bundle(name: &'static str) -> Bundle {
    let folder = model(name);
    let workplace = temp_dir();
    let target = target(name, &folder, workplace.path());

    let started = Instant::now();
    let built = build::build(&target, Some(publisher()), &mut |_, _, _| ()).expect("it builds");
    let seconds = started.elapsed().as_secs_f64();
    let again = build::build(&target, Some(publisher()), &mut |_, _, _| ()).expect("it builds again");
    assert!(built.bundle == again.bundle, "{name}: two builds give different bytes");

    let onnx = std::fs::read(folder.join("model.onnx")).expect("the model is readable");
    let compressed = zstd::bulk::compress(&onnx, 19).expect("zstd compresses").len();
    let size = built.bundle.len();
    println!(
        "{name}: built in {seconds:.1} s, {size} bytes: {:.3} of zstd -19 ({compressed}), {:.3} of ONNX ({})",
        size as f64 / compressed as f64,
        size as f64 / onnx.len() as f64,
        onnx.len(),
    );
    assert!(size < compressed, "{name}: the bundle has {size} bytes, zstd -19 of the model {compressed}");

    let stranger = pannier_packager::sign::PrivateKey::generate().expect("the system gives random numbers");
    let trust = |key: &pannier_packager::sign::PrivateKey| Trust::Keys(vec![key.public_key().clone()]);
    let refused = Session::from_bytes(built.bundle.clone(), &trust(&stranger), &Options::default());
    assert_eq!(refused.err().map(|error| error.code()), Some(pannier::Code::UntrustedKey), "{name}");
    let session = Session::from_bytes(built.bundle.clone(), &trust(publisher()), &Options::default());
    let session = session.unwrap_or_else(|error| panic!("{name}: {error}"));
    let (report, golden) = (session.report(), &built.report.golden);
    assert_eq!(report.self_test.map(|test| test.cases), Some(golden.cases), "{name}: the self-test ran");
    println!("{name}: loaded in {:.1} ms, self-test of {} cases passed", report.load.total_ms(), golden.cases);
    Bundle { name, folder, session, built }
}

/// What `packager build --config packager.toml --evaluate evaluation.npz` builds, beside the model's own files.
fn target(name: &str, folder: &Path, workplace: &Path) -> Target {
    let example = project_root().join("docs/examples").join(name);
    for source in [&example, &folder.to_path_buf()] {
        for file in std::fs::read_dir(source).expect("the folder is readable") {
            let file = file.expect("the folder is readable").path();
            if file.extension().is_some_and(|extension| extension == "json" || extension == "toml") {
                let copy = workplace.join(file.file_name().expect("a file has a name"));
                std::fs::copy(&file, copy).expect("the file is copied");
            }
        }
    }
    let (config, evaluation) = (workplace.join("packager.toml"), folder.join("evaluation.npz"));
    let config = config.to_str().expect("a path in UTF-8");
    let evaluation = evaluation.to_str().expect("a path in UTF-8");
    let arguments = ["packager", "build", "--config", config, "--evaluate", evaluation];
    let Command::Build(arguments) = Cli::try_parse_from(arguments).expect("these are valid arguments").command else {
        panic!("that was the command build")
    };
    let arguments: BuildArgs = arguments;
    let mut target = config::targets(&arguments).expect("the example is valid").remove(0);
    // The configuration stands beside copies of the small files only.
    target.source = folder.join("model.onnx");
    target
}

/// Right answers: the bundle's and the reference's, of all with a label.
struct Right {
    ours: usize,
    reference: usize,
    cases: usize,
}

impl Bundle {
    fn cases(&self) -> Vec<Case> {
        let path = self.folder.join("evaluation.npz");
        let mut file = CaseFile::open(&path, self.session.manifest().into()).expect("the cases fit the model");
        (0..file.len()).map(|index| file.read(index).expect("the case is readable")).collect()
    }

    /// Runs every case and compares every element of every output. Counts right answers where cases have labels.
    fn answers_like_the_reference(&self) -> Option<Right> {
        let cases = self.cases();
        let mut right = Right { ours: 0, reference: 0, cases: 0 };
        let mut worst = Worst::default();
        for case in &cases {
            let inputs: Inputs<'_> = case.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
            let outputs =
                self.session.run(inputs).unwrap_or_else(|error| panic!("{} {}: {error}", self.name, case.name));
            assert_eq!(case.outputs.len(), outputs.len(), "{} {}", self.name, case.name);
            for (name, reference) in &case.outputs {
                let found = outputs.get(name).unwrap_or_else(|| panic!("{} has no output `{name}`", self.name));
                worst.add(&case.name, name, found, reference);
                if let Some(label) = &case.label {
                    right.cases += 1;
                    right.ours += usize::from(self.says(name, found).as_ref() == Some(label));
                    right.reference += usize::from(self.says(name, reference).as_ref() == Some(label));
                }
            }
        }
        println!("{}: {} cases, {worst}", self.name, cases.len());
        assert!(worst.excess <= 0.0, "{}: {worst}", self.name);
        (right.cases > 0).then_some(right)
    }

    fn reports_right_answers(&self, right: Right) {
        println!("{}: {} of {} right, ONNX Runtime {}", self.name, right.ours, right.cases, right.reference);
        assert_eq!(right.ours, right.reference, "{}: the same number of right answers", self.name);
        assert!(right.ours * 10 > right.cases * 9, "{}: the labels are those of these inputs", self.name);
        let reported =
            self.built.report.accuracy.as_ref().and_then(|accuracy| accuracy.right).expect("it was measured");
        assert_eq!(
            (reported.ours, reported.labelled),
            (right.ours, right.cases),
            "{}: as the build reported",
            self.name
        );
    }

    /// What an output says: the best class, or the text.
    fn says(&self, output: &str, tensor: &Tensor) -> Option<Label> {
        let port = self.session.manifest().output(output)?;
        let reading = Reading { labels: self.session.labels(), top: 1, scale: (1.0, 1.0) };
        match answer(port, tensor, &reading).expect("the description fits")? {
            Answer::Classes { rows, .. } => Some(Label::Text(rows.first()?.first()?.label.clone())),
            Answer::Text { rows, .. } => Some(Label::Text(rows.first()?.text.clone())),
            _ => None,
        }
    }

    fn reads_the_same_texts(&self) {
        for case in self.cases() {
            let inputs: Inputs<'_> = case.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
            let outputs = self.session.run(inputs).expect("it runs");
            for (name, reference) in &case.outputs {
                let ours = outputs.get(name).and_then(|tensor| self.says(name, tensor));
                assert_eq!(ours, self.says(name, reference), "{} {}", self.name, case.name);
                println!("{}: {} reads {ours:?}, drawn was {:?}", self.name, case.name, case.label);
            }
        }
    }

    /// The cases are consecutive: only the first one's state is given, every other is the model's own.
    fn answers_the_same_from_its_own_state(&self) {
        let cases = self.cases();
        let mut state = State::new();
        let mut worst = Worst::default();
        for (index, case) in cases.iter().enumerate() {
            let given = case.inputs.iter().filter(|(name, _)| index == 0 || name != "state");
            let inputs: Inputs<'_> = given.map(|(name, tensor)| (name.as_str(), tensor)).collect();
            let outputs = self.session.step(&mut state, inputs).expect("it runs");
            for (name, reference) in &case.outputs {
                worst.add(&case.name, name, outputs.get(name).expect("it has this output"), reference);
            }
        }
        println!("{}: {} frames from its own state, {worst}", self.name, cases.len());
        assert!(worst.excess <= 0.0, "{}: from its own state: {worst}", self.name);
    }
}

/// The largest difference, and the one that is farthest beyond what is allowed.
#[derive(Debug)]
struct Worst {
    difference: f32,
    excess: f32,
    place: String,
}

impl Default for Worst {
    fn default() -> Worst {
        Worst { difference: 0.0, excess: f32::NEG_INFINITY, place: "nowhere".to_owned() }
    }
}

impl Worst {
    fn add(&mut self, case: &str, output: &str, found: &Tensor, reference: &Tensor) {
        assert_eq!(found.shape(), reference.shape(), "case {case}, output `{output}`");
        let found = found.as_slice::<f32>().expect("outputs are binary32");
        let reference = reference.as_slice::<f32>().expect("references are binary32");
        for (index, (a, r)) in found.iter().zip(reference).enumerate() {
            let difference = (a - r).abs();
            let excess = difference - (ABSOLUTE + RELATIVE * r.abs());
            self.difference = self.difference.max(difference);
            // A NaN is never close.
            if excess > self.excess || excess.is_nan() {
                self.excess = if excess.is_nan() { f32::INFINITY } else { excess };
                self.place = format!("case {case}, output `{output}`, element {index}: {a} instead of {r}");
            }
        }
    }
}

impl std::fmt::Display for Worst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "largest difference {:.1e}; nearest to the limit: {}", self.difference, self.place)
    }
}
