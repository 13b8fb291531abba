#!/usr/bin/env python3
"""Writes train_val.prototxt and deploy.prototxt of the nets that are too repetitive to be
written by hand: googlenet, mobilenet_v1, resnet50, squeezenet and vgg16.

    models/generate.py            write them
    models/generate.py --check    fail if a file differs from what would be written
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent


class Writer:
    """The text of one net. A layer's comment shows how it changes C x H x W."""

    def __init__(self, title, name, training):
        self.training = training
        self.shapes = {}
        self.lines = ["# " + line for line in title.splitlines()]
        self.lines += ["# Written by models/generate.py: change it there. Shapes are C x H x W.",
                       f'name: "{name}"']

    def text(self):
        return "\n".join(self.lines) + "\n"

    def layer(self, type, name, bottoms, top, *bodies, shape=None):
        """Adds a layer whose top has `shape` (that of the first bottom if None)."""
        before = self.shapes[bottoms[0]]
        after = self.shapes[top] = shape or before
        if after != before:
            spell = lambda s: " x ".join(map(str, s))
            self.lines.append(f"# {spell(before)} -> {spell(after)}")
        head = f'name: "{name}"  type: "{type}"  '
        head += "  ".join([f'bottom: "{b}"' for b in bottoms] + [f'top: "{top}"'])
        bodies = [b for b in bodies if b]
        one_line = "layer { " + "  ".join([head, *bodies]) + " }"
        if len(one_line) <= 118:
            self.lines.append(one_line)
        else:
            self.lines += ["layer {", "  " + head, *("  " + b for b in bodies), "}"]
        return top

    def data(self, crop, means, batch, test_batch, scale=None):
        """The data layers of both phases, or the input of a deploy net."""
        self.shapes["data"] = (3, crop, crop)
        self.shapes["label"] = ()
        values = " ".join(f"mean_value: {m}" for m in means)
        if scale:
            values += f" scale: {scale}"
        if not self.training:
            self.lines += [
                "layer {",
                f'  name: "data"  type: "Input"  top: "data"',
                f"  input_param {{ shape {{ dim: 10 dim: 3 dim: {crop} dim: {crop} }} }}",
                f"  transform_param {{ crop_size: {crop} {values} }}  # for `doppio classify`",
                "}"]
            return
        for phase, count, base in (("TRAIN", batch, "train"), ("TEST", test_batch, "val")):
            mirror = "mirror: true " if phase == "TRAIN" else ""
            self.lines += [
                f'layer {{\n  name: "data"  type: "Data"  top: "data"  top: "label"  '
                f'include {{ phase: {phase} }}',
                f"  transform_param {{ {mirror}crop_size: {crop} {values} }}",
                f'  data_param {{ source: "data/ilsvrc12/ilsvrc12_{base}_lmdb" batch_size: {count} '
                "backend: LMDB }\n}"]

    def weights(self, filler, bias, multipliers):
        """What a layer with parameters says about training: `param` lines and fillers."""
        if not self.training:
            return "", ""
        fillers = f" weight_filler {{ {filler} }}"
        if bias:
            fillers += f' bias_filler {{ type: "constant" value: {bias} }}'
        return multipliers, fillers

    def convolution(self, name, bottom, outputs, kernel, stride=1, pad=0, group=1, bias="0",
                    filler='type: "xavier"', multipliers="", top=None):
        """bias: its initial value, or None for no bias."""
        c, h, w = self.shapes[bottom]
        extent = lambda size: (size + 2 * pad - kernel) // stride + 1
        param, fillers = self.weights(filler, bias, multipliers)
        fields = f"num_output: {outputs} kernel_size: {kernel}"
        fields += f" pad: {pad}" if pad else ""
        fields += f" stride: {stride}" if stride > 1 else ""
        fields += f" group: {group}" if group > 1 else ""
        fields += "" if bias else " bias_term: false"
        return self.layer("Convolution", name, [bottom], top or name, param,
                          f"convolution_param {{ {fields}{fillers} }}",
                          shape=(outputs, extent(h), extent(w)))

    def inner_product(self, name, bottom, outputs, bias="0", filler='type: "xavier"',
                      multipliers=""):
        param, fillers = self.weights(filler, bias, multipliers)
        return self.layer("InnerProduct", name, [bottom], name, param,
                          f"inner_product_param {{ num_output: {outputs}{fillers} }}",
                          shape=(outputs,))

    def relu(self, name, blob):
        return self.layer("ReLU", name, [blob], blob)

    def pool(self, name, bottom, kernel, stride=1, pad=0, method="MAX"):
        c, h, w = self.shapes[bottom]
        extent = lambda size: -(-(size + 2 * pad - kernel) // stride) + 1  # rounded up
        fields = f"pool: {method} kernel_size: {kernel} stride: {stride}"
        fields += f" pad: {pad}" if pad else ""
        return self.layer("Pooling", name, [bottom], name, f"pooling_param {{ {fields} }}",
                          shape=(c, extent(h), extent(w)))

    def global_average(self, name, bottom):
        return self.layer("Pooling", name, [bottom], name,
                          "pooling_param { pool: AVE global_pooling: true }",
                          shape=(self.shapes[bottom][0], 1, 1))

    def lrn(self, name, bottom):
        return self.layer("LRN", name, [bottom], name,
                          "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }")

    def dropout(self, name, blob, ratio):
        return self.layer("Dropout", name, [blob], blob,
                          f"dropout_param {{ dropout_ratio: {ratio} }}")

    def concat(self, name, bottoms):
        channels = sum(self.shapes[b][0] for b in bottoms)
        return self.layer("Concat", name, bottoms, name,
                          shape=(channels, *self.shapes[bottoms[0]][1:]))

    def batch_norm(self, name, scale, blob):
        """Normalizes in place and applies a learned scale and shift."""
        self.layer("BatchNorm", name, [blob], blob)
        return self.layer("Scale", scale, [blob], blob, "scale_param { bias_term: true }")

    def classify(self, scores, loss="loss", weight="", accuracy=("accuracy", "accuracy_top5")):
        """Loss and accuracies of a train_val net, probabilities of a deploy net."""
        if not self.training:
            return self.layer("Softmax", "prob", [scores], "prob")
        self.layer("SoftmaxWithLoss", loss, [scores, "label"], loss, weight, shape=())
        for name, param in zip(accuracy, ("", "accuracy_param { top_k: 5 }")):
            self.layer("Accuracy", name, [scores, "label"], name, "include { phase: TEST }",
                       param, shape=())


# Biases learn at twice the rate and do not decay.
TWICE = "param { lr_mult: 1 decay_mult: 1 }  param { lr_mult: 2 decay_mult: 0 }"


def googlenet(net):
    common = dict(bias="0.2", multipliers=TWICE)

    def convolution(name, relu, bottom, outputs, kernel, **more):
        return net.relu(relu, net.convolution(name, bottom, outputs, kernel, **more, **common))

    def inception(name, bottom, one, reduce3, three, reduce5, five, project):
        unit = lambda part, *args, **more: convolution(
            f"{name}/{part}", f"{name}/relu_{part}", *args, **more)
        a = unit("1x1", bottom, one, 1)
        b = unit("3x3", unit("3x3_reduce", bottom, reduce3, 1), three, 3, pad=1)
        c = unit("5x5", unit("5x5_reduce", bottom, reduce5, 1), five, 5, pad=2)
        d = unit("pool_proj", net.pool(f"{name}/pool", bottom, 3, 1, 1), project, 1)
        return net.concat(f"{name}/output", [a, b, c, d])

    def side_classifier(name, bottom):
        """Auxiliary classifier, which brings gradients to the lower half. For training only."""
        if not net.training:
            return
        x = net.pool(f"{name}/ave_pool", bottom, 5, 3, method="AVE")
        x = convolution(f"{name}/conv", f"{name}/relu_conv", x, 128, 1)
        x = net.relu(f"{name}/relu_fc", net.inner_product(f"{name}/fc", x, 1024, **common))
        net.dropout(f"{name}/drop_fc", x, 0.7)
        x = net.inner_product(f"{name}/classifier", x, 1000, multipliers=TWICE)
        net.classify(x, f"{name}/{name}", "loss_weight: 0.3", (f"{name}/top-1", f"{name}/top-5"))

    net.data(224, (104, 117, 123), 32, 50)
    x = convolution("conv1/7x7_s2", "conv1/relu_7x7", "data", 64, 7, stride=2, pad=3)
    x = net.lrn("pool1/norm1", net.pool("pool1/3x3_s2", x, 3, 2))
    x = convolution("conv2/3x3_reduce", "conv2/relu_3x3_reduce", x, 64, 1)
    x = convolution("conv2/3x3", "conv2/relu_3x3", x, 192, 3, pad=1)
    x = net.pool("pool2/3x3_s2", net.lrn("conv2/norm2", x), 3, 2)
    x = inception("inception_3a", x, 64, 96, 128, 16, 32, 32)
    x = inception("inception_3b", x, 128, 128, 192, 32, 96, 64)
    x = net.pool("pool3/3x3_s2", x, 3, 2)
    x = inception("inception_4a", x, 192, 96, 208, 16, 48, 64)
    side_classifier("loss1", x)
    x = inception("inception_4b", x, 160, 112, 224, 24, 64, 64)
    x = inception("inception_4c", x, 128, 128, 256, 24, 64, 64)
    x = inception("inception_4d", x, 112, 144, 288, 32, 64, 64)
    side_classifier("loss2", x)
    x = inception("inception_4e", x, 256, 160, 320, 32, 128, 128)
    x = net.pool("pool4/3x3_s2", x, 3, 2)
    x = inception("inception_5a", x, 256, 160, 320, 32, 128, 128)
    x = inception("inception_5b", x, 384, 192, 384, 48, 128, 128)
    x = net.pool("pool5/7x7_s1", x, 7, 1, method="AVE")
    net.dropout("pool5/drop_7x7_s1", x, 0.4)
    x = net.inner_product("loss3/classifier", x, 1000, multipliers=TWICE)
    net.classify(x, "loss3/loss3", "", ("loss3/top-1", "loss3/top-5"))


def vgg16(net):
    net.data(224, (103.939, 116.779, 123.68), 32, 25)
    x = "data"
    for block, (count, outputs) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for i in range(1, count + 1):
            x = net.convolution(f"conv{block}_{i}", x, outputs, 3, pad=1, multipliers=TWICE)
            net.relu(f"relu{block}_{i}", x)
        x = net.pool(f"pool{block}", x, 2, 2)
    for i in (6, 7):
        x = net.relu(f"relu{i}", net.inner_product(f"fc{i}", x, 4096, multipliers=TWICE))
        net.dropout(f"drop{i}", x, 0.5)
    net.classify(net.inner_product("fc8", x, 1000, multipliers=TWICE))


def resnet50(net):
    msra = 'type: "msra"'

    def unit(suffix, bottom, outputs, kernel, stride=1):
        """Convolution without bias, normalized."""
        x = net.convolution(f"res{suffix}", bottom, outputs, kernel, stride, kernel // 2,
                            bias=None, filler=msra)
        return net.batch_norm(f"bn{suffix}", f"scale{suffix}", x)

    def block(name, bottom, width, stride, project):
        """y = relu(x + f(x)), where f narrows, convolves and widens."""
        shortcut = unit(f"{name}_branch1", bottom, 4 * width, 1, stride) if project else bottom
        x = unit(f"{name}_branch2a", bottom, width, 1, stride)
        net.relu(f"res{name}_branch2a_relu", x)
        x = unit(f"{name}_branch2b", x, width, 3)
        net.relu(f"res{name}_branch2b_relu", x)
        x = unit(f"{name}_branch2c", x, 4 * width, 1)
        x = net.layer("Eltwise", f"res{name}", [shortcut, x], f"res{name}")
        return net.relu(f"res{name}_relu", x)

    net.data(224, (104, 117, 123), 32, 25)
    x = net.convolution("conv1", "data", 64, 7, 2, 3, filler=msra)
    net.batch_norm("bn_conv1", "scale_conv1", x)
    x = net.pool("pool1", net.relu("conv1_relu", x), 3, 2)
    for stage, (count, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], 2):
        for i in range(count):
            stride = 2 if i == 0 and stage > 2 else 1
            x = block(f"{stage}{'abcdef'[i]}", x, width, stride, i == 0)
    x = net.pool("pool5", x, 7, 1, method="AVE")
    net.classify(net.inner_product("fc1000", x, 1000))


def mobilenet_v1(net):
    def unit(name, relu, bottom, outputs, kernel, stride=1, group=1):
        # The few weights of a depthwise convolution should not decay.
        decay = "param { lr_mult: 1 decay_mult: 0 }" if group > 1 else ""
        x = net.convolution(name, bottom, outputs, kernel, stride, kernel // 2, group, bias=None,
                            filler='type: "msra"', multipliers=decay)
        net.batch_norm(f"{name}/bn", f"{name}/scale", x)
        return net.relu(relu, x)

    def separable(name, bottom, outputs, stride=1):
        """A depthwise convolution and a pointwise one."""
        channels = net.shapes[bottom][0]
        x = unit(f"conv{name}/dw", f"relu{name}/dw", bottom, channels, 3, stride, channels)
        return unit(f"conv{name}/sep", f"relu{name}/sep", x, outputs, 1)

    net.data(224, (103.94, 116.78, 123.68), 64, 50, scale=0.017)
    x = unit("conv1", "relu1", "data", 32, 3, 2)
    x = separable("2_1", x, 64)
    x = separable("2_2", x, 128, 2)
    x = separable("3_1", x, 128)
    x = separable("3_2", x, 256, 2)
    x = separable("4_1", x, 256)
    x = separable("4_2", x, 512, 2)
    for i in range(1, 6):
        x = separable(f"5_{i}", x, 512)
    x = separable("5_6", x, 1024, 2)
    x = separable("6", x, 1024)
    x = net.global_average("pool6", x)
    x = net.convolution("fc7", x, 1000, 1, filler='type: "msra"', multipliers=TWICE)
    net.classify(x)


def squeezenet(net):
    def convolution(name, relu, bottom, outputs, kernel, **more):
        return net.relu(relu, net.convolution(name, bottom, outputs, kernel, **more))

    def fire(number, bottom, squeeze, expand):
        unit = lambda part, *args, **more: convolution(
            f"fire{number}/{part}", f"fire{number}/relu_{part}", *args, **more)
        x = unit("squeeze1x1", bottom, squeeze, 1)
        return net.concat(f"fire{number}/concat", [unit("expand1x1", x, expand, 1),
                                                   unit("expand3x3", x, expand, 3, pad=1)])

    net.data(227, (104, 117, 123), 32, 25)
    x = net.pool("pool1", convolution("conv1", "relu_conv1", "data", 64, 3, stride=2), 3, 2)
    x = fire(3, fire(2, x, 16, 64), 16, 64)
    x = net.pool("pool3", x, 3, 2)
    x = fire(5, fire(4, x, 32, 128), 32, 128)
    x = net.pool("pool5", x, 3, 2)
    x = fire(7, fire(6, x, 48, 192), 48, 192)
    x = fire(9, fire(8, x, 64, 256), 64, 256)
    net.dropout("drop9", x, 0.5)
    x = convolution("conv10", "relu_conv10", x, 1000, 1, filler='type: "gaussian" std: 0.01')
    net.classify(net.global_average("pool10", x))


NETS = {
    "googlenet": ("GoogLeNet (Szegedy and others 2014) in the form that Caffe published as "
                  "bvlc_googlenet.", "GoogLeNet", googlenet),
    "mobilenet_v1": ("MobileNet (Howard and others 2017), width multiplier 1, input 224 x 224.",
                     "MobileNet", mobilenet_v1),
    "resnet50": ("ResNet-50 (He, Zhang, Ren, Sun 2015) with the layers of its authors' files.",
                 "ResNet-50", resnet50),
    "squeezenet": ("SqueezeNet 1.1 (Iandola and others 2016) with the layers of its authors' "
                   "files.", "SqueezeNet", squeezenet),
    "vgg16": ("VGG-16 (Simonyan and Zisserman 2014), configuration D.", "VGG-16", vgg16),
}


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    for folder, (title, name, define) in NETS.items():
        for kind in ("train_val", "deploy"):
            use = "Training and testing; data/ilsvrc12/get.sh makes the LMDBs." \
                if kind == "train_val" else \
                "Classification: BGR images minus the mean as input, probabilities as output."
            net = Writer(f"{title}\n{use}", name, kind == "train_val")
            define(net)
            file = HERE / folder / f"{kind}.prototxt"
            if not check:
                file.parent.mkdir(exist_ok=True)
                file.write_text(net.text())
            elif not file.exists() or file.read_text() != net.text():
                sys.exit(f"{file} is not what models/generate.py writes; run it")


if __name__ == "__main__":
    main()
