"""Work that is done once, in a process of its own: what it imports and allocates ends with it.

A database's client and what comes with it are tens of megabytes, which whoever supervises would hold for life.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from vigie_standalone.embedded.process import spawn
from vigie_standalone.errors import ProcessError, StandaloneError, StoppingError

POLL_S = 0.05


class ApartError(StandaloneError):
    """What the work said in the other process when it gave up."""


def apart(module: str, question: dict[str, Any], *, timeout: float, stopping: threading.Event) -> Any:
    """The answer of a module that calls `answer`: both are JSON, and go through pipes that only the two hold.

    Raises ApartError with the sentence of a StandaloneError there, ProcessError when it fails otherwise or takes too
    long, StoppingError once `stopping` is set.
    """
    popen = spawn([sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, complaints = _said(popen, module, json.dumps(question).encode(), time.monotonic() + timeout, stopping)
    if popen.returncode != 0:
        raise ProcessError(module, f"ended with code {popen.returncode}", complaints.decode(errors="replace"))
    sys.stderr.write(complaints.decode(errors="replace"))
    outcome = json.loads(said)
    if "error" in outcome:
        raise ApartError(outcome["error"])
    return outcome["answer"]


def _said(
    popen: subprocess.Popen[bytes], module: str, asked: bytes | None, end: float, stopping: threading.Event
) -> tuple[bytes, bytes]:
    while True:
        try:
            return popen.communicate(asked, POLL_S)
        except subprocess.TimeoutExpired:
            asked = None
        if not stopping.is_set() and time.monotonic() < end:
            continue
        popen.kill()
        _, complaints = popen.communicate()
        if stopping.is_set():
            raise StoppingError(module)
        raise ProcessError(module, "took too long", complaints.decode(errors="replace"))


def answer(work: Callable[[dict[str, Any]], Any]) -> None:
    """The other side, as the whole of a process: do the work on the question, say what came of it."""
    question = json.load(sys.stdin)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as said:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is logged meanwhile is no answer
        try:
            outcome = {"answer": work(question)}
        except StandaloneError as error:
            outcome = {"error": str(error)}
        json.dump(outcome, said)
