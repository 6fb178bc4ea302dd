"""Keep credentials out of logs and messages."""

from __future__ import annotations

import re

_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*://)(?P<credentials>[^\s/@'\"]*(?:@(?=[^\s/'\"]*@)[^\s/@'\"]*)*)@"
)


def redact(text: str) -> str:
    """`text` with `user:password@` of every URL in it replaced by `***@`."""
    return _URL_CREDENTIALS.sub(r"\g<scheme>***@", text) if "@" in text else text
