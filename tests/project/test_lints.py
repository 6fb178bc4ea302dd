"""The house rules find what they are for, and nothing else."""

import pytest

from tools.lints import calls, collections, drivers, imports, leftovers, protocols, pure, size
from tools.lints.source import Source


def found(module, path: str, text: str) -> list[str]:
    return [finding.text for finding in module.check([Source(path, text)])]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/api/vigie_api/reads.py", "from vigie_aggregator import fold"),
        ("services/api/vigie_api/reads.py", "import vigie_ingest.routes"),
        ("services/api/vigie_api/reads.py", "from vigie_standalone import cli"),
        ("services/api/vigie_api/reads.py", "from vigie_api.routes import series"),
        ("services/api/vigie_api/reads.py", "from .routes import series"),
        ("services/api/vigie_api/series/routes.py", "from vigie_api import app"),
        ("services/api/vigie_api/series/routes.py", "from ..app import build"),
        ("services/api/vigie_api/app.py", "from vigie_api.__main__ import main"),
        ("services/api/vigie_api/reads.py", "def f():\n    from vigie_aggregator import fold"),
        ("services/api/vigie_api/reads.py", "from tests.kit import wait"),
        ("libs/contracts/vigie_contracts/series.py", "from vigie_runtime import clock"),
        ("libs/windows/vigie_windows/cells.py", "from vigie_contracts import tiers"),
        ("libs/runtime/vigie_runtime/clock.py", "import vigie_windows"),
    ],
)
def test_import_that_points_the_wrong_way_is_found(path: str, text: str) -> None:
    assert len(found(imports, path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/api/vigie_api/app.py", "from vigie_api.routes import series\nfrom vigie_runtime import clients"),
        ("services/api/vigie_api/__main__.py", "from vigie_api.app import build"),
        ("services/api/vigie_api/series/routes.py", "from vigie_api.reads import page\nfrom . import charts"),
        ("services/api/tests/test_reads.py", "from vigie_aggregator import fold"),
        ("libs/runtime/vigie_runtime/clock.py", "import vigie_contracts\nimport vigie_runtime.errors\nimport pymongo"),
        ("libs/windows/vigie_windows/cells.py", "import math\nimport numpy as np\nfrom vigie_windows import keys"),
        ("standalone/vigie_standalone/up.py", "import vigie_api.app\nimport vigie_ingest.app"),
        ("tests/e2e/test_tour.py", "import vigie_api"),
    ],
)
def test_import_that_points_down_is_no_finding(path: str, text: str) -> None:
    assert found(imports, path, text) == []


@pytest.mark.parametrize(
    ("lines", "reason", "findings"),
    [(400, "", 0), (401, "", 1), (401, "one state machine", 0), (600, "one state machine", 0), (601, "any", 1)],
)
def test_file_above_the_limit_needs_a_reason_or_a_split(lines: int, reason: str, findings: int) -> None:
    allowed = {"libs/a.py": reason} if reason else {}
    assert len(list(size.check([Source("libs/a.py", "x\n" * lines)], allowed))) == findings


def test_reason_for_a_file_that_shrank_or_went_is_found() -> None:
    allowed = leftovers.read("# comment\n\nlibs/a.py: it was long\nlibs/gone.py: it was longer\n")
    assert len(list(size.check([Source("libs/a.py", "x\n")], allowed))) == 2


def test_line_of_a_list_without_a_reason_is_found() -> None:
    allowed = leftovers.read("libs/a.py:\n")
    assert len(list(size.check([Source("libs/a.py", "x\n" * 401)], allowed))) == 1


@pytest.mark.parametrize(
    ("path", "text", "findings"),
    [
        ("libs/storage/vigie_storage/windows.py", "from bson import Binary\nimport redis", 0),
        ("libs/web/vigie_web/problems.py", "import fastapi", 0),
        ("libs/web/vigie_web/problems.py", "import pymongo", 1),
        ("services/api/vigie_api/series/routes.py", "from fastapi import APIRouter", 0),
        ("services/api/vigie_api/series/charts.py", "from fastapi import APIRouter\nfrom fastapi import Query", 1),
        ("services/api/vigie_api/app.py", "def f():\n    from pymongo import errors", 1),
        ("services/api/tests/test_reads.py", "import pymongo", 0),
        ("tests/kit/plugin.py", "import pymongo", 0),
    ],
)
def test_driver_outside_its_adapters_is_found_once_a_file(path: str, text: str, findings: int) -> None:
    assert len(list(drivers.check([Source(path, text)], {}))) == findings


def test_listed_driver_is_no_finding_until_its_import_goes() -> None:
    listed = {"libs/a/vigie_a/b.py Redis": "goes to storage"}
    assert list(drivers.check([Source("libs/a/vigie_a/b.py", "import redis")], listed)) == []
    assert len(list(drivers.check([Source("libs/a/vigie_a/b.py", "")], listed))) == 1


@pytest.mark.parametrize(
    ("path", "text", "findings"),
    [
        ("libs/windows/vigie_windows/cells.py", "import math\nimport numpy as np\nfrom vigie_windows import keys", 0),
        ("libs/windows/vigie_windows/cells.py", "import pymongo", 1),
        ("libs/query/vigie_query/matchers.py", "import re2\nfrom collections.abc import Mapping", 0),
        ("libs/query/vigie_query/matchers.py", "import asyncio", 1),
        ("libs/contracts/vigie_contracts/days.py", "from datetime import datetime\nfrom time import time", 1),
        ("libs/runtime/vigie_runtime/clock.py", "import time", 0),
    ],
)
def test_pure_file_that_waits_or_reaches_out_is_found(path: str, text: str, findings: int) -> None:
    assert len([finding for finding in pure.check([Source(path, text)]) if finding.path == path]) == findings


def test_row_of_the_pure_core_without_a_file_is_found() -> None:
    assert len(list(pure.check([]))) == len(pure.PURE)


PORT = "class Port(Protocol):\n    async def send(self, key: bytes) -> None: ...\n"
ONE = "class One:\n    async def send(self, key: bytes, hurry: bool = False) -> None: ...\n"
HEIR = "class Heir(One):\n    pass\n"
OTHER = "class Other:\n    async def send(self, value: bytes) -> None: ...\n"


@pytest.mark.parametrize(
    ("text", "mirrors"),
    [
        (PORT, "no class"),
        (PORT + ONE, "mirrors One"),
        (PORT + ONE + OTHER, "mirrors One"),
        (PORT + ONE + HEIR, None),
        ("class Port(Protocol[T]):\n    @property\n    def end(self) -> T: ...\n", "no class"),
        ("class Port(Protocol):\n    end: int\nclass A:\n    def __init__(self):\n        self.end = 1\n", "mirrors A"),
    ],
)
def test_protocol_with_fewer_than_two_implementations_is_found(text: str, mirrors: str | None) -> None:
    found = [finding.text for finding in protocols.check([Source("libs/a/vigie_a/b.py", text)], {})]
    assert [mirrors in text for text in found if mirrors] == ([True] if mirrors else [])


def test_double_in_a_test_is_no_second_implementation() -> None:
    files = [Source("libs/a/vigie_a/b.py", PORT + ONE), Source("libs/a/tests/doubles.py", HEIR)]
    assert len(list(protocols.check(files, {}))) == 1
    assert list(protocols.check(files, {"libs/a/vigie_a/b.py Port": "one suite for both"})) == []


def test_line_for_a_protocol_that_went_or_has_become_a_port_is_found() -> None:
    listed = {"libs/a/vigie_a/b.py Port": "one suite for both", "libs/a/vigie_a/b.py Gone": "it was a mirror"}
    assert len(list(protocols.check([Source("libs/a/vigie_a/b.py", PORT + ONE + HEIR)], listed))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "import datetime\ndatetime.datetime.utcnow()",
        "async def f():\n    time.sleep(1)",
        "async def f():\n    if True:\n        time.sleep(1)",
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept Exception as e:\n    log(e)",
        "try:\n    f()\nexcept (OSError, Exception):  # noqa: BLE001\n    log()",
        "try:\n    f()\nexcept BaseException:  #\n    log()",
    ],
)
def test_forbidden_call_is_found(text: str) -> None:
    assert len(found(calls, "services/api/vigie_api/app.py", text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    time.sleep(1)",
        "async def f():\n    await asyncio.sleep(1)",
        "async def f():\n    def g():\n        time.sleep(1)",
        "try:\n    f()\nexcept (OSError, ValueError):\n    pass",
        "try:\n    f()\nexcept Exception:\n    undo()\n    raise",
        "try:\n    f()\nexcept Exception as e:  # noqa: BLE001 - a plug-in may raise anything\n    log(e)",
    ],
)
def test_explained_or_harmless_call_is_no_finding(text: str) -> None:
    assert found(calls, "services/api/vigie_api/app.py", text) == []


def test_sleep_in_a_unit_test_is_found_unless_it_yields_or_says_why() -> None:
    path = "libs/runtime/tests/test_clock.py"
    assert len(found(calls, path, "time.sleep(0.1)")) == 1
    assert len(found(calls, path, "async def test():\n    await asyncio.sleep(0.1)")) == 1
    assert found(calls, path, "async def test():\n    await asyncio.sleep(0)") == []
    assert found(calls, path, "time.sleep(1)  # the process under test must be idle for one second") == []
    assert found(calls, "tests/integration/test_kill.py", "time.sleep(0.1)") == []
    assert found(calls, "libs/runtime/tests/test_clock_connected.py", "time.sleep(0.1)") == []


@pytest.mark.parametrize(
    "text",
    [
        'self._series = db["series"]',
        "self._rows = self._db[name]",
        "await database.series.find_one({})",
        'db.get_collection("series")',
        "await self._db.list_collection_names()",
        'COLLECTION = "tenant_series"',
        'f"windows_{tier.name}"',
        'lookup = {"$lookup": {"from": "api_keys"}}',
    ],
)
def test_collection_that_is_opened_or_named_outside_of_storage_is_found(text: str) -> None:
    assert len(found(collections, "services/api/vigie_api/app.py", text)) == 1
    for elsewhere in ("libs/storage/vigie_storage/usage.py", "services/api/tests/test_app.py", "tests/chaos/stored.py"):
        assert found(collections, elsewhere, text) == []


@pytest.mark.parametrize(
    "text",
    [
        'router = APIRouter(tags=["series"])',
        'await database.command("ping")',
        'headers["series"]',
        "self.series.find()",
        "mongo.ensure(db, collections.SERIES)",
    ],
)
def test_what_only_looks_like_a_collection_is_no_finding(text: str) -> None:
    assert found(collections, "services/api/vigie_api/app.py", text) == []
