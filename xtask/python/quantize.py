"""What ONNX Runtime's quantizer makes of a model, and how good answers are.

    quantize.py peer MODEL_FOLDER METHOD OUT.onnx          METHOD: dynamic, dynamic-per-channel, static
    quantize.py run MODEL.onnx EVALUATION.npz OUT.npz      answers of ONNX Runtime, one thread
    quantize.py judge MODEL_FOLDER ANSWERS.npz             prints JSON: {"right", "labelled", "same", "cosine_mean", "cosine_min"}
    quantize.py compressed FILE                            prints the size of FILE after zstd -19

MODEL_FOLDER holds model.onnx, calibration.npz, evaluation.npz, and what its labels index.
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np


def cases(path, side):
    """Arrays by name, for each case in order."""
    with np.load(path) as arrays:
        found = {}
        for key in arrays.files:
            case, _, rest = key.partition("/")
            if rest.startswith(f"{side}/"):
                found.setdefault(case, {})[rest.removeprefix(f"{side}/")] = arrays[key]
        return [found[case] for case in sorted(found)]


def session(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def peer(folder, method, out):
    import onnx
    from onnx import version_converter
    from onnxruntime import quantization
    from onnxruntime.quantization import QuantFormat, QuantType
    from onnxruntime.quantization.shape_inference import quant_pre_process

    logging.disable(logging.CRITICAL)
    prepared, newer = out.with_suffix(".prepared.onnx"), out.with_suffix(".newer.onnx")
    model = onnx.load(folder / "model.onnx")
    if model.opset_import[0].version < 13:
        # Scales for each channel came with opset 13.
        model = version_converter.convert_version(model, 17)
    onnx.save(model, newer)
    # As its documentation asks for before quantizing.
    quant_pre_process(newer, prepared, skip_symbolic_shape=True)
    if method.startswith("dynamic"):
        quantization.quantize_dynamic(
            prepared, out, per_channel=method.endswith("per-channel"), weight_type=QuantType.QUInt8
        )
        return
    inputs = cases(folder / "calibration.npz", "in")

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.rest = iter(inputs)

        def get_next(self):
            return next(self.rest, None)

    quantization.quantize_static(
        prepared,
        out,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def run(model, evaluation, out):
    ready = session(model)
    names = [output.name for output in ready.get_outputs()]
    wanted = {value.name for value in ready.get_inputs()}
    answers = {}
    for index, inputs in enumerate(cases(evaluation, "in")):
        found = ready.run(None, {name: value for name, value in inputs.items() if name in wanted})
        answers.update({f"{index:03}/out/{name}": value for name, value in zip(names, found)})
    np.savez(out, **answers)


def decoded(folder, answer):
    """What an answer says: a label, or the characters of a line."""
    if (folder / "characters.json").exists():
        characters = json.loads((folder / "characters.json").read_text())
        best = answer[0].argmax(-1)
        kept = [index for at, index in enumerate(best) if index and (at == 0 or index != best[at - 1])]
        return "".join(characters[index] for index in kept)
    labels = ["0", "180"]
    if (folder / "labels.json").exists():
        labels = json.loads((folder / "labels.json").read_text())
    return labels[int(answer.reshape(-1).argmax())]


def same(reference, answer):
    """How much of what is decided is decided alike: a class, the characters of a line, speech or none, where text is."""
    if reference.ndim == 4:
        # A map of text: what both mark of what either marks. 0.3 is where its authors cut it.
        reference, answer = reference > 0.3, answer > 0.3
        either = (reference | answer).sum()
        return float((reference & answer).sum() / either) if either else 1.0
    if reference.shape[-1] == 1:
        return float(((reference > 0.5) == (answer > 0.5)).mean())
    return float(np.array_equal(reference.argmax(-1), answer.argmax(-1)))


def judge(folder, answers):
    references = cases(folder / "evaluation.npz", "out")
    found = cases(answers, "out")
    with np.load(folder / "evaluation.npz") as arrays:
        labels = {int(key.split("/")[0]): str(arrays[key]) for key in arrays.files if key.endswith("/label")}
    cosines, alike = [], []
    if all(next(iter(reference.values())).size == 1 for reference in references):
        # A single number has no direction; those of all cases together do.
        joined = lambda answers: [{name: np.array([[answer[name].item() for answer in answers]]).T for name in [next(iter(answers[0]))]}]
        references, found = joined(references), joined(found)
    for reference, answer in zip(references, found, strict=True):
        # The first output is what the model is for; others are its state.
        name = next(iter(reference))
        a, r = answer[name].astype(np.float64).ravel(), reference[name].astype(np.float64).ravel()
        alike.append(same(reference[name], answer[name]))
        cosines.append(float(a @ r / np.sqrt((a @ a) * (r @ r))) if a.any() and r.any() else float(not a.any() and not r.any()))
    right = sum(decoded(folder, next(iter(found[case].values()))) == label for case, label in labels.items())
    result = {"labelled": len(labels), "right": int(right)}
    result |= {"same": float(np.mean(alike)), "cosine_mean": float(np.mean(cosines)), "cosine_min": float(np.min(cosines))}
    print(json.dumps(result))


def main():
    match sys.argv[1:]:
        case ["peer", folder, method, out]:
            peer(Path(folder), method, Path(out))
        case ["run", model, evaluation, out]:
            run(model, evaluation, out)
        case ["judge", folder, answers]:
            judge(Path(folder), answers)
        case ["compressed", file]:
            import zstandard

            print(len(zstandard.ZstdCompressor(level=19).compress(Path(file).read_bytes())))
        case _:
            sys.exit(__doc__)


main()
