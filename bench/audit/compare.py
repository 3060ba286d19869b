"""Our audit beside cleanlab on the same arrays.

    python compare.py PART --arrays ARRAYS --binary audit_arrays --commit HASH --out results/PART.json

`audit_arrays` is the example of `pemm-audit`. PART is choosing, aside or fresh (label_sets.py). Differences of
average precision have paired bootstrap intervals over the samples; how often we are best or not told apart
counts them. A set is one label set with one model; its verdicts of `no` have no estimate, and are counted
apart.
"""

import argparse
import json
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np

import label_sets

RESAMPLES = 200


def average_precision(wrong, score):
    """Area under the precision-recall curve by steps; equal scores count as one threshold."""
    order = np.argsort(-score, kind="stable")
    ordered, hits = score[order], np.cumsum(wrong[order])
    last = np.r_[ordered[1:] != ordered[:-1], True]
    hits, taken = hits[last], np.arange(1, len(wrong) + 1)[last]
    return float(np.sum(np.diff(np.r_[0, hits]) * hits / taken) / max(wrong.sum(), 1))


def missed(wrong, score):
    """Share of the wrong labels that are missed when as many samples are flagged as are wrong."""
    count = int(wrong.sum())
    top = np.argsort(-score, kind="stable")[:count]
    return 1 - float(wrong[top].sum()) / max(count, 1)


def f1(wrong, issue):
    return 2 * int((wrong & issue).sum()) / max(int(wrong.sum()) + int(issue.sum()), 1)


def difference(wrong, ours, theirs):
    """Interval of the difference of average precision."""
    random = np.random.default_rng(1)
    draws = []
    for _ in range(RESAMPLES):
        i = random.integers(0, len(wrong), len(wrong))
        draws.append(average_precision(wrong[i], ours[i]) - average_precision(wrong[i], theirs[i]))
    return [float(v) for v in np.percentile(draws, [2.5, 97.5])]


def cleanlab_scores(given, p):
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    started = time.time()
    scores = {}
    for name in ["self_confidence", "normalized_margin"]:
        for adjusted in [False, True]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                quality = get_label_quality_scores(given, p, method=name, adjust_pred_probs=adjusted)
            scores[f"cleanlab_{name}{'_adjusted' if adjusted else ''}"] = 1 - quality
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        issue = find_label_issues(given, p)
        rate = num_label_issues(given, p) / len(given)
    return scores, issue, rate, time.time() - started


def harm(true, given, action, labels, weights):
    """Wrong labels by true class before and after; dropped samples count as gone."""
    left = action != 2
    num = int(true.max()) + 1
    count = lambda which, by: np.bincount(by[which], minlength=num)
    worse = 0
    for by in (true, given):
        before = count(given != true, by)
        after = count((labels != true) & left, by)
        worse += int((after > before).sum())
    wrong = given != true
    return {
        "before": int(wrong.sum()),
        "after": int(((labels != true) & left).sum()),
        "changed": int((action == 1).sum()),
        "dropped": int((action == 2).sum()),
        "made": int((~wrong & (action == 1)).sum()),
        "mended": int((wrong & (action == 1) & (labels == true)).sum()),
        "dropped_right": int((~wrong & (action == 2)).sum()),
        "classes_worse": worse,
        "wrong_below_half": int((wrong & (weights < 0.5)).sum()),
        "right_below_half": int((~wrong & (weights < 0.5)).sum()),
    }


def compare(folder):
    load = lambda name: np.load(folder / f"{name}.npy")
    given, true, p = load("given").astype(int), load("true").astype(int), load("probabilities")
    wrong = given != true
    found = json.loads((folder / "ours.json").read_text())
    table = np.fromfile(folder / "ours.f32", "<f4").reshape(len(given), -1)
    scores = {name: table[:, 4 + i] for i, name in enumerate(found["scores"])}
    summary = found["summary"]
    # Given labels need every class for cleanlab.
    theirs, issue, rate, secs = {}, np.zeros(len(given), bool), None, None
    present = np.unique(given)
    dense = np.searchsorted(present, given)
    q = p[:, present] / p[:, present].sum(1, keepdims=True)
    try:
        theirs, issue, rate, secs = cleanlab_scores(dense, q)
    except Exception as error:  # it refuses some inputs
        rate, secs = None, str(error)[:200]
    all_scores = scores | theirs
    result = {
        "n": len(given),
        "truth": float(wrong.mean()),
        "agreement": float((p.argmax(1) == given).mean()),
        "right": float((p.argmax(1) == true).mean()),
        "verdict": summary["judgement"]["verdict"],
        "reason": summary["judgement"]["reason"],
        "unjudged": summary["judgement"]["unjudged"],
        "mistaken": summary["judgement"]["mistaken"],
        "plateau": summary["judgement"]["plateau"],
        "rate": summary["noise_rate"],
        "cleanlab_rate": rate,
        "expected": summary["cleaning"],
        "cleaning": harm(true, given, table[:, 1], table[:, 2].astype(int), table[:, 3]),
        "f1": f1(wrong, table[:, 0] > 0),
        "cleanlab_f1": f1(wrong, issue),
        "secs": found["secs"],
        "cleanlab_secs": secs,
    }
    if wrong.any():
        precision = {k: average_precision(wrong, v.astype(float)) for k, v in all_scores.items()}
        result["average_precision"] = precision
        result["missed"] = {k: missed(wrong, v) for k, v in all_scores.items()}
        others = [k for k in precision if k not in ("combined",)]
        best = max(others, key=precision.get)
        result["best_other"] = best
        result["over_best"] = difference(wrong, scores["combined"], all_scores[best])
        if theirs:
            best = max(theirs, key=precision.get)
            result["over_cleanlab"] = difference(wrong, scores["combined"], theirs[best])
    return result


def summarised(sets):
    """The points of the issue, over the sets of one part."""
    share = lambda values: round(sum(values) / len(values), 3) if values else None
    sets = list(sets.values())
    answered = [s for s in sets if s["verdict"] != "no"]
    noisy = [s for s in sets if s["truth"] > 0]
    near = [s for s in answered if abs(s["rate"]["estimate"] - s["truth"]) <= 0.04]
    held = lambda s: s["rate"]["low"] <= s["truth"] <= s["rate"]["high"]
    closer = [abs(s["rate"]["estimate"] - s["truth"]) <= abs(s["cleanlab_rate"] - s["truth"])
              for s in answered if s["cleanlab_rate"] is not None]  # fmt: skip
    points = lambda s: 100 * (s["average_precision"][s["best_other"]] - s["average_precision"]["combined"])
    doubted = lambda s: s["rate"]["is_doubtful"] or bool(s["rate"]["doubtful"]) or s["verdict"] != "yes"
    theirs = lambda s: [v for k, v in s["missed"].items() if k.startswith("cleanlab")]
    return {
        "sets": len(sets),
        "answered": len(answered),
        "verdict_no": len(sets) - len(answered),
        "best_or_not_told_apart_from_every_other": share([s["over_best"][1] >= 0 for s in noisy]),
        "best_or_not_told_apart_from_cleanlab": share([s["over_cleanlab"][1] >= 0 for s in noisy if "over_cleanlab" in s]),
        "missed_no_more_than_cleanlab": share([s["missed"]["combined"] <= min(theirs(s)) + 1e-9 for s in noisy if theirs(s)]),
        "most_points_behind_best": round(max(points(s) for s in noisy), 1),
        "more_than_a_point_behind": sum(points(s) > 1 for s in noisy),
        "f1_at_least_cleanlab": share([s["f1"] >= s["cleanlab_f1"] for s in noisy]),
        "f1_at_least_cleanlab_answered": share([s["f1"] >= s["cleanlab_f1"] for s in noisy if s["verdict"] != "no"]),
        "nearer_than_cleanlab": share(closer),
        "within_4_points": share([s in near for s in answered]),
        "clean_estimates": [round(s["rate"]["estimate"], 3) for s in answered if s["truth"] == 0],
        "interval_holds": share([held(s) for s in answered]),
        "misses_not_doubted": sum(not held(s) and not doubted(s) for s in answered),
        "median_width": round(float(np.median([s["rate"]["high"] - s["rate"]["low"] for s in answered])), 3),
        "doubted_of_near": share([s["rate"]["is_doubtful"] for s in near]),
        "cleaning_more_wrong": sum(s["cleaning"]["after"] > s["cleaning"]["before"] for s in sets),
        "cleaning_classes_worse": sum(s["cleaning"]["classes_worse"] for s in sets),
        "wrong_below_half_where_20": [round(s["cleaning"]["wrong_below_half"] / s["cleaning"]["before"], 2) for s in answered if s["truth"] >= 0.2],
        "cleaning_gone_where_20": [round(1 - s["cleaning"]["after"] / s["cleaning"]["before"], 2) for s in answered if s["truth"] >= 0.2],
        "secs": round(sum(s["secs"] for s in sets), 1),
    }  # fmt: skip


def rounded(value):
    """Numbers to five places, to keep the file small."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["choosing", "aside", "fresh"])
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--commit", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--note", default="", help="what else the file should say of itself")
    parser.add_argument("--sources", nargs="*", default=list(label_sets.MODELS))
    arguments = parser.parse_args()
    results = {}
    for name in label_sets.names(arguments.part):
        source = name.split("/")[0]
        if source not in arguments.sources:
            continue
        for model in label_sets.MODELS[source]:
            for seed in arguments.seeds:
                folder = arguments.arrays / name / model / str(seed)
                if not (folder / "done").exists():
                    continue
                subprocess.run([arguments.binary, folder], check=True)
                r = results[f"{name}/{model}/{seed}"] = compare(folder)
                rate = r["rate"]
                said = "no" if rate is None else (
                    f"{rate['estimate']:.3f} [{rate['low']:.3f} {rate['high']:.3f}]"
                    f"{'?' if rate['is_doubtful'] else ''}{rate['doubtful'] or ''}"
                )  # fmt: skip
                ap = r.get("average_precision", {})
                c = r["cleaning"]
                print(f"{name:16s} {model:8s} truth {r['truth']:.3f} {said:28s} cl {r['cleanlab_rate'] or -1:.3f} "
                      f"unj {[tuple(u) for u in r['unjudged']][:3]} "
                      f"AP {100 * ap.get('combined', 0):.1f} best {r.get('best_other')} {100 * ap.get(r.get('best_other'), 0):.1f} "
                      f"F1 {r['f1']:.2f}/{r['cleanlab_f1']:.2f} clean {c['before']}>{c['after']} ch {c['changed']} made {c['made']} "
                      f"drop {c['dropped']}({c['dropped_right']}) worse {c['classes_worse']} {r['secs']:.2f}s", flush=True)  # fmt: skip
    summary = summarised(results)
    print(json.dumps(summary, indent=1))
    about = {"commit": arguments.commit, "seeds": arguments.seeds, "resamples": RESAMPLES, "part": arguments.part, "note": arguments.note}
    arguments.out.write_text(json.dumps(rounded({"about": about, "summary": summary, "sets": results})) + "\n")


if __name__ == "__main__":
    main()
