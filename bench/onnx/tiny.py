"""Writes the two tiny networks of the tests of pemm-embed, and what ONNX Runtime makes of them.

    python tiny.py FOLDER

`tiny.onnx` is a mobile network (free batch, 32×32 pixels fixed, a depthwise convolution, squeeze and
excite, a reshape whose shape is computed), `tokens.onnx` a transformer of one layer (free batch,
class token). Weights are drawn from seed 0. `tiny.json` and `tokens.json` hold the outputs of ONNX
Runtime for the images of `images`, which the tests make in the same way. The numbers in these files
belong to onnx 1.23.2, onnxruntime 1.32.0 and numpy 2.4.6.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

SIDE = 32


def images(count, shape):
    """Bytes without a pattern, as values from -1 to 1; the same as in examples/features.rs."""
    size = int(np.prod(shape))
    index = np.arange(count * size, dtype=np.uint64)
    byte = ((index * 2654435761) % 2**32) >> 24
    return (byte.reshape(count, *shape).astype(np.float32) / 255 - 0.5) / np.float32(0.5)


class Graph:
    """Collects nodes and weights."""

    def __init__(self):
        self.random = np.random.default_rng(0)
        self.nodes, self.weights = [], []

    def weight(self, name, *shape):
        fan_in = int(np.prod(shape[1:])) or 1
        values = self.random.standard_normal(shape).astype(np.float32) / np.float32(fan_in**0.5)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def number(self, name, value, kind=np.int64):
        self.weights.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"/{output}", **attributes))
        return output

    def save(self, path, outputs):
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
        graph = helper.make_graph(self.nodes, "tiny", [image], outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model.producer_name = "bench/onnx/tiny.py"
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def mobile(path):
    g = Graph()
    low, high = g.number("low", 0, np.float32), g.number("high", 6, np.float32)
    x = g.node("Conv", ["image", g.weight("w1", 8, 3, 3, 3), g.weight("b1", 8)], "stem",
               strides=[2, 2], pads=[1, 1, 1, 1])
    x = g.node("Clip", [x, low, high], "stem_act")
    y = g.node("Conv", [x, g.weight("w2", 8, 1, 5, 5), g.weight("b2", 8)], "depth",
               group=8, pads=[2, 2, 2, 2])
    y = g.node("HardSwish", [y], "depth_act")
    s = g.node("GlobalAveragePool", [y], "squeeze")
    s = g.node("Sigmoid", [g.node("Conv", [s, g.weight("w3", 8, 8, 1, 1)], "excite")], "gate")
    y = g.node("Mul", [y, s], "gated")
    y = g.node("Conv", [y, g.weight("w4", 8, 8, 1, 1), g.weight("b4", 8)], "point")
    x = g.node("Add", [x, y], "residual")
    x = g.node("Conv", [x, g.weight("w5", 16, 1, 3, 3), g.weight("b5", 16)], "depth2",
               group=8, strides=[2, 2], pads=[0, 0, 1, 1])
    x = g.node("Relu", [x], "depth2_act")
    x = g.node("ReduceMean", [x], "pooled", axes=[2, 3], keepdims=1)
    batch = g.node("Gather", [g.node("Shape", [x], "shape"), g.number("zero", 0)], "batch")
    batch = g.node("Unsqueeze", [batch, g.number("axis", [0])], "batch1")
    to = g.node("Concat", [batch, g.number("rest", [-1])], "to", axis=0)
    x = g.node("Reshape", [x, to], "flat")
    g.node("Gemm", [x, g.weight("w6", 12, 16), g.weight("b6", 12)], "features", transB=1)
    g.save(path, [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 12])])


def tokens(path):
    g, d = Graph(), 16
    x = g.node("Conv", ["image", g.weight("w1", d, 3, 8, 8)], "patches", strides=[8, 8])
    x = g.node("Reshape", [x, g.number("flat", [0, d, -1])], "flat_patches")
    x = g.node("Transpose", [x], "positions", perm=[0, 2, 1])
    batch = g.node("Gather", [g.node("Shape", [x], "shape"), g.number("zero", [0])], "batch")
    to = g.node("Concat", [batch, g.number("one_by", [1, d])], "to", axis=0)
    token = g.node("Expand", [g.weight("token", 1, 1, d), to], "tokens")
    x = g.node("Concat", [token, x], "all", axis=1)
    x = g.node("Add", [x, g.weight("place", 1, 17, d)], "placed")
    n = g.node("LayerNormalization", [x, g.weight("n1", d), g.weight("n2", d)], "norm", axis=-1)
    q, k, v = (g.node("MatMul", [n, g.weight(f"w{c}", d, d)], c) for c in "qkv")
    scores = g.node("MatMul", [q, g.node("Transpose", [k], "kt", perm=[0, 2, 1])], "scores")
    weights = g.node("Softmax", [scores], "weights", axis=-1)
    x = g.node("Add", [x, g.node("MatMul", [weights, v], "mixed")], "attended")
    g.node("Tanh", [x], "last_hidden_state")
    g.save(path, [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["N", 17, d])])


def main():
    folder = Path(sys.argv[1])
    for name, make in ("tiny", mobile), ("tokens", tokens):
        make(folder / f"{name}.onnx")
        session = ort.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        (output,) = session.run(None, {"image": images(3, (3, SIDE, SIDE))})
        rows = [[float(f"{value:.8g}") for value in row.ravel()] for row in output]
        (folder / f"{name}.json").write_text(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()
