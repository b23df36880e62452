//! Tables of 8-bit integers stay integers: of the rows that are looked up, and of those alone, numbers are made.

use super::quantize::{is_constant, numbers, standard};
use super::rewrite::Rewrite;
use crate::ir::Node;
use pannier_engine::DType;
use pannier_graph::Attribute;

/// `Gather(DequantizeLinear(q, s, z), i)` as `DequantizeLinear(Gather(q, i), s, z)`, or with `Gather(s, i)` where each row has a scale of
/// its own. Only where rows are fewer than the table's.
pub(super) fn lookup(rewrite: &mut Rewrite<'_>, node: &Node) -> Option<Node> {
    let (table, indices, output) = (node.input(0).filter(|_| node.is("Gather"))?, node.input(1)?, node.output()?);
    let ints = |node: &Node, name: &str, default: i64| match node.standard()?.attribute(name) {
        Some(Attribute::Int(value)) => Some(*value),
        Some(_) => None,
        None => Some(default),
    };
    let maker = rewrite.maker(table).filter(|maker| is_constant(rewrite.ir, maker))?.clone();
    let (q, scale, zero) = (maker.input(0)?, maker.input(1)?, maker.input(2));
    let ir = &*rewrite.ir;
    let (rows, shape) = (*ir.shape(q).first()?, ir.shape(output).to_vec());
    let plain = ints(node, "axis", 0)? == 0 && ints(&maker, "block_size", 0)? == 0;
    let dtype = ir.values[q].dtype;
    let types = ir.values[scale].dtype == DType::F32 && matches!(dtype, DType::U8 | DType::I8);
    if !plain || !types || ir.values[output].len() >= ir.values[table].len() {
        return None;
    }
    let gather = |rewrite: &mut Rewrite<'_>, of, dtype, shape: Vec<usize>| {
        let made = rewrite.ir.fresh(&node.name, dtype, shape);
        let (inputs, outputs) = (vec![Some(of), Some(indices)], vec![Some(made)]);
        rewrite.emit(Node { inputs, outputs, ..node.clone() });
        made
    };
    let op = standard("DequantizeLinear", Vec::new())?;
    if ir.values[scale].len() == 1 && zero.is_none_or(|zero| ir.values[zero].len() == 1) {
        let made = gather(rewrite, q, dtype, shape);
        let (scale, zero) = (rewrite.reshaped(scale, &[]), zero.map(|zero| rewrite.reshaped(zero, &[])));
        return Some(Node { op, inputs: vec![Some(made), Some(scale), zero], ..node.clone() });
    }
    let of_rows = ir.shape(scale) == [rows] && ints(&maker, "axis", 1)? == 0;
    let none =
        zero.is_none_or(|zero| ir.values[zero].view().is_some_and(|view| view.bytes.iter().all(|byte| *byte == 0)));
    if !of_rows || !none {
        return None;
    }
    let made = gather(rewrite, q, dtype, shape.clone());
    let mut each = rewrite.ir.shape(indices).to_vec();
    let scales = gather(rewrite, scale, DType::F32, each.clone());
    each.resize(shape.len(), 1);
    let scales = rewrite.reshaped(scales, &each);
    let one = rewrite.ir.float_constant(&node.name, Vec::new(), &[1.0]);
    let made = numbers(rewrite, &node.name, op, vec![Some(made), Some(one)], shape);
    Some(Node { op: standard("Mul", Vec::new())?, inputs: vec![Some(made), Some(scales)], ..node.clone() })
}
