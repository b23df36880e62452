use super::*;
use crate::baseline::TensorBaseline;
use crate::tensor::Violation;
use pannier_bundle::manifest::{Content, Envelope, Port, Reproducibility, Source};
use pannier_bundle::{DType, Dim};

fn port(name: &str, dims: &[u64], content: Content) -> Port {
    let shape = dims.iter().map(|dim| Dim::Fixed(*dim)).collect();
    Port { name: name.into(), dtype: DType::F32, shape, description: String::new(), content }
}

/// A stream's model: input and state in, scores of three classes and state out.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "three".into(),
        version: "1.2.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: [0xab; 32],
        opset: 25,
        inputs: vec![
            port("state", &[1], Content::State { output: "next".into() }),
            port(
                "x",
                &[1, 4],
                Content::Pcm(pannier_bundle::manifest::PcmFrame { sample_rate_hz: 16000, frame: 4, context: 0 }),
            ),
        ],
        outputs: vec![port("scores", &[1, 3], Content::Classes { labels: 0 }), port("next", &[1], Content::NextState)],
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 25, options: Vec::new() },
    }
}

pub(crate) fn about() -> About {
    About { engine: "executor".into(), target: "native", load: Some(Duration::from_millis(20)) }
}

fn recorder(baseline: Option<&Baseline>) -> Recorder {
    let labels = vec![["cat", "dog"].map(str::to_owned).to_vec()];
    Recorder::new(&manifest(), &labels, baseline, about())
}

fn lasting(duration: Duration) -> Run<'static> {
    Run { duration: Some(duration), queue: None, peak_memory_bytes: Some(&|| 1000) }
}

/// Runs once with these numbers. The state never counts: its numbers are no numbers.
pub(crate) fn run(recorder: &Recorder, run: &Run<'_>, x: &[f32], scores: &[f32]) {
    let nan = [f32::NAN];
    let of = |values| TensorView::from_slice(&[1], values).unwrap();
    let shape = |values: &[f32]| [1, values.len()];
    let (x_shape, scores_shape) = (shape(x), shape(scores));
    let view = |shape, values| TensorView::from_slice(shape, values).unwrap();
    recorder.succeeded(
        run,
        [of(&nan), view(&x_shape, x)].into_iter(),
        [view(&scores_shape, scores), of(&nan)].into_iter(),
    );
}

#[test]
fn runs_and_errors_are_counted_with_their_durations() {
    let recorder = recorder(None);
    for _ in 0..5 {
        run(&recorder, &lasting(Duration::from_millis(2)), &[0.0; 4], &[0.1, 0.2, 0.7]);
    }
    recorder.failed(&lasting(Duration::from_millis(1)), Code::Deadline);
    recorder.failed(&Run { queue: Some(Duration::from_millis(3)), ..Run::default() }, Code::MemoryBudget);
    recorder.failed(&Run::default(), Code::Deadline);
    let snapshot = recorder.close_window();
    let runs: Vec<_> = snapshot.runs.iter().map(|runs| (runs.error, runs.durations.count())).collect();
    assert_eq!(runs, [(None, 5), (Some(Code::Deadline), 2), (Some(Code::MemoryBudget), 1)]);
    assert!((snapshot.runs[0].durations.sum() - 0.010).abs() < 1e-12);
    assert_eq!(snapshot.queue.map(|queue| queue.count()), Some(1));
    assert_eq!(snapshot.peak_memory_bytes, Some(1000));
}

#[test]
fn values_are_summed_by_window_and_since_the_beginning() {
    let recorder = recorder(None);
    let long = lasting(Duration::from_secs(1));
    run(&recorder, &long, &[-0.5, 0.5, f32::NAN, f32::INFINITY], &[0.1, 0.2, 0.7]);
    run(&recorder, &long, &[0.25, 0.5, 0.75, 2.0], &[0.6, 0.2, 0.2]);
    let first = recorder.close_window();
    run(&recorder, &long, &[0.0; 4], &[0.0, 0.0, 1.0]);
    let second = recorder.close_window();

    let names: Vec<_> = first.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["x", "scores", "x:differences"], "state is not watched");
    let [x, scores, differences] = &first.tensors[..] else { panic!("three tensors") };
    let window = x.window.unwrap();
    assert_eq!((window.runs, window.min, window.max), (2, -0.5, 2.0));
    assert!((window.mean - 3.5 / 6.0).abs() < 1e-12);
    assert_eq!(x.invalid, [1, 1, 0, 1], "one NaN, one infinity, no baseline, and 2.0 is no sample of sound");
    assert_eq!(x.values.counts.iter().sum::<u64>(), 6);
    let window = differences.window.unwrap();
    assert_eq!((window.runs, window.min, window.max), (2, 0.25, 1.25));
    assert_eq!((differences.values.counts.iter().sum::<u64>(), differences.invalid), (4, [0; 4]));
    assert_eq!(scores.answers.as_ref().unwrap().classes, [("cat".into(), 1), ("2".into(), 1)]);
    assert!((scores.answers.as_ref().unwrap().confidence.sum - 1.3).abs() < 1e-6);

    assert_eq!(second.tensors[0].window.unwrap().max, 0.0, "the window began anew");
    assert_eq!(second.tensors[0].values.counts.iter().sum::<u64>(), 10, "the total did not");
    assert_eq!(recorder.close_window().tensors[0].window, None, "nothing was looked at");
}

#[test]
fn a_baseline_gives_bins_range_and_drift() {
    let tensor = TensorBaseline {
        role: Role::Input,
        port: 1,
        runs: 100,
        edges: vec![0.0],
        counts: vec![200, 200],
        min: -0.5,
        max: 0.5,
        mean: 0.0,
        scale: 0.5,
        degrees: 1.0,
    };
    let recorder = recorder(Some(&Baseline { tensors: vec![tensor] }));
    let long = lasting(Duration::from_secs(1));
    let drift_of = |x: [f32; 4]| {
        (0..60).for_each(|_| run(&recorder, &long, &x, &[1.0, 0.0, 0.0]));
        let snapshot = recorder.close_window();
        (
            snapshot.tensors[0].invalid[Violation::OutOfRange as usize],
            snapshot.tensors[0].window.unwrap().drift.unwrap(),
        )
    };
    let (outside, same) = drift_of([-0.4, -0.1, 0.1, 0.4]);
    assert_eq!((outside, same.detected), (0, Some(false)), "{same:?}");
    let (outside, moved) = drift_of([0.4, 0.4, 0.4, 0.9]);
    assert_eq!((outside, moved.detected), (60, Some(true)), "{moved:?}");
}

/// What is looked at is paid for by the time that runs take, and long runs are all looked at.
#[test]
fn looking_is_within_its_share_of_the_time_of_runs() {
    for (duration_us, every) in [(10, 0.0), (50, 0.01), (1000, 0.6), (2000, 0.9), (100_000, 1.0)] {
        let recorder = recorder(None);
        let count = 2000;
        let x = vec![0.5; 10_000];
        for _ in 0..count {
            run(&recorder, &lasting(Duration::from_micros(duration_us)), &x, &[1.0, 0.0, 0.0]);
        }
        let snapshot = recorder.close_window();
        let looked = snapshot.tensors[0].window.unwrap().runs as f64;
        // The first run is looked at whatever it took.
        let elements: u64 = snapshot.tensors.iter().map(|tensor| tensor.values.counts.iter().sum::<u64>()).sum();
        let share = (elements as f64 * ELEMENT_NS) / (f64::from(count) * duration_us as f64 * 1e3);
        assert!(share <= SHARE || looked <= 2.0, "{duration_us} us: {share}");
        assert!(looked / f64::from(count) >= every, "{duration_us} us: {looked} of {count}");
    }
}

#[test]
fn without_a_clock_some_runs_are_looked_at() {
    let recorder = recorder(None);
    (0..=BLIND_STEP).for_each(|_| run(&recorder, &Run::default(), &[0.0; 4], &[1.0, 0.0, 0.0]));
    assert_eq!(recorder.close_window().tensors[0].window.unwrap().runs, 2);
}

#[test]
fn threads_may_share_it() {
    let recorder = recorder(None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..250).for_each(|_| run(&recorder, &lasting(Duration::from_millis(1)), &[0.0; 4], &[1.0, 0.0, 0.0]))
            });
        }
    });
    assert_eq!(recorder.close_window().runs[0].durations.count(), 1000);
}
