"""Writes and reads Caffe's files by their published field numbers only, and has the tool read and write them as well.

Usage: caffe_files_test.py DOPPIO
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

# ---- The binary format: a message is a list of (number, content); numbers stand for varints, bytes for the rest ----


def varint(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def encode(fields):
    out = b""
    for number, content in fields:
        if isinstance(content, int):
            out += varint(number << 3) + varint(content)
        elif isinstance(content, float):
            out += varint(number << 3 | 5) + struct.pack("<f", content)
        else:
            content = content.encode() if isinstance(content, str) else content
            out += varint(number << 3 | 2) + varint(len(content)) + content
    return out


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def decode(data):
    fields, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == 0:
            content, at = read_varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, at = read_varint(data, at)
            content, at = data[at:at + size], at + size
        fields.setdefault(tag >> 3, []).append(content)
    return fields


def floats(data):
    return list(struct.unpack("<%df" % (len(data) // 4), data))


def packed_floats(values):
    return struct.pack("<%df" % len(values), *values)


# ---- Caffe's messages ----

NAME, V1_LAYERS, LAYER = 1, 2, 100  # of NetParameter
LAYER_NAME, LAYER_TYPE, LAYER_BLOBS = 1, 2, 7  # of LayerParameter
V1_NAME, V1_TYPE, V1_BLOBS = 4, 5, 6  # of V1LayerParameter
DATA, SHAPE, RAW_TYPE, RAW_DATA = 5, 7, 10, 12  # of BlobProto
ITER, LEARNED_NET, HISTORY, CURRENT_STEP = 1, 2, 3, 4  # of SolverState


def old_blob(dims, values):
    """With num, channels, height and width, and floats that are not packed."""
    sizes = [(1 + i, d) for i, d in enumerate(dims)]
    return encode(sizes + [(DATA, float(v)) for v in values])


def read_blob(data):
    fields = decode(data)
    dims, at = [], 0
    packed_dims = decode(fields[SHAPE][0]).get(1, [b""])[0]
    while at < len(packed_dims):
        dim, at = read_varint(packed_dims, at)
        dims.append(dim)
    return dims, floats(fields[DATA][0])


def read_weights(file):
    layers = [decode(layer) for layer in decode(file.read_bytes())[LAYER]]
    return {layer[LAYER_NAME][0].decode(): [read_blob(b) for b in layer.get(LAYER_BLOBS, [])] for layer in layers}


def expect_close(actual, expected, what):
    assert len(actual) == len(expected), (what, actual, expected)
    for a, b in zip(actual, expected):
        assert abs(a - b) <= 1e-6 * max(1, abs(b)), (what, actual, expected)


# ---- Training: y = w . x with x = (1, 2), which a Scale layer makes of (1, 1); loss (y - 3)^2 / 2, SGD with momentum ----

NET = """
layer { name: "x" type: "DummyData" top: "x" top: "t"
        dummy_data_param { data_filler { value: 1 } data_filler { value: 3 } shape { dim: 1 dim: 2 } shape { dim: 1 dim: 1 } } }
layer { name: "s" type: "Scale" bottom: "x" top: "xs" param { lr_mult: 0 } scale_param { filler { value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "xs" top: "y" inner_product_param { num_output: 1 bias_term: false } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
RATE, MOMENTUM = 0.05, 0.5
SCALE = [1.0, 2.0]


def solver(folder, iterations):
    (folder / "net.prototxt").write_text(NET)
    text = 'net: "%s" base_lr: %g momentum: %g lr_policy: "fixed" max_iter: %d solver_mode: CPU snapshot_prefix: "%s"'
    file = folder / "solver.prototxt"
    file.write_text(text % (folder / "net.prototxt", RATE, MOMENTUM, iterations, folder / "out"))
    return str(file)


def train(weights, velocity, iterations):
    for _ in range(iterations):
        error = sum(w * x for w, x in zip(weights, SCALE)) - 3
        velocity = [MOMENTUM * v + RATE * error * x for v, x in zip(velocity, SCALE)]
        weights = [w - v for w, v in zip(weights, velocity)]
    return weights, velocity


def check_snapshot(folder, iteration, weights, velocity):
    model = folder / ("out_iter_%d.caffemodel" % iteration)
    blobs = read_weights(model)
    assert blobs["ip"][0][0] == [1, 2] and blobs["s"][0] == ([2], SCALE), blobs
    expect_close(blobs["ip"][0][1], weights, "weights")
    state = decode(model.with_suffix(".solverstate").read_bytes())
    assert state[ITER] == [iteration] and state[LEARNED_NET] == [str(model).encode()], state
    history = [read_blob(b) for b in state[HISTORY]]
    assert [dims for dims, _ in history] == [[2], [1, 2]], history
    expect_close(history[1][1], velocity, "history")


def test_snapshots(run, folder):
    """We read what the tool writes, and it continues from what we write: an old net with an old solver state."""
    old_net = encode([(NAME, "old")] + [
        (V1_LAYERS, encode([(V1_NAME, "s"), (V1_TYPE, 0), (V1_BLOBS, old_blob([1, 1, 1, 2], SCALE))])),
        (V1_LAYERS, encode([(V1_NAME, "ip"), (V1_TYPE, 14), (V1_BLOBS, old_blob([1, 1, 1, 2], [0.25, -0.5]))])),
        (V1_LAYERS, encode([(V1_NAME, "unknown"), (V1_TYPE, 18)]))])
    model = folder / "old.caffemodel"
    model.write_bytes(old_net)
    run("train", "--solver=" + solver(folder, 3), "--weights=" + str(model))
    weights, velocity = train([0.25, -0.5], [0, 0], 3)
    check_snapshot(folder, 3, weights, velocity)

    state = folder / "old.solverstate"
    state.write_bytes(encode([(ITER, 5), (LEARNED_NET, str(model)), (HISTORY, old_blob([1, 1, 1, 2], [0, 0])),
                              (HISTORY, old_blob([1, 1, 1, 2], [0.125, 1]))]))
    run("train", "--solver=" + solver(folder, 7), "--snapshot=" + str(state))
    check_snapshot(folder, 7, *train([0.25, -0.5], [0.125, 1], 2))


def test_upgrade(run, folder):
    """Weights of NVCaffe, in 16 bits, become plain ones."""
    halves = struct.pack("<2e", 1.5, -0.25)
    shape = encode([(1, varint(2))])
    blob = encode([(SHAPE, shape), (RAW_TYPE, 2), (RAW_DATA, halves)])
    before, after = folder / "nv.caffemodel", folder / "plain.caffemodel"
    before.write_bytes(encode([(LAYER, encode([(LAYER_NAME, "l"), (LAYER_TYPE, "Scale"), (LAYER_BLOBS, blob)]))]))
    run("upgrade", str(before), str(after))
    assert read_weights(after) == {"l": [([2], [1.5, -0.25])]}


def test_data(run, folder):
    """Records and mean images."""
    images, labels = folder / "images", folder / "labels"
    images.write_bytes(struct.pack(">4I", 0x803, 2, 1, 2) + bytes([1, 200, 3, 100]))
    labels.write_bytes(struct.pack(">2I", 0x801, 2) + bytes([4, 9]))
    database, mean = folder / "db", folder / "mean.binaryproto"
    run("convert", "idx", "--images=" + str(images), "--labels=" + str(labels), str(database))
    stored = (database / "data.mdb").read_bytes()
    for pixels, label in ((bytes([1, 200]), 4), (bytes([3, 100]), 9)):
        assert encode([(1, 1), (2, 1), (3, 2), (4, pixels), (5, label)]) in stored, label
    run("mean", str(database), str(mean))
    fields = decode(mean.read_bytes())
    assert [fields[i][0] for i in (1, 2, 3, 4)] == [1, 1, 1, 2], fields
    assert floats(fields[DATA][0]) == [2, 150], fields


def test_features(run, folder):
    """Features in float records."""
    (folder / "net.prototxt").write_text(NET)
    model = folder / "w.caffemodel"
    scale = encode([(SHAPE, encode([(1, varint(2))])), (DATA, packed_floats(SCALE))])
    model.write_bytes(encode([(LAYER, encode([(LAYER_NAME, "s"), (LAYER_BLOBS, scale)]))]))
    run("extract", "--model=" + str(folder / "net.prototxt"), "--weights=" + str(model), "--iterations=1", "xs",
        str(folder / "features"))
    record = encode([(1, 2), (2, 1), (3, 1), (6, 1.0), (6, 2.0)])
    assert record in (folder / "features" / "data.mdb").read_bytes()


def main():
    tool = sys.argv[1]

    def run(*arguments):
        done = subprocess.run([tool, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0, done.stdout.decode()

    for test in (test_snapshots, test_upgrade, test_data, test_features):
        with tempfile.TemporaryDirectory() as folder:
            test(run, pathlib.Path(folder))
        print("passed:", test.__name__)


main()
