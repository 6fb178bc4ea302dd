"""An import from its first line to its summary."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from vigie_standalone.history.patience import ImportFailedError
from vigie_standalone.history.progress import ImportProgress
from vigie_standalone.history.reading import FileError, FileFormat, batches, format_of
from vigie_standalone.history.sending import BatchOutcome, Importer, NotAllowedError

EXIT_REFUSED = 4
"""All lines were judged, and not all of them were taken."""
SHOWN = 20


@dataclass
class Total:
    """What became of all lines of this run."""

    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    refused: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    """The first of them."""

    def add(self, verdict: BatchOutcome) -> None:
        self.accepted += verdict.accepted
        self.repeated += verdict.repeated
        self.rejected += verdict.rejected
        self.refused += verdict.refused[: SHOWN - len(self.refused)]


def bring(
    path: Path, client: httpx2.Client, form: FileFormat | None, console: Console, *, from_start: bool = False
) -> int:
    """Import the file; the exit code. Raises FileError, ImportFailedError."""
    form = form or format_of(path)
    place = ImportProgress(path, str(client.base_url))
    skip = 0 if from_start else place.load()
    if skip:
        console.print(f"Going on after {skip:,} lines that have arrived before; --from-start begins anew.")
    total = Total()
    try:
        with path.open("rb") as file, _progress(console) as bar:
            task = bar.add_task(path.name, total=path.stat().st_size, lines="")
            importer = Importer(
                client,
                form,
                waiting=lambda why: bar.update(task, lines=f"waiting: {escape(why[:60])}"),
                unanswered=lambda left: _unanswered(console, str(client.base_url), left),
            )
            done = skip
            for batch in batches(file, form, skip):
                total.add(importer.send(batch))
                done = batch.done
                place.save(done)
                bar.update(task, completed=file.tell(), lines=f"{done:,} lines")
            bar.update(task, completed=path.stat().st_size, lines=f"{done:,} lines")
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}.") from None
    except (KeyboardInterrupt, ImportFailedError) as error:
        _summary(console, total)
        more = "" if isinstance(error, NotAllowedError) else " The same command goes on here."
        console.print(f"Not complete.{more}")
        raise
    place.forget()
    _summary(console, total)
    return EXIT_REFUSED if total.rejected else 0


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[lines]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _unanswered(console: Console, url: str, seconds: float) -> None:
    until = datetime.now() + timedelta(seconds=seconds)  # noqa: DTZ005 - for the clock on the reader's wall
    words = f"no answer from {url}, trying again until {until:%H:%M:%S}"
    console.print(words, markup=False, highlight=False, soft_wrap=True)


def _summary(console: Console, total: Total) -> None:
    for line, name, reason in total.refused:
        console.print(f"line {line}: {name}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if total.rejected > len(total.refused):
        console.print(f"... and {total.rejected - len(total.refused):,} more refused lines")
    new = total.accepted - total.repeated
    console.print(f"{new:,} lines imported, {total.repeated:,} were there before, {total.rejected:,} refused.")
