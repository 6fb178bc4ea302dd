"""What `vigie up` shows: prefixed log lines, progress of a first start, the banner."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from vigie_standalone.embedded import jars

COLOURS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
LEVEL_STYLES = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}
# Said by the line's place, time or prefix already, or of use to machines only.
HIDDEN = {"timestamp", "level", "message", "event", "service", "logger", "trace_id", "span_id", "version", "exception"}
HIDDEN |= {"color_message"}  # uvicorn's line again, with escape codes
PREFIX_WIDTH = 11


class OpenEndedConsole(Console):
    """Goes on when its reader has gone, as in `vigie up | head`: rich would end the program, from any thread."""

    def on_broken_pipe(self) -> None:
        """Called by rich when a write fails."""
        write_to_nowhere()


def write_to_nowhere() -> None:
    """From now on what is written to standard output vanishes, and no write fails."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class Terminal:
    """Prints lines of several processes without mixing them up. Safe to call from any thread."""

    def __init__(self, *, json_logs: bool = False, console: Console | None = None) -> None:
        self.console = console or OpenEndedConsole(highlight=False, soft_wrap=True)
        self._json = json_logs
        self._lock = threading.Lock()
        self._colours: dict[str, str] = {}

    @property
    def interactive(self) -> bool:
        """Whether somebody looks who likes to see things move."""
        return self.console.is_terminal and not self._json

    @property
    def kept(self) -> bool:
        """Whether what is shown may be kept and passed on, as a file, a journal and JSON logs are."""
        return self._json or not self.console.file.isatty()

    def line_printer(self, name: str) -> Callable[[str], None]:
        """A function that prints one line of that process."""
        self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return lambda line: self.line(name, line)

    def line(self, name: str, line: str) -> None:
        """One line of output: a JSON log entry is shown compactly, anything else as it is."""
        entry = parse_entry(line)
        if self._json:
            self._raw(line if entry is not None else json.dumps({"level": "info", "message": line, "service": name}))
            return
        self._print(name, Text(line) if entry is None else render_entry(entry))

    def say(self, message: str, level: str = "info") -> None:
        """A line of `vigie up` itself."""
        if self._json:
            self._raw(json.dumps({"level": level, "message": message, "service": "vigie"}))
        else:
            self._print("vigie", Text(message, style=LEVEL_STYLES.get(level, "")))

    def banner(self, text: str) -> None:
        """Several lines at once; left out of JSON logs."""
        if text and not self._json:
            with self._lock:
                self.console.print(text, markup=True)

    def _print(self, name: str, body: Text) -> None:
        prefix = Text(f"{name:<{PREFIX_WIDTH}}| ", style=self._colours.get(name, "bold"))
        with self._lock:
            self.console.print(prefix + body)

    def _raw(self, line: str) -> None:
        with self._lock:
            try:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                write_to_nowhere()


def parse_entry(line: str) -> dict[str, Any] | None:
    """The JSON object of a log line, None when it is none."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def render_entry(entry: Mapping[str, Any]) -> Text:
    """`12:00:01 message field=value`, coloured by level; an exception's text on the lines below."""
    level = str(entry.get("level", "info"))
    clock = str(entry.get("timestamp", ""))[11:19]
    text = Text(f"{clock} " if clock else "", style="dim")
    text.append(f"{entry.get('message') or entry.get('event') or ''}", style=LEVEL_STYLES.get(level, "not dim"))
    for key, value in entry.items():
        if key not in HIDDEN:
            shown = value if isinstance(value, str) else json.dumps(value, default=str)
            text.append(f" {key}=", style="dim")
            text.append(shown, style="not dim")
    if exception := entry.get("exception"):
        text.append(f"\n{exception}", style="red")
    return text


class RichProgress(jars.Progress):
    """A bar per file that is being fetched, and one over all; without a terminal one sentence instead."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._progress: Progress | None = None
        self._total: Any = None

    def begin(self, what: str, files: int) -> None:
        """Show the bars."""
        title = f"fetching {what} ({files} files), first start only"
        if not self._terminal.interactive:
            self._terminal.say(title)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
        )
        self._progress = Progress(*columns, console=self._terminal.console, transient=True)
        self._progress.start()
        self._total = self._progress.add_task(title, total=files)

    def file_done(self) -> None:
        """One more."""
        if self._progress:
            self._progress.advance(self._total)

    @contextmanager
    def file(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """A bar for one file."""
        progress = self._progress
        if progress is None:
            yield lambda _count: None
            return
        task = progress.add_task(name, total=size)
        try:
            yield lambda count: progress.advance(task, count)
        finally:
            progress.remove_task(task)

    def end(self) -> None:
        """Remove the bars."""
        if self._progress:
            self._progress.stop()
            self._progress = None
