"""The plain script that `pemm train` has to be better than: a three-stage network, 30 epochs of AdamW with
one-cycle, label smoothing, a random crop and a flip. Nothing is tuned, and nothing knows of wrong labels.

    python bench/pixels/plain_torch.py cifar DATA LABELS.csv worse --seeds 1 2 3
    python bench/pixels/plain_torch.py digits digits.csv.gz --seeds 1 2 3

prints a line of JSON per seed: accuracy on the test images after the last epoch, and processor seconds of
the training alone.
"""
import argparse
import json
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F

import common


def network(channels, widths):
    layers = []
    for width in widths:
        for inputs in (channels, width):
            layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def changed(images, pad, flips):
    """A random crop of the padded image for each, and a flip for half of them."""
    side = images.shape[-1]
    padded = F.pad(images, [pad] * 4)
    y, x = torch.randint(0, 2 * pad + 1, (2, len(images)))
    out = torch.stack([image[:, a:a + side, b:b + side] for image, a, b in zip(padded, y, x)])
    if flips:
        flip = torch.rand(len(out)) < 0.5
        out[flip] = out[flip].flip(-1)
    return out


def train(images, labels, widths, pad, flips, seed, epochs=30, batch=64, rate=3e-3):
    torch.manual_seed(seed)
    model = network(images.shape[1], widths)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    steps = epochs * -(-len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(batch):
            loss = F.cross_entropy(model(changed(images[chosen], pad, flips)), labels[chosen],
                                   label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main():
    parser = argparse.ArgumentParser()
    kinds = parser.add_subparsers(dest="kind", required=True)
    cifar = kinds.add_parser("cifar")
    cifar.add_argument("data")
    cifar.add_argument("labels")
    cifar.add_argument("column")
    cifar.add_argument("--per-class", type=int, default=300)
    digits = kinds.add_parser("digits")
    digits.add_argument("file")
    digits.add_argument("--rate", type=float, default=0.4)
    for kind in (cifar, digits):
        kind.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
        kind.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for seed in args.seeds:
        if args.kind == "cifar":
            x, y, x_test, y_test = common.cifar(args.data, args.labels, args.column, args.per_class)
            x, x_test = (numpy.moveaxis(part, -1, 1).astype("float32") / 255 for part in (x, x_test))
            widths, pad, flips = (32, 64, 128), 4, True
        else:
            x, y, x_test, y_test = common.digits(args.file, args.rate, seed)
            x, x_test = (part.reshape(-1, 1, 8, 8).astype("float32") / 16 for part in (x, x_test))
            widths, pad, flips = (32, 64), 1, False
        mean, deviation = (f(x, axis=(0, 2, 3), keepdims=True) for f in (numpy.mean, numpy.std))
        x, x_test = (torch.from_numpy((part - mean) / deviation) for part in (x, x_test))
        begin = time.process_time()
        model = train(x, torch.from_numpy(y), widths, pad, flips, seed)
        seconds = time.process_time() - begin
        with torch.no_grad():
            scores = torch.cat([model(part) for part in x_test.split(500)])
        right = (scores.argmax(1) == torch.from_numpy(y_test)).float().mean().item()
        print(json.dumps({"script": "plain_torch", "data": args.kind, "seed": seed, "train": len(y),
                          "accuracy": round(100 * right, 2), "processor_s": round(seconds, 1)}), flush=True)


if __name__ == "__main__":
    main()
