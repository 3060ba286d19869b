#!/usr/bin/env python3
"""Lets every n-th operation on files of train, audit, grid and report fail, and compares what they end with.

    bench/faults.py --pemm target/release/pemm --out bench/results/faults.json

For each n of a command: in a new folder its n-th open, write, sync, rename, cut or making of a folder
fails (in a grid the n-th of each process), once with an error of the disk (EIO) and once with a disk
that stays full (ENOSPC). The command has to say so, or to end with all that it leaves; and the same
command without a fault has to end with what it leaves where nothing ever failed. Linux only; needs a C
compiler, Python 3.9 and the binary. Ends with exit code 1 if anything differs.
"""

import argparse
import errno
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from kill import COMMANDS, Place

KINDS = {"EIO": {"FAULTS_ERRNO": str(errno.EIO), "FAULTS_LAST": "0"},
         "ENOSPC, lasting": {"FAULTS_ERRNO": str(errno.ENOSPC), "FAULTS_LAST": "1"}}


def run(place, shim=None, **settings):
    """Exit code and what was said; with faults if there is a shim."""
    environment = dict(os.environ)
    if shim:
        environment |= {"LD_PRELOAD": str(shim), "FAULTS_BELOW": str(place.folder), **settings}
    process = place.start(environment)
    said = process.communicate()[1].decode(errors="replace")
    return process.returncode, said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pemm", type=pathlib.Path, required=True)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--every", type=int, default=1, help="only each so-manieth operation")
    parser.add_argument("--commit", default="", help="what the binary was built from, for the record")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    pemm = arguments.pemm.resolve()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="pemm-faults-"))
    shim = scratch / "faults.so"
    source = pathlib.Path(__file__).with_name("faults.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)

    counts, finished = {}, None
    for command in ["train"] + [name for name in arguments.commands if name != "train"]:
        place = Place(pemm, command, finished)
        operations = scratch / f"{command}.count"
        code, said = run(place, shim, FAULTS_COUNT=str(operations))
        if code != 0:
            sys.exit(f"{command} fails without a fault: {said}")
        whole = place.left()
        if command == "train":
            finished = place.folder / "out"
        if command not in arguments.commands:
            continue
        num = max(int(line) for line in operations.read_text().split())
        count = counts[command] = {"operations": num, "faults": 0, "refused": 0, "differ": []}
        for at in range(1, num + 1, arguments.every):
            for kind, settings in KINDS.items():
                place = Place(pemm, command, finished)
                code, said = run(place, shim, FAULTS_AT=str(at), **settings)
                after, last = run(place)
                count["faults"] += 1
                count["refused"] += code != 0
                silent = code != 0 and not said.strip()
                if silent or after != 0 or place.left() != whole or "panicked" in said:
                    what = {"at": at, "kind": kind, "exit": [code, after], "said": [said[-500:], last[-500:]]}
                    count["differ"].append(what)
                    print(f"{command}: {what}", flush=True)
                place.remove()
        print(command, {key: value for key, value in count.items() if key != "differ"}, flush=True)

    result = {"commit": arguments.commit, "sha256": hashlib.sha256(pemm.read_bytes()).hexdigest(),
              "every": arguments.every, "commands": counts}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    return 1 if any(count["differ"] for count in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
