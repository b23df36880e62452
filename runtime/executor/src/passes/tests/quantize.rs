//! Programs with 8-bit integers in them. Scales are powers of two, so that numbers are exact and nothing may differ.

use super::*;

/// Random bytes, as signed or unsigned integers.
fn bytes(shape: &[usize], signed: bool, seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let at = |at: usize| ((at * 89 + seed * 31) * 2_654_435_761 % 4_294_967_296 / 16_777_216) as u8;
    if signed {
        Tensor::from_slice(shape, &(0..len).map(|i| at(i).cast_signed()).collect::<Vec<i8>>()).unwrap()
    } else {
        Tensor::from_slice(shape, &(0..len).map(at).collect::<Vec<u8>>()).unwrap()
    }
}

impl Model {
    /// Scale and zero point of activations.
    fn quant(&mut self, scale: f32, zero: u8) -> [ValueId; 2] {
        let name = format!("{scale}/{zero}/{}", self.inputs.len());
        [
            self.builder.weight(&format!("s{name}"), &Tensor::scalar(scale)),
            self.builder.weight(&format!("z{name}"), &Tensor::scalar(zero)),
        ]
    }

    /// Quantized and dequantized again.
    fn rounded(&mut self, x: ValueId, scale: f32, zero: u8) -> ValueId {
        let [scale, zero] = self.quant(scale, zero);
        let q = self.node("QuantizeLinear", &[x, scale, zero]);
        self.node("DequantizeLinear", &[q, scale, zero])
    }

    /// Weights of signed integers with a scale per channel.
    fn quantized_weight(&mut self, shape: &[usize], axis: usize) -> ValueId {
        let scales: Vec<f32> = (0..shape[axis]).map(|i| 0.5f32.powi(9 + (i % 3) as i32)).collect();
        let q = self.builder.weight(&format!("q{shape:?}"), &bytes(shape, true, shape[0]));
        let s = self.builder.weight(&format!("qs{shape:?}"), &Tensor::from_slice([scales.len()], &scales).unwrap());
        self.with("DequantizeLinear", &[q, s], &[("axis", Attribute::Int(axis as i64))])
    }

    /// A bias of integers in the scale of the sums of inputs of scale `of`.
    fn quantized_bias(&mut self, channels: usize, of: f32) -> ValueId {
        let scales: Vec<f32> = (0..channels).map(|i| of * 0.5f32.powi(9 + (i % 3) as i32)).collect();
        let values: Vec<i32> = (0..channels as i32).map(|i| i * 517 - 2000).collect();
        let q = self.builder.weight("qb", &Tensor::from_slice([channels], &values).unwrap());
        let s = self.builder.weight("qbs", &Tensor::from_slice([channels], &scales).unwrap());
        self.with("DequantizeLinear", &[q, s], &[("axis", Attribute::Int(0))])
    }
}

#[test]
fn layers_between_conversions_become_layers_of_integers() {
    let mut model = Model::new();
    let x = model.input(&[1, 8, 6, 10]);
    let x = model.rounded(x, 0.015625, 120);
    let (w, bias) = (model.quantized_weight(&[12, 8, 3, 3], 0), model.quantized_bias(12, 0.015625));
    let x = model.with("Conv", &[x, w, bias], &[("pads", ints(&[1, 1, 1, 1]))]);
    let x = model.node("Relu", &[x]);
    let x = model.rounded(x, 0.03125, 3);
    let w = model.quantized_weight(&[12, 1, 3, 3], 0);
    let x = model.with("Conv", &[x, w], &[("group", Attribute::Int(12)), ("strides", ints(&[2, 2]))]);
    let x = model.rounded(x, 0.0625, 128);
    let x = model.node("Flatten", &[x]);
    let w = model.quantized_weight(&[96, 7], 1);
    let y = model.node("MatMul", &[x, w]);
    let mut steps = model.steps(y);
    // Transposes at the border to channels-last order, and back for the product.
    steps.retain(|step| !["view", "Transpose"].contains(step));
    assert_eq!(steps, ["QuantizedChain", "QuantizedConv", "QuantizedConv", "QuantizedMatMul"]);
}

#[test]
fn elementwise_work_takes_and_stores_integers() {
    let mut model = Model::new();
    let (a, b) = (model.input(&[2, 5, 9]), model.input(&[2, 5, 9]));
    let gate = model.input(&[1, 1, 9]);
    let (a, b, gate) =
        (model.rounded(a, 0.015625, 128), model.rounded(b, 0.03125, 100), model.rounded(gate, 0.0625, 30));
    let sum = model.node("Add", &[a, b]);
    let product = model.node("Mul", &[sum, gate]);
    let product = model.rounded(product, 0.125, 90);
    let y = model.node("Relu", &[product]);
    let y = model.rounded(y, 0.25, 0);
    assert_eq!(
        model.steps(y),
        ["QuantizedChain", "QuantizedChain", "QuantizedChain", "QuantizedChain", "QuantizedChain", "QuantizedChain"]
    );
}

#[test]
fn a_number_of_rows_is_no_obstacle_to_tiles() {
    // More than a tile, with an operand per row and one per column.
    for gate in [[1, 40, 1], [1, 1, 70]] {
        let mut model = Model::new();
        let (x, gate) = (model.input(&[3, 40, 70]), model.input(&gate));
        let (x, gate) = (model.rounded(x, 0.015625, 128), model.rounded(gate, 0.03125, 128));
        let y = model.node("Mul", &[x, gate]);
        let y = model.rounded(y, 0.125, 128);
        model.steps(y);
    }
}

#[test]
fn products_of_integers_with_scales_behind_them_become_layers() {
    for convolution in [false, true] {
        let mut model = Model::new();
        let x = model.input(if convolution { &[1, 4, 5, 7] } else { &[3, 8] });
        let names = ["q", "s", "z"].map(|name| model.builder.value(name));
        model.builder.node_with(pannier_graph::Node {
            name: "dynamic".into(),
            domain: String::new(),
            op: "DynamicQuantizeLinear".into(),
            inputs: vec![Some(x)],
            outputs: names.map(Some).to_vec(),
            attributes: Vec::new(),
        });
        let shape: &[usize] = if convolution { &[6, 4, 3, 3] } else { &[8, 6] };
        let w = model.builder.weight("w", &bytes(shape, true, 1));
        let zero = model.builder.weight("wz", &Tensor::scalar(0i8));
        let scale = model.scalar(0.0078125);
        let op = if convolution { "ConvInteger" } else { "MatMulInteger" };
        let y = model.node(op, &[names[0], w, names[2], zero]);
        let y = model.with("Cast", &[y], &[("to", Attribute::Int(1))]);
        let scale = model.node("Mul", &[names[1], scale]);
        let y = model.node("Mul", &[y, scale]);
        let bias = model.weight(if convolution { &[1, 6, 1, 1] } else { &[6] });
        let y = model.node("Add", &[y, bias]);
        let y = model.node("Relu", &[y]);
        let layer = if convolution { "QuantizedConv" } else { "QuantizedMatMul" };
        let steps = model.steps(y);
        assert!(steps.contains(&layer) && steps.contains(&"DynamicQuantize"), "{steps:?}");
        assert!(!steps.contains(&"Chain") && !steps.contains(&"standard"), "{steps:?}");
    }
}

#[test]
fn weights_that_are_only_stored_as_integers_become_numbers() {
    let mut model = Model::new();
    let x = model.input(&[1, 4, 5, 5]);
    let w = model.quantized_weight(&[6, 4, 3, 3], 0);
    let x = model.node("Conv", &[x, w]);
    let scale = model.quantized_weight(&[6, 1, 1], 0);
    let y = model.node("Mul", &[x, scale]);
    let steps = model.steps(y);
    assert!(steps.contains(&"Conv") && !steps.contains(&"standard"), "{steps:?}");
}

#[test]
fn weights_with_zero_points_and_signed_inputs_are_right() {
    let mut model = Model::new();
    let x = model.input(&[5, 12]);
    let scale = model.scalar(0.015625);
    let zero = model.builder.weight("z", &Tensor::scalar(-7i8));
    let q = model.node("QuantizeLinear", &[x, scale, zero]);
    let x = model.node("DequantizeLinear", &[q, scale, zero]);
    let w = model.builder.weight("w", &bytes(&[7, 12], false, 2));
    let zeros = model.builder.weight("wz", &Tensor::from_slice([7], &[0u8, 255, 128, 1, 2, 77, 200]).unwrap());
    let scales = model.builder.weight("ws", &Tensor::from_slice([7], &[0.0078125f32; 7]).unwrap());
    let w = model.with("DequantizeLinear", &[w, scales, zeros], &[("axis", Attribute::Int(0))]);
    let bias = model.weight(&[7]);
    let y = model.with("Gemm", &[x, w, bias], &[("transB", Attribute::Int(1))]);
    assert_eq!(model.steps(y), ["QuantizedChain", "QuantizedMatMul"]);
}

#[test]
fn integers_are_moved_instead_of_numbers() {
    let mut model = Model::new();
    let x = model.input(&[1, 8, 6, 10]);
    let x = model.rounded(x, 0.015625, 120);
    let mut branches = Vec::new();
    for channels in [4, 6] {
        let w = model.quantized_weight(&[channels, 8, 1, 1], 0);
        let y = model.node("Conv", &[x, w]);
        branches.push(model.rounded(y, 0.03125, 90 + channels as u8));
    }
    let sizes = model.builder.weight("sizes", &Tensor::from_slice([4], &[1i64, 10, 12, 20]).unwrap());
    let none = model.builder.weight("none", &Tensor::from_slice([0], &[0f32; 0]).unwrap());
    let y = model.with("Concat", &branches, &[("axis", Attribute::Int(1))]);
    let y = model.with("Resize", &[y, none, none, sizes], &[("mode", Attribute::String(b"nearest".to_vec()))]);
    let y = model.rounded(y, 0.0625, 128);
    let w = model.quantized_weight(&[5, 10, 1, 1], 0);
    let y = model.node("Conv", &[y, w]);
    let mut steps = model.steps(y);
    steps.retain(|step| !["view", "Transpose"].contains(step));
    // Integers of one scale, of which tables make those of the other, and nothing but integers from there on.
    let (layer, table) = ("QuantizedConv", "QuantizedChain");
    assert_eq!(steps, ["QuantizedChain", layer, layer, table, table, "standard", "Nearest", layer]);
}

#[test]
fn what_is_a_function_of_one_integer_is_looked_up() {
    let mut model = Model::new();
    let x = model.input(&[2, 5, 9]);
    let x = model.rounded(x, 0.0625, 128);
    // A hard swish in pieces, each of which is quantized.
    let gate = model.with("HardSigmoid", &[x], &[("alpha", Attribute::Float(0.125)), ("beta", Attribute::Float(0.5))]);
    let gate = model.rounded(gate, 0.0078125, 0);
    let y = model.node("Mul", &[x, gate]);
    let y = model.rounded(y, 0.125, 20);
    // Quantized, one table, numbers again.
    assert_eq!(model.steps(y), ["QuantizedChain", "QuantizedChain", "QuantizedChain"]);
}

#[test]
fn products_of_two_integers_that_are_computed_are_products_of_numbers() {
    let mut model = Model::new();
    let (a, b) = (model.input(&[2, 5, 12]), model.input(&[2, 12, 7]));
    let ([a_scale, a_zero], [b_scale, b_zero]) = (model.quant(0.015625, 120), model.quant(0.03125, 100));
    let a = model.node("QuantizeLinear", &[a, a_scale, a_zero]);
    let b = model.node("QuantizeLinear", &[b, b_scale, b_zero]);
    let [scale, zero] = model.quant(0.0625, 128);
    let y = model.node("QLinearMatMul", &[a, a_scale, a_zero, b, b_scale, b_zero, scale, zero]);
    let y = model.node("DequantizeLinear", &[y, scale, zero]);
    let steps = model.steps(y);
    assert!(steps.contains(&"MatMul") && !steps.contains(&"standard"), "{steps:?}");
}

#[test]
fn rows_of_a_table_are_looked_up_as_integers() {
    for each in [false, true] {
        let mut model = Model::new();
        let x = model.input(&[2, 3]);
        let factor = model.scalar(15.0);
        let ids = model.node("Mul", &[x, factor]);
        let ids = model.with("Cast", &[ids], &[("to", Attribute::Int(7))]);
        let q = model.builder.weight("q", &bytes(&[40, 12], true, 3));
        let scales: Vec<f32> = (0..40).map(|i| 0.5f32.powi(9 + i % 3)).collect();
        let table = if each {
            let scales = model.builder.weight("s", &Tensor::from_slice([40], &scales).unwrap());
            model.with("DequantizeLinear", &[q, scales], &[("axis", Attribute::Int(0))])
        } else {
            let [scale, zero] = [model.scalar(0.015625), model.builder.weight("z", &Tensor::scalar(7i8))];
            model.node("DequantizeLinear", &[q, scale, zero])
        };
        let y = model.node("Gather", &[table, ids]);
        let steps = model.steps(y);
        // The rows, and their scales; then numbers of them.
        let lookups = steps.iter().filter(|step| **step == "standard").count() - 1;
        assert!(lookups == 1 + usize::from(each) && steps.ends_with(&["QuantizedChain"]), "{steps:?}");
    }
}
