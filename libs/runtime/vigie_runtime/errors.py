"""The errors of the runtime. Handling a message ends badly in three ways: `Retryable`, `InvalidMessage`, a bug."""

from __future__ import annotations

from enum import StrEnum

from vigie_contracts.problems import ItemProblem, Problem, ProblemKind, problem

RETRY_AFTER_S = 2
"""How soon a client may try again what failed because something was away or busy."""


class VigieError(Exception):
    """Base of every error that Vigie raises itself. Its text is a sentence for an operator."""


class ProblemError(VigieError):
    """Base of everything that a client is told: becomes the problem details of an answer. `field` names what is wrong
    in the request, `retry_after` is in seconds."""

    kind = ProblemKind.INVALID
    status = 422
    names_as_sent = False
    """Whether its fields are called as in the request, and not by their names in Python."""

    def __init__(self, detail: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after

    def problem(self, instance: str) -> Problem:
        """The answer's body; `instance` is the path that was asked for."""
        errors = [ItemProblem(0, self.field, self.detail)] if self.field else None
        return problem(
            self.kind, self.status, self.detail, errors=errors, retry_after=self.retry_after, instance=instance
        )

    def headers(self) -> dict[str, str]:
        """What the answer needs beside its body."""
        return {} if self.retry_after is None else {"retry-after": str(self.retry_after)}


class StoreUnavailable(ProblemError):  # noqa: N818 - named after what is wrong
    """MongoDB does not answer."""

    kind = ProblemKind.STORE_AWAY
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "the store does not answer at the moment; try again in a few seconds", retry_after=RETRY_AFTER_S
        )


class Busy(ProblemError):  # noqa: N818
    """The concurrency limit of this process is reached."""

    kind = ProblemKind.LIMIT
    status = 503

    def __init__(self, what: str) -> None:
        super().__init__(f"too many {what} at the same time; try again in a few seconds", retry_after=RETRY_AFTER_S)


class Retryable(VigieError):  # noqa: N818 - named after what the reader does
    """A temporary failure: seek back, back off, try again."""


class DeadReason(StrEnum):
    """Why a record became a dead letter: the label of the metric, and the first word of the reason in its headers."""

    UNDECODABLE = "undecodable"
    UNKNOWN_SERIES = "unknown_series"
    INVALID = "invalid"


class InvalidMessage(VigieError):  # noqa: N818
    """This message will never be understood: dead-letter it and go on."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Fenced(VigieError):  # noqa: N818
    """Somebody else moved the partition's stored offset: forget what is in memory and load again."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} was moved on by another owner; its state is loaded again")
        self.partition = partition


class BusUnavailable(VigieError):  # noqa: N818
    """Kafka did not acknowledge in time. Whether the samples were written is unknown."""


class BufferFull(VigieError):  # noqa: N818
    """The publisher holds as much that is not acknowledged as it may; nothing of this call was taken."""

    def __init__(self, held: int, limit: int, what: str = "samples") -> None:
        super().__init__(f"{held} {what} wait for Kafka, the limit is {limit}: send again later")
        self.held = held
        self.limit = limit


class TooManyDeadLetters(VigieError):  # noqa: N818
    """So much of the recent input is unreadable that the reader is more likely wrong than its input."""

    def __init__(self, dead: int, seen: int, ratio: float) -> None:
        super().__init__(
            f"{dead} of the last {seen} messages could not be read (limit {ratio:.0%}): stopped instead of "
            "dead-lettering everything. Check that no writer is newer than this reader, then start again"
        )


class PartitionCountError(VigieError):
    """A topic has another number of partitions than the one asked for."""

    def __init__(self, topic: str, found: int, wanted: int, where: str) -> None:
        more = wanted > found and wanted % found == 0
        way = f"`vigie partitions {wanted}`" if more else f"`vigie partitions`, to a multiple of {found},"
        super().__init__(
            f"{topic} has {found} partitions {where}, but {wanted} were asked for. A series lives in one partition. "
            f"Start with VIGIE_PARTITIONS={found}; or stop all services, and have the partitions divided: {way} does it"
        )


class TopicReplaced(VigieError):  # noqa: N818
    """Another topic bears the name of the one that is being read."""

    def __init__(self, topic: str, before: str, now: str) -> None:
        super().__init__(
            f"{topic} was deleted and made again while it was read (topic id {before} before, {now} now): the process "
            "ends, and reads the new topic from its earliest record when it is started again"
        )


class KafkaNotReady(VigieError):  # noqa: N818
    """The brokers did not answer, or did not get ready, within the time allowed."""

    def __init__(self, what: str, seconds: float, reason: object) -> None:
        super().__init__(
            f"Kafka was not ready within {seconds:.0f} s ({what}): {reason}. Check KAFKA_BOOTSTRAP_SERVERS "
            "and the brokers"
        )


def reason_of(error: BaseException) -> str:
    """The error in one line, for logs and messages: its class when its text says nothing."""
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
