//! Transposes as small as they can be: without axes of size 1, with neighbouring axes that stay together as one. Those that
//! undo each other vanish.

use super::Context;
use super::rewrite::Rewrite;
use crate::import::Stop;
use crate::ir::{Ir, Node, Op};
use crate::order::sorted;

pub(super) fn run(ir: &mut Ir, _: &Context<'_>) -> Result<(), Stop> {
    Rewrite::walk(ir, |rewrite, node| {
        let (Some(input), Some(output)) = (node.input(0), node.output()) else {
            rewrite.emit(node);
            return Ok(());
        };
        let shape = rewrite.ir.shape(output).to_vec();
        match &node.op {
            Op::Transpose(perm) => {
                let (from, perm) = smallest(rewrite.ir.shape(input), perm);
                let input = rewrite.reshaped(input, &from);
                let small = rewrite.transposed(input, &perm);
                let made = rewrite.reshaped(small, &shape);
                rewrite.rename(output, made);
            }
            Op::Reshape => {
                let made = rewrite.reshaped(input, &shape);
                rewrite.rename(output, made);
            }
            _ => rewrite.emit(Node { ..node }),
        }
        Ok(())
    })
}

/// The shape of fewest axes, and the order that gives the same result.
fn smallest(shape: &[usize], perm: &[usize]) -> (Vec<usize>, Vec<usize>) {
    // Axes in their new order, without those of size 1; those that follow each other in both orders together.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| shape[*axis] != 1).collect();
    let position = |axis: usize| kept.iter().position(|other| *other == axis);
    for axis in perm.iter().copied().filter(|axis| shape[*axis] != 1) {
        match groups.last_mut() {
            Some(group) if position(axis) == group.last().and_then(|last| position(*last)).map(|last| last + 1) => {
                group.push(axis)
            }
            _ => groups.push(vec![axis]),
        }
    }
    let order = sorted(groups.len(), &|a, b| groups[a][0].cmp(&groups[b][0]));
    let from = order.iter().map(|group| groups[*group].iter().map(|axis| shape[*axis]).product()).collect();
    let mut perm = vec![0; groups.len()];
    for (before, group) in order.iter().enumerate() {
        perm[*group] = before;
    }
    // Matrices side by side are what the kernel knows.
    if perm == [1, 0] {
        let from: Vec<usize> = from;
        return ([&[1], from.as_slice()].concat(), vec![0, 2, 1]);
    }
    (from, perm)
}

#[cfg(test)]
mod tests {
    use super::smallest;

    #[test]
    fn transposes_are_reduced_to_what_moves() {
        assert_eq!(smallest(&[1, 3, 8, 9], &[0, 2, 3, 1]), (vec![1, 3, 72], vec![0, 2, 1]));
        assert_eq!(smallest(&[2, 3, 8, 9], &[0, 2, 3, 1]), (vec![2, 3, 72], vec![0, 2, 1]));
        assert_eq!(smallest(&[1, 40, 3, 8, 15], &[2, 0, 3, 1, 4]), (vec![40, 24, 15], vec![1, 0, 2]));
    }
}
