//! What recording a run costs, beside how long the run may have taken at 1 kHz.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pannier_engine::TensorView;
use pannier_telemetry::sketch::Sketch;
use pannier_telemetry::{About, Recorder, Run};
use std::hint::black_box;
use std::time::Duration;

#[path = "support/manifest.rs"]
mod manifest;

/// A picture of `[1, 3, 224, 224]` in, 1000 scores out: each run said to take 1 ms.
fn record(c: &mut Criterion) {
    let mut group = c.benchmark_group("record");
    let (x, scores) = (vec![0.5f32; 3 * 224 * 224], vec![1e-3f32; 1000]);
    let (x_shape, scores_shape) = ([1, 3, 224, 224], [1, 1000]);
    for (name, duration_us) in [("run of 100 us", 100), ("run of 1 ms", 1000), ("run of 100 ms", 100_000)] {
        let about = About { engine: "executor".into(), target: "native", load: None };
        let recorder = Recorder::new(&manifest::manifest(), &[], None, about);
        let run = Run { duration: Some(Duration::from_micros(duration_us)), queue: None, peak_memory_bytes: None };
        group.bench_function(name, |b| {
            b.iter(|| {
                let inputs = [TensorView::from_slice(&x_shape, black_box(&x)).unwrap()];
                let outputs = [TensorView::from_slice(&scores_shape, &scores).unwrap()];
                recorder.succeeded(&run, inputs.into_iter(), outputs.into_iter());
            });
        });
    }
    group.finish();
}

fn sketch(c: &mut Criterion) {
    let mut group = c.benchmark_group("sketch");
    let values: Vec<f64> = (0..4096).map(|value| f64::from(value * 7919 % 4099) / 17.0 - 100.0).collect();
    group.throughput(Throughput::Elements(values.len() as u64));
    let mut sketch = Sketch::new();
    group.bench_function("record", |b| b.iter(|| values.iter().for_each(|value| sketch.record(*value))));
    group.finish();
}

criterion_group!(benches, record, sketch);
criterion_main!(benches);
