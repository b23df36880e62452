//! What the transformations leave, change and add.

use wasmparser::{Parser, Payload};

use super::{RAW, wat};
use crate::{
    CustomSection, Error, Kind, MemoryImage, append_section, custom_section, exports, kind, last_section, plain,
    sections,
};
use crate::{memory_module, self_contained, split};

fn names(wasm: &[u8]) -> Vec<String> {
    exports(wasm).unwrap().into_iter().map(|export| format!("{} {}", export.kind, export.name)).collect()
}

fn bodies(wasm: &[u8]) -> Vec<Vec<u8>> {
    let payloads = Parser::new(0).parse_all(wasm);
    payloads
        .filter_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body.as_bytes().to_vec()),
            _ => None,
        })
        .collect()
}

fn import_count(wasm: &[u8]) -> u32 {
    let mut payloads = Parser::new(0).parse_all(wasm);
    payloads
        .find_map(
            |payload| if let Payload::ImportSection(imports) = payload.unwrap() { Some(imports.count()) } else { None },
        )
        .unwrap_or(0)
}

#[test]
fn plain_replaces_imports_by_traps_and_copies_the_code() {
    let raw = wat(RAW);
    let plain = plain(&raw).unwrap();
    assert_eq!(import_count(&plain), 0);
    assert_eq!(names(&plain), ["memory memory", "function pannier_abi", "function pannier_twice"]);
    let trap = vec![0x00, 0x00, 0x0b];
    assert_eq!(bodies(&plain), [vec![trap.clone(), trap], bodies(&raw)].concat());
    let customs: Vec<_> = sections(&plain).unwrap().into_iter().filter_map(|section| section.name).collect();
    assert_eq!(customs, ["producers", "name"], "places in the code have moved, names of functions have not");
}

#[test]
fn plain_leaves_what_is_plain() {
    let once = plain(&wat(RAW)).unwrap();
    assert_eq!(plain(&once).unwrap(), once);
}

#[test]
fn plain_works_on_a_module_without_functions_of_its_own() {
    let raw = wat(
        r#"(module (import "[export]a:b/c" "[resource-rep]d" (func (param i64))) (memory (export "memory") 1) (export "pannier_b" (func 0)))"#,
    );
    let plain = plain(&raw).unwrap();
    assert_eq!(import_count(&plain), 0);
    assert_eq!(bodies(&plain).len(), 1);
}

#[test]
fn a_shell_imports_its_memory_and_has_no_data() {
    let split = split(&wat(RAW)).unwrap();
    assert_eq!(import_count(&split.shell), 2);
    assert_eq!(names(&split.shell), ["memory memory", "function pannier_abi", "function pannier_twice"]);
    let runs: Vec<_> = split.memory.runs().collect();
    assert_eq!(runs, [(66_000, b"\x02".as_slice()), (66_100, b"two")]);
    assert_eq!(split.memory.pages(), 2);
    assert!(!sections(&split.shell).unwrap().iter().any(|section| section.id == 11), "no data");
    assert_eq!(names(&memory_module(&split.memory, None).unwrap()), ["memory memory"]);
}

#[test]
fn a_shell_looks_at_loops_and_before_calls_whether_to_stop() {
    let functions = |check: &str| {
        format!(
            r#"(func $leaf (result i32) (local i64 f32) (i32.const 7))
            (func (result i32) (local f64) {check} (call $leaf))
            (func {check} (call_indirect (i32.const 0)))
            (func (param i32) (loop {check} (drop (loop (result i32) {check} (br_if 1 (local.get 0)) (i32.const 1)))))
            (func {check} (loop {check} (drop (call $leaf)) (br 0)))"#
        )
    };
    let module = format!("(module (table 1 funcref) (memory 1) {})", functions(""));
    let check = "(if (i32.atomic.load $stop (i32.const 0)) (then unreachable))";
    let expected = format!("(module (table 1 funcref) (memory 1) (memory $stop 1 1 shared) {})", functions(check));
    assert_eq!(bodies(&split(&wat(&module)).unwrap().shell), bodies(&wat(&expected)));
}

#[test]
fn a_shell_loads_numbers_before_it_spreads_them() {
    let module = |load: &str| {
        format!(
            r#"(module (memory 1) (memory 1 1 shared) (func (param i32) (result v128)
            (i32x4.add (v128.load8_splat (local.get 0)) {load})))"#
        )
    };
    let shell =
        split(&wat(&module("(v128.load32_splat offset=300 align=2 (local.get 0))").replace("(memory 1 1 shared)", "")))
            .unwrap();
    assert_eq!(
        bodies(&shell.shell),
        bodies(&wat(&module("(f32x4.splat (f32.load offset=300 align=2 (local.get 0)))")))
    );
}

#[test]
fn a_self_contained_module_has_the_image_and_the_sections() {
    let image = MemoryImage::of(&[3; 5 * 65_536]);
    let custom = [CustomSection { name: "one", contents: b"1" }, CustomSection { name: "two", contents: b"" }];
    let wasm = self_contained(&wat(RAW), &image, &custom).unwrap();
    assert_eq!(kind(&wasm), Ok(Kind::Module));
    assert_eq!(import_count(&wasm), 0);
    assert_eq!(split(&wasm).unwrap().memory, image);
    assert_eq!(custom_section(&wasm, "name"), Ok(None), "names of functions are not shipped");
    assert_eq!(custom_section(&wasm, "one"), Ok(Some(b"1".as_slice())));
    assert_eq!(
        last_section(&wasm, "two").unwrap().map(|(before, contents)| (before.len(), contents)),
        Some((wasm.len() - 6, b"".as_slice()))
    );
    assert_eq!(
        self_contained(&plain(&wat(RAW)).unwrap(), &image, &custom).unwrap(),
        wasm,
        "from the plain form the same"
    );
}

#[test]
fn a_last_section_has_one_form() {
    let mut wasm = wat("(module)");
    let before = wasm.clone();
    assert_eq!(last_section(&wasm, "seal"), Ok(None));
    append_section(&mut wasm, "seal", b"contents");
    assert_eq!(last_section(&wasm, "seal"), Ok(Some((before.as_slice(), b"contents".as_slice()))));

    let mut twice = wasm.clone();
    append_section(&mut twice, "seal", b"contents");
    assert_eq!(last_section(&twice, "seal"), Err(Error::Duplicate { name: "seal".to_owned() }));
    assert_eq!(custom_section(&twice, "seal"), Err(Error::Duplicate { name: "seal".to_owned() }));

    let mut followed = wasm.clone();
    append_section(&mut followed, "more", b"");
    assert_eq!(last_section(&followed, "seal"), Err(Error::NotLast { name: "seal".to_owned() }));

    // The section's size, 13, in two bytes.
    let mut longer = before.clone();
    longer.extend_from_slice(b"\x00\x8d\x00\x04sealcontents");
    assert_eq!(custom_section(&longer, "seal"), Ok(Some(b"contents".as_slice())));
    assert_eq!(last_section(&longer, "seal"), Err(Error::NotLast { name: "seal".to_owned() }));

    let cut = wasm.get(..wasm.len() - 1).unwrap();
    let truncated = Error::Truncated { offset: before.len(), expected_bytes: 13, actual_bytes: 12 };
    assert_eq!(last_section(cut, "seal"), Err(truncated));
}

#[test]
fn sections_of_components_are_found_outside_only() {
    let component = wat(r#"(component (core module (@custom "inner" "x")) (@custom "outer" "y"))"#);
    assert_eq!(kind(&component), Ok(Kind::Component));
    assert_eq!(custom_section(&component, "outer"), Ok(Some(b"y".as_slice())));
    assert_eq!(custom_section(&component, "inner"), Ok(None));
}
