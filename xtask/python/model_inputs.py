"""Inputs for the five models, and ONNX Runtime's answers to them.

Per model: `calibration.npz` (inputs only, `NNN/in/<input>`), `evaluation.npz` (also `NNN/out/<output>` and, where a case has a
true label, `NNN/label`) and `samples/` (raw files).
"""

import gzip
import io
import json
import sysconfig
import wave
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

# An evaluation set of another recipe is made anew.
RECIPE = 1

WORDS = (
    "bundle signed v2.10 budget server -3.75 stream sensor runtime drift weights 2048 tensor kernel 48x320 label "
    "policy digest 0.9913 session golden answer edge device header chunk engine graph operator import export verify"
).split()


def make(folder, project):
    receipt = folder / "recipe.txt"
    if receipt.exists() and receipt.read_text() == str(RECIPE):
        return
    magika(folder / "magika", project)
    ocr_lines(folder / "ocr-cls", folder / "ocr-rec")
    ocr_pages(folder / "ocr-det")
    silero(folder / "silero-vad")
    receipt.write_text(str(RECIPE))


def open_session(folder):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])


def save(folder, calibration, evaluation):
    """Each case is (inputs, label or None); the answers are added here."""
    session = open_session(folder)
    outputs = [output.name for output in session.get_outputs()]
    arrays = {}
    for number, (inputs, label) in enumerate(evaluation):
        arrays |= {f"{number:03}/in/{name}": value for name, value in inputs.items()}
        arrays |= {f"{number:03}/out/{name}": value for name, value in zip(outputs, session.run(None, inputs))}
        if label is not None:
            arrays[f"{number:03}/label"] = np.array(label)
    np.savez_compressed(folder / "evaluation.npz", **arrays)
    arrays = {}
    for number, (inputs, _) in enumerate(calibration):
        arrays |= {f"{number:03}/in/{name}": value for name, value in inputs.items()}
    np.savez_compressed(folder / "calibration.npz", **arrays)
    print(f"  {folder.name}: {len(evaluation)} evaluation and {len(calibration)} calibration cases", flush=True)


# magika: real files, labelled by what they are known to be.


def magika(folder, project):
    window = json.loads((folder / "config.json").read_text())
    by_ending = {".rs": "rust", ".toml": "toml", ".md": "markdown", ".py": "python", ".h": "c", ".html": "html"}
    roots = [project, Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("include"))]
    cases, counts = [], {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            label = by_ending.get(path.suffix)
            if label is None or any(part in ("target", ".git", "node_modules") for part in path.parts):
                continue
            if counts.get(label, 0) == 24 or not path.is_file() or not 400 < path.stat().st_size < 2_000_000:
                continue
            counts[label] = counts.get(label, 0) + 1
            cases.append((path.read_bytes(), label))
    for number, (content, _) in enumerate(list(cases[:8])):
        cases.append((gzip.compress(content, mtime=0), "gzip"))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
            writer.writestr(zipfile.ZipInfo(f"file{number}"), content)
        cases.append((archive.getvalue(), "zip"))
        cases.append((png(page(["page", str(number)])), "png"))
    cases = [({"bytes": byte_window(content, window)}, label) for content, label in cases]
    save(folder, cases[1::2], cases[0::2])


def byte_window(content, window):
    """The first and the last bytes, white space at the ends dropped, as Magika's own reader takes them."""
    head, tail, padding, block = (window[key] for key in ("beg_size", "end_size", "padding_token", "block_size"))
    first = content[:block].lstrip()[:head]
    last = content[-block:].rstrip()[-tail:]
    values = [*first, *[padding] * (head - len(first)), *[padding] * (tail - len(last)), *last]
    return np.array([values], dtype=np.int32)


# OCR: rendered text.


def line(text, size, width):
    """One line of text, 48 pixels high."""
    image = Image.new("RGB", (width, 48), "white")
    ImageDraw.Draw(image).text((8, 24), text, fill=(20, 20, 40), font=ImageFont.load_default(size=size), anchor="lm")
    return image


def page(texts):
    """A page of 320 x 320 pixels."""
    image = Image.new("RGB", (320, 320), "white")
    draw = ImageDraw.Draw(image)
    for number, text in enumerate(texts):
        font = ImageFont.load_default(size=18 + 6 * (number % 3))
        draw.text((12 + 30 * (number % 4), 14 + 42 * number), text, fill=(20, 20, 40), font=font)
    return image


def png(image):
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def tensor(image, mean, std):
    """`[1, 3, height, width]`, blue-green-red as OpenCV reads it, normalised."""
    values = np.asarray(image, dtype=np.float32)[:, :, ::-1] / 255
    values = (values - np.array(mean, dtype=np.float32)) / np.array(std, dtype=np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)


def ocr_lines(cls_folder, rec_folder):
    half = ([0.5] * 3, [0.5] * 3)
    turned, lines = [], []
    for number, word in enumerate(WORDS):
        image = line(word, 26 + number % 8, 192)
        turned.append(({"x": tensor(image, *half)}, "0"))
        turned.append(({"x": tensor(image.rotate(180), *half)}, "180"))
        text = word if number % 3 else f"{word} {WORDS[(number * 7 + 3) % len(WORDS)]}"
        lines.append((line(text, 26 + number % 8, 320), text))
    save(cls_folder, turned[32:], turned[:32])
    cases = [({"x": tensor(image, *half)}, text) for image, text in lines]
    save(rec_folder, cases[12:], cases[:12])
    # The list that the model carries, with the blank in front and the space behind, as its own decoder builds it.
    characters = open_session(rec_folder).get_modelmeta().custom_metadata_map["character"].splitlines()
    (rec_folder / "characters.json").write_text(json.dumps(["blank", *characters, " "], ensure_ascii=False), encoding="utf-8")
    samples = rec_folder / "samples"
    samples.mkdir(exist_ok=True)
    for number, (image, text) in enumerate(lines[:6]):
        (samples / f"line{number}.png").write_bytes(png(image))
        (samples / f"line{number}.txt").write_text(text)


def ocr_pages(folder):
    imagenet = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    pages = [page([WORDS[(start * 5 + step * 3) % len(WORDS)] for step in range(7)]) for start in range(14)]
    cases = [({"x": tensor(image, *imagenet)}, None) for image in pages]
    save(folder, cases[6:], cases[:6])
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    for number, image in enumerate(pages[:2]):
        (samples / f"page{number}.png").write_bytes(png(image))


# silero-vad: a buzz shaped by the resonances of vowels, with pauses.

SAMPLE_RATE_HZ, FRAME, CONTEXT = 16_000, 512, 64

# First three formants in hertz (Peterson and Barney 1952, men, rounded).
VOWELS = [(730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480), (300, 870, 2240)]


def sound(seconds, seed):
    """16-bit samples: syllables of 0.18 s, five in a row, then a pause of three."""
    random = np.random.default_rng(seed)
    samples = random.normal(0, 0.002, int(seconds * SAMPLE_RATE_HZ))
    length = int(0.18 * SAMPLE_RATE_HZ)
    for number in range(len(samples) // length):
        if number % 8 < 5:
            part = slice(number * length, (number + 1) * length)
            samples[part] += syllable(length, VOWELS[(number * 3 + seed) % 5], 105 + 25 * random.random(), random)
    return (np.clip(samples, -1, 1) * 32767).astype("<i2")


def syllable(length, formants, pitch_hz, random):
    phase = np.cumsum(pitch_hz * (1 + 0.1 * np.sin(np.linspace(0, 3, length)))) / SAMPLE_RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0) + random.normal(0, 0.01, length)
    for formant_hz in formants:
        pulses = resonate(pulses, formant_hz, 60 + formant_hz / 20)
    return 0.4 * pulses / np.abs(pulses).max() * np.hanning(length) ** 0.5


def resonate(samples, centre_hz, width_hz):
    """A second-order resonator."""
    radius = np.exp(-np.pi * width_hz / SAMPLE_RATE_HZ)
    a1, a2 = 2 * radius * np.cos(2 * np.pi * centre_hz / SAMPLE_RATE_HZ), -(radius**2)
    out, before, before2 = np.empty_like(samples), 0.0, 0.0
    for index, value in enumerate(samples):
        out[index] = (1 - radius) * value + a1 * before + a2 * before2
        before, before2 = out[index], before
    return out


def silero(folder):
    session = open_session(folder)
    heard = sound(4.0, seed=1)
    evaluation = frames(session, heard)
    calibration = frames(session, sound(2.0, seed=2))
    save(folder, calibration, evaluation)
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    with wave.open(str(samples / "speech.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(heard.tobytes())


def frames(session, samples):
    """Consecutive cases: `state` of a case is `stateN` of the one before it."""
    state, context, cases = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32), []
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        frame = samples[start : start + FRAME].astype(np.float32) / 32768
        values = np.concatenate([context, frame])[None]
        inputs = {"input": values, "state": state, "sr": np.array(SAMPLE_RATE_HZ, np.int64)}
        cases.append((inputs, None))
        state, context = session.run(["stateN"], inputs)[0], frame[-CONTEXT:]
    return cases
