//! Operators of the domain `com.microsoft` against answers of ONNX Runtime (1.31.0, without optimisations).

use pannier_engine::{DType, Dim, Engine, ProgramBuilder, RunBudget, Tensor};
use pannier_executor::Executor;
use pannier_graph::{Attribute, Node};

/// An operand.
enum Operand {
    Input(Tensor),
    Weight(Tensor),
}

use Operand::{Input, Weight};

struct Case {
    op: &'static str,
    attributes: Vec<(&'static str, Attribute)>,
    inputs: Vec<Option<Operand>>,
    output: Tensor,
}

/// Numbers between -2 and 2.
fn floats(shape: &[usize], seed: usize) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 25.0 - 2.0).collect();
    f32(shape, &values)
}

fn bytes(shape: &[usize], seed: usize) -> Vec<u8> {
    (0..shape.iter().product()).map(|at: usize| ((at * 89 + seed * 31) % 256) as u8).collect()
}

fn unsigned(shape: &[usize], seed: usize) -> Tensor {
    u8(shape, &bytes(shape, seed))
}

fn signed(shape: &[usize], seed: usize) -> Tensor {
    let values: Vec<i8> = bytes(shape, seed).into_iter().map(u8::cast_signed).collect();
    Tensor::from_slice(shape, &values).unwrap()
}

fn f32(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(shape, values).unwrap()
}

fn i32(shape: &[usize], values: &[i32]) -> Tensor {
    Tensor::from_slice(shape, values).unwrap()
}

fn u8(shape: &[usize], values: &[u8]) -> Tensor {
    Tensor::from_slice(shape, values).unwrap()
}

fn run(case: &Case) -> Result<Tensor, String> {
    let mut builder = ProgramBuilder::new();
    let (mut operands, mut given) = (Vec::new(), Vec::new());
    for (index, input) in case.inputs.iter().enumerate() {
        let name = format!("x{index}");
        operands.push(match input {
            None => None,
            Some(Weight(tensor)) => Some(builder.weight(&name, tensor)),
            Some(Input(tensor)) => {
                given.push(tensor.view());
                let dims: Vec<Dim> = tensor.shape().iter().map(|size| Dim::Fixed(*size as u64)).collect();
                Some(builder.input(&name, tensor.dtype(), &dims))
            }
        });
    }
    let y = builder.value("y");
    let mut attributes: Vec<_> =
        case.attributes.iter().map(|(name, value)| ((*name).to_string(), value.clone())).collect();
    attributes.sort_by(|a, b| a.0.cmp(&b.0));
    builder.node_with(Node {
        name: case.op.into(),
        domain: "com.microsoft".into(),
        op: case.op.into(),
        inputs: operands,
        outputs: vec![Some(y)],
        attributes,
    });
    builder.output("y", y);
    let prepared = Executor::new().prepare(&builder.build(), &RunBudget::default()).map_err(|e| e.to_string())?;
    prepared.run(&given, &RunBudget::default()).map_err(|e| e.to_string()).map(|mut results| results.remove(0))
}

/// What is wrong with an answer. Integers may be the next one where a number lies in the middle of two.
fn fault(case: &Case) -> Option<String> {
    let found = match run(case) {
        Ok(found) => found,
        Err(error) => return Some(error),
    };
    if (found.dtype(), found.shape()) != (case.output.dtype(), case.output.shape()) {
        return Some(format!("{:?} {:?}", found.dtype(), found.shape()));
    }
    let numbers = |tensor: &Tensor| -> Vec<f32> {
        match tensor.dtype() {
            DType::U8 => tensor.as_slice::<u8>().unwrap().iter().map(|x| f32::from(*x)).collect(),
            _ => tensor.as_slice::<f32>().unwrap().to_vec(),
        }
    };
    let tolerance = if found.dtype() == DType::U8 { 1.0 } else { 5e-5 };
    let (a, b) = (numbers(&found), numbers(&case.output));
    let differ = a.iter().zip(&b).filter(|(a, b)| (*a - *b).abs() > tolerance).count();
    let near = a.iter().zip(&b).filter(|(a, b)| found.dtype() == DType::U8 && a != b).count();
    (differ > 0 || near * 10 > a.len()).then(|| format!("{a:?} instead of {b:?}"))
}

#[test]
fn contributed_operators_answer_as_onnx_runtime_does() {
    let faults: Vec<String> =
        cases().iter().filter_map(|case| Some(format!("{}: {}", case.op, fault(case)?))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_form_that_is_not_written_out_is_named() {
    let case = Case {
        op: "QLinearAveragePool",
        attributes: vec![("kernel_shape", Attribute::Ints(vec![1, 1])), ("channels_last", Attribute::Int(1))],
        inputs: vec![
            Some(Input(unsigned(&[1, 2, 2, 1], 0))),
            Some(Weight(Tensor::scalar(1f32))),
            None,
            Some(Weight(Tensor::scalar(1f32))),
            None,
        ],
        output: unsigned(&[1, 2, 2, 1], 0),
    };
    let error = run(&case).unwrap_err();
    assert!(error.contains("com.microsoft.QLinearAveragePool"), "{error}");
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    vec![
        Case { op: "QLinearAdd", attributes: vec![], inputs: vec![Some(Input(unsigned(&[2, 3, 4], 1))), Some(Weight(Tensor::scalar(0.02f32))), Some(Weight(Tensor::scalar(120u8))), Some(Input(unsigned(&[1, 1, 4], 2))), Some(Weight(Tensor::scalar(0.03f32))), Some(Weight(Tensor::scalar(7u8))), Some(Weight(Tensor::scalar(0.05f32))), Some(Weight(Tensor::scalar(100u8)))], output: u8(&[2, 3, 4], &[97, 186, 255, 108, 137, 226, 213, 148, 177, 164, 253, 188, 115, 204, 255, 126, 155, 142, 231, 166, 93, 182, 255, 104]) },
        Case { op: "QLinearMul", attributes: vec![], inputs: vec![Some(Input(unsigned(&[2, 3, 4], 1))), Some(Weight(Tensor::scalar(0.02f32))), Some(Weight(Tensor::scalar(120u8))), Some(Input(unsigned(&[2, 3, 4], 2))), Some(Weight(Tensor::scalar(0.03f32))), Some(Weight(Tensor::scalar(7u8))), Some(Weight(Tensor::scalar(0.05f32))), Some(Weight(Tensor::scalar(100u8)))], output: u8(&[2, 3, 4], &[41, 100, 255, 38, 120, 255, 38, 144, 99, 41, 170, 115, 47, 199, 134, 55, 231, 57, 67, 255, 48, 81, 255, 42]) },
        Case { op: "QLinearSigmoid", attributes: vec![], inputs: vec![Some(Input(unsigned(&[2, 7], 1))), Some(Weight(Tensor::scalar(0.05f32))), Some(Weight(Tensor::scalar(128u8))), Some(Weight(Tensor::scalar(0.00390625f32))), Some(Weight(Tensor::scalar(0u8)))], output: u8(&[2, 7], &[2, 103, 252, 3, 138, 253, 6, 171, 255, 10, 199, 255, 17, 220]) },
        Case { op: "QLinearLeakyRelu", attributes: vec![("alpha", Attribute::Float(0.25))], inputs: vec![Some(Input(unsigned(&[2, 7], 1))), Some(Weight(Tensor::scalar(0.05f32))), Some(Weight(Tensor::scalar(128u8))), Some(Weight(Tensor::scalar(0.03f32))), Some(Weight(Tensor::scalar(60u8)))], output: u8(&[2, 7], &[20, 57, 195, 24, 65, 213, 29, 83, 232, 33, 102, 250, 38, 120]) },
        Case { op: "QLinearGlobalAveragePool", attributes: vec![], inputs: vec![Some(Input(unsigned(&[1, 3, 4, 5], 1))), Some(Weight(Tensor::scalar(0.05f32))), Some(Weight(Tensor::scalar(128u8))), Some(Weight(Tensor::scalar(0.03f32))), Some(Weight(Tensor::scalar(60u8)))], output: u8(&[1, 3, 1, 1], &[70, 72, 51]) },
        Case { op: "QLinearAveragePool", attributes: vec![("kernel_shape", Attribute::Ints(vec![2, 2])), ("strides", Attribute::Ints(vec![2, 2]))], inputs: vec![Some(Input(unsigned(&[1, 2, 4, 6], 1))), Some(Weight(Tensor::scalar(0.05f32))), Some(Weight(Tensor::scalar(128u8))), Some(Weight(Tensor::scalar(0.06f32))), Some(Weight(Tensor::scalar(100u8)))], output: u8(&[1, 2, 2, 3], &[65, 107, 149, 102, 90, 79, 139, 74, 115, 122, 110, 45]) },
        Case { op: "QLinearConcat", attributes: vec![("axis", Attribute::Int(1))], inputs: vec![Some(Weight(Tensor::scalar(0.04f32))), Some(Weight(Tensor::scalar(90u8))), Some(Input(unsigned(&[2, 3], 1))), Some(Weight(Tensor::scalar(0.02f32))), Some(Weight(Tensor::scalar(120u8))), Some(Input(unsigned(&[2, 2], 2))), Some(Weight(Tensor::scalar(0.05f32))), Some(Weight(Tensor::scalar(0u8)))], output: u8(&[2, 5], &[46, 90, 134, 168, 255, 51, 96, 140, 255, 181]) },
        Case { op: "QLinearSoftmax", attributes: vec![("axis", Attribute::Int(-1)), ("opset", Attribute::Int(13))], inputs: vec![Some(Input(unsigned(&[2, 5], 1))), Some(Weight(Tensor::scalar(0.02f32))), Some(Weight(Tensor::scalar(128u8))), Some(Weight(Tensor::scalar(0.00390625f32))), Some(Weight(Tensor::scalar(0u8)))], output: u8(&[2, 5], &[5, 30, 177, 6, 37, 101, 4, 21, 126, 4]) },
        Case { op: "QGemm", attributes: vec![("transB", Attribute::Int(1))], inputs: vec![Some(Input(unsigned(&[3, 6], 1))), Some(Weight(Tensor::scalar(0.02f32))), Some(Weight(Tensor::scalar(120u8))), Some(Weight(signed(&[4, 6], 3))), Some(Weight(f32(&[4], &[0.01, 0.02, 0.005, 0.01]))), Some(Weight(Tensor::from_slice([4], &[0i8; 4]).unwrap())), Some(Weight(i32(&[4], &[100, -2000, 5, 77]))), Some(Weight(Tensor::scalar(0.1f32))), Some(Weight(Tensor::scalar(128u8)))], output: u8(&[3, 4], &[102, 70, 159, 192, 106, 91, 156, 191, 97, 62, 135, 143]) },
        Case { op: "DynamicQuantizeMatMul", attributes: vec![], inputs: vec![Some(Input(floats(&[3, 6], 1))), Some(Weight(signed(&[6, 5], 3))), Some(Weight(f32(&[5], &[0.01, 0.02, 0.03, 0.01, 0.02]))), Some(Weight(Tensor::from_slice([5], &[0i8; 5]).unwrap())), Some(Weight(floats(&[5], 4)))], output: f32(&[3, 5], &[-0.51440626, 8.318827, -12.780038, -0.03493011, 8.877779, 1.0780643, -2.5026007, 5.9199905, 1.1958432, -2.667043, 1.6113944, -1.1085992, 2.3869178, 2.2579327, -0.215523]) },
        Case { op: "MatMulIntegerToFloat", attributes: vec![], inputs: vec![Some(Input(unsigned(&[3, 6], 1))), Some(Weight(unsigned(&[6, 5], 3))), Some(Weight(Tensor::scalar(0.02f32))), Some(Weight(Tensor::scalar(0.03f32))), Some(Weight(Tensor::scalar(120u8))), Some(Weight(Tensor::scalar(99u8))), Some(Weight(floats(&[5], 4)))], output: f32(&[3, 5], &[-1.2372, -11.6654, 11.4984, -0.6193999, -11.047599, -1.4616, -8.2202, 11.854799, 0.027400091, -6.7311993, 11.37, -5.3893995, -2.0735998, 12.040599, -4.7187996]) },
        Case { op: "FusedConv", attributes: vec![("activation", Attribute::String(b"LeakyRelu".to_vec())), ("activation_params", Attribute::Floats(vec![0.25])), ("pads", Attribute::Ints(vec![1, 1, 1, 1]))], inputs: vec![Some(Input(floats(&[1, 2, 4, 5], 1))), Some(Weight(floats(&[3, 2, 3, 3], 2))), Some(Weight(floats(&[3], 3)))], output: f32(&[1, 3, 4, 5], &[1.6496001, -0.71159995, 8.052801, -1.8472, 1.7903999, 3.6208005, 1.9727992, -1.7612, -0.25840002, 2.7696, -2.0052001, 3.1023998, -1.9635999, 3.8128004, -0.6128001, -1.1235999, -0.7227999, 5.7520003, -0.7644, -1.5035999, 0.9632, -0.06799984, -1.1100001, 7.3904, 3.7743998, 0.30079994, -0.8631999, -0.14239985, 10.7168, -1.1764, 1.072, 4.660799, -1.0228004, 3.1552005, 4.9104004, -0.2684, 6.0864, -0.08439997, -1.9731998, 10.904, 1.5696001, -2.4544, 9.569601, -2.6588004, -1.6308, 6.0303993, -3.3508, 7.3599997, -0.68559986, -2.4392002, 5.6399994, -0.2631997, -0.4051998, 7.183999, -3.1536002, 0.56959987, 1.6512008, -2.3744001, 10.865599, -2.3364]) },
        Case { op: "FusedConv", attributes: vec![("activation", Attribute::String(b"Clip".to_vec())), ("activation_params", Attribute::Floats(vec![-1.0, 2.5]))], inputs: vec![Some(Input(floats(&[1, 2, 4, 5], 1))), Some(Weight(floats(&[3, 2, 1, 1], 2))), None, Some(Input(floats(&[1, 3, 4, 5], 5)))], output: f32(&[1, 3, 4, 5], &[1.8607999, 2.216, -1.0, 1.9568, -1.0, -1.0, 2.0528, -1.0, 1.7936001, 2.1488, -1.0, 1.8896, 2.2447999, -1.0, 1.9855999, -1.0, -1.0, 2.0815997, -1.0, 1.8224001, -1.0, -1.0, 2.5, -0.3296001, -1.0, 2.5, -1.0, 2.5, -1.0, -1.0, 2.5, -0.9231999, -1.0, 2.5, -1.0, -0.9776, 2.5, -1.0, 2.5, -1.0, -1.0, -1.0, 2.5, -1.0, -1.0, 1.1439997, -1.0, 2.5, -1.0, -1.0, 2.5, -1.0, -1.0, 2.5, -1.0, -1.0, 1.1392, -1.0, 2.5, -1.0]) },
        Case { op: "FusedMatMul", attributes: vec![("alpha", Attribute::Float(0.5)), ("transA", Attribute::Int(1)), ("transB", Attribute::Int(1))], inputs: vec![Some(Input(floats(&[2, 4, 3], 1))), Some(Input(floats(&[2, 5, 4], 2)))], output: f32(&[2, 3, 5], &[0.09520004, 0.36400008, 0.6328, -1.4416001, 1.1704, 0.36160004, 0.21600004, 0.07040006, 0.5711999, -0.22079986, -1.6344, -1.6288, -1.6232002, 2.0184, -1.6120001, 0.37600005, -0.692, 0.01760003, -0.96960014, -0.3408, 2.1256003, -1.7808001, 2.0696003, 1.2335998, 2.0135999, -0.488, 0.92799985, -0.24159999, -0.92640007, 0.00480005]) },
        Case { op: "FusedGemm", attributes: vec![("activation", Attribute::String(b"HardSigmoid".to_vec())), ("activation_alpha", Attribute::Float(0.3)), ("activation_beta", Attribute::Float(0.4)), ("alpha", Attribute::Float(0.5))], inputs: vec![Some(Input(floats(&[2, 4], 1))), Some(Weight(floats(&[4, 3], 2))), Some(Weight(floats(&[3], 3)))], output: f32(&[2, 3], &[0.3856, 0.5188, 0.0, 0.0, 0.89871997, 0.0]) },
        Case { op: "Gelu", attributes: vec![], inputs: vec![Some(Input(floats(&[2, 5], 1)))], output: f32(&[2, 5], &[-0.09263274, -0.03744951, 1.2869408, -0.14270832, 0.20016502, 1.7353253, -0.16995674, 0.55025107, -0.060506783, -0.12939249]) },
        Case { op: "BiasGelu", attributes: vec![], inputs: vec![Some(Input(floats(&[2, 5], 1))), Some(Weight(floats(&[5], 2)))], output: f32(&[2, 5], &[-0.00986533, 0.17087305, 3.2380636, -0.056501586, 0.92872316, 0.5111884, -0.13783132, 2.546602, -0.01339798, 0.26216868]) },
        Case { op: "FastGelu", attributes: vec![], inputs: vec![Some(Input(floats(&[2, 5], 1))), Some(Weight(floats(&[5], 2)))], output: f32(&[2, 5], &[-0.009392418, 0.17087112, 3.2383752, -0.056505337, 0.9285432, 0.51113814, -0.13783886, 2.547059, -0.012940826, 0.26216114]) },
        Case { op: "QuickGelu", attributes: vec![("alpha", Attribute::Float(1.5))], inputs: vec![Some(Input(floats(&[2, 5], 1)))], output: f32(&[2, 5], &[-0.13706766, -0.037602894, 1.2472646, -0.17320299, 0.19767927, 1.6866479, -0.1841635, 0.5374757, -0.109524764, -0.13254754]) },
        Case { op: "SkipLayerNormalization", attributes: vec![("epsilon", Attribute::Float(0.001))], inputs: vec![Some(Input(floats(&[1, 3, 8], 1))), Some(Input(floats(&[1, 3, 8], 2))), Some(Weight(floats(&[8], 3))), Some(Weight(floats(&[8], 4))), Some(Weight(floats(&[8], 5)))], output: f32(&[1, 3, 8], &[0.84406245, 2.3142724, -4.1490936, 0.38411558, 0.99702406, -0.5511488, 0.5592061, -1.5872252, 0.796626, 1.8780203, -3.0918136, 0.41112906, 0.8147574, -3.1426115, 0.5276806, -2.0962257, -0.50678205, 1.7563523, -2.9014554, 0.553339, 0.25799823, -3.1747384, 0.48254716, -2.6277225]) },
        Case { op: "EmbedLayerNormalization", attributes: vec![("epsilon", Attribute::Float(0.001))], inputs: vec![Some(Input(i32(&[2, 3], &[1, 4, 0, 2, 2, 3]))), Some(Input(i32(&[2, 3], &[0, 1, 1, 0, 0, 1]))), Some(Weight(floats(&[5, 8], 1))), Some(Weight(floats(&[6, 8], 2))), Some(Weight(floats(&[2, 8], 3))), Some(Weight(floats(&[8], 4))), Some(Weight(floats(&[8], 5)))], output: f32(&[2, 3, 8], &[0.5699926, 2.2501347, -1.7249243, 0.43988606, -0.31883395, 0.10888672, 0.7425198, -4.6432714, 0.38481084, 0.99796015, -3.3775854, 0.5823989, -1.7795894, -0.78361773, 0.063625515, -3.1000898, 0.57632875, 1.6843891, -2.9591522, 0.41707408, -1.2576048, -1.0042833, 0.59762, -3.26608, 0.1846959, 2.0341022, -1.5497222, 0.35823882, -0.40041983, 0.5020153, 0.52645904, -4.7927213, 0.2532188, 1.6870503, -1.1877135, 0.30615935, -0.83171654, -1.3221756, 0.35364223, -4.300539, 0.29336864, 1.4131954, -3.143536, 0.34023687, -1.4574265, -0.9218925, 0.38293278, -3.2161188]) },
        Case { op: "Attention", attributes: vec![("num_heads", Attribute::Int(2))], inputs: vec![Some(Input(floats(&[2, 3, 8], 1))), Some(Weight(floats(&[8, 24], 2))), Some(Weight(floats(&[24], 3))), Some(Input(i32(&[2, 3], &[1, 1, 0, 1, 1, 1])))], output: f32(&[2, 3, 8], &[-1.7912887, -1.5191703, 2.0986667, -1.6692151, -3.5347497, -2.5089433, 3.3369133, 2.0055454, -1.7796907, -1.5021598, 2.0429964, -1.7194729, -3.5629966, -2.4754415, 3.29947, 1.9635036, -1.8015568, -1.5342302, 2.147954, -1.6247193, -3.4290016, -2.634366, 3.4770916, 2.1629384, -8.1776085, -1.7391059, 5.345502, -8.577597, 5.7759943, -0.95839596, 4.4271874, -1.0144011, -8.656, 3.8400002, -0.4704001, -8.3359995, 5.776, -0.9584002, 4.4272003, -1.0144, -2.9936004, -0.7616002, -0.14560021, -1.9536, 1.7200758, 1.5047787, 0.23501624, 1.3491626]) },
        Case { op: "MultiHeadAttention", attributes: vec![("num_heads", Attribute::Int(2))], inputs: vec![Some(Input(floats(&[2, 3, 8], 1))), Some(Input(floats(&[2, 4, 8], 2))), Some(Input(floats(&[2, 4, 8], 3)))], output: f32(&[2, 3, 8], &[-1.1678641, 0.31213585, 1.0571692, -0.7678641, 0.70123136, -0.89491385, -0.3787688, 1.1012312, -1.2193229, 0.26067722, 1.1895075, -0.8193229, 0.67556256, -0.73726094, -0.4044375, 1.0755625, -1.0804174, 0.39958265, 0.78322744, -0.68041736, 0.6501339, -0.5678609, -0.42986616, 1.0501338, -1.5893533, -0.35522434, 1.1247758, -1.3448815, -0.24290726, 1.2370927, -1.3229071, 0.1570928, 1.6771734, -0.81493825, 0.6650617, -0.95193845, -0.2684988, 1.2115012, -1.3484987, 0.13150123, 1.6308593, -0.84016955, 0.6398304, -0.7965471, -0.7185203, 0.76147974, -1.7985203, -0.31852028]) },
        Case { op: "MatMulNBits", attributes: vec![("K", Attribute::Int(40)), ("N", Attribute::Int(3)), ("bits", Attribute::Int(4)), ("block_size", Attribute::Int(32))], inputs: vec![Some(Input(floats(&[2, 40], 1))), Some(Weight(unsigned(&[3, 2, 16], 2))), Some(Weight(f32(&[6], &[0.01, 0.02, 0.03, 0.04, 0.05, 0.06])))], output: f32(&[2, 3], &[-0.05880002, -0.27880013, 2.6340003, -0.2232, -1.1112001, -1.9480006]) },
        Case { op: "MatMulNBits", attributes: vec![("K", Attribute::Int(40)), ("N", Attribute::Int(3)), ("bits", Attribute::Int(4)), ("block_size", Attribute::Int(16))], inputs: vec![Some(Input(floats(&[1, 2, 40], 1))), Some(Weight(unsigned(&[3, 3, 8], 2))), Some(Weight(floats(&[9], 7))), Some(Weight(unsigned(&[3, 2], 5)))], output: f32(&[1, 2, 3], &[-32.766396, 31.028805, -21.220789, 82.34881, -78.29599, 31.3696]) },
        Case { op: "MatMulNBits", attributes: vec![("K", Attribute::Int(40)), ("N", Attribute::Int(3)), ("bits", Attribute::Int(8)), ("block_size", Attribute::Int(32))], inputs: vec![Some(Input(floats(&[2, 40], 1))), Some(Weight(unsigned(&[3, 2, 32], 2))), Some(Weight(f32(&[6], &[0.01, 0.02, 0.03, 0.04, 0.05, 0.06]))), Some(Weight(unsigned(&[3, 2], 5))), None, Some(Weight(floats(&[3], 9)))], output: f32(&[2, 3], &[5.8256006, 0.12559783, 5.7840075, 4.7008, -11.134397, -10.577607]) },
    ]
}
