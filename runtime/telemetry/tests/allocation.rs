//! Recording allocates nothing after the first run of each outcome, on windows that follow, too.

use pannier_bundle::Code;
use pannier_engine::TensorView;
use pannier_telemetry::{About, Recorder, Run};
use std::time::Duration;

#[path = "../benches/support/manifest.rs"]
mod manifest;

#[path = "../../tests/support/counting.rs"]
mod counting;

#[test]
fn recording_allocates_nothing_after_the_first_run() {
    let about = About { engine: "executor".into(), target: "native", load: None };
    let recorder = Recorder::new(&manifest::manifest(), &[], None, about);
    let (x, shape, scores_shape) = (vec![0.5f32; 3 * 224 * 224], [1, 3, 224, 224], [1, 1000]);
    let mut scores = vec![0.0f32; 1000];
    let run = Run { duration: Some(Duration::from_millis(50)), ..Run::default() };
    let mut record = |class: usize| {
        scores[class] = class as f32;
        let inputs = [TensorView::from_slice(&shape, &x).unwrap()];
        let outputs = [TensorView::from_slice(&scores_shape, &scores).unwrap()];
        recorder.succeeded(&run, inputs.into_iter(), outputs.into_iter());
        recorder.failed(&run, Code::Deadline);
    };
    record(0);
    let before = counting::allocations();
    (1..1000).for_each(&mut record);
    assert_eq!(counting::allocations() - before, 0, "other classes and magnitudes every time");
    drop(recorder.close_window());
    let before = counting::allocations();
    (0..100).for_each(&mut record);
    assert_eq!(counting::allocations() - before, 0, "in the window after");
}
