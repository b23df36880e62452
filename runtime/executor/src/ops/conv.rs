//! Convolutions of any type and rank, by their definition.

use super::matmul::byte;
use super::quantize::{Scale, round_into};
use super::window::{Axis, Window, each_index, each_tap, out_shape};
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

/// Shape of a convolution's operands: `[batch, channels, spatial..]` and `[filters, channels / group, kernel..]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    pub(crate) group: usize,
    /// Channels of one group.
    pub(crate) channels: usize,
    /// Filters of one group.
    pub(crate) filters: usize,
    pub(crate) axes: Vec<Axis>,
}

impl Geometry {
    pub(crate) fn new(window: &Window, group: i64, x: &[usize], w: &[usize]) -> Result<Geometry, String> {
        let (&[batch, channels, ref spatial @ ..], &[filters, depth, ref kernel @ ..]) = (x, w) else {
            return Err("an operand has fewer than 2 dimensions".into());
        };
        let group = usize::try_from(group).ok().filter(|group| *group > 0).ok_or("group is not positive")?;
        if window.kernel.as_deref().is_some_and(|declared| declared != kernel) {
            return Err("kernel_shape is not the weights' shape".into());
        }
        if depth.checked_mul(group) != Some(channels) || filters % group != 0 {
            return Err(format!("{channels} channels, {filters} filters of {depth} channels, {group} groups"));
        }
        let axes = window.axes(spatial, kernel)?;
        Ok(Geometry { batch, group, channels: depth, filters: filters / group, axes })
    }

    pub(crate) fn result(&self) -> Vec<usize> {
        let filters = self.filters.saturating_mul(self.group);
        [self.batch, filters].into_iter().chain(out_shape(&self.axes)).collect()
    }

    /// Sums `term(place in x, place in w)` for every element of the result, in order, and hands the sum and its filter over.
    fn each<S: Copy>(&self, zero: S, term: impl Fn(S, usize, usize) -> S, mut visit: impl FnMut(S, usize)) {
        let positions = out_shape(&self.axes);
        let spatial: usize = self.axes.iter().map(|axis| axis.size).product();
        let taps: usize = self.axes.iter().map(|axis| axis.kernel).product();
        for batch in 0..self.batch {
            for filter in 0..self.filters * self.group {
                let first = (batch * self.group + filter / self.filters) * self.channels;
                each_index(&positions, |position| {
                    let mut sum = zero;
                    for channel in 0..self.channels {
                        let (x, w) = ((first + channel) * spatial, (filter * self.channels + channel) * taps);
                        each_tap(&self.axes, position, |place, tap| sum = term(sum, x + place, w + tap));
                    }
                    visit(sum, filter);
                });
            }
        }
    }
}

#[derive(Debug)]
struct Conv {
    window: Window,
    group: i64,
}

/// `Conv`
pub(crate) fn conv(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Conv { window: Window::new(attributes)?, group: attributes.int("group", 1)? }))
}

impl Operator for Conv {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, FLOATS)?;
        expect_same(inputs, 1, dtype)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let geometry = Geometry::new(&self.window, self.group, inputs.shape(0)?, inputs.shape(1)?)?;
        expect_bias(inputs, 2, geometry.filters * geometry.group)?;
        Ok(vec![geometry.result()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (x, w, bias) = (io.input(0)?, io.input(1)?, io.get(2));
        let geometry = Geometry::new(&self.window, self.group, x.shape, w.shape)?;
        let output = io.output(0)?;
        let (x, w) = (x.numbers::<f64>()?, w.numbers::<f64>()?);
        let bias = bias.map(|bias| bias.numbers::<f64>()).transpose()?;
        let (mut out, mut at) = (output.numbers::<f64>()?, 0);
        geometry.each(
            0.0,
            |sum, x_at, w_at| sum + x.at(x_at) * w.at(w_at),
            |sum, filter| {
                out.set(at, sum + bias.map_or(0.0, |bias| bias.at(filter)));
                at += 1;
            },
        );
        Ok(())
    }
}

fn expect_bias(inputs: &Facts<'_>, index: usize, filters: usize) -> Result<(), Refusal> {
    match inputs.get(index) {
        Some(bias) if bias.shape != [filters] => {
            Err(Refusal::Invalid(format!("a bias of {:?} for {filters} filters", bias.shape)))
        }
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct ConvInteger {
    window: Window,
    group: i64,
}

/// `ConvInteger`
pub(crate) fn conv_integer(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(ConvInteger { window: Window::new(attributes)?, group: attributes.int("group", 1)? }))
}

const BYTES: &[DType] = &[DType::U8, DType::I8];

impl Operator for ConvInteger {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let (x, w) = (expect_type(inputs, 0, BYTES)?, expect_type(inputs, 1, BYTES)?);
        expect_same(inputs, 2, x)?;
        expect_same(inputs, 3, w)?;
        Ok(vec![DType::I32])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![Geometry::new(&self.window, self.group, inputs.shape(0)?, inputs.shape(1)?)?.result()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (x, w, x_zero, w_zero) = (io.input(0)?, io.input(1)?, io.get(2), io.get(3));
        let geometry = Geometry::new(&self.window, self.group, x.shape, w.shape)?;
        let per_filter = w.len() / (geometry.filters * geometry.group).max(1);
        let x_zero = x_zero.map_or(0, |zero| byte(zero, 0));
        let w_zero =
            |at: usize| w_zero.map_or(0, |zero| byte(zero, if zero.len() == 1 { 0 } else { at / per_filter.max(1) }));
        let mut slots = io.output(0)?.as_slice::<i32>()?.iter_mut();
        let term = |sum: i128, x_at, w_at| sum + (byte(x, x_at) - x_zero) * (byte(w, w_at) - w_zero(w_at));
        geometry.each(0i128, term, |sum, _| {
            if let Some(slot) = slots.next() {
                *slot = sum as i32;
            }
        });
        Ok(())
    }
}

#[derive(Debug)]
struct QLinearConv {
    window: Window,
    group: i64,
}

/// `QLinearConv`
pub(crate) fn qlinear_conv(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(QLinearConv { window: Window::new(attributes)?, group: attributes.int("group", 1)? }))
}

impl Operator for QLinearConv {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let (x, w) = (expect_type(inputs, 0, BYTES)?, expect_type(inputs, 3, BYTES)?);
        expect_same(inputs, 2, x)?;
        expect_same(inputs, 5, w)?;
        [1, 4, 6].into_iter().try_for_each(|index| expect_type(inputs, index, &[DType::F32]).map(|_| ()))?;
        expect_same(inputs, 8, DType::I32)?;
        Ok(vec![expect_type(inputs, 7, BYTES)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let geometry = Geometry::new(&self.window, self.group, inputs.shape(0)?, inputs.shape(3)?)?;
        expect_bias(inputs, 8, geometry.filters * geometry.group)?;
        Ok(vec![geometry.result()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (x, w, w_zero, bias) = (io.input(0)?, io.input(3)?, io.input(5)?, io.get(8));
        let (x_scale, w_scale, scale) =
            (Scale::new(io.input(1)?)?, Scale::new(io.input(4)?)?, Scale::new(io.input(6)?)?);
        let (x_zero, zero) = (byte(io.input(2)?, 0), byte(io.input(7)?, 0));
        let geometry = Geometry::new(&self.window, self.group, x.shape, w.shape)?;
        let per_filter = (w.len() / (geometry.filters * geometry.group).max(1)).max(1);
        let bias = bias.map(|bias| bias.as_slice::<i32>()).transpose()?;
        let w_zero = |at: usize| byte(w_zero, if w_zero.len() == 1 { 0 } else { at / per_filter });
        let mut values = Vec::with_capacity(io.output(0)?.len());
        let term = |sum: i128, x_at, w_at| sum + (byte(x, x_at) - x_zero) * (byte(w, w_at) - w_zero(w_at));
        geometry.each(0i128, term, |sum, filter| {
            let sum = sum + bias.map_or(0, |bias| i128::from(bias[filter]));
            values.push(sum as f64 * x_scale.at(0) * w_scale.at(filter) / scale.at(0));
        });
        round_into(io.output(0)?, |at| values[at], |_| zero as f64)
    }
}

#[derive(Debug)]
struct ConvTranspose {
    window: Window,
    group: i64,
    output_padding: Option<Vec<i64>>,
    output_shape: Option<Vec<i64>>,
}

/// `ConvTranspose`
pub(crate) fn conv_transpose(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(ConvTranspose {
        window: Window::new(attributes)?,
        group: attributes.int("group", 1)?,
        output_padding: attributes.ints("output_padding")?.map(<[i64]>::to_vec),
        output_shape: attributes.ints("output_shape")?.map(<[i64]>::to_vec),
    }))
}

impl ConvTranspose {
    /// As the convolution whose backward pass this is: channels are its filters, and the result is its operand.
    fn geometry(&self, x: &[usize], w: &[usize]) -> Result<Geometry, String> {
        let (&[batch, channels, ref spatial @ ..], &[depth, filters, ref kernel @ ..]) = (x, w) else {
            return Err("an operand has fewer than 2 dimensions".into());
        };
        let group = usize::try_from(self.group).ok().filter(|group| *group > 0).ok_or("group is not positive")?;
        if depth != channels || channels % group != 0 || self.window.kernel.as_deref().is_some_and(|k| k != kernel) {
            return Err(format!("{channels} channels, weights of {w:?}, {group} groups"));
        }
        let axes =
            self.window.transposed(spatial, kernel, self.output_padding.as_deref(), self.output_shape.as_deref())?;
        Ok(Geometry { batch, group, channels: channels / group, filters, axes })
    }
}

impl Operator for ConvTranspose {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, FLOATS)?;
        expect_same(inputs, 1, dtype)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let geometry = self.geometry(inputs.shape(0)?, inputs.shape(1)?)?;
        let filters = geometry.filters.saturating_mul(geometry.group);
        expect_bias(inputs, 2, filters)?;
        Ok(vec![[geometry.batch, filters].into_iter().chain(geometry.axes.iter().map(|axis| axis.size)).collect()])
    }

    fn scratch_bytes(&self, inputs: &Facts<'_>) -> usize {
        // Sums in binary64: one plane of the result.
        let planes = self.shapes(inputs).ok().and_then(|shapes| shapes.first().map(|shape| shape::len(&shape[2..])));
        planes.unwrap_or(0).saturating_mul(8)
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (x, w, bias) = (io.input(0)?, io.input(1)?, io.get(2));
        let geometry = self.geometry(x.shape, w.shape)?;
        let positions = out_shape(&geometry.axes);
        let (from, to): (usize, usize) =
            (positions.iter().product(), geometry.axes.iter().map(|axis| axis.size).product());
        let taps: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
        let Geometry { batch, group, channels, filters, .. } = geometry;
        let sums = bytemuck::try_cast_slice_mut::<u8, f64>(io.scratch).map_err(|error| error.to_string())?;
        let output = match io.outputs.first_mut() {
            Some(Some(output)) => output,
            _ => return Err("nobody wants the result".into()),
        };
        let (x, w) = (x.numbers::<f64>()?, w.numbers::<f64>()?);
        let bias = bias.map(|bias| bias.numbers::<f64>()).transpose()?;
        let mut out = output.numbers::<f64>()?;
        for plane in 0..batch * group * filters {
            let (image, filter) = (plane / (group * filters), plane % (group * filters));
            let first = filter / filters * channels;
            let sums = sums.get_mut(..to).ok_or("too little scratch memory")?;
            sums.fill(bias.map_or(0.0, |bias| bias.at(filter)));
            for channel in first..first + channels {
                let x_from = (image * group * channels + channel) * from;
                let w_from = (channel * filters + filter % filters) * taps;
                let mut at = 0;
                each_index(&positions, |position| {
                    let value = x.at(x_from + at);
                    at += 1;
                    each_tap(&geometry.axes, position, |place, tap| sums[place] += value * w.at(w_from + tap));
                });
            }
            for (at, sum) in sums.iter().enumerate() {
                out.set(plane * to + at, *sum);
            }
        }
        Ok(())
    }
}
