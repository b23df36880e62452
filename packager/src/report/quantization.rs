//! How a bundle was quantized and what it cost, from the record in it.

use crate::error::Error;
use crate::quantize::Role;
use crate::quantize::attestation::{self, Statement};
use crate::quantize::prove::SetRecord;
use crate::quantize::record::{LayerRecord, Proof, Record};
use crate::quantize::search::{KindTime, Step};
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
    pub tuning: Option<SetRecord>,
    /// What judged.
    pub held_out: Option<SetRecord>,
    /// What was measured there.
    pub proof: Option<Proof>,
    /// The same in one line.
    pub summary: String,
    /// What was tried on the tuning set.
    pub steps: Vec<Step>,
    /// Times that decided which layers compute with integers, where time counted.
    pub times: Vec<KindTime>,
    /// What the in-toto statement in the bundle says, if there is one: it is about this very graph and these weights.
    pub attestation: Option<String>,
}

/// A layer, with what became of its weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// What the bundle says of it.
    #[serde(flatten)]
    pub record: LayerRecord,
    /// How its weights are stored, in words.
    pub scheme: String,
    /// Bytes of its weights before.
    pub bytes_before: u64,
    /// Ratio of signal to noise of its weights in decibels, of the worst of them; `null` where nothing was lost.
    pub weight_sqnr_db: Option<f32>,
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
        let layer = |(index, layer): (usize, &LayerRecord)| {
            let tensors =
                || record.tensors.iter().filter(move |tensor| tensor.layer == index && tensor.role == Role::Weight);
            let before: u64 = tensors().map(|tensor| tensor.bytes_before).sum();
            Layer {
                record: layer.clone(),
                scheme: tensors().next().map_or("float32".to_owned(), |tensor| tensor.scheme.clone()),
                bytes_before: if before == 0 { layer.bytes_after } else { before },
                weight_sqnr_db: tensors().filter_map(|tensor| tensor.sqnr_db).reduce(f32::min),
            }
        };
        Quantization {
            scheme: record.scheme,
            objective: record.objective,
            layers: record.layers.iter().enumerate().map(layer).collect(),
            tuning: record.tuning.clone(),
            held_out: record.held_out.clone(),
            proof: record.proof.clone(),
            summary: record.proof.as_ref().map_or("nothing was measured".to_owned(), attestation::summary),
            steps: record.steps.clone(),
            times: record.times.clone(),
            attestation,
        }
    }

    /// Layers whose weights are not as they were.
    pub fn quantized_layers(&self) -> usize {
        self.layers.iter().filter(|layer| layer.scheme != "float32").count()
    }

    /// How long a run took when it was built, if that was measured.
    pub fn time(&self) -> Option<String> {
        let KindTime { float_ns, integer_ns, layers, .. } = self.times.iter().rev().find(|time| time.op == "*")?;
        let ms = |ns: &u64| *ns as f64 / 1e6;
        let integers = units::plural(*layers, "layer");
        Some(format!("{:.3} ms before, {:.3} ms with {integers} of integers", ms(float_ns), ms(integer_ns)))
    }

    /// A few lines for the screen.
    pub fn fields(&self, table: &mut Table) {
        let layers = format!("{} of {} layers", self.quantized_layers(), self.layers.len());
        table.field("scheme", format!("{}, {layers}", self.scheme));
        let before: u64 = self.layers.iter().map(|layer| layer.bytes_before).sum();
        let after: u64 = self.layers.iter().map(|layer| layer.record.bytes_after).sum();
        table.field("weights", format!("{} before, {} after, uncompressed", units::bytes(before), units::bytes(after)));
        for (label, set) in [("tuned on", &self.tuning), ("judged on", &self.held_out)] {
            if let Some(set) = set {
                let half = if set.is_half { ", half of one file" } else { "" };
                table.field(label, format!("{}{half}, {}", units::plural(set.cases, "case"), units::hex(&set.sha256)));
            }
        }
        table.field("proof", &self.summary);
        if let Some(time) = self.time() {
            table.field("run", time);
        }
        if let Some(attestation) = &self.attestation {
            table.field("attested", attestation.split(':').next().unwrap_or_default());
        }
    }
}
