//! `GridSample`: values of an image at given places.

use super::elementwise::numbers;
use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_type, write_floats};
use crate::shape;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

/// Which pixels a place between pixels is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// What lies outside of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Padding {
    Zeros,
    Border,
    Reflection,
}

/// `GridSample` with its attributes.
#[derive(Debug)]
struct GridSample {
    mode: Mode,
    padding: Padding,
    align_corners: bool,
}

/// `GridSample`
pub(crate) fn grid_sample(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let mode = match attributes.text("mode", "linear")? {
        "linear" | "bilinear" => Mode::Linear,
        "nearest" => Mode::Nearest,
        "cubic" | "bicubic" => Mode::Cubic,
        other => return Err(attributes.unsupported(&format!("mode={other}"))),
    };
    let padding = match attributes.text("padding_mode", "zeros")? {
        "zeros" => Padding::Zeros,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        other => return Err(attributes.unsupported(&format!("padding_mode={other}"))),
    };
    Ok(Arc::new(GridSample { mode, padding, align_corners: attributes.flag("align_corners", false)? }))
}

/// Most spatial axes: a place is made of up to 4 pixels along each.
const MOST_AXES: usize = 4;

/// Pixels along one axis with their weights; `None` is outside.
type Taps = [(Option<usize>, f64); 4];

impl GridSample {
    /// Spatial sizes of the image and of the result.
    fn sizes<'a>(&self, image: &'a [usize], grid: &'a [usize]) -> Result<(&'a [usize], &'a [usize]), String> {
        let ([batch, _, from @ ..], [other, to @ .., axes]) = (image, grid) else {
            return Err("an operand is a scalar".into());
        };
        let fits = batch == other && from.len() == to.len() && *axes == from.len();
        if !fits || from.is_empty() || from.len() > MOST_AXES || from.contains(&0) {
            return Err(format!("an image of {image:?} at places of {grid:?}"));
        }
        Ok((from, to))
    }

    /// Pixels that a coordinate between -1 and 1 is made of. At most four, as many as have a weight.
    fn taps(&self, coordinate: f64, size: usize) -> (Taps, usize) {
        let len = size as f64;
        let (low, high) = if self.align_corners { (0.0, len - 1.0) } else { (-0.5, len - 0.5) };
        let place = coordinate + 1.0;
        let place = if self.align_corners { place / 2.0 * (len - 1.0) } else { (place * len - 1.0) / 2.0 };
        let mut place = if self.mode == Mode::Nearest { place.round_ties_even() } else { place };
        if place < low || place > high {
            place = match self.padding {
                Padding::Zeros => place,
                Padding::Border => place.clamp(0.0, len - 1.0),
                Padding::Reflection => reflect(place, low, high),
            };
        }
        let first = place.floor();
        let t = place - first;
        let pixel = |offset: f64| {
            let place = first + offset;
            match self.padding {
                _ if !place.is_finite() => None,
                Padding::Zeros => (place >= 0.0 && place < len).then_some(place as usize),
                Padding::Border => Some(place.clamp(0.0, len - 1.0) as usize),
                Padding::Reflection => Some((reflect(place, low, high).max(0.0) as usize).min(size - 1)),
            }
        };
        let none = (None, 0.0);
        match self.mode {
            Mode::Nearest => ([(pixel(0.0), 1.0), none, none, none], 1),
            Mode::Linear => ([(pixel(0.0), 1.0 - t), (pixel(1.0), t), none, none], 2),
            Mode::Cubic => {
                // Keys' kernel with a = -0.75.
                const A: f64 = -0.75;
                let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
                let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
                let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
                let [a, b, c, d] = [-1.0, 0.0, 1.0, 2.0].map(pixel);
                ([(a, weights[0]), (b, weights[1]), (c, weights[2]), (d, weights[3])], 4)
            }
        }
    }
}

/// A place outside of the borders, reflected at them until it is inside.
fn reflect(place: f64, low: f64, high: f64) -> f64 {
    let range = high - low;
    if !place.is_finite() || range <= 0.0 {
        return low;
    }
    let (outside, from_low) = if place < low {
        (low - place, true)
    } else if place > high {
        (place - high, false)
    } else {
        return place;
    };
    let turns = (outside / range).trunc();
    let rest = outside - turns * range;
    if (turns % 2.0 == 0.0) == from_low { low + rest } else { high - rest }
}

impl Operator for GridSample {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 1, FLOATS)?;
        Ok(vec![expect_type(inputs, 0, FLOATS)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let image = inputs.shape(0)?;
        let (_, to) = self.sizes(image, inputs.shape(1)?)?;
        Ok(vec![[&image[..2], to].concat()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (image, grid) = (io.input(0)?, io.input(1)?);
        let (from, to) = self.sizes(image.shape, grid.shape)?;
        let (values, places) = (numbers(image)?, numbers(grid)?);
        let (channels, strides) = (image.shape[1], shape::strides(from));
        let (plane, points) = (shape::len(from), shape::len(to));
        let mut result = vec![0.0; shape::len(&image.shape[..1]) * channels * points];
        for (point, place) in places.chunks_exact(from.len()).enumerate() {
            if point % 256 == 0 {
                io.limits.check()?;
            }
            // Coordinates come in the order of x, y, z.
            let mut taps = [([(None, 0.0); 4], 1); MOST_AXES];
            for ((slot, coordinate), size) in taps.iter_mut().zip(place.iter().rev()).zip(from) {
                *slot = self.taps(*coordinate, *size);
            }
            let combinations: usize = taps.iter().map(|(_, count)| *count).product();
            let (batch, point) = (point / points, point % points);
            for combination in 0..combinations {
                let (mut rest, mut weight, mut at) = (combination, 1.0, Some(0));
                for ((taps, count), stride) in taps.iter().zip(&strides) {
                    let (pixel, factor) = taps[rest % count];
                    rest /= count;
                    weight *= factor;
                    at = at.zip(pixel).map(|(at, pixel)| at + pixel * stride);
                }
                let Some(at) = at else { continue };
                for channel in 0..channels {
                    let plane_at = (batch * channels + channel) * plane + at;
                    result[(batch * channels + channel) * points + point] += weight * values[plane_at];
                }
            }
        }
        write_floats(io.output(0)?, &mut |at| result[at])
    }
}
