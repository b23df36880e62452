"""Writes small models in older operator sets, each with its inputs: FOLDER/NAME/{model.onnx,inputs.npz}.

One model for every rewriting of the importer, so that ONNX Runtime can run the old file and the new one.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(sys.argv[1])
RANDOM = np.random.default_rng(7)
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def save(name, opset, nodes, inputs, outputs, initialisers=None, symbolic=False):
    """`outputs`: name to (type, rank). `symbolic`: sizes of inputs are not written down."""
    folder = FOLDER / name
    folder.mkdir(parents=True)
    element = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64, np.dtype(np.int32): TensorProto.INT32}

    def shape(name, value):
        return [f"{name}_{axis}" for axis in range(value.ndim)] if symbolic else list(value.shape)

    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, element[v.dtype], shape(n, v)) for n, v in inputs.items()],
        [helper.make_tensor_value_info(n, t, [None] * rank) for n, (t, rank) in outputs.items()],
        [numpy_helper.from_array(value, n) for n, value in (initialisers or {}).items()],
    )
    # Old runtimes and old operator sets go with old versions of the file format.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", **inputs)


def one(name, opset, op, inputs, outputs=None, initialisers=None, symbolic=False, **attributes):
    outputs = outputs or {"y": (FLOAT, len(inputs["x"].shape))}
    names = [*inputs, *(initialisers or {})]
    node = helper.make_node(op, names, list(outputs), **attributes)
    save(name, opset, [node], inputs, outputs, initialisers, symbolic)


def main():
    image = {"x": floats(1, 2, 4, 6)}
    cube = {"x": floats(2, 3, 4)}
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for opset in (7, 11):
            one(f"{op.lower()}_{opset}_default", opset, op, cube)
            one(f"{op.lower()}_{opset}_last", opset, op, cube, axis=2)
        one(f"{op.lower()}_symbolic", 9, op, cube, symbolic=True, axis=1)
        one(f"{op.lower()}_negative", 11, op, cube, axis=-2)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
               "ReduceSumSquare", "ReduceLogSumExp"):
        one(f"{op.lower()}_axes", 11, op, cube, axes=[-1])
        one(f"{op.lower()}_dropped", 7, op, cube, {"y": (FLOAT, 1)}, axes=[0, 2], keepdims=0)
        one(f"{op.lower()}_all", 7, op, cube)
    one("reduce_sum_keeps_input_axes", 13, "ReduceSum", cube, initialisers={"axes": np.array([1], np.int64)})
    one("clip_both", 7, "Clip", cube, min=-0.5, max=0.25)
    one("clip_none", 6 + 1, "Clip", cube)
    one("clip_input", 11, "Clip", cube, initialisers={"min": np.float32(-0.1), "max": np.float32(0.1)})
    one("pad_constant", 7, "Pad", cube, pads=[0, 1, 0, 1, 0, 2], value=3.5)
    one("pad_reflect", 10, "Pad", cube, pads=[0, 1, 0, 0, 1, 2], mode="reflect")
    one("slice_attributes", 7, "Slice", cube, axes=[1, 2], starts=[0, 1], ends=[2, 9])
    one("slice_without_axes", 9, "Slice", cube, starts=[1, 0, -2], ends=[2, 2, 100])
    one("split_sizes", 7, "Split", cube, {"y": (FLOAT, 3), "z": (FLOAT, 3)}, axis=2, split=[1, 3])
    one("split_equal", 11, "Split", cube, {"y": (FLOAT, 3), "z": (FLOAT, 3)}, axis=2)
    one("split_equal_13", 13, "Split", cube, {"y": (FLOAT, 3), "z": (FLOAT, 3)}, axis=2)
    one("squeeze_axes", 7, "Squeeze", {"x": floats(1, 3, 1)}, {"y": (FLOAT, 2)}, axes=[0])
    one("squeeze_all", 7, "Squeeze", {"x": floats(1, 3, 1)}, {"y": (FLOAT, 1)})
    one("unsqueeze_axes", 11, "Unsqueeze", {"x": floats(3)}, {"y": (FLOAT, 3)}, axes=[-1, 0])
    one("top_k", 7, "TopK", cube, {"y": (FLOAT, 3), "i": (INT64, 3)}, axis=1, k=2)
    one("dropout_7", 7, "Dropout", cube, ratio=0.5)
    one("upsample_nearest", 7, "Upsample", image, mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])
    one("upsample_linear", 9, "Upsample", image, initialisers={"s": np.array([1, 1, 2, 2], np.float32)}, mode="linear")
    one("resize_10_up", 10, "Resize", image, initialisers={"s": np.array([1, 1, 2, 1.5], np.float32)})
    one("resize_10_down", 10, "Resize", image, initialisers={"s": np.array([1, 1, 0.6, 0.5], np.float32)})
    one("resize_10_linear", 10, "Resize", image, initialisers={"s": np.array([1, 1, 2, 0.5], np.float32)}, mode="linear")
    empty, sizes = np.array([], np.float32), np.array([1, 2, 7, 9], np.int64)
    scales = np.array([1, 1, 2, 2], np.float32)
    for mode in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
        one(f"resize_11_{mode}", 11, "Resize", image, initialisers={"roi": empty, "e": empty, "sizes": sizes},
            mode="linear", coordinate_transformation_mode=mode)
    one("resize_11_tf", 11, "Resize", image, initialisers={"roi": empty, "s": scales}, mode="nearest",
        coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor")
    one("resize_13", 13, "Resize", image, initialisers={"roi": empty, "s": scales}, mode="cubic")
    indices = np.array([[0, 2], [1, 0]], np.int64)
    one("scatter", 9, "Scatter", {"x": floats(3, 2), "i": indices, "u": floats(2, 2)}, axis=0)
    one("grid_sample", 16, "GridSample", {"x": floats(1, 1, 3, 3), "g": floats(1, 2, 2, 2)}, mode="bilinear")
    one("dft", 17, "DFT", {"x": floats(1, 8, 1)}, axis=1, onesided=1)
    rois = {"r": np.array([[0, 0, 3, 3]], np.float32), "b": np.array([0], np.int64)}
    one("roi_align", 10, "RoiAlign", {"x": floats(1, 1, 5, 5)}, initialisers=rois, output_height=2, output_width=2)
    norm = {"s": floats(2), "b": floats(2), "m": floats(2), "v": np.abs(floats(2)) + 1}
    one("batch_norm_7", 7, "BatchNormalization", image, initialisers=norm)
    one("batch_norm_9", 9, "BatchNormalization", image, initialisers=norm, epsilon=0.1)
    one("group_norm_18", 18, "GroupNormalization", {"x": floats(1, 6, 2, 2)},
        initialisers={"s": floats(3), "b": floats(3)}, num_groups=3, epsilon=0.01)
    one("flatten_zero", 9, "Flatten", cube, {"y": (FLOAT, 2)}, axis=0)
    one("gemm", 7, "Gemm", {"x": floats(2, 3)}, initialisers={"w": floats(3, 4), "c": floats(4)}, alpha=0.5, beta=2.0)

    # A layer and its normalisation become one layer.
    conv = helper.make_node("Conv", ["x", "w", "c"], ["h"], pads=[1, 1, 1, 1], group=2)
    bn = helper.make_node("BatchNormalization", ["h", "s", "b", "m", "v"], ["y"], epsilon=1e-3)
    four = {"s": floats(4), "b": floats(4), "m": floats(4), "v": np.abs(floats(4)) + 0.5}
    save("fold_conv", 11, [conv, bn], image, {"y": (FLOAT, 4)}, {"w": floats(4, 1, 3, 3), "c": floats(4), **four})
    transposed = helper.make_node("ConvTranspose", ["x", "w"], ["h"], strides=[2, 2], group=2)
    save("fold_conv_transpose", 11, [transposed, bn], image, {"y": (FLOAT, 4)}, {"w": floats(2, 2, 2, 2), **four})
    gemm = helper.make_node("Gemm", ["x", "w", "c"], ["h"], transB=1, beta=0.5)
    rows = {"x": floats(3, 5)}
    save("fold_gemm", 11, [gemm, bn], rows, {"y": (FLOAT, 2)}, {"w": floats(4, 5), "c": floats(4), **four})
    product = helper.make_node("MatMul", ["x", "w"], ["h"])
    save("fold_matmul", 11, [product, bn], rows, {"y": (FLOAT, 2)}, {"w": floats(5, 4), **four})
    both = [conv, bn, helper.make_node("Relu", ["h"], ["z"])]
    save("keep_conv_that_is_used_twice", 11, both, image, {"y": (FLOAT, 4), "z": (FLOAT, 4)},
         {"w": floats(4, 1, 3, 3), "c": floats(4), **four})

    # Shapes that are computed from the input's, and what they lead to.
    shaped = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch"], ["batch_1"], axes=[0]),
        helper.make_node("Concat", ["batch_1", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    constants = {"zero": np.array(0, np.int64), "rest": np.array([-1], np.int64)}
    save("computed_reshape", 11, shaped, cube, {"y": (FLOAT, 2)}, constants, symbolic=True)
    save("known_reshape", 11, shaped, cube, {"y": (FLOAT, 2)}, constants)
    nothing = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Cast", ["a"], ["b"], to=FLOAT),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 1, 2]),
        helper.make_node("Neg", ["c"], ["d"]),
        helper.make_node("Identity", ["d"], ["y"]),
        helper.make_node("Identity", ["x"], ["same"]),
    ]
    save("nothing_but_neg", 11, nothing, cube, {"y": (FLOAT, 3), "same": (FLOAT, 3)})

    def branch(op, name):
        out = helper.make_tensor_value_info(name, FLOAT, None)
        return helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [out])

    for name, value in (("taken", True), ("not_taken", False)):
        choose = helper.make_node("If", ["c"], ["h"], then_branch=branch("Neg", "p"), else_branch=branch("Abs", "q"))
        nodes = [choose, helper.make_node("Relu", ["h"], ["y"])]
        save(f"if_{name}", 11, nodes, cube, {"y": (FLOAT, 3)}, {"c": np.array(value)})
    unknown = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "limit"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("Neg", "p"), else_branch=branch("Identity", "q")),
    ]
    save("if_unknown", 11, unknown, cube, {"y": (FLOAT, 3)}, {"limit": np.float32(0)})

    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["state", "x"], ["next"])],
        "body",
        [scalar("i", INT64, []), scalar("go", BOOL, []), scalar("state", FLOAT, None)],
        [scalar("go_on", BOOL, []), scalar("next", FLOAT, None)],
    )
    loop = helper.make_node("Loop", ["count", "", "x"], ["y"], body=body)
    save("loop", 11, [loop], cube, {"y": (FLOAT, 3)}, {"count": np.array(3, np.int64)})

    step = helper.make_graph(
        [helper.make_node("Add", ["s", "e"], ["n"]), helper.make_node("Identity", ["n"], ["o"])],
        "step",
        [scalar("s", FLOAT, [2]), scalar("e", FLOAT, [2])],
        [scalar("n", FLOAT, [2]), scalar("o", FLOAT, [2])],
    )
    scan = helper.make_node("Scan", ["", "s0", "x"], ["last", "y"], num_scan_inputs=1, body=step)
    save("scan_8", 8, [scan], {"s0": floats(3, 2), "x": floats(3, 4, 2)}, {"last": (FLOAT, 2), "y": (FLOAT, 3)})


main()
