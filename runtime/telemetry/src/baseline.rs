//! The `baseline` section of a bundle: what the values of inputs and outputs looked like on the calibration data.

#[cfg(feature = "write")]
mod build;

#[cfg(feature = "write")]
pub use build::BaselineBuilder;

use pannier_bundle::{Code, DecodeError, decode_versioned, encode_versioned};
use serde::{Deserialize, Serialize};

/// Content of the `baseline` section.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// One for each thing that is watched, by role, each in the manifest's order.
    pub tensors: Vec<TensorBaseline>,
}

/// What is watched: values of the model's inputs and outputs, and what inputs look like from one element to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Role {
    /// It goes in.
    #[default]
    Input,
    /// It comes out.
    Output,
    /// How much elements of an input differ from their neighbours. A picture that is blurred and a sound that is noisy have other
    /// ones, although their values may be distributed as ever.
    InputDifferences,
}

impl Role {
    /// `input` or `output`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Input | Role::InputDifferences => "input",
            Role::Output => "output",
        }
    }
}

/// The values of one input or output.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TensorBaseline {
    /// What of it.
    pub role: Role,
    /// Position among the manifest's inputs, or outputs.
    pub port: u32,
    /// Runs that were looked at.
    pub runs: u64,
    /// Upper edges of all bins but the last, ascending. Bin `i` holds the values in `(edges[i - 1], edges[i]]`.
    pub edges: Vec<f64>,
    /// Values in each bin: one more than edges.
    pub counts: Vec<u64>,
    /// Smallest value of all elements.
    pub min: f64,
    /// Largest value of all elements.
    pub max: f64,
    /// Mean of the values that were counted.
    pub mean: f64,
    /// Scale of the chance differences between windows and this baseline, for one run: see [`crate::drift`].
    pub scale: f64,
    /// Their degrees of freedom.
    pub degrees: f64,
}

/// Why a baseline was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// The bytes are no encoding of it, or of another version.
    #[error("the baseline section: {0}")]
    Decode(#[from] DecodeError),
    /// There is more than a reader takes.
    #[error("the baseline has {found} {what}, the limit is {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A rule of the section is broken.
    #[error("tensor {tensor} of the baseline: {rule}")]
    Invalid {
        /// Position in the section.
        tensor: usize,
        /// What does not hold.
        rule: &'static str,
    },
}

impl BaselineError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            BaselineError::Decode(DecodeError::Version { .. }) => Code::UnsupportedVersion,
            BaselineError::Limit { .. } => Code::Limit,
            _ => Code::Corrupt,
        }
    }
}

impl Baseline {
    /// Version of this structure on the wire.
    pub const VERSION: u16 = 1;
    /// Most tensors that a section may describe.
    pub const MAX_TENSORS: usize = 1024;
    /// Most bins of a tensor.
    pub const MAX_BINS: usize = 64;
    /// Largest count, and most runs: sums of them stay exact in binary64.
    pub const MAX_COUNT: u64 = 1 << 44;

    /// The bytes of the section.
    pub fn encode(&self) -> Vec<u8> {
        encode_versioned(Self::VERSION, self)
    }

    /// Reads the section. Allocates in proportion to `bytes` only; never panics.
    ///
    /// # Errors
    /// Every variant of [`BaselineError`], for what its name says.
    pub fn decode(bytes: &[u8]) -> Result<Baseline, BaselineError> {
        let baseline: Baseline = decode_versioned(bytes, Self::VERSION)?;
        let found = baseline.tensors.len();
        if found > Self::MAX_TENSORS {
            return Err(BaselineError::Limit { what: "tensors", found, limit: Self::MAX_TENSORS });
        }
        for (tensor, described) in baseline.tensors.iter().enumerate() {
            let found = described.counts.len();
            if found > Self::MAX_BINS {
                return Err(BaselineError::Limit { what: "bins", found, limit: Self::MAX_BINS });
            }
            described.check().map_err(|rule| BaselineError::Invalid { tensor, rule })?;
        }
        let keys = || baseline.tensors.iter().map(|tensor| (tensor.role, tensor.port));
        match keys().zip(keys().skip(1)).position(|(one, next)| one >= next) {
            Some(at) => Err(BaselineError::Invalid { tensor: at + 1, rule: "tensors are not in ascending order" }),
            None => Ok(baseline),
        }
    }

    /// The values of an input or output.
    pub fn tensor(&self, role: Role, port: usize) -> Option<&TensorBaseline> {
        self.tensors.iter().find(|tensor| tensor.role == role && usize::try_from(tensor.port) == Ok(port))
    }
}

impl TensorBaseline {
    fn check(&self) -> Result<(), &'static str> {
        let rule = |holds: bool, rule| if holds { Ok(()) } else { Err(rule) };
        let ascending = self.edges.iter().zip(self.edges.iter().skip(1)).all(|(one, next)| one < next);
        rule(self.edges.iter().all(|edge| edge.is_finite()) && ascending, "edges are not finite and ascending")?;
        rule(self.counts.len() == self.edges.len().saturating_add(1), "there is not one count more than edges")?;
        let numbers = self.counts.iter().chain([&self.runs]);
        rule(numbers.into_iter().all(|number| *number <= Baseline::MAX_COUNT), "a count is too large")?;
        rule(self.runs > 0 && self.counts.iter().any(|count| *count > 0), "it counts nothing")?;
        let bounded = [self.min, self.max, self.mean].iter().all(|value| value.is_finite());
        rule(bounded && self.min <= self.mean && self.mean <= self.max, "the mean is not between minimum and maximum")?;
        let chance = [self.scale, self.degrees].iter().all(|value| value.is_finite() && *value >= 0.0);
        rule(chance, "scale or degrees are not finite numbers of at least 0")
    }
}

/// The bin of a value, given the upper edges of all bins but the last.
pub(crate) fn bin(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|edge| *edge < value)
}

#[cfg(test)]
mod tests;
