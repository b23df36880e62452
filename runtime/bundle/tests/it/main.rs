//! The tests of the bundle as its users see it.

mod cases;
mod damage;
mod support;
mod vectors;
