//! Golden cases: a few real inputs with reference answers, and the self-test that compares an engine with them.
//!
//! They catch what no type system does: a kernel that computes wrongly on this machine.

mod content;

use crate::engine::{EngineError, Prepared, RunBudget};
use crate::number;
use crate::tensor::{Tensor, TensorError, TensorView, size_bytes};
use pannier_bundle::manifest::DType;
use pannier_bundle::{Code, DecodeError, decode_versioned, encode_versioned};
use pannier_graph::{AlignedBytes, Graph};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Content of the `golden` section.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Golden {
    /// What counts as the same answer.
    pub tolerance: Tolerance,
    /// The cases. A case's state inputs hold real values, so cases are independent of each other.
    pub cases: Vec<Case>,
}

/// What counts as the same answer: either every element has `|answer - reference| <= absolute + relative * |reference|`, or the
/// answer as a whole has `||answer - reference|| <= norm * ||reference||`, in the Euclidean norm. Integers and booleans must be
/// equal.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Tolerance {
    /// Absolute part.
    pub absolute: f32,
    /// Relative part.
    pub relative: f32,
    /// Of the whole answer; 0: only elements count. For programs that round to a few bits on their way: a last digit decides how a number is
    /// rounded, and what follows differs by a whole step.
    pub norm: f32,
}

/// `1e-4 + 1e-3 |reference|`, and the norm where there is one.
impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:e} + {:e} |reference|", self.absolute, self.relative)?;
        if self.norm > 0.0 {
            write!(f, " or a norm of {} ||reference||", self.norm)?;
        }
        Ok(())
    }
}

/// On the wire since version 1: [`Golden`] without a norm.
#[derive(Serialize, Deserialize)]
struct Elements<C> {
    absolute: f32,
    relative: f32,
    cases: C,
}

/// On the wire since version 2: [`Golden`] with one.
#[derive(Serialize, Deserialize)]
struct Whole<C> {
    absolute: f32,
    relative: f32,
    norm: f32,
    cases: C,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Name, for example `007`.
    pub name: String,
    /// Inputs in the graph's order.
    pub inputs: Vec<Stored>,
    /// Reference outputs in the graph's order.
    pub outputs: Vec<Reference>,
}

/// A whole tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Element type.
    pub dtype: DType,
    /// Row-major shape.
    pub shape: Vec<u64>,
    /// Little-endian elements.
    #[serde(with = "content")]
    pub bytes: AlignedBytes,
}

/// A reference answer: all of it, or every `stride`-th element where it is large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Element type.
    pub dtype: DType,
    /// Row-major shape of the whole answer.
    pub shape: Vec<u64>,
    /// Elements `0, stride, 2 * stride, ...` in row-major order are kept. 1: all.
    pub stride: u32,
    /// The kept elements, little-endian.
    #[serde(with = "content")]
    pub bytes: Vec<u8>,
}

/// Why a golden section was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// The bytes are no encoding of it, or of another version.
    #[error("the golden section: {0}")]
    Decode(#[from] DecodeError),
    /// There are more cases than [`Golden::MAX_CASES`].
    #[error("{found} golden cases, the limit is {}", Golden::MAX_CASES)]
    Cases {
        /// How many there are.
        found: usize,
    },
    /// A tolerance is negative or not a number.
    #[error("the tolerance of the golden cases is not a finite number of at least 0")]
    Tolerance,
    /// An input's bytes do not fit its type and shape.
    #[error("golden case `{case}`, input {index}: {why}")]
    Input {
        /// Name of the case.
        case: String,
        /// Position among the inputs.
        index: usize,
        /// Why.
        why: TensorError,
    },
    /// A reference's bytes do not fit its type, shape and stride.
    #[error("golden case `{case}`, output {index}: the kept elements do not follow from type, shape and stride")]
    Output {
        /// Name of the case.
        case: String,
        /// Position among the outputs.
        index: usize,
    },
}

impl GoldenError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            GoldenError::Decode(DecodeError::Version { .. }) => Code::UnsupportedVersion,
            GoldenError::Cases { .. } => Code::Limit,
            _ => Code::Corrupt,
        }
    }
}

impl Golden {
    /// Newest version of this structure on the wire.
    pub const VERSION: u16 = 2;
    /// Version without a norm, which is written where there is none.
    const ELEMENTS_VERSION: u16 = 1;
    /// Most cases that a section may hold: all of them run at every load.
    pub const MAX_CASES: usize = 256;

    /// The bytes of the section.
    pub fn encode(&self) -> Vec<u8> {
        let (Tolerance { absolute, relative, norm }, cases) = (self.tolerance, &self.cases);
        if norm == 0.0 {
            encode_versioned(Self::ELEMENTS_VERSION, &Elements { absolute, relative, cases })
        } else {
            encode_versioned(Self::VERSION, &Whole { absolute, relative, norm, cases })
        }
    }

    /// Reads the section. Allocates in proportion to `bytes` only; never panics.
    ///
    /// # Errors
    /// Every variant of [`GoldenError`], for what its name says.
    pub fn decode(bytes: &[u8]) -> Result<Golden, GoldenError> {
        let golden = if bytes.first_chunk() == Some(&Self::ELEMENTS_VERSION.to_le_bytes()) {
            let Elements { absolute, relative, cases } = decode_versioned(bytes, Self::ELEMENTS_VERSION)?;
            Golden { tolerance: Tolerance { absolute, relative, norm: 0.0 }, cases }
        } else {
            let Whole { absolute, relative, norm, cases } = decode_versioned(bytes, Self::VERSION)?;
            if norm == 0.0 {
                return Err(GoldenError::Decode(DecodeError::NotCanonical));
            }
            Golden { tolerance: Tolerance { absolute, relative, norm }, cases }
        };
        golden.validate()?;
        Ok(golden)
    }

    fn validate(&self) -> Result<(), GoldenError> {
        if self.cases.len() > Self::MAX_CASES {
            return Err(GoldenError::Cases { found: self.cases.len() });
        }
        let sound = |part: f32| part.is_finite() && part >= 0.0;
        let Tolerance { absolute, relative, norm } = self.tolerance;
        if ![absolute, relative, norm].into_iter().all(sound) {
            return Err(GoldenError::Tolerance);
        }
        for case in &self.cases {
            for (index, input) in case.inputs.iter().enumerate() {
                let fits = input.check();
                fits.map_err(|why| GoldenError::Input { case: case.name.clone(), index, why })?;
            }
            for (index, output) in case.outputs.iter().enumerate() {
                if !output.is_sound() {
                    return Err(GoldenError::Output { case: case.name.clone(), index });
                }
            }
        }
        Ok(())
    }
}

impl Stored {
    /// A copy of a tensor.
    pub fn new(tensor: TensorView<'_>) -> Stored {
        Stored {
            dtype: tensor.dtype(),
            shape: wire_shape(tensor.shape()),
            bytes: AlignedBytes::copy_from(tensor.bytes()),
        }
    }

    /// The tensor.
    ///
    /// # Errors
    /// Those of [`Tensor::new`]; none after [`Golden::decode`].
    pub fn tensor(&self) -> Result<Tensor, TensorError> {
        Tensor::new(self.dtype, shape(&self.shape)?, &self.bytes)
    }

    fn check(&self) -> Result<(), TensorError> {
        // Byte by byte like `Tensor::new`, without the copy.
        let shape = shape(&self.shape)?;
        let expected_bytes =
            size_bytes(self.dtype, &shape).ok_or(TensorError::ShapeOverflow { shape: shape.clone() })?;
        if self.bytes.len() != expected_bytes {
            let (dtype, found_bytes) = (self.dtype, self.bytes.len());
            return Err(TensorError::SizeMismatch { dtype, shape, expected_bytes, found_bytes });
        }
        if self.dtype != DType::Bool {
            return Ok(());
        }
        match self.bytes.iter().enumerate().find(|(_, byte)| **byte > 1) {
            Some((element, value)) => Err(TensorError::NotBool { element, value: *value }),
            None => Ok(()),
        }
    }
}

impl Reference {
    /// Keeps at most `max_elements` elements of an answer, evenly spaced, the first always among them.
    pub fn sample(answer: TensorView<'_>, max_elements: usize) -> Reference {
        let stride = u32::try_from(answer.len().div_ceil(max_elements.max(1))).unwrap_or(u32::MAX).max(1);
        let step = usize::try_from(stride).unwrap_or(usize::MAX);
        let elements = answer.bytes().chunks_exact(answer.dtype().size_bytes());
        Reference {
            dtype: answer.dtype(),
            shape: wire_shape(answer.shape()),
            stride,
            bytes: elements.step_by(step).flatten().copied().collect(),
        }
    }

    fn is_sound(&self) -> bool {
        let size = self.dtype.size_bytes();
        let total_bytes = shape(&self.shape).ok().and_then(|shape| size_bytes(self.dtype, &shape));
        let stride = usize::try_from(self.stride).unwrap_or(usize::MAX);
        let kept = total_bytes.filter(|_| stride > 0).map(|bytes| (bytes / size).div_ceil(stride));
        kept.and_then(|kept| kept.checked_mul(size)) == Some(self.bytes.len())
    }
}

/// Outcome of a self-test that passed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SelfTest {
    /// Cases that ran.
    pub cases: usize,
    /// Elements that were compared.
    pub elements: u64,
    /// Largest absolute difference of any of them.
    pub largest_difference: f64,
}

/// Runs every case and compares the answers with the references.
///
/// NaN answers NaN, an infinity answers itself; integers and booleans must be equal.
///
/// # Errors
/// [`EngineError::Golden`]: a wrong number; the worst element of the first wrong output is named.
/// [`EngineError::GoldenShape`]: an answer of another type or shape, or none. Those of [`Prepared::run`].
pub fn check(
    prepared: &dyn Prepared,
    graph: &Graph,
    golden: &Golden,
    budget: &RunBudget<'_>,
) -> Result<SelfTest, EngineError> {
    let mut outcome = SelfTest { cases: golden.cases.len(), ..SelfTest::default() };
    for case in &golden.cases {
        let shapes = case.shapes()?;
        let views = case.views(&shapes)?;
        let answers = prepared.run(&views, budget)?;
        compare_all(case, graph, &answers, golden.tolerance, &mut outcome)?;
    }
    Ok(outcome)
}

/// [`check`] for a caller that must not block.
///
/// # Errors
/// Those of [`check`].
pub async fn check_async(
    prepared: &dyn Prepared,
    graph: &Graph,
    golden: &Golden,
    budget: RunBudget<'_>,
) -> Result<SelfTest, EngineError> {
    let mut outcome = SelfTest { cases: golden.cases.len(), ..SelfTest::default() };
    for case in &golden.cases {
        let shapes = case.shapes()?;
        let views = case.views(&shapes)?;
        let answers = prepared.run_async(&views, budget).await?;
        compare_all(case, graph, &answers, golden.tolerance, &mut outcome)?;
    }
    Ok(outcome)
}

impl Case {
    fn shapes(&self) -> Result<Vec<Vec<usize>>, EngineError> {
        self.inputs.iter().map(|input| shape(&input.shape)).collect::<Result<_, _>>().map_err(|why| self.invalid(&why))
    }

    /// The inputs, whose shapes these are.
    fn views<'a>(&'a self, shapes: &'a [Vec<usize>]) -> Result<Vec<TensorView<'a>>, EngineError> {
        let view = |(input, shape): (&'a Stored, &'a Vec<usize>)| TensorView::new(input.dtype, shape, &input.bytes);
        self.inputs.iter().zip(shapes).map(view).collect::<Result<_, _>>().map_err(|why| self.invalid(&why))
    }

    fn invalid(&self, why: &TensorError) -> EngineError {
        EngineError::InvalidInput {
            name: format!("golden case `{}`", self.name),
            expected: "a tensor".into(),
            found: why.to_string(),
        }
    }
}

fn compare_all(
    case: &Case,
    graph: &Graph,
    answers: &[Tensor],
    tolerance: Tolerance,
    outcome: &mut SelfTest,
) -> Result<(), EngineError> {
    let count = graph.body.outputs.len().max(case.outputs.len());
    for index in 0..count {
        let output = graph.body.outputs.get(index).map_or("", |value| graph.value_name(*value));
        compare(case, output, index, answers.get(index), tolerance, outcome)?;
    }
    Ok(())
}

fn compare(
    case: &Case,
    output: &str,
    index: usize,
    answer: Option<&Tensor>,
    tolerance: Tolerance,
    outcome: &mut SelfTest,
) -> Result<(), EngineError> {
    let reference = case.outputs.get(index);
    let same_kind = answer.zip(reference).filter(|(answer, reference)| {
        answer.dtype() == reference.dtype && wire_shape(answer.shape()) == reference.shape
    });
    let Some((answer, reference)) = same_kind else {
        return Err(EngineError::GoldenShape {
            case: case.name.clone(),
            output: output.to_string(),
            expected: reference.map_or("nothing".into(), |r| format!("{}{:?}", r.dtype.name(), r.shape)),
            found: answer.map_or("nothing".into(), |a| format!("{}{:?}", a.dtype().name(), a.shape())),
        });
    };
    match worst(answer, reference, tolerance, outcome) {
        None => Ok(()),
        Some(Worst { element, difference, allowed, .. }) => Err(EngineError::Golden {
            case: case.name.clone(),
            output: output.to_string(),
            difference,
            element,
            allowed,
        }),
    }
}

struct Worst {
    element: u64,
    difference: f64,
    allowed: f64,
    excess: f64,
}

/// The element that is farthest beyond what is allowed, if any is and the answer as a whole is not near enough.
fn worst(answer: &Tensor, reference: &Reference, tolerance: Tolerance, outcome: &mut SelfTest) -> Option<Worst> {
    let (dtype, size) = (reference.dtype, reference.dtype.size_bytes());
    let exact = !matches!(dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64);
    let stride = usize::try_from(reference.stride).unwrap_or(usize::MAX).max(1);
    let mut worst: Option<Worst> = None;
    let (mut difference_squared, mut reference_squared) = (0.0, 0.0);
    let kept = answer.bytes().chunks_exact(size).step_by(stride).zip(reference.bytes.chunks_exact(size));
    for (index, (found, expected)) in kept.enumerate() {
        outcome.elements += 1;
        let (Some(a), Some(r)) = (number::at(dtype, found, 0), number::at(dtype, expected, 0)) else { continue };
        reference_squared += if r.is_finite() { r * r } else { 0.0 };
        if found == expected {
            continue;
        }
        if !exact && (a == r || (a.is_nan() && r.is_nan())) {
            continue;
        }
        // Where one of them is no finite number, they are as far apart as can be.
        let difference = if a.is_finite() && r.is_finite() { (a - r).abs() } else { f64::INFINITY };
        let allowed = match (exact, r.is_finite()) {
            (false, true) => f64::from(tolerance.absolute) + f64::from(tolerance.relative) * r.abs(),
            _ => 0.0,
        };
        outcome.largest_difference = outcome.largest_difference.max(difference);
        difference_squared += difference * difference;
        // 64-bit integers may differ although their nearest binary64 are the same.
        let wrong = exact || difference > allowed;
        let excess = difference - allowed;
        if wrong && worst.as_ref().is_none_or(|worst| excess > worst.excess) {
            let element = (index as u64).saturating_mul(stride as u64);
            worst = Some(Worst { element, difference, allowed, excess });
        }
    }
    let near = !exact && difference_squared.sqrt() < f64::from(tolerance.norm) * reference_squared.sqrt();
    worst.filter(|_| !near)
}

fn wire_shape(shape: &[usize]) -> Vec<u64> {
    shape.iter().map(|dim| *dim as u64).collect()
}

fn shape(wire: &[u64]) -> Result<Vec<usize>, TensorError> {
    let saturated = || wire.iter().map(|dim| usize::try_from(*dim).unwrap_or(usize::MAX)).collect();
    wire.iter()
        .map(|dim| usize::try_from(*dim))
        .collect::<Result<_, _>>()
        .map_err(|_| TensorError::ShapeOverflow { shape: saturated() })
}
