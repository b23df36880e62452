//! Any bytes as a trust policy and as a signature.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pannier_bundle::oracle::trust(bytes));
