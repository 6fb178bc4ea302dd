"""Pure window arithmetic and the percentile sketch: no I/O, numpy only.

Samples are folded into `Cells` (row x window); cells are merged and widened; nothing else ever happens to them.
"""

from vigie_windows import chunks, increase, sketch
from vigie_windows.cells import Cells
from vigie_windows.errors import CorruptChunkError, IncompatibleError, InvalidSamplesError, WindowsError
from vigie_windows.folding import fold
from vigie_windows.kinds import Kind
from vigie_windows.merging import merge, renumbered, widen

__all__ = [
    "Cells",
    "CorruptChunkError",
    "IncompatibleError",
    "InvalidSamplesError",
    "Kind",
    "WindowsError",
    "chunks",
    "fold",
    "increase",
    "merge",
    "renumbered",
    "sketch",
    "widen",
]
