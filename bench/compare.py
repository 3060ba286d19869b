"""Our side and PyTorch's in turn on this machine; prints Markdown tables, writes raw results.

    python bench/compare.py --data path/to/cifar10/train --out bench/results/today.json

Run it with the Python that has `requirements.txt` installed. Every measurement is one process per
side; in each round every side gets a turn while the others sleep, so that what else the machine
does hits all alike. Ratios are PyTorch's time over ours: above 1 we are faster.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from table import TITLES, fastest, table

HERE = Path(__file__).resolve().parent
MODES = ["eager", "channels_last", "compiled"]
NETWORKS = {
    "cnn8 w64": {"network": "cnn8", "width": 64},
    "cnn8 w16": {"network": "cnn8", "width": 16},
    "resnet32": {"network": "resnet32", "width": 16},
    "resnet44": {"network": "resnet44", "width": 16},
    "cnn w32": {"network": "cnn", "width": 32},
    "resnet50": {"network": "resnet50", "width": 16, "pixels": 224},
}
# What fits and is asked for: a batch of 512 photographs takes 60 GB.
BATCHES = {"resnet50": [8, 32]}


class Worker:
    """A process that repeats a task when told to."""

    def __init__(self, command, keys):
        words = [f"{key}={value}" for key, value in keys.items()]
        self.process = subprocess.Popen(
            [*command, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about = self.answer()
        self.repeats = 1

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def run(self, repeats):
        print(repeats, file=self.process.stdin, flush=True)
        return self.answer()

    def processor_secs(self):
        """Processor time of the process and of its children."""
        total = 0.0
        for pid in [self.process.pid, *children(self.process.pid)]:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def children(pid):
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text().split()]


def busy_secs():
    """Processor time that the whole machine has used, and that its host has taken."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    ticks = os.sysconf("SC_CLK_TCK")
    return (sum(fields[:3]) + sum(fields[5:7])) / ticks, fields[7] / ticks


def measure(options, task, keys, modes=None):
    """All sides at one task in turn; per side its turns, medians, memory, and ratio to ours."""
    modes = modes or options.modes
    keys = {**keys, "threads": options.threads}
    commands = {"pemm": [options.pemm, task]}
    for mode in modes:
        commands[mode] = [sys.executable, str(HERE / "torch_side.py"), mode, task]
    workers = {side: Worker(command, keys) for side, command in commands.items()}
    counts = {worker.about["parameters"] for worker in workers.values()}
    assert len(counts) == 1, f"the sides have different networks: {counts}"
    for worker in workers.values():
        warm = worker.run(2)["seconds"] + worker.run(1)["seconds"]
        worker.repeats = max(1, round(options.turn_secs / min(warm)))
    if options.before:
        subprocess.run(options.before, shell=True, check=True)
    before = busy_secs(), sum(w.processor_secs() for w in workers.values()), time.monotonic()
    turns = {side: [] for side in workers}
    for _ in range(options.rounds):
        for side, worker in workers.items():
            if worker.repeats > 1:
                worker.run(1)  # brings its own data back into the caches
            turns[side].append(worker.run(worker.repeats))
    elapsed = time.monotonic() - before[2]
    (busy, stolen), own = busy_secs(), sum(w.processor_secs() for w in workers.values()) - before[1]
    others = max(0.0, busy - before[0][0] - own) / elapsed / os.cpu_count()
    if options.after:
        subprocess.run(options.after, shell=True, check=True)
    result = {
        "task": task,
        "keys": {**keys, "data": Path(keys["data"]).name} if "data" in keys else keys,
        "parameters": counts.pop(),
        "others_load": others,
        "stolen": (stolen - before[0][1]) / elapsed / os.cpu_count(),
        "sides": {},
    }
    ours = [median(turn["seconds"]) for turn in turns["pemm"]]
    for side, worker in workers.items():
        times = [median(turn["seconds"]) for turn in turns[side]]
        last = turns[side][-1]
        result["sides"][side] = {
            "turns": [turn["seconds"] for turn in turns[side]],
            "seconds": median(times),
            "images_per_sec": last["images"] / median(times),
            "ratio": median(times) / median(ours),
            "paired_ratios": [theirs / our for theirs, our in zip(times, ours)],
            "idle_kib": worker.about["idle_kib"],
            "growth_kib": last["growth_kib"],
            "peak_kib": last["peak_kib"],
            "loss": last["loss"],
        }
        worker.close()
    return result


def runs(options, task, title):
    results = []
    for name in options.networks:
        for batch in BATCHES.get(name, options.batches):
            result = measure(options, task, {**NETWORKS[name], "batch": batch})
            results.append(result)
            mode, ratio = fastest(result)
            print(f"{title}: {name}, batch {batch}: {ratio:.2f} ({mode})", file=sys.stderr)
    print("\n" + table(title, results), flush=True)
    return results


def layers_of(name):
    """Channels in and out, side, stride, pooling of each kind of layer."""
    if name.startswith("cnn8"):
        width = NETWORKS[name]["width"]
        third = 49 * width // 16
        channels = [3, width, width, 2 * width, 2 * width, third, third]
        return [
            (channels[i], channels[i + 1], 32 >> (i // 2), 1, i % 2) for i in range(6)
        ]
    return [(3, 16, 32, 1, 0), (16, 16, 32, 1, 0), (16, 32, 32, 2, 0), (32, 32, 16, 1, 0),
            (32, 64, 16, 2, 0), (64, 64, 8, 1, 0)]


def layers(options):
    print("\n## Layers: convolution, BatchNorm, ReLU (and pooling), batch 128, milliseconds\n")
    print("| layer | | " + " | ".join(["pemm", *options.modes]) + " | fastest / pemm |")
    print("|---|---|" + "---|" * (len(options.modes) + 2))
    results = []
    shapes = []
    for name in options.networks:
        shapes += [shape for shape in layers_of(name) if shape not in shapes]
    for ins, outs, side, stride, pools in shapes:
        keys = {"ins": ins, "outs": outs, "side": side, "stride": stride, "pools": pools}
        for backward, what in ((0, "forward"), (1, "forward and backward")):
            keys = {**keys, "batch": 128, "backward": backward}
            result = measure(options, "layer", keys)
            results.append(result)
            times = " | ".join(f"{s['seconds'] * 1e3:.1f}" for s in result["sides"].values())
            extra = (", stride 2" if stride == 2 else "") + (", pool" if pools else "")
            print(f"| {ins} → {outs}, {side}²{extra} | {what} | {times} | "
                  f"{fastest(result)[1]:.2f} |", flush=True)
    return results


def epochs(options):
    """Loader alone, and epochs from JPEG files beside bare steps."""
    keys = {**NETWORKS["cnn8 w64"], "batch": 128, "data": options.data}
    loader = measure(options, "loader", {**keys, "images": 10240}, ["eager"])
    epoch = measure(options, "epoch", {**keys, "images": 1280})
    pair = {}
    command = {**keys, "images": 1280, "threads": options.threads}
    workers = {task: Worker([options.pemm, task], command) for task in ("step", "epoch")}
    turns = {task: [] for task in workers}
    for number in range(options.rounds + 1):
        for task, repeats in (("step", 10), ("epoch", 1)):
            answer = workers[task].run(repeats)
            if number:
                turns[task].append(sum(answer["seconds"]) / repeats / answer["images"])
    for worker in workers.values():
        worker.close()
    pair = [step / epoch for step, epoch in zip(turns["step"], turns["epoch"])]
    print("\n## Epochs from JPEG files, cnn8 w64, batch 128\n")
    for side, numbers in loader["sides"].items():
        print(f"- loader alone, {side}: {numbers['images_per_sec']:.0f} images/s")
    for side, numbers in epoch["sides"].items():
        print(f"- epoch of 1280 images, {side}: {numbers['images_per_sec']:.0f} images/s "
              f"(ratio {numbers['ratio']:.2f})")
    print(f"- our epoch keeps {median(pair):.1%} of the bare step's images/s "
          f"({min(pair):.1%}–{max(pair):.1%}): {1 / median(turns['epoch']):.0f} of "
          f"{1 / median(turns['step']):.0f}")
    return [loader, epoch, {"task": "epoch beside step", "share": pair, "secs_per_image": turns}]


def alone(options):
    """Our step alone in its process, at width 64 and batch 128: images/s and peak memory."""
    keys = {**NETWORKS["cnn8 w64"], "batch": 128, "threads": options.threads}
    worker = Worker([options.pemm, "step"], keys)
    worker.run(2)
    answer = worker.run(10)
    worker.close()
    seconds = median(answer["seconds"])
    peak = answer["peak_kib"] / 1024
    print(f"\n## Our step alone, cnn8 w64, batch 128, 32×32\n\n{128 / seconds:.0f} images/s "
          f"({seconds * 1e3:.0f} ms a step), peak memory {peak:.0f} MiB (limit 2048)")
    return [{"task": "alone", "keys": keys, "seconds": answer["seconds"], "peak_mib": peak}]


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    find = lambda key: next((l.split(":")[1].strip() for l in lines if l.startswith(key)), "")
    flags = [flag for flag in find("flags").split() if flag in ("avx2", "fma", "avx512f")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    commit = subprocess.run(
        ["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    versions = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.__version__)"],
        capture_output=True, text=True,
    ).stdout.strip()
    return {
        "processor": find("model name"),
        "family": f"family {find('cpu family')}, model {find('model')}".replace("model name", ""),
        "instructions": flags,
        "processors": os.cpu_count(),
        "memory_mib": int(memory) // 1024,
        "system": platform.platform(),
        "python": platform.python_version(),
        "pytorch": versions,
        "commit": commit,
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def lines(results):
    """As JSON with a line for each measurement."""
    plain = lambda value: json.dumps(json.loads(json.dumps(value), parse_float=lambda text: float(f"{float(text):.6g}")))
    part = lambda value: "[\n" + ",\n".join(map(plain, value)) + "\n]" if isinstance(value, list) else plain(value)
    return "{" + ",\n".join(f"{json.dumps(key)}: {part(value)}" for key, value in results.items()) + "}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"step": lambda o: runs(o, "step", TITLES["step"]),
             "forward": lambda o: runs(o, "forward", TITLES["forward"]),
             "layers": layers, "epochs": epochs, "alone": alone}
    parser.add_argument("--pemm", default=str(HERE.parent / "target/release/pemm-bench"),
                        help="our worker, built by `cargo build --release` in bench/")
    parser.add_argument("--data", help="folder with a folder of JPEG files per class (for epochs)")
    parser.add_argument("--out", help="JSON file for the raw results")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn-secs", type=float, default=1.0)
    parser.add_argument("--before", help="shell command before the timed rounds of a measurement, "
                        "to quieten the machine")
    parser.add_argument("--after", help="shell command after them")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128, 512])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    options = parser.parse_args()
    if "epochs" in options.parts and not options.data:
        parser.error("--data is needed for the part `epochs`")
    about = machine()
    about["threads"] = options.threads
    print("# pemm and PyTorch\n\n" + ", ".join(f"{key} {value}" for key, value in about.items()))
    results = {"machine": about}
    for part in options.parts:
        results[part] = parts[part](options)
        if options.out:
            Path(options.out).parent.mkdir(parents=True, exist_ok=True)
            Path(options.out).write_text(lines(results))


main()
