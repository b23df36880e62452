//! Building a bundle's model again, to prove that it is what it says it is.

use super::cases::RunLimits;
use super::import_model;
use super::ports::Ports;
use super::quantization;
use super::sections::{self, Extras, LABELS_VERSION};
use crate::args::{NamedConstant, NamedShape};
use crate::content::{CONSTANT_OPTION, Interface};
use crate::error::Error;
use crate::quantize::prove::Sets;
use crate::quantize::{self, Record};
use crate::{input, units};
use pannier_bundle::{Source, Verified, decode_versioned};
use sha2::{Digest, Sha256};
use std::path::Path;

/// How a rebuilt bundle compares with the one that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// What differs, one sentence each. Empty: header and body are the same, byte for byte.
    pub differences: Vec<String>,
}

/// The inputs that a quantized model was made with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// What it was calibrated with.
    pub calibrate: Option<&'a Path>,
    /// What it was judged with: where it is given, the judgement is repeated.
    pub evaluate: Option<&'a Path>,
}

/// Imports `model` with the options that the manifest records, quantizes it with the recorded recipe, seals it with the bundle's
/// own golden cases, baseline, labels, card, bill of materials and search, and compares.
///
/// What it proves: graph and weights are those of this ONNX file, and nothing but the recorded options, the recorded recipe
/// and these inputs shaped them.
///
/// # Errors
/// Those of reading the bundle, of importing the model and of quantizing it. [`Error::Usage`]: the recipe needs inputs.
pub fn rebuild<S: Source>(verified: &Verified<S>, model: &Path, given: Given<'_>) -> Result<Rebuilt, Error> {
    let mut manifest = verified.manifest().clone();
    // First of all: the recorded options need not even fit another model.
    let digest: [u8; 32] = Sha256::digest(input::read(model)?).into();
    if digest != manifest.source.sha256 {
        let (found, expected) = (units::hex(&digest), units::hex(&manifest.source.sha256));
        let difference = format!("the model's SHA-256 is {found}, the bundle was made from {expected}");
        return Ok(Rebuilt { differences: vec![difference] });
    }
    let (mut shapes, mut constants) = (Vec::new(), Vec::new());
    for (option, value) in &manifest.source.options {
        let parsed = match option.as_str() {
            CONSTANT_OPTION => value.parse::<NamedConstant>().map(|constant| constants.push(constant)),
            "shape" => value.parse::<NamedShape>().map(|shape| shapes.push(shape)),
            _ => Err("it is not known".to_owned()),
        };
        if let Err(reason) = parsed {
            return Ok(Rebuilt {
                differences: vec![format!("the recorded option `{option} {value}` cannot be used: {reason}")],
            });
        }
    }
    let imported = import_model(model, &shapes, &constants)?;

    manifest.source = imported.source;
    let optional = |name: &str| match verified.section(name) {
        Some(_) => verified.read(name),
        None => Ok(Vec::new()),
    };
    let labels = optional("labels")?;
    let labels = match labels.is_empty() {
        true => Ok(Vec::new()),
        false => decode_versioned(&labels, LABELS_VERSION),
    };
    let mut labels = labels.map_err(|why| pannier_bundle::Error::Decode { what: "labels".into(), why })?;
    let card = String::from_utf8_lossy(&optional("card")?).into_owned();
    let (mut program, mut differences) = (imported.program, Vec::new());
    let (mut quantization, mut attestation) = (Vec::new(), Vec::new());
    manifest.quantization = Vec::new();
    if verified.section(Record::SECTION).is_some() {
        let recorded = Record::decode(&verified.read(Record::SECTION)?)?;
        let ports = Ports { inputs: manifest.inputs.clone(), outputs: manifest.outputs.clone(), labels };
        let interface = Interface { inputs: &ports.inputs, outputs: &ports.outputs, source: &manifest.source };
        let sets = Sets::read_again(given.calibrate, given.evaluate, recorded.tuning.as_ref(), interface)?;
        let model = quantization::model(&ports, RunLimits::GIVEN);
        let again = quantize::repeat(&program, model, &recorded, &sets)?;
        differences.extend(again.differences);
        manifest.quantization = quantization::manifest_entries(&again.record);
        quantization = again.record.encode();
        attestation = quantization::attestation(&again.program, &again.record)?;
        program = again.program;
        labels = ports.labels;
    }
    let (golden, baseline, bom) = (optional("golden")?, optional("baseline")?, optional("bom")?);
    let extras = Extras { golden, baseline, labels, card, bom, quantization, attestation };
    let sealed = sections::assemble(&program, &mut manifest, &extras, |_, _| ())?;

    let (ours, theirs) = (sealed.header(), verified.header());
    for section in &theirs.sections {
        match ours.sections.iter().find(|other| other.name == section.name) {
            None => differences.push(format!("section `{}` is not made by a build of this model", section.name)),
            Some(other) if other.sha256 != section.sha256 => {
                differences.push(format!("section `{}` has other content", section.name));
            }
            Some(other) if other != section => {
                differences.push(format!("section `{}` has the same content, compressed in another way", section.name));
            }
            Some(_) => {}
        }
    }
    for section in ours.sections.iter().filter(|ours| theirs.sections.iter().all(|other| other.name != ours.name)) {
        differences.push(format!("section `{}` is missing", section.name));
    }
    Ok(Rebuilt { differences })
}
