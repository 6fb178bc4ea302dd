"""Calls that look harmless and are not.

Why each: `utcnow` returns a naive time that the next line takes for local; `time.sleep` in a coroutine stops every
other coroutine of the process; a sleep in a unit test is either too short on a busy machine or wasted on an idle one;
a broad `except` without a reason hides the bug that nobody expected.
A sleep or a broad except that is right says why in a comment on its line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from tools.lints.source import Finding, Source

NAIVE_TIMES = {"utcnow", "utcfromtimestamp"}
BROAD = {"Exception", "BaseException"}
_NOQA = re.compile(r"noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?")


def check(files: Iterable[Source]) -> Iterator[Finding]:
    """Every forbidden call and every unexplained broad `except`."""
    for source in files:
        yield from _Visitor(source).findings()


class _Visitor(ast.NodeVisitor):
    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines = source.lines
        self._async = False
        self._found: list[Finding] = []

    def findings(self) -> list[Finding]:
        self.visit(self._source.tree)
        return self._found

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node, is_async=True)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node, is_async=False)

    def _enter(self, node: ast.FunctionDef | ast.AsyncFunctionDef, *, is_async: bool) -> None:
        outer, self._async = self._async, is_async
        self.generic_visit(node)
        self._async = outer

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name.rpartition(".")[2] in NAIVE_TIMES:
            self._add(node.lineno, f"{name}() gives a time without a zone: use datetime.now(UTC)")
        if name == "time.sleep" and self._async:
            self._add(node.lineno, "time.sleep() in a coroutine stops the event loop: await asyncio.sleep()")
        if self._is_wait(name, node) and self._source.is_unit_test and not self._explained(node.lineno):
            self._add(node.lineno, f"{name}() in a unit test: wait for the outcome, or use a ManualClock")
        self.generic_visit(node)

    @staticmethod
    def _is_wait(name: str, node: ast.Call) -> bool:
        if name not in {"time.sleep", "asyncio.sleep"}:
            return False
        only_yields = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        return not only_yields

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        broad = node.type is None or bool(BROAD & _names(node.type))
        if broad and not _reraises(node) and not self._explained(node.lineno):
            self._add(node.lineno, "a broad except: catch what can happen, or say on this line why everything")
        self.generic_visit(node)

    def _explained(self, line: int) -> bool:
        """Is there a comment on that line that says more than `noqa`?"""
        _, hash_sign, comment = self._lines[line - 1].partition("#")
        return bool(hash_sign) and len(_NOQA.sub("", comment).strip(" #-:,")) >= len("why")

    def _add(self, line: int, text: str) -> None:
        self._found.append(Finding(self._source.path, line, text))


def _names(node: ast.expr) -> set[str]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {ast.unparse(part) for part in parts}


def _reraises(node: ast.ExceptHandler) -> bool:
    last = node.body[-1]
    return isinstance(last, ast.Raise)
