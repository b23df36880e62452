//! Constants with the same content.

use super::{Tally, uses};
use crate::import::model::Model;
use pannier_graph::{DType, ValueId};
use std::collections::{BTreeMap, HashMap};

/// Makes all users of equal constants use the first of them. Constants that are outputs keep their names.
pub(super) fn constants(model: &mut Model, tally: &mut Tally) {
    let mut first: HashMap<(DType, &[u64], &[u8]), ValueId> = HashMap::new();
    let mut same: BTreeMap<ValueId, ValueId> = BTreeMap::new();
    for (value, constant) in &model.constants {
        let content = (constant.dtype, constant.shape.as_slice(), constant.bytes.as_slice());
        let kept = *first.entry(content).or_insert(*value);
        if kept != *value {
            same.insert(*value, kept);
        }
    }
    let mut body = std::mem::take(&mut model.body);
    uses::replace_inputs(&mut body, &|value| same.get(&value).copied());
    model.body = body;
    let counts = uses::count(&model.body, model.len());
    let before = model.constants.len();
    model.constants.retain(|value, _| counts.get(crate::import::model::index(*value)) != Some(&0));
    tally.add(
        ["merged 1 constant with an equal one", "merged # constants with equal ones"],
        before - model.constants.len(),
    );
}
