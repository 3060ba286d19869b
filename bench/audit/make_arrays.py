"""Out-of-fold arrays of every label set, as .npy.

    python make_arrays.py PART --prepared FOLDER --digits digits.csv.gz --human cifar10n.csv --out ARRAYS
"""

import argparse
from pathlib import Path

import numpy as np

import label_sets
import models


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["choosing", "aside", "fresh"])
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--digits", required=True)
    parser.add_argument("--human", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    arguments = parser.parse_args()
    sources = label_sets.Sources(arguments.prepared, arguments.digits, arguments.human)
    for name in label_sets.names(arguments.part):
        source = name.split("/")[0]
        for seed in arguments.seeds:
            used, true, given = label_sets.make(sources, name, seed)
            x = models.components(sources.load(source)[0][used], 128)
            for model in label_sets.MODELS[source]:
                folder = arguments.out / name / model / str(seed)
                if (folder / "done").exists():
                    continue
                folder.mkdir(parents=True, exist_ok=True)
                z = x[:, :4] if model == "weak" else x
                out = models.out_of_fold(model, z, given, int(true.max()) + 1, seed)
                out.update(given=given.astype(np.uint32), true=true.astype(np.uint32), features=z)
                out["models"] = out["models"].astype(np.uint32)
                for key, values in out.items():
                    values = values.astype(np.float32) if values.dtype.kind == "f" else values
                    np.save(folder / f"{key}.npy", np.ascontiguousarray(values))
                (folder / "done").touch()
                agreement = (out["probabilities"].argmax(1) == given).mean()
                accuracy = (out["probabilities"].argmax(1) == true).mean()
                print(name, model, seed, len(given), f"wrong {np.mean(true != given):.3f} "
                      f"agreement {agreement:.3f} right {accuracy:.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
