//! The integration suite.

mod support;
