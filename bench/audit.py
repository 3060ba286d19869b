"""`pemm audit` and cleanlab on the same CIFAR-10 images with wrong labels.

    python bench/audit.py --pemm target/release/pemm --data data/cifar10-jpeg \
        --human data/cifar10n.csv --work runs/audit --out bench/results/audit.json

--data is an image folder (train/<class>/*.jpg), --human a CSV `path,clean,worse,random1`. Needs the
packages of `requirements-audit.txt`. Each label set is audited twice by cross-validation with the same
network, folds and epochs: by cross entropy (cleanlab's side) and by our presets. Then

- same probabilities: our default score and cleanlab's default ranking, on the probabilities alone of
  each arm;
- whole pipeline: our audit of each arm (with features and margins of training) against cleanlab on
  cross entropy.

Differences have paired bootstrap intervals over the samples. What is there already is not trained
again; the arrays of an audit lie in --work. Raw numbers go to --out.
"""

import argparse
import json
import os
import platform
import subprocess
import time
from pathlib import Path

import cleanlab
import numpy as np
from cleanlab.count import compute_confident_joint, estimate_latent, num_label_issues
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SETS = {
    "symmetric 0.2": ["--noise", "symmetric:0.2"],
    "symmetric 0.4": ["--noise", "symmetric:0.4"],
    "asymmetric 0.4": ["--noise", "asymmetric:0.4"],
    "human worse": ["--label-column", "worse"],
    "human random1": ["--label-column", "random1"],
    # Not looked at when the rules of the audit were chosen: for the share of wrong labels.
    "none": ["--noise", "none"],
    "symmetric 0.3": ["--noise", "symmetric:0.3"],
    "pair 0.3": ["--noise", "pair:0.3"],
}
CHOSEN_ON = [name for name in SETS if name not in ("none", "symmetric 0.3", "pair 0.3")]
RESAMPLES = 2000


def average_precision(wrong, score):
    """Area under the precision-recall curve by steps; equal scores count as one threshold."""
    order = np.argsort(-score, kind="stable")
    sorted_score, hits = score[order], np.cumsum(wrong[order])
    last = np.r_[sorted_score[1:] != sorted_score[:-1], True]
    hits, taken = hits[last], np.arange(1, len(wrong) + 1)[last]
    return float(np.sum(np.diff(np.r_[0, hits]) * hits / taken) / max(wrong.sum(), 1))


def area_under_roc(wrong, score):
    """Probability that a wrong label scores above a right one; ties count half."""
    values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(wrong.sum())
    negatives = len(wrong) - positives
    if positives == 0:
        return None
    return float((ranks[wrong].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def f1(wrong, issue):
    hits = int((wrong & issue).sum())
    return 2 * hits / max(int(wrong.sum()) + int(issue.sum()), 1)


def difference(wrong, ours, theirs, seed=1):
    """Average precision of ours less theirs, with its paired bootstrap 95 % interval."""
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        sample = random.integers(0, len(wrong), len(wrong))
        draws.append(
            average_precision(wrong[sample], ours[sample])
            - average_precision(wrong[sample], theirs[sample])
        )
    low, high = np.percentile(draws, [2.5, 97.5])
    mean = average_precision(wrong, ours) - average_precision(wrong, theirs)
    return {"difference": mean, "low": float(low), "high": float(high)}


def run(command):
    """Runs a command; seconds, processor seconds and peak memory of it in MiB."""
    started = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {status}")
    return output, {
        "secs": time.time() - started,
        "processor_secs": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }


class Audit:
    """What `pemm audit` left in a folder."""

    def __init__(self, folder, cost):
        self.cost = cost
        self.json = json.loads((folder / "audit.json").read_text())
        lines = [line.split(",") for line in (folder / "label_issues.csv").read_text().splitlines()]
        # The arrays are in the order of the source, which lists an image folder by name.
        header, rows = lines[0], sorted(lines[1:])
        column = lambda name: [row[header.index(name)] for row in rows]
        self.names = column("path")
        self.given = np.array([CLASSES.index(name) for name in column("given")])
        self.score = np.array([float(value) for value in column("score")])
        self.issue = np.array([value == "true" for value in column("is_issue")])
        self.columns = {
            name: np.array([float(value) for value in column(name)])
            for name in header[header.index("rank") + 1 :]
        }
        arrays = folder / "probabilities.npy"
        self.probabilities = np.load(arrays) if arrays.exists() else None


def scored(wrong, score, issue):
    return {
        "average_precision": average_precision(wrong, score),
        "area_under_roc": area_under_roc(wrong, score),
        "f1_at_own_cut": f1(wrong, issue),
        "num_issues": int(issue.sum()),
    }


def matrix_error(estimate, truth):
    return float(np.abs(np.asarray(estimate) - truth).mean())


def by_cleanlab(given, probabilities, wrong, truth):
    started = time.time()
    quality = get_label_quality_scores(given, probabilities)
    issue = find_label_issues(given, probabilities)
    number = num_label_issues(given, probabilities)
    joint = compute_confident_joint(given, probabilities)
    _, noise_matrix, _ = estimate_latent(joint, given)
    secs = time.time() - started
    result = scored(wrong, 1 - quality, issue)
    result["noise_rate"] = number / len(given)
    result["matrix_error"] = matrix_error(noise_matrix.T, truth)
    result["secs"] = secs
    margin = get_label_quality_scores(given, probabilities, method="normalized_margin")
    result["average_precision_normalized_margin"] = average_precision(wrong, 1 - margin)
    adjusted = get_label_quality_scores(given, probabilities, adjust_pred_probs=True)
    result["average_precision_adjusted"] = average_precision(wrong, 1 - adjusted)
    return 1 - quality, result


def by_datalab(given, probabilities, features, wrong):
    """Datalab with all that it takes; None where its packages are missing."""
    try:
        from cleanlab import Datalab
    except ImportError:
        return None
    lab = Datalab({"label": given}, label_name="label", task="classification", verbosity=0)
    lab.find_issues(pred_probs=probabilities, features=features, issue_types={"label": {}})
    issues = lab.get_issues("label")
    score = 1 - issues["label_score"].to_numpy()
    return score, scored(wrong, score, issues["is_label_issue"].to_numpy())


def by_ours(audit, wrong, truth):
    rate = audit.json["noise_rate"]
    result = scored(wrong, audit.score, audit.issue)
    result["judgement"] = audit.json["judgement"]
    # No estimate where the models cannot judge.
    result["noise_rate"] = rate and rate["estimate"]
    result["interval"] = rate and [rate["low"], rate["high"]]
    result["is_doubtful"] = rate and rate["is_doubtful"]
    result["methods"] = rate and {m["name"]: m["estimate"] for m in rate["methods"]}
    result["matrix_error"] = matrix_error(audit.json["transition"], truth)
    result["average_precision_of"] = {
        name: average_precision(wrong, values) for name, values in audit.columns.items()
    }
    result["cost"] = audit.cost
    return result


def compare(label_set, arguments):
    """Both sides on one label set."""
    folder = Path(arguments.work) / label_set.replace(" ", "-")

    def audited(arm, out, extra):
        command = [arguments.pemm, "audit", arguments.experiment, *SETS[label_set]]
        command += ["--set", f"data.path={arguments.data}", "--preset", arm]
        command += ["--seed", str(arguments.seed), "--out", out, "--force", "--quiet"]
        if label_set.startswith("human"):
            command += ["--labels", arguments.human]
        _, cost = run([*map(str, command), *map(str, extra)])
        return Audit(Path(out), cost)

    def cross_validated(arm):
        return audited(arm, folder / arm, ["--folds", arguments.folds, "--keep-outputs"])

    def on_probabilities(arm, keys):
        extra = []
        for key, name in keys.items():
            extra += [key, folder / arm / name]
        return audited(arm, folder / f"{arm}-same-probabilities", extra)

    theirs = cross_validated("ce")
    true = np.array([CLASSES.index(name.split("/")[1]) for name in theirs.names])
    wrong = theirs.given != true
    truth = np.zeros((len(CLASSES), len(CLASSES)))
    np.add.at(truth, (true, theirs.given), 1)
    truth /= truth.sum(1, keepdims=True)

    features = np.load(folder / "ce" / "features.npy")
    cleanlab_score, pipeline = by_cleanlab(theirs.given, theirs.probabilities, wrong, truth)
    datalab = by_datalab(theirs.given, theirs.probabilities, features, wrong)
    if datalab is not None:
        pipeline["datalab"] = datalab[1]
    pipeline["training"] = theirs.cost
    result = {
        "num_samples": len(wrong),
        "true_rate": float(wrong.mean()),
        "cleanlab_pipeline": pipeline,
        "same_probabilities": {},
        "pemm_pipeline": {},
    }
    for arm in ["ce", *arguments.presets]:
        audit = theirs if arm == "ce" else cross_validated(arm)
        assert audit.names == theirs.names and (audit.given == theirs.given).all()
        probabilities = audit.probabilities
        score, by_theirs = by_cleanlab(audit.given, probabilities, wrong, truth)
        alone = on_probabilities(arm, {"--probs": "probabilities.npy"})
        result["same_probabilities"][arm] = {
            "accuracy_on_true": float((probabilities.argmax(1) == true).mean()),
            "cleanlab": by_theirs,
            "pemm": by_ours(alone, wrong, truth),
            "average_precision": difference(wrong, alone.score, score),
        }
        # Against cleanlab on its cross entropy; for the arm `ce` both sides have the very same training.
        result["pemm_pipeline"][arm] = {
            **by_ours(audit, wrong, truth),
            "average_precision_over_cleanlab": difference(wrong, audit.score, cleanlab_score),
        }
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pemm", type=Path, required=True)
    parser.add_argument("--experiment", type=Path, required=True, help="network and schedule")
    parser.add_argument("--data", required=True)
    parser.add_argument("--human", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=CHOSEN_ON, choices=SETS)
    parser.add_argument("--presets", nargs="*", default=["pemm"])
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"sets": {}}
    results["about"] = {
        "cleanlab": cleanlab.__version__,
        "folds": arguments.folds,
        "seed": arguments.seed,
        "experiment": arguments.experiment.read_text(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors",
        "resamples": RESAMPLES,
    }
    for label_set in arguments.sets:
        results["sets"][label_set] = compare(label_set, arguments)
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")
        print(label_set, json.dumps(results["sets"][label_set], indent=1))


if __name__ == "__main__":
    main()
