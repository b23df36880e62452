//! What must hold for any bytes. Fuzz targets and property tests call these functions.

use crate::{Graph, GraphLimits};

/// Decodes any bytes. What decodes must encode to the same bytes, print, and refuse sections that are too short.
///
/// # Panics
/// If one of that does not hold: that is its purpose.
pub fn decode_graph(bytes: &[u8]) {
    let Ok(graph) = Graph::decode(bytes, &GraphLimits::default()) else { return };
    assert_eq!(graph.encode().as_deref(), Ok(bytes), "encoding is canonical");
    assert!(!graph.to_string().is_empty());
    let mut weights = 0;
    let _: Result<(), ()> = graph.body.try_visit(&mut |body| {
        weights += body.weights.len();
        Ok(())
    });
    assert!(weights == 0 || graph.check_sections(&[]).is_err(), "a weight lies in no section");
}
