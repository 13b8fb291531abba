"""The nets of models/ in PyTorch, layer by layer the same, for comparison by run.py.

    pytorch_nets.py NET train|forward BATCH [--channels_last] [--compile] [--cuda] [--bf16|--tf32] [--wait]

builds the net, runs two steps (--wait: once it has read a line) and then, for every number N on standard input, prints the seconds of N steps: of
training (forward, backward, SGD with momentum and weight decay) or of forward passes alone.
The images are random and lie in memory; loading them is not timed.
"""
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def conv(inputs, outputs, kernel, stride=1, pad=0, groups=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups),
                         nn.ReLU(inplace=True))


def conv_bn(inputs, outputs, kernel, stride=1, groups=1, bias=False, relu=True):
    """Convolution, batch normalization and perhaps a ReLU."""
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias),
              nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


def full(inputs, outputs, dropout):
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout))


def pool(kernel, stride, pad=0):
    return nn.MaxPool2d(kernel, stride, pad, ceil_mode=True)


def lrn():
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)


def alexnet():
    return nn.Sequential(
        conv(3, 96, 11, 4), lrn(), pool(3, 2),
        conv(96, 256, 5, pad=2, groups=2), lrn(), pool(3, 2),
        conv(256, 384, 3, pad=1), conv(384, 384, 3, pad=1, groups=2),
        conv(384, 256, 3, pad=1, groups=2), pool(3, 2),
        nn.Flatten(), full(9216, 4096, 0.5), full(4096, 4096, 0.5), nn.Linear(4096, 1000))


def caffenet():
    return nn.Sequential(
        conv(3, 96, 11, 4), pool(3, 2), lrn(),
        conv(96, 256, 5, pad=2, groups=2), pool(3, 2), lrn(),
        conv(256, 384, 3, pad=1), conv(384, 384, 3, pad=1, groups=2),
        conv(384, 256, 3, pad=1, groups=2), pool(3, 2),
        nn.Flatten(), full(9216, 4096, 0.5), full(4096, 4096, 0.5), nn.Linear(4096, 1000))


class Branches(nn.ModuleList):
    """Modules side by side, their results joined along the channels."""

    def forward(self, x):
        return torch.cat([branch(x) for branch in self], 1)


def inception(inputs, one, reduce3, three, reduce5, five, project):
    return Branches([
        conv(inputs, one, 1),
        nn.Sequential(conv(inputs, reduce3, 1), conv(reduce3, three, 3, pad=1)),
        nn.Sequential(conv(inputs, reduce5, 1), conv(reduce5, five, 5, pad=2)),
        nn.Sequential(pool(3, 1, 1), conv(inputs, project, 1))])


class GoogLeNet(nn.Module):
    def __init__(self):
        super().__init__()
        side = lambda inputs: nn.Sequential(
            nn.AvgPool2d(5, 3), conv(inputs, 128, 1), nn.Flatten(), full(2048, 1024, 0.7),
            nn.Linear(1024, 1000))
        self.stem = nn.Sequential(
            conv(3, 64, 7, 2, 3), pool(3, 2), lrn(),
            conv(64, 64, 1), conv(64, 192, 3, pad=1), lrn(), pool(3, 2),
            inception(192, 64, 96, 128, 16, 32, 32), inception(256, 128, 128, 192, 32, 96, 64),
            pool(3, 2), inception(480, 192, 96, 208, 16, 48, 64))
        self.side1 = side(512)
        self.middle = nn.Sequential(
            inception(512, 160, 112, 224, 24, 64, 64), inception(512, 128, 128, 256, 24, 64, 64),
            inception(512, 112, 144, 288, 32, 64, 64))
        self.side2 = side(528)
        self.head = nn.Sequential(
            inception(528, 256, 160, 320, 32, 128, 128), pool(3, 2),
            inception(832, 256, 160, 320, 32, 128, 128),
            inception(832, 384, 192, 384, 48, 128, 128),
            nn.AvgPool2d(7), nn.Flatten(), nn.Dropout(0.4), nn.Linear(1024, 1000))

    def forward(self, x):
        a = self.stem(x)
        b = self.middle(a)
        if not self.training:
            return self.head(b)
        return self.head(b), self.side1(a), self.side2(b)

    @staticmethod
    def loss(outputs, labels):
        main, side1, side2 = (F.cross_entropy(o, labels) for o in outputs)
        return main + 0.3 * side1 + 0.3 * side2


def vgg16():
    layers, inputs = [], 3
    for count, outputs in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]:
        for _ in range(count):
            layers.append(conv(inputs, outputs, 3, pad=1))
            inputs = outputs
        layers.append(pool(2, 2))
    return nn.Sequential(*layers, nn.Flatten(), full(25088, 4096, 0.5), full(4096, 4096, 0.5),
                         nn.Linear(4096, 1000))


class Residual(nn.Module):
    """y = relu(shortcut(x) + f(x)), where f narrows, convolves and widens."""

    def __init__(self, inputs, width, stride, project):
        super().__init__()
        self.f = nn.Sequential(conv_bn(inputs, width, 1, stride), conv_bn(width, width, 3),
                               conv_bn(width, 4 * width, 1, relu=False))
        self.shortcut = conv_bn(inputs, 4 * width, 1, stride, relu=False) if project \
            else nn.Identity()

    def forward(self, x):
        return F.relu(self.shortcut(x) + self.f(x), inplace=True)


def resnet50():
    layers, inputs = [conv_bn(3, 64, 7, 2, bias=True), pool(3, 2)], 64
    for stage, (count, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)]):
        for i in range(count):
            layers.append(Residual(inputs, width, 2 if i == 0 and stage > 0 else 1, i == 0))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AvgPool2d(7), nn.Flatten(), nn.Linear(2048, 1000))


def mobilenet_v1():
    layers, inputs = [conv_bn(3, 32, 3, 2)], 32
    for outputs, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
                            *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        layers += [conv_bn(inputs, inputs, 3, stride, inputs), conv_bn(inputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(1024, 1000, 1), nn.Flatten())


def fire(inputs, squeeze, expand):
    return nn.Sequential(conv(inputs, squeeze, 1),
                         Branches([conv(squeeze, expand, 1), conv(squeeze, expand, 3, pad=1)]))


def squeezenet():
    return nn.Sequential(
        conv(3, 64, 3, 2), pool(3, 2), fire(64, 16, 64), fire(128, 16, 64), pool(3, 2),
        fire(128, 32, 128), fire(256, 32, 128), pool(3, 2), fire(256, 48, 192),
        fire(384, 48, 192), fire(384, 64, 256), fire(512, 64, 256), nn.Dropout(0.5),
        conv(512, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class AveragePool(nn.AvgPool2d):
    def __init__(self):
        super().__init__(3, 2, ceil_mode=True)


def cifar10_quick():
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2), pool(3, 2), nn.ReLU(inplace=True),
        conv(32, 32, 5, pad=2), AveragePool(), conv(32, 64, 5, pad=2), AveragePool(),
        nn.Flatten(), nn.Linear(1024, 64), nn.Linear(64, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), pool(2, 2), nn.Conv2d(20, 50, 5), pool(2, 2), nn.Flatten(),
        nn.Linear(800, 500), nn.ReLU(inplace=True), nn.Linear(500, 10))


# Constructor, input C x H x W, number of classes.
NETS = {
    "alexnet": (alexnet, (3, 227, 227), 1000),
    "caffenet": (caffenet, (3, 227, 227), 1000),
    "googlenet": (GoogLeNet, (3, 224, 224), 1000),
    "vgg16": (vgg16, (3, 224, 224), 1000),
    "resnet50": (resnet50, (3, 224, 224), 1000),
    "mobilenet_v1": (mobilenet_v1, (3, 224, 224), 1000),
    "squeezenet": (squeezenet, (3, 227, 227), 1000),
    "cifar10_quick": (cifar10_quick, (3, 32, 32), 10),
    "lenet": (lenet, (1, 28, 28), 10),
}


def main():
    name, mode, batch, *flags = sys.argv[1:]
    flags = [flag.lower() for flag in flags]
    device = "cuda" if "--cuda" in flags else "cpu"
    torch.manual_seed(0)
    create, shape, classes = NETS[name]
    net, x = create().to(device), torch.randn(int(batch), *shape, device=device)
    labels = torch.randint(classes, (int(batch),), device=device)
    if "--channels_last" in flags:
        net, x = (v.to(memory_format=torch.channels_last) for v in (net, x))
    net.train(mode == "train")
    loss_of = getattr(net, "loss", F.cross_entropy)
    solver = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True)
    rounded = torch.autocast(device, torch.bfloat16,
                             enabled="--bf16" in flags or "--bfloat16" in flags)
    # Products and convolutions have defaults of their own.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = "--tf32" in flags
    torch.backends.cudnn.benchmark = True
    compute = torch.compile(net) if "--compile" in flags else net

    def train():
        with rounded:
            loss = loss_of(compute(x), labels)
        solver.zero_grad()
        loss.backward()
        solver.step()

    def forward():
        with torch.inference_mode(), rounded:
            compute(x).softmax(1)

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    step = train if mode == "train" else forward
    if "--wait" in flags:
        sys.stdin.readline()
    for _ in range(2):
        step()
    wait()
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        for _ in range(int(line)):
            step()
        wait()
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
