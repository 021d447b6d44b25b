"""The command line: a table of commands, each imported when it is used, and the exit statuses."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kdriver.core.errors import ExitCode, KdriverError
from kdriver.core.paths import cache_dir, index_dir
from kdriver.version import VERSION

logger = logging.getLogger(__name__)

COMMANDS: dict[str, tuple[str, str]] = {
    "index": ("kdriver.commands.index", "Which kernels exist, and the packages that build and boot them."),
    "build": ("kdriver.commands.build", "Build drivers for kernels."),
    "images": ("kdriver.commands.images", "What drivers are built in: make, list and carry the images."),
    "scheduler": ("kdriver.commands.scheduler", "Hand out builds to the workers of a cluster."),
    "worker": ("kdriver.commands.worker", "Build for a cluster."),
    "cache": ("kdriver.commands.cache", "What the cache holds, and making it smaller."),
    "ci": ("kdriver.commands.ci", "Workflow files for your own CI."),
    "verify": ("kdriver.commands.verify", "Boot kernels in QEMU and judge their drivers."),
    "coverage": ("kdriver.commands.coverage", "Which drivers passed on which kernels."),
    "repo": ("kdriver.commands.repo", "Make a signed repository and its keys."),
    "publish": ("kdriver.commands.publish", "Publish drivers with their verdicts in a signed repository."),
    "serve": ("kdriver.commands.serve", "Serve a repository over HTTP."),
    "load": ("kdriver.commands.load", "Find, fetch, check and load the driver for this host."),
    "status": ("kdriver.commands.status", "What is loaded on this host."),
    "unload": ("kdriver.commands.unload", "Unload the driver from this host."),
    "capture": ("kdriver.commands.capture", "Open a driver and print its events."),
    "events": ("kdriver.commands.events", "The catalogue of events."),
}


class LazyGroup(click.Group):
    """Imports a command's module only when it runs: `kdriver --help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


_OF_PATHS = frozenset((
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP,
))  # fmt: skip
"""What is wrong with a path that a person named, or with rights on it; other faults of the system are bugs."""
_RIGHTS = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="kdriver")
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for debugging.")
def cli(verbose: int) -> None:
    """Event drivers for every kernel of a fleet: indexed, built, verified, published, loaded.

    \b
    The usual order:
      kdriver index update --distro debian12
      kdriver build   --distro debian12 --kernel newest
      kdriver verify  --distro debian12 --kernel newest
      kdriver repo init --repo ./repository --keys ./keys
      kdriver publish --repo ./repository --keys ./keys
    and on the host:
      kdriver load    --repo http://mirror.example/repository --trust root.json
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """The console script. Exits with a status of ExitCode; a bug keeps its traceback and exits 1."""
    sys.exit(run(argv))


def run(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        result: Any = cli.main(args=argv, prog_name="kdriver", standalone_mode=False)
    except KdriverError as error:
        click.echo(f"kdriver: {error.message}", err=True)
        if error.hint:
            click.echo(f"  hint: {error.hint}", err=True)
        return int(error.exit_code)
    except click.UsageError as error:
        error.show()
        return int(ExitCode.USAGE)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("kdriver: stopped", err=True)
        return 130
    except BrokenPipeError:  # who read it has seen enough; what Python still flushes at its end goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.SOME_FAILED)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"kdriver: {place}no space left to write to", err=True)
            hint = "Free space in the cache (KDRIVER_CACHE), in TMPDIR, and where the output goes."
            click.echo(f"  hint: {hint}", err=True)
            return int(ExitCode.SOME_FAILED)
        if not error.filename or error.errno not in _OF_PATHS:
            raise
        click.echo(f"kdriver: {os.fsdecode(error.filename)}: {error.strerror}", err=True)
        if not _is_named(os.fsdecode(error.filename), sys.argv[1:] if argv is None else argv):
            logger.info("where it happened:", exc_info=error)
            what = "You may not use it" if error.errno in _RIGHTS else "You did not name it"
            hint = f"{what}; if kdriver should not need it, report a bug with the traceback that kdriver -v prints."
            click.echo(f"  hint: {hint}", err=True)
            return int(ExitCode.SOME_FAILED)
        click.echo("  hint: Name a file or folder that is there and that you may read or write.", err=True)
        return int(ExitCode.USAGE)
    return int(result) if isinstance(result, int) else int(ExitCode.DONE)


def _is_named(path: str, words: Sequence[str]) -> bool:
    """Whether a path is one that a person named, on the command line or as one of kdriver's places; what is in a folder
    named on the command line is named, too, and so is a folder that such a path is in."""
    told = Path(path).absolute()
    values = [*(word for word in words if not word.startswith("-")), *(word.partition("=")[2] for word in words)]
    names = [Path(value).absolute() for value in values if value]
    places = [cache_dir(), index_dir(), Path(os.environ.get("TMPDIR") or "/tmp")]
    below = any(told.is_relative_to(name) for name in names)
    return below or any(name.is_relative_to(told) for name in (*names, *places))


if __name__ == "__main__":
    main()
