//! What `packager quantize` is told, and `packager build` of quantization.

use super::{NamedConstant, NamedShape, PassphraseArgs, Percent, TrustArgs};
use crate::quantize::prove::{GateMode, Metric};
use crate::quantize::settings::{Objective, Processor, PruneArg, Scheme};
use clap::Args;
use std::path::PathBuf;

/// What a quantization is to keep, and what it may touch.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Quantization")]
pub struct QuantizationArgs {
    /// What has to be within --max-loss [default: point]
    #[arg(long, value_name = "WHAT")]
    pub gate: Option<GateMode>,
    /// What is measured [default: accuracy where cases have labels, else agreement, else cosine]
    #[arg(long, value_name = "METRIC")]
    pub metric: Option<Metric>,
    /// What is to become small [default: size]
    #[arg(long, value_name = "WHAT")]
    pub objective: Option<Objective>,
    /// Leave layers of this name or operator as they are; a `*` at its end stands for anything
    #[arg(long, value_name = "LAYER")]
    pub exclude: Vec<String>,
    /// Quantize only layers of this name or operator, however small
    #[arg(long, value_name = "LAYER")]
    pub include: Vec<String>,
    /// Keep integer products exact on this processor in other runtimes, too
    #[arg(long, value_name = "PROCESSOR")]
    pub target: Option<Processor>,
    /// Prune first: a part of the weights (50%), all but N of M (2:4), or whole channels (channels=25%)
    #[arg(long, value_name = "WHAT")]
    pub prune: Option<PruneArg>,
}

/// `packager quantize`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager quantize model.onnx --scheme q8 --include MatMul -o small.pannier
  packager quantize model.pannier --scheme fp16 --include MatMul --key publisher.pub -o half.pannier

With --calibrate and --evaluate, the loss is measured; with --max-loss as well, it is kept, or no file is written (status 21).")]
pub struct QuantizeArgs {
    /// An ONNX model, or a bundle that is not quantized
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Where to write the quantized bundle
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How weights and activations are stored
    #[arg(long, value_name = "SCHEME", default_value = "auto", help_heading = "Quantization")]
    pub scheme: Scheme,
    /// How it is quantized.
    #[command(flatten)]
    pub quantization: QuantizationArgs,
    /// Inputs with labels, for judging (.npz)
    #[arg(long, value_name = "FILE", env = "PACKAGER_EVALUATE", hide_env_values = true, help_heading = "Measuring")]
    pub evaluate: Option<PathBuf>,
    /// Inputs for calibrating and choosing (.npz)
    #[arg(long, value_name = "FILE", env = "PACKAGER_CALIBRATE", hide_env_values = true, help_heading = "Measuring")]
    pub calibrate: Option<PathBuf>,
    /// Most that may be lost, for example 1%
    #[arg(long, value_name = "PERCENT", env = "PACKAGER_MAX_LOSS", hide_env_values = true, help_heading = "Measuring")]
    pub max_loss: Option<Percent>,
    /// Configuration to use instead of packager.toml beside the model
    #[arg(long, value_name = "FILE", env = "PACKAGER_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Pin an input's shape, for example x=1x3x48x320; of an ONNX model only
    #[arg(long, value_name = "NAME=SHAPE", help_heading = "Model")]
    pub shape: Vec<NamedShape>,
    /// Replace an input by a constant, for example sr=16000; of an ONNX model only
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Model")]
    pub constant: Vec<NamedConstant>,
    /// Sign with this private key (PEM)
    #[arg(long, value_name = "KEY", env = "PACKAGER_SIGN", hide_env_values = true)]
    pub sign: Option<PathBuf>,
    /// The key's passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Whom to trust, where the model is a bundle.
    #[command(flatten)]
    pub trust: TrustArgs,
}
