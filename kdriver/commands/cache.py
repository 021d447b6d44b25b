"""`kdriver cache`: what the cache holds, and making it smaller."""

from __future__ import annotations

import re
import time

import click

from kdriver.core.console import print_json, print_table, size
from kdriver.core.errors import ExitCode
from kdriver.core.paths import cache_dir


@click.group(name="cache")
def command() -> None:
    """What the cache holds, and taking out of it what was not used for longest."""


@command.command(name="show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(as_json: bool) -> int:
    """Say how much of what the cache holds, and when the oldest of it was used.

    Everything in the cache can be made again. It is kept below the size in KDRIVER_CACHE_LIMIT (50 GB where that is not
    set): a build that made something takes out the longest unused at its end. Kernel headers are unpacked to memory
    (/dev/shm) where there is room: an eighth of what is available, 2 GB at most, or KDRIVER_HEADERS_MEMORY (0: never).
    A build gives up those that were not used for a day, and all when memory is scarce.

    \b
    Examples:
      kdriver cache show
      KDRIVER_CACHE=/srv/kdriver kdriver cache show --json
    """
    from builder.keep import cache_limit, list_items

    items = list_items(cache_dir())
    stores = dict.fromkeys(item.store for item in sorted(items, key=lambda item: item.store))
    rows = []
    for store in stores:
        mine = [item for item in items if item.store == store]
        rows.append((store, len(mine), sum(item.size_bytes for item in mine), min(item.used for item in mine)))
    total = sum(row[2] for row in rows)
    if as_json:
        found = [
            {"store": store, "items": count, "size_bytes": taken, "oldest_use": _date(used)}
            for store, count, taken, used in rows
        ]
        print_json({"folder": str(cache_dir()), "limit_bytes": cache_limit(), "size_bytes": total, "stores": found})
        return int(ExitCode.DONE)
    cells = [(store, str(count), size(taken), _date(used)) for store, count, taken, used in rows]
    print_table(("store", "items", "size", "oldest use"), cells)
    click.echo(f"{cache_dir()}: {size(total)} of {size(cache_limit())}")
    return int(ExitCode.DONE)


@command.command(name="prune")
@click.option("--max-size", help="Until the rest is at most this large: 20G.  [default: KDRIVER_CACHE_LIMIT]")
@click.option("--max-age", help="What was not used for so long: 30d, 12h.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would go, and take nothing out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def prune_command(max_size: str | None, max_age: str | None, dry_run: bool, as_json: bool) -> int:
    """Take out of the cache what was not used for longest. What a running build uses stays.

    Verdicts and logs are not touched. Whatever is taken out is downloaded or made again when it is needed.

    \b
    Examples:
      kdriver cache prune --max-size 10G
      kdriver cache prune --max-age 30d --dry-run
    """
    from builder.keep import cache_limit, parse_size, prune

    limit = parse_size(max_size) if max_size else None if max_age else cache_limit()
    done = prune(cache_dir(), limit_bytes=limit, max_age_s=_seconds(max_age) if max_age else None, dry_run=dry_run)
    if as_json:
        print_json(done.to_json())
        return int(ExitCode.DONE)
    if done.items:
        cells = [(item.store, item.path.name, size(item.size_bytes), _date(item.used)) for item in done.items]
        print_table(("store", "item", "size", "last use"), cells)
    would = "would free" if dry_run else "freed"
    used = f"; {done.kept} more are in use" if done.kept else ""
    click.echo(f"{would} {size(done.freed_bytes)} of {len(done.items)} items{used}; {size(done.left_bytes)} are left")
    return int(ExitCode.DONE)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([dh])", text)
    if found is None:
        raise click.UsageError(f"--max-age {text}: write it as 30d or 12h")
    return int(found[1]) * {"d": 86400.0, "h": 3600.0}[found[2]]


def _date(used: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(used))
