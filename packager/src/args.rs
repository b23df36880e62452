//! The command line, as types: help texts, documentation and shell completions are all made from them.

mod key;
mod quantize;
mod telemetry;
mod values;

pub use key::{KeyArgs, KeyCommand, KeyNewArgs, KeyShowArgs};
pub use quantize::{QuantizationArgs, QuantizeArgs};
pub use telemetry::{TelemetryArgs, TelemetryCommand, TelemetryShowArgs};
pub use values::{InputFile, NamedConstant, NamedShape, Percent, parse_shape};

use crate::quantize::settings::Scheme;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Packs a trained ONNX model into one signed file, and checks, opens and runs such files.
#[derive(Debug, Parser)]
#[command(
    name = "packager",
    version,
    about,
    max_term_width = 120,
    disable_help_subcommand = true,
    disable_help_flag = true
)]
#[command(after_help = "\
Examples:
  packager build model.onnx --sign publisher.pem -o model.pannier
  packager verify model.pannier --key publisher.pub

Data goes to stdout, everything else to stderr. `packager explain` lists error codes and exit statuses.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a packager.toml for a model
    Init(InitArgs),
    /// Turn an ONNX model into a bundle
    Build(BuildArgs),
    /// Make a model smaller or faster within a stated loss, and prove it
    Quantize(QuantizeArgs),
    /// Show what is in a bundle
    Inspect(InspectArgs),
    /// Sign a bundle, or replace this key's signature
    Sign(SignArgs),
    /// Check who signed a bundle and that it is whole
    Verify(VerifyArgs),
    /// Check a bundle, then add a second signature to it
    Approve(ApproveArgs),
    /// Write the sections and signatures of a bundle as files
    Unpack(UnpackArgs),
    /// Write the model in a bundle as another format
    Export(ExportArgs),
    /// Compare two bundles
    Diff(DiffArgs),
    /// Run a model on files
    Run(RunArgs),
    /// Measure how fast a model loads and runs
    Bench(BenchArgs),
    /// Show what telemetry says of a model
    Telemetry(TelemetryArgs),
    /// Make and show signing keys
    Key(KeyArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Explain an error code, or list them all
    Explain(ExplainArgs),
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print the JSON schema of this command's document and stop
    #[arg(long, global = true)]
    pub json_schema: bool,
    /// How to show progress
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        env = "PACKAGER_PROGRESS",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub progress: ProgressMode,
    /// When to use colour; NO_COLOR is honoured
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "PACKAGER_COLOR",
        hide_env_values = true,
        default_value = "auto"
    )]
    pub color: ColorMode,
    /// Say nothing but the answer, warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    // clap's own has two forms, and `--help` would take a paragraph for each option.
    /// Print help
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum ProgressMode {
    /// Bars on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// Plain lines
    Plain,
    /// Nothing
    None,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum ColorMode {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Whom to trust. One of the three.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Trust")]
#[group(id = "trust", multiple = false)]
pub struct TrustArgs {
    /// Trust this public key; may be given several times, and any one suffices [env: PACKAGER_KEY]
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// Trust whom this policy (TOML) says [env: PACKAGER_POLICY]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Accept a bundle whoever signed it, or nobody
    #[arg(long)]
    pub allow_unsigned: bool,
}

/// Where a model runs, and what it may use there.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Where it runs")]
pub struct PlaceArgs {
    /// Run in a sandbox (WebAssembly that can compute and nothing else), each run in a fresh instance
    #[arg(long)]
    pub sandbox: bool,
    /// Give the same answers bit by bit on every machine, natively and in the sandbox, where the engine can; slower
    #[arg(long)]
    pub deterministic: bool,
    /// Most memory that the model may hold, for example 512MB [default: as the bundle says]
    #[arg(long, value_name = "SIZE", value_parser = values::parse_size)]
    pub max_memory: Option<u64>,
    /// Longest that one run may take, for example 500ms or 2s [default: as the bundle says]
    #[arg(long, value_name = "TIME", value_parser = values::parse_time)]
    pub timeout: Option<Duration>,
}

/// The private key to sign with.
#[derive(Debug, Clone, Args)]
pub struct SigningKeyArgs {
    /// Private key to sign with (PEM)
    #[arg(long, value_name = "FILE", env = "PACKAGER_SIGN", hide_env_values = true)]
    pub key: PathBuf,
    /// The key's passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Where the passphrase of a private key comes from. Never the command line: other users can read that.
#[derive(Debug, Clone, Default, Args)]
pub struct PassphraseArgs {
    /// Read the key's passphrase from the first line of this file; otherwise from PACKAGER_KEY_PASSPHRASE, or
    /// ask on the terminal
    #[arg(long, value_name = "FILE", env = "PACKAGER_PASSPHRASE_FILE", hide_env_values = true)]
    pub passphrase_file: Option<PathBuf>,
}

/// `packager init`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager init model.onnx
  packager init model.onnx --force")]
pub struct InitArgs {
    /// The ONNX model; packager.toml is written beside it
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Replace a packager.toml that is there
    #[arg(long)]
    pub force: bool,
}

/// `packager build`
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  packager build model.onnx --shape x=1x4 --sign publisher.pem -o model.pannier
  packager build    (builds what packager.toml in this folder says)

Settings come from these flags, then from PACKAGER_* variables, then from packager.toml beside the model.")]
pub struct BuildArgs {
    /// The ONNX model; without it, every model that packager.toml names
    #[arg(value_name = "MODEL.onnx")]
    pub model: Option<PathBuf>,
    /// Where to write the bundle [default: as packager.toml says, else NAME.pannier]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to write: a bundle, or one WebAssembly file with the runtime and the model in it [default: pannier]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<BuildFormat>,
    /// Configuration to use instead of packager.toml beside the model
    #[arg(long, value_name = "FILE", env = "PACKAGER_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Build only this model of packager.toml, or NAME/VARIANT; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    pub only: Vec<String>,
    /// Sign with this private key (PEM)
    #[arg(long, value_name = "KEY", env = "PACKAGER_SIGN", hide_env_values = true)]
    pub sign: Option<PathBuf>,
    /// The key's passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The model's name [default: the file's name]
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    pub name: Option<String>,
    /// The model's version [default: 0.1.0]
    #[arg(
        long,
        value_name = "VERSION",
        env = "PACKAGER_MODEL_VERSION",
        hide_env_values = true,
        help_heading = "Model"
    )]
    pub model_version: Option<String>,
    /// One line about the model
    #[arg(long, value_name = "TEXT", help_heading = "Model")]
    pub description: Option<String>,
    /// SPDX expression of the model's licence
    #[arg(long, value_name = "SPDX", help_heading = "Model")]
    pub licence: Option<String>,
    /// Pin an input's shape, for example x=1x3x48x320, or x=batch,3,48,320 with a symbol; may be given several times
    #[arg(long, value_name = "NAME=SHAPE", help_heading = "Model")]
    pub shape: Vec<NamedShape>,
    /// Replace an input by a constant, for example sr=16000; may be given several times
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Model")]
    pub constant: Vec<NamedConstant>,
    /// Inputs with reference answers (.npz): compare with them, and keep a few as the self-test
    #[arg(long, value_name = "FILE", env = "PACKAGER_EVALUATE", hide_env_values = true, help_heading = "Measuring")]
    pub evaluate: Option<PathBuf>,
    /// Typical inputs (.npz)
    #[arg(long, value_name = "FILE", env = "PACKAGER_CALIBRATE", hide_env_values = true, help_heading = "Measuring")]
    pub calibrate: Option<PathBuf>,
    /// Fail when the share of right answers drops by more than this, for example 1%
    #[arg(long, value_name = "PERCENT", env = "PACKAGER_MAX_LOSS", hide_env_values = true, help_heading = "Measuring")]
    pub max_loss: Option<Percent>,
    /// Quantize: a scheme, or `auto` for what is smallest or fastest within --max-loss
    #[arg(
        long,
        value_name = "SCHEME",
        env = "PACKAGER_QUANTIZE",
        hide_env_values = true,
        help_heading = "Quantization"
    )]
    pub quantize: Option<Scheme>,
    /// How it is quantized.
    #[command(flatten)]
    pub quantization: QuantizationArgs,
    /// Also print warnings and errors as GitHub annotations
    #[arg(long)]
    pub ci: bool,
}

/// What `packager build` writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "lower")]
#[serde(rename_all = "lowercase")]
pub enum BuildFormat {
    /// A bundle
    #[default]
    Pannier,
    /// A WebAssembly module without imports, for browsers, Node and every other host
    Wasm,
    /// A WebAssembly component without imports
    Component,
}

impl BuildFormat {
    /// How names of such files end.
    pub fn extension(self) -> &'static str {
        match self {
            BuildFormat::Pannier => "pannier",
            BuildFormat::Wasm => "wasm",
            BuildFormat::Component => "component.wasm",
        }
    }
}

/// `packager inspect`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager inspect model.pannier
  packager inspect model.pannier --key publisher.pub --html report.html")]
pub struct InspectArgs {
    /// The bundle, or a self-contained .wasm; - for stdin
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// List the nodes of the graph
    #[arg(long)]
    pub graph: bool,
    /// Run the first golden case, and list the operators that the executor makes of the graph with their times
    #[arg(long, conflicts_with_all = ["graph", "html"])]
    pub plan: bool,
    /// Write a self-contained page with pictures; - for stdout
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// `packager sign`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager sign model.pannier --key publisher.pem
  packager sign unsigned.pannier --key publisher.pem -o signed.pannier")]
pub struct SignArgs {
    /// The bundle, or a self-contained .wasm; - for stdin
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The key.
    #[command(flatten)]
    pub key: SigningKeyArgs,
    /// Where to write the signed bundle; - for stdout [default: in place]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `packager verify`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager verify model.pannier --key publisher.pub --full
  packager verify model.pannier --policy policy.toml")]
pub struct VerifyArgs {
    /// The bundle, or a self-contained .wasm; - for stdin
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Also decompress everything and check the digests of the contents
    #[arg(long)]
    pub full: bool,
    /// Also build this model again with the recorded options and compare every byte
    #[arg(long, value_name = "MODEL.onnx")]
    pub rebuild: Option<PathBuf>,
    /// The inputs that a quantized model was calibrated with; --rebuild needs them
    #[arg(long, value_name = "FILE", requires = "rebuild")]
    pub calibrate: Option<PathBuf>,
    /// The inputs that a quantized model was judged with: --rebuild then measures again, too
    #[arg(long, value_name = "FILE", requires = "rebuild")]
    pub evaluate: Option<PathBuf>,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// `packager approve`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager approve model.pannier --key approver.pem --publisher publisher.pub
  packager approve model.pannier --key approver.pem --policy policy.toml -o approved.pannier

The bundle is checked first, contents included. With --policy, a key that the policy names must have signed it.")]
pub struct ApproveArgs {
    /// The bundle, or a self-contained .wasm; - for stdin
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The approver's key.
    #[command(flatten)]
    pub key: SigningKeyArgs,
    /// Public key that must have signed already; may be given several times, and any one suffices
    #[arg(long, value_name = "FILE", required_unless_present = "policy", conflicts_with = "policy")]
    pub publisher: Vec<PathBuf>,
    /// Policy (TOML) that names who may have signed
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Where to write the approved bundle; - for stdout [default: in place]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `packager unpack`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager unpack model.pannier unpacked --key publisher.pub
  packager unpack model.pannier files --allow-unsigned

Signatures are written in the OpenSSF Model Signing format, so its own tool accepts the folder:
  model_signing verify key unpacked --signature unpacked/model.sig --public_key publisher.pub")]
pub struct UnpackArgs {
    /// The bundle; - for stdin
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// A new or empty folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// `packager export`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager export model.pannier --onnx exported.onnx --key publisher.pub
  packager export model.pannier --onnx - --allow-unsigned > exported.onnx")]
pub struct ExportArgs {
    /// The bundle; - for stdin
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Write an ONNX model; - for stdout
    #[arg(long, value_name = "FILE", required = true)]
    pub onnx: PathBuf,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// `packager diff`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager diff model.pannier retrained.pannier
  packager diff model.pannier model.pannier --json

Ends with status 0 when nothing differs, with 1 when something does. Signatures are listed, not judged.")]
pub struct DiffArgs {
    /// The bundle before
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// The bundle after
    #[arg(value_name = "B")]
    pub after: PathBuf,
}

/// `packager run`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager run model.pannier cases.npz -o answers.npz --key publisher.pub
  packager run model.pannier notes.txt --key publisher.pub --sandbox --timeout 2s

An input is a tensor (.npy), one or many cases (.npz), or the kind of file that the model's manifest describes.")]
pub struct RunArgs {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Files to run on, each one a case; for a model with several inputs, INPUT=FILE for each; - for stdin
    #[arg(value_name = "FILE", required = true)]
    pub inputs: Vec<InputFile>,
    /// Write the output tensors here (.npz; one of them also as .npy, or .png for a heatmap)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Feed each case's state from the case before it, instead of the state that the file holds
    #[arg(long)]
    pub carry_state: bool,
    /// Cases that may run at the same time
    #[arg(long, value_name = "N", env = "PACKAGER_THREADS", hide_env_values = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Send metrics of the runs to this OpenTelemetry endpoint (OTLP over HTTP); OTEL_* variables say how
    #[arg(long, value_name = "URL")]
    pub telemetry: Option<String>,
    /// Where it runs.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Whom to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// `packager bench`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager bench model.pannier notes.txt --runs 50 --allow-unsigned --json
  packager bench model.pannier cases.npz --key publisher.pub --sandbox

With --sandbox, each measured run takes a fresh instance, and the time until such an instance is ready is measured, too.")]
pub struct BenchArgs {
    /// Runs to measure
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// What to run, as for `packager run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `packager completions`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager completions bash > packager.bash
  packager completions zsh > _packager")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `packager explain`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager explain E_UNSIGNED
  packager explain")]
pub struct ExplainArgs {
    /// The code, for example E_CORRUPT
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
    /// Print all of them as the documentation's page
    #[arg(long, hide = true, conflicts_with = "code")]
    pub markdown: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
