"""Does training on audited labels help? Plain cross entropy on given and on audited labels.

    python bench/retrain.py --pemm target/release/pemm --experiment experiments/audit-5000.toml \
        --data data/cifar10-jpeg --work runs/retrain --out bench/results/retrain.json

40 % symmetric noise. For each seed: `pemm audit` (by our preset), then cross entropy on the given labels and
on those that the audit corrected, dropped or weighted; the test accuracy after the last epoch counts.
What is there already is not trained again. Needs Python alone.
"""

import argparse
import json
import subprocess
from pathlib import Path
from statistics import mean, stdev

NOISE = ["--noise", "symmetric:0.4"]
HOW = ["correct", "drop", "weight"]


def call(command):
    print(" ".join(map(str, command)), flush=True)
    subprocess.run([*map(str, command), "--quiet"], check=True, stdout=subprocess.DEVNULL)


def trained(arguments, out, extra):
    """Test accuracy after the last epoch, and seconds, of cross entropy in folder `out`."""
    settings = ["--set", f"data.path={arguments.data}", "--set", "data.val_rate=0"]
    command = [arguments.pemm, "train", arguments.experiment, "--preset", "ce", *settings]
    call([*command, *extra, "--out", out])
    record = json.loads((out / "record.json").read_text())
    return {
        "test_accuracy": record["choice"]["last"]["test_accuracy"],
        "training_secs": record["total_seconds"],
    }


def one_seed(arguments, seed):
    work = Path(arguments.work) / str(seed)
    seeded = ["--seed", seed]
    audit = [arguments.pemm, "audit", arguments.experiment, *NOISE, *seeded]
    audit += ["--set", f"data.path={arguments.data}", "--preset", arguments.preset]
    audit += ["--folds", arguments.folds, "--out", work / "audit", "--force"]
    result = {"given": trained(arguments, work / "given", [*NOISE, *seeded])}
    for how in HOW:
        labels = work / f"{how}.csv"
        call([*audit, "--how", how, "--write-labels", labels])
        extra = ["--labels", labels, "--set", "data.unlisted=drop", *seeded]
        result[how] = trained(arguments, work / how, extra)
    result["audit_secs"] = json.loads((work / "audit/audit.json").read_text())["training_secs"]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pemm", type=Path, required=True)
    parser.add_argument("--experiment", type=Path, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="audit")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3])
    arguments = parser.parse_args()
    seeds = {}
    for seed in arguments.seeds:
        seeds[seed] = one_seed(arguments, seed)
        results = {"experiment": arguments.experiment.read_text(), "seeds": seeds, "gain": {}}
        for how in HOW:
            gains = [s[how]["test_accuracy"] - s["given"]["test_accuracy"] for s in seeds.values()]
            deviation = stdev(gains) if len(gains) > 1 else None
            results["gain"][how] = {"mean": mean(gains), "deviation": deviation}
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["gain"], indent=1))


if __name__ == "__main__":
    main()
