"""What both scripts read: images of an image folder with labels of a CSV, and the digits.

`cifar(data, labels, column, per_class)` gives the first `per_class` training images of each class with
the labels of `column`, and all test images with their own. `digits(file, rate, seed)` gives the
parts of `pemm train digits`: the last fifth of each class in file order is for the test, the rest gets
symmetric noise (a wrong label is one of the others, each alike) of its own draw.
"""
import csv
import gzip
import pathlib

import numpy
from PIL import Image


def cifar(data, labels, column, per_class):
    data = pathlib.Path(data)
    classes = sorted(folder.name for folder in (data / "train").iterdir())
    with open(labels, newline="") as file:
        given = {row["path"]: row[column] for row in csv.DictReader(file)}
    numbers = {name: number for number, name in enumerate(classes)}

    def number(label):
        return numbers[label] if label in numbers else int(label)

    def pixels(path):
        return numpy.asarray(Image.open(path).convert("RGB"))

    train = [path for name in classes
             for path in sorted((data / "train" / name).iterdir())[:per_class]]
    test = [path for name in classes for path in sorted((data / "test" / name).iterdir())]
    train_labels = [number(given[str(path.relative_to(data))]) if str(path.relative_to(data)) in given
                    else number(given[str(path.relative_to(data / "train"))]) for path in train]
    test_labels = [numbers[path.parent.name] for path in test]
    return (numpy.stack([pixels(path) for path in train]), numpy.array(train_labels),
            numpy.stack([pixels(path) for path in test]), numpy.array(test_labels))


def digits(file, rate, seed):
    table = numpy.loadtxt(gzip.open(file, "rt"), delimiter=",")
    pixels, labels = table[:, :64], table[:, 64].astype(int)
    rng = numpy.random.default_rng(seed)
    places = [numpy.flatnonzero(labels == number) for number in range(10)]
    train = numpy.sort(numpy.concatenate([place[: len(place) - len(place) // 5] for place in places]))
    test = numpy.sort(numpy.concatenate([place[len(place) - len(place) // 5:] for place in places]))
    given = labels[train].copy()
    wrong = rng.random(len(given)) < rate
    given[wrong] = (given[wrong] + rng.integers(1, 10, wrong.sum())) % 10
    return pixels[train], given, pixels[test], labels[test]
