//! Any bytes as a graph.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pannier_graph::oracle::decode_graph(bytes));
