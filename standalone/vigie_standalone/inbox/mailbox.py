"""The last messages, a file each: the catcher writes them, the command and the page read them."""

from collections.abc import Iterator
from pathlib import Path

from vigie_standalone.inbox.messages import Message

KEPT = 200
_DIGITS = 8


class Mailbox:
    """Messages by number, the newest with the highest. One process writes; any may read meanwhile."""

    def __init__(self, directory: Path, kept: int = KEPT) -> None:
        self._directory = directory
        self._kept = kept

    def add(self, message: Message) -> int:
        """Keep it, and forget the oldest beyond the bound. Its number."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = self.numbers()
        number = numbers[-1] + 1 if numbers else 1
        path = self._path(number)
        partial = path.with_suffix(".partial")
        partial.write_text(message.to_json(), encoding="utf-8")
        partial.replace(path)
        for old in numbers[: max(0, len(numbers) + 1 - self._kept)]:
            self._path(old).unlink(missing_ok=True)
        return number

    def numbers(self) -> list[int]:
        """Those that are kept, oldest first."""
        names = (path.stem for path in self._directory.glob("*.json"))
        return sorted(int(name) for name in names if len(name) == _DIGITS and name.isascii() and name.isdigit())

    def get(self, number: int) -> Message | None:
        """None when there is none of that number (any more)."""
        try:
            return Message.from_json(self._path(number).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def after(self, number: int) -> Iterator[tuple[int, Message]]:
        """Those that came later, oldest first."""
        for later in self.numbers():
            if later > number and (message := self.get(later)) is not None:
                yield later, message

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:0{_DIGITS}}.json"
