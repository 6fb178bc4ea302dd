"""The descriptors of a process are never all for connections; its garbage is not looked for at the wrong time."""

import gc
import subprocess
import sys

import pytest
from vigie_web.process import without_garbage_collection


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize(
    ("soft", "hard", "most", "expected"),
    [
        (1024, 1024, 10_000, (1024, 512)), (1024, 4096, 10_000, (4096, 3584)), (1024, 4096, 1_000, (4096, 1_000)),
        (100, 100, 1_000, (100, 50)),
    ],
)  # fmt: skip
def test_the_limit_is_raised_and_connections_leave_some_over(
    soft: int, hard: int, most: int, expected: tuple[int, int]
) -> None:
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from vigie_web.process import connections
found = connections({most})
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], found)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == [str(number) for number in expected]


def test_what_a_start_builds_is_not_walked_while_it_is_built_and_never_again() -> None:
    built: list[list[int]] = []
    try:
        with without_garbage_collection():
            assert not gc.isenabled()
            built += [[] for _ in range(1_000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= len(built)
    finally:
        gc.unfreeze()


def test_garbage_is_collected_again_after_a_start_that_failed() -> None:
    try:
        with pytest.raises(ValueError, match="no"), without_garbage_collection():
            raise ValueError("no")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
