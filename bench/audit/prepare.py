"""Reads 500 CIFAR-10 images a class and makes frozen features of them.

    python prepare.py cifar10-jpeg.tar.gz efficientnet-lite0-features.onnx FOLDER
"""

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from label_sets import CIFAR

A_CLASS = 500
BATCH = 25


def main(archive, network, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = member.name.split("/")
            if member.isfile() and parts[0] == "train" and int(parts[2][:4]) < A_CLASS:
                image = Image.open(io.BytesIO(tar.extractfile(member).read()))
                images[member.name] = np.asarray(image.convert("RGB"))
    names = sorted(images)
    pixels = np.stack([images[name] for name in names])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(network, options)
    name = session.get_inputs()[0].name
    features = []
    for start in range(0, len(pixels), BATCH):
        large = [
            np.asarray(Image.fromarray(image).resize((224, 224), Image.BICUBIC))
            for image in pixels[start : start + BATCH]
        ]
        scaled = ((np.stack(large).astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
        features.append(session.run(None, {name: scaled})[0])
    np.save(folder / "features.npy", np.concatenate(features))
    np.save(folder / "pixels.npy", pixels)
    np.save(folder / "true.npy", np.array([CIFAR.index(name.split("/")[1]) for name in names]))
    (folder / "names.txt").write_text("\n".join(names))


if __name__ == "__main__":
    main(*sys.argv[1:])
