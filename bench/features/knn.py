"""The vote of the nearest neighbours as an arm of experiments/features-table.toml.

    python3 bench/features/knn.py --pemm target/release/pemm --out bench/features/knn.csv

Run where `data/` of that experiment is. A sample is of the class that most of its k nearest training samples
are called, by the cosine of their features as the heads of the table see them (standardised); each vote
counts one, or `exp(cosine / 0.1)`. The setting is chosen as those of the other arms are, without the test part
and on given labels alone: 15 settings, seed 11, by how often the vote of the others agrees with a sample's
given label, mean over symmetric 0.4, asymmetric 0.4 and `worse`. Then it is scored once a column and seed on
the test part. Training parts, noise and features come from `pemm` itself: a run of one epoch leaves them in
`outputs.safetensors`. Needs NumPy.
"""

import argparse
import csv
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

COLUMNS = {
    "sym0": [],
    "sym20": ["--noise", "symmetric:0.2"],
    "sym40": ["--noise", "symmetric:0.4"],
    "sym60": ["--noise", "symmetric:0.6"],
    "sym80": ["--noise", "symmetric:0.8"],
    "asym40": ["--noise", "asymmetric:0.4"],
    "worse": ["--labels", "data/cifar10n.csv", "--label-column", "worse"],
}
SEARCHED = ["sym40", "asym40", "worse"]
SETTINGS = [(k, how) for k in (5, 10, 20, 40, 80, 160, 320) for how in ("equal", "similar")] + [(1, "equal")]
DATA = ["data/cifar10-10000", "--backbone", "data/efficientnet-lite0-features.onnx"]
RULE = ["pretrained.preprocessing.size=[160, 160]", "pretrained.preprocessing.resize_to=160",
        "pretrained.preprocessing.rule=lite"]  # fmt: skip


def tensors(path):
    """The tensors of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        kinds = {"F16": np.float16, "F32": np.float32, "U32": np.uint32, "I64": np.int64, "U8": np.uint8}
        found = {}
        for name, entry in header.items():
            if name != "__metadata__" and entry["dtype"] in kinds:
                file.seek(start + entry["data_offsets"][0])
                data = file.read(entry["data_offsets"][1] - entry["data_offsets"][0])
                found[name] = np.frombuffer(data, kinds[entry["dtype"]]).reshape(entry["shape"])
    return found


def cell(pemm, column, seed, *more):
    """Features and labels of the training part and of the test part."""
    folder = Path(tempfile.mkdtemp(prefix="knn-"))
    sets = [argument for value in RULE for argument in ("--set", value)]
    command = [pemm, "train", *DATA, *COLUMNS[column], "--seed", seed, "--epochs", 1, *sets, *more]
    command += ["--outputs", "on", "--no-report", "--quiet", "--out", folder / "run"]
    subprocess.run([str(argument) for argument in command], check=True, stdout=subprocess.DEVNULL)
    found = tensors(folder / "run/outputs.safetensors")
    shutil.rmtree(folder)
    return found


def nearest(train, queries, num, without_self=False):
    """Positions and cosines of the `num` nearest of `train`, nearest first."""
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
    train, queries = unit(train.astype(np.float32)), unit(queries.astype(np.float32))
    positions, cosines = [], []
    for start in range(0, len(queries), 1000):
        found = queries[start : start + 1000] @ train.T
        if without_self:
            rows = np.arange(len(found))
            found[rows, start + rows] = -np.inf
        best = np.argpartition(-found, num, axis=1)[:, :num]
        order = np.argsort(-np.take_along_axis(found, best, 1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, 1)
        positions.append(best)
        cosines.append(np.take_along_axis(found, best, 1))
    return np.concatenate(positions), np.concatenate(cosines)


def vote(positions, cosines, given, k, how, num_classes=10):
    weights = np.exp(cosines[:, :k] / 0.1) if how == "similar" else np.ones_like(cosines[:, :k])
    votes = np.zeros((len(positions), num_classes))
    rows = np.repeat(np.arange(len(positions)), k)
    np.add.at(votes, (rows, given[positions[:, :k]].ravel()), weights.ravel())
    # Of classes with as many votes the nearest neighbour's counts more.
    votes[np.arange(len(positions)), given[positions[:, 0]]] += 1e-6
    return votes.argmax(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pemm", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(1, 11)))
    arguments = parser.parse_args()
    most = max(k for k, _ in SETTINGS)
    rows, agreement = [], {setting: [] for setting in SETTINGS}
    for column in SEARCHED:
        found = cell(arguments.pemm, column, 11, "--set", "data.val_rate=0.5")
        given = found["train.given"].astype(int)
        near = nearest(found["train.features"], found["train.features"], most, without_self=True)
        for k, how in SETTINGS:
            share = float((vote(*near, given, k, how) == given).mean())
            agreement[k, how].append(share)
            rows.append(["search", column, 11, k, how, f"{share:.4f}"])
    best = max(SETTINGS, key=lambda setting: np.mean(agreement[setting]))
    print("chosen:", *best, f"{np.mean(agreement[best]):.4f}", flush=True)
    for column in COLUMNS:
        shares = []
        for seed in arguments.seeds:
            found = cell(arguments.pemm, column, seed)
            near = nearest(found["train.features"], found["test.features"], most)
            said = vote(*near, found["train.given"].astype(int), *best)
            shares.append(float((said == found["test.labels"]).mean()))
            rows.append(["table", column, seed, *best, f"{shares[-1]:.4f}"])
        print(column, f"{100 * np.mean(shares):.2f} ± {100 * np.std(shares, ddof=1):.2f}", flush=True)
    with open(arguments.out, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([["part", "column", "seed", "k", "votes", "share"], *rows])


if __name__ == "__main__":
    main()
