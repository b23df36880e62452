//! Operators that compute each element of the result from one element of each operand.

mod binary;
mod functions;
mod select;
mod unary;

pub(crate) use binary::{BinaryOp, binary, bit_shift, modulo, numbers, variadic};
pub(crate) use select::{clip, where_};
pub(crate) use unary::{UnaryOp, is_inf, unary};
