"""Runs files of unit tests, without any server; says what promtool says, and ends as it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from vigie_contracts.alerts import Rule

from vigie_alerting.backtest.unit import checks, testfile
from vigie_alerting.backtest.unit.rehearsal import ALERTS, MAX_STEPS, Rehearsal
from vigie_alerting.backtest.unit.series import SeriesInMemory, TooManySamplesError
from vigie_alerting.backtest.unit.testfile import InvalidTestFileError, TestFile, UnitTest
from vigie_alerting.engine.horizon import HorizonError
from vigie_alerting.rules.durations import duration
from vigie_alerting.rules.files import InvalidRuleFileError
from vigie_alerting.rules.files import read as rules_of
from vigie_alerting.rules.problems import InvalidRuleError

MAX_FILE_BYTES: Final = 8 << 20
_TENANT: Final = "default"


def run(files: Sequence[Path], out: Callable[[str], None], err: Callable[[str], None]) -> int:
    """The exit code: 1 when a test of any of the files fails, else 0. What is said line by line goes to `out`, what is
    wrong to `err`."""
    failed = False
    for file in files:
        out(f"Unit Testing:  {file}")
        errors = list(errors_of(file, err))
        failed = failed or bool(errors)
        if errors:
            err("  FAILED:")
        else:
            out("  SUCCESS")
        for error in errors:
            err(error)
            out("")
        out("")
    return int(failed)


def errors_of(file: Path, warn: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """All that is wrong with a file, or that its tests find."""
    try:
        tests = testfile.read(_text(file))
        rules = _rules(file, tests, warn)
    except InvalidTestFileError as e:
        yield f"  {file}: {e}"
        return
    except InvalidRuleFileError as e:
        yield from (f"  {finding}" for finding in e.findings)
        return
    for test in tests.tests:
        try:
            yield from _run(test, rules, tests)
        except (HorizonError, InvalidRuleError, TooManySamplesError) as e:
            yield f"{checks.named(test.name)}    err: {e}"


def _run(test: UnitTest, rules: Sequence[Rule], file: TestFile) -> Iterator[str]:
    if test.until_ms // file.interval_ms > MAX_STEPS:
        yield (
            f"{checks.named(test.name)}    err: {duration(test.until_ms)} have more than {MAX_STEPS:,} evaluations "
            f"every {duration(file.interval_ms)}: use a longer evaluation_interval, or a shorter time"
        )
        return
    series = SeriesInMemory()
    for one in test.series:
        series.replace(one.labels, one.values, test.interval_ms)
    rehearsal = Rehearsal(rules, series, file.interval_ms, test.external_labels)
    evaluated = {one.at_ms: one.at_ms - one.at_ms % file.interval_ms for one in test.alerts}
    shows_alerts = any(ALERTS in one.expression for one in test.expressions)
    rehearsal.run(test.until_ms, set(evaluated.values()), shows_alerts=shows_alerts)
    failed_ms = min((one.at_ms for one in rehearsal.failures), default=None)
    for asked in sorted(test.alerts, key=lambda one: one.at_ms):
        at_ms = evaluated[asked.at_ms]
        if failed_ms is None or at_ms < failed_ms:
            yield from checks.alerts(asked, rehearsal.firing[at_ms][asked.alertname], test.name)
    for failure in rehearsal.failures:
        yield f"    rule: {failure.rule}, time: {_clock(failure.at_ms)}, err: {failure.reason}"
    if failed_ms is None:
        for expression in test.expressions:
            yield from checks.expression(expression, rehearsal, fuzzy=file.fuzzy)


def _clock(at_ms: int) -> str:
    """As Go writes a duration: `1h0m30s`."""
    minutes, seconds = divmod(at_ms / 1000, 60)
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds:g}s"


def _rules(file: Path, tests: TestFile, warn: Callable[[str], None]) -> list[Rule]:
    """Of all rule files, in the order of their groups. Raises InvalidRuleFileError, InvalidTestFileError."""
    rules: list[Rule] = []
    for pattern in tests.rule_files:
        beside = str(file.parent / pattern)
        found = sorted(glob(beside)) if has_magic(beside) else [beside] if Path(beside).exists() else []
        if not found:
            warn(f"  WARNING: no file match pattern {beside}")
        for one in found:
            rules += rules_of(_text(Path(one)), _TENANT)[0]
    order = {group: place for place, group in enumerate(tests.group_order)}
    return sorted(rules, key=lambda rule: order.get(rule.group, 0))


def _text(file: Path) -> str:
    """Raises InvalidTestFileError."""
    try:
        data = file.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise InvalidTestFileError(1, f"{file} is longer than {MAX_FILE_BYTES:,} bytes")
        return data.decode()
    except OSError as e:
        raise InvalidTestFileError(1, f"{file} cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidTestFileError(1, f"{file} is not UTF-8") from None
