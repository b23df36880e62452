"""Floating-point operations of one run, two for each multiplication with an addition, of products of matrices, convolutions and
recurrent layers; the rest is not counted. The shapes are those that ONNX Runtime finds in a run on zeros.

    flops.py MODEL.onnx   prints the number; the inputs' shapes are fixed
"""

import math
import sys

import numpy
import onnx
import onnxruntime

COUNTED = {"Conv", "ConvTranspose", "Gemm", "GRU", "LSTM", "MatMul"}
TYPES = {"tensor(float)": numpy.float32, "tensor(int32)": numpy.int32}


def shapes(model, counted):
    """Of every operand and result of these nodes, by name."""
    known = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    inputs = {port.name for port in model.graph.input}
    wanted = sorted({name for node in counted for name in [*node.input, *node.output] if name} - set(known) - inputs)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {port.name: numpy.zeros(port.shape, TYPES[port.type]) for port in session.get_inputs()}
    known.update((name, value.shape) for name, value in zip(wanted, session.run(wanted, feeds)))
    known.update((name, value.shape) for name, value in feeds.items())
    return known


def multiplications(node, known):
    if node.op_type in ("GRU", "LSTM"):
        # [directions, gates * hidden, input] and [directions, gates * hidden, hidden], for each step of each sequence.
        steps = math.prod(known[node.input[0]][:2])
        return steps * sum(math.prod(known[name]) for name in node.input[1:3])
    if node.op_type == "ConvTranspose":
        return math.prod(known[node.input[0]]) * math.prod(known[node.input[1]][1:])
    result = math.prod(known[node.output[0]])
    if node.op_type == "Conv":
        return result * math.prod(known[node.input[1]][1:])
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return result * known[node.input[0]][-2 if transposed else -1]


def main(path):
    model = onnx.load(path)
    counted = [node for node in model.graph.node if node.op_type in COUNTED]
    known = shapes(model, counted)
    print(2 * sum(multiplications(node, known) for node in counted))


main(*sys.argv[1:])
