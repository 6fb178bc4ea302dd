"""`python -m vigie_standalone.inbox --directory D --smtp-port N --http-port M`: catches until SIGTERM."""

import argparse
import asyncio
import sys
from pathlib import Path

import uvicorn

from vigie_standalone.inbox.catching import Calls, smtp_protocol
from vigie_standalone.inbox.mailbox import Mailbox

HOST = "127.0.0.1"
"""Not to be chosen: who reaches the catcher writes into it, and its messages may hold what is secret elsewhere."""
MAX_CONNECTIONS = 64


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(description="Catch mails and webhooks on the loopback.")
    parser.add_argument("--directory", type=Path, required=True, help="where the messages are kept")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(_catch(Mailbox(arguments.directory), arguments.smtp_port, arguments.http_port))
    return 0


async def _catch(mailbox: Mailbox, smtp_port: int, http_port: int) -> None:
    smtp = await asyncio.get_running_loop().create_server(smtp_protocol(mailbox), HOST, smtp_port)
    config = uvicorn.Config(
        Calls(mailbox),
        host=HOST,
        port=http_port,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        smtp.close()


if __name__ == "__main__":
    sys.exit(main())
