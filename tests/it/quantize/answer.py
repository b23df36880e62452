"""Answers of ONNX Runtime: `answer.py FOLDER SHAPE MODEL...`.

FOLDER/inputs holds cases of one binary32 input of SHAPE, such as 1,3,48,192, one after the other. The first output of each case
goes to MODEL.answers, likewise. A model that breaks a rule of the standard ends it.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort

folder, shape, models = pathlib.Path(sys.argv[1]), [int(size) for size in sys.argv[2].split(",")], sys.argv[3:]
cases = np.fromfile(folder / "inputs", np.float32).reshape([-1] + shape)
options = ort.SessionOptions()
options.intra_op_num_threads = 1
# Its optimiser computes integers in another way: with it and without, its own answers agree to no more than 38 to 46 dB.
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
for name in models:
    path = folder / name
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    answers = [session.run(None, {name: case})[0] for case in cases]
    np.concatenate([answer.ravel() for answer in answers]).tofile(str(path) + ".answers")
