//! A graph as bytes: `u16` little-endian version, then postcard.

use crate::{Body, Graph, GraphError, GraphLimits};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::Cell;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Nested bodies, one inside the other, at which decoding stops whatever the limits say: it is what protects the stack.
pub const MAX_DEPTH: u32 = 32;

impl Graph {
    /// The bytes of the `graph` section.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] if the encoder fails, which it has no reason to for these types.
    pub fn encode(&self) -> Result<Vec<u8>, GraphError> {
        postcard::to_extend(self, Self::VERSION.to_le_bytes().to_vec()).map_err(malformed)
    }

    /// Reads the `graph` section and checks everything that can be checked without the weights.
    ///
    /// # Errors
    /// Never panics, and allocates in proportion to `bytes` only. [`GraphError::Version`], [`GraphError::Malformed`],
    /// [`GraphError::NotCanonical`], [`GraphError::Limit`], or [`GraphError::Invalid`] with one of these rules:
    ///
    /// - names of values are unique and not empty; every value is defined once, by an input, a weight or a node;
    /// - nodes are in topological order, and use only what is visible where they stand: what their own body or a body
    ///   around it defines before them. Weights are visible in their whole body;
    /// - the outputs of a body are defined in that body, and those of the main body are distinct;
    /// - inputs of the main body have a type and a shape; symbols have names; no shape's size in bytes exceeds 2^63;
    /// - attributes are sorted by name, weights by value, domains by name, each without repetition; a node's domain is
    ///   listed unless it is `ai.onnx`, which is written as the empty string;
    /// - literals have as many bytes as type and shape say, and booleans are 0 or 1;
    /// - spans start at multiples of 64 and have as many bytes as type, shape and encoding say. Two weights may share
    ///   their bytes. Whether a span lies within its section: [`Graph::check_sections`].
    pub fn decode(bytes: &[u8], limits: &GraphLimits) -> Result<Graph, GraphError> {
        if bytes.len() > limits.size_bytes {
            let (found, limit) = (bytes.len() as u64, limits.size_bytes as u64);
            return Err(GraphError::Limit { what: "bytes", found, limit });
        }
        let Some((version, rest)) = bytes.split_first_chunk::<2>() else {
            return Err(GraphError::Malformed { reason: "it ends within its version".into() });
        };
        let found = u16::from_le_bytes(*version);
        if found != Self::VERSION {
            return Err(GraphError::Version { found, known: Self::VERSION });
        }
        let graph: Graph = postcard::from_bytes(rest).map_err(malformed)?;
        if graph.encode()? != bytes {
            return Err(GraphError::NotCanonical);
        }
        graph.validate(limits)?;
        Ok(graph)
    }
}

fn malformed(error: postcard::Error) -> GraphError {
    GraphError::Malformed { reason: error.to_string() }
}

thread_local! {
    /// How many bodies the decoder on this thread is inside of. serde offers no other way to hand down a depth.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Decodes the body of an attribute, unless it is nested too deeply.
pub(crate) fn nested_body<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Body>, D::Error> {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get().saturating_sub(1));
        }
    }
    if DEPTH.get() >= MAX_DEPTH {
        return Err(D::Error::custom("bodies are nested too deeply"));
    }
    DEPTH.set(DEPTH.get() + 1);
    let _leave = Leave;
    Box::<Body>::deserialize(deserializer)
}
