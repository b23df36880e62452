//! Telling a recorder of every run, in builds that have one.

use crate::error::Error;
use crate::inputs::Outputs;
use crate::load::Stopwatch;
use crate::options::Options;
use crate::report::Report;
use pannier_bundle::Manifest;
use pannier_engine::{Clock, Prepared, Tensor, TensorView};

#[cfg(feature = "telemetry")]
pub(crate) use with::{Observer, wants_baseline};
#[cfg(not(feature = "telemetry"))]
pub(crate) use without::{Observer, wants_baseline};

#[cfg(feature = "telemetry")]
mod with {
    use super::*;
    use pannier_telemetry::{About, Baseline, Recorder, Run};
    use std::sync::Arc;
    use std::time::Duration;

    /// Whether the `baseline` section is read.
    pub(crate) fn wants_baseline(options: &Options) -> bool {
        options.observe
    }

    /// The recorder, where the caller asked for one.
    pub(crate) struct Observer {
        recorder: Option<Arc<Recorder>>,
        clock: Option<Clock>,
    }

    impl Observer {
        pub(crate) fn new(
            manifest: &Manifest,
            labels: &[Vec<String>],
            baseline: Option<&[u8]>,
            report: &Report,
            options: &Options,
        ) -> Result<Observer, Error> {
            let recorder = || -> Result<_, Error> {
                let baseline = baseline.map(Baseline::decode).transpose()?;
                let about = About {
                    engine: report.engine.to_owned(),
                    target: if cfg!(target_family = "wasm") { "browser" } else { "native" },
                    load: options.clock.map(|_| Duration::from_secs_f64(report.load.total_ms() / 1e3)),
                };
                Ok(Arc::new(Recorder::new(manifest, labels, baseline.as_ref(), about)))
            };
            let recorder = options.observe.then(recorder).transpose()?;
            Ok(Observer { recorder, clock: options.clock.filter(|_| options.observe) })
        }

        pub(crate) fn recorder(&self) -> Option<&Arc<Recorder>> {
            self.recorder.as_ref()
        }

        /// The clock to measure runs with, if anybody wants to know.
        pub(crate) fn clock(&self) -> Option<Clock> {
            self.clock
        }

        pub(crate) fn succeeded(
            &self,
            start: &Stopwatch,
            inputs: &[TensorView<'_>],
            outputs: &[Tensor],
            prepared: &dyn Prepared,
        ) {
            let Some(recorder) = &self.recorder else { return };
            let peak = || {
                let memory = prepared.memory();
                memory.weight_bytes.saturating_add(memory.peak_bytes)
            };
            let run = Run { duration: start.elapsed(), queue: None, peak_memory_bytes: Some(&peak) };
            recorder.succeeded(&run, inputs.iter().copied(), outputs.iter().map(Tensor::view));
        }

        /// Records a run that failed, wherever it did.
        pub(crate) fn outcome(&self, start: &Stopwatch, outcome: Result<Outputs, Error>) -> Result<Outputs, Error> {
            if let (Some(recorder), Err(error)) = (&self.recorder, &outcome) {
                recorder.failed(&Run { duration: start.elapsed(), ..Run::default() }, error.code());
            }
            outcome
        }
    }
}

/// Nothing, at no cost.
#[cfg(not(feature = "telemetry"))]
mod without {
    use super::*;

    pub(crate) fn wants_baseline(_: &Options) -> bool {
        false
    }

    pub(crate) struct Observer;

    impl Observer {
        pub(crate) fn new(
            _: &Manifest,
            _: &[Vec<String>],
            _: Option<&[u8]>,
            _: &Report,
            _: &Options,
        ) -> Result<Observer, Error> {
            Ok(Observer)
        }

        pub(crate) fn clock(&self) -> Option<Clock> {
            None
        }

        pub(crate) fn succeeded(&self, _: &Stopwatch, _: &[TensorView<'_>], _: &[Tensor], _: &dyn Prepared) {}

        pub(crate) fn outcome(&self, _: &Stopwatch, outcome: Result<Outputs, Error>) -> Result<Outputs, Error> {
            outcome
        }
    }
}
