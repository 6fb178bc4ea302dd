"""`vigie inbox`: what was caught, in the terminal."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from vigie_standalone.arguments import DEFAULT_HOME, DataDir
from vigie_standalone.errors import StandaloneError

if TYPE_CHECKING:
    from pathlib import Path

    from vigie_standalone.inbox.mailbox import Mailbox
    from vigie_standalone.inbox.messages import Message

POLL_S = 0.2
SHOWN = 20

inbox_app = typer.Typer(help="Mails and webhooks that `vigie up` caught, instead of sending them.")
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that come, until Ctrl-C.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the newest.")]


class NoMessageError(StandaloneError):
    """No message of that number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no message {number}, or not any more. `vigie inbox` lists those that are there.")


@inbox_app.callback(invoke_without_command=True)
def inbox(
    context: typer.Context, *, follow: Follow = False, limit: Limit = SHOWN, data_dir: DataDir = DEFAULT_HOME
) -> None:
    """List what was caught, oldest first. With --follow each that comes is shown whole."""
    if context.invoked_subcommand is None:
        _list(data_dir, limit, follow=follow)


@inbox_app.command("list")
def list_messages(*, follow: Follow = False, limit: Limit = SHOWN, data_dir: DataDir = DEFAULT_HOME) -> None:
    """List what was caught, oldest first."""
    _list(data_dir, limit, follow=follow)


@inbox_app.command("show")
def show_message(
    number: Annotated[int, typer.Argument(help="As the list numbers it.", min=1)], data_dir: DataDir = DEFAULT_HOME
) -> None:
    """Show the whole of one."""
    message = _mailbox(data_dir).get(number)
    if message is None:
        raise NoMessageError(number)
    typer.echo(whole(number, message))


def _list(data_dir: "Path", limit: int, *, follow: bool) -> None:
    mailbox = _mailbox(data_dir)
    numbers = mailbox.numbers()
    last = numbers[-1] if numbers else 0
    for number in numbers[-limit:]:
        if (message := mailbox.get(number)) is not None:
            typer.echo(brief(number, message))
    if not follow:
        typer.echo("`vigie inbox show NUMBER` shows the whole." if numbers else _nothing(data_dir))
        return
    try:
        while True:
            for last, message in mailbox.after(last):  # noqa: B020 - goes on where it is
                typer.echo(whole(last, message))
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return


def brief(number: int, message: "Message") -> str:
    """One line."""
    return f"{number:>5}  {_at(message)}  {message.kind:<7}  {message.to[:40]:<24}  {message.subject}"


def whole(number: int, message: "Message") -> str:
    """All of it; of the headers those that say which alert, which attempt and which trace it is."""
    named = {name: value for name, value in message.headers.items() if name.lower().startswith(_TOLD)}
    facts = {"From": message.sender, "To": message.to, "Subject": message.subject, **named}
    head = "\n".join(f"{name}: {value}" for name, value in facts.items())
    return f"--- message {number}, {message.kind}, {_at(message)}\n{head}\n\n{message.text.rstrip()}\n"


_TOLD = ("message-id", "references", "traceparent", "webhook-", "x-vigie-")


def _nothing(data_dir: "Path") -> str:
    from vigie_standalone.home import Home, NotRunningError

    home = Home(data_dir)
    if home.running() is None:
        return str(NotRunningError(home.directory))
    return "Nothing was caught yet. `vigie incident service-down` makes an alert fire."


def _mailbox(data_dir: "Path") -> "Mailbox":
    from vigie_standalone.home import Home
    from vigie_standalone.inbox.mailbox import Mailbox

    return Mailbox(Home(data_dir).inbox)


def _at(message: "Message") -> str:
    return time.strftime("%H:%M:%S", time.localtime(message.received_ms / 1000))
