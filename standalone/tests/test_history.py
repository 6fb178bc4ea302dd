"""`vigie import telemetry`: a file cut into requests, sent until it is in, and where it goes on."""

import gzip
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from vigie_standalone.history import reading
from vigie_standalone.history.patience import ImportFailedError
from vigie_standalone.history.progress import SUFFIX, ImportProgress
from vigie_standalone.history.reading import Batch, FileError, FileFormat, batches, format_of
from vigie_standalone.history.run import EXIT_REFUSED, bring
from vigie_standalone.history.sending import Importer

HEADER = "tenantId,uptime,version\n"
Answer = Callable[[httpx2.Request], httpx2.Response]


def client(answer: Answer) -> httpx2.Client:
    return httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://vigie")


class Gateway:
    """Judges as the real one: a line that says "bad" is refused; knows what it has taken."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.requests: list[httpx2.Request] = []
        self.stop_after = 10**9

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if len(self.requests) > self.stop_after:
            return httpx2.Response(401, json={"message": "the credential is not valid"})
        lines = gzip.decompress(request.content).splitlines()
        if request.headers["content-type"] == "text/csv":
            lines = lines[1:]
        good = [line for line in lines if b"bad" not in line]
        errors = [{"index": n, "field": "uptime", "reason": "is bad"} for n, line in enumerate(lines) if b"bad" in line]
        repeated = sum(line in self.taken for line in good)
        self.taken += [line for line in good if line not in self.taken]
        if not good:
            return httpx2.Response(400, json={"message": "none was taken", "errors": errors[:100]})
        said = {"accepted": len(good), "repeated": repeated, "rejected": len(errors), "errors": errors[:100]}
        return httpx2.Response(201, json=said)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_LINES", 10)


def run(path: Path, gateway: Answer, **options: Any) -> tuple[int, str]:
    out = io.StringIO()
    code = bring(path, client(gateway), None, Console(file=out, width=200), **options)
    return code, out.getvalue()


def test_every_line_arrives_once_and_blank_ones_do_not(tmp_path: Path, small: None) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text("\n".join(f'{{"n": {n}}}\n' for n in range(25)))
    gateway = Gateway()
    assert run(path, gateway) == (0, "25 lines imported, 0 were there before, 0 refused.\n")
    assert gateway.taken == [f'{{"n": {n}}}'.encode() for n in range(25)]
    assert len({request.headers["idempotency-key"] for request in gateway.requests}) == 3
    assert not (tmp_path / ("history.ndjson" + SUFFIX)).exists()
    assert run(path, gateway)[1] == "0 lines imported, 25 were there before, 0 refused.\n"


def test_refused_lines_are_shown_with_their_place_in_the_file(tmp_path: Path, small: None) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text("\n".join("bad" if n % 10 == 7 or n >= 40 else f'{{"n": {n}}}' for n in range(70)))
    code, said = run(path, Gateway())
    assert code == EXIT_REFUSED
    assert said.splitlines()[:2] == ["line 8: uptime: is bad", "line 18: uptime: is bad"]
    assert said.splitlines()[20:] == [
        "... and 14 more refused lines", "36 lines imported, 0 were there before, 34 refused."
    ]  # fmt: skip


def test_records_of_csv_may_span_lines_and_each_request_has_the_header(tmp_path: Path, small: None) -> None:
    path = tmp_path / "history.csv"
    rows = "".join(f'acme,{n},"1.0\n{n}"\n' for n in range(12)) + "acme,bad,\n"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + rows).replace("\n", "\r\n").encode())
    with path.open("rb") as file:
        found = list(batches(file, FileFormat.CSV))
    assert [len(batch.lines) for batch in found] == [10, 3]
    assert all(batch.body.startswith(b"tenantId,uptime,version\n") for batch in found)
    assert found[0].lines[:3] == [2, 4, 6]
    assert found[1].lines[-1] == 26
    assert found[1].done == 13


@given(st.lists(st.sampled_from(["a", "bb", "ccc", ""]), max_size=60), st.integers(0, 70))
def test_whatever_is_skipped_the_rest_arrives_in_order(items: list[str], skip: int) -> None:
    data = "\n".join(items).encode()
    whole = [item.encode() for item in items if item]
    rest = b"".join(batch.body for batch in batches(io.BytesIO(data), FileFormat.NDJSON, skip)).split()
    assert rest == whole[skip:]


def test_an_import_that_was_stopped_goes_on_there(tmp_path: Path, small: None) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(45)))
    gateway = Gateway()
    gateway.stop_after = 2
    with pytest.raises(ImportFailedError, match=r"line 21: 401 the credential is not valid\. No token was given"):
        run(path, gateway)
    gateway.stop_after = 10**9
    code, said = run(path, gateway)
    assert code == 0
    assert said.splitlines()[0].startswith("Going on after 20 lines")
    assert said.splitlines()[-1] == "25 lines imported, 0 were there before, 0 refused."
    assert len(gateway.taken) == 45


@pytest.mark.parametrize("changed", ["other url", "other file", "shorter file", "unreadable", "from start"])
def test_it_begins_anew_when_it_is_another_import(tmp_path: Path, small: None, changed: str) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(30)))
    place = ImportProgress(path, "http://vigie")
    assert place.save(20)
    assert place.load() == 20
    if changed == "other url":
        place = ImportProgress(path, "http://other")
    elif changed == "other file":
        path.write_text("x" + path.read_text()[1:])
    elif changed == "shorter file":
        path.write_text(path.read_text()[:-1])
    elif changed == "unreadable":
        path.with_name(path.name + SUFFIX).write_text("{")
    else:
        assert len(run(path, Gateway(), from_start=True)[1].splitlines()) == 1
    assert place.load() == 0


def test_a_file_that_has_grown_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text('{"n": 1}\n')
    place = ImportProgress(path, "http://vigie/")
    place.save(1)
    with path.open("a") as file:
        file.write('{"n": 2}\n')
    assert place.load() == 1


@pytest.mark.parametrize("status", [429, 503, 500, 408, 409])
def test_back_pressure_is_waited_out_with_the_same_request(status: int) -> None:
    answers = [httpx2.Response(status, headers={"retry-after": "7"}, json={"message": "later"}), None]
    seen: list[httpx2.Request] = []
    slept: list[float] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answers.pop(0) or httpx2.Response(201, json={"accepted": 1, "repeated": 0, "rejected": 0, "errors": []})

    said: list[str] = []
    importer = Importer(client(answer), FileFormat.NDJSON, waiting=said.append, sleep=slept.append, clock=lambda: 0.0)
    assert importer.send(Batch(b"{}\n", [1], 1)).accepted == 1
    assert (slept, said) == ([7.0], ["later"])
    assert seen[0].content == seen[1].content
    assert seen[0].headers["idempotency-key"] == seen[1].headers["idempotency-key"]


def test_a_gateway_that_stays_away_ends_the_import_after_five_minutes() -> None:
    time = [0.0]

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    def sleep(seconds: float) -> None:
        time[0] += seconds

    said: list[float] = []
    importer = Importer(client(answer), FileFormat.NDJSON, unanswered=said.append, sleep=sleep, clock=lambda: time[0])
    with pytest.raises(ImportFailedError, match=r"line 3 after 300 s: no answer from http://vigie/?: refused"):
        importer.send(Batch(b"{}\n", [3], 1))
    assert 200 < time[0] <= 300
    assert said == [300.0]


def test_a_gateway_that_does_not_answer_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text("{}\n")
    gateway = Gateway()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if not gateway.requests:
            gateway.requests.append(request)
            raise httpx2.ConnectError("refused")
        return gateway(request)

    code, said = run(path, answer)
    assert code == 0
    assert re.match(r"no answer from http://vigie/?, trying again until \d\d:\d\d:\d\d\n1 lines imported", said)


@pytest.mark.parametrize(
    ("status", "token", "says", "ends"),
    [
        (401, "", "No token was given: set VIGIE_TOKEN", "Not complete. The same command goes on here.\n"),
        (401, "old", "The token is not valid, or not any more", "Not complete. The same command goes on here.\n"),
        (403, "other", r"needs the permission history\.import, which a SUPERADMIN has; the same", "Not complete.\n"),
    ],
)
def test_who_may_not_import_is_told_what_would_help(
    tmp_path: Path, status: int, token: str, says: str, ends: str
) -> None:
    path = tmp_path / "history.ndjson"
    path.write_text("{}\n")
    asking = client(lambda _: httpx2.Response(status, json={"message": "no"}))
    if token:
        asking.headers["authorization"] = f"Bearer {token}"
    out = io.StringIO()
    with pytest.raises(ImportFailedError, match=says):
        bring(path, asking, None, Console(file=out, width=200))
    assert out.getvalue().endswith(ends)


@pytest.mark.parametrize(
    "answer",
    [httpx2.Response(201, json={"ok": 1}), httpx2.Response(201, text="hello"), httpx2.Response(200, json=[1])],
)
def test_an_answer_that_is_none_of_vigies_ends_the_import(answer: httpx2.Response) -> None:
    importer = Importer(client(lambda _: answer), FileFormat.NDJSON)
    with pytest.raises(ImportFailedError):
        importer.send(Batch(b"{}\n", [1], 1))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("history.txt", b"", "say with --format"),
        ("history.csv", b'a,b\n1,"2\n', "begins in line 2"),
        ("history.csv", b"a,b\n1,\xff\n", "not UTF-8"),
        ("history.ndjson", b"x" * (reading.LINE_BYTES + 1), "this is not JSON lines"),
    ],
)
def test_a_file_that_is_something_else_is_said(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError, match=says):
        run(path, Gateway())


def test_forms_are_told_by_the_ending() -> None:
    assert [format_of(Path(name)) for name in ("a.CSV", "a.ndjson", "a.jsonl")] == [
        FileFormat.CSV,
        FileFormat.NDJSON,
        FileFormat.NDJSON,
    ]
    assert json.loads(json.dumps(FileFormat.CSV)) == "csv"
