//! How large a graph may be.

/// Most that [`Graph::decode`](crate::Graph::decode) accepts. Everything is counted over all nested bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphLimits {
    /// Size of the encoded graph in bytes.
    pub size_bytes: usize,
    /// Values, and so also inputs, weights and node outputs.
    pub values: usize,
    /// Nodes.
    pub nodes: usize,
    /// Nested bodies, one inside the other; at most [`MAX_DEPTH`](crate::MAX_DEPTH) has an effect.
    pub depth: u32,
    /// Dimensions of one tensor.
    pub rank: usize,
    /// Bytes of all weights together once they are decoded to the type that operators see.
    pub weight_bytes: u64,
}

impl Default for GraphLimits {
    fn default() -> GraphLimits {
        GraphLimits { size_bytes: 64 << 20, values: 1 << 20, nodes: 1 << 20, depth: 8, rank: 32, weight_bytes: 4 << 30 }
    }
}
