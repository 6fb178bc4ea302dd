"""What this package raises; all are ValueErrors, because all of them mean that an argument was wrong."""


class WindowsError(ValueError):
    """Base of the errors of this package."""


class InvalidSamplesError(WindowsError):
    """The columns given to `fold` do not describe samples (lengths, ranges, non-finite values)."""


class IncompatibleError(WindowsError):
    """Cells that cannot be combined: other widths, or one series with two kinds."""


class CorruptChunkError(WindowsError):
    """A chunk document that cannot be decoded."""

    def __init__(self, chunk: int, start_ms: int, reason: str) -> None:
        super().__init__(f"chunk {chunk}, window {start_ms}: {reason}")
        self.chunk = chunk
        self.start_ms = start_ms
        self.reason = reason
