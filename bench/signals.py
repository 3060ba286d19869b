#!/usr/bin/env python3
"""Sends SIGINT and SIGTERM at random moments to work on large photographs, and times the answer.

    bench/signals.py --pemm target/release/pemm --signals 200 --out bench/results/signals.json

Each round starts a command on photographs of 24 megapixels, most of whose time is reading and resizing,
and sends it a signal after a random time, again and again with the same command, until it comes to its
end by itself. Each answer has to come within five seconds, with exit code 130 or 143; and what is left
at the end has to be what the command leaves that nobody stopped. Ends with exit code 1 if not. Needs
Python 3.9, Pillow and the binary.
"""

import argparse
import hashlib
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from PIL import Image

from kill import left

SMALL = "--size 32 --set model.width=4"
COMMANDS = {
    "train": f"train photos {SMALL} --epochs 6 --out out",
    # Nothing is kept in memory, so that every epoch reads and resizes.
    "train, streamed": f"train photos {SMALL} --epochs 3 --set data.memory_mib=0 --out out",
    "audit": f"audit photos {SMALL} --epochs 2 --folds 2 --out out",
    "evaluate": "evaluate run",
    "predict": "predict run photos",
    "data info": "data info photos",
}
LIMIT = 5.0


def make_photos(folder, per_class):
    """Two classes of 6000×4000 pixels, each second progressive."""
    chance = random.Random(1)
    for name in ("bark", "leaf"):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            small = Image.new("RGB", (60, 40))
            base = (150, 110, 70) if name == "bark" else (70, 150, 60)
            small.putdata([tuple(value + chance.randrange(-40, 40) for value in base) for _ in range(2400)])
            photo = small.resize((6000, 4000), Image.BILINEAR)
            photo.save(folder / name / f"{number}.jpg", quality=88, progressive=number % 2 == 1)


class Place:
    def __init__(self, scratch, pemm, command):
        self.pemm, self.command = pemm, command
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        for name in ("photos", "run"):
            if (scratch / name).exists():
                (self.folder / name).symlink_to(scratch / name)

    def start(self):
        return subprocess.Popen([self.pemm, *COMMANDS[self.command].split()], cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, start_new_session=True)

    def left(self, said):
        return left(self.folder / "out", self.command) or {"said": hashlib.sha256(said).hexdigest()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pemm", type=pathlib.Path, required=True)
    parser.add_argument("--signals", type=int, default=200)
    parser.add_argument("--photos", type=int, default=10, help="of each class")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commit", default="", help="what the binary was built from, for the record")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    pemm, chance = arguments.pemm.resolve(), random.Random(arguments.seed)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="pemm-signals-"))
    make_photos(scratch / "photos", arguments.photos)
    subprocess.run([pemm, *f"train photos {SMALL} --epochs 2 --out run -q".split()], cwd=scratch,
                   check=True, stdout=subprocess.DEVNULL)

    whole, seconds = {}, {}
    for command in COMMANDS:
        place, since = Place(scratch, pemm, command), time.monotonic()
        process = place.start()
        said, errors = process.communicate()
        if process.returncode != 0:
            sys.exit(f"{command} fails without a signal: {errors.decode(errors='replace')}")
        whole[command], seconds[command] = place.left(said), time.monotonic() - since
        shutil.rmtree(place.folder)

    counts = {command: {"signals": 0, "rounds": 0, "slowest": 0.0, "wrong": []} for command in COMMANDS}
    answers, before_it_listened, sent = [], 0, 0
    while sent < arguments.signals:
        for command in COMMANDS:
            count, place = counts[command], Place(scratch, pemm, command)
            count["rounds"] += 1
            for number in range(20):
                process = place.start()
                kind = chance.choice([signal.SIGINT, signal.SIGTERM])
                at = chance.random() * seconds[command]
                # The last start is left alone, so that every round ends.
                if number < 19:
                    try:
                        process.wait(at)
                    except subprocess.TimeoutExpired:
                        process.send_signal(kind)
                since = time.monotonic()
                said, errors = process.communicate()
                took, code = time.monotonic() - since, process.returncode
                if code == 0:
                    break
                # A process that does not listen yet is ended by the signal itself.
                before_it_listened += code < 0
                expected = {128 + kind, -kind}
                count["signals"] += 1
                sent += 1
                answers.append(took)
                count["slowest"] = round(max(count["slowest"], took), 2)
                if code not in expected or took > LIMIT or b"panicked" in errors:
                    what = {"signal": kind.name, "after": round(at, 2), "seconds": round(took, 2),
                            "exit": code, "said": errors.decode(errors="replace")[-500:]}
                    count["wrong"].append(what)
                    print(f"{command}: {what}", flush=True)
            if code == 0 and place.left(said) != whole[command]:
                names = sorted(name for name, _ in set(place.left(said).items()) ^ set(whole[command].items()))
                count["wrong"].append({"files that differ": names})
                print(f"{command}: {names} differ", flush=True)
            shutil.rmtree(place.folder)
        print(sent, {name: (count["signals"], count["slowest"]) for name, count in counts.items()}, flush=True)

    answers.sort()
    result = {"commit": arguments.commit, "sha256": hashlib.sha256(pemm.read_bytes()).hexdigest(),
              "machine": platform.machine(), "cores": os.cpu_count(), "seed": arguments.seed,
              "photos": 2 * arguments.photos, "signals": sent, "before_it_listened": before_it_listened,
              "seconds_whole": {name: round(value, 2) for name, value in seconds.items()},
              "answer_seconds": {"median": round(answers[len(answers) // 2], 3),
                                 "p95": round(answers[len(answers) * 95 // 100], 3),
                                 "slowest": round(answers[-1], 3)},
              "commands": counts}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    shutil.rmtree(scratch)
    return 1 if any(count["wrong"] for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
