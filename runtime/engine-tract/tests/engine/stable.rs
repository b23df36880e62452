//! Floating-point results that are finite although a step on the way to them need not be.

use super::{fixed, floats, one_node, run};
use pannier_engine::DType;
use pannier_graph::Attribute;

#[test]
fn large_numbers_do_not_overflow_on_the_way() {
    let infinity = f32::INFINITY;
    let first_axis = [("axis", Attribute::Int(0))];
    // An operator, its attributes, the input's shape and numbers, and the answers.
    type Case<'a> = (&'a str, &'a [(&'a str, Attribute)], [usize; 2], [f32; 4], [f32; 4]);
    let cases: [Case<'_>; 3] = [
        ("LogSoftmax", &[], [1, 4], [1000.0, 100.0, 3.0, -infinity], [0.0, -900.0, -997.0, -infinity]),
        ("LogSoftmax", &first_axis, [2, 2], [500.0, 0.0, 0.0, 500.0], [0.0, -500.0, -500.0, 0.0]),
        ("Softplus", &[], [1, 4], [1000.0, -1000.0, 0.0, -infinity], [1000.0, 0.0, std::f32::consts::LN_2, 0.0]),
    ];
    let mut wrong = Vec::new();
    for (op, attributes, shape, input, expected) in cases {
        let dims = shape.map(|dim| fixed(dim as u64));
        let found = run(&one_node(op, &[(DType::F32, &dims)], attributes), &[floats(&shape, &input)]).unwrap();
        let found = found[0].as_slice::<f32>().unwrap();
        if found.iter().zip(&expected).any(|(a, b)| a != b && (a - b).abs() > 1e-6) {
            wrong.push(format!("{op} of {input:?}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
