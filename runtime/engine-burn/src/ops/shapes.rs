//! Shapes: asked for, changed, joined.

use super::{Call, Operator, one};
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::host::{Host, Numbers};
use crate::shape;
use crate::value::Value;
use pannier_engine::DType;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Concat", concat).host(concat_host),
    Operator::new("DepthToSpace", depth_to_space).check(check_depth_to_space),
    Operator::new("Expand", expand).host(expand_host).needs(&[1]),
    Operator::new("Flatten", reshaped).host(reshaped_host),
    Operator::new("Identity", same).host(same_host),
    Operator::new("Dropout", same).host(same_host).check(check_dropout),
    Operator::new("Reshape", reshaped).host(reshaped_host).needs(&[1]),
    Operator { of_shapes: true, ..Operator::new("Shape", super::on_cpu_only).host(shape_host) },
    Operator { of_shapes: true, ..Operator::new("Size", super::on_cpu_only).host(size_host) },
    Operator::new("SpaceToDepth", space_to_depth),
    Operator::new("Squeeze", reshaped).host(reshaped_host).needs(&[1]),
    Operator::new("Tile", tile).needs(&[1]),
    Operator::new("Transpose", transpose).host(transpose_host),
    Operator::new("Unsqueeze", reshaped).host(reshaped_host).needs(&[1]),
];

fn check_dropout(attributes: &Attributes<'_>) -> Outcome<()> {
    let training = attributes.has(2);
    if training || attributes.wants(1) { Err(Failure::Unsupported("training".into())) } else { Ok(()) }
}

fn same(call: &Call<'_>) -> Outcome<Vec<Value>> {
    Ok(vec![call.value(0)?.clone()])
}

fn same_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    Ok(Some(vec![call.known(0)?.clone()]))
}

fn shape_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let shape = call.value(0)?.shape();
    let rank = shape.len() as i64;
    let bound = |value: i64| (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank) as usize;
    let start = bound(call.attributes.int("start", 0)?);
    let end = bound(call.attributes.int("end", rank)?).max(start);
    let sizes = shape.get(start..end).unwrap_or_default();
    Ok(Some(vec![Host::list(sizes.iter().map(|size| *size as i64).collect())]))
}

fn size_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let len = shape::product(call.value(0)?.shape());
    Ok(Some(vec![Host::ints(DType::I64, Vec::new(), vec![i64::try_from(len).unwrap_or(i64::MAX)])]))
}

/// The shape that `Reshape`, `Flatten`, `Squeeze` or `Unsqueeze` gives the first operand.
fn new_shape(call: &Call<'_>) -> Outcome<Vec<usize>> {
    let shape = call.value(0)?.shape();
    match call.op() {
        "Reshape" => reshape_target(shape, &call.ints(1)?, call.attributes.flag("allowzero", false)?),
        "Flatten" => {
            let axis = call.attributes.int("axis", 1)?;
            let rank = shape.len();
            let axis = if axis == rank as i64 { rank } else { shape::axis(axis, rank)? };
            Ok(vec![shape::product(&shape[..axis]), shape::product(&shape[axis..])])
        }
        "Squeeze" => {
            let axes = match call.ints_if_any(1)? {
                Some(axes) => shape::axes(&axes, shape.len())?,
                None => (0..shape.len()).filter(|axis| shape[*axis] == 1).collect(),
            };
            if axes.iter().any(|axis| shape[*axis] != 1) {
                return Err(Failure::Invalid(format!("axes {axes:?} of {shape:?} are not of size 1")));
            }
            Ok(shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, size)| *size).collect())
        }
        _ => {
            let axes = call.ints(1)?;
            let axes = shape::axes(&axes, shape.len() + axes.len())?;
            let mut rest = shape.iter();
            let rank = shape.len() + axes.len();
            let sizes = (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { rest.next().copied() });
            sizes.collect::<Option<_>>().ok_or_else(|| Failure::Invalid("an axis twice".into()))
        }
    }
}

fn reshape_target(shape: &[usize], wanted: &[i64], allow_zero: bool) -> Outcome<Vec<usize>> {
    let mut target = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (index, size) in wanted.iter().enumerate() {
        target.push(match size {
            -1 if open.is_none() => {
                open = Some(index);
                1
            }
            0 if !allow_zero => *shape.get(index).ok_or_else(|| Failure::Invalid("a size that is not there".into()))?,
            size => shape::size(*size)?,
        });
    }
    if let Some(index) = open {
        let (len, rest) = (shape::product(shape), shape::product(&target));
        target[index] = len.checked_div(rest).unwrap_or(0);
    }
    if shape::len(&target) != shape::len(shape) {
        return Err(Failure::Invalid(format!("{shape:?} cannot be reshaped to {wanted:?}")));
    }
    Ok(target)
}

fn reshaped(call: &Call<'_>) -> Outcome<Vec<Value>> {
    one(call.scope.reshape(&call.array(0)?, new_shape(call)?)?)
}

fn reshaped_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    Ok(Some(vec![call.known(0)?.reshaped(new_shape(call)?)?]))
}

fn order(call: &Call<'_>, rank: usize) -> Outcome<Vec<usize>> {
    match call.attributes.ints("perm")? {
        None => Ok((0..rank).rev().collect()),
        Some(order) if order.len() == rank => order.iter().map(|axis| shape::axis(*axis, rank)).collect(),
        Some(order) => Err(Failure::Invalid(format!("{order:?} is no order of {rank} axes"))),
    }
}

fn transpose(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    one(call.scope.permute(&x, &order(call, x.rank())?)?)
}

fn transpose_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let x = call.known(0)?;
    let order = order(call, x.shape.len())?;
    let strides = shape::strides(&x.shape);
    let shape: Vec<usize> = order.iter().map(|axis| x.shape[*axis]).collect();
    let strides: Vec<usize> = order.iter().map(|axis| strides[*axis]).collect();
    let picked = x.pick(shape.clone(), &shape::walk(&shape, &strides));
    Ok(picked.filter(|result| shape::len(&result.shape) == Some(x.len())).map(|result| vec![result]))
}

fn concat(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let values: Vec<&Value> = call.operands.iter().flatten().collect();
    let rank = values.first().map_or(0, |value| value.shape().len());
    let axis = shape::axis(call.attributes.int("axis", 0)?, rank)?;
    // A part without elements adds none, and cannot lie on the device.
    let parts = values.iter().filter(|value| !value.shape().contains(&0));
    let parts = parts.map(|value| value.on_device(&call.scope)).collect::<Outcome<Vec<_>>>()?;
    one(call.scope.concat(&parts, axis)?)
}

fn concat_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let parts = (0..call.operands.len()).map(|index| call.known(index)).collect::<Outcome<Vec<_>>>()?;
    let Some(first) = parts.first() else { return Ok(None) };
    let axis = shape::axis(call.attributes.int("axis", 0)?, first.shape.len())?;
    let fits = |part: &&Host| {
        part.dtype == first.dtype
            && part.shape.len() == first.shape.len()
            && shape::with(&part.shape, axis, 0) == shape::with(&first.shape, axis, 0)
    };
    if !parts.iter().all(fits) {
        return Err(Failure::Invalid("tensors that do not fit together".into()));
    }
    let shape = shape::with(&first.shape, axis, parts.iter().map(|part| part.shape[axis]).sum());
    let outer = shape::product(&first.shape[..axis]);
    let mut ints = Vec::new();
    let mut floats = Vec::new();
    for step in 0..outer {
        for part in &parts {
            let inner = shape::product(&part.shape[axis..]);
            let range = step * inner..(step + 1) * inner;
            match &part.numbers {
                Numbers::Ints(values) => ints.extend_from_slice(values.get(range).unwrap_or_default()),
                Numbers::Floats(values) => floats.extend_from_slice(values.get(range).unwrap_or_default()),
            }
        }
    }
    Ok(Some(vec![match first.numbers {
        Numbers::Ints(_) => Host::ints(first.dtype, shape, ints),
        Numbers::Floats(_) => Host::floats(first.dtype, shape, floats),
    }]))
}

fn expand_target(call: &Call<'_>) -> Outcome<Vec<usize>> {
    let wanted = call.ints(1)?.into_iter().map(shape::size).collect::<Outcome<Vec<_>>>()?;
    shape::broadcast(call.value(0)?.shape(), &wanted)
}

fn expand(call: &Call<'_>) -> Outcome<Vec<Value>> {
    one(call.scope.expand(&call.array(0)?, &expand_target(call)?)?)
}

fn expand_host(call: &Call<'_>) -> Outcome<Option<Vec<Host>>> {
    let shape = expand_target(call)?;
    if shape::len(&shape).is_none_or(|len| len > crate::host::MAX_ELEMENTS) {
        return Ok(None);
    }
    Ok(Some(vec![super::elementwise::expand_host(call.known(0)?, &shape)?]))
}

fn tile(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let x = call.array(0)?;
    let repeats = call.ints(1)?.into_iter().map(shape::size).collect::<Outcome<Vec<_>>>()?;
    if repeats.len() != x.rank() {
        return Err(Failure::Invalid(format!("{repeats:?} repetitions of {:?}", x.shape)));
    }
    // An axis before each one, repeated, and then joined with it.
    let apart: Vec<usize> = x.shape.iter().flat_map(|size| [1, *size]).collect();
    let repeated: Vec<usize> = x.shape.iter().zip(&repeats).flat_map(|(size, times)| [*times, *size]).collect();
    let sizes = x.shape.iter().zip(&repeats).map(|(size, times)| size.saturating_mul(*times)).collect();
    let expanded = call.scope.expand(&call.scope.reshape(&x, apart)?, &repeated)?;
    one(call.scope.reshape(&expanded, sizes)?)
}

fn check_depth_to_space(attributes: &Attributes<'_>) -> Outcome<()> {
    attributes.only("mode", attributes.text("mode", "DCR")?, &["DCR", "CRD"])
}

fn block(call: &Call<'_>) -> Outcome<usize> {
    let block = usize::try_from(call.attributes.int("blocksize", 0)?).ok().filter(|block| (1..=4096).contains(block));
    block.ok_or_else(|| Failure::Invalid("no blocksize".into()))
}

fn depth_to_space(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, block) = (call.array(0)?, block(call)?);
    let [batch, channels, height, width] = x.shape.as_slice() else {
        return Err(Failure::Invalid(format!("DepthToSpace of {:?}", x.shape)));
    };
    let depth = channels / (block * block);
    let (apart, order): ([usize; 6], [usize; 6]) = if call.attributes.text("mode", "DCR")? == "DCR" {
        ([*batch, block, block, depth, *height, *width], [0, 3, 4, 1, 5, 2])
    } else {
        ([*batch, depth, block, block, *height, *width], [0, 1, 4, 2, 5, 3])
    };
    let moved = call.scope.permute(&call.scope.reshape(&x, apart.to_vec())?, &order)?;
    one(call.scope.reshape(&moved, vec![*batch, depth, height * block, width * block])?)
}

fn space_to_depth(call: &Call<'_>) -> Outcome<Vec<Value>> {
    let (x, block) = (call.array(0)?, block(call)?);
    let [batch, channels, height, width] = x.shape.as_slice() else {
        return Err(Failure::Invalid(format!("SpaceToDepth of {:?}", x.shape)));
    };
    let (rows, columns) = (height / block, width / block);
    let apart = call.scope.reshape(&x, vec![*batch, *channels, rows, block, columns, block])?;
    let moved = call.scope.permute(&apart, &[0, 3, 5, 1, 2, 4])?;
    one(call.scope.reshape(&moved, vec![*batch, channels * block * block, rows, columns])?)
}
