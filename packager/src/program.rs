//! The program in a bundle, as it was packed: graph and weights, with nothing prepared.

use crate::error::Error;
use pannier_bundle::{Source, Verified};
use pannier_engine::Program;
use pannier_graph::{AlignedBytes, Attribute, Body, Graph, GraphLimits, Weight};
use std::sync::Arc;

/// Decodes the graph and checks that its weights lie within their sections.
///
/// # Errors
/// [`Error::Bundle`]: the section is damaged; [`Error::Graph`]: it is not a valid graph.
pub fn graph<S: Source>(bundle: &Verified<S>) -> Result<Graph, Error> {
    let graph = Graph::decode(&bundle.read("graph")?, &GraphLimits::default())?;
    let sizes: Vec<u64> = weight_sections(bundle).map(|(_, size_bytes)| size_bytes).collect();
    graph.check_sections(&sizes)?;
    Ok(graph)
}

/// Decodes graph and weights. `progress` is told the bytes of weights that were decoded.
///
/// # Errors
/// As [`graph`]; [`Error::Interrupted`]: Ctrl-C.
pub fn load<S: Source>(bundle: &Verified<S>, mut progress: impl FnMut(u64)) -> Result<Program, Error> {
    let graph = graph(bundle)?;
    let mut sections = Vec::new();
    let mut done = 0;
    for (name, size_bytes) in weight_sections(bundle) {
        crate::interrupt::check()?;
        // A size that does not fit is refused by the reader: the buffer is then too small.
        let mut content = AlignedBytes::zeroed(usize::try_from(size_bytes).unwrap_or(0));
        bundle.read_into(&name, content.as_bytes_mut())?;
        sections.push(Arc::new(content));
        done += size_bytes;
        progress(done);
    }
    Ok(Program { graph: Arc::new(graph), sections })
}

/// Names and content sizes of `weights/0`, `weights/1`, ...
pub fn weight_sections<S: Source>(bundle: &Verified<S>) -> impl Iterator<Item = (String, u64)> {
    (0..).map_while(|index| {
        let name = format!("weights/{index}");
        let size_bytes = bundle.section(&name)?.content_bytes;
        Some((name, size_bytes))
    })
}

/// Every weight, of nested bodies as well.
pub fn all_weights(graph: &Graph) -> Vec<&Weight> {
    fn collect<'g>(body: &'g Body, into: &mut Vec<&'g Weight>) {
        into.extend(&body.weights);
        for (_, attribute) in body.nodes.iter().flat_map(|node| &node.attributes) {
            if let Attribute::Body(body) = attribute {
                collect(body, into);
            }
        }
    }
    let mut all = Vec::new();
    collect(&graph.body, &mut all);
    all
}
