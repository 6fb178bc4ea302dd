"""How much work something is, as opposed to how long a busy machine takes for it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_at_most(seconds: float) -> Iterator[None]:
    """The block takes no more processor time of this process. The garbage collector rests meanwhile: it would walk what
    thousands of tests before left behind. Raises AssertionError."""
    gc.disable()
    try:
        began = time.process_time()
        yield
        took = time.process_time() - began
    finally:
        gc.enable()
    assert took < seconds, f"{took:.3f} s of processor time, at most {seconds} are expected"
