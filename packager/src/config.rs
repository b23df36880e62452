//! `packager.toml`: what to build, written down once.
//!
//! ```toml
//! [model.magika]
//! source = "model.onnx"
//! version = "1.0.0"
//! licence = "Apache-2.0"
//! evaluate = "evaluation.npz"
//! sign = "publisher.pem"
//!
//! [model.magika.inputs.bytes]
//! kind = "bytes"
//! head = 1024
//! tail = 1024
//! block = 4096
//! padding = 256
//!
//! [model.magika.outputs.target_label]
//! kind = "classes"
//! labels = "labels.json"
//!
//! # Whatever a variant does not say is as in the model it belongs to.
//! [model.magika.variant.batch]
//! shapes = { bytes = "batch,2048" }
//! ```
//!
//! Paths are relative to the folder of `packager.toml`. An unknown key is an error.

mod ports;
mod target;

pub use ports::{ColourName, ImageAxesName, InputConfig, InputContent, OutputConfig, OutputContent, ResizeConfig};
pub use target::{Target, default_name, targets};

use crate::args::{BuildFormat, NamedConstant, NamedShape, Percent, parse_shape};
use crate::error::Error;
use crate::quantize::prove::{GateMode, Metric};
use crate::quantize::settings::{Objective, Processor, PruneArg, Scheme};
use crate::suggest;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the file.
pub const FILE_NAME: &str = "packager.toml";

/// A whole `packager.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The models, by name.
    #[serde(rename = "model", default)]
    pub models: BTreeMap<String, ModelConfig>,
}

/// One model, with its variants.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The ONNX file.
    pub source: Option<PathBuf>,
    /// What is written: a bundle if not said.
    pub format: Option<BuildFormat>,
    /// Where it goes; `NAME.pannier`, `NAME.wasm` or `NAME.component.wasm` if not said.
    pub output: Option<PathBuf>,
    /// Semantic version of the model.
    pub version: Option<String>,
    /// One line about the model.
    pub description: Option<String>,
    /// SPDX expression of the licence.
    pub licence: Option<String>,
    /// Shapes that inputs are pinned to.
    #[serde(deserialize_with = "shapes")]
    pub shapes: Vec<NamedShape>,
    /// Inputs that become constants.
    #[serde(deserialize_with = "constants")]
    pub constants: Vec<NamedConstant>,
    /// Inputs with reference answers (`.npz`).
    pub evaluate: Option<PathBuf>,
    /// Typical inputs (`.npz`).
    pub calibrate: Option<PathBuf>,
    /// Largest loss of right answers, for example `"1%"`.
    #[serde(deserialize_with = "percent")]
    pub max_loss: Option<Percent>,
    /// How weights and activations are stored.
    pub quantize: Option<Scheme>,
    /// What has to be within `max_loss`.
    pub gate: Option<GateMode>,
    /// What is measured.
    pub metric: Option<Metric>,
    /// What is to become small.
    pub objective: Option<Objective>,
    /// Layers that stay as they are, by name or operator.
    pub exclude: Option<Vec<String>>,
    /// The only layers that are quantized, by name or operator.
    pub include: Option<Vec<String>>,
    /// The processor on which integer products are to be exact in other runtimes.
    pub target: Option<Processor>,
    /// What is set to zero.
    pub prune: Option<PruneArg>,
    /// Private key to sign with.
    pub sign: Option<PathBuf>,
    /// Longest that one run may take, in milliseconds.
    pub deadline_ms: Option<u32>,
    /// Most memory that a session may hold, in bytes; measured at build time if not said.
    pub peak_memory_bytes: Option<u64>,
    /// The model card (Markdown); written from the rest if not said.
    pub card: Option<PathBuf>,
    /// Targets that the publisher tested, for example `x86_64-linux`.
    pub target_hints: Option<Vec<String>>,
    /// What the inputs mean, by name.
    pub inputs: BTreeMap<String, InputConfig>,
    /// What the outputs mean, by name.
    pub outputs: BTreeMap<String, OutputConfig>,
    /// Other ways to build the same model, by name.
    pub variant: BTreeMap<String, ModelConfig>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`Error::Read`]: no such file. [`Error::Usage`]: not valid TOML, or a key that is not known.
    pub fn load(path: &Path) -> Result<Config, Error> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
        Config::parse(&text).map_err(|error| error.in_file(path))
    }

    /// Parses a configuration.
    ///
    /// # Errors
    /// [`Error::Usage`]: not valid TOML, or a key that is not known.
    pub fn parse(text: &str) -> Result<Config, Error> {
        let config: Config = toml::from_str(text).map_err(|error| explain(&error, text))?;
        for (name, model) in &config.models {
            if let Some((variant, _)) = model.variant.iter().find(|(_, variant)| !variant.variant.is_empty()) {
                return Err(Error::usage(format!("[model.{name}.variant.{variant}] cannot have variants of its own")));
            }
        }
        Ok(config)
    }
}

/// What serde says, with line and column, and with the key that was probably meant.
fn explain(error: &toml::de::Error, text: &str) -> Error {
    let message = error.message().trim();
    let place = error.span().map(|span| position(text, span.start));
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (message, hint) = match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") || message.starts_with("unknown variant") => {
            let what = if message.starts_with("unknown field") { "key" } else { "kind" };
            let hint = match suggest::closest(unknown, known.iter().copied()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            (format!("unknown {what} `{unknown}`"), Some(hint))
        }
        _ => (message.to_owned(), None),
    };
    let message = match place {
        Some((line, column)) => format!("{message} at line {line}, column {column}"),
        None => message,
    };
    Error::Usage { message, hint }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

/// A shape is text (`"1x3x48x320"`) or a list (`[1, 3, "height", 320]`).
#[derive(Deserialize)]
#[serde(untagged)]
enum ShapeText {
    Text(String),
    List(Vec<DimText>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DimText {
    Size(u64),
    Name(String),
}

fn shapes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NamedShape>, D::Error> {
    let map = BTreeMap::<String, ShapeText>::deserialize(from)?;
    map.into_iter()
        .map(|(name, shape)| {
            let text = match shape {
                ShapeText::Text(text) => text,
                ShapeText::List(dims) => {
                    let dims = dims.into_iter().map(|dim| match dim {
                        DimText::Size(size) => size.to_string(),
                        DimText::Name(name) => name,
                    });
                    dims.collect::<Vec<_>>().join(",")
                }
            };
            let dims =
                parse_shape(&text).map_err(|why| serde::de::Error::custom(format!("shape of `{name}`: {why}")))?;
            Ok(NamedShape { name, dims })
        })
        .collect()
}

fn constants<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NamedConstant>, D::Error> {
    let map = BTreeMap::<String, toml::Value>::deserialize(from)?;
    map.into_iter()
        .map(|(name, value)| match constant(&value) {
            Some(value) => Ok(NamedConstant { name, value }),
            None => Err(serde::de::Error::custom(format!("constant `{name}`: expected a number or a list of numbers"))),
        })
        .collect()
}

fn constant(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Array(items) => Some(items.iter().map(constant).collect::<Option<Vec<_>>>()?.join(",")),
        _ => None,
    }
}

fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Percent>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
