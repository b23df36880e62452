//! Patches of tract's optimiser, applied in time that does not grow with the model.
//!
//! tract's own function looks through the whole model for every node that a patch brings: first for an equal one,
//! which it then does not use, and then for one of the same name. On ten thousand matrix products that takes most of a
//! minute.

use std::collections::HashMap;
use tract_onnx::tract_core::ops::dummy::Dummy;
use tract_onnx::tract_hir::internal::*;

/// Applies patches to one model, which nothing else may change meanwhile.
pub(crate) struct Patcher {
    /// How many nodes have each name.
    names: HashMap<String, usize>,
}

impl Patcher {
    pub(crate) fn new(model: &TypedModel) -> Patcher {
        let mut names = HashMap::new();
        for node in model.nodes() {
            *names.entry(node.name.clone()).or_default() += 1;
        }
        Patcher { names }
    }

    /// Brings in the patch's nodes, leads to them what it replaces, and drops what nothing needs any more. Nodes keep
    /// their numbers; those that are dropped become dummies.
    pub(crate) fn apply(&mut self, patch: TypedModelPatch, model: &mut TypedModel) -> TractResult<()> {
        let TypedModelPatch { model: brought, taps, shunts, obliterate, inputs: replaced, .. } = patch;
        let mut places = taps;
        let mut new: Vec<(usize, Vec<OutletId>)> = Vec::new();
        for TypedNode { id, name, inputs, op, outputs } in brought.nodes {
            let source = TypedModel::is_source(&op);
            if source && places.contains_key(&OutletId::new(id, 0)) {
                continue;
            }
            let facts: TVec<TypedFact> = outputs.into_iter().map(|output| output.fact).collect();
            let slots = facts.len();
            *self.names.entry(name.clone()).or_default() += 1;
            let added = model.add_node(name, op, facts)?;
            places.extend((0..slots).map(|slot| (OutletId::new(id, slot), OutletId::new(added, slot))));
            if source {
                let replaced = replaced.get(&id).copied();
                let input = model.inputs.iter_mut().find(|input| Some(input.node) == replaced);
                input.context("a patch brings a source that replaces no input")?.node = added;
            }
            new.push((added, inputs));
        }
        let place = |outlet: &OutletId| places.get(outlet).copied().context("a patch uses an outlet it does not have");

        let mut shunts: Vec<(OutletId, OutletId)> = shunts.into_iter().collect();
        shunts.sort();
        for (outlet, by) in &shunts {
            let by = place(by)?;
            let successors = std::mem::take(&mut model.node_mut(outlet.node).outputs[outlet.slot].successors);
            for successor in successors {
                model.add_edge(by, successor)?;
            }
            model.outputs.iter_mut().filter(|output| *output == outlet).for_each(|output| *output = by);
            if let Some(label) = model.outlet_labels.remove(outlet) {
                model.set_outlet_label(by, label)?;
            }
        }
        for (node, inputs) in &new {
            for (slot, input) in inputs.iter().enumerate() {
                model.add_edge(place(input)?, InletId::new(*node, slot))?;
            }
        }
        for node in obliterate {
            let dummy = model.create_dummy();
            model.node_mut(node).op = dummy;
        }
        self.drop_unneeded(model, shunts.into_iter().map(|(outlet, _)| outlet.node).collect());
        // Last, since what was dropped has left its name to what replaces it.
        new.iter().for_each(|(node, _)| self.rename(model.node_mut(*node)));
        Ok(())
    }

    /// Gives a new node a name of its own.
    fn rename(&mut self, node: &mut TypedNode) {
        // Within a patch, names are told apart by what follows this sign.
        let (wanted, marked) = match node.name.split_once('#') {
            Some((wanted, _)) => (wanted.to_string(), true),
            None => (node.name.clone(), false),
        };
        let count = |names: &HashMap<String, usize>, name: &str| names.get(name).copied().unwrap_or(0);
        if !marked && count(&self.names, &wanted) < 2 {
            return;
        }
        self.forget(&node.name);
        node.name = wanted.clone();
        for number in 1.. {
            if count(&self.names, &node.name) == 0 {
                break;
            }
            node.name = format!("{wanted}.{number}");
        }
        *self.names.entry(node.name.clone()).or_default() += 1;
    }

    fn forget(&mut self, name: &str) {
        if let Some(count) = self.names.get_mut(name) {
            *count = count.saturating_sub(1);
        }
    }

    /// Drops those of the nodes that nothing needs, and what was there for them alone.
    fn drop_unneeded(&mut self, model: &mut TypedModel, mut suspects: Vec<usize>) {
        while let Some(id) = suspects.pop() {
            let node = model.node(id);
            let dropped = node.op_is::<Dummy>() && node.outputs.is_empty();
            let used = node.outputs.iter().any(|output| !output.successors.is_empty());
            if dropped || used || model.outputs.iter().chain(&model.inputs).any(|outlet| outlet.node == id) {
                continue;
            }
            let dummy = model.create_dummy();
            let node = model.node_mut(id);
            node.op = dummy;
            // Facts hold constants.
            node.outputs.clear();
            let name = std::mem::replace(&mut node.name, format!("dropped.{id}"));
            let inputs = std::mem::take(&mut node.inputs);
            self.forget(&name);
            for input in inputs {
                let successors = &mut model.node_mut(input.node).outputs[input.slot].successors;
                successors.retain(|successor| successor.node != id);
                suspects.push(input.node);
            }
        }
    }
}
