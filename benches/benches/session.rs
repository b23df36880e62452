//! Criterion group: running a loaded session.

fn main() {}
