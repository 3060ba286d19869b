"""Images a second of pemm-embed and of ONNX Runtime, in turn, with the same two threads.

    python speed.py FEATURES OUT.json COUNT ROUNDS FILE …

Both read made-up images; preparing them is part of pemm-embed's time and not of ONNX Runtime's.
ONNX Runtime runs in a process of its own, with two threads inside of operators and batches of 1 and
of 8. Wall clock and processor time of each round are kept, because a machine that does something
else besides makes the wall clock useless; ratios are of the medians.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS = 2


def ort_round(path, count, batch):
    """Wall and processor seconds of ONNX Runtime, in this process."""
    import onnx
    import onnxruntime as ort

    from tiny import images

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    model = onnx.load(path)
    for value in list(model.graph.input) + list(model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    image = images(batch, tuple(value.shape[1:]))
    session.run(None, {value.name: image})
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count // batch):
        session.run(None, {value.name: image})
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


def main():
    if sys.argv[1] == "--round":
        return ort_round(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    features, out, count, rounds, *paths = sys.argv[1:]
    count, rounds = int(count), int(rounds)
    from compare import head

    rows = []
    for path in paths:
        times = {"pemm-embed": [], "onnxruntime batch 1": [], "onnxruntime batch 8": []}
        for _ in range(rounds):
            run = subprocess.run([features, path, str(count), str(THREADS)], capture_output=True, check=True)
            line = json.loads(run.stdout)
            times["pemm-embed"].append({"wall": line["wall_secs"], "cpu": line["cpu_secs"]})
            for batch in 1, 8:
                command = [sys.executable, __file__, "--round", path, str(count), str(batch)]
                run = subprocess.run(command, capture_output=True, check=True)
                times[f"onnxruntime batch {batch}"].append(json.loads(run.stdout))
        median = {
            name: {kind: statistics.median(row[kind] for row in all) for kind in ("wall", "cpu")}
            for name, all in times.items()
        }
        row = {"file": Path(path).name, "images": count, "seconds": times}
        for kind in "wall", "cpu":
            best = min(median["onnxruntime batch 1"][kind], median["onnxruntime batch 8"][kind])
            row[f"{kind}_ratio"] = round(best / median["pemm-embed"][kind], 3)
        rows.append(row)
        print({key: row[key] for key in ("file", "wall_ratio", "cpu_ratio")}, flush=True)
        found = {"commit": head(), "threads": THREADS, "rounds": rounds, "load": os.getloadavg(), "rows": rows}
        Path(out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
