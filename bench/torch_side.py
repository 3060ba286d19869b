"""PyTorch's side of the comparison: a worker with the protocol of `src/main.rs`.

`torch_side.py <mode> <task> key=value …` with mode eager, channels_last or compiled (which is
channels-last and `torch.compile`). The networks, the loss and the optimizer are those of `pemm`.
"""

import json
import os
import sys
import time
from pathlib import Path

ARGUMENTS = dict(word.split("=", 1) for word in sys.argv[3:])
THREADS = int(ARGUMENTS.get("threads", os.cpu_count()))
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))

import numpy
import torch
from torch import nn
from torch.nn import functional

MODE, TASK = sys.argv[1:3]
CLASSES = 10
# Height and width of an image.
PIXELS = int(ARGUMENTS.get("pixels", 32))


class Block(nn.Module):
    """Convolution, BatchNorm, ReLU, and 2×2 max pooling if it ends a block."""

    def __init__(self, ins, outs, pools, stride=1, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, 3, stride, 1, bias=bias)
        self.norm = nn.BatchNorm2d(outs)
        self.pools = pools

    def forward(self, x):
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        return functional.max_pool2d(x, 2) if self.pools else x


class Cnn8(nn.Module):
    def __init__(self, width):
        super().__init__()
        third = 49 * width // 16
        channels = [3, width, width, 2 * width, 2 * width, third, third]
        pairs = zip(channels, channels[1:])
        self.blocks = nn.Sequential(
            *(Block(ins, outs, index % 2 == 1) for index, (ins, outs) in enumerate(pairs))
        )
        self.fc = nn.Linear(third * 16, 4 * width)
        self.norm = nn.BatchNorm1d(4 * width)
        self.num_features = 4 * width

    def forward(self, x):
        return functional.relu(self.norm(self.fc(self.blocks(x).flatten(1))))


class Residual(nn.Module):
    def __init__(self, ins, outs):
        super().__init__()
        stride = 1 if ins == outs else 2
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outs)
        self.halves = ins != outs

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.halves:
            half = x.shape[1] // 2
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        return functional.relu(y + x, inplace=True)


class ResNet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        blocks, ins = [], 16
        for outs in (16, 32, 64):
            for _ in range((depth - 2) // 6):
                blocks.append(Residual(ins, outs))
                ins = outs
        self.blocks = nn.Sequential(*blocks)
        self.num_features = 64

    def forward(self, x):
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        return self.blocks(x).mean((2, 3))


class Cnn(nn.Module):
    """Three stages of two convolutions, as `cnn` has for 32×32 images."""

    def __init__(self, width):
        super().__init__()
        channels = [3] + [width * 2**stage for stage in range(3) for _ in range(2)]
        pairs = zip(channels, channels[1:])
        self.blocks = nn.Sequential(
            *(Block(ins, outs, index % 2 == 1, bias=False) for index, (ins, outs) in enumerate(pairs))
        )
        self.num_features = 4 * width

    def forward(self, x):
        return self.blocks(x).mean((2, 3))


class Bottleneck(nn.Module):
    def __init__(self, ins, inner, stride):
        super().__init__()
        outs = 4 * inner
        self.conv1 = nn.Conv2d(ins, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outs, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outs)
        self.around = nn.Identity()
        if stride > 1 or ins != outs:
            conv = nn.Conv2d(ins, outs, 1, stride, bias=False)
            self.around = nn.Sequential(conv, nn.BatchNorm2d(outs))

    def forward(self, x):
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = functional.relu(self.norm2(self.conv2(y)), inplace=True)
        return functional.relu(self.norm3(self.conv3(y)) + self.around(x), inplace=True)


class ResNet50(nn.Module):
    """As torchvision has it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        blocks, ins = [], 64
        for inner, num, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for place in range(num):
                blocks.append(Bottleneck(ins, inner, stride if place == 0 else 1))
                ins = 4 * inner
        self.blocks = nn.Sequential(*blocks)
        self.num_features = 2048

    def forward(self, x):
        x = functional.relu(self.norm(self.conv(x)), inplace=True)
        return self.blocks(functional.max_pool2d(x, 3, 2, 1)).mean((2, 3))


def backbone(network):
    width = int(ARGUMENTS["width"])
    named = {"cnn8": lambda: Cnn8(width), "cnn": lambda: Cnn(width), "resnet50": ResNet50}
    return named.get(network, lambda: ResNet(int(network[6:])))()


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = backbone(ARGUMENTS.get("network", "cnn8"))
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(self.backbone.num_features, CLASSES)

    def forward(self, x):
        return self.head(self.dropout(self.backbone(x)))


def prepared(module):
    """The module in the mode asked for."""
    if MODE != "eager":
        module = module.to(memory_format=torch.channels_last)
    return torch.compile(module, dynamic=False) if MODE == "compiled" else module


def images_of(array):
    return array if MODE == "eager" else array.contiguous(memory_format=torch.channels_last)


class Training:
    def __init__(self):
        self.model = Classifier()
        self.num_parameters = sum(p.numel() for p in self.model.parameters())
        self.loss = prepared(WithLoss(self.model))
        # The fused update is the fastest of PyTorch's on the CPU.
        self.sgd = torch.optim.SGD(
            self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True
        )

    def step(self, images, given):
        self.sgd.zero_grad(set_to_none=True)
        loss = self.loss(images, given)
        loss.backward()
        self.sgd.step()
        return loss.item()


class WithLoss(nn.Module):
    """Network and loss in one, so that both are compiled."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images, given):
        return functional.cross_entropy(self.model(images), given)


class Step:
    def __init__(self):
        self.training = Training()
        self.num_parameters = self.training.num_parameters
        batch = int(ARGUMENTS["batch"])
        self.images = images_of(torch.randn(batch, 3, PIXELS, PIXELS))
        self.given = torch.arange(batch) % CLASSES

    def run(self):
        return len(self.given), self.training.step(self.images, self.given)


class Forward:
    def __init__(self):
        model = Classifier().eval()
        self.num_parameters = sum(p.numel() for p in model.parameters())
        self.model = prepared(model)
        self.images = images_of(torch.randn(int(ARGUMENTS["batch"]), 3, PIXELS, PIXELS))

    def run(self):
        with torch.no_grad():
            return len(self.images), self.model(self.images).mean().item()


class Layer:
    num_parameters = 0

    def __init__(self):
        number = lambda key: int(ARGUMENTS[key])
        ins, outs, side = number("ins"), number("outs"), number("side")
        block = Block(ins, outs, number("pools") == 1, number("stride"), bias=False)
        self.block = prepared(block)
        self.x = images_of(torch.randn(number("batch"), ins, side, side))
        self.x.requires_grad_(ins > 3)
        self.backward = number("backward") == 1
        self.ones = None

    def run(self):
        y = self.block(self.x)
        if self.backward:
            if self.ones is None:
                self.ones = torch.ones_like(y)
            self.block.zero_grad(set_to_none=True)
            self.x.grad = None
            y.backward(self.ones)
        return len(self.x), 0.0


class Files(torch.utils.data.Dataset):
    """The first JPEG files of every class, flipped and shifted as `pemm` does by default."""

    def __init__(self):
        classes = sorted(p for p in Path(ARGUMENTS["data"]).iterdir() if p.is_dir())[:CLASSES]
        each = int(ARGUMENTS["images"]) // len(classes)
        self.files = [
            (str(path), label)
            for label, folder in enumerate(classes)
            for path in sorted(folder.iterdir())[:each]
        ]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        from PIL import Image

        path, label = self.files[index]
        with Image.open(path) as image:
            pixels = numpy.asarray(image.convert("RGB").resize((32, 32)), dtype=numpy.float32)
        if torch.rand(()) < 0.5:
            pixels = pixels[:, ::-1]
        down, right = torch.randint(-3, 4, (2,)).tolist()
        pixels = numpy.pad(pixels, ((3, 3), (3, 3), (0, 0)), mode="edge")
        pixels = pixels[3 - down : 35 - down, 3 - right : 35 - right]
        scaled = (pixels / 255.0 - 0.5) / 0.25
        return torch.from_numpy(numpy.ascontiguousarray(scaled.transpose(2, 0, 1))), label


class Epoch:
    """An epoch from JPEG files, with training or without."""

    def __init__(self, trains):
        self.training = Training() if trains else None
        self.num_parameters = self.training.num_parameters if trains else 0
        self.loader = torch.utils.data.DataLoader(
            Files(),
            batch_size=int(ARGUMENTS["batch"]),
            shuffle=True,
            num_workers=int(ARGUMENTS.get("workers", 2)),
            persistent_workers=True,
        )

    def run(self):
        count, loss = 0, 0.0
        for images, given in self.loader:
            count += len(given)
            if self.training:
                loss = self.training.step(images_of(images), given)
        return count, loss


def status(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    tasks = {
        "step": Step,
        "forward": Forward,
        "layer": Layer,
        "loader": lambda: Epoch(False),
        "epoch": lambda: Epoch(True),
    }
    task = tasks[TASK]()
    idle = status("VmRSS:")
    described = {
        "side": MODE,
        "task": TASK,
        "threads": torch.get_num_threads(),
        "parameters": task.num_parameters,
        "idle_kib": idle,
        "version": torch.__version__,
    }
    print(json.dumps(described), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            images, loss = task.run()
            seconds.append(time.perf_counter() - start)
        peak = status("VmHWM:")
        answer = {
            "seconds": seconds,
            "images": images,
            "loss": loss,
            "peak_kib": peak,
            "growth_kib": peak - idle,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
