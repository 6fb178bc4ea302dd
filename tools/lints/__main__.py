"""All house rules: prints every finding and exits 1 when there is one."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.lints import calls, collections, imports, size
from tools.lints.source import sources

ROOT = Path(__file__).parents[2]


def main() -> int:
    files = list(sources(ROOT))
    allowed = size.read_allowed((ROOT / size.ALLOWED).read_text(encoding="utf-8"))
    findings = [*imports.check(files), *size.check(files, allowed), *calls.check(files), *collections.check(files)]
    for finding in findings:
        print(finding)
    print(f"house rules: {len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
