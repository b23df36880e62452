//! Operators that give the same elements another shape, repeat them, or tell the shape.

use super::{Attributes, Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::strided::Strided;
use crate::view::Failure;
use pannier_engine::DType;
use std::sync::Arc;

/// An operator whose result has the bytes of its first operand.
#[derive(Debug)]
enum Same {
    Identity { results: usize },
    Reshape { allow_zero: bool },
    Flatten { axis: i64 },
    Squeeze,
    Unsqueeze,
}

/// `Identity` and `Dropout`, which only does something in training.
pub(crate) fn identity(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    if attributes.op() == "Dropout" && attributes.has_input(2) {
        return Err(Refusal::Unsupported("training mode".into()));
    }
    Ok(Arc::new(Same::Identity { results: attributes.outputs() }))
}

/// `Reshape`
pub(crate) fn reshape(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Same::Reshape { allow_zero: attributes.flag("allowzero", false)? }))
}

/// `Flatten`
pub(crate) fn flatten(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Same::Flatten { axis: attributes.int("axis", 1)? }))
}

/// `Squeeze`
pub(crate) fn squeeze(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Same::Squeeze))
}

/// `Unsqueeze`
pub(crate) fn unsqueeze(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Same::Unsqueeze))
}

impl Operator for Same {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        match self {
            Same::Identity { results: 2 } => Ok(vec![dtype, DType::Bool]),
            _ => Ok(vec![dtype]),
        }
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let from = inputs.shape(0)?;
        Ok(vec![match self {
            Same::Identity { results: 2 } => return Ok(vec![from.to_vec(); 2]),
            Same::Identity { .. } => from.to_vec(),
            Same::Reshape { allow_zero } => reshaped(from, &inputs.ints(1)?, *allow_zero)?,
            Same::Flatten { axis } => {
                // Unlike elsewhere, the axis may be the rank itself.
                let rank = i64::try_from(from.len()).unwrap_or(i64::MAX);
                let axis = usize::try_from(if *axis < 0 { axis.saturating_add(rank) } else { *axis });
                let axis = axis
                    .ok()
                    .filter(|axis| *axis <= from.len())
                    .ok_or("the axis is outside of the shape".to_string())?;
                vec![shape::len(&from[..axis]), shape::len(&from[axis..])]
            }
            Same::Squeeze => match inputs.ints_if_any(1)? {
                None => from.iter().copied().filter(|size| *size != 1).collect(),
                Some(list) => {
                    let axes = shape::axes(&list, from.len())?;
                    if let Some(axis) = axes.iter().find(|axis| from[**axis] != 1) {
                        return Err(Refusal::Invalid(format!("axis {axis} has the size {}, not 1", from[*axis])));
                    }
                    from.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, size)| *size).collect()
                }
            },
            Same::Unsqueeze => {
                let list = inputs.ints(1)?;
                let rank = from.len() + list.len();
                let axes = shape::axes(&list, rank)?;
                let mut rest = from.iter();
                (0..rank).filter_map(|axis| if axes.contains(&axis) { Some(1) } else { rest.next().copied() }).collect()
            }
        }])
    }

    fn needs(&self) -> &'static [usize] {
        match self {
            Same::Identity { .. } | Same::Flatten { .. } => &[],
            _ => &[1],
        }
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        if let Some(mask) = io.output_if_any(1) {
            mask.bytes.fill(1);
        }
        let Some(output) = io.output_if_any(0) else { return Ok(()) };
        if output.bytes.len() != input.bytes.len() {
            return Err("the result has another size".into());
        }
        output.bytes.copy_from_slice(input.bytes);
        Ok(())
    }
}

/// The shape that `Reshape` makes.
fn reshaped(from: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, String> {
    let mut result = Vec::with_capacity(target.len());
    let mut unknown = None;
    for (axis, size) in target.iter().enumerate() {
        result.push(match *size {
            -1 if unknown.is_some() => return Err("more than one dimension is -1".into()),
            -1 => {
                unknown = Some(axis);
                1
            }
            0 if !allow_zero => *from.get(axis).ok_or("a dimension is copied that is not there")?,
            size => usize::try_from(size).map_err(|_| format!("a dimension of {size}"))?,
        });
    }
    let (len, known) = (shape::len(from), shape::len(&result));
    if let Some(axis) = unknown {
        if known == 0 || len % known != 0 {
            return Err(format!("{from:?} cannot be reshaped to {target:?}"));
        }
        result[axis] = len / known;
    } else if known != len {
        return Err(format!("{from:?} cannot be reshaped to {target:?}"));
    }
    Ok(result)
}

#[derive(Debug)]
enum Repeat {
    Expand,
    Tile,
}

/// `Expand`
pub(crate) fn expand(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Repeat::Expand))
}

/// `Tile`
pub(crate) fn tile(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Repeat::Tile))
}

impl Operator for Repeat {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (from, counts) = (inputs.shape(0)?, shape::sizes(&inputs.ints(1)?)?);
        match self {
            Repeat::Expand => Ok(vec![shape::broadcast([from, &counts])?]),
            Repeat::Tile if counts.len() != from.len() => Err(Refusal::Invalid("repeats and rank differ".into())),
            Repeat::Tile => {
                Ok(vec![from.iter().zip(&counts).map(|(size, count)| size.saturating_mul(*count)).collect()])
            }
        }
    }

    fn needs(&self) -> &'static [usize] {
        &[1]
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let output = io.output(0)?;
        let dense = Strided::dense(input.shape);
        let repeated = match self {
            Repeat::Expand => {
                let strides = shape::broadcast_strides(input.shape, output.shape);
                let strides = strides.into_iter().map(crate::strided::signed).collect();
                Strided { shape: output.shape.to_vec(), base: 0, strides }
            }
            Repeat::Tile => {
                // Each axis becomes two: how often, with stride 0, and the axis itself.
                let sizes = dense.shape.iter().zip(output.shape);
                let shape = sizes.flat_map(|(size, to)| [to / (*size).max(1), *size]).collect();
                Strided { shape, base: 0, strides: dense.strides.iter().flat_map(|stride| [0, *stride]).collect() }
            }
        };
        repeated.copy(input, output)
    }
}

#[derive(Debug)]
struct Shape {
    start: i64,
    end: i64,
}

/// `Shape`
pub(crate) fn shape(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Shape { start: attributes.int("start", 0)?, end: attributes.int("end", i64::MAX)? }))
}

impl Shape {
    fn range(&self, rank: usize) -> std::ops::Range<usize> {
        let rank = i64::try_from(rank).unwrap_or(i64::MAX);
        let clamp = |value: i64| if value < 0 { value.saturating_add(rank) } else { value }.clamp(0, rank);
        let (start, end) = (clamp(self.start), clamp(self.end));
        usize::try_from(start).unwrap_or(0)..usize::try_from(end.max(start)).unwrap_or(0)
    }
}

impl Operator for Shape {
    fn types(&self, _: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![DType::I64])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![vec![self.range(inputs.shape(0)?.len()).len()]])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let dims = input.shape.get(self.range(input.shape.len())).unwrap_or_default();
        for (slot, dim) in io.output(0)?.as_slice::<i64>()?.iter_mut().zip(dims) {
            *slot = i64::try_from(*dim).unwrap_or(i64::MAX);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Size;

/// `Size`
pub(crate) fn size(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Size))
}

impl Operator for Size {
    fn types(&self, _: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![DType::I64])
    }

    fn shapes(&self, _: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![Vec::new()])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let len = shape::len(io.input(0)?.shape);
        io.output(0)?.as_slice::<i64>()?.fill(i64::try_from(len).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Blocks of pixels to channels, or back.
#[derive(Debug)]
struct Blocks {
    block: usize,
    to_depth: bool,
    /// `DCR`: the block's offsets come before the channels.
    depth_first: bool,
}

/// `DepthToSpace`
pub(crate) fn depth_to_space(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    let depth_first = match attributes.text("mode", "DCR")? {
        "DCR" => true,
        "CRD" => false,
        other => return Err(attributes.unsupported(&format!("mode={other}"))),
    };
    Ok(Arc::new(Blocks { block: block_size(attributes)?, to_depth: false, depth_first }))
}

/// `SpaceToDepth`
pub(crate) fn space_to_depth(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Blocks { block: block_size(attributes)?, to_depth: true, depth_first: true }))
}

fn block_size(attributes: &Attributes<'_>) -> Result<usize, Refusal> {
    let size = usize::try_from(attributes.int("blocksize", 0)?).ok().filter(|size| (1..=1 << 15).contains(size));
    size.ok_or_else(|| Refusal::Invalid("blocksize is not a small positive number".into()))
}

impl Operator for Blocks {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        Ok(vec![expect_type(inputs, 0, DType::ALL)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let &[n, c, h, w] = inputs.shape(0)? else { return Err(Refusal::Invalid("the rank is not 4".into())) };
        let (b, bb) = (self.block, self.block * self.block);
        if self.to_depth {
            if h % b != 0 || w % b != 0 {
                return Err(Refusal::Invalid(format!("{h} x {w} is not a multiple of {b}")));
            }
            return Ok(vec![vec![n, c.saturating_mul(bb), h / b, w / b]]);
        }
        if c % bb != 0 {
            return Err(Refusal::Invalid(format!("{c} channels are not a multiple of {bb}")));
        }
        Ok(vec![vec![n, c / bb, h.saturating_mul(b), w.saturating_mul(b)]])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let input = io.input(0)?;
        let &[n, c, h, w] = input.shape else { return Err("the rank is not 4".into()) };
        let b = self.block;
        let (split, perm): (_, &[usize]) = match (self.to_depth, self.depth_first) {
            (true, _) => ([n, c, h / b, b, w / b, b], &[0, 3, 5, 1, 2, 4]),
            (false, true) => ([n, b, b, c / (b * b), h, w], &[0, 3, 4, 1, 5, 2]),
            (false, false) => ([n, c / (b * b), b, b, h, w], &[0, 1, 4, 2, 5, 3]),
        };
        Strided::dense(&split).transposed(perm).copy(input, io.output(0)?)
    }
}
