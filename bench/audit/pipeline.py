"""Does training on audited labels harm? `pemm` from end to end: audit, labels file, training, test part.

    python pipeline.py --pemm PEMM --features FOLDER --human cifar10n.csv --work WORK \
        --commit HASH --out results/pipeline.json

FOLDER is what `pemm embed` leaves of 500 training images a class of CIFAR-10 and its test part
(`features.npy`, `labels.npy`, `test_features.npy`, `test_labels.npy`, `manifest.csv` or names in order in
`names.txt`). Each set is made for each seed: given labels, `pemm audit`, a labels file of each kind
(`--how`), then `pemm train` by `ce` and by `pemm` on the given labels and on each file. Reported: wrong
labels before and after, overall and in the classes; the share of wrong ones that are mended, dropped or
weighted below a half; the audit's estimate beside cleanlab's on the same probabilities, average precision
beside that of cleanlab's rankings; how often the interval of `--checked` would hold the truth; and the difference of test accuracies (last epoch, true labels) to
training on the given labels in points, paired by seed, with its 95 % interval (Student's t). What is
there already in WORK is not made again.
"""

import argparse
import csv
import json
import subprocess
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import t as student

import label_sets

SETS = {
    "digits": ["clean", "sym20", "sym40", "pair30"],
    "features": ["clean", "sym10", "sym40", "asym40", "pair30", "worse", "random1", "imb10", "few"],
}
HOWS = ["weight", "drop", "correct"]
PRESETS = ["ce", "pemm"]
# Samples of a list that somebody checks, and random lists that are tried.
CHECKED = [50, 100, 200]
DRAWS = 400


def made(true, name, seed, people):
    """Positions used and their given labels."""
    source, noise = name.split("/")
    random = np.random.default_rng([seed, *name.encode()])
    num_classes = int(true.max()) + 1
    used = np.arange(len(true))
    if noise in ("imb10", "few"):
        counts = np.bincount(true)
        kept = []
        for place, k in enumerate(random.permutation(num_classes)):
            size = 30 if noise == "few" else round(counts.min() * 10 ** (-place / (num_classes - 1)))
            kept.append(random.permutation(np.flatnonzero(true == k))[:size])
        used = np.sort(np.concatenate(kept))
    labels = true[used]
    if noise in ("worse", "random1"):
        return used, people[noise][used]
    rate = {"clean": 0, "sym10": 0.1, "sym20": 0.2, "sym40": 0.4, "asym40": 0.4, "pair30": 0.3,
            "imb10": 0.1, "few": 0.2}[noise]  # fmt: skip
    flipped = random.random(len(used)) < rate
    if noise == "pair30":
        other = (labels + 1) % num_classes
    elif noise == "asym40":
        to = label_sets.ASYMMETRIC_CIFAR
        other = np.array([to.get(k, k) for k in range(num_classes)])[labels]
    else:
        other = (labels + random.integers(1, num_classes, len(used))) % num_classes
    return used, np.where(flipped, other, labels)


def cleanlab_says(given, probabilities, wrong):
    from cleanlab.count import num_label_issues
    from cleanlab.rank import get_label_quality_scores

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rate = num_label_issues(given, probabilities) / len(given)
        best = 0.0
        for method in ("self_confidence", "normalized_margin"):
            for adjust in (False, True):
                try:
                    quality = get_label_quality_scores(
                        given, probabilities, method=method, adjust_pred_probs=adjust
                    )
                except ValueError:
                    continue
                best = max(best, average_precision(wrong, -quality))
    return rate, best


def checked(wrong, said, size, seed):
    """How often the interval of `--checked` holds the truth over random lists of `size` samples, and the
    median width; the rule of `crates/pemm-audit/src/estimate/checked.rs`, its part without the models too."""
    random = np.random.default_rng(seed)
    held, widths, plain = [], [], []
    for _ in range(DRAWS):
        list_ = random.permutation(len(wrong))[:size]
        w, v = wrong[list_].astype(float), said[list_]
        m, found, variance = len(w), w.mean(), v.var()
        b = np.clip(((w - found) * (v - v.mean())).mean() / variance, 0, 1) if variance > 0 else 0.0
        estimate = np.clip(found + b * (said.mean() - v.mean()), 0, 1)
        left = ((w - found - b * (v - v.mean())) ** 2).mean() + 0.25 / m
        low, high = wilson(estimate, round(m * (found * (1 - found) + 0.25 / m) / left))
        held.append(low <= wrong.mean() <= high)
        widths.append(high - low)
        plain.append(np.subtract(*wilson(found, m)[::-1]))
    return {"held": float(np.mean(held)), "width": float(np.median(widths)), "alone": float(np.median(plain))}


def wilson(share, count):
    z = 1.96**2
    center = (share + z / (2 * count)) / (1 + z / count)
    reach = 1.96 * np.sqrt(share * (1 - share) / count + z / (4 * count**2)) / (1 + z / count)
    return max(center - reach, 0), min(center + reach, 1)


def average_precision(wrong, score):
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wrong, score)) if wrong.any() else 0.0


def call(pemm, *arguments):
    done = subprocess.run([pemm, *map(str, arguments)], capture_output=True, text=True)
    # 1: the models cannot judge, so the labels were not written.
    if done.returncode not in (0, 1) or "was not written" not in done.stderr and done.returncode:
        raise SystemExit(f"{arguments}\n{done.stdout}{done.stderr}")
    return done


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def one(pemm, data, true, names, index, used, given, seed, folder):
    """Everything of one set with one seed."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "given.csv", "w") as file:
        file.write("index,label\n" + "".join(f"{index[i]},{names[k]}\n" for i, k in zip(used, given)))
    common = ["--seed", seed, "--set", "data.unlisted=drop"]
    audit = ["audit", data, "--labels", folder / "given.csv", *common, "--out", folder / "audit"]
    wrong = {int(index[i]): g != t for i, g, t in zip(used, given, true[used])}
    truth = {int(index[i]): names[k] for i, k in zip(used, true[used])}
    for how in HOWS:
        if not (folder / f"{how}.csv").exists():
            call(pemm, *audit, "--force", "--keep-outputs", "--how", how,
                 "--write-labels", folder / f"{how}.csv")  # fmt: skip
    said = json.loads((folder / "audit/audit.json").read_text())
    issues = rows(folder / "audit/label_issues.csv")
    by_index = sorted(issues, key=lambda row: int(row["index"]))
    is_wrong = np.array([wrong[int(row["index"])] for row in by_index])
    scores = np.array([float(row["score"]) for row in by_index])
    probabilities = np.load(folder / "audit/probabilities.npy")
    cleanlab_rate, cleanlab_ap = cleanlab_says(given, probabilities, is_wrong)
    rate = said["noise_rate"]
    wrong_said = np.array([float(row["posterior"]) for row in by_index])
    result = {
        "truth": float(is_wrong.mean()),
        "verdict": said["judgement"]["verdict"],
        "rate": rate and {k: rate[k] for k in ("estimate", "low", "high", "is_doubtful")},
        "cleanlab_rate": cleanlab_rate,
        "average_precision": average_precision(is_wrong, scores),
        "cleanlab_average_precision": cleanlab_ap,
        "checked": {str(size): checked(is_wrong, wrong_said, size, seed) for size in CHECKED},
    }
    for how in HOWS:
        if not (folder / f"{how}.csv").exists():
            continue
        after = rows(folder / f"{how}.csv")
        still = {
            int(row["index"]): row["label"] != truth[int(row["index"])]
            for row in after
            if float(row["weight"]) >= 0.5 or how == "weight"
        }
        halved = {int(row["index"]) for row in after if float(row["weight"]) < 0.5}
        changed = {int(row["index"]) for row in after if row["label"] != row["given"]}
        left = sum(still.values())
        handled = sum(wrong[i] and (i in halved or (i in changed and not still[i])) for i in wrong)
        worse = 0
        for k in names:
            before_k = sum(w for i, w in wrong.items() if truth[i] == k)
            after_k = sum(w for i, w in still.items() if truth[i] == k)
            worse += after_k > before_k
        result[how] = {
            "wrong_left": left / len(wrong),
            "handled": handled / max(sum(wrong.values()), 1),
            "classes_worse": worse,
        }
    for preset in PRESETS:
        for labels in ["given", *HOWS]:
            if not (folder / f"{labels}.csv").exists():
                continue
            run = folder / f"{preset}-{labels}"
            if not (run / "record.json").exists():
                call(pemm, "train", data, "--labels", folder / f"{labels}.csv", *common,
                     "--preset", preset, "--out", run, "--no-report", "--outputs", "off", "--quiet")  # fmt: skip
            record = json.loads((run / "record.json").read_text())
            result[f"{preset}-{labels}"] = 100 * record["epochs"][-1]["scored"]["test_accuracy"]
            for leftover in ("state.safetensors", "last.safetensors", "best.safetensors"):
                (run / leftover).unlink(missing_ok=True)
    return result


def dumped(value):
    return json.dumps(value, default=lambda number: number.item())


def paired(differences):
    d = np.array(differences)
    reach = student.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else 0
    return [round(float(v), 2) for v in (d.mean(), d.mean() - reach, d.mean() + reach)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("pemm", "features", "human", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--sources", nargs="*", default=list(SETS))
    arguments = parser.parse_args()
    pemm = arguments.pemm.resolve()
    results = {}
    for source in arguments.sources:
        if source == "digits":
            data = "digits"
            true, names, index = digits_truth(pemm, arguments.work)
        else:
            data = arguments.features
            true = np.load(data / "labels.npy").astype(int)
            names = [str(k) for k in range(int(true.max()) + 1)]
            index = np.arange(len(true))
        people = {}
        if source == "features":
            by_path = {row["path"]: row for row in rows(arguments.human)}
            order = (data / "names.txt").read_text().splitlines()
            for column in ("worse", "random1"):
                people[column] = np.array([label_sets.CIFAR.index(by_path[n][column]) for n in order])
        for noise in SETS[source]:
            name = f"{source}/{noise}"
            results[name] = {}
            for seed in arguments.seeds:
                used, given = made(true, name, seed, people)
                folder = arguments.work / source / noise / str(seed)
                results[name][seed] = one(pemm, data, true, names, index, used, given, seed, folder)
                print(name, seed, dumped(results[name][seed]), flush=True)
            arguments.out.write_text(dumped(finished(arguments, results)) + "\n")


def digits_truth(pemm, work):
    """True labels of the training samples of the built-in digits, the names, and the indices in a labels file."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "digits.csv"
    if not path.exists():
        call(pemm, "noise", "digits", "--noise", "none", "-o", path)
    listed = rows(path)
    names = sorted({row["label"] for row in listed})
    true = np.array([names.index(row["label"]) for row in listed])
    return true, names, np.array([int(row["index"]) for row in listed])


def finished(arguments, results):
    summary = {}
    for name, by_seed in results.items():
        summary[name] = {}
        for preset in PRESETS:
            for how in HOWS:
                pairs = [r for r in by_seed.values() if f"{preset}-{how}" in r]
                if pairs:
                    d = [r[f"{preset}-{how}"] - r[f"{preset}-given"] for r in pairs]
                    summary[name][f"{preset}-{how}"] = paired(d)
    about = {"commit": arguments.commit, "seeds": arguments.seeds}
    return {"about": about, "summary": summary, "sets": results}


if __name__ == "__main__":
    main()
