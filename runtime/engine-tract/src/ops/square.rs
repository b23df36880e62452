//! Squares of integers.
//!
//! tract takes `x * x` and `x ^ 2` for its `Square`, which has them in binary32 for 32 bits and not at all for 64.

use tract_onnx::tract_core::element_wise;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::Square;
use tract_onnx::tract_hir::internal::*;

macro_rules! wrapping {
    ($($datum:ident),*) => {
        element_wise!(integer_square, IntegerSquare,
            $([$datum] => |_, values| {
                values.iter_mut().for_each(|value| *value = value.wrapping_mul(*value));
                Ok(())
            }),*
        );
    };
}

wrapping!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Puts ours in the place of tract's.
pub(crate) fn mend(model: &mut TypedModel) {
    for node in &mut model.nodes {
        let square = node.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<Square>());
        let integers = node.outputs.iter().all(|output| output.fact.datum_type.is_integer());
        if square && integers {
            node.op = Box::new(integer_square());
        }
    }
}
