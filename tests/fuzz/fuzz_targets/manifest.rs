//! Any bytes as a manifest.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pannier_bundle::oracle::manifest(bytes));
