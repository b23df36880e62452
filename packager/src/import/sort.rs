//! The order of nodes: files do not always keep the one that the standard asks for.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use tract_onnx::pb::{GraphProto, NodeProto};

/// Nodes in an order in which each comes after everything it uses; the file's order wherever that is free.
pub(super) struct Order {
    /// Indices of nodes, in order.
    pub sorted: Vec<usize>,
    /// Indices of nodes that lie on a cycle; empty if there is none.
    pub cycle: Vec<usize>,
}

/// Sorts nodes topologically.
pub(super) fn sort(nodes: &[NodeProto]) -> Order {
    let mut producers = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            producers.entry(output.as_str()).or_insert(index);
        }
    }
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waits_for: Vec<BTreeSet<usize>> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let used: BTreeSet<usize> = uses(node).iter().filter_map(|name| producers.get(*name).copied()).collect();
        used.iter().for_each(|producer| users[*producer].push(index));
        waits_for.push(used);
    }
    let ready = waits_for.iter().enumerate().filter(|(_, used)| used.is_empty());
    let mut ready: BinaryHeap<Reverse<usize>> = ready.map(|(index, _)| Reverse(index)).collect();
    let mut sorted = Vec::with_capacity(nodes.len());
    while let Some(Reverse(index)) = ready.pop() {
        sorted.push(index);
        for user in &users[index] {
            if waits_for[*user].remove(&index) && waits_for[*user].is_empty() {
                ready.push(Reverse(*user));
            }
        }
    }
    let cycle = on_cycles(&waits_for, &users);
    Order { sorted, cycle }
}

/// Of the nodes that could not be sorted, those that others of them wait for: the rest only hangs below a cycle.
fn on_cycles(waits_for: &[BTreeSet<usize>], users: &[Vec<usize>]) -> Vec<usize> {
    let mut left: BTreeSet<usize> = (0..waits_for.len()).filter(|index| !waits_for[*index].is_empty()).collect();
    let mut needed: HashMap<usize, usize> =
        left.iter().map(|index| (*index, users[*index].iter().filter(|user| left.contains(user)).count())).collect();
    let mut leaves: Vec<usize> = left.iter().copied().filter(|index| needed[index] == 0).collect();
    while let Some(leaf) = leaves.pop() {
        left.remove(&leaf);
        for producer in &waits_for[leaf] {
            if let Some(count) = needed.get_mut(producer) {
                *count = count.saturating_sub(1);
                if *count == 0 && left.contains(producer) {
                    leaves.push(*producer);
                }
            }
        }
    }
    left.into_iter().collect()
}

/// Names that a node uses: its inputs, and what its nested graphs use of the graphs around them.
fn uses(node: &NodeProto) -> BTreeSet<&str> {
    let mut used: BTreeSet<&str> = node.input.iter().map(String::as_str).collect();
    for attribute in &node.attribute {
        for graph in attribute.g.iter().chain(&attribute.graphs) {
            used.extend(free_names(graph));
        }
    }
    used.remove("");
    used
}

/// Names that a graph uses and does not define.
fn free_names(graph: &GraphProto) -> BTreeSet<&str> {
    let mut free: BTreeSet<&str> = graph.node.iter().flat_map(uses).collect();
    free.extend(graph.output.iter().map(|output| output.name.as_str()));
    for input in &graph.input {
        free.remove(input.name.as_str());
    }
    for tensor in &graph.initializer {
        free.remove(tensor.name.as_str());
    }
    for output in graph.node.iter().flat_map(|node| &node.output) {
        free.remove(output.as_str());
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(inputs: &[&str], outputs: &[&str]) -> NodeProto {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        NodeProto { input: owned(inputs), output: owned(outputs), ..NodeProto::default() }
    }

    #[test]
    fn nodes_are_sorted_and_only_the_cycle_is_named() {
        let nodes = [
            node(&["b"], &["c"]),
            node(&["a"], &["b"]),
            node(&["x", "a"], &["y"]),
            node(&["y"], &["x"]),
            node(&["y"], &["z"]),
            node(&["z"], &["w"]),
        ];
        let order = sort(&nodes);
        assert_eq!((order.sorted, order.cycle), (vec![1, 0], vec![2, 3]));
    }

    #[test]
    fn a_sorted_file_keeps_its_order() {
        let nodes = [node(&[], &["c"]), node(&["a"], &["b"]), node(&[], &["d"]), node(&["b", "c"], &["e"])];
        assert_eq!(sort(&nodes).sorted, [0, 1, 2, 3]);
    }
}
