"""An import of a server supervision, from its files to its summary."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from rich.console import Console
from vigie_contracts.hosts import DEFAULT_INTERVAL_S, MAX_REPORTS
from vigie_contracts.problems import MAX_FIELD_CHARS

from vigie_standalone.history.patience import ImportFailedError, Patient
from vigie_standalone.history.progress import ImportProgress
from vigie_standalone.supervision import words
from vigie_standalone.supervision.dump import Collection, Dump, Line, lines
from vigie_standalone.supervision.sending import Verdict, Vigie
from vigie_standalone.supervision.staging import LeftOut, Staged, Staging
from vigie_standalone.supervision.tally import Became, Tally
from vigie_standalone.supervision.words import Known, NotUsableError, OldSite, SiteIds

EXIT_REFUSED = 4
"""All lines were judged, and not all of them were taken."""
MAX_KNOWN = 100_000
"""Sites, services and users, of each."""
ALERTS_AT_ONCE = 200
PARTS_AT_ONCE = 2_000
"""Sites in the reports of one request, unless it is one report."""
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `own_config`: the configuration is for the host alone, not for the tenant."""

    host: str
    tenant: str
    sites_dir: str = "/var/www/sites"
    service_prefix: str = "twoine-"
    site_ids: SiteIds = SiteIds.OLD
    own_config: bool = False
    config: bool = False
    """The configuration of the dump takes the place of one that was changed in Vigie."""
    whole: bool = False
    until_ms: int | None = None
    """Statistics from then on are left out: those of the agent stand there."""
    dry_run: bool = False
    from_start: bool = False


def bring(
    dump: Dump, wanted: Wanted, client: httpx2.Client, console: Console, report: Path | None = None, **patience: Any
) -> int:
    """Import it; the exit code. Raises FileError, ImportFailedError."""
    place = str(client.base_url)

    def unanswered(seconds: float) -> None:
        until = datetime.now() + timedelta(seconds=seconds)  # noqa: DTZ005 - for the clock on the reader's wall
        _say(console, f"no answer from {place}, trying again until {until:%H:%M:%S}")

    sleep: Callable[[float], None] | None = patience.get("sleep")
    patient = Patient(client, unanswered=unanswered, **patience)
    vigie = None if wanted.dry_run else Vigie(patient, wanted.tenant, **({"sleep": sleep} if sleep else {}))
    with Tally(dump.files, report) as tally, Staging() as staging:
        for path in dump.others:
            tally.note(f"{path.name}: is no collection of the replaced system, and was not read")
        try:
            _Import(dump, wanted, vigie, tally, staging, console, place).run()
        except (KeyboardInterrupt, ImportFailedError):
            _summary(console, tally)
            _say(console, "Not complete. The same command goes on here.")
            raise
        _summary(console, tally)
        if wanted.dry_run:
            _say(console, "Nothing was sent.")
        return EXIT_REFUSED if tally.refused or tally.before else 0


@dataclass
class _Import:
    dump: Dump
    wanted: Wanted
    vigie: Vigie | None
    tally: Tally
    staging: Staging
    console: Console
    place: str
    known: Known = field(default_factory=Known)
    interval: float = DEFAULT_INTERVAL_S
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Of sites, by their ids in the replaced system."""
    assigned: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """By the id of a user, sites that name the user."""
    refused: int = 0
    """Lines of statistics that Vigie did not take."""

    def run(self) -> None:
        """One collection after the other: what stands for what must be known first."""
        self.known.any_site = Collection.SITES not in self.dump.files
        self._config()
        self._sites()
        self._services()
        self._people()
        self._alerts()
        self._stage()
        self._reports()

    def _config(self) -> None:
        host = self.wanted.host if self.wanted.own_config else None
        for line, said in self._usable(Collection.CONFIG, lambda line: words.config(line.document)):
            interval = said.get("collectionInterval")
            if isinstance(interval, int | float) and 0 < interval <= 86_400:
                self.interval = float(interval)
            for name in sorted(line.document.keys() - said.keys() - {"_id", "__v", "createdAt", "updatedAt"}):
                self.tally.note(f"{Collection.CONFIG}: {name} has no counterpart in Vigie")
            self._add(
                Collection.CONFIG, line, lambda vigie, said=said: vigie.config(said, host, anew=self.wanted.config)
            )

    def _sites(self) -> None:
        wanted, ids = self.wanted, set[str]()

        def made(line: Line) -> OldSite:
            return words.site(line.document, wanted.host, wanted.site_ids, wanted.sites_dir)

        for line, site in self._usable(Collection.SITES, made):
            if not self._room(Collection.SITES, line, len(self.known.sites)):
                continue
            id_ = site.body["id"]
            if id_ in ids:
                self.tally.add(Collection.SITES, line.number, Became.REFUSED, f"another site of the dump is {id_} here")
                continue
            became = self._add(Collection.SITES, line, lambda vigie, site=site: vigie.site(site.body))
            if became is Became.REFUSED:  # whose people must not get the site that has its id
                continue
            self.known.sites[site.key] = id_
            ids.add(id_)
            self.names[site.key] = site.name
            for person in site.people[:MAX_KNOWN]:
                self.assigned.setdefault(person, []).append(site.key)

    def _services(self) -> None:
        prefix = self.wanted.service_prefix
        for line, (key, name) in self._usable(
            Collection.SERVICES, lambda line: words.service(line.document, self.names, prefix)
        ):
            if self._room(Collection.SERVICES, line, len(self.known.services)):
                self.known.services[key] = name
                self.tally.add(
                    Collection.SERVICES, line.number, Became.LEFT, f"is {name} here: agents find services by themselves"
                )

    def _people(self) -> None:
        for line, user in self._usable(Collection.USERS, lambda line: words.user(line.document)):
            if not self._room(Collection.USERS, line, len(self.known.people)):
                continue
            self.known.people[user.key] = user.name
            keys = dict.fromkeys([*user.sites, *self.assigned.get(user.key, ())])
            try:
                sites = [here for key in keys if (here := self.known.site(key)) is not None]
            except NotUsableError as error:
                self.tally.add(Collection.USERS, line.number, Became.REFUSED, str(error))
                continue
            if sites:
                self._add(Collection.USERS, line, lambda vigie, name=user.name, sites=sites: vigie.person(name, sites))
            else:
                self.tally.add(Collection.USERS, line.number, Became.LEFT, f"{user.name} is assigned to no site")

    def _alerts(self) -> None:
        waiting: deque[tuple[Line, dict[str, Any]]] = deque()
        host = self.wanted.host
        for line, alert in self._usable(Collection.ALERTS, lambda line: words.alert(line.document, host, self.known)):
            if alert.body is None:
                self._add(Collection.ALERTS, line, lambda vigie, alert=alert: vigie.open_alert(alert, host))
                continue
            waiting.append((line, alert.body))
            if len(waiting) == ALERTS_AT_ONCE:
                self._past(waiting)
        self._past(waiting)

    def _past(self, waiting: deque[tuple[Line, dict[str, Any]]]) -> None:
        if not waiting:
            return
        place = f"line {waiting[0][0].number} of {Collection.ALERTS}"
        bodies = [body for _, body in waiting]
        verdicts = [(Became.TAKEN, "")] * len(bodies) if self.vigie is None else self.vigie.past_alerts(bodies, place)
        for (line, _), (became, reason) in zip(waiting, verdicts, strict=True):
            self.tally.add(Collection.ALERTS, line.number, became, reason)
        waiting.clear()

    def _stage(self) -> None:
        for collection, read, keep in (
            (Collection.SERVER_STATS, lambda line: words.server_part(line.document), self.staging.server),
            (Collection.SITE_STATS, lambda line: words.site_part(line.document, self.known), self.staging.site),
        ):
            for line, (at_ms, part) in self._usable(collection, read):
                if before := keep(at_ms, line.number, part):
                    self.tally.add(
                        collection, line.number, Became.REFUSED, f"timestamp: line {before} speaks of the same time"
                    )

    def _reports(self) -> None:
        progress = self._progress()
        done_ms = 0 if progress is None or self.wanted.from_start else progress.load()
        self.tally.before = progress.refused if progress is not None and done_ms else 0
        if done_ms:
            _say(self.console, "Going on where it stopped; --from-start begins anew.")
        wanted = self.wanted
        batch: list[Staged] = []
        size = 0
        for one in self.staging.reports(whole=wanted.whole):
            if isinstance(one, LeftOut):
                collection = Collection.SERVER_STATS if one.server else Collection.SITE_STATS
                self.tally.add(collection, one.line, Became.LEFT, one.reason)
            elif wanted.until_ms is not None and one.at_ms >= wanted.until_ms:
                self._settle(one, Became.LEFT, "is not older than --until")
            elif one.at_ms <= done_ms:
                self._settle(one, Became.THERE)
            else:
                batch.append(one)
                size += len(one.sites)
                if len(batch) == MAX_REPORTS or size > PARTS_AT_ONCE:
                    self._send(batch, progress)
                    batch, size = [], 0
        if batch:
            self._send(batch, progress)
        if progress is not None:
            progress.forget()

    def _send(self, batch: list[Staged], progress: ImportProgress | None) -> None:
        if self.vigie is None:
            for one in batch:
                self._settle(one, Became.TAKEN)
            return
        bodies = [words.report(self.wanted.host, one.at_ms, self.interval, one.parts, one.sites) for one in batch]
        at = datetime.fromtimestamp(batch[0].at_ms / 1000).astimezone()
        errors, warnings = self.vigie.reports(bodies, f"the statistics of {at.isoformat()}")
        foreign = {(index, name): why for index, name, why in warnings if name.startswith("sites.")}
        for index, name, why in warnings:
            if (index, name) not in foreign:
                self.tally.note(f"{name}: {why} (in the report of {batch[index].at_ms})")
        for index, one in enumerate(batch):
            self._settle(
                one, Became.REFUSED if index in errors else Became.TAKEN, errors.get(index, ""), index, foreign
            )
        if progress is not None:
            progress.save(batch[-1].at_ms, self.tally.before + self.refused)

    def _settle(
        self,
        one: Staged,
        became: Became,
        reason: str = "",
        index: int = 0,
        foreign: dict[tuple[int, str], str] | None = None,
    ) -> None:
        told = [(Collection.SERVER_STATS, one.server_line, became, reason)] if one.server_line else []
        for part, line in zip(one.sites, one.site_lines, strict=True):
            if foreign and (why := foreign.get((index, f"sites.{part['site']}"[:MAX_FIELD_CHARS]))):
                told.append((Collection.SITE_STATS, line, Became.REFUSED, f"{part['site']}: {why}"))
            else:
                told.append((Collection.SITE_STATS, line, became, reason))
        for collection, line, its, why in told:
            self.tally.add(collection, line, its, why)
            self.refused += its is Became.REFUSED

    def _progress(self) -> ImportProgress | None:
        """Where the statistics stopped; None: there are none, or nothing is sent."""
        path = self.dump.files.get(Collection.SERVER_STATS)
        if path is None or self.vigie is None:
            return None
        sites = self.dump.files.get(Collection.SITE_STATS)
        size = sites.stat().st_size if sites else 0
        wanted = self.wanted
        return ImportProgress(
            path, f"{self.place} {wanted.tenant} {wanted.host} {wanted.site_ids} {size} {wanted.whole}"
        )

    def _usable(self, collection: Collection, made: Callable[[Line], T]) -> Iterator[tuple[Line, T]]:
        path = self.dump.files.get(collection)
        for line in lines(path) if path is not None else ():
            try:
                if line.problem:
                    raise NotUsableError(line.problem)
                found = made(line)
            except NotUsableError as error:
                self.tally.add(collection, line.number, Became.REFUSED, str(error))
                continue
            yield line, found

    def _room(self, collection: Collection, line: Line, count: int) -> bool:
        if count < MAX_KNOWN:
            return True
        self.tally.add(collection, line.number, Became.REFUSED, f"there are more than {MAX_KNOWN:,}")
        return False

    def _add(self, collection: Collection, line: Line, send: Callable[[Vigie], Verdict]) -> Became:
        became, reason = (Became.TAKEN, "") if self.vigie is None else send(self.vigie)
        self.tally.add(collection, line.number, became, reason)
        return became


def _summary(console: Console, tally: Tally) -> None:
    for one in tally.shown:
        _say(console, str(one))
    if tally.unseen:
        _say(console, f"... and {tally.unseen:,} more; --report FILE writes all of them.")
    if tally.before:
        _say(console, f"{tally.before:,} lines of statistics were refused before it stopped: that run told them.")
    for text in (*tally.notes, *tally.rows()):
        _say(console, text)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
