"""What a preview is asked: bounded before there is work with it, and read beside the event loop."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from vigie_alerting.api.preview.asking import MAX_RULES, asked
from vigie_alerting.rulebook.errors import InvalidRule
from vigie_alerting.rules import files

from services.alerting.tests.samples import START_MS

CONTEXT: Any = SimpleNamespace(tenant="acme", now_ms=START_MS, resources=SimpleNamespace(rulebook=None))
RULE = {"alert": "Hot", "expr": "cpu > 80"}


def body(**more: Any) -> bytes:
    return json.dumps(more).encode()


def file(rules: int) -> str:
    return json.dumps({"groups": [{"name": "all", "rules": [{**RULE, "alert": f"Hot{n}"} for n in range(rules)]}]})


@pytest.mark.parametrize(
    "sent",
    [{"rules": [{}] * (MAX_RULES + 1)}, {"ids": ["a"] * (MAX_RULES + 1)}, {"rules": [{}] * MAX_RULES, "ids": ["a"]}],
)
async def test_too_many_rules_are_refused_before_any_is_looked_at(sent: dict[str, Any]) -> None:
    with pytest.raises(InvalidRule, match="has more than 200 rules"):
        await asked(CONTEXT, body(**sent))


async def test_a_file_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set[int]()
    read = files.read

    def watched(text: str, tenant: str) -> Any:
        threads.add(threading.get_ident())
        return read(text, tenant)

    async def evaluable(*_: Any) -> None:
        """Every rule is."""

    monkeypatch.setattr(files, "read", watched)
    monkeypatch.setattr("vigie_alerting.api.preview.asking.evaluable", evaluable)
    found = await asked(CONTEXT, body(file=file(3)))
    assert [one.rule.name for one in found.rules] == ["Hot0", "Hot1", "Hot2"]
    assert threads
    assert threading.get_ident() not in threads
    with pytest.raises(InvalidRule, match="has more than 200 rules"):
        await asked(CONTEXT, body(file=file(MAX_RULES + 1)))
