#!/usr/bin/env python3
"""Makes pictures of three shapes, one folder per class, to try Doppio with.

usage: data/shapes/make_pictures.py FOLDER [COUNT [SEED]]

FOLDER/circle, FOLDER/square and FOLDER/triangle get COUNT (default 100) PNG files of 64 x 64 pixels
each: a shape of random size, place and color on a noisy background of another color. The same
arguments make the same pictures. Only Python's standard library is needed.
"""
import os
import random
import struct
import sys
import zlib

SIDE = 64


def inside(shape, x, y):
    """Whether a point of the square from -1 to 1 belongs to the shape."""
    if shape == "circle":
        return x * x + y * y <= 1
    if shape == "square":
        return max(abs(x), abs(y)) <= 0.85
    return y <= 0.8 and abs(x) <= (y + 1) * 0.55


def picture(shape, draws):
    """Rows of RGB bytes."""
    radius = draws.uniform(12, 26)
    left, top = draws.uniform(radius, SIDE - radius), draws.uniform(radius, SIDE - radius)
    background = [draws.uniform(0, 220) for _ in range(3)]
    color = [(b + draws.uniform(90, 160)) % 256 for b in background]
    rows = []
    for y in range(SIDE):
        row = bytearray()
        for x in range(SIDE):
            base = color if inside(shape, (x - left) / radius, (y - top) / radius) else background
            row += bytes(min(255, max(0, round(c + draws.gauss(0, 12)))) for c in base)
        rows.append(bytes(row))
    return rows


def png(rows):
    """A PNG file of 8-bit RGB pixels."""
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    header = struct.pack(">IIBBBBB", SIDE, len(rows), 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) +
            chunk(b"IEND", b""))


def main():
    arguments = sys.argv[1:]
    if not 1 <= len(arguments) <= 3 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    folder = arguments[0]
    count, seed = (int(a) for a in (arguments[1:] + ["100", "1"][len(arguments) - 1:]))
    draws = random.Random(seed)
    for shape in ("circle", "square", "triangle"):
        os.makedirs(os.path.join(folder, shape), exist_ok=True)
        for number in range(count):
            with open(os.path.join(folder, shape, f"{number:03}.png"), "wb") as file:
                file.write(png(picture(shape, draws)))
    print(f"made {3 * count} pictures in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
