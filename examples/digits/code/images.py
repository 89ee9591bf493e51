"""Reads an image folder, CHANNEL/<class>/*.png, with the standard library alone."""
import struct
import zlib
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def load_folder(folder):
    """All images under folder/<class>/: their pixels from 0.0 (black) to 1.0 (white), and their class names.

    The order is that of the file names, so that it is the same on every machine.
    """
    pixels, labels = [], []
    for path in sorted(Path(folder).glob("*/*.png")):
        pixels.append([shade / 255 for shade in read_png(path)])
        labels.append(path.parent.name)
    return pixels, labels


def read_png(path):
    """The bytes of an 8-bit greyscale PNG, row by row. ValueError names the file and what is wrong with it."""
    data = path.read_bytes()
    try:
        return decode(data)
    except (struct.error, zlib.error, IndexError) as error:
        raise ValueError(f"{path}: not a whole PNG file: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def decode(data):
    if not data.startswith(SIGNATURE):
        raise ValueError("not a PNG file")
    packed, at = b"", len(SIGNATURE)
    while True:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            if (depth, colour, interlaced) != (8, 0, 0):
                raise ValueError("not 8-bit greyscale without interlacing: save it as that")
        elif kind == b"IDAT":
            packed += body
        elif kind == b"IEND":
            return unfilter(zlib.decompress(packed), width, height)
        at += 12 + size


def unfilter(stream, width, height):
    """Undoes PNG's row filters: each byte was stored as its difference from a guess made of its neighbours."""
    above, image = bytes(width), bytearray()
    for start in range(0, height * (width + 1), width + 1):
        guess = FILTERS[stream[start]]
        row = bytearray()
        for column in range(width):
            left, corner = (row[-1], above[column - 1]) if column else (0, 0)
            row.append((stream[start + 1 + column] + guess(left, above[column], corner)) & 0xFF)
        image += row
        above = row
    return bytes(image)


def paeth(left, up, corner):
    """Whichever neighbour is nearest to left + up - corner."""
    target = left + up - corner
    return min((left, up, corner), key=lambda neighbour: abs(neighbour - target))


FILTERS = [
    lambda left, up, corner: 0,
    lambda left, up, corner: left,
    lambda left, up, corner: up,
    lambda left, up, corner: (left + up) // 2,
    paeth,
]
