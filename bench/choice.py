"""Which weights should a run return: the last, or the best by noisy validation, and by how much better?

    python3 bench/choice.py --pemm target/release/pemm --work runs/choice --out bench/results/choice.csv \
        --features vectors --human vectors-worse.csv

Trains presets on few and many samples with several noises, scores every epoch on the test part, and asks what each
rule would have returned. A rule takes the best epoch by the mean agreement over five epochs where that mean is
above the one of the last five by more than so many standard errors of an agreement, `√(p (1 − p) / n)`. The CSV has
a line for each run: test accuracies in % of the last epoch, by each rule, and of the best epoch of all (an oracle's).
`--features` and `--human` as for `auto.py`. What is there already is not run again. Needs Python alone.
"""

import argparse
import csv
import json
import subprocess
from pathlib import Path
from statistics import mean

DRAWN = ["none", "symmetric:0.2", "symmetric:0.4", "symmetric:0.6", "pair:0.3"]
GROUPS = [("digits", size, DRAWN) for size in (500, 1442)]
GROUPS += [("features", size, [*DRAWN, "worse"]) for size in (1000, 3000)]
PRESETS = ["pemm", "ce", "elr"]
OVER = 5
ERRORS = [0.0, 0.5, 1.0, 2.0]


def record_of(arguments, source, size, noise, preset, seed):
    out = Path(arguments.work) / f"{source}-{size}-{noise.replace(':', '')}-{preset}-{seed}"
    data = {"digits": "digits", "features": arguments.features}[source]
    line = [arguments.pemm, "train", data, "--preset", preset, "--seed", seed, "--out", out, "--threads", 1]
    line += ["--set", f"data.limit={size}", "--set", "schedule.score_every=1", "--outputs", "off", "--no-report"]
    if noise == "worse":
        line += ["--labels", arguments.human, "--label-column", "worse"]
    elif noise != "none":
        line += ["--noise", noise]
    if source == "features":
        line += ["--set", "recipe=features"]
    if not (out / "record.json").exists():
        subprocess.run([*map(str, line), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        for weights in out.glob("*.safetensors"):
            weights.unlink()
    return json.loads((out / "record.json").read_text())


def returned(record):
    """Test accuracies in % of the last epoch, by each rule and of the best epoch."""
    epochs = record["epochs"]
    given = [epoch["val_accuracy_given"] for epoch in epochs]
    test = [100 * epoch["scored"]["test_accuracy"] for epoch in epochs]
    smooth = [mean(given[max(0, at + 1 - OVER) : at + 1]) for at in range(len(given))]
    best = max(range(len(smooth)), key=smooth.__getitem__)
    n = record["data"]["num_val"]
    p = (smooth[best] * n + 1) / (n + 2)
    error = (p * (1 - p) / n) ** 0.5
    rules = [test[best] if smooth[best] - smooth[-1] > errors * error else test[-1] for errors in ERRORS]
    return [test[-1], *rules, max(test)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pemm", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--features")
    parser.add_argument("--human")
    parser.add_argument("--seeds", type=int, nargs="*", default=[11, 12])
    arguments = parser.parse_args()
    names = ["last", *(f"above_{errors}" for errors in ERRORS), "oracle"]
    rows = []
    for seed in arguments.seeds:
        for source, size, noises in GROUPS:
            if source == "features" and not arguments.features:
                continue
            for noise in noises:
                for preset in PRESETS:
                    record = record_of(arguments, source, size, noise, preset, seed)
                    rows.append([source, size, noise, preset, seed, *(round(a, 2) for a in returned(record))])
        with open(arguments.out, "w", newline="") as file:
            environment = record["environment"]
            file.write(f"# commit {environment['git_commit']}, {environment.get('cpu_model', '')}\n")
            csv.writer(file).writerows([["source", "size", "noise", "preset", "seed", *names], *rows])
    print(f"{'':24}" + "".join(f"{name:>11}" for name in names))
    for key in sorted({(row[0], row[1], row[3]) for row in rows}):
        of_key = [row[5:] for row in rows if (row[0], row[1], row[3]) == key]
        print(f"{' '.join(map(str, key)):24}" + "".join(f"{mean(column):11.2f}" for column in zip(*of_key)))
    worst = [min(row[5 + place] - row[5] for row in rows) for place in range(len(names))]
    print(f"{'largest loss':24}" + "".join(f"{value:11.2f}" for value in worst))


if __name__ == "__main__":
    main()
