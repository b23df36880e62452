//! Which instructions this build may use.

/// Name of the flavour, for hosts.
pub const NAME: &str = if cfg!(target_feature = "relaxed-simd") {
    "relaxed-simd"
} else if cfg!(target_feature = "simd128") {
    "simd128"
} else {
    "scalar"
};
