"""`kdriver serve`: a repository over HTTP."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from kdriver.core.errors import ConfigError

if TYPE_CHECKING:
    from kdriver.repository.server import RepositoryServer


@click.command(name="serve")
@click.option("--repo", type=click.Path(path_type=Path), required=True, help="The repository's folder.")
@click.option(
    "--listen", default="127.0.0.1:8080", show_default=True, help="Address and port; port 0 takes a free one."
)
@click.option("--access-log", is_flag=True, help="Write each request to stderr.")
def command(repo: Path, listen: str, access_log: bool) -> None:
    """Serve a repository over HTTP, for a local network or a test. Any static web server does as well.

    Prints its address on stdout when it answers. SIGTERM or Ctrl-C end it.

    \b
    Examples:
      kdriver serve --repo ./repository
      kdriver serve --repo ./repository --listen :8080 --access-log
    """
    from kdriver.repository.metadata import read_root
    from kdriver.repository.page import page_maker
    from kdriver.repository.server import RepositoryServer
    from kdriver.repository.store import FolderStore

    store = FolderStore(repo)
    read_root(store)
    if access_log:
        logging.getLogger("kdriver.repository.server").setLevel(logging.INFO)
    with RepositoryServer(repo, parse_listen(listen), page_maker(store), access_log) as server:
        _stop_on_signals(server)
        click.echo(server.url)
        server.serve_forever(poll_interval=0.2)


def parse_listen(listen: str) -> tuple[str, int]:
    """`127.0.0.1:8080`, `[::1]:8080` or `:8080` (all addresses). Raises ConfigError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{listen}: is no address and port", hint="Write it like 127.0.0.1:8080.")
    return host.strip("[]") or "0.0.0.0", int(port)


def _stop_on_signals(server: RepositoryServer) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        # shutdown() waits for serve_forever(), which runs in this very thread.
        threading.Thread(target=server.shutdown, daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
