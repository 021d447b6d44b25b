"""Options that building and verifying have in common: whence packages come, and where drivers are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def where_to_build(executor_help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """--mirror (mirrors), --executor and --scheduler for a command. executor_help: of --executor."""
    options = (
        click.option(
            "--mirror",
            "mirrors",
            multiple=True,
            metavar="URL",
            help="Fetch packages from this mirror and no other, as kdriver index update does: URL or ARCHIVE=URL. "
            "Repeatable.",
        ),
        click.option(
            "--executor",
            type=click.Choice(["auto", "local", "container", "cluster"]),
            default="auto",
            show_default=True,
            help=executor_help,
        ),
        click.option("--scheduler", metavar="ADDRESS", help="Of the cluster, for --executor cluster: tcp://HOST:8786."),
    )

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add
