"""Which presets predict best together? How the members of `--preset auto` were chosen.

    python3 bench/auto_choice.py --pemm target/release/pemm --work runs/auto-choice --out bench/results/auto-choice.csv \
        --features vectors --human vectors-worse.csv

Every set of one to three of six presets, on the digits and features of `bench/auto.py`, with seeds 1 and 2, or with
others (`--seeds 3 4 5`) to see what the choice is worth where nobody looked before. Their
probabilities of the test part (`outputs.safetensors`, the weights after the last epoch) are put together by their
geometric mean. A set is ranked by its agreement with noisy labels: the test labels with noise of the setting's kind
drawn on them, as a held-out part would have them. Beside it stands what it loses in accuracy against the best single
preset of each setting, of all six and of those in the set. Needs NumPy; what is there already is not run again.
"""

import argparse
import csv
import itertools
import json
import struct
import subprocess
from pathlib import Path

import numpy as np

import auto

PRESETS = ["ce", "gce", "sce", "nce-rce", "elr", "pemm"]
FLOOR = 1e-6
SIMILAR = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}


def outputs(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])

    def tensor(name, kind):
        start, end = (8 + size + at for at in header[name]["data_offsets"])
        return np.frombuffer(data[start:end], kind).reshape(header[name]["shape"])

    return np.log(np.maximum(tensor("test.probabilities", "f4"), FLOOR)), tensor("test.labels", "u4").astype(int)


def noisy(labels, noise, rng):
    """CIFAR-10N's `worse` has 40 % wrong labels, taken as half similar classes and half any."""
    labels, drawn, kind = labels.copy(), rng.random(len(labels)), noise.split(":")[0]
    rate = float(noise.split(":")[1]) if ":" in noise else {"none": 0.0, "worse": 0.4}[kind]
    for i in np.flatnonzero(drawn < rate):
        similar = SIMILAR.get(labels[i], labels[i])
        if kind in ("pair", "instance"):
            labels[i] = (labels[i] + 1) % 10
        elif kind == "asymmetric" or (kind == "worse" and rng.random() < 0.5):
            labels[i] = similar
        else:
            labels[i] = (labels[i] + rng.integers(1, 10)) % 10
    return labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pemm", type=lambda path: Path(path).resolve(), required=True)
    for name in ("--work", "--out"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--features", "--human"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    sets = [chosen for num in (1, 2, 3) for chosen in itertools.combinations(PRESETS, num)]
    regrets, own, agreements = ({chosen: [] for chosen in sets} for _ in range(3))
    rng = np.random.default_rng(7)
    for source, size, noises in auto.DIGITS + auto.FEATURES:
        for noise in noises:
            right, agree = {chosen: [] for chosen in sets}, {chosen: [] for chosen in sets}
            for seed in arguments.seeds:
                place = arguments.work / f"{source}-{size}-{noise.replace(':', '')}-{seed}"
                said = {}
                for preset in PRESETS:
                    out = place / preset
                    if not (out / "outputs.safetensors").exists():
                        line = auto.command(arguments, source, size, noise, seed, preset, out)
                        line[line.index("--outputs") + 1] = "on"
                        auto.call(line)
                    said[preset], labels = outputs(out / "outputs.safetensors")
                given = noisy(labels, noise, rng)
                for chosen in sets:
                    classes = sum(said[preset] for preset in chosen).argmax(1)
                    right[chosen].append(100 * (classes == labels).mean())
                    agree[chosen].append(100 * (classes == given).mean())
            best = lambda of, among: max(np.mean(of[(preset,)]) for preset in among)
            for chosen in sets:
                regrets[chosen].append(best(right, PRESETS) - np.mean(right[chosen]))
                own[chosen].append(best(right, chosen) - np.mean(right[chosen]))
                agreements[chosen].append(best(agree, PRESETS) - np.mean(agree[chosen]))
            print(source, size, noise, flush=True)
    with arguments.out.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ["", "within_1", "within_3", "worst"]
        header = [f"{of}{'_' if column else ''}{column}" for of in ("regret", "of_own") for column in columns]
        writer.writerow(["presets", "settings", "seeds", "noisy_loss", *header])
        for chosen in sorted(sets, key=lambda chosen: np.mean(agreements[chosen])):
            numbers = [np.mean(agreements[chosen])]
            for regret in (np.array(regrets[chosen]), np.array(own[chosen])):
                numbers += [regret.mean(), (regret <= 1).mean(), (regret <= 3).mean(), regret.max()]
            seeds = " ".join(map(str, arguments.seeds))
            settings = len(regrets[chosen])
            writer.writerow(["+".join(chosen), settings, seeds, *(f"{number:.2f}" for number in numbers)])


if __name__ == "__main__":
    main()
