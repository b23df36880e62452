//! Every family of operators, compared with the executor.

use crate::cases;
use crate::support::{Case, difference};
use pannier_engine::Engine;
use pannier_engine_burn::Burn;

fn agree(engine: &dyn Engine, cases: Vec<Case>) {
    assert!(!cases.is_empty());
    let count = cases.len();
    let differences: Vec<String> = cases.iter().filter_map(|case| difference(engine, case)).collect();
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn elementwise() {
    agree(&Burn::flex(), cases::elementwise());
}

#[test]
fn far_from_zero() {
    agree(&Burn::flex(), cases::far_from_zero());
}

#[test]
fn windows() {
    agree(&Burn::flex(), cases::windows());
}

#[test]
fn products() {
    agree(&Burn::flex(), cases::products());
}

#[test]
fn reductions() {
    agree(&Burn::flex(), cases::reductions());
}

#[test]
fn shapes() {
    agree(&Burn::flex(), cases::shapes());
}

#[test]
fn resizes() {
    agree(&Burn::flex(), cases::resizes());
}

#[test]
fn others() {
    agree(&Burn::flex(), cases::others());
}

/// Each operator is in a case, or is one that cannot be compared so.
#[test]
fn no_operator_is_without_a_case() {
    // These are in whole programs, in `engine.rs`: they have no operand on the device, or need one that the executor folds away.
    let elsewhere = ["CastLike", "Constant", "ConstantOfShape", "Dropout", "Range", "Size", "Swish"];
    let all = [
        cases::elementwise(),
        cases::windows(),
        cases::products(),
        cases::reductions(),
        cases::shapes(),
        cases::resizes(),
        cases::others(),
    ];
    let tested: Vec<&str> = all.iter().flatten().map(|case| case.op).collect();
    let missing: Vec<&str> = pannier_engine_burn::operators()
        .into_iter()
        .filter(|op| !tested.contains(op) && !elsewhere.contains(op))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
