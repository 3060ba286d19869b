"""Tables from the raw results of `compare.py`, with the goal beside each ratio.

    python bench/table.py bench/results/speed.json bench/results/speed-resnet50.json --into bench/README.md

Without `--into` they are printed. With it they replace what stands between the lines `<!-- measured -->` and
`<!-- end -->` of the file.
"""

import argparse
import json
from pathlib import Path

TITLES = {"step": "Training step", "forward": "Inference"}
# How many times PyTorch's fastest mode is to take as long as ours; None for every other batch.
GOALS = {
    "step": {
        "cnn8 w64": {128: 2.8, None: 1.3},
        "cnn8 w16": {128: 2.3, None: 1.3},
        "resnet32": {128: 1.8, None: 1.3},
        "resnet44": {128: 1.8, None: 1.3},
        "resnet50": {32: 1.4},
    },
    "forward": {"cnn8 w64": {128: 2.6}, "resnet50": {32: 1.5}},
}


def name_of(result):
    keys = result["keys"]
    return f"{keys['network']} w{keys['width']}" if keys["network"].startswith("cnn") else keys["network"]


def goal_of(task, name, batch):
    goals = GOALS.get(task, {}).get(name, {})
    return goals.get(batch, goals.get(None))


def fastest(result):
    """The fastest mode of PyTorch in a result, and how many times its time is ours."""
    sides = {side: s for side, s in result["sides"].items() if side != "pemm"}
    name = min(sides, key=lambda side: sides[side]["seconds"])
    return name, sides[name]["ratio"]


def row(result):
    sides, batch = result["sides"], result["keys"]["batch"]
    rate = lambda side: f"{sides[side]['images_per_sec']:,.{0 if sides[side]['images_per_sec'] > 99 else 1}f}"
    cells = [rate("pemm"), *(f"{rate(side)} ({sides[side]['ratio']:.2f})" for side in list(sides)[1:])]
    mode, ratio = fastest(result)
    pairs = sides[mode]["paired_ratios"]
    goal = goal_of(result["task"], name_of(result), batch)
    cells.append(f"**{ratio:.2f}** ({min(pairs):.2f}–{max(pairs):.2f})")
    cells.append(f"{goal}" if goal else "")
    cells.append(", ".join(f"{side['growth_kib'] / 1024:,.0f}" for side in sides.values()))
    cells.append(f"{result['others_load']:.0%}")
    return f"| {name_of(result)} | {batch} | " + " | ".join(cells) + " |"


def table(title, results):
    """Results with the same sides."""
    sides = ["pemm", *(side.replace("_", "-") for side in list(results[0]["sides"])[1:])]
    head = ["", "batch", *sides, "fastest / pemm (rounds)", "goal", f"growth, MiB: {', '.join(sides)}", "others"]
    lines = [f"{title}, images/s (ratio to ours):", "", f"| {' | '.join(head)} |", "|---|---:|" + "---|" * (len(head) - 2)]
    return "\n".join([*lines, *map(row, results)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--into", type=Path)
    arguments = parser.parse_args()
    parts = []
    for path in arguments.results:
        measured = json.loads(path.read_text())
        machine = measured["machine"]
        rounds = max(len(s["turns"]) for part in TITLES for r in measured.get(part, []) for s in r["sides"].values())
        parts.append(
            f"`{path.name}`: {machine['date'].split()[0]}, commit {machine['commit']}, {machine['processor']} "
            f"({machine['family'].replace('family family', 'family')}; {', '.join(machine['instructions'])}), "
            f"{machine['processors']} virtual processors, PyTorch {machine['pytorch']}, Python {machine['python']}, "
            f"{machine['threads']} threads, {rounds} rounds."
        )
        parts += [table(title, measured[part]) for part, title in TITLES.items() if measured.get(part)]
    text = "\n\n".join(parts)
    if not arguments.into:
        print(text)
        return
    before, rest = arguments.into.read_text().split("<!-- measured -->\n", 1)
    after = rest.split("<!-- end -->", 1)[1]
    arguments.into.write_text(f"{before}<!-- measured -->\n\n{text}\n\n<!-- end -->{after}")


if __name__ == "__main__":
    main()
