//! Drift on real data: what has changed is reported, what has not stays quiet.
//!
//! The figures: `cargo test -p pannier-tests drift -- --nocapture`.

use crate::support::bundle::{signed, target};
use crate::support::{model, project_root};
use pannier::{Inputs, Manifest, Options, Session, State, Tensor, TensorView, Trust};
use pannier_packager::config::{Config, ModelConfig, Target};
use pannier_packager::content::CaseFile;
use pannier_telemetry::baseline::BaselineBuilder;
use pannier_telemetry::drift::RUNS;
use pannier_telemetry::{About, Baseline, Recorder, Run, Snapshot};
use std::time::Duration;

/// Inputs and outputs of one run.
#[derive(Clone)]
struct Pair {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// A real model and all the real inputs there are for it.
struct Model {
    name: &'static str,
    session: Session,
    inputs: Vec<Vec<Tensor>>,
}

impl Model {
    fn open(name: &'static str, files: &[&str]) -> Model {
        let folder = model(name);
        // What inputs and outputs mean decides what of them is watched. Lists of labels lie elsewhere.
        let example = project_root().join("docs/examples").join(name).join("packager.toml");
        let mut config = Config::load(&example).expect("an example").models.remove(name).expect("of this model");
        config.outputs.retain(|_, output| output.content.labels().is_none());
        let ModelConfig { inputs, outputs, .. } = config;
        let described = Target { inputs, outputs, ..target(name, &folder.join("model.onnx")) };
        let bundle = signed(&described).expect("it builds");
        let session = Session::from_bytes(bundle, &Trust::AllowUnsigned, &Options::default()).expect("it loads");
        let mut inputs = Vec::new();
        for file in files {
            let mut file = CaseFile::open(&folder.join(file), session.manifest().into()).expect("cases");
            for index in 0..file.len() {
                let case = file.read(index).expect("a case");
                let tensor = |name: &str| case.inputs.iter().find(|(input, _)| input == name).map(|(_, t)| t.clone());
                let of_case =
                    session.manifest().inputs.iter().map(|port| tensor(&port.name).expect("it has all inputs"));
                inputs.push(of_case.collect());
            }
        }
        Model { name, session, inputs }
    }

    /// What the model answers on inputs that were changed in this way.
    fn answer(&self, change: impl Fn(usize, &[f32]) -> Vec<f32>) -> Vec<Pair> {
        let changed = |index: usize, tensor: &Tensor| match tensor.as_slice::<f32>() {
            Some(values) => Tensor::from_slice(tensor.shape(), &change(index, values)).expect("the same shape"),
            None => match tensor.as_slice::<i32>() {
                Some(values) => {
                    let wide: Vec<f32> = values.iter().map(|value| *value as f32).collect();
                    let narrow: Vec<i32> = change(index, &wide).iter().map(|value| *value as i32).collect();
                    Tensor::from_slice(tensor.shape(), &narrow).expect("the same shape")
                }
                None => tensor.clone(),
            },
        };
        let run = |(index, inputs): (usize, &Vec<Tensor>)| {
            let ports = &self.session.manifest().inputs;
            // Only what is watched is changed: the first input. State and rates stay.
            let inputs: Vec<Tensor> = inputs
                .iter()
                .enumerate()
                .map(|(port, tensor)| match port {
                    0 => changed(index, tensor),
                    _ => tensor.clone(),
                })
                .collect();
            let named: Inputs<'_> = ports.iter().map(|port| port.name.as_str()).zip(&inputs).collect();
            let outputs = self.session.step(&mut State::new(), named).expect("it answers");
            Pair { outputs: outputs.into_iter().map(|(_, tensor)| tensor).collect(), inputs }
        };
        self.inputs.iter().enumerate().map(run).collect()
    }

    fn manifest(&self) -> &Manifest {
        self.session.manifest()
    }
}

fn baseline(manifest: &Manifest, pairs: &[&Pair]) -> Baseline {
    let mut builder = BaselineBuilder::new(&manifest.inputs, &manifest.outputs);
    for pair in pairs {
        builder.add(&views(&pair.inputs), &views(&pair.outputs));
    }
    builder.finish()
}

fn views(tensors: &[Tensor]) -> Vec<TensorView<'_>> {
    tensors.iter().map(Tensor::view).collect()
}

/// One window of these runs.
fn window(manifest: &Manifest, baseline: &Baseline, pairs: &[&Pair]) -> Snapshot {
    let about = About { engine: "executor".into(), target: "native", load: None };
    let recorder = Recorder::new(manifest, &[], Some(baseline), about);
    let run = Run { duration: Some(Duration::from_secs(1)), ..Run::default() };
    for pair in pairs {
        recorder.succeeded(&run, pair.inputs.iter().map(Tensor::view), pair.outputs.iter().map(Tensor::view));
    }
    recorder.close_window()
}

/// Names of all tensors, with their scores.
fn scores(snapshot: &Snapshot) -> Vec<String> {
    let windows = snapshot.tensors.iter().filter_map(|tensor| Some((&tensor.name, tensor.window?)));
    windows.map(|(name, window)| format!("{name}: {} runs, {:.2?}", window.runs, window.drift)).collect()
}

/// Names of the tensors that drifted, with their scores.
fn drifted(snapshot: &Snapshot) -> Vec<String> {
    let drifts = snapshot.tensors.iter().filter_map(|tensor| Some((&tensor.name, tensor.window?.drift?)));
    let detected = drifts.filter(|(_, drift)| drift.detected == Some(true));
    detected
        .map(|(name, drift)| format!("{name}: psi {:.2} js {:.2} ks {:.2}", drift.psi, drift.js, drift.ks))
        .collect()
}

fn judged(snapshot: &Snapshot) -> bool {
    snapshot.tensors.iter().any(|tensor| tensor.window.and_then(|it| it.drift?.detected).is_some())
}

/// A pseudo-random order, the same in every run of the test.
fn shuffled<T>(items: &[T], seed: u64) -> Vec<&T> {
    let mut keyed: Vec<(u64, &T)> =
        items.iter().enumerate().map(|(index, item)| (mix(seed ^ mix(index as u64)), item)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// From -1 to 1, evenly.
fn noise(index: usize, element: usize) -> f32 {
    (mix((index * 1_000_003 + element) as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Windows of unchanged data and how many of them were reported: each time the data are parted anew, one part is the
/// calibration and the other the window. A stream is parted into what came first and what followed.
fn false_alarms(model: &Model, pairs: &[Pair], stream: bool, windows: u64) -> (u64, Vec<String>) {
    let mut reports = Vec::new();
    for seed in 0..windows {
        let order: Vec<&Pair> = match stream {
            true => {
                pairs.iter().cycle().skip(seed as usize * pairs.len() / windows as usize).take(pairs.len()).collect()
            }
            false => shuffled(pairs, seed),
        };
        let (calibration, live) = order.split_at(pairs.len() / 2);
        let snapshot = window(model.manifest(), &baseline(model.manifest(), calibration), live);
        assert!(judged(&snapshot), "{}: {} runs are enough", model.name, live.len());
        reports.extend(drifted(&snapshot));
    }
    (windows, reports)
}

/// What is reported of changed data, with one half of the unchanged ones as calibration.
fn reported(model: &Model, pairs: &[Pair], changed: &[Pair]) -> Vec<String> {
    let half = pairs.len() / 2;
    let calibration: Vec<&Pair> = shuffled(pairs, 7).into_iter().take(half).collect();
    let live: Vec<&Pair> = shuffled(changed, 7).into_iter().skip(half).collect();
    let snapshot = window(model.manifest(), &baseline(model.manifest(), &calibration), &live);
    println!("    {:?}", scores(&snapshot));
    drifted(&snapshot)
}

/// A picture of planes of this size, each pixel being the mean of those around it, `radius` to each side.
fn blurred(picture: &[f32], [height, width]: [usize; 2], radius: usize) -> Vec<f32> {
    let mean = |around: &mut dyn Iterator<Item = f32>| {
        let (sum, count) = around.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    };
    let near = |at: usize, size: usize| at.saturating_sub(radius)..(at + radius + 1).min(size);
    let plane = |plane: &[f32]| {
        let rows = plane.chunks_exact(width);
        let across: Vec<f32> =
            rows.flat_map(|row| (0..width).map(move |x| mean(&mut near(x, width).map(|x| row[x])))).collect();
        let pixel = |at: usize| mean(&mut near(at / width, height).map(|y| across[y * width + at % width]));
        (0..plane.len()).map(pixel).collect::<Vec<f32>>()
    };
    picture.chunks_exact(height * width).flat_map(plane).collect()
}

fn unchanged(_: usize, values: &[f32]) -> Vec<f32> {
    values.to_vec()
}

#[test]
fn what_changed_is_reported_and_what_did_not_is_quiet() {
    const BOTH: &[&str] = &["calibration.npz", "evaluation.npz"];
    let (mut windows, mut alarms) = (0, Vec::new());
    let mut quiet = |model: &Model, pairs: &[Pair], stream: bool| {
        let (count, reports) = false_alarms(model, pairs, stream, 100);
        println!("{}: {} of {count} windows of unchanged data reported {reports:?}", model.name, reports.len());
        windows += count;
        alarms.extend(reports);
    };
    let loud = |model: &Model, pairs: &[Pair], what: &str, changed: &[Pair]| {
        let reports = reported(model, pairs, changed);
        println!("{} {what}: {reports:?}", model.name);
        reports
    };

    let magika = Model::open("magika", BOTH);
    let pairs = magika.answer(unchanged);
    quiet(&magika, &pairs, false);
    // Compressed archives and pictures are evenly spread bytes, from the first to the last.
    let compressed = magika.answer(|index, bytes| {
        (0..bytes.len()).map(|element| (noise(index, element).abs() * 256.0).min(255.0).floor()).collect()
    });
    assert!(!loud(&magika, &pairs, "fed compressed files", &compressed).is_empty());

    let lines = Model::open("ocr-cls", BOTH);
    let pairs = lines.answer(unchanged);
    quiet(&lines, &pairs, false);
    let inverted = lines.answer(|_, picture| picture.iter().map(|value| -value).collect());
    assert!(!loud(&lines, &pairs, "inverted", &inverted).is_empty());
    let soft = lines.answer(|_, picture| blurred(picture, [48, 192], 2));
    assert!(!loud(&lines, &pairs, "blurred", &soft).is_empty());

    let texts = Model::open("ocr-rec", BOTH);
    let pairs = texts.answer(unchanged);
    // A fetched model comes with fewer pictures than a verdict needs.
    if pairs.len() as u64 / 2 >= RUNS {
        quiet(&texts, &pairs, false);
        let inverted = texts.answer(|_, picture| picture.iter().map(|value| -value).collect());
        assert!(!loud(&texts, &pairs, "inverted", &inverted).is_empty());
    }

    let voice = Model::open("silero-vad", &["evaluation.npz"]);
    let pairs = voice.answer(unchanged);
    quiet(&voice, &pairs, true);
    let noisy = voice.answer(|index, sound| {
        sound.iter().enumerate().map(|(element, value)| value + 0.2 * noise(index, element)).collect()
    });
    assert!(!loud(&voice, &pairs, "with noise", &noisy).is_empty());
    // In their order the frames of one recording of some seconds are ten independent ones: louder noise, then.
    let noisy = voice.answer(|index, sound| {
        sound.iter().enumerate().map(|(element, value)| value + 0.5 * noise(index, element)).collect()
    });
    let (calibration, live): (Vec<&Pair>, Vec<&Pair>) = (pairs.iter().collect(), noisy.iter().collect());
    let reports = drifted(&window(voice.manifest(), &baseline(voice.manifest(), &calibration), &live));
    println!("{} with loud noise, in order: {reports:?}", voice.name);
    assert!(!reports.is_empty());

    assert!((alarms.len() as u64) * 100 < windows, "{} of {windows}: {alarms:?}", alarms.len());
}
