//! Every way in which a module can be unfit.

use super::wat;
use crate::{Error, MemoryImage, Refusal, component, exports, plain, self_contained, split};

/// A module that is fine, with one thing added.
fn with(addition: &str) -> Vec<u8> {
    wat(&format!(
        r#"(module {addition} (memory (export "memory") 1) (global (mut i32) (i32.const 1024)) (func (export "pannier_run")))"#
    ))
}

#[test]
fn split_refuses_state_outside_the_memory() {
    let cases: [(&str, Refusal); 15] = [
        ("(global (mut i32) (i32.const 0))", Refusal::MutableGlobals { count: 2 }),
        ("(func $f) (start $f)", Refusal::Start),
        (r#"(data "passive")"#, Refusal::PassiveData),
        (r#"(data $d "x") (func (data.drop $d))"#, Refusal::Instruction { name: "data.drop" }),
        (
            r#"(data $d "x") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))"#,
            Refusal::Instruction { name: "memory.init" },
        ),
        (
            "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
            Refusal::Instruction { name: "table.set" },
        ),
        (
            "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))",
            Refusal::Instruction { name: "table.grow" },
        ),
        (
            "(table 1 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 1)))",
            Refusal::Instruction { name: "table.fill" },
        ),
        (
            "(table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 1)))",
            Refusal::Instruction { name: "table.copy" },
        ),
        (
            "(table 1 funcref) (elem $e funcref) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 0)))",
            Refusal::Instruction { name: "table.init" },
        ),
        ("(elem $e funcref) (func (elem.drop $e))", Refusal::Instruction { name: "elem.drop" }),
        (r#"(data (i32.const 8) "long") (data (i32.const 10) "overlaps")"#, Refusal::DataOrder { index: 1 }),
        (r#"(data (i32.const 65530) "reaches out")"#, Refusal::DataBounds { index: 0 }),
        (r#"(data (i32.const -1) "far out")"#, Refusal::DataBounds { index: 0 }),
        (r#"(data (i32.const 65536) "") (data (i32.const 0) "")"#, Refusal::DataOrder { index: 1 }),
    ];
    for (addition, refusal) in cases {
        assert_eq!(split(&with(addition)), Err(Error::Refused(refusal)), "{addition}");
    }
    assert!(split(&with("")).is_ok());
}

#[test]
fn there_is_one_memory() {
    let none = wat("(module)");
    assert_eq!(split(&none), Err(Refusal::Memories { count: 0 }.into()));
    assert_eq!(self_contained(&none, &MemoryImage::default(), &[]), Err(Refusal::Memories { count: 0 }.into()));
}

#[test]
fn imports_that_cannot_be_done_without() {
    let cases = [
        (r#"(import "env" "memory" (memory 1))"#, "memory"),
        (r#"(import "env" "table" (table 1 funcref))"#, "table"),
        (r#"(import "env" "global" (global i32))"#, "global"),
        (r#"(import "env" "abort" (func))"#, "function"),
        (r#"(import "[export]a:b/c" "[resource-new]d" (func)) (import "[export]a:b/c" "memory" (memory 1))"#, "memory"),
    ];
    for (import, kind) in cases {
        let module = wat(&format!("(module {import})"));
        assert!(matches!(plain(&module), Err(Error::Import { kind: found, .. }) if found == kind), "{import}");
        assert!(matches!(split(&module), Err(Error::Import { .. })), "{import}");
    }
}

/// What needs more than WebAssembly 2.0 and relaxed SIMD.
#[test]
fn features_that_a_guest_must_not_use() {
    let cases = [
        r#"(module (memory (export "memory") i64 1))"#,
        r#"(module (memory (export "memory") 1 1 shared))"#,
        r#"(module (memory 1) (memory 1))"#,
        "(module (memory 1) (func (return_call 0)))",
        "(module (tag))",
        r#"(module (memory 1) (global $g i32 (i32.const 0)) (data (i32.add (global.get $g) (i32.const 1)) "x"))"#,
    ];
    for text in cases {
        let module = wat(text);
        assert!(matches!(plain(&module), Err(Error::Invalid { .. })), "{text}");
        assert!(matches!(split(&module), Err(Error::Invalid { .. })), "{text}");
    }
}

#[test]
fn what_is_not_a_module() {
    let a_component = wat("(component)");
    type Transformation = fn(&[u8]) -> Result<(), Error>;
    let transformations: [Transformation; 4] = [
        |wasm| plain(wasm).map(drop),
        |wasm| split(wasm).map(drop),
        |wasm| component(wasm).map(drop),
        |wasm| self_contained(wasm, &MemoryImage::default(), &[]).map(drop),
    ];
    for transformation in transformations {
        assert_eq!(transformation(b""), Err(Error::NotWasm));
        assert_eq!(transformation(b"\0asm"), Err(Error::NotWasm));
        assert_eq!(transformation(b"PK\x03\x04 and so on"), Err(Error::NotWasm));
        assert_eq!(transformation(&a_component), Err(Error::NotModule));
    }
    assert_eq!(exports(b"\x89PNG\r\n\x1a\n"), Err(Error::NotWasm));
    assert!(matches!(component(&wat("(module)")), Err(Error::Component { .. })));
}

/// Cutting a module anywhere, and changing any byte of it, gives an error or another valid module, and never a panic.
#[test]
fn damage_never_panics() {
    let good = wat(super::RAW);
    for end in 0..good.len() {
        let cut = good.get(..end).unwrap_or_default();
        drop((plain(cut), split(cut), exports(cut), crate::sections(cut)));
    }
    for index in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = good.clone();
            damaged[index] ^= flip;
            drop((plain(&damaged).and_then(|plain| split(&plain)), exports(&damaged), crate::sections(&damaged)));
        }
    }
}
