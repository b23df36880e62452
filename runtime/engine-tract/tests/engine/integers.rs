//! Integers beyond what tract's own operators keep: 32 bits in sums and casts, 24 in squares.

use super::{fixed, floats, ints, one_node, run};
use pannier_engine::{Code, DType, ProgramBuilder, Tensor};
use pannier_graph::{Attribute, Body, Input, Node, ValueId};

fn int32(value: i32) -> Tensor {
    Tensor::from_slice([1], &[value]).unwrap()
}

#[test]
fn large_integers_come_out_exact() {
    let big = 1i64 << 33;
    let to_int64 = [("to", Attribute::Int(7))];
    let none = [];
    // An operator, its input, attributes, its operand, and the answer.
    type Case<'a> = (&'a str, Tensor, &'a [(&'a str, Attribute)], Option<Tensor>, Tensor);
    let all = || Some(ints(&[0]));
    let cases: [Case<'_>; 14] = [
        ("ReduceMean", ints(&[big, -8, 8]), &none, all(), ints(&[big / 3])),
        ("ReduceL1", ints(&[-big, 2]), &none, all(), ints(&[big + 2])),
        ("ReduceSumSquare", ints(&[1 << 30, -3]), &none, all(), ints(&[(1 << 60) + 9])),
        ("ReduceSumSquare", int32(-46_339), &none, all(), int32(2_147_302_921)),
        ("Pow", ints(&[94_906_267]), &none, Some(ints(&[2])), ints(&[9_007_199_515_875_289])),
        ("Pow", int32(46_339), &none, Some(int32(2)), int32(2_147_302_921)),
        (
            "Pow",
            ints(&[3, -2, 10, 0]),
            &none,
            Some(ints(&[39, 63, 18, 0])),
            ints(&[4_052_555_153_018_976_267, i64::MIN, 1_000_000_000_000_000_000, 1]),
        ),
        // What ONNX Runtime answers.
        ("Pow", ints(&[2, 1, -1, -1]), &none, Some(ints(&[-1, -5, -3, -4])), ints(&[0, 1, -1, 1])),
        ("Pow", int32(-8), &none, Some(ints(&[3])), int32(-512)),
        ("Pow", int32(9), &none, Some(floats(&[1], &[0.5])), int32(3)),
        ("CastLike", floats(&[2], &[3e9, -3e9]), &none, Some(ints(&[0])), ints(&[3_000_000_000, -3_000_000_000])),
        ("Cast", floats(&[2], &[3e9, -3e9]), &to_int64, None, ints(&[3_000_000_000, -3_000_000_000])),
        ("Cast", ints(&[i64::MIN, big]), &to_int64, None, ints(&[i64::MIN, big])),
        ("Cast", Tensor::scalar(u32::MAX), &to_int64, None, Tensor::scalar(i64::from(u32::MAX))),
    ];
    let mut wrong = Vec::new();
    for (op, input, attributes, operand, expected) in cases {
        let mut builder = ProgramBuilder::new();
        let dims: Vec<_> = input.shape().iter().map(|dim| fixed(*dim as u64)).collect();
        let mut values = vec![builder.input("x", input.dtype(), &dims)];
        values.extend(operand.map(|operand| builder.weight("operand", &operand)));
        let y = builder.node_attributes(op, &values, attributes);
        builder.output("y", y);
        let found = run(&builder.build(), &[input]);
        if found != Ok(vec![expected.clone()]) {
            wrong.push(format!("{op}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_product_with_itself_is_exact() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::I32, &[fixed(1)]);
    let y = builder.node("Mul", &[x, x]);
    builder.output("y", y);
    assert_eq!(run(&builder.build(), &[int32(-46_339)]), Ok(vec![int32(2_147_302_921)]));
}

/// `y[i] = x[i] * x[i]` and `z[i] = x[i] ^ 2`, in the body of a loop.
#[test]
fn squares_in_loops_are_exact() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::I64, &[fixed(2)]);
    let two = builder.weight("two", &Tensor::scalar(2i64));
    let [item, product, power, products, powers] =
        ["item", "product", "power", "products", "powers"].map(|name| builder.value(name));
    let node = |op: &str, inputs: [ValueId; 2], output| Node {
        name: op.into(),
        domain: String::new(),
        op: op.into(),
        inputs: inputs.map(Some).to_vec(),
        outputs: vec![Some(output)],
        attributes: vec![],
    };
    let body = Body {
        inputs: vec![Input { value: item, dtype: Some(DType::I64), shape: Some(vec![]) }],
        outputs: vec![product, power],
        nodes: vec![node("Mul", [item, item], product), node("Pow", [item, two], power)],
        weights: vec![],
    };
    builder.node_with(Node {
        name: "loop".into(),
        domain: String::new(),
        op: "Scan".into(),
        inputs: vec![Some(x)],
        outputs: vec![Some(products), Some(powers)],
        attributes: vec![
            ("body".into(), Attribute::Body(Box::new(body))),
            ("num_scan_inputs".into(), Attribute::Int(1)),
        ],
    });
    builder.output("products", products);
    builder.output("powers", powers);
    let squares = ints(&[9_007_199_515_875_289, 1 << 60]);
    assert_eq!(run(&builder.build(), &[ints(&[94_906_267, 1 << 30])]), Ok(vec![squares.clone(), squares]));
}

/// Integers whose softmax is rounded to integers again: no function of each number by itself.
#[test]
fn what_lies_between_integers_is_computed_as_it_is() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::U8, &[fixed(1), fixed(3)]);
    let scale = builder.weight("scale", &Tensor::scalar(0.5_f32));
    let zero = builder.weight("zero", &Tensor::scalar(10_u8));
    let y = builder.node("DequantizeLinear", &[x, scale, zero]);
    let y = builder.node_attributes("Softmax", &[y], &[("axis", Attribute::Int(1))]);
    let scale = builder.weight("fine", &Tensor::scalar(1.0_f32 / 256.0));
    let zero = builder.weight("none", &Tensor::scalar(0_u8));
    let y = builder.node("QuantizeLinear", &[y, scale, zero]);
    builder.output("y", y);
    // Of 0, 1 and 0.
    let input = Tensor::from_slice([1, 3], &[10_u8, 12, 10]).unwrap();
    let total = 2.0 + 1.0_f64.exp();
    let expected = [1.0, 1.0_f64.exp(), 1.0].map(|part| (part / total * 256.0).round() as u8);
    assert_eq!(run(&builder.build(), &[input]), Ok(vec![Tensor::from_slice([1, 3], &expected).unwrap()]));
}

#[test]
fn integers_in_a_range_that_a_run_finds_become_numbers_again() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[fixed(2), fixed(2)]);
    let [integers, scale, zero] = ["integers", "scale", "zero"].map(|name| builder.value(name));
    builder.node_with(Node {
        name: "dynamic".into(),
        domain: String::new(),
        op: "DynamicQuantizeLinear".into(),
        inputs: vec![Some(x)],
        outputs: [integers, scale, zero].map(Some).to_vec(),
        attributes: vec![],
    });
    let y = builder.node("DequantizeLinear", &[integers, scale, zero]);
    builder.output("y", y);
    // The scale is 1, and zero is at 55.
    let input = floats(&[2, 2], &[-55.0, 200.0, 3.25, 0.0]);
    assert_eq!(run(&builder.build(), &[input]), Ok(vec![floats(&[2, 2], &[-55.0, 200.0, 3.0, 0.0])]));
}

#[test]
fn integers_of_32_bits_become_the_nearest_numbers() {
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::I32, &[fixed(2), fixed(2)]);
    let scale = builder.weight("scale", &floats(&[2], &[2.0, 0.5]));
    let y = builder.node_attributes("DequantizeLinear", &[x, scale], &[("axis", Attribute::Int(-2))]);
    builder.output("y", y);
    let input = Tensor::from_slice([2, 2], &[16_777_217, -3, i32::MIN, 5]).unwrap();
    let expected = floats(&[2, 2], &[33_554_432.0, -6.0, -1_073_741_824.0, 2.5]);
    assert_eq!(run(&builder.build(), &[input]), Ok(vec![expected]));
}

#[test]
fn roots_and_logarithms_of_sums_of_integers_are_refused() {
    for op in ["ReduceL2", "ReduceLogSum", "ReduceLogSumExp"] {
        let error = run(&one_node(op, &[(DType::I32, &[fixed(1)])], &[]), &[int32(3)]).unwrap_err();
        assert_eq!(error.code(), Code::UnsupportedOperator, "{error}");
        assert!(error.to_string().contains(&format!("{op} of I32 is not supported")), "{error}");
    }
}
