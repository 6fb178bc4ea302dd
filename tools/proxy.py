"""Writes who serves which path into the compose proxy's Caddyfile: `python -m tools.proxy`.

The table is `vigie_contracts.paths`. A test compares, so a row that is forgotten here is found there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vigie_contracts.paths import PATH_RULES, Service

CADDYFILE: Final = Path(__file__).parents[1] / "deploy" / "proxy" / "Caddyfile"
PORT: Final = 8080
_BEGIN: Final = "# Written by `python -m tools.proxy`, from vigie_contracts/paths.py:"
_END: Final = "# End of what was written."


def render(config: str) -> str:
    """The Caddyfile, with the paths of the table between the two lines that say so."""
    groups: dict[tuple[Service, tuple[str, ...]], list[str]] = {}
    for row in PATH_RULES:
        groups.setdefault((row.service, row.methods), []).append(row.path)
    lines: list[str] = []
    for number, ((service, methods), paths) in enumerate(groups.items(), 1):
        name = f"@{service}{number}"
        lines += [f"{name} {{", f"\tmethod {' '.join(methods)}", f"\tpath {' '.join(paths)}", "}"]
        served = "import dashboard" if service is Service.DASHBOARD else f"reverse_proxy {service}:{PORT}"
        lines += [f"handle {name} {{", f"\t{served}", "}"]
    before, _, rest = config.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + "\n\t\t".join([_BEGIN, *lines, _END]) + after


if __name__ == "__main__":
    CADDYFILE.write_text(render(CADDYFILE.read_text(encoding="utf-8")), encoding="utf-8")
