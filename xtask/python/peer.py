"""The other sides of `cargo xtask bench`: what ONNX Runtime, OpenVINO and gzip make of a model.

    peer.py onnxruntime MODEL.onnx EVALUATION.npz SECONDS THREADS   one session; prints JSON
    peer.py openvino MODEL.onnx EVALUATION.npz SECONDS THREADS      the same; prints {"refused": ...} of a model that it does not load
    peer.py throughput MODEL.onnx EVALUATION.npz SECONDS THREADS    so many threads, a session of one thread each; prints JSON
    peer.py case EVALUATION.npz FOLDER                              writes the first case as case.json and case.bin
    peer.py gzip FILE                                               prints the size of FILE after gzip -9
    peer.py versions                                                prints JSON
"""

import gzip
import importlib
import json
import platform
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

# As in benches/src/measure.rs.
WARM_UP_RUNS, MIN_RUNS, MAX_RUNS = 3, 5, 2000


def status_bytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def first_case(evaluation, side):
    import numpy

    prefix = f"000/{side}/"
    with numpy.load(evaluation) as arrays:
        return {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}


def open_onnxruntime(model, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


def open_openvino(model, threads):
    import openvino

    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
    }
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    return lambda inputs: request.infer(inputs, share_inputs=True)


OPENERS = {"onnxruntime": open_onnxruntime, "openvino": open_openvino}


def measure(engine, model, evaluation, seconds, threads):
    importlib.import_module(engine)  # before memory is looked at
    inputs = first_case(evaluation, "in")
    # Modules and inputs are in memory: from here on, growth is the model's and the engine's.
    Path("/proc/self/clear_refs").write_text("5")
    resident = status_bytes("VmRSS:")

    started = time.perf_counter_ns()
    try:
        run = OPENERS[engine](model, threads)
    except RuntimeError as error:
        return {"refused": str(error)}
    loaded = time.perf_counter_ns()

    latencies = []
    for _ in range(WARM_UP_RUNS):
        run(inputs)
    stop = time.perf_counter_ns() + int(seconds * 1e9)
    while len(latencies) < MIN_RUNS or (time.perf_counter_ns() < stop and len(latencies) < MAX_RUNS):
        start = time.perf_counter_ns()
        run(inputs)
        latencies.append((time.perf_counter_ns() - start) / 1e6)
    return {
        "load_ms": (loaded - started) / 1e6,
        "latency_ms": latencies,
        "resident_before_bytes": resident,
        "peak_bytes": status_bytes("VmHWM:"),
    }


def throughput(model, evaluation, seconds, threads):
    """Sessions run outside the interpreter's lock, so the threads do work at the same time."""
    inputs = first_case(evaluation, "in")
    counts = [0] * threads
    gate = threading.Barrier(threads + 1)

    def work(index):
        run = open_onnxruntime(model, 1)
        for _ in range(WARM_UP_RUNS):
            run(inputs)
        gate.wait()
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            run(inputs)
            counts[index] += 1

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    gate.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    return {"runs": sum(counts), "seconds": time.perf_counter() - started}


def write_case(evaluation, folder):
    folder.mkdir(parents=True, exist_ok=True)
    content, document = bytearray(), {}
    for side in ("in", "out"):
        tensors = document[f"{side}puts"] = []
        for name, array in first_case(evaluation, side).items():
            tensors.append(
                {
                    "name": name,
                    "dtype": array.dtype.name,
                    "shape": list(array.shape),
                    "offset_bytes": len(content),
                    "size_bytes": array.nbytes,
                }
            )
            content += array.tobytes()
    (folder / "case.json").write_text(json.dumps(document))
    (folder / "case.bin").write_bytes(content)


def main():
    match sys.argv[1:]:
        case ["onnxruntime" | "openvino" as engine, model, evaluation, seconds, threads]:
            print(json.dumps(measure(engine, model, evaluation, float(seconds), int(threads))))
        case ["throughput", model, evaluation, seconds, threads]:
            print(json.dumps(throughput(model, evaluation, float(seconds), int(threads))))
        case ["case", evaluation, folder]:
            write_case(evaluation, Path(folder))
        case ["gzip", path]:
            print(len(gzip.compress(Path(path).read_bytes(), compresslevel=9, mtime=0)))
        case ["versions"]:
            versions = {name: metadata.version(name) for name in OPENERS}
            print(json.dumps({**versions, "python": platform.python_version()}))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
