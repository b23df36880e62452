//! The instruction sets that there are kernels for.

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// x86-64 with AVX-512 F.
    Avx512,
    /// x86-64 with AVX2, FMA and F16C, which come together.
    Avx2Fma,
    /// 64-bit Arm.
    Neon,
    /// WebAssembly with 128-bit vectors and relaxed (fused) products.
    WasmRelaxed,
    /// WebAssembly with 128-bit vectors.
    WasmSimd128,
    /// Any target but WebAssembly with vectors.
    Scalar,
}

impl Isa {
    /// Every instruction set, the fastest first.
    pub const ALL: [Isa; 6] = [Isa::Avx512, Isa::Avx2Fma, Isa::Neon, Isa::WasmRelaxed, Isa::WasmSimd128, Isa::Scalar];

    /// Whether this program may use it, here and now. WebAssembly's are decided when it is built.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => std::arch::is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2Fma => {
                std::arch::is_x86_feature_detected!("avx2")
                    && std::arch::is_x86_feature_detected!("fma")
                    && std::arch::is_x86_feature_detected!("f16c")
            }
            // NEON is part of every 64-bit Arm target of Rust's standard library.
            Isa::Neon => cfg!(all(target_arch = "aarch64", target_feature = "neon")),
            Isa::WasmRelaxed => {
                cfg!(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))
            }
            Isa::WasmSimd128 => {
                cfg!(all(target_arch = "wasm32", target_feature = "simd128", not(target_feature = "relaxed-simd")))
            }
            Isa::Scalar => cfg!(not(all(target_arch = "wasm32", target_feature = "simd128"))),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2Fma => false,
        }
    }

    /// Those that are available, the fastest first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The fastest that is available.
    pub fn best() -> Isa {
        Self::available().next().unwrap_or(Isa::Scalar)
    }
}
