//! Checks by which a host stops code that runs.

use wasm_encoder::{Encode, SectionId};
use wasmparser::{FunctionBody, Operator};

use crate::Error;
use crate::module::{Module, counted_body};

/// Traps if the first word of memory 1 is not zero.
///
/// wasmtime's own means, epochs, call the host where this traps. Such a call clobbers all vector registers, and code around hot
/// loops keeps its values in memory because of it; a trap clobbers nothing.
const CHECK: [u8; 10] = [
    0x41, 0x00, // i32.const 0
    0x28, 0x42, 0x01, 0x00, // i32.load, of memory 1, aligned to 4, at offset 0
    0x04, 0x40, // if
    0x00, // unreachable
    0x0b, // end
];

/// Puts a check at the head of each loop and at the entry of each function that calls others: whatever the code does, there is
/// a bounded number of instructions between two checks.
pub(crate) fn add_checks(module: &mut Module) -> Result<(), Error> {
    let mut bodies = Vec::new();
    let functions = module.items::<FunctionBody>(SectionId::Code)?;
    for function in &functions {
        checked(function)?.encode(&mut bodies);
    }
    let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
    let code = counted_body(count, &[&bodies]);
    drop(functions);
    module.set(SectionId::Code, code);
    Ok(())
}

/// A function's body, without its size, with checks.
fn checked(function: &FunctionBody) -> Result<Vec<u8>, Error> {
    let (calls, loops) = places(function)?;
    let body = function.as_bytes();
    let start = function.range().start;
    let added = loops.len().saturating_add(1).saturating_mul(CHECK.len());
    let mut checked = Vec::with_capacity(body.len().saturating_add(added));
    let mut copied = 0;
    for place in calls.into_iter().chain(loops) {
        let place = place.saturating_sub(start);
        checked.extend_from_slice(body.get(copied..place).unwrap_or_default());
        checked.extend_from_slice(&CHECK);
        copied = place;
    }
    checked.extend_from_slice(body.get(copied..).unwrap_or_default());
    Ok(checked)
}

/// Where checks go: the entry, if the function calls, and behind each `loop`.
fn places(function: &FunctionBody) -> Result<(Option<usize>, Vec<usize>), Error> {
    let mut operators = function.get_operators_reader()?;
    let entry = operators.original_position();
    let (mut calls, mut loops) = (false, Vec::new());
    while !operators.eof() {
        match operators.read()? {
            Operator::Loop { .. } => loops.push(operators.original_position()),
            Operator::Call { .. } | Operator::CallIndirect { .. } => calls = true,
            _ => {}
        }
    }
    Ok((calls.then_some(entry), loops))
}
