//! A guest written by hand, small enough to be compiled in no time, each of whose functions a test can replace.
//!
//! Its model has the inputs `x` (two numbers) and `s` (one number, the state) and the outputs `y = x + s` and
//! `next = s + 1`.

/// Where the parts of its memory are.
const LAYOUT: &str = r#"
    ;; 0x100 whether `s` was given    0x110 shape of x    0x120 shape of s    0x130 x    0x140 s
    ;; 0x150 shape of y (2)           0x154 shape of next (1)                 0x160 y    0x170 next
    ;; 0x180 the state that is kept   0x190 place of the text    0x194 its size
    (data (i32.const 0x150) "\02\00\00\00\01\00\00\00")
    (data (i32.const 0x400) "{\"engine\":\"by hand\"}")
    (data (i32.const 0x500) "{\"code\":\"E_INVALID_INPUT\",\"message\":\"input `x`: no\",\"hint\":\"ask\"}")
    (data (i32.const 0x600) "{\"code\":\"E_FAILED\",\"message\":\"panicked: \\u001b[31mno such luck\",\"hint\":null}")
"#;

/// Name, type and body of each function.
const FUNCTIONS: [(&str, &str, &str); 18] = [
    ("abi", "(result i32)", "i32.const 1"),
    // Room for a bundle: behind everything that there is, as if it was never given back.
    (
        "alloc",
        "(param $size i32) (result i32) (local $place i32)",
        "(local.set $place (i32.mul (memory.size) (i32.const 0x10000)))
         (if (i32.eq (memory.grow (i32.div_u (i32.add (local.get $size) (i32.const 0xffff)) (i32.const 0x10000)))
                     (i32.const -1))
             (then (return (i32.const 0))))
         local.get $place",
    ),
    ("free", "(param i32)", ""),
    (
        "load",
        "(param $bundle i32) (param $size i32) (param i32 i32 i32 i64 i64) (result i32)",
        "(memory.fill (local.get $bundle) (i32.const 0) (local.get $size)) i32.const 0",
    ),
    ("describe", "(result i32)", "(call $leave (i32.const 0x400) (i32.const 20)) i32.const 0"),
    ("text", "(result i32)", "(i32.load (i32.const 0x190))"),
    ("text_size", "(result i32)", "(i32.load (i32.const 0x194))"),
    (
        "input_shape",
        "(param $index i32) (param $rank i32) (result i32)",
        "(select (i32.const 0x120) (i32.const 0x110) (local.get $index))",
    ),
    (
        "input_data",
        "(param $index i32) (param $type i32) (param $size i32) (result i32)",
        "(if (i32.ne (local.get $size) (select (i32.const 4) (i32.const 8) (local.get $index)))
             (then (call $leave (i32.const 0x500) (i32.const 65)) (return (i32.const 0))))
         (if (local.get $index) (then (i32.store (i32.const 0x100) (i32.const 1))))
         (select (i32.const 0x140) (i32.const 0x130) (local.get $index))",
    ),
    (
        "run",
        "(result i32)",
        "(f32.store (i32.const 0x160) (f32.add (f32.load (i32.const 0x130)) (f32.load (i32.const 0x140))))
         (f32.store (i32.const 0x164) (f32.add (f32.load (i32.const 0x134)) (f32.load (i32.const 0x140))))
         (f32.store (i32.const 0x170) (f32.add (f32.load (i32.const 0x140)) (f32.const 1)))
         (i32.store (i32.const 0x100) (i32.const 0))
         i32.const 0",
    ),
    (
        "step",
        "(result i32)",
        "(if (i32.eqz (i32.load (i32.const 0x100)))
             (then (f32.store (i32.const 0x140) (f32.load (i32.const 0x180)))))
         (drop (call $run))
         (f32.store (i32.const 0x180) (f32.load (i32.const 0x170)))
         i32.const 0",
    ),
    ("reset", "", "(f32.store (i32.const 0x180) (f32.const 0))"),
    ("outputs", "(result i32)", "i32.const 2"),
    ("output_dtype", "(param i32) (result i32)", "i32.const 1"),
    ("output_rank", "(param i32) (result i32)", "i32.const 1"),
    (
        "output_shape",
        "(param $index i32) (result i32)",
        "(select (i32.const 0x154) (i32.const 0x150) (local.get $index))",
    ),
    (
        "output_data",
        "(param $index i32) (result i32)",
        "(select (i32.const 0x170) (i32.const 0x160) (local.get $index))",
    ),
    ("output_size", "(param $index i32) (result i32)", "(select (i32.const 4) (i32.const 8) (local.get $index))"),
];

/// The guest, with other bodies for these functions.
pub fn guest_with(bodies: &[(&str, &str)]) -> Vec<u8> {
    module("(memory (export \"memory\") 2)", bodies)
}

/// The guest.
pub fn guest() -> Vec<u8> {
    guest_with(&[])
}

/// The guest with another memory, and with other bodies for these functions.
pub fn module(memory: &str, bodies: &[(&str, &str)]) -> Vec<u8> {
    for (name, _) in bodies {
        assert!(FUNCTIONS.iter().any(|(known, ..)| known == name), "no function `{name}`");
    }
    let mut wat = format!("(module {memory} (global $stack (mut i32) (i32.const 0x10000)) {LAYOUT}");
    wat += "(func $leave (param i32 i32)
        (i32.store (i32.const 0x190) (local.get 0)) (i32.store (i32.const 0x194) (local.get 1)))";
    for (name, ty, body) in FUNCTIONS {
        let body = bodies.iter().find(|(replaced, _)| *replaced == name).map_or(body, |(_, body)| *body);
        wat += &format!("(func ${name} (export \"pannier_{name}\") {ty} {body})\n");
    }
    wat += ")";
    wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"))
}

/// Leaves the panic's message, then traps.
pub const PANIC: &str = "(call $leave (i32.const 0x600) (i32.const 76)) unreachable";
