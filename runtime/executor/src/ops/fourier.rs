//! Discrete Fourier transforms.

use super::elementwise::numbers;
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type, write_floats};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::f64::consts::TAU;
use std::sync::Arc;

/// A complex number.
type Complex = (f64, f64);

fn mul(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn add(a: Complex, b: Complex) -> Complex {
    (a.0 + b.0, a.1 + b.1)
}

/// Transforms of one length, with the powers of its root of unity.
struct Transform {
    roots: Vec<Complex>,
}

impl Transform {
    fn new(len: usize, inverse: bool) -> Transform {
        let sign = if inverse { 1.0 } else { -1.0 };
        let root = |power: usize| {
            let (sin, cos) = (sign * TAU * power as f64 / len as f64).sin_cos();
            (cos, sin)
        };
        Transform { roots: (0..len).map(root).collect() }
    }

    /// The transform of every `stride`-th element: Cooley and Tukey's, by the smallest factor of the length first.
    fn run(&self, from: &[Complex], stride: usize, to: &mut [Complex], scratch: &mut Vec<Complex>) {
        let len = to.len();
        let Some(factor) = (2..).take_while(|p| p * p <= len).find(|p| len.is_multiple_of(*p)).or(Some(len)) else {
            return;
        };
        if len <= 1 {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            return;
        }
        let part = len / factor;
        for (first, part) in to.chunks_exact_mut(part).enumerate() {
            self.run(from.get(first * stride..).unwrap_or_default(), stride * factor, part, scratch);
        }
        // The powers of this length's root are every `step`-th of the whole's.
        let step = self.roots.len() / len;
        let power = |exponent: usize| self.roots[exponent % len * step];
        for k in 0..part {
            scratch.clear();
            scratch.extend((0..factor).map(|q| mul(to[q * part + k], power(q * k))));
            for r in 0..factor {
                let turned = scratch.iter().enumerate().map(|(q, value)| mul(*value, power(q * r * part)));
                to[r * part + k] = turned.fold((0.0, 0.0), add);
            }
        }
    }
}

/// `DFT` with its attributes.
#[derive(Debug)]
struct Dft {
    inverse: bool,
    onesided: bool,
}

/// `DFT`
pub(crate) fn dft(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let (inverse, onesided) = (attributes.flag("inverse", false)?, attributes.flag("onesided", false)?);
    if inverse && onesided {
        return Err(attributes.unsupported("onesided of an inverse transform"));
    }
    Ok(Arc::new(Dft { inverse, onesided }))
}

/// Numbers of an element: 1 or 2.
fn parts(shape: &[usize]) -> Result<usize, String> {
    match shape.last() {
        Some(parts @ (1 | 2)) if shape.len() > 1 => Ok(*parts),
        _ => Err(format!("a signal of shape {shape:?}")),
    }
}

impl Dft {
    /// The axis and the length of the transform.
    fn along(&self, shape: &[usize], length: Option<i64>, axis: i64) -> Result<(usize, usize), String> {
        let axis = shape::axis(axis, shape.len())?;
        if axis + 1 == shape.len() {
            return Err("the axis is that of the parts of numbers".into());
        }
        let length = match length {
            Some(length) => usize::try_from(length).map_err(|_| format!("a transform of length {length}"))?,
            None => shape[axis],
        };
        if length == 0 || (self.onesided && parts(shape)? == 2) {
            return Err(format!("a transform of length {length} of a signal of shape {shape:?}"));
        }
        Ok((axis, length))
    }
}

impl Operator for Dft {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, FLOATS)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let mut shape = inputs.shape(0)?.to_vec();
        parts(&shape)?;
        let length = if inputs.has(1) { Some(inputs.int(1)?) } else { None };
        let axis = if inputs.has(2) { inputs.int(2)? } else { -2 };
        let (axis, length) = self.along(&shape, length, axis)?;
        shape[axis] = if self.onesided { length / 2 + 1 } else { length };
        if let Some(last) = shape.last_mut() {
            *last = 2;
        }
        Ok(vec![shape])
    }

    fn needs(&self) -> &'static [usize] {
        &[1, 2]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let one = |view: View<'_>| view.to_ints().map(|ints| ints.first().copied());
        let (input, length, axis) = (io.input(0)?, io.get(1).map(one).transpose()?, io.get(2).map(one).transpose()?);
        let (axis, length) = self.along(input.shape, length.flatten(), axis.flatten().unwrap_or(-2))?;
        let (values, parts) = (numbers(input)?, parts(input.shape)?);
        let (_, along, inner) = shape::around(input.shape, axis);
        let inner = inner / parts;
        let to_shape = io.output(0)?.shape;
        let bins = to_shape.get(axis).copied().unwrap_or(0);
        let mut result = vec![0.0; shape::len(to_shape)];
        let transform = Transform::new(length, self.inverse);
        let (mut line, mut made, mut scratch) = (vec![(0.0, 0.0); length], vec![(0.0, 0.0); length], Vec::new());
        let scale = if self.inverse { 1.0 / length as f64 } else { 1.0 };
        for lane in 0..result.len() / (2 * bins).max(1) {
            io.limits.check()?;
            let (outer, behind) = (lane / inner, lane % inner);
            for (at, slot) in line.iter_mut().enumerate() {
                let place = ((outer * along + at) * inner + behind) * parts;
                *slot = if at < along { complex(&values, place, parts) } else { (0.0, 0.0) };
            }
            transform.run(&line, 1, &mut made, &mut scratch);
            for (at, value) in made.iter().take(bins).enumerate() {
                let place = ((outer * bins + at) * inner + behind) * 2;
                (result[place], result[place + 1]) = (value.0 * scale, value.1 * scale);
            }
        }
        write_floats(io.output(0)?, &mut |at| result[at])
    }
}

/// The number at a place; without a second part it is real.
fn complex(values: &[f64], place: usize, parts: usize) -> Complex {
    let part = |at: usize| values.get(at).copied().unwrap_or(0.0);
    (part(place), if parts == 2 { part(place + 1) } else { 0.0 })
}

/// `STFT`: transforms of frames that overlap.
#[derive(Debug)]
struct Stft {
    onesided: bool,
}

/// `STFT`
pub(crate) fn stft(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Stft { onesided: attributes.flag("onesided", true)? }))
}

/// Frames of a signal.
struct Frames {
    step: usize,
    len: usize,
    count: usize,
}

impl Stft {
    fn frames(&self, shape: &[usize], step: i64, window: Option<&[usize]>, len: Option<i64>) -> Result<Frames, String> {
        let &[_, signal, _] = shape else { return Err(format!("a signal of shape {shape:?}")) };
        let unfit = || format!("frames of {len:?} by {step} with a window of {window:?} of a signal of {signal}");
        let len = match (len, window) {
            (Some(len), _) => usize::try_from(len).map_err(|_| unfit())?,
            (None, Some(window)) => shape::len(window),
            (None, None) => signal,
        };
        let step = usize::try_from(step).ok().filter(|step| *step > 0).ok_or_else(unfit)?;
        let fits = window.is_none_or(|window| window == [len]) && (1..=signal).contains(&len);
        if !fits || (self.onesided && parts(shape)? == 2) {
            return Err(unfit());
        }
        Ok(Frames { step, len, count: (signal - len) / step + 1 })
    }
}

impl Operator for Stft {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, FLOATS)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let shape = inputs.shape(0)?;
        parts(shape)?;
        let len = if inputs.has(3) { Some(inputs.int(3)?) } else { None };
        let Frames { len, count, .. } =
            self.frames(shape, inputs.int(1)?, inputs.get(2).map(|window| window.shape), len)?;
        let bins = if self.onesided { len / 2 + 1 } else { len };
        Ok(vec![vec![shape[0], count, bins, 2]])
    }

    fn needs(&self) -> &'static [usize] {
        &[1, 3]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let one = |view: View<'_>| view.to_ints().map(|ints| ints.first().copied());
        let (input, window) = (io.input(0)?, io.get(2));
        let step = one(io.input(1)?)?.ok_or("the step is missing")?;
        let len = io.get(3).map(one).transpose()?.flatten();
        let Frames { step, len, count } = self.frames(input.shape, step, window.map(|window| window.shape), len)?;
        let (values, parts) = (numbers(input)?, parts(input.shape)?);
        let weights = window.map(numbers).transpose()?;
        let output = io.output(0)?;
        let bins = output.shape.get(2).copied().unwrap_or(0);
        let mut result = vec![0.0; output.len()];
        let transform = Transform::new(len, false);
        let (mut line, mut made, mut scratch) = (vec![(0.0, 0.0); len], vec![(0.0, 0.0); len], Vec::new());
        let signal = values.len() / input.shape[0].max(1);
        for (frame, to) in result.chunks_exact_mut((2 * bins).max(1)).enumerate() {
            io.limits.check()?;
            let start = frame / count * signal + frame % count * step * parts;
            for (at, slot) in line.iter_mut().enumerate() {
                let weight = weights.as_ref().map_or(1.0, |weights| weights[at]);
                let (real, imaginary) = complex(&values, start + at * parts, parts);
                *slot = (real * weight, imaginary * weight);
            }
            transform.run(&line, 1, &mut made, &mut scratch);
            for (to, value) in to.chunks_exact_mut(2).zip(&made) {
                (to[0], to[1]) = *value;
            }
        }
        write_floats(io.output(0)?, &mut |at| result[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_of_any_length_are_the_sums_that_define_them() {
        for len in [1usize, 2, 3, 4, 7, 8, 12, 30, 49, 64, 97, 120] {
            let from: Vec<Complex> =
                (0..len).map(|at| ((at * 7 % 11) as f64 - 5.0, (at * 5 % 13) as f64 / 3.0)).collect();
            let mut made = vec![(0.0, 0.0); len];
            Transform::new(len, false).run(&from, 1, &mut made, &mut Vec::new());
            for (k, found) in made.iter().enumerate() {
                let term = |(at, value): (usize, &Complex)| {
                    let (sin, cos) = (-TAU * (at * k % len) as f64 / len as f64).sin_cos();
                    mul(*value, (cos, sin))
                };
                let expected = from.iter().enumerate().map(term).fold((0.0, 0.0), add);
                let difference = (found.0 - expected.0).abs() + (found.1 - expected.1).abs();
                assert!(difference < 1e-9 * len as f64, "length {len}, bin {k}: {found:?} instead of {expected:?}");
            }
        }
    }
}
