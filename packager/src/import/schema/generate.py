"""Writes table.rs beside this file from the operator schemas of the packages `onnx` (1.20.1) and `onnxruntime` (1.31.0)."""

import collections
import pathlib

import onnx
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime

TYPES = {
    "INT": "int",
    "FLOAT": "float",
    "STRING": "string",
    "TENSOR": "tensor",
    "GRAPH": "graph",
    "INTS": "ints",
    "FLOATS": "floats",
    "STRINGS": "strings",
}
VARIADIC = 2**31 - 1
# Operators of com.microsoft that `contrib` reads.
CONTRIBUTED = """
Attention BiasGelu DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization FastGelu FusedConv FusedGemm FusedMatMul Gelu
MatMulIntegerToFloat MatMulNBits MultiHeadAttention QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul
QLinearSigmoid QLinearSoftmax QuickGelu SkipLayerNormalization
""".split()


def count(largest: int) -> int:
    return 255 if largest == VARIADIC else largest


def line(versions: list) -> str:
    newest = versions[-1]
    since = ", ".join(str(schema.since_version) for schema in versions)
    attributes = []
    for name, attribute in sorted(newest.attributes.items()):
        kind = str(attribute.type).split(".")[-1]
        required = "!" if attribute.required else ""
        attributes.append(f"{name}:{TYPES.get(kind, 'other')}{required}")
    # Inputs that may not be absent; `min_input` counts some that may.
    options = [str(value.option).split(".")[-1] for value in newest.inputs]
    required = next((index for index, option in enumerate(options) if option != "Single"), len(options))
    if options[:1] == ["Variadic"]:
        required = newest.min_input
    inputs = f"({required}, {count(newest.max_input)})"
    outputs = f"({newest.min_output}, {count(newest.max_output)})"
    deprecated = "true" if newest.deprecated else "false"
    domain = newest.domain
    return (
        f'    operator("{domain}", "{newest.name}", &[{since}], {deprecated}, {inputs}, {outputs}, '
        f'"{" ".join(attributes)}"),'
    )


def main() -> None:
    operators = collections.defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain in ("", "ai.onnx.ml"):
            operators[(schema.domain, schema.name)].append(schema)
    for schema in onnxruntime.get_all_operator_schema():
        if schema.domain == "com.microsoft" and schema.name in CONTRIBUTED:
            operators[(schema.domain, schema.name)].append(schema)
    lines = []
    for key in sorted(operators):
        lines.append(line(sorted(operators[key], key=lambda schema: schema.since_version)))
    text = "\n".join(lines)
    pathlib.Path(__file__).with_name("table.rs").write_text(
        "//! Every operator of the ONNX standard, and those of `com.microsoft` that are read. Written by `generate.py`; do not edit.\n\n"
        "use super::{Operator, operator};\n\n"
        "/// Sorted by domain and name.\n"
        "#[rustfmt::skip]\n"
        f"pub(super) const OPERATORS: &[Operator] = &[\n{text}\n];\n"
    )


main()
