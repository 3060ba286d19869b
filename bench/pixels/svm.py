"""The other plain script: a support vector machine with a radial kernel, on histograms of gradients and of
colours for CIFAR-10, on the pixels for the digits. scikit-learn's defaults throughout.

    python bench/pixels/svm.py cifar DATA LABELS.csv worse
    python bench/pixels/svm.py digits digits.csv.gz --seeds 1 2 3
"""
import argparse
import json
import time

import numpy
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import common


def gradients(grey, cell=4, bins=9):
    """Histograms of gradients: cells of 4x4 pixels, nine directions, blocks of 2x2 cells to unit length."""
    dy, dx = numpy.gradient(grey, axis=(1, 2))
    size, angle = numpy.hypot(dy, dx), numpy.arctan2(dy, dx) % numpy.pi
    index = numpy.minimum((angle * bins / numpy.pi).astype(int), bins - 1)
    num, height, width = grey.shape
    cells = numpy.zeros((num, height // cell, width // cell, bins))
    for b in range(bins):
        part = numpy.where(index == b, size, 0)
        cells[..., b] = part.reshape(num, height // cell, cell, width // cell, cell).sum((2, 4))
    blocks = numpy.concatenate([cells[:, :-1, :-1], cells[:, 1:, :-1], cells[:, :-1, 1:], cells[:, 1:, 1:]], -1)
    blocks /= numpy.linalg.norm(blocks, axis=-1, keepdims=True) + 1e-3
    return blocks.reshape(num, -1)


def features(images):
    pixels = images.astype("float64") / 255
    # The mean colour of each of 4x4 regions, and a histogram of each channel.
    regions = pixels.reshape(len(pixels), 4, 8, 4, 8, 3).mean((2, 4)).reshape(len(pixels), -1)
    levels = numpy.stack([((pixels >= low) & (pixels < low + 1 / 8)).mean((1, 2))
                          for low in numpy.arange(8) / 8], -1).reshape(len(pixels), -1)
    return numpy.concatenate([gradients(pixels.mean(-1)), regions, levels], 1)


def main():
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers(dest="kind", required=True)
    cifar = kinds.add_parser("cifar")
    cifar.add_argument("data")
    cifar.add_argument("labels")
    cifar.add_argument("column")
    cifar.add_argument("--per-class", type=int, default=300)
    cifar.set_defaults(seeds=[0])
    digits = kinds.add_parser("digits")
    digits.add_argument("file")
    digits.add_argument("--rate", type=float, default=0.4)
    digits.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    for seed in args.seeds:
        if args.kind == "cifar":
            x, y, x_test, y_test = common.cifar(args.data, args.labels, args.column, args.per_class)
            begin = time.process_time()
            x, x_test = features(x), features(x_test)
            model = make_pipeline(StandardScaler(), SVC())
        else:
            x, y, x_test, y_test = common.digits(args.file, args.rate, seed)
            begin = time.process_time()
            model = SVC()
        right = model.fit(x, y).score(x_test, y_test)
        print(json.dumps({"script": "svm", "data": args.kind, "seed": seed, "train": len(y),
                          "accuracy": round(100 * right, 2),
                          "processor_s": round(time.process_time() - begin, 1)}), flush=True)


if __name__ == "__main__":
    main()
