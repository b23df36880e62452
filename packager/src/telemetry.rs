//! Telemetry of the runs of a command, where the command line names an endpoint.

use crate::args::RunArgs;
use crate::error::Error;
use crate::loaded::Loaded;
use crate::printer::Printer;
use crate::units;
use pannier_otlp::{Config, Exporter};
use std::time::UNIX_EPOCH;

/// Where the metrics of the runs go, if anywhere.
pub struct Telemetry<'a> {
    config: Option<Config>,
    printer: &'a Printer,
}

impl<'a> Telemetry<'a> {
    /// What the command line and the environment say. Without an endpoint on the command line nothing is sent.
    ///
    /// # Errors
    /// [`Error::Telemetry`].
    pub fn new(endpoint: Option<&str>, printer: &'a Printer) -> Result<Telemetry<'a>, Error> {
        let Some(endpoint) = endpoint else { return Ok(Telemetry { config: None, printer }) };
        let config = Config::with_endpoint(endpoint)?;
        if config.is_none() {
            printer.note("the environment says that no telemetry is wanted: nothing is sent");
        }
        Ok(Telemetry { config, printer })
    }

    /// Whether runs are to be recorded.
    pub fn is_wanted(&self) -> bool {
        self.config.is_some()
    }

    /// Does the work of the command and sends what the model's runs were, also when one of them failed. What the receiver
    /// does not take is no failure of the command.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn send<T>(&self, model: &Loaded, args: &RunArgs, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let (Some(config), Some(recorder)) = (&self.config, model.recorder()) else { return work() };
        recorder.installed_at(installed_unix_s(args));
        let exporter = Exporter::start(config);
        exporter.watch(recorder.clone());
        let done = work();
        let counts = exporter.shutdown();
        if counts.spool_bytes > 0 {
            let waiting = units::bytes(counts.spool_bytes);
            self.printer.warn(format!("{} did not take all telemetry: {waiting} wait for the next run", config.url));
        }
        if counts.rejected > 0 {
            self.printer.warn(format!("{} refused telemetry: it is lost", config.url));
        }
        done
    }
}

/// When the bundle's file was written, in seconds since 1970; 0 where it is no file.
pub fn installed_unix_s(args: &RunArgs) -> u64 {
    let modified = std::fs::metadata(&args.bundle).and_then(|metadata| metadata.modified()).ok();
    modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}
