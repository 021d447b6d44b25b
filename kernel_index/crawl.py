"""Updating the index: plan which suites to ask, ask them, put their kernels together, keep what was known."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdriver.core.errors import ConfigError, DownloadError, IntegrityError, KdriverError
from kdriver.core.http import Http, redact
from kernel_index.family import family_of
from kernel_index.sources import archive_mirrors
from kernel_index.store import (
    RowIndex,
    SuiteState,
    locked,
    merge_kernels,
    read_record,
    read_row,
    write_record,
    write_row,
)
from kernel_index.suites import SuiteRecord, SuiteSource
from kernel_index.table import DistroRow

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Called with what is being done, for a person."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What an update of one distribution release will ask."""

    row: DistroRow
    sources: tuple[SuiteSource, ...]

    def to_json(self) -> dict[str, Any]:
        """What `index update --dry-run --json` prints for the row."""
        family = family_of(self.row.family)
        return {
            "distro_release": self.row.id,
            "suites": [
                {
                    "suite": source.suite,
                    "archive": source.archive,
                    "urls": [redact(family.release_url(mirror, source.suite)) for mirror in source.mirrors],
                }
                for source in self.sources
            ],
        }


@dataclass(frozen=True, slots=True)
class RowResult:
    """What an update of one distribution release gave. new: keys of kernels seen for the first time.

    bytes_read: by suite; errors: of the suites that failed, in their order.
    """

    index: RowIndex
    new: tuple[str, ...]
    bytes_read: tuple[tuple[str, int], ...]
    seconds: float
    errors: tuple[KdriverError, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """What `index update --json` prints for the row."""
        read = dict(self.bytes_read)
        return {
            "distro_release": self.index.distro_release,
            "partial": self.index.partial,
            "kernels": len(self.index.kernels),
            "new": list(self.new),
            "bytes": sum(read.values()),
            "seconds": round(self.seconds, 2),
            "suites": [{**suite.to_json(), "bytes": read.get(suite.suite, 0)} for suite in self.index.suites],
        }


def plan_update(rows: Sequence[DistroRow], mirrors: Sequence[str] = ()) -> tuple[RowPlan, ...]:
    """What to ask, row by row, suites in the rows' order. mirrors: values of --mirror. Raises ConfigError."""
    return tuple(
        RowPlan(
            row,
            tuple(
                SuiteSource(archive.id, suite, archive_mirrors(row, archive, mirrors))
                for archive in row.archives
                for suite in archive.suites
            ),
        )
        for row in rows
    )


def run_update(
    plans: Sequence[RowPlan],
    *,
    path: Path | None = None,
    http: Http | None = None,
    now: datetime.datetime | None = None,
    report: Report | None = None,
    allow_stale: bool = False,
) -> tuple[RowResult, ...]:
    """Update the index, and return one result per plan.

    allow_stale: take signed suites whose time has passed (an archived or frozen mirror), with a warning.

    A suite that fails keeps its last good state and is named in its row's result; the index is then partial.
    Raises ConfigError at once when the machine lacks something, or when another update is running; the error
    of the first suite when of all rows not one suite could be asked.
    """
    run = _Run(path, http or Http(), now or datetime.datetime.now(datetime.UTC), report or _say_nothing, allow_stale)
    with locked(path):
        results = tuple(_update_row(plan, run) for plan in plans)
    errors = [error for result in results for error in result.errors]
    if errors and len(errors) == sum(len(plan.sources) for plan in plans):
        raise next((error for error in errors if isinstance(error, IntegrityError)), errors[0])
    return results


@dataclass(frozen=True, slots=True)
class _Run:
    path: Path | None
    http: Http
    now: datetime.datetime
    report: Report
    allow_stale: bool


def _say_nothing(text: str) -> None:
    del text


def _update_row(plan: RowPlan, run: _Run) -> RowResult:
    started = time.monotonic()
    row = plan.row
    old = read_row(row.id, run.path)
    states, records, bytes_read, errors = [], [], [], []
    for source in plan.sources:
        run.report(f"{row.id} {source.suite}")
        state, record, count, error = _update_suite(row, source, run)
        states.append(state)
        bytes_read.append((source.suite, count))
        if record is not None:
            records.append(record)
        if error is not None:
            errors.append(error)
    known = old.kernels if old is not None else ()
    kernels = merge_kernels(known, family_of(row.family).kernels(row, records))
    index = RowIndex(row.id, run.now.isoformat(timespec="seconds"), tuple(states), kernels)
    if records or old is not None:
        write_row(index, run.path)
    keys = {kernel.key for kernel in known}
    new = tuple(kernel.key for kernel in kernels if kernel.key not in keys)
    return RowResult(index, new, tuple(bytes_read), time.monotonic() - started, tuple(errors))


def _update_suite(
    row: DistroRow, source: SuiteSource, run: _Run
) -> tuple[SuiteState, SuiteRecord | None, int, KdriverError | None]:
    previous = read_record(row.id, source.suite, run.path)
    try:
        fetched = family_of(row.family).fetch(
            row, source, previous, now=run.now, http=run.http, allow_stale=run.allow_stale
        )
    except ConfigError:
        raise
    except (DownloadError, IntegrityError) as error:
        logger.info("%s", error.message)
        date, checked = (previous.date, previous.checked) if previous is not None else ("", "")
        state = SuiteState(source.suite, source.archive, "failed", error.message, date, checked)
        return state, previous, 0, error
    record = fetched.record
    if record != previous:
        write_record(row.id, record, run.path)
    state = SuiteState(source.suite, source.archive, fetched.outcome, "", record.date, record.checked)
    return state, record, fetched.bytes_read, None
