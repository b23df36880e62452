//! What a bundle says of how it was quantized: enough to do it again, and what was measured.
//!
//! The content of the section `quantization`; `SPEC.md` of the format describes it.

use super::prove::{GateMode, Metric, Outcome, SetRecord, Verdict, percent};
use super::search::{KindTime, Step};
use super::settings::{Objective, Scheme};
use super::{Recipe, TensorRecord};
use pannier_bundle::{Code, DecodeError, decode_versioned, encode_versioned};
use serde::{Deserialize, Serialize};

/// How a bundle was quantized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was asked for.
    pub scheme: Scheme,
    /// What was to become small.
    pub objective: Objective,
    /// What was chosen: with the original and the tuning set, this makes the same bytes again.
    pub recipe: Recipe,
    /// Every layer, in the order of the recipe.
    pub layers: Vec<LayerRecord>,
    /// Every tensor that was changed.
    pub tensors: Vec<TensorRecord>,
    /// What was calibrated and chosen with.
    pub tuning: Option<SetRecord>,
    /// What judged.
    pub held_out: Option<SetRecord>,
    /// What was measured there.
    pub proof: Option<Proof>,
    /// What was tried on the tuning set: size against accuracy.
    pub steps: Vec<Step>,
    /// Times that decided which layers compute with integers, where time counted.
    pub times: Vec<KindTime>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// Name of its node.
    pub name: String,
    /// Its operator.
    pub op: String,
    /// Weights.
    pub elements: u64,
    /// Bytes of its weights as they are stored, uncompressed.
    pub bytes_after: u64,
    /// Ratio of signal to noise at the model's outputs when it alone has 8-bit weights, in decibels; `None` where it was not
    /// measured.
    pub int8_sqnr_db: Option<f32>,
}

/// What was measured on the held-out set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What was measured.
    pub metric: Metric,
    /// What the gate said.
    pub verdict: Verdict,
    /// Right answers of the original; `None` where there are no labels.
    pub right_before: Option<u64>,
    /// Right answers after.
    pub right_after: Option<u64>,
    /// Right before and wrong after; without labels, decisions that differ.
    pub lost: u64,
    /// Wrong before and right after.
    pub gained: u64,
    /// Ratio of signal to noise at the outputs, in decibels.
    pub sqnr_db: f32,
}

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are no encoding of it, or of another version.
    #[error("the quantization record: {0}")]
    Decode(#[from] DecodeError),
    /// A number in it is out of its range, or a list longer than it may be.
    #[error("the quantization record: {what}")]
    Value {
        /// What is wrong.
        what: &'static str,
    },
}

impl RecordError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            RecordError::Decode(DecodeError::Version { .. }) => Code::UnsupportedVersion,
            RecordError::Decode(_) => Code::Corrupt,
            RecordError::Value { .. } => Code::Corrupt,
        }
    }
}

impl Record {
    /// Name of its section.
    pub const SECTION: &'static str = "quantization";
    /// Version of this structure on the wire.
    pub const VERSION: u16 = 1;
    /// Most layers, and most tensors.
    pub const ITEMS_MAX: usize = 1 << 20;
    /// Most steps of a search.
    pub const STEPS_MAX: usize = 4096;

    /// The bytes of the section.
    pub fn encode(&self) -> Vec<u8> {
        encode_versioned(Self::VERSION, self)
    }

    /// Reads the section. Allocates in proportion to `bytes` only; never panics.
    ///
    /// # Errors
    /// [`RecordError::Decode`], and [`RecordError::Value`] for what the encoding cannot express.
    pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
        let record: Record = decode_versioned(bytes, Self::VERSION)?;
        record.check().map_err(|what| RecordError::Value { what })?;
        Ok(record)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.layers.len() > Self::ITEMS_MAX || self.tensors.len() > Self::ITEMS_MAX {
            return Err("it has too many layers or tensors");
        }
        if self.steps.len() > Self::STEPS_MAX || self.times.len() > Self::ITEMS_MAX {
            return Err("it has too many steps or times");
        }
        if self.layers.len() != self.recipe.layers.len() {
            return Err("its recipe is not for its layers");
        }
        if self.tensors.iter().any(|tensor| tensor.layer >= self.layers.len()) {
            return Err("a tensor belongs to no layer");
        }
        let steps = self.steps.iter().flat_map(|step| [step.loss, f64::from(step.sqnr_db)]);
        let layers = self.layers.iter().filter_map(|layer| layer.int8_sqnr_db.map(f64::from));
        let proof = self.proof.iter().flat_map(|proof| {
            let Verdict { budget, loss, bound, .. } = proof.verdict;
            [budget.unwrap_or(0.0), loss, bound, f64::from(proof.sqnr_db)]
        });
        match steps.chain(layers).chain(proof).all(f64::is_finite) {
            true => Ok(()),
            false => Err("a number in it is not finite"),
        }
    }
}

impl Proof {
    pub(super) fn new(metric: Metric, outcome: &Outcome, verdict: Verdict, sqnr_db: f64) -> Proof {
        let (right_before, right_after, lost, gained) = match *outcome {
            Outcome::Labels { before, lost, gained, .. } => (Some(before), Some(before + gained - lost), lost, gained),
            Outcome::Decisions { differing, .. } => (None, None, differing, 0),
            Outcome::Losses(_) => (None, None, 0, 0),
        };
        Proof { metric, verdict, right_before, right_after, lost, gained, sqnr_db: sqnr_db as f32 }
    }

    /// What was measured, in one line.
    pub fn text(&self) -> String {
        let Verdict { loss, bound, cases, .. } = self.verdict;
        let measured = match (self.right_before, self.right_after) {
            (Some(before), Some(after)) => {
                format!(
                    "{after} of {cases} answers right, {before} before ({} lost, {} gained)",
                    self.lost, self.gained
                )
            }
            _ if self.metric == Metric::Agreement => format!("{} of {cases} decisions differ", self.lost),
            _ => format!("mean loss of {} ({}) over {cases} cases", percent(loss), self.metric),
        };
        format!("{measured}; loss {}, at most {} with 95 % confidence", percent(loss), percent(bound))
    }

    /// What the cases do not show, if there is a budget and only a measured loss within it.
    pub(super) fn warning(&self) -> Option<String> {
        let Verdict { bound, cases, mode, needed_cases, budget, .. } = self.verdict;
        let budget = budget?;
        if mode == GateMode::Bound || bound <= budget {
            return None;
        }
        let needed = match needed_cases {
            Some(needed) if needed > cases => format!("; about {} more cases would show it", needed - cases),
            _ => String::new(),
        };
        Some(format!(
            "{cases} cases show a loss of at most {} (95 %), not of {}{needed}",
            percent(bound),
            percent(budget)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::prove::judge;
    use super::super::{LayerScheme, RangeEstimator, Role, Rounding};
    use super::*;

    fn record() -> Record {
        let outcome = Outcome::Labels { cases: 114, before: 111, lost: 1, gained: 0 };
        let verdict = judge(&outcome, Some(0.01), GateMode::Point);
        let mut recipe = Recipe::uniform(2, LayerScheme::INT8);
        recipe.layers[0] = LayerScheme::Float;
        recipe.range = RangeEstimator::Percentile(99.99);
        let layer = |name: &str| LayerRecord {
            name: name.into(),
            op: "Conv".into(),
            elements: 4096,
            bytes_after: 4160,
            int8_sqnr_db: Some(31.5),
        };
        Record {
            scheme: Scheme::Auto,
            objective: Objective::Size,
            recipe,
            layers: vec![layer("stem"), layer("body")],
            tensors: vec![TensorRecord {
                layer: 1,
                tensor: "w".into(),
                role: Role::Weight,
                scheme: "int8".into(),
                scales: None,
                range: Some([-1.0, 1.0]),
                estimator: None,
                rounding: Rounding::Adaptive,
                zeros: 0.25,
                sqnr_db: Some(40.0),
                bytes_before: 16384,
                bytes_after: 4160,
            }],
            tuning: Some(SetRecord { sha256: [1; 32], cases: 96, is_half: false }),
            held_out: Some(SetRecord { sha256: [2; 32], cases: 114, is_half: false }),
            proof: Some(Proof::new(Metric::Accuracy, &outcome, verdict, 33.0)),
            steps: vec![Step { what: "noise".into(), weight_bytes: 5, loss: 0.0, sqnr_db: 25.0, within: true }],
            times: vec![KindTime { op: "Conv".into(), elements: 9, layers: 2, float_ns: 9, integer_ns: 5 }],
        }
    }

    #[test]
    fn a_record_survives_its_encoding() {
        let record = record();
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let bytes = record().encode();
        for end in 0..bytes.len() {
            assert!(Record::decode(&bytes[..end]).is_err(), "{end}");
        }
        for place in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[place] ^= flip;
                // Whatever it is then, it is either refused or encodes to what was read.
                if let Ok(read) = Record::decode(&damaged) {
                    assert_eq!(read.encode(), damaged, "{place} {flip}");
                }
            }
        }
        let mut long = bytes.clone();
        long.push(0);
        assert!(Record::decode(&long).is_err());
    }

    /// What must hold for any bytes: they are refused with a code, or they are the only encoding of what was read, which is no
    /// longer than they are.
    fn check_any(bytes: &[u8]) -> bool {
        match Record::decode(bytes) {
            Ok(record) => {
                assert_eq!(record.encode(), bytes, "a record with two encodings");
                let lists = [&record.layers.len(), &record.tensors.len(), &record.steps.len(), &record.times.len()];
                assert!(lists.into_iter().all(|len| *len <= bytes.len()), "{lists:?} of {} bytes", bytes.len());
                true
            }
            Err(error) => {
                assert!([Code::Corrupt, Code::UnsupportedVersion].contains(&error.code()), "{error}");
                false
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_the_only_encoding() {
        let original = record().encode();
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below.max(1)
        };
        // Lengths as long as they can be said to be, and longer than needed.
        let numbers: [&[u8]; 4] = [&[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80, 0], &[0xff; 10], &[0x7f]];
        let mut accepted = 0;
        for _ in 0..20_000 {
            let mut bytes = original.clone();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                let end = (at + next(12)).min(bytes.len());
                match next(5) {
                    0 => bytes[at] ^= 1 << next(8),
                    1 => bytes[at] = next(256) as u8,
                    2 => drop(bytes.drain(at..end)),
                    3 => bytes.extend_from_within(at..end),
                    _ => drop(bytes.splice(at..at, numbers[next(4)].iter().copied())),
                }
                if bytes.is_empty() {
                    bytes.push(1);
                }
            }
            accepted += usize::from(check_any(&bytes));
            let noise: Vec<u8> =
                (0..next(64)).map(|index| if index < 2 { (index == 0).into() } else { next(256) as u8 }).collect();
            check_any(&noise);
        }
        assert!(accepted > 1000, "most damage is refused for its lengths, which says nothing: {accepted}");
    }

    #[test]
    fn what_the_encoding_cannot_express_is_checked() {
        type Damage = fn(&mut Record);
        let cases: &[(&str, Damage)] = &[
            ("recipe", |record| record.recipe.layers.truncate(1)),
            ("layer", |record| record.tensors[0].layer = 2),
            ("finite", |record| record.steps[0].loss = f64::NAN),
            ("finite", |record| record.layers[0].int8_sqnr_db = Some(f32::INFINITY)),
            ("steps", |record| record.steps = vec![record.steps[0].clone(); Record::STEPS_MAX + 1]),
        ];
        for (word, damage) in cases {
            let mut record = record();
            damage(&mut record);
            let error = Record::decode(&record.encode()).unwrap_err();
            assert!(error.to_string().contains(word), "{word}: {error}");
            assert_eq!(error.code(), Code::Corrupt);
        }
        let version = [2u8, 0].iter().chain(&record().encode()[2..]).copied().collect::<Vec<_>>();
        assert_eq!(Record::decode(&version).unwrap_err().code(), Code::UnsupportedVersion);
    }

    #[test]
    fn a_proof_says_what_it_does_not_show() {
        let proof = record().proof.unwrap();
        assert!(
            proof.text().starts_with("110 of 114 answers right, 111 before (1 lost, 0 gained); loss 0.88 %"),
            "{}",
            proof.text()
        );
        let warning = proof.warning().unwrap();
        assert!(warning.contains("114 cases show a loss of at most") && warning.contains("more cases"), "{warning}");
    }
}
