"""A PNG with at most 256 colours instead of millions: a third of the bytes, and hardly a difference to see."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOURS: Final = 256
_GROUNDS: Final = 32
"""Of the colours that are there most none is left out: an eye sees a ground that changes."""
_CHANNELS: Final = {2: 3, 6: 4}
"""Of the colour types that browsers write."""


def quantized(data: bytes) -> bytes:
    """The same picture with a palette. Raises ValueError for anything but 8 bits of RGB or RGBA without interlacing."""
    pixels = _decoded(data)
    height, width, _ = pixels.shape
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, inverse, counts = np.unique(packed, return_inverse=True, return_counts=True)
    palette, places = _palette(colours, counts)
    indices = places[inverse].reshape(height, width).astype(np.uint8)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 9)
    return (
        _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"PLTE", palette.tobytes()) + _chunk(b"IDAT", body)
        + _chunk(b"IEND", b"")
    )  # fmt: skip


def _palette(
    colours: npt.NDArray[np.uint32], counts: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
    """The colours that are there most, but of those that are alike one; and of each colour its nearest."""
    rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.int32)
    order = [int(at) for at in np.argsort(-counts, kind="stable")]
    chosen, order = order[:_GROUNDS], order[_GROUNDS:]
    for least in (48, 24, 12, 6, 0):  # far ones first, then those between, until there are enough
        left: list[int] = []
        for at in order:
            far = ((rgb[chosen] - rgb[at]) ** 2).sum(axis=1).min() > least * least
            if far and len(chosen) < _COLOURS:
                chosen.append(at)
            else:
                left.append(at)
        order = left
    palette = rgb[chosen]
    nearest = np.empty(len(rgb), np.intp)
    for start in range(0, len(rgb), 4_096):
        some = rgb[start : start + 4_096]
        nearest[start : start + 4_096] = ((some[:, None, :] - palette[None]) ** 2).sum(axis=2).argmin(axis=1)
    return palette.astype(np.uint8), nearest


def _decoded(data: bytes) -> npt.NDArray[np.uint8]:
    if not data.startswith(_SIGNATURE):
        raise ValueError("not a PNG")
    at, header, body = len(_SIGNATURE), b"", b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        header = content if kind == b"IHDR" else header
        body += content if kind == b"IDAT" else b""
        at += 12 + length
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in _CHANNELS or interlaced:
        raise ValueError("8 bits of RGB or RGBA without interlacing are read")
    channels = _CHANNELS[colour]
    raw = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + width * channels)
    return _unfiltered(raw, channels).reshape(height, width, channels)[:, :, :3]


def _unfiltered(raw: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    height, length = raw.shape[0], raw.shape[1] - 1
    out = np.zeros((height, length), np.uint8)
    above = np.zeros(length, np.uint8)
    for y in range(height):
        row = raw[y, 1:]
        match raw[y, 0]:
            case 0:
                out[y] = row
            case 1:
                out[y] = np.cumsum(row.reshape(-1, channels), axis=0, dtype=np.uint8).reshape(-1)
            case 2:
                out[y] = row + above
            case kind:
                out[y] = _predicted(row.tolist(), above.tolist(), channels, paeth=kind == 4)
        above = out[y]
    return out


def _predicted(row: list[int], above: list[int], channels: int, *, paeth: bool) -> list[int]:
    """Filters whose every byte needs the one before."""
    out = [0] * channels + row
    corner = [0] * channels + above
    for x, value in enumerate(row):
        left, up, slant = out[x], above[x], corner[x]
        if paeth:
            to_left, to_up, to_slant = abs(up - slant), abs(left - slant), abs(left + up - 2 * slant)
            guess = left if to_left <= to_up and to_left <= to_slant else up if to_up <= to_slant else slant
        else:
            guess = (left + up) // 2
        out[x + channels] = (value + guess) & 255
    return out[channels:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
