#!/usr/bin/env python3
"""Draws a few small pictures per breed, to rehearse with: python3 make_images.py [FOLDER]

They are no dogs: each breed has stripes of its own colour, direction and width, shifted and blurred by chance, so that there is
something to learn. Needs nothing but Python, and the same arguments always give the same pictures. The layout is that of the
real data set: FOLDER/train, FOLDER/valid and FOLDER/test with a folder per breed.
"""
import argparse
import colorsys
import math
import random
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "dogImages")
    parser.add_argument("--breeds", type=int, default=133, help="how many of the 133 breeds")
    parser.add_argument("--train", type=int, default=4, help="pictures per breed to train with; valid/ and test/ get one each for two of these")
    parser.add_argument("--size", type=int, default=64, help="side in pixels")
    options = parser.parse_args()
    breeds = (HERE / "classes.txt").read_text().split()[: options.breeds]
    counts = {"train": options.train, "valid": max(options.train // 2, 1), "test": max(options.train // 2, 1)}
    for part, count in counts.items():
        for number, breed in enumerate(breeds):
            folder = options.folder / part / breed
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                chance = random.Random(f"{part}/{breed}/{index}")
                (folder / f"{breed[4:]}_{index:05}.png").write_bytes(png(draw(number, options.size, chance), options.size))
    print(f"{options.folder}: {sum(counts.values()) * len(breeds)} pictures of {len(breeds)} breeds")


def draw(number, size, chance):
    """The bytes of an RGB picture, row by row."""
    hue = number * 0.618034 % 1
    light, dark = (colorsys.hsv_to_rgb(hue, 0.7, value) for value in (0.95, 0.35))
    angle = number * 0.754878 % 1 * math.pi + chance.gauss(0, 0.05)
    wave = (3 + number % 5) * 2 * math.pi / size
    across, down, phase = math.cos(angle) * wave, math.sin(angle) * wave, chance.uniform(0, 2 * math.pi)
    pixels = bytearray()
    for y in range(size):
        for x in range(size):
            share = (math.sin(x * across + y * down + phase) + 1) / 2
            noise = chance.uniform(-0.08, 0.08)
            pixels += bytes(int(255 * min(max(share * a + (1 - share) * b + noise, 0), 1)) for a, b in zip(light, dark))
    return bytes(pixels)


def png(pixels, size):
    """An 8-bit RGB PNG."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + pixels[at : at + 3 * size] for at in range(0, len(pixels), 3 * size))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    main()
