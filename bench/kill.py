#!/usr/bin/env python3
"""Kills train, audit, grid and report at random moments and compares what they end with.

    bench/kill.py --pemm target/release/pemm --kills 1000 --out bench/results/kill.json

Each round starts a command in a new folder and kills it (SIGKILL, with its processes) after a random
time, again and again with the same command, until it comes to its end by itself. Then what it left
has to be what the command leaves that nobody killed: weights, records without times, tables, pages.
Ends with exit code 1 if anything differs. Needs nothing but Python 3.9 and the binary.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MODEL = "--set model.backbone=cnn8 --set model.width=4"
GRID = """[base]
data.path = "digits"
noise = { kind = "symmetric", rate = 0.4 }
model = { backbone = "cnn8", width = 4 }
schedule.num_epochs = 2

[[axis]]
key = "preset"
values = ["ce", "pemm"]

[[axis]]
key = "seed"
values = [1, 2]
"""
COMMANDS = {
    "train": f"train digits --noise symmetric:0.4 {MODEL} --epochs 6 --out out",
    "audit": f"audit digits --noise symmetric:0.4 {MODEL} --epochs 2 --folds 3 --out out",
    "grid": "grid grid.toml --jobs 2 --threads-per-job 1 --out out",
    "report": "report out --outputs --points 300",
}
# What may differ: times, speeds and what is made of them.
TIMES = {"seconds", "cpu_seconds", "images_per_sec", "started_at", "total_seconds", "total_cpu_seconds",
         "training_secs", "num_threads", "peak_memory"}


def timeless(value):
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in TIMES}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def content(path):
    """A hash of what a file holds, without times."""
    data = path.read_bytes()
    if path.suffix == ".json":
        data = json.dumps(timeless(json.loads(data)), sort_keys=True).encode()
    elif path.suffix == ".jsonl":
        lines = [json.dumps(timeless(json.loads(line)), sort_keys=True) for line in data.splitlines()]
        data = "\n".join(lines).encode()
    elif path.suffix == ".html":
        # Durations, speeds and dates stand in the page's text.
        data = re.sub(rb"[0-9][0-9.,:TZ-]*", b"0", data)
    return hashlib.sha256(data).hexdigest()


def left(folder, command):
    """Everything in a folder by name. Pages of a run under way may hold other words, so they are
    compared where the command is about them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and (path.suffix != ".html" or command == "report"):
            # The state and the log's times are of the run that ended it.
            found[name] = content(path) if path.name != "state.safetensors" else "there"
    return found


class Place:
    def __init__(self, pemm, command, finished):
        self.pemm, self.command = pemm, command
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pemm-kill-"))
        (self.folder / "grid.toml").write_text(GRID)
        if command == "report":
            shutil.copytree(finished, self.folder / "out")

    def start(self, environment=None):
        return subprocess.Popen([self.pemm, *COMMANDS[self.command].split()], cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, start_new_session=True, env=environment)

    def left(self):
        return left(self.folder / "out", self.command)

    def remove(self):
        shutil.rmtree(self.folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pemm", type=pathlib.Path, required=True)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--commit", default="", help="what the binary was built from, for the record")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    pemm, chance = arguments.pemm.resolve(), random.Random(arguments.seed)

    whole, seconds, finished = {}, {}, None
    for command in ["train"] + [name for name in arguments.commands if name != "train"]:
        place = Place(pemm, command, finished)
        since = time.monotonic()
        process = place.start()
        said = process.communicate()[1].decode(errors="replace")
        if process.returncode != 0:
            sys.exit(f"{command} fails without being killed: {said}")
        whole[command], seconds[command] = place.left(), time.monotonic() - since
        if command == "train":
            finished = place.folder / "out"
        else:
            place.remove()

    counts = {command: {"kills": 0, "rounds": 0, "differ": []} for command in arguments.commands}
    done = 0
    while done < arguments.kills:
        for command in arguments.commands:
            count = counts[command]
            place = Place(pemm, command, finished)
            # A kill in each stretch of the command, and now and then several in a row at its start.
            for number in range(40):
                process, since = place.start(), time.monotonic()
                try:
                    process.wait(chance.random() ** 1.5 * 1.1 * seconds[command])
                    # The machine may have been busy when the whole time was taken.
                    if number == 0:
                        seconds[command] = min(seconds[command], time.monotonic() - since)
                    break
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
                    count["kills"] += 1
                    done += 1
            else:
                process = place.start()
            said = process.communicate()[1].decode(errors="replace")
            count["rounds"] += 1
            now = place.left() if process.returncode == 0 else {}
            if process.returncode != 0 or now != whole[command]:
                names = sorted(set(now.items()) ^ set(whole[command].items()))
                what = {"exit": process.returncode, "said": said[-500:], "files": [n for n, _ in names]}
                count["differ"].append(what)
                print(f"{command}: {what}", flush=True)
            place.remove()
        print(done, {name: count["kills"] for name, count in counts.items()}, flush=True)

    version = subprocess.run([pemm, "--version"], capture_output=True, text=True).stdout.strip()
    result = {"pemm": version, "commit": arguments.commit,
              "sha256": hashlib.sha256(pemm.read_bytes()).hexdigest(),
              "machine": platform.machine(), "cores": os.cpu_count(), "seed": arguments.seed,
              "seconds_whole": {name: round(value, 2) for name, value in seconds.items()},
              "commands": counts}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    shutil.rmtree(finished.parent)
    return 1 if any(count["differ"] for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
