"""`vigie rules diff`: what two files and the answers about them differ in; `vigie rules test`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from vigie_standalone.alerting.rule_diff import compare, files
from vigie_standalone.alerting.rules import rules_app
from vigie_standalone.errors import StandaloneError

OLD, NEW = Path("old.yml"), Path("new.yml")


def group(*rules: str) -> str:
    return "groups:\n  - name: a\n    rules:\n" + "".join(f"      - {rule}\n" for rule in rules)


HOT = "{alert: Hot, expr: cpu > 80, for: 5m}"
FULL = "{alert: Full, expr: disk > 90}"


def test_rules_that_are_the_same_are_not_run() -> None:
    found = files(OLD, NEW, group(HOT, FULL), group(HOT, FULL.replace("90", "95"), "{record: a:b, expr: sum(c)}"))
    assert [one.expression for one in found.removed] == ["disk > 90"]
    assert [one.name for one in found.added] == ["Full", "a:b"]
    assert found.same == 1


def test_a_file_that_is_none_says_where() -> None:
    with pytest.raises(StandaloneError, match=r"new\.yml:4: expr"):
        files(OLD, NEW, group(HOT), group("{alert: Hot, expr: 'cpu >'}"))


def episode(fired: int, ended: int | None, **labels: str) -> dict[str, Any]:
    def at(hour: int | None) -> str | None:
        return None if hour is None else f"2026-11-30T{hour:02d}:00:00.000Z"

    return {"firedAt": at(fired), "endedAt": at(ended), "labels": labels, "firingMs": 1}


def rule(name: str, pages: int, *found: dict[str, Any], error: str = "") -> dict[str, Any]:
    fired = sum(one["firedAt"] is not None for one in found)
    return {"name": name, "pages": pages, "episodes": list(found), "fired": fired, "error": error}


def test_episodes_are_the_same_where_the_same_labels_fire_at_the_same_time() -> None:
    before = [
        rule("Hot", 6, episode(1, 3, host="a"), episode(5, 6, host="a"), episode(1, 2, host="b")),
        rule("Gone", 2, episode(1, 2)),
    ]
    after = [
        rule("Hot", 4, episode(2, None, host="a"), episode(8, 9, host="b")),
        rule("New", 0, error="is too slow"),
    ]
    gone, hot, new = compare(before, after)
    assert (gone.name, len(gone.removed), gone.pages_before, gone.pages_after) == ("Gone", 1, 2, 0)
    assert (hot.pages_before, hot.pages_after, hot.same) == (6, 4, 1)
    assert [one["labels"] for one in hot.removed] == [{"host": "a"}, {"host": "b"}]
    assert [one["labels"] for one in hot.added] == [{"host": "b"}]
    assert new.errors == ["is too slow"]


class Answers:
    """An api that knows what each rule would have done."""

    def __init__(self, **episodes: list[dict[str, Any]]) -> None:
        self.episodes, self.asked = episodes, list[dict[str, Any]]()

    def ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        assert (method, path) == ("POST", "/rules/preview")
        self.asked.append(more["json"])
        rules = [rule(name, 2 * len(own), *own) for name, own in self.episodes.items() if name in more["json"]["file"]]
        total = sum(one["pages"] for one in rules)
        return {"rules": rules, "pages": {"total": total}, "complete": True, "warnings": []}


def test_a_diff_says_which_pages_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old.yml", tmp_path / "new.yml"
    old.write_text(group(HOT, FULL))
    new.write_text(group(HOT, "{alert: Cold, expr: cpu < 5}", "{record: a:b, expr: sum(c)}"))
    api = Answers(Full=[episode(1, 2, host="a")], Cold=[episode(3, 4, host="b"), episode(5, None, host="b")])
    monkeypatch.setattr("vigie_standalone.alerting.rules.alerting", lambda *_: api)
    done = CliRunner().invoke(rules_app, ["diff", str(old), str(new), "--days", "7"])
    assert done.exit_code == 0, done.output
    assert [one["days"] for one in api.asked] == [7, 7]
    assert "Hot" not in api.asked[0]["file"] + api.asked[1]["file"]
    assert done.stdout.splitlines() == [
        "Cold\t0\t4\t0\t2\t0",
        "Full\t2\t0\t1\t0\t0",
        "- 2026-11-30T01:00:00Z  0 min  host=a",
        "+ 2026-11-30T03:00:00Z  0 min  host=b",
        "+ 2026-11-30T05:00:00Z  0 min  host=b",
    ]
    assert "2 pages before, 4 after, in 7 days; 1 rules are the same in both files." in done.stderr
    done = CliRunner().invoke(rules_app, ["diff", str(old), str(new), "--json"])
    assert json.loads(done.stdout)["same"] == 1


def test_unit_tests_run_from_the_shell(tmp_path: Path) -> None:
    tests = "rule_files: [rules.yml]\ntests: [{promql_expr_test: [{expr: 1 + 1, exp_samples: [{value: %d}]}]}]\n"
    (tmp_path / "rules.yml").write_text(group(HOT))
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(tests % 2)
    bad.write_text(tests % 3)
    done = CliRunner().invoke(rules_app, ["test", str(good)])
    assert (done.exit_code, done.stdout) == (0, f"Unit Testing:  {good}\n  SUCCESS\n\n")
    done = CliRunner().invoke(rules_app, ["test", str(good), str(bad)])
    assert done.exit_code == 1
    assert "exp: {} 3E+00\n        got: {} 2E+00" in done.stderr
