//! `packager quantize`: an ONNX model or a bundle, smaller or faster within a stated loss.

use super::build::run_targets;
use crate::args::{BuildArgs, QuantizeArgs, TrustArgs};
use crate::input::{self, BundleSource};
use crate::{Context, Error, build, config};

const SCHEMA: &str = "pannier.dev/quantize/v1";

/// Quantizes an ONNX model as `packager build --quantize` does, or the model in a bundle.
///
/// # Errors
/// Those of [`build::build`] and [`build::build_again`]; of reading, trusting and writing.
pub fn run(args: &QuantizeArgs, context: &Context) -> Result<(), Error> {
    match is_bundle(args)? {
        true => of_bundle(args, context),
        false => of_onnx(args, context),
    }
}

fn is_bundle(args: &QuantizeArgs) -> Result<bool, Error> {
    /// How a bundle begins, whatever its version; no ONNX model does.
    const MAGIC: &[u8] = b"PANNIER";
    let mut start = [0; MAGIC.len()];
    let read = |cause| Error::Read { path: args.model.clone(), cause };
    let mut file = std::fs::File::open(&args.model).map_err(read)?;
    let filled = std::io::Read::read(&mut file, &mut start).map_err(read)?;
    Ok(start.get(..filled) == Some(MAGIC))
}

fn of_onnx(args: &QuantizeArgs, context: &Context) -> Result<(), Error> {
    let TrustArgs { key, policy, allow_unsigned } = &args.trust;
    if !key.is_empty() || policy.is_some() || *allow_unsigned {
        return Err(Error::usage_with_hint(
            "--key, --policy and --allow-unsigned say whose bundles to trust, and this is an ONNX model",
            "--sign KEY.pem signs what is written",
        ));
    }
    let targets = config::targets(&build_args(args))?;
    run_targets(SCHEMA, &targets, &args.passphrase, context, &build::build)
}

fn of_bundle(args: &QuantizeArgs, context: &Context) -> Result<(), Error> {
    if !args.shape.is_empty() || !args.constant.is_empty() {
        return Err(Error::usage("--shape and --constant are for ONNX models: the graph of a bundle is finished"));
    }
    // The model is run, and by that trusted.
    let trust = input::required_trust(&args.trust)?;
    let source = BundleSource::open(&args.model)?;
    let bundle = input::verify(input::open_source(source, &args.model)?, &trust, &args.model)?;
    let manifest = bundle.manifest().clone();
    let mut targets = config::targets(&build_args(args))?;
    for target in &mut targets {
        target.name = manifest.name.clone();
        target.version = manifest.version.clone();
        target.description = manifest.description.clone();
        target.licence = manifest.licence.clone();
        target.target_hints = manifest.target_hints.clone();
        target.deadline_ms = manifest.envelope.deadline_ms;
    }
    run_targets(SCHEMA, &targets, &args.passphrase, context, &|target, signer, progress| {
        build::build_again(&bundle, target, signer, progress).map_err(|error| error.in_file(&args.model))
    })
}

/// The same as flags of `packager build`.
fn build_args(args: &QuantizeArgs) -> BuildArgs {
    BuildArgs {
        model: Some(args.model.clone()),
        output: Some(args.output.clone()),
        config: args.config.clone(),
        sign: args.sign.clone(),
        passphrase: args.passphrase.clone(),
        shape: args.shape.clone(),
        constant: args.constant.clone(),
        evaluate: args.evaluate.clone(),
        calibrate: args.calibrate.clone(),
        max_loss: args.max_loss,
        quantize: Some(args.scheme),
        quantization: args.quantization.clone(),
        ..BuildArgs::default()
    }
}
