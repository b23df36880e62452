//! Any bytes as a file whose own digests are right: what an attacker sends to a reader that trusts anybody.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pannier_bundle::oracle::resealed(bytes));
