//! What the user wants of a quantization.

use super::Prune;
use super::prove::{GateMode, Metric};
use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize};
use std::str::FromStr;

/// What the user wants of a quantization.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How weights and activations are stored.
    pub scheme: Scheme,
    /// What may be lost, as a share. `None`: whatever it costs, which is measured and said.
    pub max_loss: Option<f64>,
    /// What has to be within it.
    pub gate: GateMode,
    /// What is measured; `None`: what the cases and the outputs allow.
    pub metric: Option<Metric>,
    /// What is to become small.
    pub objective: Objective,
    /// Names or operators of layers that stay as they are.
    pub exclude: Vec<String>,
    /// Names or operators of the only layers that are quantized; empty: all.
    pub include: Vec<String>,
    /// The processor whose integer products in other runtimes are to be exact.
    pub processor: Option<Processor>,
    /// What is set to zero.
    pub prune: Option<Prune>,
}

impl Settings {
    /// Whether schemes are chosen by measuring, rather than given.
    pub fn is_search(&self) -> bool {
        self.scheme == Scheme::Auto
    }
}

/// How weights and activations are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum Scheme {
    /// What is smallest or fastest within --max-loss, layer by layer
    Auto,
    /// Weights as binary16
    Fp16,
    /// Weights as 8-bit integers, one scale for each output channel
    Q8,
    /// As q8, and activations as 8-bit integers in ranges that each run finds
    Q8Dynamic,
    /// As q8, and activations as 8-bit integers in calibrated ranges
    Q8Static,
    /// Weights as 4-bit integers, one scale for each block of 32
    Q4,
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Scheme::Auto => "auto",
            Scheme::Fp16 => "fp16",
            Scheme::Q8 => "q8",
            Scheme::Q8Dynamic => "q8-dynamic",
            Scheme::Q8Static => "q8-static",
            Scheme::Q4 => "q4",
        })
    }
}

/// What is to become small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The file
    #[default]
    Size,
    /// The time of a run
    Latency,
    /// Both: integers where they are faster, and coarse steps everywhere
    Both,
}

/// Processors whose 8-bit products differ. This project's engines compute the same integers on all of them; other runtimes
/// need smaller codes on some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Processor {
    /// WebAssembly with 128-bit vectors
    Wasm,
    /// x86-64; without VNNI, pairs of products saturate at 16 bits unless weights stop at 63
    #[value(name = "x86-64")]
    #[serde(rename = "x86-64")]
    X86_64,
    /// 64-bit ARM
    Arm64,
}

impl Processor {
    /// Largest code of weights that are multiplied with 8-bit activations: with 63, two products of an unsigned and a signed
    /// byte stay within 16 bits, 2 * 255 * 63 < 32768.
    pub fn levels(self) -> u8 {
        match self {
            Processor::X86_64 => 63,
            Processor::Wasm | Processor::Arm64 => 127,
        }
    }
}

/// `50%`: that part of the weights of each layer; `2:4`: of each four weights, two stay; `channels=25%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PruneArg(pub Prune);

impl FromStr for PruneArg {
    type Err = String;

    fn from_str(text: &str) -> Result<PruneArg, String> {
        let expected = || "expected a part of the weights (50%), N of M that stay (2:4), or channels=25%".to_owned();
        let share = |text: &str| match text.parse::<crate::args::Percent>() {
            Ok(percent) if percent.fraction > 0.0 && percent.fraction < 1.0 => Ok(percent.fraction as f32),
            _ => Err(expected()),
        };
        if let Some((kept, group)) = text.split_once(':') {
            return match (kept.trim().parse::<u8>(), group.trim().parse::<u8>()) {
                (Ok(kept), Ok(group)) if kept > 0 && kept < group => Ok(PruneArg(Prune::Groups { kept, group })),
                _ => Err(expected()),
            };
        }
        Ok(PruneArg(match text.strip_prefix("channels=") {
            Some(text) => Prune::Channels(share(text)?),
            None => Prune::Magnitude(share(text)?),
        }))
    }
}

impl<'de> Deserialize<'de> for PruneArg {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<PruneArg, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_has_three_forms() {
        let cases = [
            ("50%", Some(Prune::Magnitude(0.5))),
            ("0.3", Some(Prune::Magnitude(0.3))),
            ("2:4", Some(Prune::Groups { kept: 2, group: 4 })),
            ("channels=25%", Some(Prune::Channels(0.25))),
            ("4:4", None),
            ("0:4", None),
            ("100%", None),
            ("0%", None),
            ("rows=1%", None),
            ("2:", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<PruneArg>().ok().map(|prune| prune.0), expected, "{text}");
        }
    }

    #[test]
    fn pairs_of_products_stay_within_16_bits_on_x86() {
        assert!(2 * 255 * i32::from(Processor::X86_64.levels()) <= i32::from(i16::MAX));
    }
}
