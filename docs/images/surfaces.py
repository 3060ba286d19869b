"""Makes the photographs of the pictures in the guide: pieces of five photographs that come with
scikit-image, all CC0 or in the public domain.

    python docs/images/surfaces.py skimage/data surfaces

`skimage/data` is that folder of the installed package or of its wheel. Of each photograph 40 pieces of
120 to 220 pixels a side are cut at random places and turned by a random angle; a fifth of them goes into
the folder of another class. The same call gives the same pieces.
"""
import pathlib
import random
import sys

from PIL import Image

PHOTOGRAPHS = {"brick": "brick.png", "cat": "chelsea.png", "grass": "grass.png",
               "gravel": "gravel.png", "stars": "hubble_deep_field.jpg"}
PIECES = 40

source, out = map(pathlib.Path, sys.argv[1:])
rng = random.Random(1)
for label, file in PHOTOGRAPHS.items():
    photograph = Image.open(source / file).convert("RGB")
    for number in range(PIECES):
        side = rng.randint(120, 220)
        # The largest square without corners of nothing, whatever the angle, is side / √2.
        cut = int(side * 2 ** 0.5)
        cut = min(cut, *photograph.size)
        left, top = (rng.randint(0, length - cut) for length in photograph.size)
        piece = photograph.crop((left, top, left + cut, top + cut)).rotate(
            rng.uniform(0, 360), Image.Resampling.BICUBIC)
        edge = int(cut * (1 - 0.5 ** 0.5) / 2) + 1
        piece = piece.crop((edge, edge, cut - edge, cut - edge))
        others = [name for name in PHOTOGRAPHS if name != label]
        given = rng.choice(others) if rng.random() < 0.2 else label
        (out / given).mkdir(parents=True, exist_ok=True)
        piece.save(out / given / f"{rng.getrandbits(24):06x}.jpg", quality=90)
