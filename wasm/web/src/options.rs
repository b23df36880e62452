//! What JavaScript says when it loads a bundle.

use std::sync::Arc;
use std::time::Duration;

use pannier::{Limits, Options, Trust};
use pannier_wasm_interface::{Failure, trust};
use serde::Deserialize;

use crate::{engines, host};

/// How a bundle is loaded. The names are those of `js/options.js`, which also says what they mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LoadOptions {
    trust: TrustOption,
    self_test: bool,
    now_unix_s: u64,
    memory_bytes: Option<u64>,
    content_bytes: Option<u64>,
    deadline_ms: Option<f64>,
    load_deadline_ms: Option<f64>,
    observe: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
enum TrustOption {
    Keys(Vec<String>),
    Policy(String),
    AllowUnsigned,
}

impl LoadOptions {
    /// Options as JSON.
    pub(crate) fn parse(json: &str) -> Result<LoadOptions, Failure> {
        serde_json::from_str(json).map_err(|error| Failure::usage(format!("the options are not valid: {error}")))
    }

    /// Whom to trust.
    pub(crate) fn trust(&self) -> Result<Trust, Failure> {
        match &self.trust {
            TrustOption::Keys(keys) => trust::from_keys(keys.iter().map(String::as_str)),
            TrustOption::Policy(toml) => trust::from_policy(toml),
            TrustOption::AllowUnsigned => Ok(Trust::AllowUnsigned),
        }
    }

    /// The session's options.
    pub(crate) fn session(&self) -> Result<Options, Failure> {
        if self.observe && !cfg!(feature = "telemetry") {
            return Err(Failure::usage("this module records nothing: for telemetry there is another one".to_owned()));
        }
        let limits = Limits::default();
        let content_bytes = self.content_bytes.unwrap_or(limits.content_bytes);
        Ok(Options {
            engines: engines(),
            limits: Limits { content_bytes, ..limits },
            memory_bytes: self.memory_bytes,
            deadline: duration(self.deadline_ms)?,
            load_deadline: duration(self.load_deadline_ms)?,
            self_test: self.self_test,
            now_unix_s: Some(self.now_unix_s),
            clock: Some(host::now),
            on_step: Some(Arc::new(host::tell)),
            #[cfg(feature = "telemetry")]
            observe: self.observe,
            ..Options::default()
        })
    }
}

fn duration(ms: Option<f64>) -> Result<Option<Duration>, Failure> {
    let convert = |ms: f64| {
        Duration::try_from_secs_f64(ms / 1e3).map_err(|why| Failure::usage(format!("{ms} ms is no duration: {why}")))
    };
    ms.map(convert).transpose()
}
