"""All house rules: prints every finding and exits 1 when there is one."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.lints import calls, collections, drivers, imports, leftovers, protocols, pure, size
from tools.lints.source import sources

ROOT = Path(__file__).parents[2]


def main() -> int:
    files = list(sources(ROOT))
    findings = [
        *imports.check(files),
        *pure.check(files),
        *drivers.check(files, _listed(drivers.ALLOWED)),
        *protocols.check(files, _listed(protocols.ALLOWED)),
        *size.check(files, _listed(size.ALLOWED)),
        *calls.check(files),
        *collections.check(files),
    ]
    for finding in findings:
        print(finding)
    print(f"house rules: {len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


def _listed(path: str) -> dict[str, str]:
    return leftovers.read((ROOT / path).read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
