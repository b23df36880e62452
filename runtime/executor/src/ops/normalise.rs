//! Normalisations, by their definition.

use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::sync::Arc;

/// Which elements are normalised together, and how.
#[derive(Debug)]
enum Normalise {
    Batch {
        epsilon: f64,
    },
    Instance {
        epsilon: f64,
    },
    Group {
        epsilon: f64,
        groups: i64,
    },
    Layer {
        epsilon: f64,
        axis: i64,
        results: usize,
    },
    Rms {
        epsilon: f64,
        axis: i64,
    },
    /// Divided by the norm of order 1 or 2.
    Lp {
        axis: i64,
        p: i64,
    },
    MeanVariance {
        axes: Vec<i64>,
    },
}

/// `BatchNormalization`
pub(crate) fn batch(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    if attributes.flag("training_mode", false)? || attributes.wants(1) {
        return Err(Refusal::Unsupported("training mode".into()));
    }
    Ok(Arc::new(Normalise::Batch { epsilon: epsilon(attributes)? }))
}

/// `InstanceNormalization`
pub(crate) fn instance(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Normalise::Instance { epsilon: epsilon(attributes)? }))
}

/// `GroupNormalization`
pub(crate) fn group(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Normalise::Group { epsilon: epsilon(attributes)?, groups: attributes.int("num_groups", 0)? }))
}

/// `LayerNormalization`
pub(crate) fn layer(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    if attributes.int("stash_type", 1)? != 1 {
        return Err(attributes.unsupported("stash_type"));
    }
    let (epsilon, axis) = (epsilon(attributes)?, attributes.int("axis", -1)?);
    Ok(Arc::new(Normalise::Layer { epsilon, axis, results: attributes.outputs() }))
}

/// `RMSNormalization`
pub(crate) fn rms(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Normalise::Rms { epsilon: epsilon(attributes)?, axis: attributes.int("axis", -1)? }))
}

/// `LpNormalization`
pub(crate) fn lp(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let p = attributes.int("p", 2)?;
    if ![1, 2].contains(&p) {
        return Err(Refusal::Invalid(format!("p={p}")));
    }
    Ok(Arc::new(Normalise::Lp { axis: attributes.int("axis", -1)?, p }))
}

/// `MeanVarianceNormalization`
pub(crate) fn mean_variance(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Normalise::MeanVariance { axes: attributes.ints("axes")?.unwrap_or(&[0, 2, 3]).to_vec() }))
}

fn epsilon(attributes: &Attributes<'_>) -> Result<f64, Refusal> {
    Ok(f64::from(attributes.float("epsilon", 1e-5)?))
}

impl Operator for Normalise {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, FLOATS)?;
        match self {
            Normalise::Layer { results, .. } => {
                expect_same(inputs, 1, dtype)?;
                let mut types = vec![dtype, DType::F32, DType::F32];
                types.truncate((*results).max(1));
                Ok(types)
            }
            Normalise::Batch { .. } => {
                (1..5).try_for_each(|index| expect_type(inputs, index, FLOATS).map(|_| ()))?;
                Ok(vec![dtype])
            }
            _ => Ok(vec![dtype]),
        }
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?.to_vec();
        let channels = from.get(1).copied();
        let per_channel = |index: usize| match inputs.get(index) {
            Some(fact) if Some(fact.shape) != channels.as_ref().map(std::slice::from_ref) => {
                Err(Refusal::Invalid(format!("operand {index} is {:?} for {from:?}", fact.shape)))
            }
            _ => Ok(()),
        };
        match self {
            Normalise::Batch { .. } => (1..5).try_for_each(per_channel)?,
            Normalise::Instance { .. } => (1..3).try_for_each(per_channel)?,
            Normalise::Group { groups, .. } => {
                (1..3).try_for_each(per_channel)?;
                let groups = usize::try_from(*groups).unwrap_or(0);
                if groups == 0 || channels.is_none_or(|channels| channels % groups != 0) {
                    return Err(Refusal::Invalid("the channels are not a multiple of num_groups".into()));
                }
            }
            Normalise::Layer { axis, .. } | Normalise::Rms { axis, .. } => {
                let axis = shape::axis(*axis, from.len())?;
                for operand in [1, 2].into_iter().filter_map(|index| inputs.get(index)) {
                    if shape::broadcast([operand.shape, &from])? != from {
                        return Err(Refusal::Invalid(format!("a scale of {:?} for {from:?}", operand.shape)));
                    }
                }
                if let Normalise::Layer { results, .. } = self {
                    let kept: Vec<usize> = (0..from.len()).map(|i| if i < axis { from[i] } else { 1 }).collect();
                    let mut shapes = vec![from, kept.clone(), kept];
                    shapes.truncate((*results).max(1));
                    return Ok(shapes);
                }
            }
            Normalise::Lp { axis, .. } => {
                shape::axis(*axis, from.len())?;
            }
            Normalise::MeanVariance { axes } => {
                shape::axes(axes, from.len())?;
            }
        }
        Ok(vec![from])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let rank = input.shape.len();
        let numbers = |index: usize| io.get(index).map(super::elementwise::numbers).transpose();
        let mut x = super::elementwise::numbers(input)?;
        let (channels, plane) = (
            input.shape.get(1).copied().unwrap_or(1).max(1),
            shape::len(input.shape.get(2..).unwrap_or_default()).max(1),
        );
        let channel = |at: usize| at / plane % channels;
        match self {
            Normalise::Batch { epsilon } => {
                let (Some(scale), Some(bias), Some(mean), Some(variance)) =
                    (numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?)
                else {
                    return Err("an operand is missing".into());
                };
                for (at, value) in x.iter_mut().enumerate() {
                    let c = channel(at);
                    *value = (*value - mean[c]) / (variance[c] + epsilon).sqrt() * scale[c] + bias[c];
                }
            }
            Normalise::Instance { epsilon } | Normalise::Group { epsilon, .. } => {
                let (Some(scale), Some(bias)) = (numbers(1)?, numbers(2)?) else {
                    return Err("an operand is missing".into());
                };
                let groups = if let Normalise::Group { groups, .. } = self {
                    usize::try_from(*groups).unwrap_or(1)
                } else {
                    channels
                };
                for block in x.chunks_mut((channels / groups * plane).max(1)) {
                    standardise(block, *epsilon);
                }
                for (at, value) in x.iter_mut().enumerate() {
                    *value = *value * scale[channel(at)] + bias[channel(at)];
                }
            }
            Normalise::Layer { epsilon, axis, .. } => {
                let inner = shape::len(&input.shape[shape::axis(*axis, rank)?..]).max(1);
                let statistics: Vec<(f64, f64)> = x.chunks_mut(inner).map(|row| standardise(row, *epsilon)).collect();
                scale_and_shift(&mut x, input.shape, io.get(1), io.get(2))?;
                for (index, pick) in [(1, 0), (2, 1)] {
                    if let Some(output) = io.output_if_any(index) {
                        for (slot, (mean, inverse)) in output.as_slice::<f32>()?.iter_mut().zip(&statistics) {
                            *slot = if pick == 0 { *mean as f32 } else { *inverse as f32 };
                        }
                    }
                }
            }
            Normalise::Rms { epsilon, axis } => {
                let inner = shape::len(&input.shape[shape::axis(*axis, rank)?..]).max(1);
                for row in x.chunks_mut(inner) {
                    let mean = row.iter().map(|value| value * value).sum::<f64>() / row.len() as f64;
                    row.iter_mut().for_each(|value| *value /= (mean + epsilon).sqrt());
                }
                scale_and_shift(&mut x, input.shape, io.get(1), None)?;
            }
            Normalise::Lp { axis, p } => {
                let around = shape::around(input.shape, shape::axis(*axis, rank)?);
                lines(&mut x, around, |line| {
                    let norm = match p {
                        1 => line.iter().map(|value| value.abs()).sum::<f64>(),
                        _ => line.iter().map(|value| value * value).sum::<f64>().sqrt(),
                    };
                    line.iter_mut().for_each(|value| *value /= norm);
                });
            }
            Normalise::MeanVariance { axes } => mean_variance_of(&mut x, input.shape, &shape::axes(axes, rank)?)?,
        }
        let Some(output) = io.output_if_any(0) else { return Ok(()) };
        output.numbers()?.write(&x);
        Ok(())
    }
}

/// Mean 0 and variance 1; returns the mean and the reciprocal standard deviation.
fn standardise(row: &mut [f64], epsilon: f64) -> (f64, f64) {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let variance = row.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / row.len() as f64;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    row.iter_mut().for_each(|value| *value = (*value - mean) * inverse);
    (mean, inverse)
}

fn scale_and_shift(
    x: &mut [f64],
    shape: &[usize],
    scale: Option<View<'_>>,
    shift: Option<View<'_>>,
) -> Result<(), Failure> {
    for (operand, multiply) in [(scale, true), (shift, false)] {
        let Some(operand) = operand else { continue };
        let (values, strides) = (super::elementwise::numbers(operand)?, shape::broadcast_strides(operand.shape, shape));
        let (len, by) = (shape::row_len(shape), shape::row_stride(&strides));
        let mut rows = x.chunks_mut(len.max(1));
        shape::for_each_row(shape, [&strides], |[start]| {
            for (step, value) in rows.next().unwrap_or_default().iter_mut().enumerate() {
                let other = values[start + step * by];
                *value = if multiply { *value * other } else { *value + other };
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Hands every line along the middle axis over as a slice.
fn lines(x: &mut [f64], (outer, along, inner): (usize, usize, usize), mut visit: impl FnMut(&mut [f64])) {
    let mut line = vec![0.0; along];
    for index in 0..outer * inner {
        let start = index / inner * along * inner + index % inner;
        line.iter_mut().enumerate().for_each(|(step, value)| *value = x[start + step * inner]);
        visit(&mut line);
        line.iter().enumerate().for_each(|(step, value)| x[start + step * inner] = *value);
    }
}

fn mean_variance_of(x: &mut [f64], shape: &[usize], axes: &[usize]) -> Result<(), Failure> {
    let kept: Vec<usize> =
        shape.iter().enumerate().map(|(axis, size)| if axes.contains(&axis) { 1 } else { *size }).collect();
    let strides = shape::broadcast_strides(&kept, shape);
    let (groups, len, by) = (shape::len(&kept), shape::row_len(shape), shape::row_stride(&strides));
    let count = (x.len() / groups.max(1)) as f64;
    let mut places = Vec::with_capacity(x.len());
    shape::for_each_row(shape, [&strides], |[start]| {
        places.extend((0..len).map(|step| start + step * by));
        Ok(())
    })?;
    let (mut sums, mut squares) = (vec![0.0; groups], vec![0.0; groups]);
    for (value, place) in x.iter().zip(&places) {
        sums[*place] += value;
        squares[*place] += value * value;
    }
    for (value, place) in x.iter_mut().zip(&places) {
        let mean = sums[*place] / count;
        let deviation = (squares[*place] / count - mean * mean).max(0.0).sqrt();
        // The standard's own 1e-9.
        *value = (*value - mean) / (deviation + 1e-9);
    }
    Ok(())
}

#[derive(Debug)]
struct Lrn {
    alpha: f64,
    beta: f64,
    bias: f64,
    size: i64,
}

/// `LRN`
pub(crate) fn lrn(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let number = |name: &str, default: f32| attributes.float(name, default).map(f64::from);
    let size = attributes.int("size", 0)?;
    if size < 1 {
        return Err(Refusal::Invalid(format!("size={size}")));
    }
    Ok(Arc::new(Lrn { alpha: number("alpha", 1e-4)?, beta: number("beta", 0.75)?, bias: number("bias", 1.0)?, size }))
}

impl Operator for Lrn {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, FLOATS)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        if from.len() < 2 { Err(Refusal::Invalid("the rank is below 2".into())) } else { Ok(vec![from.to_vec()]) }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let mut x = super::elementwise::numbers(input)?;
        let size = usize::try_from(self.size).unwrap_or(1);
        let (before, after) = ((size - 1) / 2, size / 2);
        lines(&mut x, shape::around(input.shape, 1), |line| {
            let squares: Vec<f64> = line.iter().map(|value| value * value).collect();
            for (at, value) in line.iter_mut().enumerate() {
                let near = at.saturating_sub(before)..at.saturating_add(after + 1).min(squares.len());
                let sum: f64 = squares[near].iter().sum();
                *value /= (self.bias + self.alpha / self.size as f64 * sum).powf(self.beta);
            }
        });
        let output = io.output(0)?;
        output.numbers()?.write(&x);
        Ok(())
    }
}
