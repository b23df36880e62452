//! Any bytes as decisions of which a program is made, planned and run.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pannier_executor::oracle::run_program(bytes));
