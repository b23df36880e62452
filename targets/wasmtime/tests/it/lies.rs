//! Guests that say what is not so. Each lie is a typed error, and the host goes on.

use crate::support::*;
use pannier_wasmtime::{Code, Error, GuestFault, LoadOptions, RunOptions, Sandbox, Trust};
use std::time::Duration;

/// Time in which every guest here is done, one way or another.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_lie_about_outputs_is_found() {
    let cases: &[(&str, &str, &str)] = &[
        ("outputs", "i32.const 3", "3 outputs"),
        ("outputs", "i32.const -1", "4294967295 outputs"),
        ("output_dtype", "i32.const 8", "8 is no element type"),
        ("output_dtype", "i32.const -1", "4294967295 is no element type"),
        ("output_rank", "i32.const 65", "65 axes"),
        ("output_rank", "i32.const -1", "4294967295 axes"),
        ("output_rank", "i32.const 2", "takes"),
        ("output_shape", "i32.const -4", "outside of its memory"),
        ("output_shape", "i32.const 0x2fffd", "outside of its memory"),
        ("output_shape", "i32.const 0x130", "takes"),
        ("output_data", "i32.const -1", "outside of its memory"),
        ("output_data", "i32.const 0x2fffc", "outside of its memory"),
        ("output_size", "i32.const 3", "takes"),
        ("output_size", "i32.const 0x100000", "outside of its memory"),
    ];
    for (function, body, message) in cases {
        let model = model(guest_with(&[(function, body)]));
        let error = model.run(given([1.0, 2.0], 3.0)).unwrap_err();
        assert!(matches!(error, Error::Guest(_)), "{function} {body}: {error}");
        assert!(error.to_string().contains(message), "{function} {body}: {error}");
        assert_eq!(error.code(), Code::Failed);
    }
}

#[test]
fn outputs_that_lie_on_top_of_each_other_count_each() {
    // All of the memory, as bytes, twice: more than there is, and more than is allowed.
    let guest = guest_with(&[
        ("output_dtype", "i32.const 2"),
        ("output_shape", "(i32.store (i32.const 0x150) (i32.const 0x20000)) i32.const 0x150"),
        ("output_data", "i32.const 0"),
        ("output_size", "i32.const 0x20000"),
    ]);
    let model = model(guest);
    let options = RunOptions { output_bytes: Some(200_000), ..RunOptions::default() };
    let error = model.run_with(given([1.0, 2.0], 3.0), &options).unwrap_err();
    assert_eq!(error, Error::Output { size_bytes: 0x40000, limit_bytes: 200_000 });
}

#[test]
fn a_byte_that_is_no_boolean_is_no_tensor() {
    let guest = guest_with(&[
        ("output_dtype", "i32.const 9"),
        ("output_data", "i32.const 0x400"),
        ("output_size", "(select (i32.const 1) (i32.const 2) (local.get $index))"),
    ]);
    let error = model(guest).run(given([1.0, 2.0], 3.0)).unwrap_err();
    assert!(error.to_string().contains("not 0 or 1"), "{error}");
}

#[test]
fn a_lie_about_inputs_is_found() {
    let cases: &[(&str, &str, &str)] = &[
        ("input_shape", "i32.const -2", "outside of its memory"),
        ("input_shape", "i32.const 0", "does not take the input `x`"),
        ("input_data", "i32.const 0x2fffc", "outside of its memory"),
        ("input_data", "i32.const 0", "does not take the input `x`"),
    ];
    for (function, body, message) in cases {
        let error = model(guest_with(&[(function, body)])).run(given([1.0, 2.0], 3.0)).unwrap_err();
        assert!(error.to_string().contains(message), "{function} {body}: {error}");
    }
}

#[test]
fn an_error_that_cannot_be_read_is_an_error_all_the_same() {
    let failed = |text: &str| guest_with(&[("run", &format!("{text} i32.const 7"))]);
    let cases = [
        ("no text", failed(""), "its error cannot be read"),
        ("not JSON", failed("(call $leave (i32.const 0x150) (i32.const 8))"), "its error cannot be read"),
        ("outside", failed("(call $leave (i32.const 0x2fff0) (i32.const 100))"), "outside of its memory"),
        ("huge", failed("(call $leave (i32.const 0) (i32.const -1))"), "4294967295 bytes"),
        (
            "an unknown code",
            failed("(i32.store8 (i32.const 0x509) (i32.const 0x58)) (call $leave (i32.const 0x500) (i32.const 65))"),
            "input `x`: no",
        ),
    ];
    for (name, guest, message) in cases {
        let error = model(guest).run(given([1.0, 2.0], 3.0)).unwrap_err();
        assert_eq!(error.code(), Code::Failed, "{name}: {error}");
        assert!(error.to_string().contains(message), "{name}: {error}");
    }
}

#[test]
fn a_guest_that_cannot_load_is_reported() {
    let cases: &[(&str, &str, &str)] = &[
        ("alloc", "i32.const 0", "allowed"),
        ("alloc", "i32.const -64", "outside of its memory"),
        ("load", "(call $leave (i32.const 0x500) (i32.const 65)) i32.const 1", "input `x`: no"),
        ("load", "unreachable", "the guest stopped"),
        ("describe", "(call $leave (i32.const 0x500) (i32.const 65)) i32.const 0", "missing field `engine`"),
        ("describe", "(call $leave (i32.const 0x400) (i32.const 0x7fffffff)) i32.const 0", "at most"),
        ("describe", "unreachable", "the guest stopped"),
    ];
    for (function, body, message) in cases {
        let sandbox = Sandbox::new(&config(guest_with(&[(function, body)]))).unwrap();
        let limits = pannier_wasmtime::Limits { load_deadline: Some(SOON), ..Default::default() };
        let options = LoadOptions { limits, ..LoadOptions::default() };
        let error = sandbox.load(&bundle(FREE), &Trust::AllowUnsigned, &options).unwrap_err();
        assert!(error.to_string().contains(message), "{function} {body}: {error}");
    }
}

#[test]
fn what_is_no_guest_makes_no_sandbox() {
    let mutable = "(memory (export \"memory\") 2) (global (mut i64) (i64.const 0))";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("no WebAssembly", b"ELF".to_vec(), "not a guest module"),
        ("empty", wat::parse_str("(module)").unwrap(), "memories"),
        ("a component", wat::parse_str("(component)").unwrap(), "component"),
        ("state outside its memory", module(mutable, &[]), "mutable globals"),
        ("an import", wat::parse_str("(module (import \"a\" \"b\" (func)) (memory 1))").unwrap(), "import"),
        ("no functions", wat::parse_str("(module (memory (export \"memory\") 1))").unwrap(), "pannier_abi"),
        ("another version", guest_with(&[("abi", "i32.const 2")]), "version 2"),
        ("a trap in its first call", guest_with(&[("abi", "unreachable")]), "the guest stopped"),
    ];
    for (name, guest, message) in cases {
        let error = Sandbox::new(&config(guest)).unwrap_err();
        assert!(error.to_string().contains(message), "{name}: {error}");
        assert_eq!(error.code(), Code::Failed, "{name}");
    }
}

#[test]
fn a_function_of_another_type_is_not_called() {
    let wat = "(module (memory (export \"memory\") 2) (func (export \"pannier_abi\") (result i64) i64.const 1))";
    let error = Sandbox::new(&config(wat::parse_str(wat).unwrap())).unwrap_err();
    assert_eq!(error, Error::Guest(GuestFault::Export { name: "pannier_abi" }));
}
