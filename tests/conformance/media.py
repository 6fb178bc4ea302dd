"""For schemathesis, which loads this file: how to write media types that it does not know."""

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """The text as it is; what is no text is sent as what is no line."""
    return str(value).encode("utf-8", "replace")
