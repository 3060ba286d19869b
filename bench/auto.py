"""Does `--preset auto` take a preset that is as good as the best of those it tries?

    python3 bench/auto.py --pemm target/release/pemm --work runs/auto --out bench/results/auto.json \
        --features vectors --human vectors-worse.csv --images data/cifar10 --image-labels worse.csv

Each setting is a noise, a number of training samples, and images or features. For each seed it is trained once
with `--preset auto` and once with every candidate alone. Regret is the test accuracy of the best candidate minus
that of the choice. Only this script looks at the test part, after the fact. `--features` is a folder that
`pemm embed` makes of CIFAR-10, with the names of the classes in its `labels.csv`; `--images` an image folder of
CIFAR-10 with `train/` and `test/`. `--human` and `--image-labels` are labels CSVs for them with a column `worse`
(CIFAR-10N). What is not given is not run, and what is there already is not run again. Needs Python alone.
"""

import argparse
import json
import subprocess
from pathlib import Path
from statistics import mean

DRAWN = ["none", "symmetric:0.2", "symmetric:0.4", "symmetric:0.6", "pair:0.3"]
# (source, training samples, noises, seeds). Asymmetric noise is one of CIFAR-10's classes.
FEATURES = [("features", size, [*DRAWN, "asymmetric:0.4", "worse"], 3) for size in (1000, 3000)]
DIGITS = [("digits", size, [*DRAWN, "instance:0.3"], 3) for size in (500, 1442)]
PIXELS = [("pixels", 1000, ["symmetric:0.4", "asymmetric:0.4", "worse"], 1)]


def call(command):
    result = subprocess.run([*map(str, command), "--quiet", "--json"], stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {result.returncode}")
    return json.loads(result.stdout)


def settings(arguments):
    groups = (FEATURES if arguments.features else []) + DIGITS + (PIXELS if arguments.images else [])
    for seed in range(1, 1 + max(num_seeds for *_, num_seeds in groups)):
        for source, size, noises, num_seeds in groups:
            yield from ((source, size, noise, seed) for noise in noises if seed <= num_seeds)


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
    auto = run("auto")
    tried = auto["tried"]
    # The run of a choice is that of its preset, to the bit (crates/pemm/tests/it/auto.rs).
    others = [c["preset"] for c in tried["candidates"] if c["preset"] != tried["chosen"]]
    alone = {tried["chosen"]: auto} | {preset: run(preset) for preset in others}
    seconds = lambda record: record.get("total_cpu_seconds") or record["total_seconds"]
    return {
        "source": source,
        "size": size,
        "noise": noise,
        "seed": seed,
        "wrong": auto["noise"]["realised_rate"],
        "num_val": auto["data"]["num_val"],
        "chosen": tried["chosen"],
        "cost": round(tried["cost"], 3),
        "trial_seconds": round(sum(t["seconds"] for c in tried["candidates"] for t in c["trials"]), 1),
        "run_seconds": round(mean(record["total_seconds"] for record in alone.values()), 1),
        "run_cpu_seconds": round(mean(map(seconds, alone.values())), 1),
        "agreement": {c["preset"]: [c["num_agreed"], c["num_labels"]] for c in tried["candidates"]},
        "against_chosen": {
            c["preset"]: [round(c["against_chosen"][key], 4) for key in ("mean", "low", "high")]
            for c in tried["candidates"]
            if c.get("against_chosen")
        },
        "test": {preset: accuracy(record) for preset, record in alone.items()},
    }, auto["environment"]


def summary(rows):
    """Regret of each setting: of the mean over its seeds, against the preset with the highest mean."""
    by_setting = {}
    for row in rows:
        by_setting.setdefault((row["source"], row["size"], row["noise"]), []).append(row)
    table = []
    for key, seeds in by_setting.items():
        presets = seeds[0]["test"]
        means = {p: mean(row["test"][p] for row in seeds) for p in presets}
        chosen = mean(row["test"][row["chosen"]] for row in seeds)
        table.append({
            "setting": " ".join(map(str, key)),
            "n": len(seeds),
            "best": max(means, key=means.get),
            "regret": round(max(means.values()) - chosen, 2),
            "regret_of": {p: round(max(means.values()) - value, 2) for p, value in means.items()},
            "chosen": [row["chosen"] for row in seeds],
        })

    def over(values):
        values = sorted(values)
        return {
            "num": len(values),
            "mean": round(mean(values), 2),
            "within_1": round(sum(value <= 1 for value in values) / len(values), 3),
            "within_3": round(sum(value <= 3 for value in values) / len(values), 3),
            "worst": round(values[-1], 2),
        }

    presets = table[0]["regret_of"]
    single = [max(row["test"].values()) - row["test"][row["chosen"]] for row in rows]
    return {
        "settings": table,
        "auto": over([row["regret"] for row in table]),
        "always": {p: over([row["regret_of"][p] for row in table]) for p in presets},
        "auto_by_run": over(single),
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
    rows, environment = [], {}
    for setting in settings(arguments):
        row, environment = one(arguments, *setting)
        rows.append(row)
        regret = max(row["test"].values()) - row["test"][row["chosen"]]
        print(*setting, row["chosen"], row["test"], f"regret {regret:.2f}", f"cost {row['cost']}", flush=True)
        kept = {key: environment.get(key) for key in ("git_commit", "git_dirty", "pemm_version", "cpu_model")}
        lines = ",\n".join(json.dumps(row) for row in rows)
        text = f'{{\n"environment": {json.dumps(kept)},\n"summary": {json.dumps(summary(rows))},\n"runs": [\n{lines}\n]\n}}\n'
        arguments.out.write_text(text)
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    main()
