//! Numbers to 8-bit integers and back.

use super::ByteKind;
use crate::error::{KernelError, same};
use crate::kernel::bytes::{Convert, Lookup};
use crate::kernels::Kernels;

impl Kernels {
    /// `dst[i] = table[src[i]]`: any function of one 8-bit integer.
    ///
    /// # Errors
    ///
    /// `Size`: the lengths differ.
    pub fn lookup_bytes(&self, table: &[u8; 256], src: &[u8], dst: &mut [u8]) -> Result<(), KernelError> {
        same("results", src.len(), dst.len())?;
        let lookup = Lookup { table: table.as_ptr(), src: src.as_ptr(), dst: dst.as_mut_ptr(), len: src.len() };
        // SAFETY: both slices have `len` bytes.
        unsafe { (self.bytes.lookup)(&lookup) };
        Ok(())
    }

    /// `clamp(round(x / scale) + zero)`, ties to even: ONNX's `QuantizeLinear`. NaN becomes the smallest integer.
    ///
    /// # Errors
    ///
    /// `Size`: the lengths differ. `Range`: the zero point is none of the type's integers.
    pub fn quantize(&self, src: &[f32], kind: ByteKind, scale: f32, dst: &mut [u8]) -> Result<(), KernelError> {
        kind.check()?;
        same("quantized numbers", src.len(), dst.len())?;
        let [low, high] = kind.bounds();
        let (bytes, floats) = (dst.as_mut_ptr(), src.as_ptr().cast_mut());
        let convert = Convert { bytes, floats, len: src.len(), flip: 0, zero: kind.zero, scale, low, high };
        // SAFETY: both have `len` elements; the floats are only read.
        unsafe { (self.bytes.quantize)(&convert) };
        Ok(())
    }

    /// `(q - zero) * scale`: ONNX's `DequantizeLinear`.
    ///
    /// # Errors
    ///
    /// As for [`Kernels::quantize`].
    pub fn dequantize(&self, src: &[u8], kind: ByteKind, scale: f32, dst: &mut [f32]) -> Result<(), KernelError> {
        kind.check()?;
        same("numbers", src.len(), dst.len())?;
        let (flip, zero) = kind.unsigned();
        let (bytes, floats) = (src.as_ptr().cast_mut(), dst.as_mut_ptr());
        let convert = Convert { bytes, floats, len: src.len(), flip, zero, scale, low: 0.0, high: 0.0 };
        // SAFETY: both have `len` elements; the bytes are only read.
        unsafe { (self.bytes.dequantize)(&convert) };
        Ok(())
    }
}
