//! The kernels: generic over the instruction set, on raw pointers, each with one struct of arguments.
//!
//! Nothing here is called but through a [`crate::table::Table`]. The safe functions around them check every length first.

pub mod cell;
pub mod depthwise;
pub mod layout;
pub mod lines;
pub mod math;
pub mod pointwise;
pub mod pool;
pub mod product;
pub mod quick;
pub mod resize;
pub mod rows;
pub mod winograd;
