//! Small modules written by hand: what is refused, and what becomes of the rest.

mod image;
mod refusals;
mod rewriting;

/// Assembles a module.
fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A guest in small: intrinsics, the plain ABI, exports of a WIT package, a stack pointer, data, and a table of functions.
const RAW: &str = r#"(module
    (import "[export]pannier:model/inference" "[resource-new]session" (func $new (param i32) (result i32)))
    (import "[export]pannier:model/inference" "[resource-drop]session" (func $drop (param i32)))
    (memory (export "memory") 2)
    (global $sp (mut i32) (i32.const 65536))
    (global (export "__data_end") i32 (i32.const 70000))
    (table funcref (elem $abi $new))
    (func $abi (export "pannier_abi") (result i32) (i32.load (i32.const 66000)))
    (func $twice (export "pannier_twice") (param i32) (result i32) (i32.mul (local.get 0) (call $abi)))
    (func (export "pannier:model/inference#[constructor]session") (result i32) (call $new (i32.const 1)))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
    (func (call $drop (i32.const 0)))
    (data (i32.const 66000) "\02")
    (data (i32.const 66100) "two")
    (@custom ".debug_info" "places in the code")
    (@custom "producers" "\00"))"#;
