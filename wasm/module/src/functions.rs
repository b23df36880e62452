//! What functions are given in a shell: checks by which a host stops them, and loads that compile well.

use std::ops::Range;

use wasm_encoder::{Encode, SectionId};
use wasmparser::{FunctionBody, Operator};

use crate::Error;
use crate::module::{Module, counted_body};

/// Traps if the first word of memory 1 is not zero.
///
/// wasmtime's own means, epochs, call the host where this traps. Such a call clobbers all vector registers, and code around hot
/// loops keeps its values in memory because of it; a trap clobbers nothing.
///
/// The load is atomic because a compiler may take the word of a plain one for what an earlier check has found, where nothing in between
/// stores or calls: wasmtime's does, and a loop that only computes would never be stopped.
const CHECK: [u8; 11] = [
    0x41, 0x00, // i32.const 0
    0xfe, 0x10, 0x42, 0x01, 0x00, // i32.atomic.load, of memory 1, aligned to 4, at offset 0
    0x04, 0x40, // if
    0x00, // unreachable
    0x0b, // end
];

/// `v128.load32_splat`, without where it loads from.
const LOAD_SPLAT: [u8; 2] = [0xfd, 0x09];
/// `f32.load`, without where it loads from: that is written the same way.
const LOAD: [u8; 1] = [0x2a];
/// `f32x4.splat`.
const SPLAT: [u8; 2] = [0xfd, 0x13];

/// Bytes that take the place of others in a function's body.
struct Edit {
    /// Counted from the start of the body.
    place: Range<usize>,
    bytes: Vec<u8>,
}

/// Rewrites every function.
///
/// - At the head of each loop and at the entry of each function that calls others is a check: whatever the code does, there is a
///   bounded number of instructions between two checks.
/// - A number that is loaded into all lanes is loaded as `f32` and spread: the same bits, and wasmtime's compiler leaves them in vector
///   registers. What one instruction does it takes through an integer register, which made products 10 % slower; see
///   docs/adr/011-code-for-the-sandbox.md.
pub(crate) fn rewrite_functions(module: &mut Module) -> Result<(), Error> {
    let mut bodies = Vec::new();
    let functions = module.items::<FunctionBody>(SectionId::Code)?;
    for function in &functions {
        rewritten(function.as_bytes(), &edits(function)?).encode(&mut bodies);
    }
    let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
    let code = counted_body(count, &[&bodies]);
    drop(functions);
    module.set(SectionId::Code, code);
    Ok(())
}

/// A function's body, without its size, with what takes the place of parts of it, in order.
fn rewritten(body: &[u8], edits: &[Edit]) -> Vec<u8> {
    let added: usize = edits.iter().map(|edit| edit.bytes.len()).sum();
    let mut rewritten = Vec::with_capacity(body.len().saturating_add(added));
    let mut copied = 0;
    for edit in edits {
        rewritten.extend_from_slice(body.get(copied..edit.place.start).unwrap_or_default());
        rewritten.extend_from_slice(&edit.bytes);
        copied = edit.place.end;
    }
    rewritten.extend_from_slice(body.get(copied..).unwrap_or_default());
    rewritten
}

/// What changes in a function.
fn edits(function: &FunctionBody) -> Result<Vec<Edit>, Error> {
    let start = function.range().start;
    let mut operators = function.get_operators_reader()?;
    let place = |position: usize| position.saturating_sub(start);
    let entry = place(operators.original_position());
    let check = |at: usize| Edit { place: at..at, bytes: CHECK.to_vec() };
    let (mut calls, mut edits) = (false, Vec::new());
    while !operators.eof() {
        let from = place(operators.original_position());
        let operator = operators.read()?;
        let to = place(operators.original_position());
        match operator {
            Operator::Loop { .. } => edits.push(check(to)),
            Operator::Call { .. } | Operator::CallIndirect { .. } => calls = true,
            Operator::V128Load32Splat { .. } => edits.extend(spread(function.as_bytes(), from..to)),
            _ => {}
        }
    }
    if calls {
        edits.insert(0, check(entry));
    }
    Ok(edits)
}

/// Two instructions for the `v128.load32_splat` at `place`; none if it is written in another way than linkers do.
fn spread(body: &[u8], place: Range<usize>) -> Option<Edit> {
    let from_where = body.get(place.clone())?.strip_prefix(&LOAD_SPLAT)?;
    Some(Edit { place, bytes: [&LOAD, from_where, &SPLAT].concat() })
}
