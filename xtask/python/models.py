"""Fetches the five models and makes inputs and reference answers for them.

    models.py fetch DIR [MODEL...]   needs nothing but pip: wheels -> model.onnx, labels
    models.py answers DIR PROJECT    needs numpy, onnxruntime and pillow: inputs, ONNX Runtime's answers, samples

The models come unchanged out of published wheels and are checked against the digests below. The inputs are real files of
the project and of Python, rendered text, and synthesised speech-like sound: honest, but modest. What is there already is kept.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MAGIKA, OCR, SILERO = "magika==1.0.3", "rapidocr-onnxruntime==1.4.4", "silero-vad==6.2.3"

# model: (wheel, file in the wheel, SHA-256 of that file)
MODELS = {
    "magika": (
        MAGIKA,
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
    ),
    "ocr-det": (
        OCR,
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
    "ocr-cls": (
        OCR,
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
    ),
    "ocr-rec": (
        OCR,
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
    "silero-vad": (
        SILERO,
        "silero_vad/data/silero_vad_16k_op15.onnx",
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    ),
}
MAGIKA_CONFIG = "magika/models/standard_v3_3/config.min.json"


def main():
    match sys.argv[1:]:
        case ["fetch", folder, *models]:
            fetch(Path(folder), models or list(MODELS))
        case ["answers", folder, project]:
            # The half that needs more than the standard library.
            import model_inputs

            model_inputs.make(Path(folder), Path(project))
        case _:
            sys.exit(__doc__)


def fetch(folder, models):
    missing = [model for model in models if not is_fetched(folder / model, model)]
    for wheel in sorted({MODELS[model][0] for model in missing}):
        print(f"  fetching {wheel}", flush=True)
        with tempfile.TemporaryDirectory() as download, open_wheel(wheel, download) as archive:
            for model in missing:
                if MODELS[model][0] == wheel:
                    extract(archive, model, folder / model)


def is_fetched(folder, model):
    path = folder / "model.onnx"
    if model == "magika" and not (folder / "labels.json").exists():
        return False
    return path.exists() and sha256(path.read_bytes()) == MODELS[model][2]


def open_wheel(wheel, folder):
    # Only data is taken out of the wheel, so one for another platform or Python does as well.
    options = ["--no-deps", "--ignore-requires-python", "--only-binary=:all:"]
    options += ["--platform", "manylinux_2_28_x86_64", "--platform", "any"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*command, *options, "--dest", folder, wheel], check=True)
    (path,) = Path(folder).glob("*.whl")
    return zipfile.ZipFile(path)


def extract(archive, model, folder):
    _, member, expected = MODELS[model]
    content = archive.read(member)
    found = sha256(content)
    if found != expected:
        sys.exit(f"{model}: {member} has SHA-256 {found}, expected {expected}; it is not used")
    folder.mkdir(parents=True, exist_ok=True)
    if model == "magika":
        config = json.loads(archive.read(MAGIKA_CONFIG))
        window = {key: config[key] for key in ("beg_size", "end_size", "padding_token", "block_size")}
        (folder / "config.json").write_text(json.dumps(window))
        (folder / "labels.json").write_text(json.dumps(config["target_labels_space"]))
    (folder / "model.onnx").write_bytes(content)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
