"""What `--preset auto` should try, and how, from the noisy validation accuracies of records alone.

    python3 bench/auto_design.py records/cpu-table1 records/features-table

Prints, for each table: how much agreement a subset of the methods loses against the best of all in each column;
what choosing by the first part of a run loses; and what the rule of `auto` would lose if a trial on a half ranked
as a whole run does. The truth is the mean over the seeds after the last epoch. Nothing here reads a test
accuracy. Needs Python alone.
"""

import itertools
import json
import math
import random
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

METHODS = ["ce", "sce", "gce", "nce-rce", "elr", "pemm"]
ORDER = ["sce", "nce-rce", "elr", "pemm"]
# Share of the samples on which the hits of two methods differ: a guess, higher where networks are trained from
# nothing.
APART = {"cpu-table1": 0.3, "features-table": 0.1}


def curves(folder):
    """Agreement with noisy validation labels in %, epoch by epoch, by column, method and seed."""
    table = defaultdict(lambda: defaultdict(dict))
    for file in sorted(folder.glob("*.json")):
        seed, column, method = file.stem.split("_", 2)
        if method in METHODS:
            epochs = json.loads(file.read_text())["epochs"]
            table[column][method][seed] = [100 * epoch["val_accuracy_given"] for epoch in epochs]
    return table


def truth(methods, without=None):
    return {m: mean(c[-1] for s, c in seeds.items() if s != without) for m, seeds in methods.items()}


def subsets(truths, size):
    """The best subsets of a size, with what they lose in the mean over the columns."""
    def loss(subset):
        return mean(max(t.values()) - max(t[m] for m in subset) for t in truths)
    return sorted((round(loss(s), 2), s) for s in itertools.combinations(METHODS, size))[:4]


def by_prefix(table, share):
    """Mean and largest loss of the method that leads after a share of the epochs, seed by seed."""
    losses = []
    for methods in table.values():
        for seed in next(iter(methods.values())):
            known = truth(methods, without=seed)
            at = max(1, round(share * len(methods["ce"][seed]))) - 1
            lead = max(METHODS, key=lambda m: methods[m][seed][at])
            losses.append(max(known.values()) - known[lead])
    return round(mean(losses), 2), round(max(losses), 2)


def by_halves(truths, num, apart, margin, order=ORDER, rounds=2000, spread=0.5):
    """Loss of the rule on `num` labels: mean, 90th percentile, largest. `spread`: of a training, in points."""
    draw, losses = random.Random(1), []
    for known in truths:
        for _ in range(rounds):
            deviation = math.hypot(100 * math.sqrt(apart / num), spread)
            first = {m: known[m] + draw.gauss(0, deviation) for m in order}
            inside = sorted(order, key=lambda m: -first[m])[: math.ceil(len(order) / 2)]
            both = {m: (first[m] + known[m] + draw.gauss(0, deviation)) / 2 for m in inside}
            best, error = max(both.values()), 100 * math.sqrt(apart / num)
            taken = next(m for m in order if m in both and best - both[m] <= margin * error)
            losses.append(max(known[m] for m in order) - known[taken])
    losses.sort()
    return [round(value, 2) for value in (mean(losses), losses[int(0.9 * len(losses))], losses[-1])]


def main():
    for folder in map(Path, sys.argv[1:]):
        table = curves(folder)
        truths = [truth(methods) for methods in table.values()]
        print(folder.name)
        print("  always:", {m: round(mean(max(t.values()) - t[m] for t in truths), 2) for m in METHODS})
        for size in (2, 3, 4):
            print(f"  best subsets of {size}:", *(f"{loss} {' '.join(s)};" for loss, s in subsets(truths, size)))
        for share in (0.2, 0.3, 0.5, 0.75, 1):
            print(f"  by the first {share:.0%} of a run: mean {{}}, largest {{}}".format(*by_prefix(table, share)))
        for num in (1000, 3000):
            for margin in (0, 0.5, 1, 2):
                found = by_halves(truths, num, APART[folder.name], margin)
                print(f"  by halves of {num}, margin {margin}: mean {{}}, 90 % {{}}, largest {{}}".format(*found))


if __name__ == "__main__":
    main()
