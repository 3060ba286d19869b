"""Compares pemm-embed with ONNX Runtime on every file of a folder: do the features agree?

    python compare.py FEATURES FOLDER OUT.json

FEATURES is the binary of `cargo build --release -p pemm-embed --example features`. Both get the
same made-up images (values from -1 to 1, see tiny.py). ONNX Runtime's output is reduced by the rule
that the backbone reports. The error is the largest difference by the largest feature. OUT.json gets
one entry a file, also for those that do not open, with the reason.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from tiny import images

COUNT = 2


def head():
    """The commit of the working tree, with a plus if something in it was changed."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip()


def pooled(output, pooling):
    """An output as features, by the name of the rule in the card."""
    if pooling == "class-token":
        return output[:, 0]
    if pooling == "mean-positions":
        return output.mean(axis=1)
    if pooling == "mean-map":
        return output.mean(axis=(2, 3))
    if pooling == "mean-map-channels-last":
        return output.mean(axis=(1, 2))
    return output.reshape(len(output), -1)


def reference(path, card):
    """What ONNX Runtime makes of the images, one by one as pemm-embed does."""
    height, width = card["preprocessing"]["size"]
    channels = 1 if card["preprocessing"]["colour"] == "grey" else 3
    batch = images(COUNT, (channels, height, width))
    if card["layout"] == "channels-last":
        batch = batch.transpose(0, 2, 3, 1)
    model = onnx.load(path)
    if card["output"] not in [output.name for output in model.graph.output]:
        model.graph.output.append(onnx.ValueInfoProto(name=card["output"]))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = [session.run([card["output"]], {name: image[None]})[0] for image in batch]
    return pooled(np.concatenate(outputs), card["pooling"])


def entry(features, path):
    """One row of the table."""
    model = onnx.load(path, load_external_data=False)
    row = {
        "name": path.stem,
        "opset": model.opset_import[0].version,
        "nodes": len(model.graph.node),
        "megabytes": round(path.stat().st_size / 1e6, 1),
    }
    with tempfile.NamedTemporaryFile() as out:
        run = subprocess.run([features, path, str(COUNT), "2", out.name], capture_output=True, text=True)
        if run.returncode != 0:
            return {**row, "opens": False, "reason": run.stderr.strip().replace(str(path), path.name)}
        found = np.fromfile(out.name, np.float32)
    card = json.loads(run.stdout)["card"]
    expected = reference(path, card)
    error = np.abs(found - expected.ravel()).max() / np.abs(expected).max()
    return {
        **row,
        "opens": True,
        "size": card["preprocessing"]["size"],
        "output": card["output"],
        "pooling": card["pooling"],
        "num_features": card["num_features"],
        "gigasteps": round(card["work"] / 1e9, 2),
        "largest_error": float(f"{error:.2g}"),
        "agrees": bool(error <= 1e-3),
    }


def main():
    features, folder, out = sys.argv[1:]
    versions = {"onnxruntime": ort.__version__, "onnx": onnx.__version__, "numpy": np.__version__}
    commit, rows = head(), []
    # Small files first.
    for path in sorted(Path(folder).glob("*.onnx"), key=lambda path: path.stat().st_size):
        try:
            rows.append(entry(features, path))
        except Exception as error:  # A file that ONNX Runtime refuses is a row as well.
            rows.append({"name": path.stem, "opens": None, "reason": f"{type(error).__name__}: {error}"[:300]})
        print(json.dumps(rows[-1]), flush=True)
        # After each, so that a run that is cut short leaves what it found.
        found = {"commit": commit, "versions": versions, "images": COUNT, "rows": rows}
        Path(out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
