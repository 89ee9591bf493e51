#!/usr/bin/env python3
"""Makes digits.zip, an image folder, from the UCI "Optical Recognition of Handwritten Digits" test set.

    pip download --no-deps scikit-learn==1.9.1
    python3 make_data.py scikit_learn-1.9.1-*.whl

The source is `sklearn/datasets/data/digits.csv.gz` of the scikit-learn package (the .csv.gz alone will do as well): one
image a line, 64 pixels of 0 to 16 and the digit. DATA.md names origin and licence. Python's standard library is enough.
The first 1,437 images become train/<digit>/NNNN.png, the last 360 test/<digit>/NNNN.png; NNNN is the line of the source,
counted from 0. The order is the source's own, so that the two parts share as few writers as possible. The same source
gives the same pictures, and with the same zlib the same bytes.
"""
import gzip
import hashlib
import io
import struct
import sys
import zipfile
import zlib
from pathlib import Path

MEMBER = "sklearn/datasets/data/digits.csv.gz"
SHA256_OF_CSV = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
TRAIN = 1437
SIDE = 8
LEVELS = 16


def read_source(path):
    """The text of the CSV, from a wheel of scikit-learn or from the .csv.gz itself."""
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read(MEMBER)
    text = gzip.decompress(data)
    found = hashlib.sha256(text).hexdigest()
    if found != SHA256_OF_CSV:
        sys.exit(f"{path}: digits.csv has sha256 {found}, not {SHA256_OF_CSV}: it is not the data set that DATA.md describes")
    return text.decode("ascii")


def chunk(kind, body):
    """One chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels):
    """An 8-bit greyscale PNG, white ink on black as in the source; level 16 is white."""
    shades = bytes(round(level * 255 / LEVELS) for level in pixels)
    rows = b"".join(b"\0" + shades[at : at + SIDE] for at in range(0, SIDE * SIDE, SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    files = {}
    for number, line in enumerate(read_source(Path(sys.argv[1])).split()):
        *pixels, digit = map(int, line.split(","))
        part = "train" if number < TRAIN else "test"
        files[f"{part}/{digit}/{number:04}.png"] = png(pixels)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1998, 7, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, files[name])
    target = Path(__file__).with_name("digits.zip")
    target.write_bytes(packed.getvalue())
    print(f"{target}: {len(files)} images, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
