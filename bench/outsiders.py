"""Does iterative detection find images of no class? Digits with one foreign image in five.

    python3 bench/outsiders.py PEMM DIGITS.csv.gz IMAGES OUT.json [SEEDS]

Among the 1,797 digits (8×8 pixels) are a quarter as many again of another kind, each with a label drawn at
random: digits whose pixels are shuffled, or photographs of the folder IMAGES, grey and 8×8. Trains the
preset `iterative` once a seed and kind, and takes the average precision of finding the foreign ones by the
scores that the run keeps in state.safetensors (the smaller, the more foreign). Needs NumPy and Pillow.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SETTINGS = {
    "model.backbone": "mlp",
    "model.width": "128",
    "schedule.num_epochs": "20",
    "objective.detect_every": "5",
    "objective.outlier_share": "0.2",
    "data.val_rate": "0",
}


def photographs(folder, count, rng):
    """Pixels 0 to 16 of `count` images, [count, 64]."""
    paths = sorted(Path(folder).rglob("*.jpg"))
    chosen = [paths[i] for i in rng.choice(len(paths), count, replace=False)]
    small = [np.asarray(Image.open(path).convert("L").resize((8, 8), Image.BOX), float) for path in chosen]
    return np.round(np.stack(small).reshape(count, 64) / 255 * 16)


def tensor(path, name):
    """One float32 tensor of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    entry = json.loads(data[8 : 8 + size])[name]
    start, end = entry["data_offsets"]
    return np.frombuffer(data[8 + size + start : 8 + size + end], "<f4").reshape(entry["shape"])


def average_precision(scores, foreign):
    """Mean precision at the places of the foreign samples, smallest scores first."""
    hits = foreign[np.argsort(scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return precision[hits].mean()


def measure(pemm, digits, images, kind, seed):
    """One training."""
    rng = np.random.default_rng(seed)
    count = len(digits) // 4
    if kind == "shuffled":
        others = rng.permuted(digits[rng.choice(len(digits), count, replace=False), :64], axis=1)
    else:
        others = photographs(images, count, rng)
    rows = np.concatenate([digits, np.column_stack([others, rng.integers(0, 10, count)])]).astype(int)
    with tempfile.TemporaryDirectory() as folder:
        names = ",".join([f"p{i}" for i in range(64)] + ["label"])
        lines = [",".join(map(str, row[:64])) + f",c{row[64]}" for row in rows]
        data = Path(folder) / "digits.csv"
        data.write_text("\n".join([names, *lines]) + "\n")
        sets = [f"--set={key}={value}" for key, value in SETTINGS.items()]
        out = Path(folder) / "run"
        command = [pemm, "train", data, "--preset", "iterative", "--seed", str(seed), "--out", out, "-q", *sets]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        memory = tensor(out / "state.safetensors", "objective.outliers")
        environment = json.loads((out / "record.json").read_text())["environment"]
    assert len(memory) == len(rows), "every sample is trained on, in the order of the file"
    foreign = np.arange(len(rows)) >= len(digits)
    return {
        "foreign": kind,
        "seed": seed,
        "average_precision": round(float(average_precision(memory[:, 0], foreign)), 4),
        "share": round(float(foreign.mean()), 4),
        "commit": environment["git_commit"],
        "dirty": environment["git_dirty"],
    }


def main():
    pemm, digits, images, out, *seeds = sys.argv[1:]
    with gzip.open(digits, "rt") as file:
        digits = np.loadtxt(file, delimiter=",")
    rows = []
    for kind in "shuffled", "photographs":
        for seed in range(1, 1 + int(seeds[0] if seeds else 5)):
            rows.append(measure(pemm, digits, images, kind, seed))
            print(rows[-1], flush=True)
            Path(out).write_text(json.dumps({"settings": SETTINGS, "runs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
