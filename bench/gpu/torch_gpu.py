"""Training steps of PyTorch on a GPU: `torch_gpu.py OUT.json`.

The networks, loss and optimizer of `../torch_side.py`, on a batch that lies on the device: no data are
read or changed, no loss is read back, so this is the most that a training loop could reach. Each mode
is timed with TF32 (PyTorch's fast float32) and, eager, without. Images/s are of the median of five
turns of steps between two synchronisations.
"""

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
OUT = sys.argv[1]
CASES = [("cnn8", 64, 128, 32), ("resnet44", 16, 128, 32), ("resnet50", 16, 64, 224)]
# The slow one last: if time runs out, it is missing.
MODES = [("eager", False), ("eager", True), ("channels_last", True), ("compiled", True)]


def case(network, width, batch, pixels, mode, tf32):
    sys.argv = ["torch_side.py", mode, "step", f"network={network}", f"width={width}",
                f"batch={batch}", f"pixels={pixels}"]
    sys.modules.pop("torch_side", None)
    import torch
    import torch_side as side

    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(1)
    torch.cuda.reset_peak_memory_stats()
    model = side.Classifier().cuda()
    loss = side.prepared(side.WithLoss(model))
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    images = side.images_of(torch.randn(batch, 3, pixels, pixels).cuda())
    given = (torch.arange(batch) % side.CLASSES).cuda()

    def steps(num):
        for _ in range(num):
            sgd.zero_grad(set_to_none=True)
            loss(images, given).backward()
            sgd.step()
        torch.cuda.synchronize()

    steps(5)
    start = time.perf_counter()
    steps(5)
    num = max(5, int(0.5 / ((time.perf_counter() - start) / 5)))
    turns = []
    for _ in range(5):
        start = time.perf_counter()
        steps(num)
        turns.append(num * batch / (time.perf_counter() - start))
    return {"network": network, "width": width, "batch": batch, "pixels": pixels, "mode": mode,
            "tf32": tf32, "images_per_sec": statistics.median(turns), "turns": turns,
            "peak_mib": torch.cuda.max_memory_allocated() / 2**20, "version": torch.__version__,
            "device": torch.cuda.get_device_name()}


results = []
for mode, tf32 in MODES:
    for network, width, batch, pixels in CASES:
        try:
            result = case(network, width, batch, pixels, mode, tf32)
        except Exception as error:  # what one mode cannot do must not keep the others
            result = {"network": network, "mode": mode, "tf32": tf32, "error": str(error)[:300]}
        results.append(result)
        Path(OUT).write_text(json.dumps(results, indent=1))
        rate = result.get("images_per_sec")
        said = f"{rate:.0f} images/s, {result['peak_mib']:.0f} MiB" if rate else result["error"]
        print(f"torch {network} {mode} {'TF32' if tf32 else 'float32'}: {said}", flush=True)
