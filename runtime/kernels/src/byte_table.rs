//! A table of entry points per way to multiply 8-bit integers.

use crate::dot::Dot;
use crate::isa::Isa;
use crate::kernel::byte_depthwise::{self, ByteDepthwise};
use crate::kernel::byte_pointwise::{self, BytePointwise};
use crate::kernel::bytes::{self, ByteProduct, Convert, Lookup, Stage};
use crate::kernel::pointwise::Finish;
use crate::simd::dot::{Dot as DotKernels, Form};
use crate::simd::{Simd, dot};

/// The entry points. All of them need the instructions to be available.
pub struct ByteTable {
    pub dot: Dot,
    /// Columns in a vector.
    pub lanes: usize,
    /// What products want A to be.
    pub form: Form,
    /// Elements of A in a step.
    pub group: usize,
    /// `products[rows - 1][vectors - 1]`: the tiles.
    pub products: &'static [&'static [unsafe fn(&ByteProduct<'_>)]],
    pub depthwise: unsafe fn(&ByteDepthwise<'_>),
    pub stage: unsafe fn(&Stage),
    pub pointwise: unsafe fn(&BytePointwise<'_>),
    pub quantize: unsafe fn(&Convert),
    pub dequantize: unsafe fn(&Convert),
    pub lookup: unsafe fn(&Lookup),
    /// Steps that are not quick, in the deterministic form: results of integers are the same everywhere.
    pub finish: unsafe fn(&Finish<'_>),
}

impl ByteTable {
    pub fn max_rows(&self) -> usize {
        self.products.len()
    }

    pub fn max_vectors(&self) -> usize {
        self.products[0].len()
    }
}

/// Entry points of `$kernels`, compiled with `$attr`, as the table `$name`.
macro_rules! byte_table {
    ($name:ident, $kernels:ty, $dot:expr, $isa:expr, $(#[$attr:meta])? rows: [$($rows:literal)*], vectors: $vectors:tt, pixels: [$pixels:literal $half:literal]) => {
        mod $name {
            use super::*;

            $(#[$attr])?
            unsafe fn product<const MR: usize, const NV: usize>(args: &ByteProduct<'_>) {
                // SAFETY: this function has the instruction set; the arguments are the caller's.
                unsafe { bytes::tiles::<$kernels, MR, NV>(args) }
            }

            $(#[$attr])?
            unsafe fn depthwise(args: &ByteDepthwise<'_>) {
                // SAFETY: as above.
                unsafe { byte_depthwise::depthwise::<$kernels, $pixels, $half>(args) }
            }

            $(#[$attr])?
            unsafe fn stage(args: &Stage) {
                // SAFETY: as above.
                unsafe {
                    match <$kernels as DotKernels>::FORM {
                        Form::Words => bytes::stage_words(args),
                        Form::Unsigned | Form::Signed => bytes::stage_bytes(args),
                    }
                }
            }

            $(#[$attr])?
            unsafe fn pointwise(args: &BytePointwise<'_>) {
                // SAFETY: as above.
                unsafe { byte_pointwise::byte_pointwise::<$kernels>(args) }
            }

            $(#[$attr])?
            unsafe fn quantize(args: &Convert) {
                // SAFETY: as above.
                unsafe { bytes::quantize::<$kernels>(args) }
            }

            $(#[$attr])?
            unsafe fn dequantize(args: &Convert) {
                // SAFETY: as above.
                unsafe { bytes::dequantize::<$kernels>(args) }
            }

            $(#[$attr])?
            unsafe fn lookup(args: &Lookup) {
                // SAFETY: as above.
                unsafe { bytes::lookup::<$kernels>(args) }
            }

            unsafe fn finish(args: &Finish<'_>) {
                // SAFETY: whoever has these instructions has those of the table.
                unsafe { (crate::table::table($isa, true).finish)(args) }
            }

            pub static TABLE: ByteTable = ByteTable {
                dot: $dot,
                lanes: <<$kernels as DotKernels>::S as Simd>::LANES,
                form: <$kernels as DotKernels>::FORM,
                group: <$kernels as DotKernels>::GROUP,
                products: &[$(products!($rows, $vectors)),*],
                depthwise,
                stage,
                pointwise,
                quantize,
                dequantize,
                lookup,
                finish,
            };
        }
    };
}

macro_rules! products {
    ($rows:literal, [$($vectors:literal)*]) => { &[$(product::<$rows, $vectors>),*] };
}

// Tiles: those of the floats' products, for the same reasons; measured with examples/layers.rs.
#[cfg(target_arch = "x86_64")]
byte_table! { avx512_vnni, dot::vnni::Avx512Vnni, Dot::Avx512Vnni, Isa::Avx512,
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
rows: [1 2 3 4 5 6 7 8], vectors: [1 2 3], pixels: [8 4] }
#[cfg(target_arch = "x86_64")]
byte_table! { avx_vnni, dot::vnni::AvxVnni, Dot::AvxVnni, Isa::Avx2Fma, #[target_feature(enable = "avx2,fma,avxvnni")]
rows: [1 2 3 4 5 6], vectors: [1 2], pixels: [4 4] }
#[cfg(target_arch = "x86_64")]
byte_table! { avx2, dot::avx2::Avx2Bytes, Dot::Avx2, Isa::Avx2Fma, #[target_feature(enable = "avx2,fma")]
rows: [1 2 3 4 5 6], vectors: [1 2], pixels: [4 4] }
#[cfg(target_arch = "aarch64")]
byte_table! { neon_dot, dot::neon::NeonDot, Dot::NeonDot, Isa::Neon, #[target_feature(enable = "neon")]
rows: [1 2 3 4 5 6 7 8], vectors: [1 2], pixels: [4 4] }
#[cfg(target_arch = "aarch64")]
byte_table! { neon, dot::neon::NeonBytes, Dot::Neon, Isa::Neon, #[target_feature(enable = "neon")]
rows: [1 2 3 4 5 6 7 8], vectors: [1 2], pixels: [4 4] }
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
byte_table! { wasm, dot::wasm::WasmBytes, Dot::Wasm, Isa::best(), rows: [1 2 3 4], vectors: [1 2], pixels: [4 4] }
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
byte_table! { scalar, dot::scalar::ScalarBytes, Dot::Scalar, Isa::Scalar, rows: [1 2 3 4], vectors: [1 2], pixels: [4 4] }

/// The table for a way to multiply; the slowest for those that this program was not built for.
pub fn table(dot: Dot) -> &'static ByteTable {
    match dot {
        #[cfg(target_arch = "x86_64")]
        Dot::Avx512Vnni => &avx512_vnni::TABLE,
        #[cfg(target_arch = "x86_64")]
        Dot::AvxVnni => &avx_vnni::TABLE,
        #[cfg(target_arch = "x86_64")]
        Dot::Avx2 => &avx2::TABLE,
        #[cfg(target_arch = "aarch64")]
        Dot::NeonDot => &neon_dot::TABLE,
        #[cfg(target_arch = "aarch64")]
        Dot::Neon => &neon::TABLE,
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        _ => &scalar::TABLE,
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        _ => &wasm::TABLE,
    }
}
