//! The integration suite.

mod conformance;
mod oms;
mod support;
mod trust;
