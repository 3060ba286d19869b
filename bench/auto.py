"""Are the three methods of `--preset auto` together as good as the best single method?

    python3 bench/auto.py --pemm target/release/pemm --work runs/auto --out bench/results/auto.json \
        --features vectors --human vectors-worse.csv --images data/cifar10 --image-labels worse.csv

Each setting is a noise, a number of training samples, and images or features. For each seed it is trained with
`--preset auto`, whose members are runs of their presets, and with three more presets alone. Regret is the test
accuracy of the best of the six presets, in the mean over the seeds, minus that of the members together. Only this
script looks at the test part, after the fact. `--features` is a folder of vectors that a pretrained network made
of CIFAR-10, with the names of the classes in its `labels.csv`; `--images` an image folder of CIFAR-10 with
`train/` and `test/`. `--human` and `--image-labels` are labels CSVs for them with a column `worse` (CIFAR-10N).
What is not given is not run, and what is there already is not run again. Needs Python alone.
"""

import argparse
import json
import subprocess
from pathlib import Path
from statistics import mean

OTHERS = ["ce", "sce", "nce-rce"]
# Seeds 1 and 2 were in view when the members were chosen.
SEEDS = [3, 4, 5]
DRAWN = ["none", "symmetric:0.2", "symmetric:0.4", "symmetric:0.6", "pair:0.3"]
# (source, training samples, noises). Asymmetric noise is one of CIFAR-10's classes.
FEATURES = [("features", size, [*DRAWN, "asymmetric:0.4", "worse"]) for size in (1000, 3000)]
DIGITS = [("digits", size, [*DRAWN, "instance:0.3"]) for size in (500, 1442)]
PIXELS = [("pixels", 1000, ["symmetric:0.4", "asymmetric:0.4", "worse"])]


def call(command):
    result = subprocess.run([*map(str, command), "--quiet", "--json"], stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {result.returncode}")
    return json.loads(result.stdout)


def settings(arguments):
    groups = DIGITS + (FEATURES if arguments.features else []) + (PIXELS if arguments.images else [])
    for seed in SEEDS:
        for source, size, noises in groups:
            yield from ((source, size, noise, seed) for noise in noises)


def command(arguments, source, size, noise, seed, preset, out):
    data = {"digits": "digits", "features": arguments.features, "pixels": arguments.images}[source]
    line = [arguments.pemm, "train", data, "--preset", preset, "--seed", seed, "--out", out]
    line += ["--set", f"data.limit={size}", "--set", "schedule.score_every=0", "--outputs", "off", "--no-report"]
    line += ["--threads", 1]
    if noise == "worse":
        labels = arguments.human if source == "features" else arguments.image_labels
        line += ["--labels", labels, "--label-column", "worse"]
    elif noise != "none":
        line += ["--noise", noise]
    if source == "features":
        line += ["--set", "recipe=features", "--set", "model.backbone=none"]
    return line


def accuracy(record):
    """Of the weights that the run returns, in %."""
    return round(100 * record["scores"]["test"]["accuracy"], 3)


def one(arguments, source, size, noise, seed):
    place = Path(arguments.work) / f"{source}-{size}-{noise.replace(':', '')}-{seed}"
    run = lambda preset: call(command(arguments, source, size, noise, seed, preset, place / preset))
    together = run("auto")
    members = [member["run"] for member in together["members"]]
    records = {name: json.loads((place / "auto" / name / "record.json").read_text()) for name in members}
    records |= {name: run(name) for name in OTHERS}
    seconds = {name: record["total_cpu_seconds"] for name, record in records.items()}
    first = records[members[0]]
    return {
        "source": source,
        "size": size,
        "noise": noise,
        "seed": seed,
        "wrong": first["noise"]["realised_rate"],
        "members": members,
        # Against the mean of all six.
        "cost": round(sum(seconds[name] for name in members) / mean(seconds.values()), 3),
        "together": round(100 * together["test"]["accuracy"], 3),
        "alone": {name: accuracy(record) for name, record in records.items()},
    }, first["environment"]


def over(values):
    values = sorted(values)
    return {
        "num": len(values),
        "mean": round(mean(values), 2),
        "within_1": round(sum(value <= 1 for value in values) / len(values), 3),
        "within_3": round(sum(value <= 3 for value in values) / len(values), 3),
        "worst": round(values[-1], 2),
    }


def summary(rows):
    """Regret of each setting: of the mean over its seeds, against the preset with the highest mean."""
    by_setting = {}
    for row in rows:
        by_setting.setdefault((row["source"], row["size"], row["noise"]), []).append(row)
    table = []
    for key, seeds in by_setting.items():
        means = {name: mean(row["alone"][name] for row in seeds) for name in seeds[0]["alone"]}
        best = max(means, key=means.get)
        regret = lambda value: round(means[best] - value, 2)
        table.append({
            "setting": " ".join(map(str, key)),
            "n": len(seeds),
            "best": best,
            "regret": regret(mean(row["together"] for row in seeds)),
            "regret_of": {name: regret(value) for name, value in means.items()},
        })
    return {
        "settings": table,
        "together": over([row["regret"] for row in table]),
        "always": {name: over([row["regret_of"][name] for row in table]) for name in table[0]["regret_of"]},
        "largest_cost": max(row["cost"] for row in rows),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pemm", type=lambda path: Path(path).resolve(), required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", type=Path, required=True)
    for name in ("--features", "--human", "--images", "--image-labels"):
        parser.add_argument(name)
    arguments = parser.parse_args()
    rows = []
    for setting in settings(arguments):
        row, environment = one(arguments, *setting)
        rows.append(row)
        print(*setting, row["together"], row["alone"], f"cost {row['cost']}", flush=True)
        kept = {key: environment.get(key) for key in ("git_commit", "git_dirty", "pemm_version", "cpu_model")}
        lines = ",\n".join(json.dumps(row) for row in rows)
        text = f'{{\n"environment": {json.dumps(kept)},\n"summary": {json.dumps(summary(rows))},\n"runs": [\n{lines}\n]\n}}\n'
        arguments.out.write_text(text)
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
