"""Run a program so that it dies with its parent: `python -I -S _launch.py PARENT_PID program args...`.

It replaces itself by the program, so the process id stays. A `preexec_fn` would do the same, but forking from a
threaded parent and running Python before exec can deadlock. Standard library only, and no package import: it runs
with `-I -S`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGKILL at the parent's death, then become the program."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the line above took effect
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


main()
