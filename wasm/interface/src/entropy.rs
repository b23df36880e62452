//! Where random numbers come from: nowhere.
//!
//! tract asks for a seed in the random operators of ONNX (`RandomUniform`, `Multinomial` and their like) when the node
//! states none; nothing else in these builds asks. The standard leaves that seed to the implementation, and a guest that
//! imports nothing has nothing to draw one from. Refusing would trap in the middle of a run, so the seed is always the
//! same: the same inputs give the same outputs, in every instance and on every host, browsers included. No secret is ever made here:
//! verifying signatures takes no randomness.

/// The backend that the crate `getrandom` calls in a build with `--cfg getrandom_backend="custom"`.
///
/// # Safety
/// `dest` is valid for writing `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, size: usize) -> Result<(), getrandom::Error> {
    // SAFETY: the caller promises that `size` bytes may be written there.
    unsafe { dest.write_bytes(0x5a, size) };
    Ok(())
}
