"""Checks exported models and compares their answers with those of the originals, both from ONNX Runtime.

Standard input: one line per model, `NAME<tab>ORIGINAL<tab>EXPORTED<tab>INPUTS`; INPUTS is an .npz with the input arrays,
an evaluation file with arrays `000/in/NAME`, or the folder of an ONNX node test. Prints one line per model: its name and
`ok`, `skipped: why` where ONNX Runtime cannot run the original, or `wrong: why`.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

OPTIONS = ort.SessionOptions()
OPTIONS.log_severity_level = 4
OPTIONS.intra_op_num_threads = 1
# As the project's acceptance states it.
ABSOLUTE, RELATIVE = 1e-4, 1e-3


def inputs(path, names):
    path = pathlib.Path(path)
    if path.is_dir():
        arrays = []
        for file in sorted(path.glob("input_*.pb"), key=lambda file: int(file.stem.split("_")[1])):
            tensor = onnx.TensorProto()
            tensor.ParseFromString(file.read_bytes())
            arrays.append(numpy_helper.to_array(tensor))
        return dict(zip(names, arrays))
    arrays = np.load(path)
    prefix = "000/in/" if "000/in/" + names[0] in arrays.files else ""
    return {name: arrays[prefix + name] for name in names if prefix + name in arrays.files}


def compare(original, exported, data):
    model = onnx.load(exported)
    try:
        onnx.checker.check_model(onnx.load(original), full_check=True)
        strict = True
    except Exception:
        strict = False
    onnx.checker.check_model(model, full_check=strict)
    if model.opset_import[0].version != 25:
        return "wrong: not at opset 25"
    try:
        reference = ort.InferenceSession(original, OPTIONS)
        feed = inputs(data, [value.name for value in reference.get_inputs()])
        answers = reference.run(None, feed)
    except Exception as error:
        return f"skipped: {str(error)[:100]!r}"
    try:
        session = ort.InferenceSession(exported, OPTIONS)
    except Exception as error:
        if "NOT_IMPLEMENTED" in str(error):
            return f"skipped: {str(error)[:100]!r}"
        raise
    kept = {value.name for value in session.get_inputs()}
    found = session.run(None, {name: value for name, value in feed.items() if name in kept})
    if [value.name for value in session.get_outputs()] != [value.name for value in reference.get_outputs()]:
        return "wrong: other output names"
    for output, answer, other in zip(session.get_outputs(), answers, found):
        if answer.dtype != other.dtype or answer.shape != other.shape:
            return f"wrong: {output.name} is {other.dtype}{other.shape}, not {answer.dtype}{answer.shape}"
        exact = answer.dtype.kind not in "f"
        tolerance = (0, 0) if exact else (RELATIVE, ABSOLUTE)
        if not np.allclose(other.astype(np.float64), answer.astype(np.float64), *tolerance, equal_nan=True):
            return f"wrong: {output.name} differs"
    return "ok"


for line in sys.stdin:
    name, original, exported, data = line.rstrip("\n").split("\t")
    try:
        result = compare(original, exported, data)
    except Exception as error:
        result = f"wrong: {str(error)[:300]!r}"
    print(f"{name}\t{result}", flush=True)
