//! The cases that a quantization is searched with, and those that judge it.
//!
//! Whatever is tuned on some cases looks better on them than it is. So there are two sets: the *tuning* set, on which ranges are
//! calibrated and schemes are chosen, and the *held-out* set, which is looked at when everything is decided.

use super::error::BudgetError;
use crate::content::{Case, CaseFile, Interface, Label, numbers};
use pannier_bundle::manifest::DType;
use pannier_engine::Tensor;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::Path;

/// Most bytes of all cases of a set in memory.
const SET_BYTES_MAX: u64 = 4 << 30;
/// Most cases that a search runs for each of its many candidates. More are kept for the gate alone.
const TUNING_CASES_MAX: usize = 256;

/// SHA-256 of a case or of a set.
pub type Digest = [u8; 32];

/// Cases of one purpose.
#[derive(Debug, Clone, Default)]
pub struct Set {
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
    /// One digest for each case, over its inputs and its label.
    pub digests: Vec<Digest>,
}

/// What a bundle says of a set of cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRecord {
    /// SHA-256 over the digests of the cases in their order; hexadecimal digits in JSON.
    #[serde(serialize_with = "hexadecimal")]
    pub sha256: Digest,
    /// How many cases.
    pub cases: u64,
    /// Whether it is one half of the only file that was given, divided by the cases' digests.
    pub is_half: bool,
}

/// Digits for people, bytes for the wire.
fn hexadecimal<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    match serializer.is_human_readable() {
        true => serializer.serialize_str(&crate::units::hex(digest)),
        false => digest.serialize(serializer),
    }
}

/// The two sets.
#[derive(Debug, Clone, Default)]
pub struct Sets {
    /// For calibrating and choosing.
    pub tuning: Set,
    /// For judging, once.
    pub held_out: Set,
    /// Whether one file was divided into both.
    pub divided: bool,
    /// Cases of the second file that were in the first as well, and are not used to judge.
    pub repeated: usize,
}

impl Sets {
    /// Reads the files: `calibrate` is for tuning and `evaluate` for judging; where there is one file only, it is divided.
    ///
    /// # Errors
    /// [`BudgetError::Content`]: a file is no file of cases of this model. [`BudgetError::Input`]: a number is not finite.
    /// [`BudgetError::TooFew`]: one case cannot be divided. [`BudgetError::TooLarge`].
    pub fn read(
        calibrate: Option<&Path>,
        evaluate: Option<&Path>,
        interface: Interface<'_>,
    ) -> Result<Sets, (std::path::PathBuf, BudgetError)> {
        let read = |path: &Path| Set::read(path, interface).map_err(|error| (path.to_owned(), error));
        Ok(match (calibrate, evaluate) {
            (None, None) => Sets::default(),
            (Some(path), None) | (None, Some(path)) => {
                Sets::divide(read(path)?).map_err(|error| (path.to_owned(), error))?
            }
            (Some(calibrate), Some(evaluate)) => Sets::of_two(read(calibrate)?, read(evaluate)?),
        })
    }

    /// Reads the files that a recorded quantization was made with: `recorded` says whether it was one, which was divided. Without
    /// the file that judged, there are cases for tuning only.
    ///
    /// # Errors
    /// As [`Sets::read`].
    pub fn read_again(
        calibrate: Option<&Path>,
        evaluate: Option<&Path>,
        recorded: Option<&SetRecord>,
        interface: Interface<'_>,
    ) -> Result<Sets, (std::path::PathBuf, BudgetError)> {
        match (calibrate, evaluate) {
            (Some(path), None) if recorded.is_some_and(|set| !set.is_half) => {
                let tuning = Set::read(path, interface).map_err(|error| (path.to_owned(), error))?;
                Ok(Sets::of_two(tuning, Set::default()))
            }
            _ => Sets::read(calibrate, evaluate, interface),
        }
    }

    fn of_two(tuning: Set, held_out: Set) -> Sets {
        let known: BTreeSet<Digest> = tuning.cases.iter().map(inputs_digest).collect();
        let all = held_out.cases.len();
        let held_out = held_out.only(|case| !known.contains(&inputs_digest(case)));
        let repeated = all - held_out.cases.len();
        Sets { tuning: tuning.thinned(TUNING_CASES_MAX), held_out, divided: false, repeated }
    }

    /// Half of the cases each, by the order of the digests of their inputs: nobody chooses, and equal inputs stay together.
    fn divide(set: Set) -> Result<Sets, BudgetError> {
        let found = set.cases.len();
        let mut order: Vec<Digest> = set.cases.iter().map(inputs_digest).collect();
        order.sort_unstable();
        order.dedup();
        let Some(first_held_out) = order.get(order.len().div_ceil(2)).copied() else {
            return Err(BudgetError::TooFew { found, why: "one half is for tuning, the other for judging" });
        };
        let held_out = set.clone().only(|case| inputs_digest(case) >= first_held_out);
        let tuning = set.only(|case| inputs_digest(case) < first_held_out).thinned(TUNING_CASES_MAX);
        Ok(Sets { tuning, held_out, divided: true, repeated: 0 })
    }

    /// Whether there is nothing to measure with.
    pub fn is_empty(&self) -> bool {
        self.tuning.cases.is_empty()
    }

    /// What the bundle says of a set of these.
    pub fn record(&self, set: &Set) -> SetRecord {
        let mut hash = Sha256::new();
        set.digests.iter().for_each(|digest| hash.update(digest));
        SetRecord { sha256: hash.finalize().into(), cases: set.cases.len() as u64, is_half: self.divided }
    }
}

impl Set {
    fn read(path: &Path, interface: Interface<'_>) -> Result<Set, BudgetError> {
        let mut file = CaseFile::open(path, interface)?;
        let mut set = Set::default();
        let mut size_bytes = 0u64;
        for index in 0..file.len() {
            let case = file.read(index)?;
            check_finite(&case)?;
            size_bytes +=
                case.inputs.iter().chain(&case.outputs).map(|(_, tensor)| tensor.bytes().len() as u64).sum::<u64>();
            if size_bytes > SET_BYTES_MAX {
                return Err(BudgetError::TooLarge { size_bytes, limit_bytes: SET_BYTES_MAX });
            }
            set.digests.push(digest(&case));
            // The original answers for itself; what the file says that it answered is not needed.
            set.cases.push(Case { outputs: Vec::new(), ..case });
        }
        Ok(set)
    }

    fn only(self, keep: impl Fn(&Case) -> bool) -> Set {
        let pairs = self.cases.into_iter().zip(self.digests).filter(|(case, _)| keep(case));
        let (cases, digests) = pairs.unzip();
        Set { cases, digests }
    }

    /// At most so many, evenly spread.
    pub fn thinned(self, most: usize) -> Set {
        let count = self.cases.len();
        if count <= most {
            return self;
        }
        let pairs = self.cases.into_iter().zip(self.digests).enumerate();
        // Of the positions that fall into the same of `most` equal parts, the first.
        let first = |index: &usize| *index == 0 || index * most / count != (index - 1) * most / count;
        let (cases, digests) = pairs.filter(|(index, _)| first(index)).map(|(_, pair)| pair).unzip();
        Set { cases, digests }
    }
}

fn check_finite(case: &Case) -> Result<(), BudgetError> {
    for (input, tensor) in &case.inputs {
        if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            continue;
        }
        if let Some(value) = numbers::wide(tensor).into_iter().find(|value| !value.is_finite()) {
            let found = if value.is_nan() { "NaN" } else { "an infinity" };
            return Err(BudgetError::Input { case: case.name.clone(), input: input.clone(), found });
        }
    }
    Ok(())
}

/// Over inputs and label; not over the name, nor over how the file was compressed.
fn digest(case: &Case) -> Digest {
    let mut hash = Sha256::new();
    hash.update(inputs_digest(case));
    match &case.label {
        None => hash.update([0]),
        Some(Label::Text(text)) => {
            hash.update([1]);
            hash.update(text.as_bytes());
        }
        Some(Label::Index(index)) => {
            hash.update([2]);
            hash.update(index.to_le_bytes());
        }
    }
    hash.finalize().into()
}

/// For each input, sorted by name: the lengths of what follows, name, type, shape, bytes.
fn inputs_digest(case: &Case) -> Digest {
    let mut inputs: Vec<&(String, Tensor)> = case.inputs.iter().collect();
    inputs.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hash = Sha256::new();
    for (name, tensor) in inputs {
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        text(name);
        text(tensor.dtype().name());
        hash.update((tensor.shape().len() as u64).to_le_bytes());
        tensor.shape().iter().for_each(|size| hash.update((*size as u64).to_le_bytes()));
        hash.update(tensor.bytes());
    }
    hash.finalize().into()
}

impl From<(std::path::PathBuf, BudgetError)> for crate::Error {
    fn from((path, error): (std::path::PathBuf, BudgetError)) -> crate::Error {
        match error {
            BudgetError::Content(error) => crate::Error::from(error).in_file(path),
            error => crate::Error::from(error).in_file(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::ContentError;

    fn case(value: f32) -> Case {
        let inputs = vec![("x".to_owned(), Tensor::scalar(value))];
        Case { name: value.to_string(), inputs, ..Case::default() }
    }

    fn set(values: impl IntoIterator<Item = f32>) -> Set {
        let cases: Vec<Case> = values.into_iter().map(case).collect();
        Set { digests: cases.iter().map(digest).collect(), cases }
    }

    fn values(set: &Set) -> Vec<&str> {
        set.cases.iter().map(|case| case.name.as_str()).collect()
    }

    #[test]
    fn one_file_is_divided_and_equal_inputs_stay_together() {
        let sets = Sets::divide(set((0..20).map(|index| (index / 2) as f32))).unwrap();
        assert_eq!((sets.tuning.cases.len(), sets.held_out.cases.len(), sets.divided), (10, 10, true));
        assert!(values(&sets.tuning).iter().all(|name| !values(&sets.held_out).contains(name)));
        for few in [set([1.0]), set([1.0, 1.0]), set([])] {
            assert!(matches!(Sets::divide(few), Err(BudgetError::TooFew { .. })));
        }
    }

    #[test]
    fn what_was_tuned_on_does_not_judge() {
        let sets = Sets::of_two(set([1.0, 2.0, 3.0]), set([3.0, 4.0]));
        assert_eq!((values(&sets.held_out), sets.repeated), (vec!["4"], 1));
    }

    #[test]
    fn digests_are_of_content() {
        let first = case(1.0);
        let renamed = Case { name: "other".into(), ..first.clone() };
        assert_eq!(digest(&first), digest(&renamed));
        let labelled = Case { label: Some(Label::Text("a".into())), ..first.clone() };
        assert_ne!(digest(&first), digest(&labelled));
        assert_ne!(digest(&first), digest(&case(2.0)));
        let other_shape =
            Case { inputs: vec![("x".into(), Tensor::from_slice([1], &[1.0f32]).unwrap())], ..first.clone() };
        assert_ne!(digest(&first), digest(&other_shape));
    }

    #[test]
    fn a_large_set_is_thinned_evenly() {
        let thinned = set((0..10).map(|index| index as f32)).thinned(4);
        assert_eq!(values(&thinned), ["0", "3", "5", "8"]);
        assert_eq!(set([1.0]).thinned(4).cases.len(), 1);
    }

    #[test]
    fn inputs_have_to_be_finite() {
        for value in [f32::NAN, f32::INFINITY] {
            assert!(matches!(check_finite(&case(value)), Err(BudgetError::Input { .. })), "{value}");
        }
        assert!(check_finite(&case(1e30)).is_ok());
    }

    #[test]
    fn a_missing_file_is_reported_as_every_other_one() {
        let error = ContentError::Read { what: "x.npz".into(), source: std::io::Error::other("gone") };
        let error = crate::Error::from((std::path::PathBuf::from("x.npz"), BudgetError::Content(error)));
        assert!(matches!(error, crate::Error::Read { .. }), "{error:?}");
    }
}
