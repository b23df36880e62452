//! What the rows of a weight are multiplied with, one vector after the other.

use pannier_engine::Tensor;
use pannier_graph::{Attribute, Node};

/// How a layer multiplies.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Patches {
    /// Vectors along the last axis.
    Rows {
        /// Their length.
        width: usize,
    },
    /// Windows of an image: `[channels of a group, kernel...]` of each group.
    Windows(Windows),
}

/// A convolution.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Windows {
    groups: usize,
    /// Channels of a group.
    channels: usize,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Pads,
}

#[derive(Debug, Clone, PartialEq)]
enum Pads {
    /// Before each axis, then behind each axis.
    Explicit(Vec<usize>),
    /// So many that a stride of one keeps the size; whether an odd one comes first.
    Same { first: bool },
}

impl Patches {
    /// How a node multiplies the weight of this shape; `None` where that is not known.
    pub(super) fn of(node: &Node, operand: usize, shape: &[usize]) -> Option<Patches> {
        let transposed = |name: &str| matches!(node.attribute(name), Some(Attribute::Int(value)) if *value != 0);
        match (node.op.as_str(), shape) {
            ("Conv", [_, channels, kernel @ ..]) => Windows::of(node, *channels, kernel).map(Patches::Windows),
            ("MatMul", [width, _]) => Some(Patches::Rows { width: *width }),
            ("Gemm", _) if transposed("transA") => None,
            ("Gemm", [width, _]) if !transposed("transB") => Some(Patches::Rows { width: *width }),
            ("Gemm", [_, width]) => Some(Patches::Rows { width: *width }),
            // Both directions read the same rows, but what is written back differs.
            ("LSTM" | "GRU" | "RNN", [1, _, width]) if operand == 1 => Some(Patches::Rows { width: *width }),
            _ => None,
        }
    }

    /// Groups of weights that see different inputs.
    pub(super) fn groups(&self) -> usize {
        match self {
            Patches::Rows { .. } => 1,
            Patches::Windows(windows) => windows.groups,
        }
    }

    /// Numbers of a vector.
    pub(super) fn width(&self) -> usize {
        match self {
            Patches::Rows { width } => *width,
            Patches::Windows(windows) => windows.channels * windows.kernel.iter().product::<usize>(),
        }
    }

    /// Shows at most so many vectors, evenly spread, the groups of each one after the other.
    pub(super) fn each(&self, tensor: &Tensor, most: usize, visit: &mut dyn FnMut(usize, &[f32])) {
        let Some(numbers) = tensor.as_slice::<f32>() else { return };
        match self {
            Patches::Rows { width } => {
                if tensor.shape().last() != Some(width) || *width == 0 {
                    return;
                }
                for index in spread(numbers.len() / width, most) {
                    if let Some(row) = numbers.get(index * width..(index + 1) * width) {
                        visit(0, row);
                    }
                }
            }
            Patches::Windows(windows) => windows.each(tensor.shape(), numbers, most, visit),
        }
    }
}

/// At most so many of these indices, evenly spread.
fn spread(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(most.max(1));
    (0..taken).map(move |index| (index as u128 * count as u128 / taken as u128) as usize)
}

impl Windows {
    fn of(node: &Node, channels: usize, kernel: &[usize]) -> Option<Windows> {
        let ints = |name: &str, count: usize, default: usize| match node.attribute(name) {
            Some(Attribute::Ints(list)) => {
                let list: Option<Vec<usize>> = list.iter().map(|size| usize::try_from(*size).ok()).collect();
                list.filter(|list| list.len() == count)
            }
            _ => Some(vec![default; count]),
        };
        let axes = kernel.len();
        let auto = match node.attribute("auto_pad") {
            Some(Attribute::String(name)) => name.as_slice(),
            _ => b"NOTSET",
        };
        let pads = match auto {
            b"NOTSET" => Pads::Explicit(ints("pads", 2 * axes, 0)?),
            b"VALID" => Pads::Explicit(vec![0; 2 * axes]),
            b"SAME_UPPER" => Pads::Same { first: false },
            b"SAME_LOWER" => Pads::Same { first: true },
            _ => return None,
        };
        let groups = match node.attribute("group") {
            Some(Attribute::Int(groups)) => usize::try_from(*groups).ok().filter(|groups| *groups > 0)?,
            _ => 1,
        };
        let strides = ints("strides", axes, 1)?;
        let dilations = ints("dilations", axes, 1)?;
        if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) {
            return None;
        }
        Some(Windows { groups, channels, kernel: kernel.to_vec(), strides, dilations, pads })
    }

    /// Positions along an axis of so many pixels, and the pixels of padding before it.
    fn axis(&self, axis: usize, size: usize) -> Option<[usize; 2]> {
        let (stride, dilation) = (*self.strides.get(axis)?, *self.dilations.get(axis)?);
        let reach = self.kernel.get(axis)?.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        match &self.pads {
            Pads::Explicit(pads) => {
                let (before, behind) = (*pads.get(axis)?, *pads.get(axis + self.kernel.len())?);
                let padded = size.checked_add(before)?.checked_add(behind)?;
                Some([padded.checked_sub(reach)? / stride + 1, before])
            }
            Pads::Same { first } => {
                let count = size.div_ceil(stride);
                let missing = (count.checked_sub(1)?.checked_mul(stride)?.checked_add(reach)?).saturating_sub(size);
                Some([count, if *first { missing.div_ceil(2) } else { missing / 2 }])
            }
        }
    }

    fn each(&self, shape: &[usize], numbers: &[f32], most: usize, visit: &mut dyn FnMut(usize, &[f32])) {
        let [batch, channels, sizes @ ..] = shape else { return };
        if *channels != self.groups * self.channels || sizes.len() != self.kernel.len() {
            return;
        }
        let axes: Option<Vec<[usize; 2]>> =
            sizes.iter().enumerate().map(|(axis, size)| self.axis(axis, *size)).collect();
        let Some(axes) = axes else { return };
        let positions: usize = axes.iter().map(|[count, _]| count).product();
        let pixels: usize = sizes.iter().product();
        let taps: usize = self.kernel.iter().product();
        let mut patch = vec![0.0; self.channels * taps];
        for index in spread(batch * positions, most) {
            let (image, position) = (index / positions, index % positions);
            // Where each tap of the kernel falls in a channel; outside is zero.
            let places: Vec<Option<usize>> = (0..taps).map(|tap| self.place(&axes, sizes, position, tap)).collect();
            for group in 0..self.groups {
                for (channel, taps) in patch.chunks_mut(taps.max(1)).enumerate() {
                    let start = ((image * self.groups + group) * self.channels + channel) * pixels;
                    for (number, place) in taps.iter_mut().zip(&places) {
                        *number = place.and_then(|place| numbers.get(start + place).copied()).unwrap_or_default();
                    }
                }
                visit(group, &patch);
            }
        }
    }

    fn place(&self, axes: &[[usize; 2]], sizes: &[usize], mut position: usize, mut tap: usize) -> Option<usize> {
        let (mut place, mut step) = (0, 1);
        for axis in (0..sizes.len()).rev() {
            let ([count, before], size, kernel) = (*axes.get(axis)?, *sizes.get(axis)?, *self.kernel.get(axis)?);
            let offset = (tap % kernel) * self.dilations.get(axis)?;
            let at = ((position % count) * self.strides.get(axis)? + offset).checked_sub(before)?;
            if at >= size {
                return None;
            }
            place += at * step;
            step *= size;
            (position, tap) = (position / count, tap / kernel);
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(attributes: &[(&str, &[i64])], group: i64) -> Node {
        let mut all: Vec<(String, Attribute)> =
            attributes.iter().map(|(name, list)| ((*name).to_owned(), Attribute::Ints(list.to_vec()))).collect();
        all.push(("group".to_owned(), Attribute::Int(group)));
        Node {
            name: String::new(),
            domain: String::new(),
            op: "Conv".to_owned(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            attributes: all,
        }
    }

    fn patches(node: &Node, weight: &[usize], input: &[usize], most: usize) -> Vec<(usize, Vec<f32>)> {
        let numbers: Vec<f32> = (1..=input.iter().product::<usize>()).map(|number| number as f32).collect();
        let tensor = Tensor::from_slice(input, &numbers).unwrap();
        let mut found = Vec::new();
        let patches = Patches::of(node, 1, weight).unwrap();
        patches.each(&tensor, most, &mut |group, patch| found.push((group, patch.to_vec())));
        found
    }

    #[test]
    fn windows_are_those_of_a_convolution() {
        // A row of five pixels, padded by one on both sides, every second position.
        let node = conv(&[("pads", &[1, 1]), ("strides", &[2])], 1);
        let found = patches(&node, &[1, 1, 3], &[1, 1, 5], 100);
        assert_eq!(found, [(0, vec![0.0, 1.0, 2.0]), (0, vec![2.0, 3.0, 4.0]), (0, vec![4.0, 5.0, 0.0])]);
        // Two groups see their own channels; a dilated kernel skips pixels.
        let node = conv(&[("dilations", &[2])], 2);
        let found = patches(&node, &[2, 1, 2], &[1, 2, 3], 100);
        assert_eq!(found, [(0, vec![1.0, 3.0]), (1, vec![4.0, 6.0])]);
        // Two axes and two images.
        let found = patches(&conv(&[], 1), &[1, 1, 2, 2], &[2, 1, 2, 2], 100);
        assert_eq!(found, [(0, vec![1.0, 2.0, 3.0, 4.0]), (0, vec![5.0, 6.0, 7.0, 8.0])]);
    }

    #[test]
    fn of_many_windows_a_few_are_taken_evenly() {
        let found = patches(&conv(&[], 1), &[1, 1, 1], &[1, 1, 10], 3);
        assert_eq!(found, [(0, vec![1.0]), (0, vec![4.0]), (0, vec![7.0])]);
    }

    #[test]
    fn a_kernel_that_is_larger_than_its_image_sees_nothing() {
        assert_eq!(patches(&conv(&[], 1), &[1, 1, 9], &[1, 1, 3], 100), []);
    }
}
