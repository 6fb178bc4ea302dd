"""What the site answers, and that its files are what they say."""

import gzip
import re
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from vigie_dashboard.site import DIRECTORY, POLICY, Site

ASSETS = DIRECTORY / "assets"
IMPORT = re.compile(r'^(?:import|export)(?: .* from)? "([^"]+)";$|\(\) => import\("([^"]+)"\)', re.MULTILINE)
OURS = sorted(path for path in ASSETS.rglob("*.js") if "vendor" not in path.parts)


async def ask(path: str, method: str = "GET", site: Site | None = None, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    transport = httpx2.ASGITransport(app=site or Site())
    async with httpx2.AsyncClient(transport=transport, base_url="http://vigie.test") as client:
        return await client.request(method, path, headers=named)


async def test_page_says_where_its_parts_may_come_from() -> None:
    page = await ask("/")
    assert page.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "default-src 'none'" in POLICY
    assert "<script>" not in page.text
    assert " style=" not in page.text
    assert not re.search(r'(?:src|href)="(?:/|https?:)', page.text), "an absolute address does not work below a prefix"


async def test_a_file_that_has_not_changed_is_not_sent_again_in_any_coding() -> None:
    for coding in ("gzip", "zstd", "identity"):
        first = await ask("/assets/vendor/uplot.mjs", accept_encoding=coding)
        assert first.headers["cache-control"] == "no-cache"
        assert first.headers["vary"] == "Accept-Encoding"
        etag = first.headers["etag"]
        again = await ask("/assets/vendor/uplot.mjs", accept_encoding=coding, if_none_match=f'"other", W/{etag}')
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = await ask("/assets/vendor/uplot.mjs", accept_encoding="gzip", if_none_match=etag)
    assert other.status_code == 200


async def test_a_compressed_file_is_the_same_file() -> None:
    transport = httpx2.ASGITransport(app=Site())
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://vigie.test") as client,
        client.stream("GET", "/assets/vendor/uplot.mjs", headers={"accept-encoding": "gzip"}) as answer,
    ):
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-length"] == str(len(raw))
    assert gzip.decompress(raw) == (ASSETS / "vendor" / "uplot.mjs").read_bytes()


async def test_a_file_that_changed_is_sent_anew(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("one")
    site = Site(tmp_path)
    etag = (await ask("/", site=site)).headers["etag"]
    (tmp_path / "index.html").write_text("another")
    answer = await ask("/", site=site, if_none_match=etag)
    assert (answer.status_code, answer.text) == (200, "another")


NOT_FOR_BROWSERS = (
    "/assets",
    "/assets/",
    "/assets/none.js",
    "/assets/..%2f..%2fsite.py",
    "/index.html",
    "/assets/vendor/preact.d.mts",
)


@pytest.mark.parametrize("path", NOT_FOR_BROWSERS)
async def test_what_is_not_for_browsers_is_not_there(path: str) -> None:
    answer = await ask(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_head_tells_the_length_and_sends_nothing() -> None:
    head = await ask("/", "HEAD", accept_encoding="identity")
    assert (head.content, int(head.headers["content-length"])) == (b"", (DIRECTORY / "index.html").stat().st_size)


@pytest.mark.parametrize("directory", [ASSETS / "vendor", Path(__file__).parents[3] / "tests/e2e/dashboard/vendor"])
def test_other_peoples_code_is_what_was_copied(directory: Path) -> None:
    sums = dict(reversed(line.split("  ")) for line in (directory / "SHA256SUMS").read_text().splitlines())
    present = {path.name for path in directory.iterdir() if not path.name.endswith(".d.mts")} - {"SHA256SUMS"}
    assert set(sums) == present
    for name, digest in sums.items():
        assert sha256((directory / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.relative_to(ASSETS).as_posix())
def test_modules_import_what_is_there_and_write_no_markup_of_data(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in (one or other for one, other in IMPORT.findall(text)):
        assert name.startswith("."), f"{path.name} imports {name}: browsers know no packages"
        assert (path.parent / name).resolve().is_file(), f"{path.name} imports {name}, which is not there"
    for word in ("innerHTML", "dangerouslySetInnerHTML", "eval(", "new Function", "document.write", "outerHTML"):
        assert word not in text, f"{path.name}: {word} makes markup or code of text"
