//! A table of entry points per instruction set: where generic kernels become machine code.

use crate::isa::Isa;
use crate::kernel::cell::{self, Gru, Lstm};
use crate::kernel::depthwise::{self, Depthwise};
use crate::kernel::layout::{self, Transpose};
use crate::kernel::lines::{self, Lines};
use crate::kernel::packed::{self, Pack, PackedProduct};
use crate::kernel::pointwise::{self, Finish, Pointwise};
use crate::kernel::pool::{self, Pool};
use crate::kernel::product::{self, Product};
use crate::kernel::resize::{self, Lerp};
use crate::kernel::rows::{self, Norm, Reduction, Rows};
use crate::kernel::stored::{self, Widen};
#[cfg(not(target_arch = "wasm32"))]
use crate::kernel::stored::{Halves, Int4, Int8};
#[cfg(not(target_arch = "wasm32"))]
use crate::kernel::stored_row::{self, StoredRow};
use crate::kernel::winograd::{self, Input, Output};
use crate::simd::Simd;
#[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
use crate::simd::strict::Strict;

/// Most rows of a product's tile on any instruction set.
pub const MAX_ROWS: usize = 8;

/// Panels of so many vectors that are multiplied side by side with so many rows, 3 at most: as many sums as registers hold beside
/// what is loaded.
const fn panels_beside(rows: usize, vectors: usize) -> usize {
    if cfg!(target_arch = "wasm32") { [6, 4, 3][rows - 1] / vectors } else { 4 }
}

/// Few rows by panels side by side.
#[derive(Clone, Copy)]
pub struct Beside {
    pub panels: usize,
    pub run: unsafe fn(&Product<'_>),
}

/// Products whose rows are packed.
pub struct PackedRows {
    pub rows: usize,
    pub pack: unsafe fn(&Pack),
    pub tiles: unsafe fn(&PackedProduct<'_>),
}

/// Whether the tables that have tiles for packed rows use them. In modules for WebAssembly they pay where wasmtime compiles them, and
/// cost where V8 does.
pub const PACKS_ROWS: bool = cfg!(any(not(target_arch = "wasm32"), feature = "packed-rows"));

/// Tiles of a first layer: how many pixels they have, and the kernels for strides of 1 and 2.
pub struct FirstLayer {
    pub pixels: usize,
    pub by_stride: [unsafe fn(&Lines<'_>); 2],
}

type Entry<A> = unsafe fn(&A);
#[cfg(not(target_arch = "wasm32"))]
type StoredRows = [unsafe fn(&StoredRow<'_>); 2];

/// The entry points of one instruction set. All of them need it to be available.
pub struct Table {
    pub isa: Isa,
    pub deterministic: bool,
    /// Floats in a vector.
    pub lanes: usize,
    /// `products[rows - 1][vectors - 1]`: the tiles.
    pub products: &'static [&'static [unsafe fn(&Product<'_>)]],
    /// `beside[rows - 1][vectors - 1]`: few rows by panels side by side.
    pub beside: &'static [&'static [Beside]],
    /// Where rows are packed, the tiles for that, each of one row more than the one before it.
    pub packed: &'static [PackedRows],
    /// `stored[storage][vectors - 1]`: one row by a panel, and by as many as with numbers, of halves, 8-bit and 4-bit integers.
    #[cfg(not(target_arch = "wasm32"))]
    pub stored: [&'static [StoredRows]; 3],
    pub widen: Entry<Widen>,
    /// `lines[vectors - 1]`: tiles of a first layer.
    pub lines: &'static [FirstLayer],
    pub finish: unsafe fn(&Finish<'_>),
    pub pointwise: unsafe fn(&Pointwise<'_>),
    pub depthwise: unsafe fn(&Depthwise<'_>),
    pub pool: Entry<Pool>,
    pub softmax: Entry<Rows>,
    pub log_softmax: Entry<Rows>,
    pub layer_norm: Entry<Norm>,
    pub reduce_rows: Entry<Reduction>,
    pub reduce_cols: Entry<Reduction>,
    pub lstm: Entry<Lstm>,
    pub gru: Entry<Gru>,
    pub lerp: Entry<Lerp>,
    pub transpose: Entry<Transpose>,
    pub winograd_input: Entry<Input>,
    pub winograd_output: unsafe fn(&Output<'_>),
}

impl Table {
    /// Most rows of a tile.
    pub fn max_rows(&self) -> usize {
        self.products.len()
    }

    /// Most vectors of columns of a tile.
    pub fn max_vectors(&self) -> usize {
        self.products[0].len()
    }
}

/// Entry points of `$simd`, compiled with `$attr`, as the table `$name`.
macro_rules! table {
    ($name:ident, $simd:ty, $isa:expr, deterministic: $deterministic:literal, $(#[$attr:meta])?
     rows: [$($rows:literal)*], vectors: $vectors:tt, lines: [$([$line:literal $line_vectors:literal])*],
     pixels: [$pixels:literal $half:literal], packed: [[$($few:literal)*] [$($packed:literal)*]]) => {
        mod $name {
            use super::*;
            entries! { $simd, [$(#[$attr])?]
                finish: Finish<'_> => pointwise::finish,
                pointwise: Pointwise<'_> => pointwise::pointwise,
                pool: Pool => pool::pool,
                softmax: Rows => rows::softmax,
                log_softmax: Rows => rows::log_softmax,
                layer_norm: Norm => rows::layer_norm,
                reduce_rows: Reduction => rows::reduce_rows,
                reduce_cols: Reduction => rows::reduce_cols,
                lstm: Lstm => cell::lstm,
                gru: Gru => cell::gru,
                lerp: Lerp => resize::lerp,
                transpose: Transpose => layout::transpose,
                winograd_input: Input => winograd::input,
                winograd_output: Output<'_> => winograd::output,
            }

            $(#[$attr])?
            unsafe fn product<const MR: usize, const NV: usize>(args: &Product<'_>) {
                // SAFETY: this function has the instruction set; the arguments are the caller's.
                unsafe { product::tiles::<$simd, MR, NV>(args) }
            }

            $(#[$attr])?
            unsafe fn depthwise(args: &Depthwise<'_>) {
                // SAFETY: as above.
                unsafe { depthwise::depthwise::<$simd, $pixels, $half>(args) }
            }

            $(#[$attr])?
            unsafe fn beside<const MR: usize, const P: usize, const NV: usize>(args: &Product<'_>) {
                // SAFETY: as above.
                unsafe { product::beside::<$simd, MR, P, NV>(args) }
            }

            #[allow(dead_code, reason = "only where rows are packed")]
            $(#[$attr])?
            unsafe fn pack<const MR: usize>(args: &Pack) {
                // SAFETY: as above.
                unsafe { packed::pack::<$simd, MR>(args) }
            }

            #[allow(dead_code, reason = "only where rows are packed")]
            $(#[$attr])?
            unsafe fn packed_tiles<const MR: usize>(args: &PackedProduct<'_>) {
                // SAFETY: as above.
                unsafe { packed::tiles::<$simd, MR>(args) }
            }

            #[cfg(not(target_arch = "wasm32"))]
            $(#[$attr])?
            unsafe fn stored<C: stored::Codes, const P: usize, const NV: usize>(args: &StoredRow<'_>) {
                // SAFETY: as above.
                unsafe { stored_row::row::<$simd, C, P, NV>(args) }
            }

            $(#[$attr])?
            unsafe fn widen(args: &Widen) {
                // SAFETY: as above.
                unsafe { stored::widen::<$simd>(args) }
            }

            $(#[$attr])?
            unsafe fn lines<const MR: usize, const NV: usize, const STRIDE: usize>(args: &Lines<'_>) {
                // SAFETY: as above.
                unsafe { lines::tile::<$simd, MR, NV, STRIDE>(args) }
            }

            pub static TABLE: Table = Table {
                isa: $isa,
                deterministic: $deterministic,
                lanes: <$simd as Simd>::LANES,
                products: &[$(products!($rows, $vectors)),*],
                beside: {
                    const ONE: &[Beside] = &[$(beside!(1, $line_vectors)),*];
                    if PACKS_ROWS { &[ONE, $(&[beside!($few, 1)]),*] } else { &[ONE] }
                },
                packed: if PACKS_ROWS {
                    &[$(PackedRows { rows: $packed, pack: pack::<$packed>, tiles: packed_tiles::<$packed> }),*]
                } else {
                    &[]
                },
                #[cfg(not(target_arch = "wasm32"))]
                stored: [
                    &[$([stored::<Halves, 1, $line_vectors>, stored::<Halves, { panels_beside(1, $line_vectors) }, $line_vectors>]),*],
                    &[$([stored::<Int8, 1, $line_vectors>, stored::<Int8, { panels_beside(1, $line_vectors) }, $line_vectors>]),*],
                    &[$([stored::<Int4, 1, $line_vectors>, stored::<Int4, { panels_beside(1, $line_vectors) }, $line_vectors>]),*],
                ],
                widen,
                lines: &[$(FirstLayer {
                    pixels: $line,
                    by_stride: [lines::<$line, $line_vectors, 1>, lines::<$line, $line_vectors, 2>],
                }),*],
                finish,
                pointwise,
                depthwise,
                pool,
                softmax,
                log_softmax,
                layer_norm,
                reduce_rows,
                reduce_cols,
                lstm,
                gru,
                lerp,
                transpose,
                winograd_input,
                winograd_output,
            };
        }
    };
}

macro_rules! products {
    ($rows:literal, [$($vectors:literal)*]) => { &[$(product::<$rows, $vectors>),*] };
}

macro_rules! beside {
    ($rows:literal, $vectors:literal) => {
        Beside {
            panels: panels_beside($rows, $vectors),
            run: beside::<$rows, { panels_beside($rows, $vectors) }, $vectors>,
        }
    };
}

macro_rules! entries {
    ($simd:ty, $attrs:tt $($name:ident: $args:ty => $module:ident::$kernel:ident,)*) => {
        $(entry! { $simd, $attrs $name: $args => $module::$kernel })*
    };
}

macro_rules! entry {
    ($simd:ty, [$(#[$attr:meta])?] $name:ident: $args:ty => $module:ident::$kernel:ident) => {
        $(#[$attr])?
        unsafe fn $name(args: &$args) {
            // SAFETY: this function has the instruction set; the arguments are the caller's.
            unsafe { super::$module::$kernel::<$simd>(args) }
        }
    };
}

/// Both tables of an instruction set: fast, and deterministic.
#[cfg(any(not(target_arch = "wasm32"), target_feature = "relaxed-simd"))]
macro_rules! tables {
    ($fast:ident, $strict:ident, $simd:ty, $isa:expr, $(#[$attr:meta])? rows: $rows:tt, vectors: $vectors:tt, lines: $lines:tt,
     pixels: $pixels:tt, packed: $packed:tt) => {
        table! { $fast, $simd, $isa, deterministic: false, $(#[$attr])? rows: $rows, vectors: $vectors, lines: $lines, pixels: $pixels, packed: $packed }
        table! { $strict, Strict<$simd>, $isa, deterministic: true, $(#[$attr])? rows: $rows, vectors: $vectors, lines: $lines, pixels: $pixels, packed: $packed }
    };
}

// Tiles: measured with examples/layers.rs, see docs/adr/009-own-kernels.md.
#[cfg(target_arch = "x86_64")]
tables! { avx512, avx512_strict, crate::simd::avx512::Avx512, Isa::Avx512, #[target_feature(enable = "avx512f")]
rows: [1 2 3 4 5 6 7 8], vectors: [1 2 3], lines: [[16 1] [12 2] [8 3]], pixels: [8 4], packed: [[] []] }
#[cfg(target_arch = "x86_64")]
tables! { avx2, avx2_strict, crate::simd::avx2::Avx2, Isa::Avx2Fma, #[target_feature(enable = "avx2,fma,f16c")]
rows: [1 2 3 4 5 6], vectors: [1 2], lines: [[8 1] [6 2]], pixels: [4 2], packed: [[] []] }
#[cfg(target_arch = "aarch64")]
tables! { neon, neon_strict, crate::simd::neon::Neon, Isa::Neon, #[target_feature(enable = "neon")]
rows: [1 2 3 4 5 6 7 8], vectors: [1 2], lines: [[8 1] [8 2]], pixels: [4 2], packed: [[] []] }
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
tables! { wasm, wasm_strict, crate::simd::wasm::Wasm, Isa::WasmRelaxed, rows: [1 2 3 4], vectors: [1 2], lines: [[8 1] [4 2]], pixels: [4 2], packed: [[2 3] [4 5 6 7 8]] }
// Without fused products there is no difference between fast and deterministic. The tile: docs/adr/016-addresses-in-loops.md.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))]
table! { wasm, crate::simd::wasm::Wasm, Isa::WasmSimd128, deterministic: true, rows: [1 2 3], vectors: [1 2 3], lines: [[8 1] [4 2] [2 3]], pixels: [4 2], packed: [[2 3] [4 5 6 7 8]] }
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
table! { scalar, crate::simd::scalar::Scalar, Isa::Scalar, deterministic: true, rows: [1 2 3 4], vectors: [1 2], lines: [[8 1] [4 2]], pixels: [4 2], packed: [[2 3] [4 5 6 7 8]] }

/// The table for an instruction set; another for those that this program was not built for.
pub fn table(isa: Isa, deterministic: bool) -> &'static Table {
    match (isa, deterministic) {
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, false) => &avx512::TABLE,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, true) => &avx512_strict::TABLE,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2Fma, false) => &avx2::TABLE,
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2Fma, true) => &avx2_strict::TABLE,
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, false) => &neon::TABLE,
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, true) => &neon_strict::TABLE,
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
        (Isa::WasmRelaxed, false) => &wasm::TABLE,
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
        (Isa::WasmRelaxed, true) => &wasm_strict::TABLE,
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        _ => &scalar::TABLE,
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        _ => &wasm::TABLE,
    }
}
