"""Writes models of one operator of `com.microsoft` each, with inputs: FOLDER/NAME/{model.onnx,inputs.npz}.

The operators are those that ONNX Runtime's optimiser and quantizer write.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

FOLDER = pathlib.Path(sys.argv[1])
RANDOM = np.random.default_rng(11)
TAKEN = set()


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def bytes_(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def signed(*shape):
    return RANDOM.integers(-127, 128, shape, dtype=np.int8)


def scale(value=0.02):
    return np.float32(value)


def zero(value=128):
    return np.uint8(value)


def save(op, inputs, weights=(), domain="com.microsoft", others=(), **attributes):
    """`inputs`: the operands in order, None where one is left out; `weights`: indices of those that are constant.

    `others`: names of results behind the first, which nobody wants.
    """
    name = op if op not in TAKEN else f"{op}_{len(TAKEN)}"
    TAKEN.add(name)
    folder = FOLDER / name
    folder.mkdir(parents=True)
    names = ["" if value is None else f"x{index}" for index, value in enumerate(inputs)]
    given = {n: v for i, (n, v) in enumerate(zip(names, inputs)) if v is not None and i not in weights}
    constant = {n: v for i, (n, v) in enumerate(zip(names, inputs)) if v is not None and i in weights}
    element = lambda value: helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)
    result = onnx.ValueInfoProto(name="y")
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(op, names, ["y", *others], name="node", domain=domain, **attributes)],
            "test",
            [helper.make_tensor_value_info(n, element(v), list(np.shape(v))) for n, v in given.items()],
            [result],
            [numpy_helper.from_array(np.asarray(v), n) for n, v in constant.items()],
        ),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", **given)


def rest(inputs):
    return range(1, len(inputs))


def save1(op, inputs, **attributes):
    """Everything but the first operand is constant."""
    save(op, inputs, rest(inputs), **attributes)


for op in ("QLinearAdd", "QLinearMul"):
    operands = [bytes_(2, 3, 4), scale(), zero(120), bytes_(1, 1, 4), scale(0.03), zero(7), scale(0.05), zero(100)]
    save(op, operands, (1, 2, 4, 5, 6, 7))
save1("QLinearSigmoid", [bytes_(2, 7), scale(0.05), zero(), scale(1 / 256), zero(0)])
save1("QLinearLeakyRelu", [bytes_(2, 7), scale(0.05), zero(), scale(0.03), zero(60)], alpha=0.25)
save1("QLinearGlobalAveragePool", [bytes_(1, 3, 4, 5), scale(0.05), zero(), scale(0.03), zero(60)])
pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
save1("QLinearAveragePool", [bytes_(1, 2, 4, 6), scale(0.05), zero(), scale(0.06), zero(100)], **pool)
save1("QLinearSoftmax", [bytes_(2, 5), scale(), zero(), scale(1 / 256), zero(0)], axis=-1, opset=13)
save1("QLinearSoftmax", [bytes_(2, 5), scale(), zero(), scale(1 / 256), zero(0)], axis=1, opset=11)
operands = [scale(0.04), zero(90), bytes_(2, 3), scale(), zero(120), bytes_(2, 2), scale(0.05), zero(0)]
save("QLinearConcat", operands, (0, 1, 3, 4, 6, 7), axis=1)

per_channel = RANDOM.uniform(0.005, 0.02, 4).astype(np.float32)
bias = RANDOM.integers(-2000, 2000, 4, dtype=np.int32)
zeros = np.zeros(4, np.int8)
conv = [bytes_(1, 3, 7, 8), scale(), zero(), signed(4, 3, 3, 3), per_channel, zeros, scale(0.1), zero(), bias]
save1("QLinearConv", conv, domain="", pads=[1, 1, 1, 1], strides=[2, 1])
save1("QLinearConv", conv[:8], domain="")
save1("QLinearMatMul", [bytes_(3, 6), scale(), zero(120), signed(6, 5), scale(0.01), np.int8(0), scale(0.1), zero()], domain="")
gemm = [bytes_(3, 6), scale(), zero(120), signed(4, 6), per_channel, zeros, bias, scale(0.1), zero()]
save1("QGemm", gemm, transB=1)
save1("QGemm", gemm[:7], transB=1)

columns = RANDOM.uniform(0.01, 0.03, 5).astype(np.float32)
save1("DynamicQuantizeMatMul", [floats(3, 6), signed(6, 5), columns, np.zeros(5, np.int8), floats(5)])
product = [bytes_(3, 6), bytes_(6, 5), scale(), scale(0.03), zero(120), zero(99), floats(5)]
save1("MatMulIntegerToFloat", product)

# Numbers that 8 bits hold exactly, and a state of zeros: there what ONNX Runtime rounds in each step is what it was.
step = np.array([[[-128, 127, 3, -40, 0, 77]]], np.float32)
start = np.zeros((1, 1, 5), np.float32)
gates = [signed(1, 6, 20), signed(1, 5, 20), 0.1 * floats(1, 40), None, start, start, None]
scales = [np.float32([0.0001]), np.int8([0]), np.float32([0.01]), np.int8([0])]
save("DynamicQuantizeLSTM", [step, *gates, *scales], [1, 2, 3, 5, 6, 8, 9, 10, 11], hidden_size=5)
rows = RANDOM.uniform(1e-5, 2e-4, (1, 20)).astype(np.float32)
scales = [rows, np.zeros((1, 20), np.int8), rows, np.zeros((1, 20), np.int8)]
save("DynamicQuantizeLSTM", [step, *gates, *scales], [1, 2, 3, 5, 6, 8, 9, 10, 11], hidden_size=5)

convolution = [floats(1, 2, 4, 5), floats(3, 2, 3, 3), floats(3)]
save1("FusedConv", convolution, activation="LeakyRelu", activation_params=[0.25], pads=[1, 1, 1, 1])
save1("FusedConv", convolution, activation="Clip", activation_params=[-1.0, 2.5])
save("FusedConv", [floats(1, 2, 4, 5), floats(3, 2, 1, 1), None, floats(1, 3, 4, 5)], (1,), activation="Relu")
save("FusedMatMul", [floats(2, 4, 3), floats(2, 5, 4)], alpha=0.5, transA=1, transB=1)
save1("FusedGemm", [floats(2, 4), floats(4, 3), floats(3)], activation="HardSigmoid", activation_alpha=0.3, activation_beta=0.4)
save1("Gelu", [floats(2, 5)])
save1("BiasGelu", [floats(2, 5), floats(5)])
save1("FastGelu", [floats(2, 5), floats(5)])
save1("QuickGelu", [floats(2, 5)], alpha=1.5)

save("SkipLayerNormalization", [floats(1, 3, 8), floats(1, 3, 8), *[floats(8) for _ in range(3)]], (2, 3, 4), epsilon=1e-3)
ids, segments = RANDOM.integers(0, 5, (2, 3), dtype=np.int32), RANDOM.integers(0, 2, (2, 3), dtype=np.int32)
tables = [floats(5, 8), floats(6, 8), floats(2, 8), floats(8), floats(8)]
save("EmbedLayerNormalization", [ids, segments, *tables], range(2, 7), others=["mask_index"], epsilon=1e-3)
mask = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
save("Attention", [floats(2, 3, 8), floats(8, 24), floats(24), mask], (1, 2), num_heads=2)
save("Attention", [floats(2, 3, 8), floats(8, 24), floats(24)], (1, 2), num_heads=2)
save("MultiHeadAttention", [floats(2, 3, 8), floats(2, 4, 8), floats(2, 4, 8)], num_heads=2)

save1("MatMulNBits", [floats(2, 40), bytes_(3, 2, 16), floats(6)], K=40, N=3, bits=4, block_size=32)
save1("MatMulNBits", [floats(1, 2, 40), bytes_(3, 3, 8), floats(9), bytes_(3, 2)], K=40, N=3, bits=4, block_size=16)
save1("MatMulNBits", [floats(2, 40), bytes_(3, 2, 32), floats(6), bytes_(3, 2), None, floats(3)], K=40, N=3, bits=8, block_size=32)
