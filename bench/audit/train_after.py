"""Is training on cleaned labels worse than on the given ones?

    python train_after.py --arrays ARRAYS --commit HASH --out results/train-after.json

After `compare.py`, whose `ours.f32` it reads. Logistic regression on four folds, right answers on the fifth
by true labels (which nothing else sees): given labels; all that the audit would change or drop left out;
changed and left out as planned; every sample weighted by the probability that its label is right (divided by the mean, or the penalty would
weigh more). Reported
is the mean difference to given labels over the folds in points, with its paired 95 % interval (Student's t).
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression

import label_sets
import models

PENALTY = {"digits": 1.0, "features": 0.1, "pixels": 0.01, "hundred": 0.1, "fashion": 0.1}


def right(x, labels, true, keep, weights, fold, c):
    shares = []
    for k in range(models.FOLDS):
        train, test = (fold != k) & keep, fold == k
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = LogisticRegression(C=c, max_iter=200).fit(
                x[train], labels[train], sample_weight=weights[train]
            )
        shares.append(100 * float((fitted.predict(x[test]) == true[test]).mean()))
    return np.array(shares)


def paired(a, b):
    d = a - b
    reach = student.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return [round(float(v), 2) for v in (d.mean(), d.mean() - reach, d.mean() + reach)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sources", nargs="*", default=["digits", "features", "fashion"])
    arguments = parser.parse_args()
    results = {}
    for name in [n for part in ("choosing", "aside", "fresh") for n in label_sets.names(part)]:
        source = name.split("/")[0]
        folder = arguments.arrays / name / "logistic" / str(arguments.seed)
        if source not in arguments.sources or not (folder / "ours.f32").exists():
            continue
        load = lambda key: np.load(folder / f"{key}.npy")
        given, true, x = load("given").astype(int), load("true").astype(int), load("features")
        table = np.fromfile(folder / "ours.f32", "<f4").reshape(len(given), -1)
        action, planned, weights = table[:, 1], table[:, 2].astype(int), table[:, 3]
        weights = np.maximum(weights, 0.01)
        # Other folds than those that the audit's models had.
        fold = models.folds(given, 1000 + arguments.seed)
        every, same = np.ones(len(given), bool), np.ones(len(given))
        by = lambda *what: right(x, *what, fold, PENALTY[source])
        before = by(given, true, every, same)
        results[name] = {
            "n": len(given),
            "wrong": round(float((given != true).mean()), 4),
            "given": round(float(before.mean()), 2),
            "dropped": paired(by(given, true, action == 0, same), before),
            "planned": paired(by(planned, true, action != 2, same), before),
            "weighted": paired(by(given, true, every, weights / weights.mean()), before),
        }
        print(name, results[name], flush=True)
    about = {"commit": arguments.commit, "seed": arguments.seed, "model": "logistic", "folds": models.FOLDS}
    arguments.out.write_text(json.dumps({"about": about, "sets": results}) + "\n")


if __name__ == "__main__":
    main()
