//! Operators that move elements around.

use super::{Outcome, Size, View, as_sizes, axis, fixed, known, typed, untyped};
use crate::import::error::Why;
use crate::import::model::{Attributes, ELEMENTS, Element, Type};
use pannier_graph::DType;

pub(super) fn rule(view: &View<'_>) -> Option<Outcome> {
    Some(match view.node.op.as_str() {
        "Transpose" => transpose(view),
        "Concat" => concat(view),
        "Slice" => Ok(vec![slice(view)]),
        "Gather" => Ok(vec![gather(view)]),
        "GatherElements" => Ok(vec![typed(view.dtype(0), view.shape(1).map(<[Size]>::to_vec))]),
        "GatherND" => Ok(vec![typed(view.dtype(0), gather_nd(view))]),
        "Split" => Ok(split(view)),
        "Tile" => Ok(vec![typed(view.dtype(0), tile(view))]),
        "Pad" => Ok(vec![typed(view.dtype(0), pad(view))]),
        "DepthToSpace" => Ok(vec![typed(view.dtype(0), blocks(view, true))]),
        "SpaceToDepth" => Ok(vec![typed(view.dtype(0), blocks(view, false))]),
        "NonZero" => {
            let rank = view.shape(0).map(|shape| known(shape.len() as u64)).unwrap_or_default();
            Ok(vec![typed(Some(DType::I64), Some(vec![rank, None]))])
        }
        "OneHot" => Ok(vec![one_hot(view)]),
        "Compress" | "Unique" | "CenterCropPad" | "Resize" if view.shape(0).is_none() => {
            Ok(vec![untyped(view.dtype(0))])
        }
        "Compress" => {
            let shape = view.node.int("axis").and_then(|position| {
                let mut shape = view.shape(0)?.to_vec();
                *shape.get_mut(axis(position, view.shape(0)?.len())?)? = None;
                Some(shape)
            });
            let flat = view.node.int("axis").is_none().then(|| vec![None]);
            Ok(vec![typed(view.dtype(0), shape.or(flat))])
        }
        "CenterCropPad" => Ok(vec![untyped(view.dtype(0))]),
        "Unique" => Ok(vec![untyped(view.dtype(0))]),
        "Resize" => Ok(vec![typed(view.dtype(0), resize(view))]),
        _ => return None,
    })
}

fn transpose(view: &View<'_>) -> Outcome {
    let Some(shape) = view.shape(0) else { return Ok(vec![untyped(view.dtype(0))]) };
    let Some(order) = view.node.ints("perm") else {
        return Ok(vec![typed(view.dtype(0), Some(shape.iter().rev().cloned().collect()))]);
    };
    let mut axes: Vec<usize> = order.iter().filter_map(|position| usize::try_from(*position).ok()).collect();
    let sizes: Option<Vec<Size>> = axes.iter().map(|axis| shape.get(*axis).cloned()).collect();
    axes.sort_unstable();
    axes.dedup();
    let sizes = sizes.filter(|_| axes.len() == shape.len() && order.len() == shape.len());
    let sizes = sizes.ok_or(Why::Attribute { name: "perm".to_owned(), reason: "not an order of the input's axes" })?;
    Ok(vec![typed(view.dtype(0), Some(sizes))])
}

fn concat(view: &View<'_>) -> Outcome {
    let dtype = (0..view.node.inputs.len()).find_map(|index| view.dtype(index));
    let inputs: Vec<usize> = (0..view.node.inputs.len()).collect();
    let shapes: Option<Vec<&[Size]>> = inputs.iter().map(|index| view.shape(*index)).collect();
    let Some(shapes) = shapes else { return Ok(vec![untyped(dtype)]) };
    let Some(mut shape) = shapes.first().map(|shape| shape.to_vec()) else { return Ok(vec![untyped(dtype)]) };
    let along = axis(view.node.int_or("axis", 0), shape.len()).ok_or_else(|| view.mismatch(&inputs))?;
    for other in shapes.iter().skip(1) {
        if other.len() != shape.len() {
            return Err(view.mismatch(&inputs));
        }
        for (position, (size, other)) in shape.iter_mut().zip(*other).enumerate() {
            *size = match (fixed(size), fixed(other)) {
                (Some(a), Some(b)) if position == along => a.checked_add(b).and_then(known),
                _ if position == along => None,
                (Some(a), Some(b)) if a != b => return Err(view.mismatch(&inputs)),
                (None, Some(b)) => known(b),
                _ => size.clone(),
            };
        }
    }
    let mut r#type = typed(dtype, Some(shape));
    let lists: Option<Vec<&[Element]>> = inputs.iter().map(|index| view.elements(*index)).collect();
    r#type.elements = lists.map(|lists| lists.concat()).filter(|elements| elements.len() <= ELEMENTS);
    Ok(vec![r#type])
}

fn slice(view: &View<'_>) -> Type {
    let mut r#type = untyped(view.dtype(0));
    let Some(shape) = view.shape(0) else { return r#type };
    let Some((axes, ranges)) = slices(view, shape) else {
        r#type.shape = Some(vec![None; shape.len()]);
        return r#type;
    };
    let mut sizes = shape.to_vec();
    for (axis, range) in axes.iter().zip(&ranges) {
        if let Some(size) = sizes.get_mut(*axis) {
            *size = range.len(size);
        }
    }
    if let (Some(elements), [axis], [range]) = (view.elements(0), axes.as_slice(), ranges.as_slice()) {
        let picked = range.indices(elements.len() as u64).map(|indices| {
            indices.into_iter().map(|index| elements.get(index).cloned().unwrap_or(Element::Unknown)).collect()
        });
        r#type.elements = picked.filter(|_| *axis == 0 && shape.len() == 1);
    }
    r#type.shape = Some(sizes);
    r#type
}

/// One axis of a `Slice`.
struct Range {
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
}

fn slices(view: &View<'_>, shape: &[Size]) -> Option<(Vec<usize>, Vec<Range>)> {
    let list = |index: usize, len: usize| -> Vec<Option<i64>> {
        let elements = view.elements(index).unwrap_or_default();
        let known = |element: Option<&Element>| match element {
            Some(Element::Known(value)) => Some(*value),
            _ => None,
        };
        (0..len).map(|position| known(elements.get(position))).collect()
    };
    let count = usize::try_from(view.shape(1)?.first().and_then(fixed)?).ok()?;
    let axes: Vec<usize> = match view.input(3) {
        Some(_) => view.ints(3)?.into_iter().map(|value| axis(value, shape.len())).collect::<Option<_>>()?,
        None => (0..count).collect(),
    };
    let steps = match view.input(4) {
        Some(_) => view.ints(4)?,
        None => vec![1; count],
    };
    let (starts, ends) = (list(1, count), list(2, count));
    let ranges = starts.into_iter().zip(ends).zip(steps).map(|((start, end), step)| Range { start, end, step });
    Some((axes, ranges.collect()))
}

impl Range {
    fn len(&self, size: &Size) -> Size {
        // The whole axis, whatever its size.
        if self.step == 1 && self.start == Some(0) && self.end.is_some_and(|end| end >= i64::from(i32::MAX)) {
            return size.clone();
        }
        let indices = self.bounds(fixed(size)?)?;
        known(indices.1)
    }

    /// First index and number of elements.
    fn bounds(&self, size: u64) -> Option<(i64, u64)> {
        let (start, end, step) = (self.start?, self.end?, self.step);
        let size = i64::try_from(size).ok()?;
        if step == 0 {
            return None;
        }
        let absolute = |value: i64| if value < 0 { value.saturating_add(size) } else { value };
        let (lowest, highest) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let (start, end) = (absolute(start).clamp(lowest.max(0), highest.max(0)), absolute(end).clamp(lowest, highest));
        let span = if step > 0 { end.checked_sub(start)? } else { start.checked_sub(end)? };
        let step = step.checked_abs()?;
        let len = if span <= 0 { 0 } else { (span - 1) / step + 1 };
        Some((start, u64::try_from(len).ok()?))
    }

    fn indices(&self, size: u64) -> Option<Vec<usize>> {
        let (start, len) = self.bounds(size)?;
        (0..len)
            .map(|position| {
                let offset = i64::try_from(position).ok()?.checked_mul(self.step)?;
                usize::try_from(start.checked_add(offset)?).ok()
            })
            .collect()
    }
}

fn gather(view: &View<'_>) -> Type {
    let mut r#type = untyped(view.dtype(0));
    let (Some(data), Some(indices)) = (view.shape(0), view.shape(1)) else { return r#type };
    let Some(along) = axis(view.node.int_or("axis", 0), data.len()) else { return r#type };
    let (before, after) = (data.iter().take(along), data.iter().skip(along + 1));
    r#type.shape = Some(before.chain(indices).chain(after).cloned().collect());
    if let (Some(elements), Some(indices)) = (view.elements(0), view.ints(1)) {
        let pick = |index: i64| axis(index, elements.len()).and_then(|index| elements.get(index)).cloned();
        r#type.elements = indices.into_iter().map(pick).collect();
    }
    r#type
}

fn gather_nd(view: &View<'_>) -> Option<Vec<Size>> {
    let (data, indices) = (view.shape(0)?, view.shape(1)?);
    let batch = usize::try_from(view.node.int_or("batch_dims", 0)).ok()?;
    let (last, outer) = indices.split_last()?;
    let depth = usize::try_from(fixed(last)?).ok()?;
    let inner = data.get(batch.checked_add(depth)?..)?;
    Some(outer.iter().chain(inner).cloned().collect())
}

fn split(view: &View<'_>) -> Vec<Type> {
    let count = view.node.outputs.len();
    let Some(shape) = view.shape(0) else { return vec![untyped(view.dtype(0)); count] };
    let Some(along) = axis(view.node.int_or("axis", 0), shape.len()) else { return Vec::new() };
    let sizes: Vec<Size> = match view.elements(1) {
        Some(elements) => as_sizes(elements),
        None => match shape.get(along).and_then(fixed) {
            Some(size) if view.input(1).is_none() && count > 0 => {
                let part = size.div_ceil(count as u64);
                (0..count as u64).map(|index| known(size.saturating_sub(index * part).min(part))).collect()
            }
            _ => vec![None; count],
        },
    };
    let part = |index: usize| {
        let mut shape = shape.to_vec();
        if let Some(slot) = shape.get_mut(along) {
            *slot = sizes.get(index).cloned().flatten();
        }
        typed(view.dtype(0), Some(shape))
    };
    (0..count).map(part).collect()
}

fn tile(view: &View<'_>) -> Option<Vec<Size>> {
    let shape = view.shape(0)?;
    let Some(repeats) = view.ints(1) else { return Some(vec![None; shape.len()]) };
    let times = |(size, repeat): (&Size, &i64)| match (size, repeat) {
        (size, 1) => size.clone(),
        (size, repeat) => fixed(size)?.checked_mul(u64::try_from(*repeat).ok()?).and_then(known),
    };
    Some(shape.iter().zip(&repeats).map(times).collect())
}

fn pad(view: &View<'_>) -> Option<Vec<Size>> {
    let shape = view.shape(0)?;
    let unknown = Some(vec![None; shape.len()]);
    let Some(pads) = view.ints(1) else { return unknown };
    let axes: Vec<usize> = match view.input(3) {
        None => (0..shape.len()).collect(),
        Some(_) => match view.ints(3).map(|axes| axes.into_iter().map(|value| axis(value, shape.len())).collect()) {
            Some(Some(axes)) => axes,
            _ => return unknown,
        },
    };
    let mut sizes = shape.to_vec();
    for (position, along) in axes.iter().enumerate() {
        let (Some(before), Some(after)) = (pads.get(position), pads.get(position + axes.len())) else { return unknown };
        let size = sizes.get_mut(*along)?;
        if (*before, *after) != (0, 0) {
            *size = fixed(size)
                .and_then(|size| size.checked_add_signed(*before)?.checked_add_signed(*after).and_then(known));
        }
    }
    Some(sizes)
}

/// Depth to space, or back.
fn blocks(view: &View<'_>, to_space: bool) -> Option<Vec<Size>> {
    let [batch, channels, height, width] = view.shape(0)? else { return None };
    let block = u64::try_from(view.node.int("blocksize")?).ok().filter(|block| *block > 0)?;
    let square = block.checked_mul(block)?;
    let scale = |size: &Size, up: bool, by: u64| {
        let size = fixed(size)?;
        if up { size.checked_mul(by).and_then(known) } else { known(size / by) }
    };
    let channels = scale(channels, !to_space, square);
    Some(vec![batch.clone(), channels, scale(height, to_space, block), scale(width, to_space, block)])
}

fn one_hot(view: &View<'_>) -> Type {
    let shape = view.shape(0).and_then(|indices| {
        let along = axis(view.node.int_or("axis", -1), indices.len() + 1)?;
        let depth = view.ints(1).and_then(|depth| u64::try_from(*depth.first()?).ok());
        let mut shape = indices.to_vec();
        shape.insert(along, depth.and_then(known));
        Some(shape)
    });
    typed(view.dtype(2), shape)
}

fn resize(view: &View<'_>) -> Option<Vec<Size>> {
    let shape = view.shape(0)?;
    let unknown = Some(vec![None; shape.len()]);
    if view.node.string("keep_aspect_ratio_policy").is_some_and(|policy| policy != "stretch") {
        return unknown;
    }
    let axes: Vec<usize> = match view.node.ints("axes") {
        None => (0..shape.len()).collect(),
        Some(axes) => axes.iter().map(|value| axis(*value, shape.len())).collect::<Option<_>>()?,
    };
    let mut sizes = shape.to_vec();
    if let Some(elements) = view.elements(3) {
        for (along, size) in axes.iter().zip(as_sizes(elements)) {
            *sizes.get_mut(*along)? = size;
        }
        return Some(sizes);
    }
    let scales = view.model.known(view.input(2)).and_then(|scales| scales.floats());
    let Some(scales) = scales.filter(|_| view.input(3).is_none()) else { return unknown };
    for (along, scale) in axes.iter().zip(scales) {
        let size = sizes.get_mut(*along)?;
        if scale != 1.0 {
            // Scales are binary32, and so is the product that implementations round down.
            let product = fixed(size).map(|size| f64::from(size as f32 * scale as f32).floor());
            *size = product.filter(|size| (0.0..9e15).contains(size)).and_then(|size| known(size as u64));
        }
    }
    Some(sizes)
}
