//! Windows that slide over spatial axes: what convolutions and poolings have in common.

use super::{Attributes, Refusal};

/// How the border is chosen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Padding {
    /// Elements before and after each axis.
    Explicit(Vec<(usize, usize)>),
    /// As much as keeps the size (divided by the stride), the odd one after.
    SameUpper,
    /// The odd one before.
    SameLower,
    None,
}

/// Size, stride, dilation and border of a window along each spatial axis, from a node's attributes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    /// `None`: as the weights are.
    pub(crate) kernel: Option<Vec<usize>>,
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    padding: Padding,
    ceil: bool,
}

/// A window along one axis of a known size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) size: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) before: usize,
    pub(crate) after: usize,
    /// Positions of the window.
    pub(crate) out: usize,
}

impl Axis {
    /// Where element `tap` of the window at `position` lies, if it is not in the border.
    pub(crate) fn place(&self, position: usize, tap: usize) -> Option<usize> {
        (position * self.stride + tap * self.dilation).checked_sub(self.before).filter(|place| *place < self.size)
    }
}

/// Largest number of any attribute of a window: sums and products of two of them do not overflow.
const MOST: i64 = 1 << 24;

/// Largest size along one axis, of a window or of an operand: sums of a few of them do not overflow, on 32 bits either.
const LARGEST: usize = usize::MAX >> 4;

/// Elements from the first to the last that a window covers.
fn extent(size: usize, kernel: usize, dilation: usize) -> Result<usize, String> {
    let extent = kernel.checked_sub(1).map(|last| last.saturating_mul(dilation).saturating_add(1));
    extent.filter(|extent| size.max(*extent) <= LARGEST).ok_or_else(|| "a dimension is too large or 0".to_string())
}

fn sizes(list: Option<&[i64]>, least: i64, name: &str) -> Result<Option<Vec<usize>>, Refusal> {
    let Some(list) = list else { return Ok(None) };
    let checked = list.iter().map(|value| match usize::try_from(*value) {
        Ok(size) if (least..=MOST).contains(value) => Ok(size),
        _ => Err(Refusal::Invalid(format!("{name} of {value}"))),
    });
    checked.collect::<Result<Vec<_>, _>>().map(Some)
}

impl Window {
    pub(crate) fn new(attributes: &Attributes<'_>) -> Result<Window, Refusal> {
        let pads = attributes.ints("pads")?;
        if pads.is_some_and(|pads| pads.iter().any(|pad| *pad < 0)) {
            return Err(attributes.unsupported("pads below 0"));
        }
        let padding = match attributes.text("auto_pad", "NOTSET")? {
            "NOTSET" => match sizes(pads, 0, "pads")? {
                Some(pads) if pads.len() % 2 == 0 => {
                    let (before, after) = pads.split_at(pads.len() / 2);
                    Padding::Explicit(before.iter().copied().zip(after.iter().copied()).collect())
                }
                Some(_) => return Err(Refusal::Invalid("an odd number of pads".into())),
                None => Padding::None,
            },
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            "VALID" => Padding::None,
            other => return Err(Refusal::Invalid(format!("auto_pad={other}"))),
        };
        Ok(Window {
            kernel: sizes(attributes.ints("kernel_shape")?, 1, "kernel_shape")?,
            strides: sizes(attributes.ints("strides")?, 1, "strides")?,
            dilations: sizes(attributes.ints("dilations")?, 1, "dilations")?,
            padding,
            ceil: attributes.flag("ceil_mode", false)?,
        })
    }

    /// The window along each spatial axis of a tensor.
    pub(crate) fn axes(&self, spatial: &[usize], kernel: &[usize]) -> Result<Vec<Axis>, String> {
        let rank = spatial.len();
        let or_ones = |list: &Option<Vec<usize>>| list.clone().unwrap_or_else(|| vec![1; rank]);
        let (strides, dilations) = (or_ones(&self.strides), or_ones(&self.dilations));
        let explicit = match &self.padding {
            Padding::Explicit(pads) => pads.clone(),
            _ => vec![(0, 0); rank],
        };
        if [kernel.len(), strides.len(), dilations.len(), explicit.len()] != [rank; 4] {
            return Err("the window's attributes and the operand differ in rank".into());
        }
        let mut axes = Vec::with_capacity(rank);
        for index in 0..rank {
            let (size, stride, dilation) = (spatial[index], strides[index], dilations[index]);
            let extent = extent(size, kernel[index], dilation)?;
            let (before, after) = match self.padding {
                Padding::SameUpper | Padding::SameLower => {
                    let total = (size.div_ceil(stride).saturating_sub(1) * stride + extent).saturating_sub(size);
                    let smaller = total / 2;
                    if self.padding == Padding::SameUpper {
                        (smaller, total - smaller)
                    } else {
                        (total - smaller, smaller)
                    }
                }
                _ => explicit[index],
            };
            let room = (size + before + after).checked_sub(extent);
            let room = room.ok_or_else(|| format!("a window of {extent} over {size}"))?;
            let mut out = if self.ceil { room.div_ceil(stride) } else { room / stride } + 1;
            // A window that would begin in the border after the operand is left out.
            if self.ceil && (out - 1) * stride >= size + before {
                out -= 1;
            }
            axes.push(Axis { size, kernel: kernel[index], stride, dilation, before, after, out });
        }
        Ok(axes)
    }

    /// The window of a transposed convolution: `size` and `out` change places.
    pub(crate) fn transposed(
        &self,
        spatial: &[usize],
        kernel: &[usize],
        output_padding: Option<&[i64]>,
        output_shape: Option<&[i64]>,
    ) -> Result<Vec<Axis>, String> {
        let rank = spatial.len();
        let or_ones = |list: &Option<Vec<usize>>| list.clone().unwrap_or_else(|| vec![1; rank]);
        let (strides, dilations) = (or_ones(&self.strides), or_ones(&self.dilations));
        let extra = match sizes(output_padding, 0, "output_padding") {
            Ok(extra) => extra.unwrap_or_else(|| vec![0; rank]),
            Err(_) => return Err("output_padding is negative or too large".into()),
        };
        let explicit = match &self.padding {
            Padding::Explicit(pads) => pads.clone(),
            _ => vec![(0, 0); rank],
        };
        if [kernel.len(), strides.len(), dilations.len(), explicit.len(), extra.len()] != [rank; 5] {
            return Err("the window's attributes and the operand differ in rank".into());
        }
        let mut axes = Vec::with_capacity(rank);
        for index in 0..rank {
            let (size, stride, dilation) = (spatial[index], strides[index], dilations[index]);
            let extent = extent(size, kernel[index], dilation)?;
            let full =
                size.saturating_sub(1).saturating_mul(stride).saturating_add(extent).saturating_add(extra[index]);
            if full > LARGEST {
                return Err(format!("a result of {full} elements along one axis"));
            }
            // `output_shape` may name all axes or the spatial ones.
            let wanted = output_shape.and_then(|shape| shape.get(shape.len().checked_sub(rank)? + index).copied());
            let wanted = match wanted {
                Some(size) => Some(usize::try_from(size).map_err(|_| "output_shape is negative")?),
                None if matches!(self.padding, Padding::SameUpper | Padding::SameLower) => {
                    Some(size.saturating_mul(stride))
                }
                None => None,
            };
            let (before, after) = match wanted {
                Some(wanted) => {
                    let total = full.saturating_sub(wanted);
                    let smaller = total / 2;
                    if self.padding == Padding::SameUpper {
                        (smaller, total - smaller)
                    } else {
                        (total - smaller, smaller)
                    }
                }
                None => explicit[index],
            };
            let out = match wanted {
                Some(wanted) => wanted,
                None => full.checked_sub(before + after).ok_or("the border is larger than the result")?,
            };
            axes.push(Axis { size: out, kernel: kernel[index], stride, dilation, before, after, out: size });
        }
        Ok(axes)
    }
}

/// Calls `visit` with every index of a shape, in row-major order.
pub(crate) fn each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        visit(&index);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// The flat place of each element of the window at `position`, with the index of the element within the window; those in
/// the border are left out.
pub(crate) fn each_tap(axes: &[Axis], position: &[usize], mut visit: impl FnMut(usize, usize)) {
    fn along(axes: &[Axis], position: &[usize], place: usize, tap: usize, visit: &mut dyn FnMut(usize, usize)) {
        let (Some((axis, axes)), Some((at, position))) = (axes.split_first(), position.split_first()) else {
            return visit(place, tap);
        };
        for step in 0..axis.kernel {
            if let Some(inside) = axis.place(*at, step) {
                along(axes, position, place * axis.size + inside, tap * axis.kernel + step, visit);
            }
        }
    }
    along(axes, position, 0, 0, &mut visit);
}

/// How often the window fits along each axis.
pub(crate) fn out_shape(axes: &[Axis]) -> Vec<usize> {
    axes.iter().map(|axis| axis.out).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(strides: usize, padding: Padding, ceil: bool) -> Window {
        Window { kernel: None, strides: Some(vec![strides]), dilations: None, padding, ceil }
    }

    #[test]
    fn positions_are_counted_as_the_standard_says() {
        let explicit = |before, after| Padding::Explicit(vec![(before, after)]);
        let cases = [
            (window(1, Padding::None, false), 5, 3, Some((0, 0, 3))),
            (window(2, explicit(1, 1), false), 5, 3, Some((1, 1, 3))),
            (window(2, Padding::SameUpper, false), 4, 3, Some((0, 1, 2))),
            (window(2, Padding::SameLower, false), 4, 3, Some((1, 0, 2))),
            (window(2, Padding::None, true), 4, 3, Some((0, 0, 2))),
            (window(2, Padding::None, false), 2, 3, None),
        ];
        for (window, size, kernel, expected) in cases {
            let axes = window.axes(&[size], &[kernel]).ok();
            assert_eq!(axes.map(|axes| (axes[0].before, axes[0].after, axes[0].out)), expected, "{window:?}");
        }
    }
}
