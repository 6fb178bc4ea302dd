"""Errors of the `vigie` command. Each is one sentence that says what to do; none shows a traceback to the user."""


class StandaloneError(Exception):
    """Base of everything the `vigie` command reports as a sentence."""


class DownloadError(StandaloneError):
    """A file of an embedded server could not be fetched, or what came was not what is pinned."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"Could not fetch {what}: {reason}. Check the network or proxy and start again; what was fetched "
            "already is kept. To use a Kafka of your own instead, set KAFKA_BOOTSTRAP_SERVERS."
        )


class ServerNotFoundError(StandaloneError):
    """No program for an embedded server was found on this machine."""

    def __init__(self, program: str, variable: str) -> None:
        super().__init__(
            f"No {program} was found: there is none on PATH and the Python package that carries one is not "
            f"available for this platform. Install {program}, or set {variable} to use a running one."
        )


class StoppingError(StandaloneError):
    """Something was about to be started or fetched while everything is being stopped."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was not started: Vigie is stopping.")


class ProcessError(StandaloneError):
    """A process ended, or did not become ready in time. Carries the last lines of its log."""

    def __init__(self, name: str, what: str, log_tail: str) -> None:
        tail = f"\nThe end of its log:\n{log_tail}" if log_tail else " Its log is empty."
        super().__init__(f"{name} {what}.{tail}")
        self.name = name
