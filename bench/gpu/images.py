"""An image folder of noise: ten classes, JPEG. `images.py FOLDER SIDE [COUNT]`"""

import io
import sys
from pathlib import Path

import numpy
from PIL import Image

folder, side = Path(sys.argv[1]), int(sys.argv[2])
count = int(sys.argv[3] or (1024 if side > 64 else 8192))
rng = numpy.random.default_rng(1)
for index in range(count):
    path = folder / f"class{index % 10}" / f"{index:05}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=numpy.uint8)
    Image.fromarray(coarse).resize((side, side)).save(path, quality=85)
