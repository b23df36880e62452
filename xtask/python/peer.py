"""The other side of `cargo xtask bench`: what ONNX Runtime and gzip make of a model.

    peer.py onnxruntime MODEL.onnx EVALUATION.npz SECONDS   one thread; prints JSON
    peer.py gzip FILE                                       prints the size of FILE after gzip -9
    peer.py versions                                        prints JSON
"""

import gzip
import json
import platform
import sys
import time
from pathlib import Path

# As in benches/src/bin/session.rs.
WARM_UP_RUNS, MIN_RUNS, MAX_RUNS = 3, 5, 2000


def status_bytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def measure(model, evaluation, seconds):
    import numpy
    import onnxruntime

    with numpy.load(evaluation) as arrays:
        inputs = {name.removeprefix("000/in/"): arrays[name] for name in arrays.files if name.startswith("000/in/")}
    # Modules and inputs are in memory: from here on, growth is the model's and the engine's.
    Path("/proc/self/clear_refs").write_text("5")
    resident = status_bytes("VmRSS:")

    started = time.perf_counter_ns()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    loaded = time.perf_counter_ns()

    latencies = []
    for _ in range(WARM_UP_RUNS):
        session.run(None, inputs)
    stop = time.perf_counter_ns() + int(seconds * 1e9)
    while len(latencies) < MIN_RUNS or (time.perf_counter_ns() < stop and len(latencies) < MAX_RUNS):
        start = time.perf_counter_ns()
        session.run(None, inputs)
        latencies.append((time.perf_counter_ns() - start) / 1e6)
    return {
        "load_ms": (loaded - started) / 1e6,
        "latency_ms": latencies,
        "resident_before_bytes": resident,
        "peak_bytes": status_bytes("VmHWM:"),
    }


def main():
    match sys.argv[1:]:
        case ["onnxruntime", model, evaluation, seconds]:
            print(json.dumps(measure(model, evaluation, float(seconds))))
        case ["gzip", path]:
            print(len(gzip.compress(Path(path).read_bytes(), compresslevel=9, mtime=0)))
        case ["versions"]:
            import onnxruntime

            print(json.dumps({"onnxruntime": onnxruntime.__version__, "python": platform.python_version()}))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
