"""Times AlexNet's convolutions in PyTorch, in layouts and groupings to choose from.

    pytorch_sweep.py BATCH RESULT.csv [--cuda]

Each of the five convolutions, forward and backward, in NCHW and NHWC, with its groups, as separate
halves and with one dense group; the first one also after space-to-depth, which makes its 11 x 11
windows of 3 channels 3 x 3 windows of 48; and the first inner product. Rows are written at once.
"""

import csv
import sys
import time

import torch
from torch.nn import functional as F

# Channels in, height and width, channels out, kernel, stride, pad, groups.
LAYERS = {
    "conv1": (3, 227, 96, 11, 4, 0, 1),
    "conv1 as space-to-depth": (48, 57, 96, 3, 1, 0, 1),
    "conv2": (96, 27, 256, 5, 1, 2, 2),
    "conv3": (256, 13, 384, 3, 1, 1, 1),
    "conv4": (384, 13, 384, 3, 1, 1, 2),
    "conv5": (384, 13, 256, 3, 1, 1, 2),
}
TYPES = {"FLOAT32": torch.float32, "TF32": torch.float32, "BFLOAT16": torch.bfloat16}


def milliseconds(step, device, repeats):
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(2):
        step()
    wait()
    begin = time.perf_counter()
    for _ in range(repeats):
        step()
    wait()
    return 1e3 * (time.perf_counter() - begin) / repeats


def convolution(layer, grouping, batch, type_, layout, device):
    """Forward pass and gradients of one layer: functions without arguments."""
    channels, side, outputs, kernel, stride, pad, groups = layer
    parts = groups if grouping == "halves" else 1
    groups = groups if grouping == "groups" else 1
    make = (
        lambda *shape: torch.randn(*shape, device=device, dtype=TYPES[type_])
        .to(memory_format=layout)
        .requires_grad_()
    )
    xs = [make(batch, channels // parts, side, side) for _ in range(parts)]
    weights = [
        make(outputs // parts, channels // parts // groups, kernel, kernel) for _ in range(parts)
    ]
    forward = lambda: [F.conv2d(x, w, None, stride, pad, 1, groups) for x, w in zip(xs, weights)]
    ys = forward()
    dys = [torch.randn_like(y) for y in ys]
    backward = lambda: torch.autograd.grad(ys, xs + weights, dys, retain_graph=True)
    return forward, backward


def inner_product(batch, type_, device):
    x = torch.randn(batch, 9216, device=device, dtype=TYPES[type_], requires_grad=True)
    weight = torch.randn(4096, 9216, device=device, dtype=TYPES[type_], requires_grad=True)
    forward = lambda: F.linear(x, weight)
    y = forward()
    dy = torch.randn_like(y)
    return forward, lambda: torch.autograd.grad(y, [x, weight], dy, retain_graph=True)


def cases():
    for type_ in ("BFLOAT16", "TF32", "FLOAT32"):
        for name, layer in LAYERS.items():
            for layout in ("NHWC", "NCHW"):
                for grouping in ("groups", "halves", "dense") if layer[-1] > 1 else ("groups",):
                    yield type_, name, layout, grouping
        yield type_, "fc6", "", ""


def main():
    batch, result, *flags = sys.argv[1:]
    device = "cuda" if "--cuda" in flags else "cpu"
    repeats = 20 if device == "cuda" else 1
    torch.backends.cudnn.benchmark = True
    with open(result, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["type", "layer", "layout", "grouping", "forward ms", "backward ms"])
        for type_, name, layout, grouping in cases():
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = (
                type_ == "TF32"
            )
            if name == "fc6":
                passes = inner_product(int(batch), type_, device)
            else:
                memory = torch.channels_last if layout == "NHWC" else torch.contiguous_format
                passes = convolution(LAYERS[name], grouping, int(batch), type_, memory, device)
            with torch.no_grad():
                forward = milliseconds(passes[0], device, repeats)
            rows.writerow(
                [
                    type_,
                    name,
                    layout,
                    grouping,
                    f"{forward:.3f}",
                    f"{milliseconds(passes[1], device, repeats):.3f}",
                ]
            )
            file.flush()


if __name__ == "__main__":
    main()
