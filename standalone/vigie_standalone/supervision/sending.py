"""What is said to Vigie, and what it answers: one step of the import per method."""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import httpx2
from vigie_contracts.problems import MAX_WARNINGS, ProblemKind

from vigie_standalone.history.patience import ImportFailedError, Patient, json_of, message, pause_of
from vigie_standalone.query.series import printable
from vigie_standalone.supervision.tally import Became
from vigie_standalone.supervision.words import OldAlert

IN_FORCE_S = 11.0
"""After a change of `retentionHours`, until reports that are stored are kept for as long."""
_MAX_ALERTS = 20_000
_TOO_MUCH = frozenset({int(httpx2.codes.TOO_MANY_REQUESTS), int(httpx2.codes.CONTENT_TOO_LARGE)})
_JUDGED = frozenset({int(httpx2.codes.NOT_FOUND), int(httpx2.codes.CONFLICT), int(httpx2.codes.UNPROCESSABLE_CONTENT)})
_BUSY = frozenset({int(httpx2.codes.CONFLICT)})
Verdict = tuple[Became, str]
TAKEN: Verdict = (Became.TAKEN, "")
THERE: Verdict = (Became.THERE, "")


class Vigie:
    """The front door, asked patiently. All methods raise ImportFailedError."""

    def __init__(self, patient: Patient, tenant: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._patient, self._tenant, self._sleep = patient, tenant, sleep
        self._people: dict[str, dict[str, Any]] | None = None
        self._alerts: list[dict[str, Any]] | None = None

    def config(self, said: dict[str, Any], host: str | None, *, anew: bool = False) -> Verdict:
        """Of the tenant, or of one host. One that was set in Vigie stays, unless it is to be `anew`."""
        where = {"params": {"host": host}} if host else {}
        now = json_of(self._asked("GET", "/stats/config", "the configuration", **where))
        if all(_same(now.get(name), value) for name, value in said.items()) and (not host or now.get("own")):
            self._wait(said)
            return THERE
        if now.get("own") and not anew:
            other = ", ".join(sorted(name for name, value in said.items() if not _same(now.get(name), value)))
            return Became.LEFT, f"the configuration that was set in Vigie stays ({other}); --config puts this one there"
        answer = self._ask("PUT", "/stats/config", "the configuration", json=said, **where)
        if answer.is_success:
            self._wait(said)
        return _verdict(answer)

    def _wait(self, said: dict[str, Any]) -> None:
        """It may have been changed a moment ago, by a run that was killed."""
        if "retentionHours" in said:
            self._sleep(IN_FORCE_S)

    def site(self, body: dict[str, Any]) -> Verdict:
        """A new one, or one that is there already: then it stays as it is."""
        answer = self._ask("POST", "/api/sites", f"the site {body['id']}", json=body)
        if answer.status_code != httpx2.codes.CONFLICT:
            return _verdict(answer)
        found = self._ask("GET", f"/api/sites/{quote(body['id'], safe='')}", f"the site {body['id']}")
        there = json_of(found) if found.is_success else {}
        if all(there.get(name) == body[name] for name in ("host", "account")):
            return THERE
        return _verdict(answer)

    def person(self, name: str, sites: Sequence[str]) -> Verdict:
        """Assign these sites to the user of that name."""
        if self._people is None:
            self._people = {one["name"].casefold(): one for one in self._users()}
        user = self._people.get(name.casefold())
        if user is None:
            return Became.REFUSED, f"there is no user {name} in Vigie: make one (passwords cannot be brought along)"
        missing = [one for one in sites if one not in user["sites"]]
        for one in missing:
            path = f"{self._path('users')}/{quote(user['id'], safe='')}/sites/{quote(one, safe='')}"
            answer = self._ask("PUT", path, f"the user {name}")
            if not answer.is_success:
                return _verdict(answer)
        return TAKEN if missing else THERE

    def past_alerts(self, bodies: Sequence[dict[str, Any]], place: str) -> list[Verdict]:
        """Of each what became of it."""
        answer = self._ask("POST", "/api/alerts/import", place, later=_BUSY, json={"alerts": bodies})
        if answer.status_code == httpx2.codes.UNPROCESSABLE_CONTENT and len(bodies) > 1:
            return [self.past_alerts([one], place)[0] for one in bodies]
        verdicts = [_verdict(answer)] * len(bodies)
        said = json_of(answer)
        if answer.is_success:
            for index in said["repeats"]:
                verdicts[index] = THERE
            for one in said["errors"]:
                verdicts[one["index"]] = (Became.REFUSED, f"{one['field']}: {one['reason']}")
        return verdicts

    def open_alert(self, said: OldAlert, host: str) -> Verdict:
        """One that was not over: Vigie's rules decide whether it fires. Who had it there has it here."""
        if self._alerts is None:
            self._alerts = list(self._firing(host))
        firing = next((one for one in self._alerts if _about(one, said)), None)
        if firing is None:
            return Became.LEFT, "was not over in the replaced system, and does not fire in Vigie"
        if not said.acknowledged or firing["status"] == "acknowledged":
            return THERE
        firing["status"] = "acknowledged"
        note = f"acknowledged{f' by {said.by}' if said.by else ''} in the replaced system"
        answer = self._ask(
            "POST", f"/stats/alerts/{firing['id']}/acknowledge", f"the alert {said.type}", json={"note": note}
        )
        return _verdict(answer)

    def reports(
        self, reports: Sequence[dict[str, Any]], place: str
    ) -> tuple[dict[int, str], list[tuple[int, str, str]]]:
        """Why some of them were refused, by their place; of those that were taken what was left out: place, field,
        reason."""
        body = gzip.compress(json.dumps(reports, separators=(",", ":")).encode(), 3, mtime=0)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        answer = self._ask(
            "POST", "/api/hosts/reports", place, later=_BUSY, content=body, headers=headers,
            settled=_TOO_MUCH if len(reports) > 1 else frozenset(),
        )  # fmt: skip
        if answer.status_code in _TOO_MUCH and len(reports) > 1:
            self._sleep(pause_of(answer))
            return self._halves(reports, place)
        said = json_of(answer)
        try:
            errors = {int(one["index"]): f"{one['field']}: {one['reason']}" for one in said.get("errors", ())}
            warnings = [(int(one["index"]), one["field"], one["reason"]) for one in said.get("warnings", ())]
        except (LookupError, TypeError, ValueError):
            raise ImportFailedError("The answer is none of Vigie's: is --url its front door?") from None
        if len(warnings) >= MAX_WARNINGS and len(reports) > 1:  # there may be more; they are stored once
            return self._halves(reports, place)
        if answer.status_code == httpx2.codes.CONTENT_TOO_LARGE:
            return {0: message(answer)}, []
        if answer.status_code == httpx2.codes.CREATED or (errors and answer.status_code == httpx2.codes.BAD_REQUEST):
            return errors, warnings
        raise ImportFailedError(f"Stopped at {place}: {answer.status_code} {message(answer)}.")

    def _halves(
        self, reports: Sequence[dict[str, Any]], place: str
    ) -> tuple[dict[int, str], list[tuple[int, str, str]]]:
        """It may be more than the tenant's plan allows in a whole second: then no wait would help."""
        half = len(reports) // 2
        errors, warnings = self.reports(reports[:half], place)
        more, others = self.reports(reports[half:], place)
        moved = [(half + index, name, why) for index, name, why in others]
        return {**errors, **{half + index: why for index, why in more.items()}}, [*warnings, *moved]

    def _users(self) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            asked = {"limit": "100", **({"cursor": cursor} if cursor else {})}
            page = json_of(self._asked("GET", self._path("users"), "the users", params=asked))
            yield from page["users"]
            if (cursor := page.get("nextCursor")) is None:
                return

    def _firing(self, host: str) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        for _ in range(_MAX_ALERTS // 200):
            asked: dict[str, Any] = {"status": ["active", "acknowledged"], "host": host, "limit": 200}
            page = json_of(
                self._asked(
                    "GET", "/stats/alerts", "the alerts", params={**asked, **({"cursor": cursor} if cursor else {})}
                )
            )
            yield from page["alerts"]
            if (cursor := page.get("nextCursor")) is None:
                return

    def _path(self, what: str) -> str:
        return f"/admin/tenants/{quote(self._tenant, safe='')}/{what}"

    def _asked(self, method: str, path: str, place: str, **request: Any) -> httpx2.Response:
        """An answer that must be one."""
        answer = self._ask(method, path, place, **request)
        if not answer.is_success:
            raise ImportFailedError(f"Stopped at {place}: {answer.status_code} {message(answer)}.")
        return answer

    def _ask(self, method: str, path: str, place: str, **request: Any) -> httpx2.Response:
        answer = self._patient.ask(method, path, place, **request)
        if answer.status_code == httpx2.codes.UNAUTHORIZED or (
            answer.status_code == httpx2.codes.FORBIDDEN and not _limit(answer)
        ):
            hint = "Set VIGIE_TOKEN to the access token of an ADMIN of the tenant, and run the same command again."
            raise ImportFailedError(f"Stopped at {place}: {answer.status_code} {message(answer)}. {hint}")
        return answer


def _verdict(answer: httpx2.Response) -> Verdict:
    if answer.is_success:
        return TAKEN
    if _limit(answer) or answer.status_code in _JUDGED:
        said = json_of(answer)
        errors = "; ".join(f"{one['field']}: {one['reason']}" for one in said.get("errors", ())[:5])
        return Became.REFUSED, printable(errors or message(answer))
    raise ImportFailedError(f"Stopped: {answer.status_code} {message(answer)}.")


def _limit(answer: httpx2.Response) -> bool:
    """Whether there may be no more of it: nothing is wrong with the credential."""
    return answer.status_code == httpx2.codes.FORBIDDEN and str(json_of(answer).get("type", "")).endswith(
        f"/{ProblemKind.LIMIT}"
    )


def _same(now: Any, said: Any) -> bool:
    if isinstance(said, dict):
        return isinstance(now, dict) and all(_same(now.get(name), value) for name, value in said.items())
    return bool(now == said)


def _about(firing: dict[str, Any], said: OldAlert) -> bool:
    return (firing["type"], firing["site"] or None, firing["service"] or None) == (said.type, said.site, said.service)
