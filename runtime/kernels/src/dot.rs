//! The instructions that products of 8-bit integers are made of.

/// A way to add products of 8-bit integers to 32-bit sums. All of them give the same integers: none saturates in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dot {
    /// x86-64 with AVX-512 VNNI and VBMI: `vpdpbusd` on 64 bytes.
    Avx512Vnni,
    /// x86-64 with AVX-VNNI: `vpdpbusd` on 32 bytes.
    AvxVnni,
    /// x86-64 with AVX2: bytes widened to 16 bits, then `vpmaddwd`. Not `vpmaddubsw`, whose sums saturate.
    Avx2,
    /// 64-bit Arm with the dot product extension: `sdot`.
    NeonDot,
    /// 64-bit Arm: bytes widened to 16 bits.
    Neon,
    /// WebAssembly: bytes widened to 16 bits, then `i32x4.dot_i16x8_s`. Not the relaxed form, which is not exact for 8 bits.
    Wasm,
    /// Any target but WebAssembly with vectors.
    Scalar,
}

impl Dot {
    /// Every way, the fastest first.
    pub const ALL: [Dot; 7] =
        [Dot::Avx512Vnni, Dot::AvxVnni, Dot::Avx2, Dot::NeonDot, Dot::Neon, Dot::Wasm, Dot::Scalar];

    /// Whether this program may use it, here and now. WebAssembly's is decided when it is built.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Dot::Avx512Vnni => {
                std::arch::is_x86_feature_detected!("avx512vnni")
                    && std::arch::is_x86_feature_detected!("avx512vbmi")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512f")
            }
            #[cfg(target_arch = "x86_64")]
            Dot::AvxVnni => std::arch::is_x86_feature_detected!("avxvnni") && Dot::Avx2.is_available(),
            #[cfg(target_arch = "x86_64")]
            Dot::Avx2 => crate::isa::Isa::Avx2Fma.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Dot::Avx512Vnni | Dot::AvxVnni | Dot::Avx2 => false,
            #[cfg(target_arch = "aarch64")]
            Dot::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(not(target_arch = "aarch64"))]
            Dot::NeonDot => false,
            Dot::Neon => cfg!(all(target_arch = "aarch64", target_feature = "neon")),
            Dot::Wasm => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
            Dot::Scalar => cfg!(not(all(target_arch = "wasm32", target_feature = "simd128"))),
        }
    }

    /// Those that are available, the fastest first.
    pub fn available() -> impl Iterator<Item = Dot> {
        Self::ALL.into_iter().filter(|dot| dot.is_available())
    }

    /// The fastest that is available.
    pub fn best() -> Dot {
        Self::available().next().unwrap_or(Dot::Scalar)
    }
}
