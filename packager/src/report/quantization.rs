//! How a bundle was quantized and what it cost, from the record in it.

use crate::error::Error;
use crate::quantize::Role;
use crate::quantize::attestation::{self, Statement};
use crate::quantize::prove::{SetRecord, Verdict};
use crate::quantize::record::{Proof, Record};
use crate::quantize::search::Step;
use crate::quantize::settings::{Objective, Scheme};
use crate::table::Table;
use crate::units;
use pannier_bundle::Verified;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a bundle was quantized and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantization {
    /// What was asked for.
    pub scheme: Scheme,
    /// What was to become small.
    pub objective: Objective,
    /// Every layer.
    pub layers: Vec<Layer>,
    /// What was calibrated and chosen with.
    pub tuning: Option<Set>,
    /// What judged.
    pub held_out: Option<Set>,
    /// What was measured there.
    pub proof: Option<ProofSummary>,
    /// What was tried on the tuning set.
    pub steps: Vec<Step>,
    /// What the in-toto statement in the bundle says, if there is one: it is about this very graph and these weights.
    pub attestation: Option<String>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Name of its node.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// Weights.
    pub elements: u64,
    /// How its weights are stored, in words.
    pub scheme: String,
    /// Bytes of its weights before.
    pub bytes_before: u64,
    /// Bytes of its weights after, uncompressed.
    pub bytes_after: u64,
    /// Ratio of signal to noise of its weights in decibels, of the worst of them; `null` where nothing was lost.
    pub weight_sqnr_db: Option<f32>,
    /// Ratio of signal to noise at the model's outputs when it alone has 8-bit weights; `null` where it was not measured.
    pub int8_sqnr_db: Option<f32>,
}

/// A set of cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Set {
    /// SHA-256 over the digests of its cases, in hex.
    pub sha256: String,
    /// Cases.
    pub cases: u64,
    /// Whether it is one half of the only file that was given.
    pub is_half: bool,
}

/// What was measured on the held-out set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProofSummary {
    /// What was measured.
    pub metric: String,
    /// What the gate said.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Right answers of the original, where there are labels.
    pub right_before: Option<u64>,
    /// Right answers after.
    pub right_after: Option<u64>,
    /// Right before and wrong after; without labels, decisions that differ.
    pub lost: u64,
    /// Wrong before and right after.
    pub gained: u64,
    /// Ratio of signal to noise at the outputs, in decibels.
    pub sqnr_db: f32,
    /// All of it in one line.
    pub text: String,
}

/// Reads the record and the attestation of a bundle; `None` where it has no record.
///
/// # Errors
/// [`Error::Record`], [`Error::Attestation`]: they are damaged, or about another model.
pub fn read<S: pannier_bundle::Source>(bundle: &Verified<S>) -> Result<Option<Quantization>, Error> {
    if bundle.section(Record::SECTION).is_none() {
        return Ok(None);
    }
    let record = Record::decode(&bundle.read(Record::SECTION)?)?;
    let attestation = match bundle.section(attestation::SECTION) {
        Some(_) => {
            let sections = &bundle.header().sections;
            let digests: BTreeMap<String, String> =
                sections.iter().map(|section| (section.name.clone(), units::hex(&section.sha256))).collect();
            Statement::decode(&bundle.read(attestation::SECTION)?, &digests)?.map(|statement| statement.text())
        }
        None => None,
    };
    Ok(Some(Quantization::new(&record, attestation)))
}

impl Quantization {
    fn new(record: &Record, attestation: Option<String>) -> Quantization {
        let layer = |(index, layer): (usize, &crate::quantize::record::LayerRecord)| {
            let tensors =
                || record.tensors.iter().filter(move |tensor| tensor.layer == index && tensor.role == Role::Weight);
            let before: u64 = tensors().map(|tensor| tensor.bytes_before).sum();
            Layer {
                name: layer.name.clone(),
                op: layer.op.clone(),
                elements: layer.elements,
                scheme: tensors().next().map_or("float32".to_owned(), |tensor| tensor.scheme.clone()),
                bytes_before: if before == 0 { layer.bytes_after } else { before },
                bytes_after: layer.bytes_after,
                weight_sqnr_db: tensors().filter_map(|tensor| tensor.sqnr_db).reduce(f32::min),
                int8_sqnr_db: layer.int8_sqnr_db,
            }
        };
        Quantization {
            scheme: record.scheme,
            objective: record.objective,
            layers: record.layers.iter().enumerate().map(layer).collect(),
            tuning: record.tuning.as_ref().map(Set::from),
            held_out: record.held_out.as_ref().map(Set::from),
            proof: record.proof.as_ref().map(ProofSummary::from),
            steps: record.steps.clone(),
            attestation,
        }
    }

    /// Layers whose weights are not as they were.
    pub fn quantized_layers(&self) -> usize {
        self.layers.iter().filter(|layer| layer.scheme != "float32").count()
    }

    /// A few lines for the screen.
    pub fn fields(&self, table: &mut Table) {
        let layers = format!("{} of {} layers", self.quantized_layers(), self.layers.len());
        table.field("scheme", format!("{}, {layers}", self.scheme));
        let before: u64 = self.layers.iter().map(|layer| layer.bytes_before).sum();
        let after: u64 = self.layers.iter().map(|layer| layer.bytes_after).sum();
        table.field("weights", format!("{} before, {} after, uncompressed", units::bytes(before), units::bytes(after)));
        for (label, set) in [("tuned on", &self.tuning), ("judged on", &self.held_out)] {
            if let Some(set) = set {
                let half = if set.is_half { ", half of one file" } else { "" };
                table.field(label, format!("{}{half}, {}", units::plural(set.cases, "case"), set.sha256));
            }
        }
        table.field("proof", self.proof.as_ref().map_or("nothing was measured", |proof| proof.text.as_str()));
        if let Some(attestation) = &self.attestation {
            table.field("attested", attestation.split(':').next().unwrap_or_default());
        }
    }
}

impl From<&SetRecord> for Set {
    fn from(set: &SetRecord) -> Set {
        Set { sha256: units::hex(&set.sha256), cases: set.cases, is_half: set.is_half }
    }
}

impl From<&Proof> for ProofSummary {
    fn from(proof: &Proof) -> ProofSummary {
        ProofSummary {
            metric: proof.metric.to_string(),
            verdict: proof.verdict,
            right_before: proof.right_before,
            right_after: proof.right_after,
            lost: proof.lost,
            gained: proof.gained,
            sqnr_db: proof.sqnr_db,
            text: attestation::summary(proof),
        }
    }
}
