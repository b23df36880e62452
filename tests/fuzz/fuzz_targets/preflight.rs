//! Any bytes as the start of a file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pannier_bundle::oracle::preflight(bytes));
