//! Operators that read or make shapes.

use super::{Outcome, Size, View, as_elements, as_sizes, axis, fixed, known, typed};
use crate::import::error::Why;
use crate::import::model::{Attributes, ELEMENTS, Element, Type};
use pannier_graph::{Attribute, DType, Dim};

pub(super) fn rule(view: &View<'_>) -> Option<Outcome> {
    Some(match view.node.op.as_str() {
        "Shape" => Ok(vec![shape(view)]),
        "Size" => Ok(vec![size(view)]),
        "ConstantOfShape" => {
            let literal = match view.node.attribute("value") {
                Some(Attribute::Tensor(literal)) => Some(literal),
                _ => None,
            };
            let dtype = literal.map_or(DType::F32, |literal| literal.dtype);
            Ok(vec![typed(Some(dtype), target(view, 0))])
        }
        "Expand" => expand(view),
        "Reshape" => reshape(view),
        "Flatten" => Ok(vec![typed(view.dtype(0), flatten(view))]),
        "Squeeze" => squeeze(view),
        "Unsqueeze" => Ok(vec![unsqueeze(view)]),
        "Range" => Ok(vec![typed(view.dtype(0), Some(vec![range(view)]))]),
        "EyeLike" => {
            let dtype = view.dtype_attribute("dtype").or(view.dtype(0));
            Ok(vec![typed(dtype, view.shape(0).map(<[Size]>::to_vec))])
        }
        "RandomNormal" | "RandomUniform" => {
            let shape = view.node.ints("shape").map(|sizes| sizes.iter().map(|size| to_size(*size)).collect());
            Ok(vec![typed(view.dtype_attribute("dtype").or(Some(DType::F32)), shape)])
        }
        "RandomNormalLike" | "RandomUniformLike" => {
            let dtype = view.dtype_attribute("dtype").or(view.dtype(0));
            Ok(vec![typed(dtype, view.shape(0).map(<[Size]>::to_vec))])
        }
        _ => return None,
    })
}

fn shape(view: &View<'_>) -> Type {
    let Some(shape) = view.shape(0) else { return typed(Some(DType::I64), Some(vec![None])) };
    let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
    let bound = |value: i64| {
        let value = if value < 0 { value.saturating_add(rank) } else { value };
        usize::try_from(value.clamp(0, rank)).unwrap_or(0)
    };
    let start = bound(view.node.int_or("start", 0));
    let end = bound(view.node.int_or("end", rank));
    let part = shape.get(start..end).unwrap_or_default();
    let mut list = typed(Some(DType::I64), Some(vec![known(part.len() as u64)]));
    list.elements = Some(as_elements(part));
    list
}

fn size(view: &View<'_>) -> Type {
    let product = view.shape(0).and_then(|shape| {
        let elements = shape.iter().map(fixed).try_fold(1u64, |product, size| product.checked_mul(size?));
        elements.and_then(|elements| i64::try_from(elements).ok())
    });
    let mut scalar = typed(Some(DType::I64), Some(Vec::new()));
    scalar.elements = Some(vec![product.map_or(Element::Unknown, Element::Known)]);
    scalar
}

/// The shape that a list asks for, which is an input; at least its rank, if the list's length is known.
fn target(view: &View<'_>, index: usize) -> Option<Vec<Size>> {
    if let Some(elements) = view.elements(index) {
        return Some(as_sizes(elements));
    }
    if let Some(ints) = view.ints(index) {
        return Some(ints.into_iter().map(to_size).collect());
    }
    let rank = view.shape(index)?.first().and_then(fixed)?;
    let rank = usize::try_from(rank).ok().filter(|rank| *rank <= ELEMENTS)?;
    Some(vec![None; rank])
}

fn expand(view: &View<'_>) -> Outcome {
    let shape = match (view.shape(0), target(view, 1)) {
        (Some(from), Some(to)) => {
            let fits = super::elementwise::broadcast_shapes(&[from, &to]);
            Some(fits.ok_or_else(|| view.mismatch(&[0, 1]))?)
        }
        _ => None,
    };
    Ok(vec![typed(view.dtype(0), shape)])
}

fn reshape(view: &View<'_>) -> Outcome {
    let from = view.shape(0);
    let Some(elements) = view.elements(1) else { return Ok(vec![typed(view.dtype(0), target(view, 1))]) };
    let copy_zero = view.node.int_or("allowzero", 0) == 0;
    let mut inferred = None;
    let mut shape = Vec::with_capacity(elements.len());
    for (position, element) in elements.iter().enumerate() {
        shape.push(match element {
            Element::Known(-1) => {
                inferred = Some(position);
                None
            }
            Element::Known(0) if copy_zero => from.and_then(|from| from.get(position).cloned()).flatten(),
            Element::Known(size) => to_size(*size),
            Element::Symbol(name) => Some(Dim::Symbol(name.clone())),
            Element::Unknown => None,
        });
    }
    if let (Some(position), Some(from)) = (inferred, from) {
        let others: Vec<Size> =
            shape.iter().enumerate().filter(|(other, _)| *other != position).map(|(_, size)| size.clone()).collect();
        if let Some(slot) = shape.get_mut(position) {
            *slot = quotient(from, &others).map_err(|NotWhole| view.mismatch(&[0, 1]))?;
        }
    }
    let count = |shape: &[Size]| shape.iter().map(fixed).try_fold(1u64, |product, size| product.checked_mul(size?));
    if let (Some(before), Some(after)) = (from.and_then(count), count(&shape))
        && before != after
    {
        return Err(Why::Mismatch(vec![super::written(from), super::written(Some(&shape))]));
    }
    let mut r#type = typed(view.dtype(0), Some(shape));
    r#type.elements = view.elements(0).map(<[Element]>::to_vec);
    Ok(vec![r#type])
}

struct NotWhole;

/// What is left of the elements of `from` for one dimension beside `others`; `None` if that is not known.
fn quotient(from: &[Size], others: &[Size]) -> Result<Size, NotWhole> {
    let mut left: Vec<&str> = from.iter().filter_map(symbol).collect();
    for other in others.iter().filter_map(symbol) {
        match left.iter().position(|name| *name == other) {
            Some(position) => drop(left.remove(position)),
            None => return Ok(None),
        }
    }
    if from.iter().chain(others).any(Option::is_none) {
        return Ok(None);
    }
    let product =
        |sizes: &[Size]| sizes.iter().filter_map(fixed).try_fold(1u64, |product, size| product.checked_mul(size));
    let (Some(dividend), Some(divisor)) = (product(from), product(others)) else { return Ok(None) };
    if divisor == 0 {
        return Ok(None);
    }
    let whole = dividend % divisor == 0;
    match left.as_slice() {
        [] if whole => Ok(known(dividend / divisor)),
        [] => Err(NotWhole),
        [name] if dividend == divisor => Ok(Some(Dim::Symbol((*name).to_owned()))),
        _ => Ok(None),
    }
}

fn symbol(size: &Size) -> Option<&str> {
    if let Some(Dim::Symbol(name)) = size { Some(name) } else { None }
}

fn flatten(view: &View<'_>) -> Option<Vec<Size>> {
    let shape = view.shape(0)?;
    let position = view.node.int_or("axis", 1);
    let rank = i64::try_from(shape.len()).ok()?;
    let position = usize::try_from(if position < 0 { position.saturating_add(rank) } else { position }).ok()?;
    let (outer, inner) = shape.split_at_checked(position)?;
    let product = |sizes: &[Size]| match sizes {
        [] => known(1),
        [size] => size.clone(),
        sizes => sizes.iter().map(fixed).try_fold(1u64, |product, size| product.checked_mul(size?)).map(Dim::Fixed),
    };
    Some(vec![product(outer), product(inner)])
}

fn squeeze(view: &View<'_>) -> Outcome {
    let shape = view.shape(0).and_then(|shape| {
        let axes: Vec<usize> = if view.input(1).is_some() {
            view.ints(1)?.into_iter().map(|value| axis(value, shape.len())).collect::<Option<_>>()?
        } else {
            // All dimensions of size 1, so all sizes must be known.
            let sizes: Vec<u64> = shape.iter().map(fixed).collect::<Option<_>>()?;
            sizes.iter().enumerate().filter(|(_, size)| **size == 1).map(|(position, _)| position).collect()
        };
        Some((shape, axes))
    });
    let Some((shape, axes)) = shape else {
        let mut r#type = typed(view.dtype(0), None);
        r#type.elements = view.elements(0).map(<[Element]>::to_vec);
        return Ok(vec![r#type]);
    };
    if axes.iter().any(|axis| shape.get(*axis).and_then(fixed).is_some_and(|size| size != 1)) {
        return Err(view.mismatch(&[0]));
    }
    let kept = shape.iter().enumerate().filter(|(position, _)| !axes.contains(position));
    let mut r#type = typed(view.dtype(0), Some(kept.map(|(_, size)| size.clone()).collect()));
    r#type.elements = view.elements(0).map(<[Element]>::to_vec);
    Ok(vec![r#type])
}

fn unsqueeze(view: &View<'_>) -> Type {
    let shape = view.shape(0).and_then(|shape| {
        let axes = view.ints(1)?;
        let rank = shape.len() + axes.len();
        let axes: Vec<usize> = axes.into_iter().map(|value| axis(value, rank)).collect::<Option<_>>()?;
        let mut sizes = shape.iter();
        (0..rank)
            .map(|position| if axes.contains(&position) { Some(known(1)) } else { sizes.next().cloned() })
            .collect()
    });
    let mut r#type = typed(view.dtype(0), shape);
    r#type.elements = view.elements(0).map(<[Element]>::to_vec);
    r#type
}

fn range(view: &View<'_>) -> Size {
    let one = |index| view.ints(index).and_then(|ints| ints.first().copied());
    let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
    let span = limit.checked_sub(start)?;
    if step == 0 {
        return None;
    }
    let steps = span.checked_div(step)?.checked_add(i64::from(span.checked_rem(step)? != 0))?;
    known(u64::try_from(steps.max(0)).ok()?)
}

fn to_size(size: i64) -> Size {
    u64::try_from(size).ok().map(Dim::Fixed)
}
