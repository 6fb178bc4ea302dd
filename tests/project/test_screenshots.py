"""The recipe of the pictures: every page has one, those that the docs show are there, small, and shown."""

import re
import zlib

import numpy as np
import pytest

from tools.screenshots import png
from tools.screenshots.__main__ import IMAGES, ROOT
from tools.screenshots.pages import SHOTS

PAGES = ROOT / "services/dashboard/vigie_dashboard/static/assets/pages.js"
SHOWN = {f"dashboard-{shot.name}-{size}.png" for shots in SHOTS.values() for shot in shots for size in shot.shown}
MOST_BYTES = 1_500_000


def test_every_page_has_a_picture() -> None:
    registered = re.findall(r'\{ path: "([\w-]+)"', PAGES.read_text(encoding="utf-8"))
    assert len(registered) > 5
    assert set(SHOTS) == set(registered)
    names = [shot.name for shots in SHOTS.values() for shot in shots]
    assert len(names) == len(set(names))
    for page, shots in SHOTS.items():
        assert all(re.split(r"[/?]", shot.address)[0] == page for shot in shots)


def test_pictures_of_the_docs_are_there_small_and_shown() -> None:
    assert {path.name for path in IMAGES.glob("dashboard-*.png")} == SHOWN
    assert sum((IMAGES / name).stat().st_size for name in SHOWN) < MOST_BYTES
    page = (ROOT / "docs/dashboard.md").read_text(encoding="utf-8")
    assert set(re.findall(r"images/(dashboard-[\w-]+\.png)", page)) == SHOWN
    assert re.findall(r"docs/images/(dashboard-[\w-]+\.png)", (ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_of_few_colours_stays_the_same_whatever_its_filters(channels: int) -> None:
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 256, (40, channels), np.uint8)
    pixels = colours[rng.integers(0, 40, (10, 17))]
    small = png.quantized(_png(pixels))
    assert small[25] == 3, "it has a palette"
    palette, indices = _parts(small, 17)
    assert np.array_equal(palette[indices], pixels[:, :, :3])


def test_a_picture_of_many_colours_gets_256_that_are_near() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
    palette, indices = _parts(png.quantized(_png(pixels)), 50)
    assert len(palette) <= 256
    assert np.abs(palette[indices].astype(int) - pixels).mean() < 32


def test_what_is_no_such_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not a PNG"):
        png.quantized(b"GIF89a")


def _png(pixels: np.ndarray) -> bytes:
    """Each row with the next of the five filters."""
    height, width, channels = pixels.shape
    flat = pixels.reshape(height, -1).astype(int)
    rows = b""
    for y in range(height):
        kind = y % 5
        above = flat[y - 1] if y else np.zeros(width * channels, int)
        left = np.concatenate([np.zeros(channels, int), flat[y][:-channels]])
        slant = np.concatenate([np.zeros(channels, int), above[:-channels]])
        guess = left + above - slant
        near = np.abs(guess - left), np.abs(guess - above), np.abs(guess - slant)
        paeth = np.where((near[0] <= near[1]) & (near[0] <= near[2]), left, np.where(near[1] <= near[2], above, slant))
        predicted = (0, left, above, (left + above) // 2, paeth)[kind]
        rows += bytes([kind]) + ((flat[y] - predicted) % 256).astype(np.uint8).tobytes()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2 if channels == 3 else 6, 0, 0, 0])
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
        for kind, content in parts
    )


def _parts(data: bytes, width: int) -> tuple[np.ndarray, np.ndarray]:
    found, at = {}, 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += 12 + length
    palette = np.frombuffer(found[b"PLTE"], np.uint8).reshape(-1, 3)
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(-1, width + 1)
    return palette, rows[:, 1:]
