//! The tests of the bundle as its users see it.

mod cases;
mod damage;
mod limits;
mod properties;
mod reading;
mod spec;
mod support;
mod vectors;
mod writing;
